//! 201 and 204: whether a PUT has made an entry or taken the place of one.

use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use super::bytes;
use super::client::Server;
use crate::gc_packs::pack;
use crate::harness::{Engine, Sandbox};

#[test]
fn of_many_who_put_a_key_at_once_one_has_made_it() {
    const KEYS: usize = 8;
    for engine in [
        Engine::Tree,
        Engine::Sqlite,
        Engine::HttpMemory,
        Engine::Http,
        Engine::Redis,
    ] {
        if !engine.is_here() {
            continue;
        }
        let kv = Sandbox::on(engine);
        let server = Server::of(&kv, &["--sync", "off"]);
        for (prefix, size, count) in [("small", 10, 400), ("large", 70_000, 200)] {
            let value = bytes(size);
            let begin = Barrier::new(count);
            let codes: Vec<u16> = thread::scope(|scope| {
                let (server, value, begin) = (&server, &value, &begin);
                let puts: Vec<_> = (0..count)
                    .map(|n| {
                        scope.spawn(move || {
                            let mut client = server.connect();
                            begin.wait();
                            let request = format!("PUT /v1/default/{prefix}{}", n % KEYS);
                            client.ask(&request, &[], value).code
                        })
                    })
                    .collect();
                puts.into_iter().map(|put| put.join().unwrap()).collect()
            });
            let made = codes.iter().filter(|&&code| code == 201).count();
            let replaced = codes.iter().filter(|&&code| code == 204).count();
            assert_eq!(
                (made, replaced),
                (KEYS, count - KEYS),
                "{engine:?}: {prefix}"
            );
        }
    }
}

#[test]
fn what_is_dead_was_not_there_and_what_is_damaged_was() {
    for engine in [Engine::Tree, Engine::Sqlite, Engine::Redis] {
        if !engine.is_here() {
            continue;
        }
        let kv = Sandbox::on(engine);
        let server = Server::of(&kv, &[]);
        for size in [1, 70_000] {
            let put = |headers: &[&str], code| {
                let value = bytes(size);
                server.ask("PUT /v1/default/k", headers, &value).is(code);
            };
            put(&["If-None-Match: *"], 201);
            put(&["KV-Keep-TTL: 1"], 204);
            put(&["If-Match: *", "KV-TTL: 1ms"], 204);
            thread::sleep(Duration::from_millis(20));
            put(&["KV-Keep-TTL: 1"], 201);
            kv.run(["remove", "k"]).ends(Exit::Success);
            put(&["KV-TTL: 1h"], 201);
            kv.run(["remove", "k"]).ends(Exit::Success);
        }
    }
    let kv = Sandbox::new();
    for n in 0..20 {
        kv.put(&format!("k{n}"), "packed");
    }
    pack(&kv);
    let server = Server::of(&kv, &[]);
    let put = |key: &str, size, code| {
        let request = format!("PUT /v1/default/{key}");
        server.ask(&request, &[], &bytes(size)).is(code);
    };
    put("k1", 1, 204);
    put("k2", 70_000, 204);
    kv.run(["remove", "k3"]).ends(Exit::Success);
    put("k3", 1, 201);
    kv.run(["remove", "k4"]).ends(Exit::Success);
    put("k4", 70_000, 201);
    for size in [1, 70_000] {
        fs::write(kv.file_of(b"k1"), "nonsense").unwrap();
        put("k1", size, 204);
    }
}
