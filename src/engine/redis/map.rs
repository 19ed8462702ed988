//! What is known of the servers: which has what, and how much they promise.

use std::collections::HashMap;
use std::io;

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
    /// Whether there is any replica, be it alive or not.
    pub(super) has_replicas: bool,
    /// Whether WAITAOF has something to wait for.
    pub(super) has_log: bool,
}

impl Map {
    /// Asks a server for all of it, in one go.
    pub(super) fn ask(socket: &mut Socket, asked: &str) -> io::Result<Self> {
        let questions: [&[&str]; 5] = [
            &["CLUSTER", "SLOTS"],
            &["CLUSTER", "NODES"],
            &["INFO", "server"],
            &["INFO", "replication"],
            &["INFO", "persistence"],
        ];
        let mut bytes = Vec::new();
        for question in questions {
            write_command(&mut bytes, question);
        }
        socket.send(&bytes)?;
        let slots = socket.receive()?;
        let mut texts = [const { String::new() }; 4];
        for text in &mut texts {
            *text = match socket.receive()? {
                Reply::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                // What a server does not tell is not known; a missing login is fatal below.
                _ => String::new(),
            };
        }
        Self::read(slots, &texts, asked)
    }

    fn read(slots: Reply, texts: &[String; 4], asked: &str) -> io::Result<Self> {
        let [nodes, server, replication, persistence] = texts;
        let is_cluster = match &slots {
            Reply::Array(_) => true,
            Reply::Error(text) if is_login(text) => {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    text.clone(),
                ));
            }
            Reply::Error(text) if text.starts_with("LOADING") => {
                return Err(io::Error::other(text.clone()));
            }
            _ => false,
        };
        let has_replicas = match is_cluster {
            true => nodes.lines().any(|line| {
                let flags = line.split(' ').nth(2).unwrap_or_default();
                flags.split(',').any(|flag| flag == "slave")
            }),
            false => field(replication, "connected_slaves").is_some_and(|number| number != "0"),
        };
        let knows_waitaof = field(server, "redis_version").is_some_and(|version| {
            let mut parts = version
                .split('.')
                .map(|part| part.parse::<u32>().unwrap_or(0));
            (parts.next(), parts.next()) >= (Some(7), Some(2))
        });
        Ok(Self {
            ranges: ranges(slots, asked),
            moved: HashMap::new(),
            asked: asked.to_owned(),
            is_cluster,
            is_master: field(replication, "role") != Some("slave"),
            has_replicas,
            has_log: knows_waitaof && field(persistence, "aof_enabled") == Some("1"),
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

/// Tells whether an error says that who asks may not.
fn is_login(error: &str) -> bool {
    ["NOAUTH", "WRONGPASS", "NOPERM"]
        .iter()
        .any(|word| error.starts_with(word))
}

/// Finds a line `name:value` of INFO.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(replication: &str, version: &str, log: &str) -> Map {
        let disabled = "ERR This instance has cluster support disabled".to_owned();
        let texts = [
            String::new(),
            format!("# Server\r\nredis_version:{version}\r\n"),
            format!("role:master\r\n{replication}\r\n"),
            format!("aof_enabled:{log}\r\n"),
        ];
        Map::read(Reply::Error(disabled), &texts, "h:1").unwrap()
    }

    #[test]
    fn a_single_server_has_every_slot() {
        let map = single("connected_slaves:0", "7.0.15", "1");
        assert_eq!(map.master_of(5), Some(&"h:1".to_owned()));
        assert!(!map.is_cluster && !map.has_replicas && !map.has_log && map.is_master);
        assert!(single("connected_slaves:1", "7.2.4", "1").has_log);
        assert!(single("connected_slaves:1", "8.0.0", "0").has_replicas);
        assert!(!single("", "8.0.0", "0").has_log);
    }

    #[test]
    fn a_replica_counts_though_it_has_failed() {
        let node = Reply::Array(vec![Reply::Bytes("a".into()), Reply::Int(7)]);
        let slots = vec![Reply::Int(0), Reply::Int(9), node];
        let slots = Reply::Array(vec![Reply::Array(slots)]);
        for (flags, want) in [
            ("slave,fail", true),
            ("master,fail", false),
            ("slave", true),
        ] {
            let mut texts = [const { String::new() }; 4];
            texts[0] = format!(
                "id1 a:7@17 myself,master - 0 0 1 connected 0-9\nid2 b:8@18 {flags} id1 0 0 1"
            );
            let mut map = Map::read(slots.clone(), &texts, "h:1").unwrap();
            assert_eq!(map.has_replicas, want, "{flags}");
            assert_eq!(map.masters(), ["a:7"]);
            assert_eq!(map.master_of(10), None);
            map.note_moved(10, "b:8".into());
            assert_eq!(map.master_of(10), Some(&"b:8".to_owned()));
        }
    }
}
