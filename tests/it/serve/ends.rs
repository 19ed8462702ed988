//! How connections end: half-closed, cut, refused in the middle of a body; and a store that goes away.

use std::fs;
use std::io::BufRead as _;
use std::thread;

use kv::exit::Exit;

use super::bytes;
use super::client::Server;
use crate::harness::{Sandbox, until};

#[test]
fn who_sends_no_more_is_answered_still() {
    const ALL: usize = 200;
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for n in 0..ALL {
        kv_push(&server, n);
    }
    let mut got: Vec<usize> = thread::scope(|scope| {
        let pops = (0..ALL).map(|n| {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                let wait = if n % 2 == 0 { "" } else { "&wait=30s" };
                client
                    .begin(&format!("POST /v1/jobs?op=pop{wait}"), &[], 0)
                    .unwrap();
                client.end();
                let popped = client.answer(false).expect("an answer").is(200);
                popped.text().parse().unwrap()
            })
        });
        let pops: Vec<_> = pops.collect();
        pops.into_iter().map(|pop| pop.join().unwrap()).collect()
    });
    got.sort_unstable();
    assert_eq!(got, (0..ALL).collect::<Vec<_>>());
    // It may be gone too: nothing that comes later is taken for it.
    let mut client = server.connect();
    client
        .begin("POST /v1/jobs?op=pop&wait=60s", &[], 0)
        .unwrap();
    client.end();
    client.answer(false).unwrap().refuses(404, Exit::No);
    for request in [
        "GET /v1/default",
        "PUT /v1/default/k",
        "POST /v1/default/n?op=incr",
    ] {
        let mut client = server.connect();
        client.begin(request, &[], 0).unwrap();
        client.end();
        assert!(client.answer(false).unwrap().code < 300, "{request}");
    }
}

fn kv_push(server: &Server, n: usize) {
    let element = n.to_string();
    server
        .ask("POST /v1/jobs?op=push", &[], element.as_bytes())
        .is(204);
}

#[test]
fn clients_that_are_cut_off_lose_nothing_that_was_acknowledged() {
    const ALL: usize = 300;
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--sync", "off"]);
    let value = bytes(100_000);
    let acknowledged: Vec<usize> = thread::scope(|scope| {
        let puts: Vec<_> = (0..ALL)
            .map(|n| {
                let (server, value) = (&server, &value);
                scope.spawn(move || {
                    let mut client = server.connect();
                    let request = format!("PUT /v1/default/k{n}");
                    client.begin(&request, &[], value.len()).unwrap();
                    match n % 3 {
                        // In the middle of a body.
                        0 => {
                            client.send(&value[..50_000 + n]).unwrap();
                            client.end();
                            drop(client.answer(false));
                            None
                        }
                        1 => {
                            client.send(&value[..n]).unwrap();
                            None
                        }
                        // Behind it.
                        _ => {
                            client.send(value).unwrap();
                            client.end();
                            client.answer(false).expect("an answer").is(201);
                            Some(n)
                        }
                    }
                })
            })
            .collect();
        let acknowledged = puts.into_iter().filter_map(|put| put.join().unwrap());
        acknowledged.collect()
    });
    assert_eq!(acknowledged.len(), ALL / 3);
    for n in 0..ALL {
        let got = server.ask(&format!("GET /v1/default/k{n}"), &[], b"");
        match n % 3 {
            2 => drop(got.is(200).holds(&value)),
            _ => drop(got.refuses(404, Exit::No)),
        }
    }
    if kv.is_directory() {
        until("drafts are cleared away", || kv.litter().is_empty());
    }
}

#[test]
fn a_refusal_reaches_who_is_sending_still() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--max-value", "1M"]);
    let large = bytes(8 << 20);
    for (request, headers, code) in [
        ("PUT /v1/default/k", &[][..], 413),
        ("PUT /v1/default/k", &["Host: evil.example"], 403),
        ("PUT /v1/default/k", &["If-Match: *"], 412),
        ("PUT /v1/default/k", &["KV-TTL: soon"], 400),
        ("POST /v1/default/k?op=append", &[], 413),
    ] {
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let len = if code == 412 { 1 << 20 } else { large.len() };
                    let mut client = server.connect();
                    client.begin(request, headers, len).unwrap();
                    // Nobody looks for the answer before all is sent.
                    client.send(&large[..len]).unwrap();
                    let answer = client.answer(false).expect("an answer");
                    assert_eq!(answer.code, code, "{request} {headers:?}");
                });
            }
        });
    }
    kv.lacks("k");
}

#[test]
fn a_store_that_was_taken_away_is_not_taken_for_an_empty_one() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let (there, away) = (kv.store(), kv.path("away"));
    fs::rename(&there, &away).unwrap();
    for request in [
        "GET /v1/default/k",
        "PUT /v1/default/k",
        "DELETE /v1/default/k",
        "GET /v1/default",
        "GET /v1",
        "POST /v1/default/k?op=incr",
        "POST /v1/jobs?op=push",
        "POST /v1/jobs?op=pop",
        "GET /healthz",
    ] {
        server.ask(request, &[], b"").refuses(503, Exit::Failure);
    }
    assert!(!there.exists());
    fs::rename(&away, &there).unwrap();
    server.ask("GET /healthz", &[], b"").is(200);
    server.ask("GET /v1/default/k", &[], b"").is(200).holds("v");
    server.ask("PUT /v1/default/k", &[], b"w").is(204);
}

#[test]
fn what_a_client_is_told_names_no_place_of_the_store() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    fs::write(kv.file_of(b"k"), "nonsense").unwrap();
    let server = Server::of(&kv, &[]);
    let told = server
        .ask("GET /v1/default/k", &[], b"")
        .refuses(500, Exit::Damaged);
    let listed = server.ask("GET /v1/default?values=1", &[], b"");
    let batch = server.ask("POST /v1/default?op=batch", &[], b"get k\n");
    let place = kv.root().to_str().unwrap();
    for text in [told.text(), listed.text(), batch.text()] {
        assert!(
            text.contains("is damaged") && !text.contains(place),
            "{text}"
        );
    }
    assert!(server.stop().contains(place));
}

#[test]
fn who_asks_before_a_body_is_sent_is_told_that_its_condition_fails() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    kv.put("k", "1");
    let other = "If-Match: \"0000000000000001\"";
    for condition in ["If-None-Match: *", other] {
        let mut client = server.connect();
        let headers = [condition, "Expect: 100-continue"];
        client.begin("PUT /v1/default/k", &headers, 1).unwrap();
        let mut line = String::new();
        client.stream().read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 412 "), "{condition}: {line}");
    }
    let mut client = server.connect();
    let headers = ["If-Match: *", "Expect: 100-continue"];
    client.begin("PUT /v1/default/k", &headers, 1).unwrap();
    let mut line = String::new();
    client.stream().read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100 "), "{line}");
    client.stream().read_line(&mut line).unwrap();
    client.send(b"2").unwrap();
    client.answer(false).unwrap().is(204);
    kv.holds("k", "2");
}
