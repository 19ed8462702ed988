//! Entries as JSON: one object a line, as `ls --json` and `export` write them.

use kv::store::Meta;
use kv::wire::json::*;

use kv::store::{Deadline, Etag, Time};

#[test]
fn an_object_is_what_the_module_shows() {
    let meta = Meta {
        etag: Etag(10),
        modified: Time(0),
        expires: None,
        size: 2,
    };
    let mut out = Vec::new();
    begin(&mut out, b"a\"b\n").unwrap();
    value(&mut out, b"\xff\x00").unwrap();
    end(&mut out, &meta).unwrap();
    let want = "{\"key\":\"a\\\"b\\n\",\"value_base64\":\"/wA=\",\"size\":2,\
                \"modified\":\"1970-01-01T00:00:00.000000000Z\",\"expires\":null,\
                \"etag\":\"000000000000000a\"}\n";
    assert_eq!(String::from_utf8(out).unwrap(), want);

    let meta = Meta {
        expires: Deadline::from_millis(1),
        ..meta
    };
    let mut out = Vec::new();
    end(&mut out, &meta).unwrap();
    let out = String::from_utf8(out).unwrap();
    let want = "\"expires\":\"1970-01-01T00:00:00.001Z\",";
    assert!(out.contains(want), "{out}");
}

#[test]
fn words_are_strings_or_bytes() {
    let words = read_words(br#"["put", "k\n", {"base64": "/wA="}]"#);
    assert_eq!(
        words,
        Ok(vec![b"put".to_vec(), b"k\n".to_vec(), b"\xff\0".to_vec()])
    );
    for bad in [
        "",
        "{}",
        "[1]",
        "[[]]",
        r#"["a""#,
        r#"[{"base64":"?"}]"#,
        r#"["a"] x"#,
    ] {
        assert!(read_words(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn parts_make_the_same_value_as_the_whole() {
    for bytes in ["héllo \"w\n€rld".as_bytes(), b"\xff\x00\x01abcdefg"] {
        let mut whole = Vec::new();
        value(&mut whole, bytes).unwrap();
        for size in 1..bytes.len() {
            let mut out = Vec::new();
            let is_text = std::str::from_utf8(bytes).is_ok();
            let mut writer = ValueWriter::begin(&mut out, is_text).unwrap();
            for part in bytes.chunks(size) {
                writer.part(&mut out, part).unwrap();
            }
            writer.end(&mut out).unwrap();
            assert_eq!(out, whole, "in parts of {size}");
        }
    }
}
