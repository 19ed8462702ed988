//! What a write promises, waited for on the connection that carried it.

use std::io;
use std::time::Duration;

use crate::engine::Sync;

use super::link::Link;
use super::map::Map;
use super::resp::{Reply, write_command};
use super::socket::Socket;

/// Tells whether an answer to a write may stand for a change.
pub(super) fn has_written(reply: &Reply) -> bool {
    match reply {
        Reply::Bytes(words) => {
            let first = words.split(|&byte| byte == b' ').next();
            !NOTHING.contains(&first.unwrap_or_default())
        }
        Reply::Error(_) => false,
        _ => true,
    }
}

/// The words of scripts that have changed nothing that anybody relies on.
const NOTHING: [&[u8]; 10] = [
    b"no",
    b"register",
    b"damaged",
    b"moved",
    b"next",
    b"look",
    b"unfit",
    b"overflow",
    b"busy",
    b"lost",
];

/// What is waited for behind writes.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) replicas: u32,
    has_log: bool,
    pub(super) limit: Duration,
}

impl Wait {
    pub(super) fn new(link: &Link, map: &Map, left: Option<Duration>) -> Self {
        Self {
            replicas: link.replicas(map),
            has_log: link.settings().sync == Sync::Full && map.has_log,
            limit: left
                .unwrap_or(Duration::from_secs(86_400))
                .max(Duration::from_millis(100)),
        }
    }

    pub(super) fn is_needed(&self) -> bool {
        self.replicas > 0 || self.has_log
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let (replicas, limit) = (
            self.replicas.to_string(),
            self.limit.as_millis().to_string(),
        );
        if self.has_log {
            write_command(bytes, &["WAITAOF", "1", "0", &limit]);
        }
        if self.replicas > 0 {
            write_command(bytes, &["WAIT", &replicas, &limit]);
        }
    }

    /// Returns how many replicas have the writes; `None` where nobody can tell.
    pub(super) fn read(&self, socket: &mut Socket) -> io::Result<Option<u32>> {
        if self.has_log {
            match socket.receive()? {
                Reply::Array(counts) if counts.first().and_then(Reply::as_int) == Some(0) => {
                    return Err(io::Error::other("its log was not on the disk in time"));
                }
                Reply::Error(text) if !text.contains("appendonly") => return self.skip(socket),
                _ => {}
            }
        }
        if self.replicas == 0 {
            return Ok(Some(0));
        }
        Ok(socket
            .receive()?
            .as_int()
            .and_then(|count| u32::try_from(count).ok()))
    }

    /// Reads past what else would be answered.
    fn skip(&self, socket: &mut Socket) -> io::Result<Option<u32>> {
        if self.replicas > 0 {
            socket.receive()?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_nothing_has_nothing_to_wait_for() {
        let written = |word: &str| has_written(&Reply::Bytes(word.into()));
        for word in ["done", "sum 7", "held 3", "free"] {
            assert!(written(word), "{word}");
        }
        for word in [
            "no",
            "register",
            "next 00000000000000000001",
            "busy 10",
            "unfit",
        ] {
            assert!(!written(word), "{word}");
        }
        assert!(has_written(&Reply::Int(1)) && has_written(&Reply::Array(Vec::new())));
    }
}
