//! What a write promises, waited for on the connection that carried it.

use std::io;
use std::time::Duration;

use crate::engine::Sync;

use super::facts::{Facts, unknown};
use super::map::Map;
use super::resp::{Reply, write_command};
use super::socket::Socket;
use super::target::Target;

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
const NOTHING: [&[u8]; 12] = [
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
    b"late",
    b"foreign",
];

/// What is waited for behind writes.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) replicas: u32,
    has_log: bool,
    pub(super) limit: Duration,
}

impl Wait {
    /// Finds out what is to be waited for at one server.
    ///
    /// # Errors
    ///
    /// Where that is not known, or may not be waited for: then nothing is to be written.
    pub(super) fn new(
        target: &Target,
        map: &Map,
        facts: &Facts,
        left: Duration,
    ) -> io::Result<Self> {
        let denied = |text| io::Error::new(io::ErrorKind::PermissionDenied, text);
        if facts.is_replica && target.location.reads_replica && !map.is_cluster {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is a replica, which `?read=replica` lets answer: only a master is written to",
            ));
        }
        let is_full = target.settings.sync == Sync::Full;
        let replicas = match target.location.replicas {
            _ if !is_full => 0,
            Some(number) => number,
            None => match &map.has_replicas {
                // A server that was just started knows of none, whoever is on the way back to it.
                Ok(has_any) => u32::from(*has_any || facts.has_replicas),
                Err(why) => {
                    return Err(denied(format!(
                        "it is not known how many replicas there are: {why}; `?replicas=N` says it"
                    )));
                }
            },
        };
        let wait = Self {
            replicas,
            has_log: is_full && facts.has_log,
            limit: left.max(Duration::from_millis(100)),
        };
        let refused = [
            (wait.replicas > 0, "WAIT", &facts.no_wait),
            (wait.has_log, "WAITAOF", &facts.no_log),
        ];
        for (is_needed, what, why) in refused {
            if let Some(text) = why.as_ref().filter(|_| is_needed) {
                return Err(unknown(what, Reply::Error(text.clone())));
            }
        }
        Ok(wait)
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

    /// Returns how many replicas have the writes.
    ///
    /// # Errors
    ///
    /// Where nobody can tell what became of the writes.
    pub(super) fn read(&self, socket: &mut Socket) -> io::Result<u32> {
        let log = self.has_log.then(|| socket.receive()).transpose()?;
        let reached = match self.replicas {
            0 => Reply::Int(0),
            _ => socket.receive()?,
        };
        match log {
            Some(Reply::Array(counts)) if counts.first().and_then(Reply::as_int) == Some(0) => {
                return Err(io::Error::other("its log was not on the disk in time"));
            }
            Some(Reply::Error(text)) => return Err(io::Error::other(text)),
            _ => {}
        }
        match reached {
            Reply::Error(text) => Err(io::Error::other(text)),
            other => other
                .as_int()
                .and_then(|count| u32::try_from(count).ok())
                .ok_or_else(|| unknown("WAIT", Reply::Nil)),
        }
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
