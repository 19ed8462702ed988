//! What only many processes, many keys or a large value show, on one server and on a cluster. What every
//! command does is shown by [`crate::contract`].

use std::process::Command;
use std::thread;

use kv::exit::Exit;

use super::servers::{Server, cluster, server};
use crate::harness::{Ran, Sandbox};

/// A sandbox whose commands find a store on a server.
pub struct On {
    pub kv: Sandbox,
    pub store: String,
}

impl On {
    pub fn new(store: String) -> Self {
        Self {
            kv: Sandbox::new(),
            store,
        }
    }

    /// Returns the same store, found by another port of this machine.
    pub fn by(&self, port: u16, other: u16) -> Self {
        let [from, to] = [port, other].map(|port| format!(":{port}?"));
        Self::new(self.store.replace(&from, &to))
    }

    /// Returns what the names of the store's keys begin with, in braces.
    pub fn prefix(&self) -> &str {
        self.store.split_once("prefix=").unwrap().1
    }

    /// Returns what the names begin with of all that the store keeps of a key of the namespace that is
    /// used unless another is named.
    pub fn tag(&self, key: &str) -> String {
        let bucket = xxhash_rust::xxh3::xxh3_64(key.as_bytes()) & 0x3f;
        format!("{{{}:default:{bucket:02x}}}", self.prefix())
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.kv.kv(args);
        command.env("KV_STORE", &self.store);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Runs a command that waits for its server so long at most.
    pub fn run_within(&self, time: &str, args: &[&str]) -> Ran {
        Ran::of(self.command(args).env("KV_BUSY_TIMEOUT", time))
    }

    pub fn feed(&self, args: &[&str], input: &[u8]) -> Ran {
        Ran::fed(&mut self.command(args), input)
    }

    #[track_caller]
    pub fn put(&self, key: &str, value: &str) {
        self.run(&["put", "--", key, value])
            .ends(Exit::Success)
            .is_silent();
    }

    #[track_caller]
    pub fn holds(&self, key: &str, value: impl AsRef<[u8]>) {
        self.run(&["get", "--", key])
            .ends(Exit::Success)
            .prints(value);
    }
}

/// Returns a store of its own on each kind of server that there can be here, with one of its servers.
pub fn each() -> impl Iterator<Item = (&'static Server, On)> {
    let single = server().map(|server| (server, server.store()));
    let cluster = cluster().map(|cluster| (&cluster.nodes[0], cluster.store()));
    let all = single.into_iter().chain(cluster);
    all.map(|(server, store)| (server, On::new(store)))
}

#[test]
fn each_increment_counts_once() {
    for (_, on) in each() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        on.run(&["incr", "n"]).ends(Exit::Success);
                    }
                });
            }
        });
        on.holds("n", "40");
    }
}

#[test]
fn a_listing_of_many_keys_is_in_the_order_of_bytes() {
    for (_, on) in each() {
        let mut keys: Vec<String> = (0..700).map(|n| format!("k{n}")).collect();
        let lines: String = keys.iter().map(|key| format!("{key}\t{key}\n")).collect();
        on.feed(&["import", "--tsv"], lines.as_bytes())
            .ends(Exit::Success);
        keys.sort();
        let lines =
            |keys: &[String]| -> String { keys.iter().map(|key| format!("{key}\n")).collect() };
        on.run(&["ls"]).ends(Exit::Success).prints(lines(&keys));
        keys.reverse();
        on.run(&["ls", "--reverse", "--limit", "300"])
            .ends(Exit::Success)
            .prints(lines(&keys[..300]));
        on.run(&["rm", "--glob", "k*"]).ends(Exit::Success);
        on.run(&["ls"]).ends(Exit::Success).is_silent();
    }
}

#[test]
fn a_value_that_is_too_large_is_refused_before_it_is_sent() {
    for (_, on) in each() {
        let most = vec![b'x'; 8 << 20];
        on.feed(&["put", "k"], &most)
            .ends(Exit::Success)
            .is_silent();
        let more = vec![b'y'; (8 << 20) + 1];
        on.feed(&["put", "k"], &more)
            .ends(Exit::Failure)
            .complains(&["`k`", "8 MiB"]);
        on.feed(&["put", "k", "--file", "/dev/zero"], b"")
            .ends(Exit::Failure)
            .complains(&["8 MiB"]);
        on.feed(&["append", "k"], b"y")
            .ends(Exit::Failure)
            .complains(&["8 MiB"]);
        on.holds("k", &most);
        on.run(&["ls", "--values"]).ends(Exit::Success);
    }
}
