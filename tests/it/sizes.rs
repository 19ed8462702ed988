//! Values of any size, in and out, in constant memory.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::files::pattern;
use crate::harness::{Sandbox, cannot_run, tell_count};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Cuts a length into odd pieces, of a byte up to some 100 KiB.
fn odd_pieces(len: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut at, mut size) = (0, 1);
    std::iter::from_fn(move || {
        let piece = size.min(len - at);
        let start = at;
        at += piece;
        size = size * 3 % 99_991 + 1;
        (piece > 0).then_some((start, piece))
    })
}

#[test]
fn values_of_all_sizes_come_back_as_they_were() {
    let kv = Sandbox::new();
    let edges = [64 * KIB, 256 * KIB].map(|edge| [edge - 1, edge, edge + 1]);
    for size in edges.concat().into_iter().chain([0, 1, 8 * MIB + 3]) {
        let value = pattern(0, size);
        kv.feed(["put", "fed"], &value)
            .ends(Exit::Success)
            .is_silent();
        kv.run(["get", "fed"]).ends(Exit::Success).prints(&value);

        fs::write(kv.path("value"), &value).unwrap();
        kv.run(["put", "read", "--file", "value"])
            .ends(Exit::Success);
        kv.run(["get", "read"]).ends(Exit::Success).prints(&value);

        put_slowly(&kv, "slow", size);
        kv.run(["get", "slow"]).ends(Exit::Success).prints(&value);
        let text = format!("{size}\n");
        kv.run(["stat", "slow", "--field", "size"]).prints(text);

        // A condition about the value looks at all of it.
        if size <= 64 * KIB + 1 {
            let wanted = vec!["x"; size].concat();
            kv.feed(["put", "text"], wanted.as_bytes())
                .ends(Exit::Success);
            let other = format!("{}y", wanted.get(1..).unwrap_or(""));
            let swap = |wanted: &str| kv.run(["put", "text", "new", "--if-value", wanted]);
            swap(&other).ends(Exit::No).is_silent();
            swap(&wanted).ends(Exit::Success).is_silent();
        }
        kv.run(["get", "fed", "--remove"])
            .ends(Exit::Success)
            .prints(&value);
        kv.run(["has", "fed"]).ends(Exit::No);
    }
    assert_eq!(kv.litter(), [""; 0]);
}

/// Stores `size` bytes that come through a pipe in odd pieces, with pauses between the first.
fn put_slowly(kv: &Sandbox, key: &str, size: usize) {
    let mut command = kv.kv(["put", key, "--sync", "off"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for (n, (start, len)) in odd_pieces(size).enumerate() {
        stdin.write_all(&pattern(start, len)).unwrap();
        if n < 12 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Returns the most memory that a running process has had resident so far, in KiB.
fn peak_memory(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_large_value_takes_little_memory() {
    let full = env::var_os("KV_TEST_FULL").is_some();
    let size = if full { 4096 * MIB } else { 1024 * MIB };
    let kv = Sandbox::new();
    let block = pattern(0, MIB);

    let mut command = kv.kv(["put", "large", "--sync", "off"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 0..size / MIB {
        // Each block is another one, so that a block out of place is seen.
        stdin.write_all(&n.to_le_bytes()).unwrap();
        stdin.write_all(&block[8..]).unwrap();
    }
    let put_peak = peak_memory(&child);
    drop(stdin);
    assert!(child.wait().unwrap().success());

    let mut command = kv.kv(["get", "large"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut got = vec![0; MIB];
    let mut get_peak = None;
    for n in 0..size / MIB {
        if n == size / MIB - 1 {
            // It still has a block to write, and so is still there.
            get_peak = peak_memory(&child);
        }
        stdout.read_exact(&mut got).unwrap();
        assert!(
            got[..8] == n.to_le_bytes() && got[8..] == block[8..],
            "block {n}"
        );
    }
    assert_eq!(stdout.read(&mut got).unwrap(), 0);
    assert!(child.wait().unwrap().success());

    let (Some(put_peak), Some(get_peak)) = (put_peak, get_peak) else {
        return cannot_run("there is no /proc that tells how much memory a process has had");
    };
    tell_count(&format!(
        "{} MiB, put in {put_peak} KiB of memory, got in {get_peak} KiB",
        size / MIB
    ));
    assert!(
        put_peak < 16 * KIB && get_peak < 16 * KIB,
        "{put_peak}, {get_peak}"
    );
}
