//! A command on its way: its bytes, and whom it is for.

use super::resp::write_command;
use super::slots::Address;

/// Cuts a list into parts of so many items at most, and of so many bytes unless one item has more.
pub(super) fn parts<T>(
    mut rest: &[T],
    most: usize,
    most_bytes: usize,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += size(item);
            bytes <= most_bytes
        };
        let count = rest.iter().take(most).take_while(fits).count();
        let part;
        (part, rest) = rest.split_at(count.max(1).min(rest.len()));
        Some(part).filter(|part| !part.is_empty())
    })
}

/// A command, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) bytes: Vec<u8>,
    pub(super) to: To,
    /// It changes something: then a script does that, and this is where its bytes have [`UNTIL`], until
    /// when it may be carried out.
    pub(super) until_at: Option<usize>,
}

/// Whom a command is for.
#[derive(Clone, Debug)]
pub(super) enum To {
    Slot(u16),
    Node(Address),
}

/// Stands where each server is told until when, by its own clock, a script may be carried out: `0` or,
/// where it may have been sent before, `1`, and milliseconds since 1970 in 15 digits.
pub(super) const UNTIL: &[u8; 16] = b"0000000000000000";

/// Returns what stands for [`UNTIL`] when a script is sent.
pub(super) fn until(again: bool, millis: u64) -> Vec<u8> {
    let millis = millis.min(999_999_999_999_999);
    format!("{}{millis:015}", u8::from(again)).into_bytes()
}

impl Command {
    /// Prepares a command that changes nothing.
    pub(super) fn read<W: AsRef<[u8]>>(slot: u16, words: &[W]) -> Self {
        Self::new(To::Slot(slot), words)
    }

    /// Prepares a command that concerns a server and not a key.
    pub(super) fn of_node<W: AsRef<[u8]>>(node: &str, words: &[W]) -> Self {
        Self::new(To::Node(node.to_owned()), words)
    }

    /// Prepares a call of a script: what calls it, and its arguments behind [`UNTIL`], which is the first.
    pub(super) fn write<W: AsRef<[u8]>>(slot: u16, call: &[W], args: &[W]) -> Self {
        let mut bytes = Vec::new();
        let word = |word: &W| word.as_ref().to_vec();
        let mut words: Vec<Vec<u8>> = call.iter().map(word).collect();
        words.push(UNTIL.to_vec());
        let mut before = Vec::new();
        write_command(&mut before, &words);
        words.extend(args.iter().map(word));
        write_command(&mut bytes, &words);
        // The number of words has more digits with all of them.
        let longer = words.len().to_string().len() - (call.len() + 1).to_string().len();
        Self {
            until_at: Some(before.len() + longer - 2 - UNTIL.len()),
            bytes,
            to: To::Slot(slot),
        }
    }

    fn new<W: AsRef<[u8]>>(to: To, words: &[W]) -> Self {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        Self {
            bytes,
            to,
            until_at: None,
        }
    }

    /// Tells whether it changes something.
    pub(super) fn writes(&self) -> bool {
        self.until_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_until_when_it_may_be_carried_out() {
        for count in [0, 5, 6, 7, 95, 200] {
            let args = vec!["x"; count];
            let command = Command::write(0, &["EVALSHA", "0000000000000000", "0"], &args);
            let at = command.until_at.unwrap();
            assert_eq!(command.bytes[at..at + 16], *UNTIL);
            let before = &command.bytes[..at];
            assert!(before.ends_with(b"$1\r\n0\r\n$16\r\n"), "{count}");
        }
        assert_eq!(until(true, 7), b"1000000000000007");
        assert_eq!(until(false, u64::MAX).len(), UNTIL.len());
    }
}
