//! Bytes as they stand in a URL.

use kv::store::percent::*;

#[test]
fn what_is_written_is_read_back() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(decode(encode(&all).as_bytes()), Some(all));
    assert_eq!(encode(b"a-_~9/.%"), "a-_~9%2F%2E%25");
}

#[test]
fn any_byte_can_be_written() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("a+b", b"a+b"),
        ("%2F%2f/..", b"///.."),
        ("%00%ff%25", b"\0\xff%"),
    ] {
        assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text}");
    }
    for bad in ["%", "%4", "a%zz", "%+1", "%%41"] {
        assert_eq!(decode(bad.as_bytes()), None, "{bad}");
    }
}
