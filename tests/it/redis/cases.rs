//! What every command does, on one server and on a cluster.

use std::process::Command;
use std::thread;

use kv::exit::Exit;

use super::servers::{cluster, server};
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

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.kv.kv(args);
        command.env("KV_STORE", &self.store);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
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

/// Runs a case on each kind of store that there can be here.
#[track_caller]
fn on_each(case: fn(&On)) {
    if let Some(server) = server() {
        case(&On::new(server.store()));
    }
    if let Some(cluster) = cluster() {
        case(&On::new(cluster.store()));
    }
}

#[test]
fn a_value_comes_back_as_it_was() {
    on_each(|on| {
        let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for (key, value) in [("a", &b""[..]), ("b\n{x}", b"\0\r\n\xff"), ("c", &all)] {
            on.feed(&["put", key], value)
                .ends(Exit::Success)
                .is_silent();
            on.holds(key, value);
        }
        on.run(&["get", "none"]).ends(Exit::No).is_silent();
        let size = on
            .run(&["stat", "--field", "size", "c"])
            .ends(Exit::Success);
        assert_eq!(size.line(), "100000");
    });
}

#[test]
fn a_condition_decides() {
    on_each(|on| {
        let etag = on
            .run(&["put", "k", "v", "--print-etag"])
            .ends(Exit::Success)
            .line();
        for no in [
            &["put", "k", "w", "--if-absent"][..],
            &["put", "other", "w", "--if-exists"],
            &["put", "k", "w", "--if-value", "x"],
            &["put", "k", "w", "--if-etag", "0123456789abcdef"],
            &["rm", "k", "--if-value", "x"],
        ] {
            on.run(no).ends(Exit::No).is_silent();
        }
        on.holds("k", "v");
        on.run(&["put", "k", "w", "--if-etag", &etag])
            .ends(Exit::Success);
        on.run(&["put", "k", "x", "--if-value", "w"])
            .ends(Exit::Success);
        on.run(&["put", "k", "y", "--if-exists"])
            .ends(Exit::Success);
        on.run(&["rm", "k", "--if-value", "y"])
            .ends(Exit::Success)
            .is_silent();
        on.run(&["put", "k", "z", "--if-absent"])
            .ends(Exit::Success);
        on.run(&["get", "k", "--remove"])
            .ends(Exit::Success)
            .prints("z");
        on.run(&["rm", "k"]).ends(Exit::No).is_silent();
    });
}

#[test]
fn numbers_are_added_exactly() {
    on_each(|on| {
        on.run(&["incr", "n"]).ends(Exit::Success).prints("1\n");
        on.put("n", "9007199254740993");
        on.run(&["incr", "n"])
            .ends(Exit::Success)
            .prints("9007199254740994\n");
        on.put("n", "9223372036854775806");
        on.run(&["incr", "n"])
            .ends(Exit::Success)
            .prints("9223372036854775807\n");
        on.run(&["incr", "n"])
            .ends(Exit::Failure)
            .complains(&["64 bits"]);
        for (text, sum) in [("-5\n", "-6\n"), ("0010", "9\n"), ("-0", "-1\n")] {
            on.put("n", text);
            on.run(&["incr", "n", "--by", "-1"])
                .ends(Exit::Success)
                .prints(sum);
        }
        for text in ["", "x", "+1", "1 ", "1\n\n", "99999999999999999999"] {
            on.put("n", text);
            on.run(&["incr", "n"])
                .ends(Exit::Failure)
                .complains(&["no decimal number"]);
            on.holds("n", text);
        }
        on.run(&["incr", "t", "--ttl", "1h"]).ends(Exit::Success);
        on.run(&["incr", "t"]).ends(Exit::Success).prints("2\n");
        assert_ne!(on.run(&["ttl", "t"]).line(), "never");
    });
}

#[test]
fn each_increment_counts_once() {
    on_each(|on| {
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
    });
}

#[test]
fn an_entry_expires_at_once() {
    on_each(|on| {
        on.run(&["put", "k", "v", "--ttl", "1ms"])
            .ends(Exit::Success);
        on.run(&["put", "l", "v", "--ttl", "1h"])
            .ends(Exit::Success);
        thread::sleep(std::time::Duration::from_millis(2));
        on.run(&["get", "k"]).ends(Exit::No).is_silent();
        on.run(&["ls"]).ends(Exit::Success).prints("l\n");
        on.run(&["expire", "k", "1h"]).ends(Exit::No);
        on.run(&["put", "k", "w", "--if-absent"])
            .ends(Exit::Success);
        on.run(&["ttl", "k"]).ends(Exit::Success).prints("never\n");
        on.run(&["put", "l", "w", "--keep-ttl"]).ends(Exit::Success);
        assert_ne!(on.run(&["ttl", "l"]).line(), "never");
        on.run(&["expire", "l", "never"]).ends(Exit::Success);
        on.run(&["ttl", "l"]).ends(Exit::Success).prints("never\n");
        on.holds("l", "w");
    });
}

