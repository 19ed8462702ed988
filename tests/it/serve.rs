//! `kv serve`: what it answers.

mod browser;
mod cached;
pub mod client;
mod created;
mod curl;
mod ends;
mod guard;
mod hundreds;
mod idle;
mod limits;
mod load;
mod manager;
mod memory;
mod openapi;
mod told;
mod turns;
mod verbs;
mod waiting;
mod whole;

use kv::exit::Exit;

use self::client::Server;
use crate::harness::{Engine, Sandbox};

/// Some bytes that no run of the same length repeats.
fn bytes(len: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    (0..len).map(byte).collect()
}

#[test]
fn values_of_all_sizes_go_in_and_out() {
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        let server = Server::of(&kv, &[]);
        for size in [0, 1, 65_535, 65_536, 65_537, 300_000, 5_000_001] {
            let value = bytes(size);
            let put = server.ask("PUT /v1/default/k", &[], &value);
            let code = if size == 0 { 201 } else { 204 };
            let put = put.is(code).holds("");
            let got = server
                .ask("GET /v1/default/k", &[], b"")
                .is(200)
                .holds(&value);
            assert_eq!(got.header("etag"), put.header("etag"));
            kv.run(["get", "k"]).ends(Exit::Success).prints(&value);
            let head = server.ask("HEAD /v1/default/k", &[], b"").is(200);
            assert_eq!(head.header("content-length"), Some(&*size.to_string()));
            assert_eq!(head.header("last-modified"), got.header("last-modified"));
        }
        server.ask("DELETE /v1/default/k", &[], b"").is(204);
        server
            .ask("DELETE /v1/default/k", &[], b"")
            .refuses(404, Exit::No);
        server
            .ask("GET /v1/default/k", &[], b"")
            .refuses(404, Exit::No);
        server.ask("HEAD /v1/default/k", &[], b"").is(404);
        assert_eq!(server.stop(), "");
    }
}

#[test]
fn a_body_in_chunks_is_a_value_too() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let mut client = server.connect();
    let value = bytes(200_000);
    let head = format!(
        "PUT /v1/default/k HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address()
    );
    client.send(head.as_bytes()).unwrap();
    for part in value.chunks(7_001) {
        client
            .send(format!("{:x}\r\n", part.len()).as_bytes())
            .unwrap();
        client.send(part).unwrap();
        client.send(b"\r\n").unwrap();
    }
    client.send(b"0\r\n\r\n").unwrap();
    client.answer(false).unwrap().is(201);
    // The connection is good for another request.
    client
        .ask("GET /v1/default/k", &[], b"")
        .is(200)
        .holds(&value);
}

#[test]
fn a_key_is_any_bytes() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let table = [
        ("a/b", "a/b"),
        ("a%2Fc", "a/c"),
        ("/x//", "/x//"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("%2e%2E/.", "../."),
        ("a+b%20c%25", "a+b c%"),
    ];
    for (path, key) in table {
        let request = format!("PUT /v1/default/{path}");
        server.ask(&request, &[], key.as_bytes()).is(201);
        kv.holds(key, key);
        let request = format!("GET /v1/default/{path}");
        server.ask(&request, &[], b"").is(200).holds(key);
    }
    kv.run(["ls", "--count"])
        .prints(format!("{}\n", table.len()));
    server
        .ask("GET /v1/default/a/c", &[], b"")
        .is(200)
        .holds("a/c");
    server.ask("PUT /v1/other/%ff%01", &[], b"x").is(201);
    kv.run(["-n", "other", "ls"]).prints(b"\xff\x01\n");
    for bad in ["%00", "%zz", "%"] {
        let request = format!("PUT /v1/default/{bad}");
        server.ask(&request, &[], b"x").refuses(400, Exit::Usage);
    }
    for bad in [
        "PUT /v1/.git/config",
        "PUT /v1/../x",
        "PUT /v1//x",
        "GET /v1/%ff",
    ] {
        server.ask(bad, &[], b"").refuses(400, Exit::Usage);
    }
    server.ask("GET /v2", &[], b"").refuses(404, Exit::Usage);
    server
        .ask("GET /v1/../../etc/passwd", &[], b"")
        .refuses(400, Exit::Usage);
    server
        .ask("PATCH /v1/default/k", &[], b"")
        .refuses(405, Exit::Usage);
    server.ask("GET /set", &[], b"").refuses(405, Exit::Usage);
}

