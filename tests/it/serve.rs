//! `kv serve`: what it answers.

mod asked;
mod browser;
mod cached;
pub mod client;
mod created;
mod curl;
mod ends;
mod events;
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
use crate::files::{bytes, flip_last};
use crate::harness::{Engine, Sandbox};

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
        .complains(&["its own store", "KV_STORE"]);
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
fn damage_is_never_given_for_a_value() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for size in [10, 1_000_000] {
        server.ask("PUT /v1/default/k", &[], &bytes(size));
        let path = kv.file_of(b"k");
        flip_last(&path);
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
