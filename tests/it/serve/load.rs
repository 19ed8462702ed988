//! Clients that are slow, break off or lie, and a server that is killed or stopped under load.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use super::bytes;
use super::client::{Answer, Client, Server};
use super::memory::peak_mib;
use crate::harness::{Engine, Sandbox, cannot_run, tell_count, until};

#[test]
fn a_body_that_is_too_large_or_cut_off_changes_nothing() {
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        kv.put("k", "old");
        let server = Server::of(&kv, &["--max-value", "1M"]);
        let large = bytes((1 << 20) + 1);
        let mut client = server.connect();
        client.begin("PUT /v1/default/k", &[], large.len()).unwrap();
        client.answer(false).unwrap().refuses(413, Exit::Failure);
        server
            .ask("POST /v1/list?op=push", &[], &large)
            .refuses(413, Exit::Failure);

        let mut client = server.connect();
        let chunked = ["Transfer-Encoding: chunked"];
        let head = format!(
            "PUT /v1/default/k HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n{:x}\r\n",
            server.address(),
            chunked[0],
            large.len()
        );
        client.send(head.as_bytes()).unwrap();
        _ = client.send(&large);
        client.answer(false).unwrap().refuses(413, Exit::Failure);

        for sent in [0, 10, 500_000] {
            let mut client = server.connect();
            client.begin("PUT /v1/default/k", &[], 1 << 20).unwrap();
            client.send(&large[..sent]).unwrap();
            if sent > 10 {
                client.end();
                assert!(client.answer(false).is_none_or(|answer| answer.code == 400));
            }
        }
        server.ask("PUT /v1/default/k2", &[], &large[1..]).is(201);
        kv.holds("k", "old");
        if kv.is_directory() {
            until("drafts are cleared away", || kv.litter().is_empty());
        }
        assert_eq!(server.stop(), "");
    }
}

#[test]
fn a_header_that_lies_or_is_too_large_is_refused() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    let server = Server::of(&kv, &[]);
    let host = format!("Host: {}\r\n", server.address());
    let long = "x".repeat(100_000);
    for head in [
        format!(
            "PUT /v1/default/k HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nnew!"
        ),
        format!("PUT /v1/default/k HTTP/1.1\r\n{host}Content-Length: +3\r\n\r\nnew"),
        format!(
            "PUT /v1/default/k HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\nnew"
        ),
        format!(
            "PUT /v1/default/k HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n3\r\nnew\r\n0\r\n\r\n"
        ),
        format!(
            "PUT /v1/default/k HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nzz\r\nnew\r\n0\r\n\r\n"
        ),
        format!("PUT /v1/default/k HTTP/1.1\r\n{host}X : y\r\nContent-Length: 3\r\n\r\nnew"),
        format!("PUT /v1/default/k\0 HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nnew"),
        format!("PUT /v1/default/k HTTP/1.1\r\n{host}Content-Length: 3\r\nX: {long}\r\n\r\nnew"),
        format!("GET /v1/default/{long} HTTP/1.1\r\n{host}\r\n"),
        format!(
            "GET /v1/default/k HTTP/1.1\r\n{host}{}\r\n",
            "X: y\r\n".repeat(200)
        ),
    ] {
        let mut client = server.connect();
        _ = client.send(head.as_bytes());
        let answer = client.answer(false);
        let shown = &head[..head.len().min(120)];
        let is_refused = |answer: &Answer| (400..500).contains(&answer.code);
        assert!(
            answer.as_ref().is_none_or(is_refused),
            "{shown}: {answer:?}"
        );
        kv.holds("k", "old");
    }
    // Both lengths together: what is chunked counts, and nothing is left over for another request.
    let mut client = server.connect();
    let both = format!(
        "PUT /v1/default/k2 HTTP/1.1\r\n{host}Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\nx\r\n0\r\n\r\nDELETE /v1/default/k HTTP/1.1\r\n{host}\r\n"
    );
    client.send(both.as_bytes()).unwrap();
    assert!(client.answer(false).is_some());
    assert!(
        client.answer(false).is_none(),
        "a second request was smuggled in"
    );
    kv.holds("k", "old");
}