#[test]
fn conditions_are_those_of_http() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let put = |headers: &[&str], value: &[u8]| server.ask("PUT /v1/default/k", headers, value);
    put(&["If-Match: *"], b"1").refuses(412, Exit::No);
    put(&["If-None-Match: *"], b"1").is(201);
    put(&["If-None-Match: *"], b"2").refuses(412, Exit::No);
    let old = put(&["If-Match: *"], b"2").is(204);
    let old = old.header("etag").unwrap();
    let new = put(&[&format!("If-Match: {old}")], b"3").is(204);
    let new = new.header("etag").unwrap();
    put(&[&format!("If-Match: {old}")], b"4").refuses(412, Exit::No);
    put(&[&format!("If-None-Match: {new}")], b"4").refuses(412, Exit::No);
    put(&["If-Match: W/\"0000000000000000\""], b"4").refuses(412, Exit::No);
    put(&["If-Match: nonsense"], b"4").refuses(400, Exit::Usage);
    kv.holds("k", "3");

    let get = |header: String| server.ask("GET /v1/default/k", &[&header], b"");
    let same = get(format!("If-None-Match: W/{new}, \"x\"")).is(304);
    assert_eq!((same.header("etag"), &*same.body), (Some(new), &b""[..]));
    get(format!("If-None-Match: {old}")).is(200).holds("3");
    get(format!("If-Match: {old}")).refuses(412, Exit::No);
    get(format!("If-Match: {old}, {new}")).is(200).holds("3");

    let remove = |header: String| server.ask("DELETE /v1/default/k", &[&header], b"");
    remove(format!("If-Match: {old}")).refuses(412, Exit::No);
    remove(format!("If-None-Match: {new}")).refuses(412, Exit::No);
    kv.holds("k", "3");
    put(&[&format!("If-Match: {old}, {new}")], b"5").is(204);
    put(&[&format!("If-None-Match: {old}")], b"6").is(204);
    remove("If-Match: *".to_owned()).is(204);
    remove("If-Match: *".to_owned()).refuses(412, Exit::No);
}

#[test]
fn a_condition_is_heeded_or_refused() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    kv.put("k", "1");
    let put = server.ask("PUT /v1/default/k", &[], b"1").is(204);
    let etag = put.header("etag").unwrap().to_owned();
    let wrong = "If-Match: \"0000000000000000\"";
    for request in ["DELETE /v1/default/k", "POST /v1/default/k?op=remove"] {
        for header in ["If-None-Match: *", wrong, &format!("If-None-Match: {etag}")] {
            server.ask(request, &[header], b"").refuses(412, Exit::No);
        }
        let old = "If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT";
        server.ask(request, &[old], b"").refuses(412, Exit::No);
        let bad = "If-Unmodified-Since: yesterday";
        server.ask(request, &[bad], b"").refuses(400, Exit::Usage);
    }
    for request in [
        "POST /v1/default/k?op=take",
        "POST /v1/default/k?op=append",
        "POST /v1/default/k?op=expire&ttl=1h",
        "POST /v1/default/k?op=incr",
        "POST /v1/jobs?op=push",
        "POST /v1/jobs?op=pop",
        "POST /v1/default?op=drop",
        "POST /v1/default?op=batch",
        "POST /v1/default?op=import",
    ] {
        for header in [
            wrong,
            "If-None-Match: *",
            "If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT",
        ] {
            server
                .ask(request, &[header], b"x")
                .refuses(400, Exit::Usage);
        }
    }
    server
        .ask("GET /v1/default", &[wrong], b"")
        .refuses(400, Exit::Usage);
    kv.holds("k", "1");

    // What Last-Modified says is a condition too.
    let got = server.ask("GET /v1/default/k", &[], b"").is(200);
    let written = got.header("last-modified").unwrap().to_owned();
    let ask = |request: &str, header: String| server.ask(request, &[&header], b"");
    for request in ["GET /v1/default/k", "HEAD /v1/default/k"] {
        ask(request, format!("If-Modified-Since: {written}")).is(304);
        ask(
            request,
            "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT".to_owned(),
        )
        .is(200);
        ask(request, format!("If-Unmodified-Since: {written}")).is(200);
        ask(
            request,
            "If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT".to_owned(),
        )
        .is(412);
    }
    // Etags tell more than a time does.
    let headers = [
        "If-None-Match: \"x\"",
        &format!("If-Modified-Since: {written}"),
    ];
    server.ask("GET /v1/default/k", &headers, b"").is(200);
    ask(
        "DELETE /v1/default/k",
        format!("If-Unmodified-Since: {written}"),
    )
    .is(204);
    ask("DELETE /v1/default/k", "If-None-Match: *".to_owned()).refuses(404, Exit::No);
}

