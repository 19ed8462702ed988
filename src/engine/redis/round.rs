//! One round of sending: to each server its part, and then what each answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use super::command::{Command, To};
use super::link::Link;
use super::map::Map;
use super::reply::{Answer, judge};
use super::resp::{Reply, write_command};
use super::script::Script;
use super::slots::{Address, address};
use super::socket::Socket;
use super::wait::{Wait, has_written};

/// What a link knows and has.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) map: Option<Map>,
    /// The map may be out of date.
    pub(super) is_stale: bool,
    sockets: HashMap<Address, Socket>,
    /// Servers that lack the scripts.
    unscripted: HashSet<Address>,
}

/// What one round of sending left to be done.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) trouble: Option<Trouble>,
    /// It is worth trying again at once.
    pub(super) is_hopeful: bool,
    /// The fewest replicas that a write reached, where it was too few.
    pub(super) reached: Option<u32>,
}

/// Why there is no answer yet, and of which server; of none in particular where that is empty.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) server: Address,
    pub(super) why: io::Error,
}

impl State {
    /// Returns the map, after a look for a better one if it is known to be out of date.
    pub(super) fn map(&mut self, link: &Link) -> Result<&mut Map, Trouble> {
        if self.map.is_none() || self.is_stale {
            let map = self.find_map(link)?;
            self.is_stale = false;
            self.map = Some(map);
        }
        Ok(self.map.as_mut().expect("it was made just now"))
    }

    /// Asks one server after another for the map, those first that are known to be masters.
    fn find_map(&mut self, link: &Link) -> Result<Map, Trouble> {
        let known = self.map.iter().flat_map(Map::masters);
        let given = link
            .place()
            .hosts
            .iter()
            .map(|(host, port)| address(host, port));
        let mut servers: Vec<Address> = known.chain(given).collect();
        let mut seen = HashSet::new();
        servers.retain(|server| seen.insert(server.clone()));
        let mut second_best = None;
        let mut trouble = None;
        for server in servers {
            match self.ask_map(link, &server) {
                Ok(map) if map.is_cluster && link.place().database != 0 => {
                    let why = "a cluster has no database but 0";
                    let why = io::Error::new(io::ErrorKind::Unsupported, why);
                    return Err(Trouble { server, why });
                }
                Ok(map) if map.is_cluster || map.is_master => return Ok(map),
                // It can be read; perhaps another can be written too.
                Ok(map) => second_best = Some(map),
                Err(err) => {
                    self.sockets.remove(&server);
                    trouble.get_or_insert(Trouble { server, why: err });
                }
            }
        }
        match (second_best, trouble) {
            (Some(map), _) => Ok(map),
            (None, Some(trouble)) => Err(trouble),
            (None, None) => Err(Trouble {
                server: String::new(),
                why: io::Error::other("it names no host"),
            }),
        }
    }

    fn ask_map(&mut self, link: &Link, server: &str) -> io::Result<Map> {
        // Whoever is alive answers this quickly, and others are to be asked as well.
        let limit = link.patience().min(Duration::from_secs(2));
        let socket = self.socket(link, server, limit)?;
        Map::ask(socket, server)
    }

    fn socket(&mut self, link: &Link, server: &str, limit: Duration) -> io::Result<&mut Socket> {
        if !self.sockets.contains_key(server) {
            let socket = Socket::connect(link.place(), server, limit)?;
            self.sockets.insert(server.to_owned(), socket);
        }
        let socket = self.sockets.get_mut(server).expect("it is there");
        socket.limit(limit)?;
        Ok(socket)
    }

