//! The protocol of Redis, version 2 (RESP2): what is sent, and what comes back.
//!
//! A command is `*<words>\r\n` and for each word `$<length>\r\n<bytes>\r\n`. A reply begins with a
//! byte that names its kind: `+` text, `-` error, `:` number, `$` bytes, `*` several replies.

use std::io::{self, BufRead};

/// No server sends longer strings (`proto-max-bulk-len`).
const MAX_LEN: i64 = 512 << 20;
/// Replies within replies within replies; three levels are what is ever asked for.
const MAX_DEPTH: u32 = 8;

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

/// Reads one reply.
pub(super) fn read_reply(input: &mut dyn BufRead) -> io::Result<Reply> {
    read_nested(input, 0)
}

fn read_nested(input: &mut dyn BufRead, depth: u32) -> io::Result<Reply> {
    let line = read_line(input)?;
    let (kind, rest) = line.split_first().ok_or_else(malformed)?;
    let number = || -> io::Result<i64> {
        let text = std::str::from_utf8(rest).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or_else(malformed)
    };
    match kind {
        b'+' => Ok(Reply::Bytes(rest.to_vec())),
        b'-' => Ok(Reply::Error(String::from_utf8_lossy(rest).into_owned())),
        b':' => Ok(Reply::Int(number()?)),
        b'$' => match number()? {
            -1 => Ok(Reply::Nil),
            len @ 0..=MAX_LEN => {
                let mut bytes = vec![0; len as usize + 2];
                input.read_exact(&mut bytes)?;
                if !bytes.ends_with(b"\r\n") {
                    return Err(malformed());
                }
                bytes.truncate(len as usize);
                Ok(Reply::Bytes(bytes))
            }
            _ => Err(malformed()),
        },
        b'*' => match number()? {
            -1 => Ok(Reply::Nil),
            len @ 0..=MAX_LEN if depth < MAX_DEPTH => {
                // What is promised is not set aside before it comes.
                let mut replies = Vec::with_capacity(len.min(1024) as usize);
                for _ in 0..len {
                    replies.push(read_nested(input, depth + 1)?);
                }
                Ok(Reply::Array(replies))
            }
            _ => Err(malformed()),
        },
        _ => Err(malformed()),
    }
}

/// Reads up to the end of a line, which is left out.
fn read_line(input: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    }
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the answer is not in the protocol of Redis",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_words() {
        let mut out = Vec::new();
        write_command(&mut out, &[&b"SET"[..], b"a\r\n", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let bytes = |text: &str| Reply::Bytes(text.into());
        for (text, want) in [
            ("+OK\r\n", bytes("OK")),
            ("-MOVED 1 a:1\r\n", Reply::Error("MOVED 1 a:1".into())),
            (":-7\r\n", Reply::Int(-7)),
            ("$-1\r\n", Reply::Nil),
            ("$3\r\na\r\n\r\n", bytes("a\r\n")),
            ("*-1\r\n", Reply::Nil),
            (
                "*2\r\n:1\r\n*1\r\n$0\r\n\r\n",
                Reply::Array(vec![Reply::Int(1), Reply::Array(vec![bytes("")])]),
            ),
        ] {
            assert_eq!(read_reply(&mut text.as_bytes()).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        let deep = "*1\r\n".repeat(1000);
        for text in [
            "",
            "+OK",
            "+OK\n",
            "?\r\n",
            "\r\n",
            ":x\r\n",
            "$-2\r\n",
            "$3\r\nab\r\n",
            "$1\r\nabc",
            "$999999999999\r\n",
            "*2\r\n:1\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
            &deep,
        ] {
            assert!(read_reply(&mut text.as_bytes()).is_err(), "{text}");
        }
    }
}
