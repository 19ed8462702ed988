//! Imports of more than memory should have to hold.

use std::fs;

use kv::exit::Exit;

use super::cases::On;
use super::servers::Server;
use crate::harness::tell_count;

/// The most that an import may take of all kinds of memory, in KiB.
const MOST: usize = 64 * 1024;
const COUNT: usize = 96 * 1024;

/// There is more to import than memory for it, and in no order.
#[test]
fn an_import_takes_little_memory_however_much_comes() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let on = On::new(server.store());
    on.put("key 7", "old");
    on.put("not among them", "old");
    let value = "x".repeat(1024);
    let line = |n: usize| format!("key {}\t{n} {value}\n", n * 65_537 % COUNT);
    let mut lines: String = (0..COUNT).map(line).collect();
    // Of equal keys the last counts, however far the first is.
    lines += "key 7\tlast\n";
    fs::write(on.kv.path("lines"), lines).unwrap();
    for (options, keys) in [("", COUNT + 1), ("--replace", COUNT)] {
        let import = format!("ulimit -v {MOST}; kv import --tsv --sync off {options} < lines");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &import]).current_dir(on.kv.root());
        shell.env("KV_STORE", &on.store);
        shell.env("PATH", crate::harness::path_with_kv());
        crate::harness::Ran::of(&mut shell)
            .ends(Exit::Success)
            .is_silent();
        on.run(&["ls", "--count"])
            .ends(Exit::Success)
            .prints(format!("{keys}\n"));
        on.holds("key 7", "last");
        let of_one = (0..COUNT).find(|n| n * 65_537 % COUNT == 8).unwrap();
        on.holds("key 8", format!("{of_one} {value}"));
    }
    on.run(&["get", "not among them"]).ends(Exit::No);
    tell_count(&format!("{COUNT} entries of 1 KiB in {MOST} KiB of memory"));
}
