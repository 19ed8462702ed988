//! Locks and waits by the hundred: nobody who waits is in the way of what would end the wait, and whoever
//! is gone waits no more.

use std::process::Command;
use std::thread;

use kv::exit::Exit;
use serde_json::{Value, json};

use super::client::{Answer, Client, Server};
use crate::harness::{KV, Sandbox, cannot_run, has_program, until};

/// Asks for something about a lock.
fn begin(client: &mut Client, op: &str, body: &Value) {
    let body = body.to_string();
    let request = format!("POST /v1/default?op={op}");
    client.begin(&request, &[], body.len()).unwrap();
    client.send(body.as_bytes()).unwrap();
}

fn post(server: &Server, op: &str, body: &Value) -> Answer {
    let mut client = server.connect();
    begin(&mut client, op, body);
    client.answer(false).unwrap()
}

fn id(n: usize) -> String {
    format!("{n:016x}")
}

#[test]
fn those_who_wait_for_a_lock_are_in_nobodys_way() {
    const WAITERS: usize = 100;
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    post(&server, "lock", &json!({"id": id(0), "name": "L"})).is(200);
    let waiting: Vec<Client> = (1..=WAITERS)
        .map(|n| {
            let mut client = server.connect();
            begin(
                &mut client,
                "lock",
                &json!({"id": id(n), "name": "L", "wait": "60s"}),
            );
            client
        })
        .collect();
    until("all of them wait", || server.waiting() == WAITERS);
    // None of these has a time to wait in: each would hang until the waits end.
    for n in 0..20 {
        let key = format!("/v1/default/k{n}");
        server.ask(&format!("PUT {key}"), &[], b"v").is(201);
        server.ask(&format!("GET {key}"), &[], b"").is(200);
        server.ask("GET /healthz", &[], b"").is(200);
    }
    // Each gets it when the one before gives it back.
    post(&server, "free", &json!({"id": id(0)})).is(204);
    thread::scope(|scope| {
        for (n, mut client) in waiting.into_iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                client.answer(false).unwrap().is(200);
                post(server, "free", &json!({"id": id(n + 1)})).is(204);
            });
        }
    });
}

#[test]
fn who_is_gone_waits_no_more() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    post(&server, "lock", &json!({"id": id(0), "name": "L"})).is(200);
    let mut gone = Vec::new();
    for n in 1..=64 {
        let mut client = server.connect();
        begin(
            &mut client,
            "lock",
            &json!({"id": id(n), "name": "L", "wait": "60s"}),
        );
        gone.push(client);
        let mut client = server.connect();
        client
            .begin("POST /v1/default/absent?op=wait&wait=60s", &[], 0)
            .unwrap();
        gone.push(client);
    }
    until("all of them wait", || server.waiting() == 128);
    drop(gone);
    until("nobody waits", || server.waiting() == 0);
    post(&server, "free", &json!({"id": id(0)})).is(204);
    post(&server, "lock", &json!({"id": id(200), "name": "L"})).is(200);
}

#[test]
fn an_id_holds_one_lock() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let a = json!({"id": id(1), "name": "A"});
    let token = post(&server, "lock", &a).is(200).text();
    post(&server, "lock", &a).is(200).holds(token);
    for other in [
        json!({"id": id(1), "name": "B"}),
        json!({"id": id(1), "name": "A", "shared": true}),
    ] {
        post(&server, "lock", &other).refuses(409, Exit::Failure);
    }
    let elsewhere = a.to_string();
    server
        .ask("POST /v1/other?op=lock", &[], elsewhere.as_bytes())
        .refuses(409, Exit::Failure);
    post(&server, "lock", &json!({"id": id(2), "name": "A"})).refuses(404, Exit::No);
    post(&server, "lock", &json!({"id": id(2), "name": "B"})).is(200);
    post(&server, "free", &json!({"id": id(1)})).is(204);
    post(
        &server,
        "lock",
        &json!({"id": id(1), "name": "A", "shared": true}),
    )
    .is(200);
}

#[test]
fn locks_have_an_end() {
    if !has_program("bash") {
        return cannot_run("bash, which limits descriptors, is not here");
    }
    let kv = Sandbox::new();
    let mut few = Command::new("bash");
    few.args([
        "-c",
        "ulimit -n 256; exec \"$0\" serve --listen 127.0.0.1:0",
        KV,
    ]);
    few.env_clear().env("KV_STORE", kv.location());
    let server = Server::start(&mut few);
    let mut client = server.connect();
    let codes: Vec<u16> = (0..200)
        .map(|n| {
            begin(
                &mut client,
                "lock",
                &json!({"id": id(n), "name": format!("L{n}")}),
            );
            client.answer(false).unwrap().code
        })
        .collect();
    assert!(codes.contains(&503) && codes[0] == 200, "{codes:?}");
    let more = json!({"id": id(300), "name": "more"});
    begin(&mut client, "lock", &more);
    client.answer(false).unwrap().refuses(503, Exit::Busy);
    // All else is served as ever, and what is given back is there for others.
    client.ask("PUT /v1/default/k", &[], b"v").is(201);
    server.ask("GET /v1/default", &[], b"").is(200);
    for n in 0..200 {
        begin(&mut client, "free", &json!({"id": id(n)}));
        client.answer(false).unwrap().is(204);
    }
    begin(&mut client, "lock", &more);
    client.answer(false).unwrap().is(200);
}

#[test]
fn what_a_client_calls_itself_is_shown_in_one_line() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for bad in ["x".repeat(256), "a\nb".to_owned(), "\u{1b}[31m".to_owned()] {
        let lock = json!({"id": id(1), "name": "A", "host": bad});
        post(&server, "lock", &lock).refuses(400, Exit::Usage);
    }
}

#[test]
fn who_would_wait_for_longer_than_a_request_may_is_told_so() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    post(&server, "lock", &json!({"id": id(0), "name": "L"})).is(200);
    for (wait, is_told) in [("60s", false), ("61s", true)] {
        let lock = json!({"id": id(1), "name": "L", "wait": wait}).to_string();
        for (request, body) in [
            (format!("POST /v1/jobs?op=pop&wait={wait}"), ""),
            (format!("POST /v1/default/k?op=wait&gone=1&wait={wait}"), ""),
            ("POST /v1/default?op=lock".to_owned(), &lock),
        ] {
            let mut client = server.connect();
            client.begin(&request, &[], body.len()).unwrap();
            client.send(body.as_bytes()).unwrap();
            // Whoever sends no more is answered at once.
            client.end();
            let text = client.answer(false).unwrap().refuses(404, Exit::No).text();
            let told = text.contains(": a request waits for 60 s at the most");
            assert_eq!(told, is_told, "{request}: {text}");
        }
    }
}
