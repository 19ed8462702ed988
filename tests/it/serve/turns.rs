//! Many writers of one key, in one process.

use std::fs::File;
use std::thread::{scope, sleep};
use std::time::Duration;

use super::client::Server;
use crate::harness::{Sandbox, until};

/// Locks the shard of a key, as another process does that is at work there.
fn hold_shard(kv: &Sandbox) -> File {
    let file = kv.file_of(b"k");
    let shard = file.parent().unwrap().file_name().unwrap();
    let lock = kv.space().join("locks").join(shard);
    let lock = File::options().write(true).open(lock).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    lock
}

#[test]
fn who_waits_in_one_namespace_is_in_nobodys_way_in_another() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &["--busy-timeout", "50s"]);
    let lock = hold_shard(&kv);
    scope(|scope| {
        let waiter = scope.spawn(|| server.ask("PUT /v1/default/k", &[], b"new").is(204));
        until("it has a draft", || !kv.litter().is_empty());
        sleep(Duration::from_millis(30));
        server.ask("PUT /v1/other/k", &[], b"other").is(201);
        assert!(!waiter.is_finished());
        assert_eq!(server.ask("GET /v1/default/k", &[], b"").text(), "v");
        fs2::FileExt::unlock(&lock).unwrap();
    });
    kv.holds("k", "new");
}

#[test]
fn writers_of_one_key_are_served_in_the_order_in_which_they_came() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let lock = hold_shard(&kv);
    let writers = 20;
    scope(|scope| {
        for n in 0..writers {
            let server = &server;
            scope.spawn(move || {
                let value = n.to_string();
                server
                    .ask("PUT /v1/default/k", &[], value.as_bytes())
                    .is(204)
            });
            // What is left to do before it stands in the line takes a moment.
            until("it has a draft", || kv.litter().len() > n);
            sleep(Duration::from_millis(30));
        }
        fs2::FileExt::unlock(&lock).unwrap();
    });
    let last = (writers - 1).to_string();
    assert_eq!(server.ask("GET /v1/default/k", &[], b"").text(), last);
}
