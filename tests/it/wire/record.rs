//! Records there and back, and lines that are none.

use kv::store::{Deadline, Incoming, Time};
use kv::wire::record::*;

use kv::store::{Etag, Meta};
use kv::wire::json;

type Read = (Vec<u8>, Vec<u8>, Record);

fn read(line: &[u8]) -> Result<Read, String> {
    let mut decoded = b"what was there before".to_vec();
    let record = read_json(line, &mut decoded)?;
    let Incoming { key, value, .. } = record.entry(line, &decoded);
    Ok((key.to_vec(), value.to_vec(), record))
}

#[test]
fn what_is_written_is_read() {
    let texts = [
        "plain",
        "quote \" \\ \n\t\r \u{8}\u{c} \u{1}\u{7f}",
        "€ \u{1F600}",
        "",
    ];
    let all: Vec<u8> = (0..=255).collect();
    let texts = texts.iter().map(|text| text.as_bytes());
    for value in texts.chain([&all[..], b"\xff"]) {
        for key in [b"k".as_slice(), b"a/\xfe", &all[1..]] {
            for expires in [None, Deadline::from_millis(1_732_158_611_500)] {
                let meta = Meta {
                    etag: Etag(10),
                    modified: Time(1_732_158_611_000_000_001),
                    expires,
                    size: value.len() as u64,
                };
                let mut line = Vec::new();
                json::begin(&mut line, key).unwrap();
                json::member(&mut line, "namespace", "häuser").unwrap();
                json::value(&mut line, value).unwrap();
                json::end(&mut line, &meta).unwrap();
                let (read_key, read_value, record) = read(&line).unwrap();
                assert_eq!((&*read_key, &*read_value), (key, value));
                assert_eq!(record.modified, Some(meta.modified));
                assert_eq!(record.expires, expires);
                assert_eq!(record.namespace, Some("häuser".parse().unwrap()));
            }
        }
    }
}

#[test]
fn only_key_and_value_are_needed() {
    let line = br#" {"value":"\u00e4\ud83d\ude00","more":[{"key":1}],"size":"x","key":"k",
        "etag":7,"modified":null,"expires":null,"namespace":null} "#;
    let (key, value, record) = read(line).unwrap();
    assert_eq!((&*key, &*value), (&b"k"[..], "ä\u{1F600}".as_bytes()));
    assert_eq!(
        (record.modified, record.expires, record.namespace),
        (None, None, None)
    );
}

#[test]
fn what_is_wrong_is_told() {
    for (line, why) in [
        ("", "no JSON object"),
        ("[]", "no JSON object"),
        (r#"["k",null,"v",null,null,null,null]"#, "no JSON object"),
        ("{", "EOF while parsing an object at column 1"),
        (r#"{"key":"k","value":"v"}{}"#, "trailing characters"),
        (r#"{"key":"k","value":"v""#, "EOF"),
        (r#"{"value":"v"}"#, "no `key`"),
        (r#"{"key":"k"}"#, "no `value`"),
        (r#"{"key":"k","value":null}"#, "no `value`"),
        (r#"{"key":"k","value":1}"#, "expected a string"),
        (r#"{"key":"k","key":"l","value":"v"}"#, "duplicate field"),
        (r#"{"key":"k","key_base64":"aw==","value":"v"}"#, "both"),
        (r#"{"key":"k","value":"v","value_base64":""}"#, "both"),
        (r#"{"key":"k","value_base64":"aw"}"#, "not base64"),
        (r#"{"key":"k","value_base64":"?"}"#, "not base64"),
        (r#"{"key":"","value":"v"}"#, "cannot be empty"),
        (r#"{"key":"a\u0000b","value":"v"}"#, "NUL"),
        (r#"{"key_base64":"AA==","value":"v"}"#, "NUL"),
        (r#"{"key":"\ud800","value":"v"}"#, "hex escape"),
        (r#"{"key":"k","value":"\x"}"#, "invalid escape"),
        (
            r#"{"key":"k","value":"v","modified":"yesterday"}"#,
            "`modified`",
        ),
        (r#"{"key":"k","value":"v","expires":"never"}"#, "`expires`"),
        (
            r#"{"key":"k","value":"v","expires":1}"#,
            "expected a string",
        ),
        (r#"{"key":"k","value":"v","namespace":".."}"#, "dot"),
    ] {
        let err = read(line.as_bytes()).unwrap_err();
        assert!(err.contains(why), "{line}: {err}");
    }
    assert!(read(b"{\"key\":\"\xff\",\"value\":\"v\"}").is_err());
    let long = format!("{{\"key\":\"{}\",\"value\":\"v\"}}", "k".repeat(65_536));
    assert!(read(long.as_bytes()).unwrap_err().contains("65535 bytes"));
}

#[test]
fn any_line_is_read_or_refused() {
    let good = br#"{"key":"k","value_base64":"/wA=","modified":"2024-11-21T03:10:11Z"}"#;
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut line = good.to_vec();
            line[at] = byte;
            _ = read(&line);
        }
        _ = read(&good[..at]);
    }
}