#[test]
fn what_is_not_understood_is_refused() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for (request, header, code) in [
        ("PUT /v1/default/k", "KV-Tll: 1h", 400),
        ("POST /v1/default/k?op=incr", "KV-TTL: 1h", 400),
        ("GET /v1/default/k", "KV-TTL: 1h", 400),
        ("PUT /v1/default/k", "Content-Encoding: gzip", 415),
        ("POST /v1/jobs?op=push", "Content-Encoding: br", 415),
    ] {
        server
            .ask(request, &[header], b"x")
            .refuses(code, Exit::Usage);
    }
    kv.lacks("k");
    server
        .ask("PUT /v1/default/k", &["Content-Encoding: identity"], b"x")
        .is(201);
    for request in [
        "HEAD /v1",
        "HEAD /v1/default",
        "HEAD /v1/default?values=1",
        "HEAD /v1/default?op=info",
    ] {
        let head = server.ask(request, &[], b"").is(200);
        assert_eq!(
            head.header("content-type"),
            Some("application/x-ndjson"),
            "{request}"
        );
    }
    server.ask("HEAD /v1/default?nonsense=1", &[], b"").is(400);
}

#[test]
fn a_service_is_not_its_own_store() {
    let kv = Sandbox::new();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut command = kv.kv(["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.env("KV_STORE", format!("http://localhost:{port}"));
    crate::harness::Ran::of(&mut command)
        .ends(Exit::Usage)
        .complains(&["itself", "KV_STORE"]);
}

#[test]
fn an_expiry_is_set_kept_and_told() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let put = |headers: &[&str]| server.ask("PUT /v1/default/k", headers, b"v");
    let told = || {
        let answer = server.ask("GET /v1/default/k", &[], b"").is(200);
        answer.header("kv-expires").map(str::to_owned)
    };
    put(&["KV-TTL: 15m"]).is(201);
    let expires = told().unwrap();
    assert_eq!(kv.field("expires", "k"), expires);
    put(&["KV-Keep-TTL: 1"]).is(204);
    assert_eq!(told(), Some(expires));
    put(&[]).is(204);
    assert_eq!(told(), None);
    for bad in [
        &["KV-TTL: soon"][..],
        &["KV-TTL: 0"],
        &["KV-TTL: 1m", "KV-Keep-TTL: 1"],
    ] {
        put(bad).refuses(400, Exit::Usage);
    }
    put(&["Content-Range: bytes 0-0/5"]).refuses(400, Exit::Usage);
    server
        .ask("GET /v1/default/k?x=1", &[], b"")
        .refuses(400, Exit::Usage);
}

#[test]
fn a_range_is_a_part() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for size in [10, 1_000_000] {
        let value = bytes(size);
        server.ask("PUT /v1/default/k", &[], &value);
        let get = |range: String| server.ask("GET /v1/default/k", &[&range], b"");
        for (range, want) in [
            ("0-0".to_owned(), 0..1),
            ("3-".to_owned(), 3..size),
            ("-4".to_owned(), size - 4..size),
            (format!("5-{}", size * 2), 5..size),
            (
                format!("{}-{}", size / 2, size / 2 + 3),
                size / 2..size / 2 + 4,
            ),
        ] {
            let part = get(format!("Range: bytes={range}")).is(206);
            let told = format!("bytes {}-{}/{size}", want.start, want.end - 1);
            assert_eq!(part.header("content-range"), Some(&*told));
            part.holds(&value[want]);
        }
        let none = get(format!("Range: bytes={size}-")).is(416);
        assert_eq!(
            none.header("content-range"),
            Some(&*format!("bytes */{size}"))
        );
        get("Range: bytes=2-1".to_owned()).is(200).holds(&value);
        let headers = ["Range: bytes=0-1", "If-Range: \"0000000000000000\""];
        server
            .ask("GET /v1/default/k", &headers, b"")
            .is(200)
            .holds(&value);
    }
}

#[test]
fn damage_is_never_given_for_a_value() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for size in [10, 1_000_000] {
        server.ask("PUT /v1/default/k", &[], &bytes(size));
        let path = kv.file_of(b"k");
        let mut stored = std::fs::read(&path).unwrap();
        *stored.last_mut().unwrap() ^= 1;
        std::fs::write(&path, stored).unwrap();
        for range in ["X: y", "Range: bytes=0-3", "Range: bytes=-3"] {
            let got = server.ask("GET /v1/default/k", &[range], b"");
            assert!(got.code == 500 || !got.is_whole, "{size} {range}: {got:?}");
        }
        // It is replaced, and not taken for new.
        server.ask("PUT /v1/default/k", &[], b"sound").is(204);
        kv.holds("k", "sound");
    }
    let said = server.stop();
    assert_eq!(said.lines().count(), 6, "{said}");
    assert!(
        said.lines().all(|line| line.contains("is damaged")),
        "{said}"
    );
}
