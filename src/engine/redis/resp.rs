//! What is sent to a server, and what comes back: RESP, version 2.
//!
//! Whatever a server sends, an answer has an end: there is a most of its bytes, of its parts and of the
//! levels in which they stand, and no memory is taken before the bytes for it have come.

use std::io::{self, BufRead, Read};

/// The longest line, be it a number, a short text or an error.
const LONGEST_LINE: u64 = 64 * 1024;
/// The largest answer, in bytes; each of its parts counts for [`PART`] more.
const LARGEST: usize = 128 << 20;
/// What a part of an answer takes in memory besides its bytes.
const PART: usize = size_of::<Reply>();
/// So many levels can stand in one another. No answer that kv asks for has more than four.
const DEEPEST: usize = 8;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// There is none.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes, or a short text.
    Bytes(Vec<u8>),
    /// Several answers.
    Array(Vec<Reply>),
    /// The command failed: a word in capitals, and text for people.
    Error(String),
}

impl Reply {
    /// Returns the bytes, and none for anything else.
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the answers that this one is made of; none for anything else.
    pub(super) fn into_array(self) -> Vec<Reply> {
        match self {
            Self::Array(replies) => replies,
            _ => Vec::new(),
        }
    }

    /// Returns the number, also where it is written as text.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// Tells whether it says that a key is not of the type that the command is for.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Error(text) if text.starts_with("WRONGTYPE"))
    }

    /// Tells whether it says that the user may not do what was asked.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Error(text) if text.starts_with("NOPERM"))
    }
}

/// Reads one answer.
///
/// # Errors
///
/// What reading fails with; `UnexpectedEof` where the answer has no end, and `InvalidData` where it is
/// no answer of this protocol or larger than any that is asked for.
pub(super) fn read_reply(from: &mut impl BufRead) -> io::Result<Reply> {
    read_part(from, &mut LARGEST.clone(), DEEPEST)
}

fn read_part(from: &mut impl BufRead, left: &mut usize, levels: usize) -> io::Result<Reply> {
    let line = read_line(from)?;
    spend(left, line.len() + PART)?;
    let Some((kind, rest)) = line.split_first() else {
        return Err(malformed());
    };
    match kind {
        b'+' => Ok(Reply::Bytes(rest.to_vec())),
        b'-' => Ok(Reply::Error(String::from_utf8_lossy(rest).into_owned())),
        b':' => Ok(Reply::Int(number(rest)?)),
        b'$' => match length(rest)? {
            None => Ok(Reply::Nil),
            Some(len) => {
                spend(left, len)?;
                read_bytes(from, len).map(Reply::Bytes)
            }
        },
        b'*' => match length(rest)? {
            None => Ok(Reply::Nil),
            Some(_) if levels == 0 => Err(malformed()),
            Some(count) => {
                spend(left, count.saturating_mul(PART))?;
                let part = |_| read_part(from, left, levels - 1);
                // Grows with what comes, not with what is announced.
                let mut parts = Vec::new();
                for part in (0..count).map(part) {
                    parts.push(part?);
                }
                Ok(Reply::Array(parts))
            }
        },
        _ => Err(malformed()),
    }
}

/// Reads a line, and leaves out its end.
fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    Read::by_ref(from)
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)?;
    if line.pop_if(|last| *last == b'\n').is_none() {
        return match line.len() as u64 == LONGEST_LINE {
            true => Err(malformed()),
            false => Err(closed()),
        };
    }
    match line.pop() {
        Some(b'\r') => Ok(line),
        _ => Err(malformed()),
    }
}

/// Reads so many bytes, and the end of the line behind them.
fn read_bytes(from: &mut impl BufRead, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len.min(64 * 1024));
    let count = Read::by_ref(from)
        .take(len as u64)
        .read_to_end(&mut bytes)?;
    let mut end = [0; 2];
    if count < len {
        return Err(closed());
    }
    from.read_exact(&mut end)?;
    match &end {
        b"\r\n" => Ok(bytes),
        _ => Err(malformed()),
    }
}

/// Reads a length; none where it says that there is nothing.
fn length(text: &[u8]) -> io::Result<Option<usize>> {
    match number(text)? {
        -1 => Ok(None),
        len => usize::try_from(len).map(Some).map_err(|_| malformed()),
    }
}

fn number(text: &[u8]) -> io::Result<i64> {
    let text = std::str::from_utf8(text).map_err(|_| malformed())?;
    text.parse().map_err(|_| malformed())
}

/// Takes from what an answer may have.
fn spend(left: &mut usize, bytes: usize) -> io::Result<()> {
    *left = left.checked_sub(bytes).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "its answer is larger than any that was asked for: is it a server of Redis?",
        )
    })?;
    Ok(())
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it answers what no server of Redis does (RESP 2): look at who listens there",
    )
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it closed the connection before it had answered",
    )
}

/// Adds a command to what is to be sent.
pub(super) fn write_command<W: AsRef<[u8]>>(out: &mut Vec<u8>, words: &[W]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_read() {
        let bytes = |text: &str| Reply::Bytes(text.into());
        for (text, want) in [
            ("+OK\r\n", bytes("OK")),
            ("+done\r\n", bytes("done")),
            ("$3\r\na\r\n\r\n", bytes("a\r\n")),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            (":-7\r\n", Reply::Int(-7)),
            ("-MOVED 5 a:1\r\n", Reply::Error("MOVED 5 a:1".into())),
            (
                "*2\r\n:1\r\n*1\r\n$0\r\n\r\n",
                Reply::Array(vec![Reply::Int(1), Reply::Array(vec![bytes("")])]),
            ),
        ] {
            assert_eq!(read_reply(&mut text.as_bytes()).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn what_no_server_answers_is_told_without_waiting_for_its_end() {
        let deep = "*1\r\n".repeat(1_000);
        let line = format!("+{}", "a".repeat(100_000));
        for text in [
            "$9999999999999\r\n",
            "*2000000000\r\n",
            "$-5\r\n",
            "*-2\r\n",
            ":1x\r\n",
            "%1\r\n+a\r\n+b\r\n",
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "\r\n",
            "+a\n",
            "$1\r\nab\r\n",
            &deep,
            &line,
        ] {
            let err = read_reply(&mut text.as_bytes()).unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::InvalidData, "{text:.20}: {err}");
            assert!(!err.to_string().contains('\n'));
        }
        for text in ["", "+a", "$5\r\nab", "$2\r\nab", "*2\r\n:1\r\n"] {
            let err = read_reply(&mut text.as_bytes()).unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::UnexpectedEof, "{text}");
        }
    }
}
