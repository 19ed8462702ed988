//! What is known of the servers: which has what, and how much they promise.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::os;

use super::facts::{Facts, field, unknown};
use super::ready::read_facts;
use super::resp::{Reply, write_command};
use super::slots::{Address, Range, ranges};
use super::socket::Socket;

/// The servers of a store.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// Who has which slots; none where there is a single server.
    ranges: Vec<Range>,
    /// What servers have said of single slots since.
    moved: HashMap<u16, Address>,
    /// The server that was asked.
    pub(super) asked: Address,
    pub(super) is_cluster: bool,
    /// Whether the server takes writes.
    pub(super) is_master: bool,
    /// How many replicas a write must have: one where there is any in the cluster, be it alive or not, and
    /// with sentinels those that may take the place of the master; or why that is not known.
    pub(super) replicas: Result<u32, String>,
    /// When it was asked, as [`os::since_boot`] has it.
    pub(super) since: Duration,
}

impl Map {
    /// Asks a server for all of it, in one go, and for the facts of the server if it is to be written to.
    pub(super) fn ask(socket: &mut Socket, asked: &str, writes: bool) -> io::Result<Self> {
        let since = os::since_boot();
        let mut bytes = Vec::new();
        write_command(&mut bytes, &["CLUSTER", "SLOTS"]);
        write_command(&mut bytes, &["CLUSTER", "NODES"]);
        write_command(&mut bytes, &ROLE);
        if writes {
            Facts::write(&mut bytes);
        }
        socket.send(&bytes)?;
        let (slots, nodes, role) = (socket.receive()?, socket.receive()?, socket.receive()?);
        let facts = writes.then(|| read_facts(socket));
        let map = Self::read(slots, nodes, role, asked, since)?;
        // A replica is not written to, and may say other things of itself.
        if map.is_cluster || map.is_master {
            socket.facts = facts.transpose()?;
        }
        Ok(map)
    }

    pub(super) fn read(
        slots: Reply,
        nodes: Reply,
        role: Reply,
        asked: &str,
        since: Duration,
    ) -> io::Result<Self> {
        let is_cluster = match &slots {
            Reply::Array(_) => true,
            Reply::Error(text) if text.contains("cluster support disabled") => false,
            Reply::Error(text) if text.starts_with("ERR unknown command") => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "it does not know `CLUSTER`: for a sentinel write `redis+sentinel://HOST:PORT/NAME`",
                ));
            }
            _ => return Err(unknown("CLUSTER SLOTS", slots)),
        };
        let replicas = match nodes {
            Reply::Bytes(nodes) if is_cluster => {
                let nodes = String::from_utf8_lossy(&nodes).into_owned();
                let has_any = nodes.lines().any(|line| {
                    let flags = line.split(' ').nth(2).unwrap_or_default();
                    flags.split(',').any(|flag| flag == "slave")
                });
                Ok(u32::from(has_any))
            }
            other if is_cluster => Err(unknown("CLUSTER NODES", other).to_string()),
            _ => Ok(0),
        };
        // In a cluster it is the slots that tell who is a master.
        let is_master = is_cluster || is_master(&role).ok_or_else(|| unknown("INFO", role))?;
        let ranges = ranges(slots, asked);
        if is_cluster && ranges.is_empty() {
            return Err(io::Error::other("no server of its cluster has any slot"));
        }
        Ok(Self {
            ranges,
            moved: HashMap::new(),
            asked: asked.to_owned(),
            is_cluster,
            is_master,
            replicas,
            since,
        })
    }

    /// Returns who has a slot; `None` where nobody has it at the moment.
    pub(super) fn master_of(&self, slot: u16) -> Option<&Address> {
        if !self.is_cluster {
            return Some(&self.asked);
        }
        let in_range = || {
            let range = |range: &&Range| (range.first..=range.last).contains(&slot);
            self.ranges.iter().find(range).map(|range| &range.master)
        };
        self.moved.get(&slot).or_else(in_range)
    }

    /// Notes that a slot is elsewhere.
    pub(super) fn note_moved(&mut self, slot: u16, master: Address) {
        self.moved.insert(slot, master);
    }

    /// Returns every server that has slots, each once.
    pub(super) fn masters(&self) -> Vec<Address> {
        if !self.is_cluster {
            return vec![self.asked.clone()];
        }
        let mut masters: Vec<_> = self
            .ranges
            .iter()
            .map(|range| range.master.clone())
            .collect();
        masters.sort();
        masters.dedup();
        masters
    }
}

/// What asks a server whether it is a master.
pub(super) const ROLE: [&str; 2] = ["INFO", "replication"];

/// Tells whether a server is a master, by its answer to [`ROLE`]; `None` where it does not say.
pub(super) fn is_master(role: &Reply) -> Option<bool> {
    let Reply::Bytes(text) = role else {
        return None;
    };
    Some(field(&String::from_utf8_lossy(text), "role")? == "master")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(role: Reply) -> io::Result<Map> {
        let disabled = || Reply::Error("ERR This instance has cluster support disabled".into());
        Map::read(disabled(), disabled(), role, "h:1", Duration::ZERO)
    }

    fn role(role: &str) -> Reply {
        Reply::Bytes(format!("# Replication\r\nrole:{role}\r\n").into())
    }

    #[test]
    fn a_single_server_has_every_slot() {
        let map = single(role("master")).unwrap();
        assert_eq!(map.master_of(5), Some(&"h:1".to_owned()));
        assert!(!map.is_cluster && map.is_master);
        assert!(!single(role("slave")).unwrap().is_master);
        for silent in [
            Reply::Nil,
            Reply::Error("NOPERM x".into()),
            Reply::Bytes(b"x".into()),
        ] {
            assert!(single(silent).is_err());
        }
    }

    #[test]
    fn a_replica_counts_though_it_has_failed() {
        let node = Reply::Array(vec![Reply::Bytes("a".into()), Reply::Int(7)]);
        let slots = vec![Reply::Int(0), Reply::Int(9), node];
        let slots = Reply::Array(vec![Reply::Array(slots)]);
        for (flags, want) in [("slave,fail", 1), ("master,fail", 0), ("slave", 1)] {
            let nodes = format!(
                "id1 a:7@17 myself,master - 0 0 1 connected 0-9\nid2 b:8@18 {flags} id1 0 0 1"
            );
            let nodes = Reply::Bytes(nodes.into());
            let map = Map::read(slots.clone(), nodes, Reply::Nil, "h:1", Duration::ZERO);
            let mut map = map.unwrap();
            assert_eq!(map.replicas, Ok(want), "{flags}");
            assert_eq!(map.masters(), ["a:7"]);
            assert_eq!(map.master_of(10), None);
            map.note_moved(10, "b:8".into());
            assert_eq!(map.master_of(10), Some(&"b:8".to_owned()));
        }
        // Who may not ask does not know.
        let denied = Reply::Error("NOPERM no permissions".into());
        let map = Map::read(slots, denied, Reply::Nil, "h:1", Duration::ZERO).unwrap();
        assert!(map.replicas.is_err());
    }
}
