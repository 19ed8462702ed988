//! What a request asks for: the key in its path, its conditions, and the part of a value.

use kv::exit::Exit;

use super::bytes;
use super::client::Server;
use crate::harness::Sandbox;

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
        ("/b/", "/b/"),
        ("../b", "../b"),
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
        "GET /v1/%ff/a",
        "GET /v1/.a/b",
        "GET /v1/a/%",
    ] {
        server.ask(bad, &[], b"").refuses(400, Exit::Usage);
    }
    for listing in ["GET /v1", "GET /v1/", "GET /v1/default/"] {
        server.ask(listing, &[], b"").is(200);
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
    put(&[&format!("If-Match: W/{new}")], b"4").refuses(412, Exit::No);
    put(&["If-Match: \"other\""], b"4").refuses(412, Exit::No);
    put(&[&format!("If-None-Match: W/{new}")], b"4").refuses(412, Exit::No);
    let bare = new.trim_matches('"');
    for bad in [
        "nonsense",
        bare,
        "\"a",
        "\"a\" \"b\"",
        "*, \"a\"",
        "w/\"a\"",
    ] {
        let header = format!("If-Match: {bad}");
        put(&[&header], b"4").refuses(400, Exit::Usage);
    }
    kv.holds("k", "3");
    let some = format!("If-Match: \"x,y\" , {new}");
    put(&[&some, "KV-Modified: 2026-11-21T08:15:30Z"], b"3").is(204);
    // A time has whole seconds.
    let at = |nanos| format!("KV-Modified: 2026-11-21T08:15:3{nanos}Z");
    for (written, code) in [("0.999999999", 200), ("1.000000000", 412)] {
        put(&[&at(written)], b"3").is(204);
        let second = "If-Unmodified-Since: Sat, 21 Nov 2026 08:15:30 GMT";
        server.ask("GET /v1/default/k", &[second], b"").is(code);
    }
    let old = put(&["If-Match: *"], b"3").is(204);
    let old = old.header("etag").unwrap();
    let new = put(&["If-Match: *"], b"3").is(204);
    let new = new.header("etag").unwrap();

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
    put(&["If-Match: \"other\""], b"7").refuses(412, Exit::No);
    put(
        &["If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT"],
        b"7",
    )
    .is(201);
    remove("If-Match: *".to_owned()).is(204);
    put(&["If-None-Match: W/\"0000000000000001\""], b"7").is(201);
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
fn a_range_is_a_part() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for size in [10, 1_000_000] {
        let value = bytes(size);
        server.ask("PUT /v1/default/k", &[], &value);
        let get = |range: String| server.ask("GET /v1/default/k", &[&range], b"");
        for (range, want) in [
            ("0-0".to_owned(), 0..1),
            ("9-99999999999999999999".to_owned(), 9..size),
            (format!("-{}", size * 3), 0..size),
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
        get("Range: bytes=-0".to_owned()).is(416);
        get("Range: Bytes=2-3".to_owned())
            .is(206)
            .holds(&value[2..4]);
        for passed_over in [
            "bytes=2-1",
            "bytes=0-1,3-4",
            "bytes=+1-2",
            "bytes=-",
            "lines=0-1",
        ] {
            let all = get(format!("Range: {passed_over}")).is(200);
            all.holds(&value);
        }
        // A large value is sent in parts of this many bytes.
        const PART: usize = 128 * 1024;
        let borders = [0, 1, PART - 1, PART, PART + 1, 2 * PART, size - 1];
        let borders = borders.map(|border| border.min(size - 1));
        for (n, first) in borders.into_iter().enumerate() {
            for last in &borders[n..] {
                let part = get(format!("Range: bytes={first}-{last}")).is(206);
                part.holds(&value[first..=*last]);
            }
        }
        let headers = ["Range: bytes=0-1", "If-Range: \"0000000000000000\""];
        server
            .ask("GET /v1/default/k", &headers, b"")
            .is(200)
            .holds(&value);
    }
    server.ask("PUT /v1/default/empty", &[], b"").is(201);
    for range in ["Range: bytes=0-", "Range: bytes=-3"] {
        server.ask("GET /v1/default/empty", &[range], b"").is(416);
    }
}

#[test]
fn nobody_says_how_long_a_body_is_that_is_not_sent() {
    let kv = Sandbox::new();
    kv.put("k", "value");
    let server = Server::of(&kv, &[]);
    let found = server.ask("GET /v1/default/k", &[], b"").is(200);
    let known = format!("If-None-Match: {}", found.header("ETag").unwrap());
    for (request, header, code) in [
        ("HEAD /v1/default", "Accept: */*", 200),
        ("HEAD /v1/default/k", &known, 304),
        ("GET /v1/default/k", &known, 304),
    ] {
        let mut client = server.connect();
        client.begin(request, &[header], 0).unwrap();
        let answer = client.answer(true).unwrap().is(code);
        assert_eq!(answer.header("Content-Length"), None, "{request}");
        // The connection stays in step.
        client.begin("GET /v1/default/k", &[], 0).unwrap();
        client.answer(false).unwrap().is(200).holds("value");
    }
}

#[test]
fn a_value_grows_no_larger_than_one_may_be() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--max-value", "10"]);
    let append = |text: &str| server.ask("POST /v1/default/k?op=append", &[], text.as_bytes());
    append("12345678").is(204);
    append("901").refuses(413, Exit::Failure);
    append("90").is(204);
    let commands = "put b 123456789\nappend b 01\nappend b 0\n";
    let replies = server.ask("POST /v1/default?op=batch", &[], commands.as_bytes());
    let replies = replies.is(200).text();
    assert!(
        replies.contains("line 2: the value would be larger than 10 bytes"),
        "{replies}"
    );
    kv.holds("k", "1234567890");
    kv.holds("b", "1234567890");
}

