//! Bytes in, bytes out: where values come from, and that nothing happens to them.

use std::fs;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};

/// Values that text tools trip over.
const AWKWARD: [&[u8]; 8] = [
    b"",
    b"\n",
    b"no final newline",
    b"one\n",
    b"two\n\n",
    b"\r\n\t \x1b[31m",
    b"nul\0nul",
    b"\xff\xfe\x80 not UTF-8",
];

#[test]
pub fn an_argument_is_stored_byte_for_byte() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let kv = Sandbox::new();
    for value in AWKWARD.into_iter().filter(|value| !value.contains(&0)) {
        kv.run(
            ["put", "k", "--"]
                .map(OsStr::new)
                .into_iter()
                .chain([OsStr::from_bytes(value)]),
        )
        .ends(Exit::Success)
        .is_silent();
        kv.holds("k", value);
    }
}

#[test]
pub fn what_a_pipe_brings_is_stored_byte_for_byte() {
    let kv = Sandbox::new();
    for value in AWKWARD {
        kv.feed(["put", "k"], value).ends(Exit::Success).is_silent();
        kv.holds("k", value);
        assert_eq!(kv.field("size", "k"), value.len().to_string());
    }
}

#[test]
pub fn a_file_is_stored_byte_for_byte() {
    let kv = Sandbox::new();
    for value in AWKWARD {
        fs::write(kv.path("file"), value).unwrap();
        kv.run(["put", "k", "--file", "file"])
            .ends(Exit::Success)
            .is_silent();
        kv.holds("k", value);
        kv.feed(["put", "k2", "--file", "-"], value)
            .ends(Exit::Success)
            .is_silent();
        kv.holds("k2", value);
    }
}

#[test]
pub fn values_of_every_size_around_a_buffer_come_back() {
    let kv = Sandbox::new();
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(600 * 1024 + 1).collect();
    let edges = [4096, 64 * 1024, 256 * 1024, 512 * 1024];
    for len in edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]) {
        let value = &block[..len];
        kv.feed(["put", "k", "--sync", "off"], value)
            .ends(Exit::Success)
            .is_silent();
        kv.holds("k", value);
        kv.run(["get", "k", "--remove"])
            .ends(Exit::Success)
            .prints(value)
            .warns("");
    }
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn standard_input_that_is_closed_or_null_is_refused() {
    let kv = Sandbox::new();
    for redirect in ["<&-", "</dev/null"] {
        kv.shell("sh", &format!("kv put k {redirect}"))
            .ends(Exit::Usage)
            .prints("")
            .complains(&["standard input is closed or /dev/null", "give VALUE"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn file_dash_takes_standard_input_whatever_it_is() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    kv.shell("sh", "kv put k --file - </dev/null")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", "");
}

#[test]
pub fn the_empty_value_is_stored_when_it_is_asked_for() {
    let kv = Sandbox::new();
    kv.run(["put", "k", ""]).ends(Exit::Success).is_silent();
    kv.holds("k", "");
    kv.feed(["put", "pipe"], b"")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("pipe", "");
}

#[test]
pub fn standard_input_can_be_a_file() {
    let kv = Sandbox::new();
    fs::write(kv.path("file"), "skipped\nrest\n").unwrap();
    kv.shell("sh", "{ read -r _; kv put k; } < file")
        .ends(Exit::Success)
        .is_silent();
    // What the shell read ahead it gives back before it starts a program.
    kv.holds("k", "rest\n");
}

#[test]
pub fn only_a_command_that_needs_it_reads_standard_input() {
    let kv = Sandbox::new();
    let script = "printf 'a\\nb\\nc\\n' | while read -r key; do
        kv put \"$key\" x && kv get \"$key\" && kv has \"$key\" && kv stat --field size \"$key\" &&
        kv expire \"$key\" 1h && kv ttl \"$key\" >/dev/null && kv ls >/dev/null && kv remove \"$key\"
        done";
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints("x1\nx1\nx1\n")
        .warns("");
}

#[test]
pub fn a_file_that_cannot_be_read_is_named_and_nothing_is_stored() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    fs::create_dir(kv.path("directory")).unwrap();
    for (path, why) in [("missing", "No such file"), ("directory", "Is a directory")] {
        kv.run(["put", "k", "--file", path])
            .ends(Exit::Failure)
            .prints("")
            .complains(&[&format!("`{path}`"), why]);
        kv.holds("k", "old");
    }
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn a_value_goes_through_two_stores_unchanged() {
    let kv = Sandbox::new();
    let value: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    kv.feed(["put", "k"], &value)
        .ends(Exit::Success)
        .is_silent();
    kv.shell("sh", "kv get k | kv -n other put k && kv -n other get k")
        .ends(Exit::Success)
        .prints(&value)
        .warns("");
}

#[test]
pub fn nothing_that_is_printed_depends_on_the_locale() {
    let kv = Sandbox::new();
    for key in ["B", "a", "Ä", "z", "_"] {
        kv.put(key, "välue");
    }
    let plain = |args: &[&str]| Ran::of(kv.kv(args).env("LC_ALL", "C"));
    for args in [
        &["ls"][..],
        &["ls", "-l"],
        &["ls", "--json", "--values"],
        &["ls", "[A-Z]"],
        &["ls", "?"],
        &["stat", "Ä"],
        &["get", "a", "--mistyped"],
        &["put", "--file", "missing", "k"],
    ] {
        let wanted = plain(args);
        for locale in ["C.UTF-8", "de_DE.UTF-8", "tr_TR.ISO-8859-9", "nonsense"] {
            let ran = Ran::of(kv.kv(args).env("LC_ALL", locale).env("LANG", locale));
            assert_eq!(ran.stdout(), wanted.stdout(), "{}", ran.report());
            assert_eq!(ran.stderr_text(), wanted.stderr_text());
            assert_eq!(ran.status(), wanted.status());
        }
    }
}
