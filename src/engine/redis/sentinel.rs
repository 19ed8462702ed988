//! Asking the sentinels which server is the master: Redis Sentinel and Valkey's watch single servers with
//! replicas, and put a replica in the place of a master that has died, or that is to make room.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::os;

use super::facts::{field, unknown};
use super::location::RedisLocation;
use super::map::ROLE;
use super::ready::given;
use super::resp::{Reply, write_command};
use super::slots::{Address, address, is_host};
use super::socket::{Socket, no_answer};

/// So long after the first answer the others are waited for: of several sentinels one may be behind.
const OTHERS: Duration = Duration::from_millis(50);

/// A replica is gone that was down for so long, in milliseconds: one that is put in the place of the master may be
/// down for a moment on the way there.
const GONE: u64 = 30_000;

/// What a sentinel knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) master: Address,
    /// Those replicas that may take its place, and whether the sentinel holds each for down.
    replicas: Vec<(Address, bool)>,
    /// There is a replica, which may be down.
    has_any: bool,
    /// Grows with each master that takes the place of another.
    epoch: i64,
}

impl Known {
    /// Returns how many replicas a write must have, so that whichever takes the place has it.
    pub(super) fn wanted(&self) -> u32 {
        let known = u32::try_from(self.replicas.len()).unwrap_or(u32::MAX);
        known.max(u32::from(self.has_any))
    }

    /// Tells whether a replica may have been taken off the master to be put in its place: that is done before
    /// anybody is told. Of one that cannot be asked that is not known, unless nothing listens there, or the
    /// sentinel cannot ask it either: such a one is put nowhere.
    pub(super) fn has_lost_one(
        &self,
        location: &RedisLocation,
        master: &mut Socket,
        limit: Duration,
    ) -> io::Result<bool> {
        let text = |reply: Reply| {
            String::from_utf8_lossy(&reply.into_bytes().unwrap_or_default()).into_owned()
        };
        let own = text(master.ask(&ROLE)?);
        let history = field(&own, "master_replid").ok_or_else(|| unknown("INFO", Reply::Nil))?;
        let has_left = |(replica, is_down): &(Address, bool)| {
            let asked = Socket::connect(location, replica, limit).and_then(|mut it| it.ask(&ROLE));
            match asked.map(text) {
                Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => false,
                Ok(says) if field(&says, "role").is_some() => {
                    field(&says, "role") == Some("master")
                        && field(&says, "master_replid2") == Some(history)
                }
                _ => !is_down,
            }
        };
        Ok(self.replicas.iter().any(has_left))
    }
}

/// Asks one sentinel for the master that it knows by this name.
fn ask(location: &RedisLocation, sentinel: &str, name: &str, limit: Duration) -> io::Result<Known> {
    // The user is the servers'. A sentinel that wants a password wants the same one.
    let mut socket = Socket::reach(location, sentinel, limit)?;
    let mut bytes = Vec::new();
    for what in ["GET-MASTER-ADDR-BY-NAME", "MASTER", "REPLICAS"] {
        write_command(&mut bytes, &["SENTINEL", what, name]);
    }
    let answers = |socket: &mut Socket| -> io::Result<[Reply; 3]> {
        socket.send(&bytes)?;
        Ok([socket.receive()?, socket.receive()?, socket.receive()?])
    };
    let mut told = answers(&mut socket)?;
    let wants_login = matches!(&told[0], Reply::Error(text) if text.starts_with("NOAUTH"));
    if wants_login && (location.user.is_some() || location.password.is_some()) {
        socket.log_in(location)?;
        told = answers(&mut socket)?;
    }
    let [master, state, replicas] = told;
    let master = read(master, name)?;
    let state = fields(state).ok_or_else(|| unknown("SENTINEL MASTER", Reply::Nil))?;
    let epoch = value(&state, "config-epoch").and_then(|epoch| epoch.parse().ok());
    let Reply::Array(replicas) = replicas else {
        return Err(unknown("SENTINEL REPLICAS", replicas));
    };
    let has_any = !replicas.is_empty();
    let is_moving = value(&state, "flags").is_some_and(|flags| flags.contains("failover"));
    let replica = |reply| {
        let told = fields(reply)?;
        let down = value(&told, "s-down-time").and_then(|down| down.parse().ok());
        let is_gone = !is_moving && down.is_some_and(|down: u64| down > GONE);
        let is_down = value(&told, "flags").is_some_and(|flags| flags.contains("s_down"));
        let port = value(&told, "port")?.parse::<u16>().ok()?;
        let host = value(&told, "ip").filter(|host| is_host(host) && !is_gone)?;
        Some((address(host, port), is_down))
    };
    Ok(Known {
        master,
        replicas: replicas.into_iter().filter_map(replica).collect(),
        has_any,
        epoch: epoch.ok_or_else(|| unknown("config-epoch", Reply::Nil))?,
    })
}

