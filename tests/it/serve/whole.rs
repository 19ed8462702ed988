//! That an answer is kv's, and whole: what tells it, and what tells that it is not.

use std::fs;

use kv::exit::Exit;

use crate::harness::{Engine, Sandbox};
use crate::serve::client::Server;

/// Asks as HTTP/1.0 does, where a body has no other end than that of the connection.
#[track_caller]
fn ask_once(server: &Server, path: &str) -> (String, String) {
    use std::io::Read as _;
    let mut client = server.connect();
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    client.send(request.as_bytes()).unwrap();
    let mut text = String::new();
    client.stream().read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn every_answer_says_that_it_is_kvs() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    for request in [
        "GET /v1/default/k",
        "HEAD /v1/default/k",
        "GET /v1/default/missing",
        "DELETE /v1/default/missing",
        "PUT /v1/default/k",
        "GET /v1",
        "GET /nowhere",
        "PATCH /v1",
        "GET /healthz",
        "POST /v1/default/k?op=nonsense",
    ] {
        let answer = server.ask(request, &[], b"");
        assert_eq!(answer.header("kv-protocol"), Some("1"), "{request}");
    }
    let forbidden = server.ask("GET /v1", &["Host: elsewhere.example"], b"");
    assert_eq!(forbidden.is(403).header("kv-protocol"), Some("1"));
    server
        .ask("GET /v1/default/k", &["KV-Protocol: 2"], b"")
        .refuses(400, Exit::Usage);
}

#[test]
fn an_end_is_marked_where_that_is_asked_for() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let lines = |path: &str| {
        let text = server.ask(&format!("GET {path}"), &[], b"").is(200).text();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("/v1?end=1"), ["{\"end\":0}"]);
    assert!(lines("/v1").is_empty());
    assert_eq!(lines("/v1/default?end=1"), ["{\"end\":0}"]);
    for key in ["a", "b", "c"] {
        kv.put(key, "v");
    }
    assert_eq!(
        lines("/v1?end=1"),
        ["{\"namespace\":\"default\"}", "{\"end\":1}"]
    );
    let (whole, plain) = (lines("/v1/default?end=1"), lines("/v1/default"));
    assert_eq!(whole[..3], plain);
    assert_eq!(whole[3..], ["{\"end\":3}"]);
    let part = lines("/v1/default?end=1&limit=2");
    assert!(part[2].starts_with("{\"cursor\":"), "{part:?}");
    assert_eq!(part[3..], ["{\"end\":2}"]);
    let batch = |query: &str| {
        let request = format!("POST /v1/default?op=batch{query}");
        server.ask(&request, &[], b"get a\nget x\n").is(200).text()
    };
    assert_eq!(batch(""), "0 1\nv\n1 0\n\n");
    assert_eq!(batch("&end=1"), "0 1\nv\n1 0\n\n{\"end\":2}\n");
}

/// Damage is told in a line, and does not hide what is sound.
#[test]
fn a_listing_with_damage_in_it_has_an_end() {
    let kv = Sandbox::new();
    kv.put("a", "v");
    kv.put("b", "v");
    fs::write(kv.file_of(b"b"), "rubbish").unwrap();
    let server = Server::of(&kv, &[]);
    let plain = server.ask("GET /v1/default", &[], b"").is(200);
    assert!(!plain.is_whole && plain.text().contains("\"status\":4"));
    let marked = server.ask("GET /v1/default?end=1", &[], b"").is(200);
    assert!(marked.is_whole, "{}", marked.text());
    let text = marked.text();
    assert!(
        text.contains("\"status\":4") && text.ends_with("{\"end\":1}\n"),
        "{text}"
    );
}

/// What cannot be listed is no empty listing, not even where nothing but the code tells so.
#[test]
fn a_listing_that_cannot_be_read_is_refused() {
    type Break = fn(&Sandbox);
    let breaks: [(Engine, Break, &[Exit]); 4] = [
        (
            Engine::Tree,
            |kv| {
                fs::rename(kv.space().join("objects"), kv.path("objects")).unwrap();
                fs::write(kv.space().join("objects"), "").unwrap();
            },
            &[Exit::Failure, Exit::Damaged],
        ),
        (
            Engine::Tree,
            |kv| fs::write(kv.space().join("format"), "kv 999\n").unwrap(),
            &[Exit::Damaged],
        ),
        (
            Engine::Tree,
            |kv| fs::write(kv.file_of(b"k"), "rubbish").unwrap(),
            &[Exit::Damaged],
        ),
        (
            Engine::Sqlite,
            |kv| fs::write(kv.store(), "rubbish").unwrap(),
            &[Exit::Failure, Exit::Damaged],
        ),
    ];
    for (engine, break_it, exits) in breaks {
        let kv = Sandbox::on(engine);
        kv.put("k", "v");
        let server = Server::of(&kv, &[]);
        break_it(&kv);
        let (head, body) = ask_once(&server, "/v1/default");
        assert!(!head.starts_with("HTTP/1.0 2"), "{engine:?}: {head} {body}");
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        for args in [&["ls"][..], &["ls", "--count"], &["export"]] {
            let mut command = kv.kv(args);
            command.env("KV_STORE", format!("http://{}", server.address()));
            let output = command.output().unwrap();
            let status = output.status.code().unwrap();
            let fine = exits.iter().any(|exit| i32::from(exit.row().0) == status);
            assert!(fine, "{engine:?} {args:?}: {output:?}");
            assert_eq!(told["status"], status, "{engine:?}: {body}");
            // Where it is an entry that is damaged, the others are listed and counted.
            let is_entry = status == 4 && args.contains(&"--count");
            assert!(output.stdout.is_empty() || is_entry, "{output:?}");
        }
    }
}

/// A request that takes long gives signs of life, and then its answer.
#[test]
fn an_answer_that_takes_long_is_late() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let wait = "POST /v1/default/missing?op=wait&wait=1200ms";
    server.ask(wait, &[], b"").refuses(404, Exit::No);
    let late = server.ask(wait, &["KV-Protocol: 1"], b"").is(200);
    assert_eq!(late.header("kv-late"), Some("1"));
    assert!(late.is_whole);
    let text = late.text();
    assert!(text.starts_with('\n'), "{text}");
    let (head, body) = text.trim_start().split_once('\n').unwrap();
    let head: serde_json::Value = serde_json::from_str(head).unwrap();
    assert_eq!(head["code"], 404);
    let told: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(told["status"], 1);
    // What is at hand is not.
    let get = server
        .ask("GET /v1/default/k", &["KV-Protocol: 1"], b"")
        .is(200);
    assert_eq!(get.holds("v").header("kv-late"), None);
}
