//! Lines of any length.

use kv::store::{Result, Source};
use kv::wire::lines::*;

/// So much is read at a time.
const PART: usize = 256 * 1024;

/// Yields its bytes in parts of a fixed size.
struct Parts<'a>(&'a [u8], usize);

impl Source for Parts<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = self.1.min(buf.len());
        Source::read(&mut self.0, &mut buf[..n])
    }
}

fn lines_of(text: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut source = Parts(text, size);
    let mut lines = Lines::default();
    let mut all = Vec::new();
    while lines.advance(&mut source).unwrap() {
        all.push(lines.line().to_vec());
        assert_eq!(lines.number(), all.len() as u64);
    }
    assert!(!lines.advance(&mut source).unwrap());
    assert_eq!(lines.read(), text.len() as u64);
    all
}

#[test]
fn lines_are_the_same_in_parts_of_any_size() {
    let text = b"one\n\ntwo\n\xff\0\nlast";
    let want: [&[u8]; 5] = [b"one", b"", b"two", b"\xff\0", b"last"];
    for size in 1..=text.len() {
        assert_eq!(lines_of(text, size), want, "{size}");
        assert_eq!(lines_of(&text[..text.len() - 4], size), want[..4], "{size}");
    }
    assert!(lines_of(b"", 1).is_empty());
}

#[test]
fn a_line_that_does_not_end_is_not_gathered() {
    let text = vec![b'x'; 3 * PART];
    let mut lines = Lines::of_at_most(PART);
    let err = lines.advance(&mut Parts(&text, PART)).unwrap_err();
    assert!(err.to_string().contains("line 1"), "{err}");
}

#[test]
fn a_line_may_be_longer_than_the_buffer() {
    for len in [PART - 1, PART, PART + 1, 3 * PART] {
        let long = vec![b'x'; len];
        let text = [b"short\n", &*long, b"\nshort\n", &*long].concat();
        for size in [4_093, PART, 8 * PART] {
            let want: [&[u8]; 4] = [b"short", &long, b"short", &long];
            assert!(lines_of(&text, size) == want, "{len} in parts of {size}");
        }
    }
}
