//! Bytes as they stand in the path and the query of a URL (RFC 3986, section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// A dot and a slash are written so too, as they may mean a step in a directory to whoever is between.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'~').remove(b'-');

/// Writes every byte that is not of `A-Za-z0-9_~-` as `%` and two hexadecimal digits.
pub fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

/// Reads text in which `%` and two hexadecimal digits stand for a byte, and anything else, `+` too,
/// for itself; `None` where a `%` has no digits behind it.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let has_digits = |behind: &[u8]| {
        let digits = behind.get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut parts = text.split(|&byte| byte == b'%').skip(1);
    parts
        .all(has_digits)
        .then(|| percent_decode(text).collect())
}
