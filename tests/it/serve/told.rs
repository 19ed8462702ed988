//! What a refusal tells, and what it does not.

use std::fs;

use kv::exit::Exit;

use super::client::Server;
use crate::harness::Sandbox;

#[test]
fn what_is_not_understood_is_told_as_that() {
    let kv = Sandbox::new();
    kv.put("k", "value");
    let server = Server::of(&kv, &[]);
    let host = format!("Host: {}", server.address());
    let raw = |text: String| {
        let mut client = server.connect();
        client.send(text.as_bytes()).unwrap();
        let answer = client.answer(false).expect("an answer");
        assert_eq!(answer.header("kv-protocol"), Some("1"));
        answer
    };
    for coding in ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked"] {
        let answer = raw(format!(
            "PUT /v1/default/k HTTP/1.1\r\n{host}\r\nTransfer-Encoding: {coding}\r\n\r\n3\r\nnew\r\n0\r\n\r\n"
        ));
        let code = if coding.contains('\n') { 400 } else { 501 };
        answer.refuses(code, Exit::Usage);
    }
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned();
    raw(preface).refuses(505, Exit::Usage);
    let part = server.ask("GET /v1/default/k", &["Range: bytes=5-"], b"");
    let part = part.refuses(416, Exit::No);
    assert_eq!(part.header("kv-status"), Some("1"));
    assert_eq!(part.header("content-range"), Some("bytes */5"));
    kv.holds("k", "value");

    // Whoever says it wants it to count, in JSON too.
    for field in [
        "If-None-Match: *",
        "If-Match: \"x\"",
        "KV-TTL: 1h",
        "KV-Foo: 1",
    ] {
        let fields = [field, "Content-Type: application/json"];
        let set = server.ask("POST /set", &fields, b"{\"id\":\"k\",\"value\":1}");
        let name = field.split(':').next().unwrap().to_ascii_lowercase();
        assert!(set.refuses(400, Exit::Usage).text().contains(&name));
    }
    for field in ["KV-TTL", "KV-Modified"] {
        let twice = [&*format!("{field}: 1h"), &*format!("{field}: 1h")];
        let put = server.ask("PUT /v1/default/k", &twice, b"new");
        assert!(put.refuses(400, Exit::Usage).text().contains("twice"));
    }
    kv.holds("k", "value");

    let dropped = server.ask("POST /v1/none?op=drop", &[], b"");
    assert!(dropped.refuses(404, Exit::No).text().contains("namespace"));
    // A key that is empty by mistake is no namespace to be changed.
    for op in ["drop", "push", "pop", "import"] {
        let slash = server.ask(&format!("POST /v1/default/?op={op}"), &[], b"");
        assert!(slash.refuses(400, Exit::Usage).text().contains("no key"));
    }
    server.ask("GET /v1/default/", &[], b"").is(200);
    kv.holds("k", "value");

    let long = vec![b'k'; 70_000];
    let key = server.ask("POST /v1/default?op=get", &[], &long);
    assert!(key.refuses(400, Exit::Usage).text().contains("65535"));
    // What turns a text around is shown as what it is.
    server.ask("PUT /v1/default/%E2%80%AEk", &[], b"x").is(201);
    let turned = server.ask("POST /v1/default/%E2%80%AEk?op=incr", &[], b"");
    let told = turned.refuses(409, Exit::Failure).text();
    assert!(told.contains("u{202e}") && told.is_ascii(), "{told}");
}

#[test]
fn a_wrong_token_is_no_missing_one() {
    let kv = Sandbox::new();
    kv.secret("token", "0123456789abcdef\n");
    let server = Server::of(&kv, &["--token-file", "token"]);
    let ask = |headers: &[&str]| server.ask("GET /v1", headers, b"");
    let right = "Authorization: Bearer 0123456789abcdef";
    ask(&[right]).is(200);
    let missing = ask(&[]).refuses(401, Exit::Failure).text();
    let wrong = ask(&["Authorization: Bearer 0123456789abcdee"]);
    let wrong = wrong.refuses(401, Exit::Failure).text();
    assert!(missing.contains("needs the token") && wrong.contains("not that of this service"));
    for both in [[right, right], [right, "Authorization: Bearer x"]] {
        ask(&both).refuses(400, Exit::Usage);
    }
}

#[test]
fn what_is_no_socket_stays_and_is_told() {
    let kv = Sandbox::new();
    fs::write(kv.path("file"), "mine").unwrap();
    fs::create_dir(kv.path("dir")).unwrap();
    std::os::unix::fs::symlink("nowhere", kv.path("link")).unwrap();
    for name in ["file", "dir", "link"] {
        let place = format!("unix:{}", kv.path(name).display());
        kv.run(["serve", "--listen", &*place])
            .ends(Exit::Failure)
            .complains(&["cannot listen", "no socket"]);
        assert!(kv.path(name).symlink_metadata().is_ok());
    }
}
