//! Tables, and lines that are none.

use kv::store::Incoming;
use kv::wire::tsv::*;

fn read_line(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut decoded = b"what was there before".to_vec();
    let record = read(line, &mut decoded)?;
    let Incoming { key, value, .. } = record.entry(line, &decoded);
    Ok((key.to_vec(), value.to_vec()))
}

fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in bytes {
        match byte {
            b'\t' => escaped.extend(b"\\t"),
            b'\n' => escaped.extend(b"\\n"),
            b'\\' => escaped.extend(b"\\\\"),
            _ => escaped.push(byte),
        }
    }
    escaped
}

#[test]
fn any_bytes_come_back() {
    let all: Vec<u8> = (0..=255).collect();
    let parts: [&[u8]; 8] = [
        b"plain",
        b"a\tb",
        b"a\nb",
        b"\\",
        b"\\t",
        b"\\\\n\t",
        &all[1..],
        b"\xff\xfe",
    ];
    for key in parts {
        for value in parts.into_iter().chain([&b""[..], &all]) {
            let line = [&*escape(key), b"\t", &escape(value)].concat();
            assert!(!line.contains(&b'\n'));
            let read = read_line(&line).unwrap();
            assert_eq!((&*read.0, &*read.1), (key, value));
        }
    }
}

#[test]
fn a_line_without_an_escape_is_not_copied() {
    let mut decoded = Vec::new();
    let record = read(b"key\tvalue", &mut decoded).unwrap();
    assert!(decoded.is_empty());
    let entry = record.entry(b"key\tvalue", &decoded);
    let entry = (entry.key, entry.value);
    assert_eq!(entry, (&b"key"[..], &b"value"[..]));
    let record = read(b"key\tva\\\\lue", &mut decoded).unwrap();
    assert!(decoded == b"keyva\\lue");
    let entry = record.entry(b"key\tva\\\\lue", &decoded);
    let entry = (entry.key, entry.value);
    assert_eq!(entry, (&b"key"[..], &b"va\\lue"[..]));
}

#[test]
fn what_is_wrong_is_told() {
    for (line, why) in [
        ("", "no tab"),
        ("key", "no tab"),
        ("k\\tv", "no tab"),
        ("k\tv\t", "more than one tab"),
        ("k\t\\\\\tv", "more than one tab"),
        ("k\t\\x41", "`\\x` is no escape"),
        ("k\\0\tv", "`\\0` is no escape"),
        ("k\t\\r", "`\\r` is no escape"),
        ("k\t\\", "a single backslash"),
        ("k\\\tv", "a single backslash"),
        ("\tv", "cannot be empty"),
        ("a\0b\tv", "NUL"),
    ] {
        let err = read_line(line.as_bytes()).unwrap_err();
        assert!(err.contains(why), "{line:?}: {err}");
    }
    let long = format!("{}\tv", "k".repeat(65_536));
    assert!(
        read_line(long.as_bytes())
            .unwrap_err()
            .contains("65535 bytes")
    );
}
