//! Many writers of one key, in one process.

use std::fs::File;
use std::thread::{scope, sleep};
use std::time::Duration;

use super::client::Server;
use crate::harness::Sandbox;

#[test]
fn writers_of_one_key_are_served_in_the_order_in_which_they_came() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let shard = kv.file_of(b"k");
    let shard = shard.parent().unwrap().file_name().unwrap();
    // Another process at work, which they all have to wait for.
    let lock = File::options()
        .write(true)
        .open(kv.space().join("locks").join(shard))
        .unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
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
            sleep(Duration::from_millis(30));
        }
        fs2::FileExt::unlock(&lock).unwrap();
    });
    let last = (writers - 1).to_string();
    assert_eq!(server.ask("GET /v1/default/k", &[], b"").text(), last);
}