#[test]
fn who_is_refused_before_a_long_body_was_read_is_told_that_the_connection_ends() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let mut client = server.connect();
    let headers = ["If-None-Match: *", "Expect: 100-continue"];
    client.begin("PUT /v1/default/k", &headers, 3).unwrap();
    let answer = client.answer(false).unwrap().is(412);
    assert_eq!(answer.header("Connection"), Some("close"));
    // A short one ends nothing.
    let mut client = server.connect();
    let answer = client
        .ask("PUT /v1/default/k", &headers[..1], b"new")
        .is(412);
    assert_eq!(answer.header("Connection"), None);
    client.begin("GET /v1/default/k", &[], 0).unwrap();
    client.answer(false).unwrap().is(200).holds("v");
}

#[test]
fn a_request_whose_body_or_key_is_cut_by_http_itself_is_refused() {
    let kv = Sandbox::new();
    kv.put("a", "keep");
    let server = Server::of(&kv, &[]);
    // A fragment, also where the line comes in two parts, and behind another request.
    for (first, rest) in [("PUT /v1/default/a#1", ""), ("\r\nPUT /v1/default/", "a#1")] {
        let mut client = server.connect();
        client
            .ask("GET /v1/default/a?op=get", &[], b"")
            .refuses(400, Exit::Usage);
        client.ask("PUT /v1/default/other", &[], b"a#b\n").done();
        client.send(first.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let host = server.address();
        let rest = format!("{rest} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\nx");
        client.send(rest.as_bytes()).unwrap();
        client.answer(false).unwrap().is(400);
    }
    // What is a body stays as it is, also behind a request that was sent ahead.
    let mut client = server.connect();
    let host = server.address();
    let body = "PUT /v1/default/a#1 HTTP/1.1\n#\n";
    let ahead = format!(
        "GET /v1/default/a HTTP/1.1\r\nHost: {host}\r\n\r\n\
         PUT /v1/default/ahead HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(ahead.as_bytes()).unwrap();
    client.answer(false).unwrap().is(200);
    std::thread::sleep(std::time::Duration::from_millis(50));
    client.send(body.as_bytes()).unwrap();
    client.answer(false).unwrap().is(201);
    kv.holds("ahead", body.as_bytes());
    for request in [
        "PUT /v1/default/a",
        "POST /v1/default/a?op=append",
        "POST /v1/jobs?op=push",
        "POST /v1/default?op=import",
        "POST /v1/default?op=batch",
    ] {
        for version in ["1.0", "1.1"] {
            let mut client = server.connect();
            let host = server.address();
            let text = format!("{request} HTTP/{version}\r\nHost: {host}\r\n\r\nxyz");
            client.send(text.as_bytes()).unwrap();
            client.answer(false).unwrap().refuses(411, Exit::Usage);
        }
    }
    kv.holds("a", b"keep");
    kv.holds("other", b"a#b\n");
    assert_eq!(kv.run(["items", "jobs"]).stdout_text(), "");
}
