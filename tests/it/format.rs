//! What kv-format(5) promises to whoever reads a store without kv.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, cannot_run, has_program, path_with_kv};
use crate::manpage::source::{fields, named_code};

/// Keys with each kind of byte that the encoding of a key knows, and how each is written.
const KEYS: &[(&[u8], &[u8])] = &[
    (b"color", b"color"),
    (b" a key ", b" a key "),
    (b"-n", b"-n"),
    (b"%s\\n", b"%25s\\n"),
    (b"a\tb\nc\n", b"a%09b%0Ac%0A"),
    (b"\x01\x1f\x7f", b"%01%1F%7F"),
    ("naïve/日本".as_bytes(), "naïve/日本".as_bytes()),
    (b"\xff\xc3(\xed\xa0\x80", b"%FF%C3(%ED%A0%80"),
    (b"*?[a-z]$HOME`'\"", b"*?[a-z]$HOME`'\""),
];

#[test]
fn sha1sum_sed_and_tail_alone_read_a_store() {
    let kv = Sandbox::new();
    for (number, (key, _)) in KEYS.iter().enumerate() {
        kv.feed([os("put"), os("--"), bytes(key)], &value(number))
            .ends(Exit::Success)
            .is_silent();
    }
    let mut lines: Vec<&[u8]> = KEYS.iter().map(|(_, line)| *line).collect();
    lines.sort_unstable();

    for shell in ["dash", "bash", "sh"] {
        if !has_program(shell) {
            cannot_run(&format!("{shell} is missing"));
            continue;
        }
        for (number, (key, _)) in KEYS.iter().enumerate() {
            read(&kv, shell, "kv_value \"$1\" \"$2\"", key)
                .ends(Exit::Success)
                .prints(value(number))
                .warns("");
        }
        let found = read(&kv, shell, "kv_keys \"$1\"", b"").ends(Exit::Success);
        let mut found: Vec<&[u8]> = found.stdout().split_inclusive(|&b| b == b'\n').collect();
        found.sort_unstable();
        let found: Vec<_> = found.iter().map(|line| &line[..line.len() - 1]).collect();
        assert_eq!(found, lines, "{shell}");
    }
}

