//! What a write promises, waited for on the connection that carried it.

use std::io;
use std::time::Duration;

use crate::engine::Sync;
use crate::os;

use super::facts::{Facts, unknown};
use super::map::Map;
use super::resp::{Reply, write_command};
use super::sentinel::word_of_all;
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

/// After so long without enough replicas the sentinels are asked what has become of the master, and then
/// after twice as long each time, up to a second.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// What is waited for behind writes.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    target: &'a Target,
    pub(super) replicas: u32,
    has_log: bool,
    deadline: Duration,
    /// When to look.
    look: Duration,
}

impl<'a> Wait<'a> {
    /// Finds out what is to be waited for at one server.
    ///
    /// # Errors
    ///
    /// Where that is not known, or may not be waited for: then nothing is to be written.
    pub(super) fn new(
        target: &'a Target,
        map: &Map,
        facts: &Facts,
        deadline: Duration,
    ) -> io::Result<Self> {
        let denied = |text| io::Error::new(io::ErrorKind::PermissionDenied, text);
        if facts.is_replica && target.location.reads_replica && !map.is_cluster {
            // It may become one.
            return Err(io::Error::other(
                "it is a replica, which `?read=replica` lets answer: only a master is written to",
            ));
        }
        let is_full = target.settings.sync == Sync::Full;
        let replicas = match target.location.replicas {
            _ if !is_full => 0,
            Some(number) => number,
            None => match &map.replicas {
                // A server that was just started knows of none, whoever is on the way back to it.
                Ok(known) => (*known).max(u32::from(facts.has_replicas)),
                Err(why) => {
                    return Err(denied(format!(
                        "it is not known how many replicas there are: {why}; `?replicas=N` says it"
                    )));
                }
            },
        };
        let wait = Self {
            target,
            replicas,
            has_log: is_full && facts.has_log,
            deadline,
            look: FIRST_LOOK,
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

    /// Returns how much time there is left.
    pub(super) fn left(&self) -> Duration {
        let left = self.deadline.saturating_sub(os::since_boot());
        left.max(Duration::from_millis(100))
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        if self.has_log {
            let left = self.left().as_millis().to_string();
            write_command(bytes, &["WAITAOF", "1", "0", &left]);
        }
        self.write_wait(bytes);
    }

    fn write_wait(&self, bytes: &mut Vec<u8>) {
        let limit = match &self.target.location.sentinel {
            Some(_) => self.left().min(self.look),
            None => self.left(),
        };
        if self.replicas > 0 {
            let (replicas, limit) = (self.replicas.to_string(), limit.as_millis().to_string());
            write_command(bytes, &["WAIT", &replicas, &limit]);
        }
    }

    /// Returns how many replicas have what was written, if anything was.
    ///
    /// # Errors
    ///
    /// Where nobody can tell what became of the writes, or another server is the master now.
    pub(super) fn read(
        &mut self,
        socket: &mut Socket,
        server: &str,
        is_written: bool,
    ) -> io::Result<u32> {
        let log = self.has_log.then(|| socket.receive()).transpose()?;
        let reached = self.read_wait(socket);
        match log {
            Some(Reply::Array(counts)) if counts.first().and_then(Reply::as_int) == Some(0) => {
                return Err(io::Error::other("its log was not on the disk in time"));
            }
            Some(Reply::Error(text)) => return Err(io::Error::other(text)),
            _ => {}
        }
        let mut reached = reached?;
        while is_written && reached < self.replicas && os::since_boot() < self.deadline {
            let Some(name) = &self.target.location.sentinel else {
                break;
            };
            if self.is_enough(name, socket, server, reached)? {
                return Ok(self.replicas);
            }
            self.look = (self.look * 2).min(Duration::from_secs(1));
            let mut bytes = Vec::new();
            self.write_wait(&mut bytes);
            socket.send(&bytes)?;
            reached = self.read_wait(socket)?;
        }
        Ok(reached)
    }

    fn read_wait(&self, socket: &mut Socket) -> io::Result<u32> {
        let reply = match self.replicas {
            0 => Reply::Int(0),
            _ => socket.receive()?,
        };
        match reply {
            Reply::Error(text) => Err(io::Error::other(text)),
            other => other
                .as_int()
                .and_then(|count| u32::try_from(count).ok())
                .ok_or_else(|| unknown("WAIT", Reply::Nil)),
        }
    }

    /// Tells whether it is enough that so many replicas have a write, where not all have it in time that
    /// may take the place of the master: if none of them is about to.
    fn is_enough(
        &mut self,
        name: &str,
        socket: &mut Socket,
        server: &str,
        reached: u32,
    ) -> io::Result<bool> {
        let location = &self.target.location;
        // Who does not answer now is asked again.
        let Ok(known) = word_of_all(location, name, self.target.haste()) else {
            return Ok(false);
        };
        if known.master != server {
            let master = &known.master;
            let text = format!("by the word of the sentinels {master} has taken its place");
            return Err(io::Error::other(text));
        }
        // Who has said how many gets as many.
        if location.replicas.is_some() || reached == 0 {
            return Ok(false);
        }
        self.replicas = known.wanted();
        Ok(reached >= self.replicas || !known.has_lost_one(location, socket, FIRST_LOOK * 10)?)
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