    /// Sends what has no answer yet, and reads what comes back.
    pub(super) fn round(
        &mut self,
        link: &Link,
        commands: &[Command],
        replies: &mut [Option<Reply>],
        asks: &mut HashMap<usize, Address>,
        deadline: Option<Instant>,
    ) -> Round {
        let mut round = Round::default();
        let map = match self.map(link) {
            Ok(map) => map.clone(),
            Err(trouble) => {
                round.trouble = Some(trouble);
                return round;
            }
        };
        let mut parts: BTreeMap<Address, Vec<(usize, bool)>> = BTreeMap::new();
        for (number, command) in commands.iter().enumerate() {
            if replies[number].is_some() {
                continue;
            }
            let ask = asks.remove(&number);
            let asking = ask.is_some();
            let server = ask.or_else(|| match &command.to {
                To::Slot(slot) => map.master_of(*slot).cloned(),
                To::Node(node) => Some(node.clone()),
            });
            match server {
                Some(server) => parts.entry(server).or_default().push((number, asking)),
                None => {
                    self.is_stale = true;
                    let why = io::Error::other("no server has the slot of the key");
                    round.trouble = Some(Trouble {
                        server: String::new(),
                        why,
                    });
                }
            }
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = Wait::new(link, &map, left);
        // All servers work at the same time: each is told what to do before any is listened to.
        let mut sent = Vec::new();
        for (server, part) in parts {
            match self.send(link, &server, &part, commands, &wait) {
                Ok(waits) => sent.push((server, part, waits)),
                Err(err) => self.lose(&mut round, server, err),
            }
        }
        for (server, part, waits) in sent {
            let Some(mut socket) = self.sockets.remove(&server) else {
                continue;
            };
            match self.receive(
                &mut round,
                &mut socket,
                &server,
                &part,
                commands,
                replies,
                asks,
                waits,
            ) {
                Ok(()) => _ = self.sockets.insert(server, socket),
                Err(err) => self.lose(&mut round, server, err),
            }
        }
        round
    }

    /// Notes that a server cannot be reached.
    fn lose(&mut self, round: &mut Round, server: Address, err: io::Error) {
        // A connection that was idle for long may have been closed: a new one is worth a try at once.
        round.is_hopeful |= self.sockets.remove(&server).is_some();
        self.is_stale = true;
        round.trouble = Some(Trouble { server, why: err });
    }

    /// Sends one server its part. Returns what is waited for behind it.
    fn send(
        &mut self,
        link: &Link,
        server: &str,
        part: &[(usize, bool)],
        commands: &[Command],
        wait: &Wait,
    ) -> io::Result<Option<Wait>> {
        let writes = part.iter().any(|(number, _)| commands[*number].writes);
        let is_unscripted = self.unscripted.contains(server);
        let socket = self.socket(link, server, link.patience())?;
        let mut bytes = Vec::new();
        if is_unscripted {
            for script in Script::ALL {
                write_command(&mut bytes, &["SCRIPT", "LOAD", script.source()]);
            }
            socket.send(&bytes)?;
            for _ in Script::ALL {
                socket.receive()?;
            }
            bytes.clear();
        }
        for (number, asking) in part {
            if *asking {
                write_command(&mut bytes, &["ASKING"]);
            }
            bytes.extend_from_slice(&commands[*number].bytes);
        }
        let waits = (writes && wait.is_needed()).then(|| wait.clone());
        if let Some(waits) = &waits {
            waits.write(&mut bytes);
            socket.limit(link.patience() + waits.limit)?;
        }
        socket.send(&bytes)?;
        self.unscripted.remove(server);
        Ok(waits)
    }

    /// Reads what one server answers to its part.
    #[allow(clippy::too_many_arguments)] // All of it belongs to the round that is under way.
    fn receive(
        &mut self,
        round: &mut Round,
        socket: &mut Socket,
        server: &str,
        part: &[(usize, bool)],
        commands: &[Command],
        replies: &mut [Option<Reply>],
        asks: &mut HashMap<usize, Address>,
        waits: Option<Wait>,
    ) -> io::Result<()> {
        let mut answered = Vec::new();
        for (number, asking) in part {
            if *asking {
                socket.receive()?;
            }
            match judge(socket.receive()?, server) {
                Answer::Final(reply) => answered.push((*number, reply)),
                Answer::Moved(slot, there) => {
                    if let Some(map) = &mut self.map {
                        map.note_moved(slot, there);
                    }
                    self.is_stale = true;
                    round.is_hopeful = true;
                }
                Answer::Ask(there) => {
                    asks.insert(*number, there);
                    round.is_hopeful = true;
                }
                Answer::NoScript => {
                    self.unscripted.insert(server.to_owned());
                    round.is_hopeful = true;
                }
                Answer::Later(text, is_stale) => {
                    self.is_stale |= is_stale;
                    round.trouble = Some(Trouble {
                        server: server.to_owned(),
                        why: io::Error::other(text),
                    });
                }
            }
        }
        let mut is_kept = true;
        if let Some(waits) = waits {
            match waits.read(socket)? {
                Some(reached) if reached >= waits.replicas => {}
                Some(reached) => {
                    let wrote = |(number, reply): &(usize, Reply)| {
                        commands[*number].writes && has_written(reply)
                    };
                    if answered.iter().any(wrote) {
                        round.reached = Some(reached);
                    }
                }
                // The server is no master any more: nobody knows what became of the writes.
                None => is_kept = false,
            }
        }
        if !is_kept {
            self.is_stale = true;
            let why = io::Error::other("it is no master any more");
            round.trouble = Some(Trouble {
                server: server.to_owned(),
                why,
            });
        }
        for (number, reply) in answered {
            if is_kept || !commands[number].writes {
                replies[number] = Some(reply);
            }
        }
        Ok(())
    }
}