#[test]
fn the_shell_reader_knows_absent_removed_and_expired_keys() {
    let kv = Sandbox::new();
    kv.run(["put", "soon", "x", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let expires = field(&first_line(&kv, b"soon"), "expires").to_owned();
    let before: u64 = expires.parse::<u64>().unwrap() - 1;

    read(&kv, "sh", "kv_value \"$1\" \"$2\"", b"nosuch")
        .ends(Exit::No)
        .is_silent();
    for (now, exit) in [(before.to_string(), Exit::Success), (expires, Exit::No)] {
        let script = format!("kv_value \"$1\" \"$2\" {now}");
        read(&kv, "sh", &script, b"soon").ends(exit).warns("");
    }
}

#[test]
fn fields_stand_where_the_page_says() {
    let kv = Sandbox::new();
    kv.run(["put", "color", "green", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let line = first_line(&kv, b"color");
    assert_eq!(line.len(), 119, "{line}");

    let mut end = 0;
    for row in fields("LOOSE ENTRIES") {
        let [name, at, width, form, _] = &row[..] else {
            panic!("a row of another length: {row:?}");
        };
        let (at, width): (usize, usize) = (at.parse().unwrap(), width.parse().unwrap());
        let text = field(&line, name);
        let fits = |b: u8| match &form[..] {
            "hex" => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
            "decimal" => b.is_ascii_digit(),
            _ => true,
        };
        assert!(
            text.len() == width && text.bytes().all(fits),
            "{name}: {text}"
        );
        assert!(
            at == 0 || (at == end + 1 && line.as_bytes()[end] == b' '),
            "{name}"
        );
        end = at + width;
    }
    assert_eq!(end, line.len());
    assert_eq!(
        (field(&line, "key length"), field(&line, "flags")),
        ("00005", "00")
    );
    let etag = field(&line, "etag");
    kv.run(["stat", "color", "--field", "etag"])
        .ends(Exit::Success)
        .prints(format!("{etag}\n"));
}

#[test]
fn xxhsum_computes_the_same_checksums() {
    if !has_program("xxhsum") {
        return cannot_run("xxhsum is missing: apt-get install xxhash");
    }
    let kv = Sandbox::new();
    for (number, (key, line_two)) in KEYS.iter().enumerate() {
        kv.feed([os("put"), os("--"), bytes(key)], &value(number))
            .ends(Exit::Success)
            .is_silent();
        let line = first_line(&kv, key);
        assert_eq!(xxhsum(&value(number)), field(&line, "value sum"));
        let header = [&line.as_bytes()[..102], line_two].concat();
        assert_eq!(xxhsum(&header), field(&line, "header sum"));
    }
}

/// The file was written when the format was made, and must be readable for ever.
#[test]
fn an_entry_of_the_first_version_still_opens() {
    let golden = include_bytes!("data/entry-1");
    let kv = Sandbox::new();
    kv.run(["put", "other", "x"])
        .ends(Exit::Success)
        .is_silent();
    let file = kv.file_of(b"100% golden\n");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, golden).unwrap();
    kv.run(["get", "100% golden\n"])
        .ends(Exit::Success)
        .prints(b"\0one\r\ntwo");
    kv.run(["stat", "100% golden\n", "--field", "modified"])
        .ends(Exit::Success)
        .prints("2026-11-21T04:00:00.123456789Z\n");
    kv.run(["ls", "100*", "-0"])
        .ends(Exit::Success)
        .prints("100% golden\n\0");
}

#[test]
fn a_namespace_in_use_can_be_copied() {
    if !has_program("flock") {
        return cannot_run("flock is missing: apt-get install util-linux");
    }
    let kv = Sandbox::new();
    kv.run(["put", "color", "green"])
        .ends(Exit::Success)
        .is_silent();
    let script = "mkdir other; flock store/default/locks/gc cp -a store/default other/default";
    kv.shell("sh", script).ends(Exit::Success).is_silent();
    kv.run(["-s", "other", "get", "color"])
        .ends(Exit::Success)
        .prints("green");
    kv.run(["-s", "other", "put", "color", "red"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["get", "color"]).ends(Exit::Success).prints("green");
}

#[test]
fn a_store_is_private_unless_it_was_made_for_a_group() {
    for umask in ["000", "022", "077"] {
        let private = Sandbox::new();
        private
            .shell("sh", &format!("umask {umask}; kv put --ttl 1h color green"))
            .ends(Exit::Success)
            .is_silent();
        assert_modes(&private.store(), 0o700, 0o600);

        let group = Sandbox::new();
        group
            .shell(
                "sh",
                &format!("mkdir -m 2770 store; umask {umask}; kv put --ttl 1h color green"),
            )
            .ends(Exit::Success)
            .is_silent();
        assert_modes(&group.store(), 0o2770, 0o660);
    }
}

/// Demands these modes of a store and all in it, which includes every kind of file.
fn assert_modes(store: &Path, dirs: u32, files: u32) {
    let mut left = vec![store.to_owned()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let mode = meta.permissions().mode() & 0o7777;
        let want = if meta.is_dir() { dirs } else { files };
        assert_eq!(mode, want, "{}: {mode:o}, not {want:o}", path.display());
        seen += 1;
        if meta.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    // STORE, NAMESPACE, format, five rooms, a shard, its lock, that of gc, two spare files, an entry
    // and a hint.
    assert_eq!(seen, 15, "{}", store.display());
}

/// Values that a careless reader would change.
fn value(number: usize) -> Vec<u8> {
    match number {
        0 => Vec::new(),
        1 => b"\n\n".to_vec(),
        2 => (0..=255).collect(),
        _ => format!("{number} green\nand no newline").into_bytes(),
    }
}

/// Runs a script behind the reader's functions, with DIR as $1, a key as $2, and nothing on its
/// path but the three programs.
fn read(kv: &Sandbox, shell: &str, script: &str, key: &[u8]) -> Ran {
    let tools = kv.path("tools");
    if !tools.exists() {
        fs::create_dir(&tools).unwrap();
        for tool in ["sha1sum", "sed", "tail"] {
            symlink(program(tool), tools.join(tool)).unwrap();
        }
    }
    let mut command = Command::new(program(shell));
    command
        .arg("-euc")
        .arg(named_code("shell-reader") + "\n" + script)
        .arg("reader")
        .arg(kv.space())
        .arg(bytes(key))
        .env_clear()
        .env("PATH", &tools)
        .stdin(Stdio::null());
    Ran::of(&mut command)
}

/// Finds a program on the system's search path.
fn program(name: &str) -> String {
    let path = path_with_kv();
    let mut found = path.split(':').map(|dir| format!("{dir}/{name}"));
    found.find(|file| Path::new(file).is_file()).unwrap()
}

fn first_line(kv: &Sandbox, key: &[u8]) -> String {
    let file = fs::read(kv.file_of(key)).unwrap();
    let end = file.iter().position(|&b| b == b'\n').unwrap();
    String::from_utf8(file[..end].to_vec()).unwrap()
}

/// Cuts a field out of a first line, by the table of the page.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let fields = fields("LOOSE ENTRIES");
    let row = fields.iter().find(|row| row[0] == name).unwrap();
    let (at, width): (usize, usize) = (row[1].parse().unwrap(), row[2].parse().unwrap());
    &line[at..at + width]
}

fn xxhsum(input: &[u8]) -> String {
    let ran = Ran::fed(Command::new("xxhsum").arg("-H3"), input).ends(Exit::Success);
    let text = ran.stdout_text();
    let sum = text.trim_end().rsplit(' ').next().unwrap();
    sum.trim_start_matches("XXH3_").to_owned()
}

fn os(text: &str) -> std::ffi::OsString {
    text.into()
}

fn bytes(text: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStrExt as _;
    std::ffi::OsStr::from_bytes(text).to_owned()
}