#[test]
fn slow_clients_are_in_nobodys_way() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let large = bytes(4 << 20);
    server.ask("PUT /v1/default/large", &[], &large).is(201);
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut client = server.connect();
        match n % 4 {
            0 => {}
            1 => client
                .send(b"GET /v1/default/k HTTP/1.1\r\nHost: lo")
                .unwrap(),
            2 => client.begin("PUT /v1/default/slow", &[], 100).unwrap(),
            _ => client.begin("GET /v1/default/large", &[], 0).unwrap(),
        }
        slow.push(client);
    }
    for n in 0..50 {
        let key = format!("/v1/default/quick{n}");
        server.ask(&format!("PUT {key}"), &[], b"v").is(201);
        server
            .ask(&format!("GET {key}"), &[], b"")
            .is(200)
            .holds("v");
    }
    // Whoever was slow is served when it goes on.
    let mut last = slow.pop().unwrap();
    last.answer(false).unwrap().is(200).holds(&large);
    kv.lacks("slow");
}

#[test]
fn a_signal_lets_requests_finish_and_ends_waits() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let value = bytes(300_000);
    let mut client = server.connect();
    client.begin("PUT /v1/default/k", &[], value.len()).unwrap();
    client.send(&value[..100_000]).unwrap();
    until("it is received", || !kv.litter().is_empty());
    let mut waiter = server.connect();
    waiter
        .begin("POST /v1/jobs?op=pop&wait=60s", &[], 0)
        .unwrap();
    let mut idle = server.connect();
    idle.ask("GET /healthz", &[], b"").is(200);
    let mut fresh = server.connect();
    until("all are taken in", || {
        let text = server.ask("GET /metrics", &[], b"").text();
        text.contains("\nkv_http_connections 5\n")
    });
    server.signal(Signal::SIGTERM);
    let ended = waiter.answer(false);
    if let Some(ended) = ended {
        ended.refuses(503, Exit::Busy);
    }
    assert!(idle.answer(false).is_none() && fresh.answer(false).is_none());
    until("nobody comes in", || Client::of(server.address()).is_err());
    client.send(&value[100_000..]).unwrap();
    client.answer(false).unwrap().is(201);
    assert_eq!(server.stop(), "");
    kv.run(["get", "k"]).ends(Exit::Success).prints(&value);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    const ROUNDS: usize = 5;
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        let acknowledged = Mutex::new(Vec::new());
        for round in 0..ROUNDS {
            let server = Server::of(&kv, &["--sync", "off"]);
            let address = server.address();
            let is_over = AtomicBool::new(false);
            let before = acknowledged.lock().unwrap().len();
            thread::scope(|scope| {
                for writer in 0..4 {
                    let (acknowledged, is_over) = (&acknowledged, &is_over);
                    scope.spawn(move || {
                        let mut client = Client::of(address).unwrap();
                        for n in 0.. {
                            let key = format!("{round}-{writer}-{n}");
                            let value = key.repeat(1 + n % 7 * 3_000);
                            let request = format!("PUT /v1/default/{key}");
                            let sent = client.begin(&request, &[], value.len());
                            if sent.and_then(|()| client.send(value.as_bytes())).is_err() {
                                break;
                            }
                            match client.answer(false) {
                                Some(answer) => drop(answer.is(201)),
                                None => break,
                            }
                            acknowledged.lock().unwrap().push((key, value));
                            if is_over.load(Ordering::Relaxed) {
                                break;
                            }
                        }
                    });
                }
                until("some were written", || {
                    acknowledged.lock().unwrap().len() > before + 50 + round * 7
                });
                server.signal(Signal::SIGKILL);
                is_over.store(true, Ordering::Relaxed);
            });
        }
        let acknowledged = acknowledged.into_inner().unwrap();
        let server = Server::of(&kv, &[]);
        let mut client = server.connect();
        for (key, value) in &acknowledged {
            let got = client.ask(&format!("GET /v1/default/{key}"), &[], b"");
            got.is(200).holds(value);
        }
        kv.run(["fsck"]).ends(Exit::Success);
        tell_count(&format!(
            "{} acknowledged, {ROUNDS} kills, none lost",
            acknowledged.len()
        ));
    }
}

