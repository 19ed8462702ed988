//! What is sent to a server, and what comes back. The crate `redis` speaks the protocol.

use redis::{ServerError, Value};

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

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Int(number),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) => Self::Bytes(text.into_bytes()),
            Value::Okay => Self::Bytes(b"OK".to_vec()),
            Value::Array(values) => Self::Array(values.into_iter().map(Self::from).collect()),
            Value::ServerError(err) => Self::Error(text_of(&err)),
            // Protocol 3 has more kinds, and is not what is spoken.
            other => Self::Error(format!("ERR an answer of another protocol: {other:?}")),
        }
    }
}

/// Returns what a server said, as it said it.
fn text_of(err: &ServerError) -> String {
    match err.details() {
        Some(details) => format!("{} {details}", err.code()),
        None => err.code().to_owned(),
    }
}

/// Adds a command to what is to be sent.
pub(super) fn write_command<W: AsRef<[u8]>>(out: &mut Vec<u8>, words: &[W]) {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    command.write_packed_command(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_words() {
        let mut out = b"before".to_vec();
        write_command(&mut out, &[&b"SET"[..], b"a\r\n", b""]);
        assert_eq!(out, b"before*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let bytes = |text: &str| Reply::Bytes(text.into());
        for (text, want) in [
            ("+OK\r\n", bytes("OK")),
            ("+QUEUED\r\n", bytes("QUEUED")),
            ("-MOVED 1 a:1\r\n", Reply::Error("MOVED 1 a:1".into())),
            ("-ERR no such\r\n", Reply::Error("ERR no such".into())),
            ("-LOADING wait\r\n", Reply::Error("LOADING wait".into())),
            ("-ODD\r\n", Reply::Error("ODD".into())),
            (":-7\r\n", Reply::Int(-7)),
            ("$-1\r\n", Reply::Nil),
            ("$3\r\na\r\n\r\n", bytes("a\r\n")),
            ("*-1\r\n", Reply::Nil),
            (
                "*2\r\n:1\r\n*1\r\n$0\r\n\r\n",
                Reply::Array(vec![Reply::Int(1), Reply::Array(vec![bytes("")])]),
            ),
        ] {
            let value = redis::parse_redis_value(text.as_bytes()).unwrap();
            assert_eq!(Reply::from(value), want, "{text}");
        }
    }
}