/// Asks all sentinels of a store at once. Those who know of the latest change are believed, if they agree.
/// What is told where none knows the master is what the first of them says, and which that is.
pub(super) fn word_of_all(
    location: &RedisLocation,
    name: &str,
    limit: Duration,
) -> Result<Known, (Address, io::Error)> {
    let (tell, told) = mpsc::channel();
    let sentinels = given(location);
    for (number, sentinel) in sentinels.iter().cloned().enumerate() {
        let (tell, location, name) = (tell.clone(), location.clone(), name.to_owned());
        let work = move || {
            _ = tell.send((number, ask(&location, &sentinel, &name, limit)));
        };
        // It may live longer than this call, and must take no signal from whoever waits for a child.
        _ = os::spawn_without_signals(work);
    }
    drop(tell);
    let begun = Instant::now();
    let mut limit = limit;
    let (mut known, mut troubles) = (Vec::<(usize, Known)>::new(), Vec::new());
    while let Ok((number, answer)) = told.recv_timeout(limit.saturating_sub(begun.elapsed())) {
        match answer {
            Ok(answer) => {
                known.push((number, answer));
                // One that is near may be the one that has not heard of the change.
                if known.len() * 2 > sentinels.len() {
                    limit = limit.min(begun.elapsed() + OTHERS);
                }
            }
            Err(why) => troubles.push((number, why)),
        }
    }
    let of = |number: usize| sentinels[number].clone();
    let latest = known.iter().map(|(_, known)| known.epoch).max();
    known.retain(|(_, known)| Some(known.epoch) == latest);
    known.sort_by_key(|(_, known)| known.wanted());
    let Some((number, best)) = known.pop() else {
        let first = troubles.into_iter().min_by_key(|(number, _)| *number);
        let (number, why) = first.unwrap_or_else(|| (0, no_answer()));
        return Err((sentinels.get(number).cloned().unwrap_or_default(), why));
    };
    match known.iter().find(|(_, other)| other.master != best.master) {
        Some((other, says)) => {
            let text = format!(
                "it says that the master is {}, and the sentinel {} that it is {}: compare what \
                 `SENTINEL MASTER {name}` says",
                best.master,
                of(*other),
                says.master
            );
            Err((of(number), io::Error::other(text)))
        }
        None => Ok(best),
    }
}

/// Reads a list of names and values, each behind its name.
fn fields(reply: Reply) -> Option<Vec<String>> {
    let Reply::Array(parts) = reply else {
        return None;
    };
    let text = |part: Reply| String::from_utf8(part.into_bytes()?).ok();
    parts.into_iter().map(text).collect()
}

fn value<'a>(fields: &'a [String], name: &str) -> Option<&'a str> {
    let found = fields.chunks_exact(2).find(|pair| pair[0] == name)?;
    Some(&found[1])
}

/// Reads what a sentinel answers.
pub(super) fn read(reply: Reply, name: &str) -> io::Result<Address> {
    match reply {
        Reply::Nil => Err(io::Error::other(format!(
            "the sentinel knows no master `{name}`"
        ))),
        Reply::Error(text) if text.starts_with("ERR unknown command") => Err(no_sentinel()),
        Reply::Error(_) => Err(unknown("SENTINEL", reply)),
        Reply::Array(parts) => {
            let mut parts = parts.into_iter();
            let host = parts.next().and_then(Reply::into_bytes);
            let host = host.and_then(|host| String::from_utf8(host).ok());
            let port = parts.next().and_then(|port| port.as_int());
            match (host, port.and_then(|port| u16::try_from(port).ok())) {
                (Some(host), Some(port)) if is_host(&host) => Some(address(&host, port)),
                _ => None,
            }
        }
        .ok_or_else(no_sentinel),
        _ => Err(no_sentinel()),
    }
}

fn no_sentinel() -> io::Error {
    io::Error::other("it is no sentinel: for a server itself write `redis://`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_names_a_master_or_none() {
        let parts = |host: &str, port: &str| {
            Reply::Array(vec![Reply::Bytes(host.into()), Reply::Bytes(port.into())])
        };
        assert_eq!(read(parts("10.0.0.1", "7"), "m").unwrap(), "10.0.0.1:7");
        assert_eq!(read(parts("::1", "7"), "m").unwrap(), "[::1]:7");
        for bad in [
            parts("/etc/passwd", "7"),
            parts("h", "99999"),
            Reply::Nil,
            Reply::Array(Vec::new()),
            Reply::Int(1),
            Reply::Error("ERR unknown command".into()),
        ] {
            assert!(read(bad, "m").is_err());
        }
    }
}
