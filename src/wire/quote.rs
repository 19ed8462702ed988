//! Words as a POSIX shell would have them typed.

/// Quotes a word so that it reads as itself, and as nothing else; plain words stay as they are.
pub fn quote(word: &[u8], line: &mut Vec<u8>) {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b);
    if !word.is_empty() && word.iter().all(is_plain) {
        line.extend_from_slice(word);
        return;
    }
    line.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            _ => line.push(byte),
        }
    }
    line.push(b'\'');
}