#[test]
fn a_listing_is_in_the_order_of_bytes() {
    on_each(|on| {
        let mut keys: Vec<String> = (0..700).map(|n| format!("k{n}")).collect();
        let lines: String = keys.iter().map(|key| format!("{key}\t{key}\n")).collect();
        on.feed(&["import", "--tsv"], lines.as_bytes())
            .ends(Exit::Success);
        keys.sort();
        let all = |keys: &[String]| {
            keys.iter()
                .map(|key| format!("{key}\n"))
                .collect::<String>()
        };
        on.run(&["ls"]).ends(Exit::Success).prints(all(&keys));
        let mut back = keys.clone();
        back.reverse();
        on.run(&["ls", "--reverse", "--limit", "300"])
            .prints(all(&back[..300]));
        on.run(&["ls", "k69?"]).prints(all(&(690..700)
            .map(|n| format!("k{n}"))
            .collect::<Vec<_>>()));
        on.run(&["ls", "--from", "k5", "--to", "k500"])
            .prints("k5\nk50\n");
        on.run(&["ls", "--prefix", "x"]).ends(Exit::No).is_silent();
        on.run(&["ls", "--prefix", "k77", "--values"])
            .ends(Exit::Success)
            .prints("k77\tk77\n");
        on.run(&["rm", "--glob", "k*"]).ends(Exit::Success);
        on.run(&["ls"]).ends(Exit::Success).is_silent();
    });
}

#[test]
fn a_list_gives_each_element_once_and_in_order() {
    on_each(|on| {
        let lines: String = (1..=40).map(|n| format!("{n}\n")).collect();
        on.feed(&["push", "jobs", "--lines"], lines.as_bytes())
            .ends(Exit::Success);
        on.run(&["pop", "jobs", "--last"])
            .ends(Exit::Success)
            .prints("40");
        on.run(&["pop", "jobs"]).ends(Exit::Success).prints("1");
        let taken = std::sync::Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let ran = on.run(&["pop", "jobs"]);
                        match ran.stdout_text().parse::<u32>() {
                            Ok(number) => mine.push(number),
                            Err(_) => {
                                _ = ran.ends(Exit::No).is_silent();
                                break;
                            }
                        }
                    }
                    assert!(mine.is_sorted(), "{mine:?}");
                    taken.lock().unwrap().extend(mine);
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.sort_unstable();
        assert_eq!(taken, (2..40).collect::<Vec<_>>());
    });
}

#[test]
fn an_element_wakes_who_waits() {
    on_each(|on| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| on.run(&["pop", "jobs", "--wait", "60s"]));
            let there = scope.spawn(|| on.run(&["wait", "k", "--timeout", "60s"]));
            thread::sleep(std::time::Duration::from_millis(200));
            on.run(&["push", "jobs", "x"]).ends(Exit::Success);
            on.put("k", "v");
            waiting.join().unwrap().ends(Exit::Success).prints("x");
            there.join().unwrap().ends(Exit::Success).is_silent();
        });
    });
}

#[test]
fn what_is_exported_is_imported_elsewhere() {
    on_each(|on| {
        let tree = Sandbox::new();
        tree.put("k", "v");
        tree.run(["-n", "other", "put", "t", "w", "--ttl", "1h"])
            .ends(Exit::Success);
        for n in 0..5 {
            tree.run(["push", "list", &n.to_string()])
                .ends(Exit::Success);
        }
        let told = tree.run(["export", "--all"]).ends(Exit::Success);
        on.feed(&["import"], told.stdout()).ends(Exit::Success);
        let back = on.run(&["export", "--all"]).ends(Exit::Success);
        let without_etags = |ran: &Ran| {
            let text = ran.stdout_text();
            let line = |line: &str| line.split(",\"etag\"").next().unwrap().to_owned();
            text.lines().map(line).collect::<Vec<_>>()
        };
        assert_eq!(without_etags(&back), without_etags(&told));
        on.run(&["push", "list", "5"]).ends(Exit::Success);
        on.run(&["pop", "list", "--last"])
            .ends(Exit::Success)
            .prints("5");
        on.run(&["pop", "list"]).ends(Exit::Success).prints("0");
        on.run(&["namespaces", "--remove", "list"])
            .ends(Exit::Success);
        on.run(&["namespaces"])
            .ends(Exit::Success)
            .prints("default\nother\n");
        on.feed(&["import", "--if-absent"], told.stdout())
            .ends(Exit::Success);
        on.run(&["items", "list"])
            .ends(Exit::Success)
            .prints("0\n1\n2\n3\n4\n");
    });
}

#[test]
fn a_value_that_is_too_large_is_refused_before_it_is_sent() {
    on_each(|on| {
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
    });
}
