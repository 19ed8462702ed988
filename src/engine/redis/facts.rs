//! What a server says of itself before it is written to: its clock, its replicas, its log, and whether it
//! drops what it holds when its memory is full.
//!
//! What a server does not say is not known, and no write is told as safe for it.

use std::io;
use std::time::Duration;

use super::resp::{Reply, write_command};

/// What helps a user who may not do something.
pub(super) const RULE: &str = "; kv-format(5) has the rule of what a user must be allowed";

/// What is known of one server.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Its clock, in milliseconds since 1970, when this machine had run for `asked`.
    clock: u64,
    /// When it said so, as [`crate::os::since_boot`] has it.
    pub(super) asked: Duration,
    /// Whether it is a replica itself.
    pub(super) is_replica: bool,
    /// Whether there is a replica of it, or was one within the time for which it keeps what one lacks;
    /// in a cluster the others tell more.
    pub(super) has_replicas: bool,
    /// Whether WAITAOF has something to wait for, as far as the user may know.
    pub(super) has_log: bool,
    /// By which policy it drops entries when its memory is full, if it does.
    pub(super) evicts: Option<String>,
    /// Why replicas cannot be waited for, and why the log cannot.
    pub(super) no_wait: Option<String>,
    pub(super) no_log: Option<String>,
}

impl Facts {
    /// How many answers there are to the questions.
    pub(super) const COUNT: usize = 4;

    /// Adds the questions to what is to be sent.
    pub(super) fn write(bytes: &mut Vec<u8>) {
        write_command(bytes, &["TIME"]);
        let info = ["INFO", "server", "replication", "persistence", "memory"];
        write_command(bytes, &info);
        // They are answered at once: what is asked is whether the user may.
        write_command(bytes, &["WAIT", "0", "1"]);
        write_command(bytes, &["WAITAOF", "0", "0", "1"]);
    }

    /// Reads the answers, of which the first came at `asked`.
    pub(super) fn of(replies: Vec<Reply>, asked: Duration) -> io::Result<Self> {
        let mut replies = replies.into_iter();
        let mut next = || replies.next().unwrap_or(Reply::Nil);
        let time = match next() {
            Reply::Array(parts) => parts,
            other => return Err(unknown("TIME", other)),
        };
        let part = |at: usize| time.get(at).and_then(Reply::as_int);
        let part = |at| part(at).and_then(|number| u64::try_from(number).ok());
        let clock = match (part(0), part(1)) {
            (Some(seconds), Some(micros)) => {
                seconds.checked_mul(1_000).map(|ms| ms + micros / 1_000)
            }
            _ => None,
        };
        let clock = clock.ok_or_else(|| unknown("TIME", Reply::Nil))?;
        let info = match next() {
            Reply::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Reply::Error(text) if text.starts_with("ERR syntax") => return Err(too_old()),
            other => return Err(unknown("INFO", other)),
        };
        let number = |name| field(&info, name).and_then(|text| text.parse::<u64>().ok());
        let told = |name| number(name).ok_or_else(|| unknown(name, Reply::Nil));
        let forbidden = |reply: &Reply| match reply {
            Reply::Error(text) if reply.is_forbidden() => Some(text.clone()),
            _ => None,
        };
        let (waits, logs) = (next(), next());
        let (no_wait, no_log) = (forbidden(&waits), forbidden(&logs));
        _ = told("maxmemory")?;
        Ok(Self {
            clock,
            asked,
            is_replica: field(&info, "role") == Some("slave"),
            has_replicas: told("connected_slaves")? > 0 || number("repl_backlog_active") == Some(1),
            // A server that does not know WAITAOF says so.
            has_log: number("aof_enabled") == Some(1)
                && (no_log.is_some() || matches!(logs, Reply::Array(_))),
            evicts: eviction(&info),
            no_wait,
            no_log,
        })
    }

    /// Returns what the clock of the server shows at a moment, in milliseconds.
    pub(super) fn clock_at(&self, moment: Duration) -> u64 {
        let since = moment.saturating_sub(self.asked).as_millis();
        self.clock
            .saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// Says that a server does not tell what must be known.
pub(super) fn unknown(what: &str, reply: Reply) -> io::Error {
    let denied = |text| io::Error::new(io::ErrorKind::PermissionDenied, text);
    match reply {
        Reply::Error(text) if text.starts_with("NOPERM") => denied(format!("{text}{RULE}")),
        Reply::Error(text) if text.starts_with("NOAUTH") => denied(format!(
            "it wants a password, which KV_PASSWORD has: {text}"
        )),
        Reply::Error(text) => io::Error::other(text),
        _ => io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it does not tell `{what}` as a server of Redis does"),
        ),
    }
}

fn too_old() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "it is older than Redis 7.0, the first that can keep a store",
    )
}

/// Returns the policy by which a server drops entries when its memory is full, if it does.
pub(super) fn eviction(info: &str) -> Option<String> {
    let policy = field(info, "maxmemory_policy").unwrap_or("unknown");
    let is_limited = field(info, "maxmemory").is_none_or(|limit| limit != "0");
    (is_limited && policy != "noeviction").then(|| policy.to_owned())
}

/// Finds a line `name:value` of INFO.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(info: &str, logs: Reply) -> io::Result<Facts> {
        let time = Reply::Array(vec![
            Reply::Bytes(b"5".into()),
            Reply::Bytes(b"7000".into()),
        ]);
        let info = Reply::Bytes(info.replace(' ', "\r\n").into());
        let asked = Duration::from_secs(100);
        Facts::of(vec![time, info, Reply::Int(0), logs], asked)
    }

    const INFO: &str = "connected_slaves:0 repl_backlog_active:0 maxmemory:0 \
                        maxmemory_policy:allkeys-lru aof_enabled:1 ";

    #[test]
    fn a_server_that_may_lose_something_is_told_from_others() {
        let unknown = || Reply::Error("ERR unknown command 'WAITAOF'".into());
        let plain = facts(INFO, unknown()).unwrap();
        assert!(!plain.has_replicas && !plain.has_log && plain.no_wait.is_none());
        // No memory is ever full that has no limit.
        assert_eq!(plain.evicts, None);
        let logs = || Reply::Array(vec![Reply::Int(0), Reply::Int(0)]);
        assert!(facts(INFO, logs()).unwrap().has_log);
        let denied = Reply::Error("NOPERM no permissions to run the 'waitaof' command".into());
        let denied = facts(INFO, denied).unwrap();
        assert!(denied.has_log && denied.no_log.is_some() && denied.no_wait.is_none());
        for (from, to) in [("slaves:0", "slaves:1"), ("active:0", "active:1")] {
            let facts = facts(&INFO.replace(from, to), unknown()).unwrap();
            assert!(facts.has_replicas, "{to}");
        }
        let full = facts(&INFO.replace("maxmemory:0", "maxmemory:9"), unknown()).unwrap();
        assert_eq!(full.evicts.as_deref(), Some("allkeys-lru"));
        for name in ["connected_slaves", "maxmemory:"] {
            assert!(
                facts(&INFO.replace(name, "x"), unknown()).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn the_clock_of_a_server_goes_on() {
        let facts = facts(INFO, Reply::Nil).unwrap();
        assert_eq!(facts.clock_at(Duration::from_secs(100)), 5_007);
        assert_eq!(facts.clock_at(Duration::from_secs(103)), 8_007);
        assert_eq!(facts.clock_at(Duration::ZERO), 5_007);
    }
}
