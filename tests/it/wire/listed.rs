//! Listings in each of their forms.

use kv::store::{Etag, Meta};
use kv::wire::listed::*;

use kv::store::{Deadline, Time};
use kv::wire::http::answer;
use kv::wire::json;

#[test]
fn what_is_written_is_read_back() {
    for (key, value) in [
        (&b"a\"\\\n"[..], None),
        (b"\xff", Some(&b""[..])),
        ("ä".as_bytes(), Some(b"\0\xff")),
    ] {
        for expires in [None, Deadline::from_millis(1_500)] {
            let meta = Meta {
                etag: Etag(7),
                modified: Time(1_732_158_611_000_000_001),
                expires,
                size: 2,
            };
            let mut line = Vec::new();
            json::begin(&mut line, key).unwrap();
            if let Some(value) = value {
                json::value(&mut line, value).unwrap();
            }
            json::end(&mut line, &meta).unwrap();
            let want = Listed {
                key: key.to_vec(),
                meta,
                value: value.map(<[u8]>::to_vec),
            };
            assert_eq!(read(&line), Ok(want));
        }
    }
}

#[test]
fn other_lines_are_told_apart() {
    let cursor = answer::Cursor {
        cursor: "YQ".into(),
    };
    assert_eq!(read_line(&answer::line(&cursor)), Ok(Line::Cursor));
    let end = answer::line(&answer::Ended { end: 7 });
    assert_eq!(read_line(&end), Ok(Line::End(7)));
    let (status, error) = (4, "x".to_owned());
    let told = answer::Refused {
        status,
        error: error.clone(),
    };
    let refusal = Line::Refusal { status, error };
    assert_eq!(read_line(&answer::line(&told)), Ok(refusal));
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"key":"a"}"#,
        r#"{"key":"a","key_base64":"YQ=="}"#,
    ] {
        assert!(read_line(bad.as_bytes()).is_err(), "{bad}");
    }
}
