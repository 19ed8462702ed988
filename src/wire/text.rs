//! Bytes as a person can read them on a terminal, in one line.

use std::fmt::Write as _;

/// Tells whether a character would move the cursor, colour the screen, break the line, turn the text
/// around (Unicode's bidirectional controls), or not be seen at all.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Escapes what is hidden as `\n`, `\t`, `\r` or `\u{1b}`, and bytes that are not UTF-8 as `\xff`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_hidden(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Tells whether bytes that come in parts are UTF-8.
#[derive(Debug, Default)]
pub struct Utf8Check {
    /// The beginning of a character at the end of the last part.
    begun: Vec<u8>,
    is_broken: bool,
}

impl Utf8Check {
    /// Looks at the next part.
    pub fn part(&mut self, part: &[u8]) {
        if self.is_broken {
            return;
        }
        self.begun.extend_from_slice(part);
        match std::str::from_utf8(&self.begun) {
            Ok(_) => self.begun.clear(),
            Err(err) if err.error_len().is_none() => drop(self.begun.drain(..err.valid_up_to())),
            Err(_) => self.is_broken = true,
        }
    }

    /// Tells whether all parts together were UTF-8.
    pub fn is_text(&self) -> bool {
        !self.is_broken && self.begun.is_empty()
    }
}
