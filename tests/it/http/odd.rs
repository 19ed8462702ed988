//! Keys that cannot stand in a path, and are the beginning of a body.

use kv::exit::Exit;

use crate::harness::Sandbox;
use crate::serve::client::Server;

/// A key that stands in the body has its value behind it, with all that a put can say.
#[test]
fn an_odd_key_is_put_as_any_other() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let put = "POST /v1/default?op=put&key=4";
    let headers = [
        "If-None-Match: *",
        "KV-Modified: 2001-02-03T04:05:06Z",
        "KV-Expires: 2040-01-02T03:04:05Z",
    ];
    let made = server.ask(put, &headers, b"a//bvalue").is(201);
    kv.holds("a//b", "value");
    assert_eq!(
        kv.field("modified", "a//b"),
        "2001-02-03T04:05:06.000000000Z"
    );
    assert_eq!(kv.field("expires", "a//b"), "2040-01-02T03:04:05.000Z");
    server.ask(put, &headers, b"a//bother").is(412);
    let same = format!("If-Match: {}", made.header("etag").unwrap());
    let same = [&*same, "KV-Keep-TTL: 1"];
    server.ask(put, &same, b"a//b").is(204);
    kv.holds("a//b", "");
    assert_eq!(kv.field("expires", "a//b"), "2040-01-02T03:04:05.000Z");
    let large = [&b"a//b"[..], &vec![b'x'; 300_000]].concat();
    server.ask(put, &[], &large).is(204);
    kv.holds("a//b", &large[4..]);
    for (request, body) in [
        (put, &b"a//"[..]),
        ("POST /v1/default?op=put", b"a//b"),
        ("POST /v1/default?op=put&key=0", b"v"),
        ("POST /v1/default?op=put&key=x", b"v"),
        ("POST /v1/default?op=put&key=70000", b"v"),
    ] {
        server.ask(request, &[], body).refuses(400, Exit::Usage);
    }
}

/// A key that stands in the body is taken in one step, with what is known of it.
#[test]
fn an_odd_key_is_taken_in_one_step() {
    let kv = Sandbox::new();
    kv.put("a//b", "v");
    let server = Server::of(&kv, &[]);
    let get = server
        .ask("POST /v1/default?op=get", &[], b"a//b")
        .is(200)
        .holds("v");
    let take = server
        .ask("POST /v1/default?op=take", &[], b"a//b")
        .is(200)
        .holds("v");
    assert_eq!(get.header("etag"), take.header("etag"));
    assert!(take.header("kv-modified").is_some());
    server
        .ask("POST /v1/default?op=take", &[], b"a//b")
        .refuses(404, Exit::No);
    server
        .ask("POST /v1/default?op=get", &[], b"")
        .refuses(400, Exit::Usage);
}

/// Each verb takes such a key, however long that is, and says the same as of any other.
#[test]
fn every_verb_takes_an_odd_key() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let longest = "\u{fc}".repeat(32_767);
    for key in ["a//b", &longest] {
        let post = |verb: &str, body: &[u8]| {
            let len = key.len();
            let request = format!("POST /v1/default?op={verb}&key={len}");
            server.ask(&request, &[], &[key.as_bytes(), body].concat())
        };
        post("incr&by=41", b"").is(200).holds("41\n");
        post("incr", b"").is(200).holds("42\n");
        post("append", b"0").is(204);
        post("expire&at=2040-01-02T03:04:05Z", b"").is(204);
        post("wait&wait=0", b"").is(204);
        let get = post("get", b"").is(200).holds("420");
        let stat = post("stat", b"").is(200).text();
        let line: serde_json::Value = serde_json::from_str(&stat).unwrap();
        assert_eq!(line["key"], key);
        assert_eq!(line["size"], 3);
        assert_eq!(line["expires"], "2040-01-02T03:04:05.000Z");
        assert_eq!(get.header("kv-modified"), line["modified"].as_str());
        post("put&if_value=420", b"v").is(204);
        post("put&if_value=420", b"w").refuses(412, Exit::No);
        post("remove&if_value=w", b"").refuses(412, Exit::No);
        post("remove&if_value=v", b"").is(204);
        post("wait&gone=1", b"").is(204);
        for verb in ["get", "stat", "take", "remove", "expire&ttl=1h", "wait"] {
            post(verb, b"").refuses(404, Exit::No);
        }
    }
    // A key in a path has the same verbs.
    kv.put("k", "v");
    let stat = server.ask("POST /v1/default/k?op=stat", &[], b"").is(200);
    assert!(stat.text().starts_with("{\"key\":\"k\",\"size\":1,"));
    server
        .ask("POST /v1/default/k?op=get", &[], b"")
        .is(200)
        .holds("v");
}