#[test]
fn a_large_value_takes_little_memory() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--sync", "off"]);
    let value = bytes(96 << 20);
    server.ask("PUT /v1/default/k", &[], &value).is(201);
    let got = server.ask("GET /v1/default/k", &[], b"").is(200);
    assert!(got.is_whole && got.body == value);
    let Some(peak) = peak_mib(&server) else {
        return cannot_run("there is no /proc that tells how much memory a process has had");
    };
    tell_count(&format!("96 MiB put and got in {peak} MiB of memory"));
    assert!(peak < 32, "{peak}");
}

#[test]
fn imports_that_come_at_once_share_memory() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--sync", "off"]);
    let value = "x".repeat(2_000);
    let lines: String = (0..9_000)
        .map(|n| format!("{{\"key\":\"k{n}\",\"value\":\"{value}\"}}\n"))
        .collect();
    let clients: Vec<Client> = thread::scope(|scope| {
        let begun: Vec<_> = (0..14)
            .map(|n| {
                let (server, lines) = (&server, &lines);
                scope.spawn(move || {
                    let mut client = server.connect();
                    let request = format!("POST /v1/n{n}?op=import");
                    client.begin(&request, &[], lines.len() + 1).unwrap();
                    client.send(lines.as_bytes()).unwrap();
                    client
                })
            })
            .collect();
        begun
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    for mut client in clients {
        client.send(b"\n").unwrap();
        client.answer(false).unwrap().is(200);
    }
    let Some(peak) = peak_mib(&server) else {
        return cannot_run("there is no /proc that tells how much memory a process has had");
    };
    tell_count(&format!(
        "14 imports of 18 MB at once in {peak} MiB of memory"
    ));
    assert!(peak < 200, "{peak}");
}

#[test]
fn as_many_as_there_are_places_wait() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let pop = |wait: &str| format!("POST /v1/jobs?op=pop&wait={wait}");
    let waiting: Vec<Client> = (0..128)
        .map(|_| {
            let mut client = server.connect();
            client.begin(&pop("60s"), &[], 0).unwrap();
            client
        })
        .collect();
    until("all of them wait", || {
        let text = server.ask("GET /metrics", &[], b"").text();
        text.contains("\nkv_http_waiting 128\n")
    });
    let refused = server.ask(&pop("60s"), &[], b"");
    let refused = refused.refuses(503, Exit::Busy);
    assert_eq!(refused.header("retry-after"), Some("1"));
    // They are in nobody's way, and each gets one element.
    server.ask("PUT /v1/default/k", &[], b"v").is(201);
    for n in 0..waiting.len() {
        let element = format!("{n}");
        server
            .ask("POST /v1/jobs?op=push", &[], element.as_bytes())
            .is(204);
    }
    let mut got: Vec<usize> = Vec::new();
    for mut client in waiting {
        let answer = client.answer(false).unwrap().is(200);
        got.push(answer.text().parse().unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, (0..128).collect::<Vec<_>>());
}

#[test]
fn files_that_may_not_grow_are_no_space() {
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        kv.put("k", "old");
        let server = Server::of(&kv, &[]);
        crate::process::limit_files(server.pid(), 300_000);
        for size in [500_000, 2_000_000] {
            let full = server.ask("PUT /v1/default/k", &[], &bytes(size));
            let told = full.refuses(507, Exit::Failure).text();
            assert!(!told.contains("tmp") && !told.contains('/'), "{told}");
        }
        kv.holds("k", "old");
        server
            .ask("GET /v1/default/k", &[], b"")
            .is(200)
            .holds("old");
    }
}
