//! What tests/fuzz has a fuzzer do for hours, done for a moment: each target over its corpus, and
//! over changes of it that are the same in each run. `KV_TEST_ROUNDS` makes more of them.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use self::targets::TARGETS;

#[path = "targets.rs"]
mod targets;

/// So many changed inputs does each target get.
const ROUNDS: u64 = 4_000;
/// No input is longer.
const LONGEST: usize = 4_500;
/// Tells the process that it is the one with little memory.
const IS_INNER: &str = "KV_TEST_FUZZ";

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap() % below
    }
}

/// Bytes that mean something to one of the formats, or are at the end of a range.
const TELLING: [&[u8]; 12] = [
    b"\n",
    b" ",
    b"%",
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x7f",
    b"9999999999999999999",
    b"\\",
    b"\"",
    b"*",
    b"[",
    b"{\"key\":",
];

fn changed(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[dice.roll(corpus.len())].clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let end = (at + dice.roll(20)).min(bytes.len());
        match dice.roll(7) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            2 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            3 => drop(bytes.splice(at..end, TELLING[dice.roll(TELLING.len())].iter().copied())),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => {
                let other = &corpus[dice.roll(corpus.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[dice.roll(other.len() + 1)..]);
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let files = fs::read_dir(dir.join(name)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn no_bytes_make_a_reader_panic_or_go_on_for_ever() {
    let test = std::thread::current().name().unwrap().to_owned();
    if env::var_os(IS_INNER).is_none() {
        // With little memory and little time.
        let limits = "ulimit -v 1000000; exec timeout -s KILL 1000 \"$0\" \"$@\"";
        let mut inner = Command::new("sh");
        inner.args(["-c", limits]).arg(env::current_exe().unwrap());
        inner.args(["--exact", &test, "--nocapture"]);
        let output = inner.env(IS_INNER, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}", output.status);
        let counts = text.lines().filter_map(|line| line.rsplit_once(": count "));
        let counts: Vec<_> = counts.map(|(_, count)| count).collect();
        assert_eq!(counts.len(), TARGETS.len(), "{text}");
        return tell(&counts.join(", "));
    }
    let said = env::var("KV_TEST_ROUNDS").ok();
    let rounds = said.map_or(ROUNDS, |said| said.parse().unwrap());
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 1, "{name} has no corpus");
        let mut dice = Dice(1);
        let given = corpus.iter().cloned();
        let made = (0..rounds).map(|_| changed(&mut dice, &corpus));
        let mut count = 0;
        for bytes in given.chain(made) {
            let is_read = catch_unwind(|| target(&bytes)).is_ok();
            assert!(is_read, "{name}: {}", bytes.escape_ascii());
            count += 1;
        }
        tell(&format!("count {count} of {name}"));
    }
}

#[test]
fn each_target_has_a_fuzzer() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let cargo = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(cargo.contains(&format!("name = \"{name}\"\n")), "{name}");
        let source = fs::read_to_string(dir.join(format!("fuzz_targets/{name}.rs")));
        assert!(
            source.unwrap().contains(&format!("targets::{name}(")),
            "{name}"
        );
    }
    assert_eq!(cargo.matches("[[bin]]").count(), TARGETS.len());
}

/// Says with the test's name how much it tried, past the test runner, which captures what the macros print.
fn tell(what: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("count: {test}: {what}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}
