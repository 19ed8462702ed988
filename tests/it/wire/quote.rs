//! Words as a POSIX shell would have them typed.

use kv::wire::quote::*;

#[test]
fn quotes_only_what_needs_it() {
    for (word, want) in [
        ("date", "date"),
        ("+%s", "+%s"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it'\\''s'"),
        (";", "';'"),
    ] {
        let mut line = Vec::new();
        quote(word.as_bytes(), &mut line);
        assert_eq!(line, want.as_bytes(), "{word:?}");
    }
}
