//! One round of sending: to each server its part, and then what each answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::time::Duration;

use crate::os;

use super::command::{Command, To, until};
use super::map::{Map, ROLE, is_master};
use super::pending::{Failure, Pending, plain_text};
use super::ready::{BELIEVED, facts_of, given, load_scripts};
use super::reply::{Answer, judge};
use super::resp::{Reply, write_command};
use super::sentinel::word_of_all;
use super::slots::Address;
use super::socket::{Socket, stays};
use super::target::Target;
use super::wait::{Wait, has_written};

/// What a link knows and has.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) map: Option<Map>,
    /// The map may be out of date.
    pub(super) is_stale: bool,
    /// The map was asked for since the call began.
    is_fresh: bool,
    sockets: HashMap<Address, Socket>,
    /// Servers that lack the scripts.
    unscripted: HashSet<Address>,
}

/// What one round of sending left to be done.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    pub(super) failure: Option<Failure>,
    /// It is worth trying again at once.
    pub(super) retry_now: bool,
    /// A server did nothing, as it lacks a script.
    pub(super) lacks_script: bool,
    /// A server that sent elsewhere, and where.
    pub(super) sent_elsewhere: Option<(Address, Address)>,
    /// How many replicas were to have a write, and the fewest that it reached, where it was too few.
    pub(super) reached: Option<(u32, u32)>,
}

/// What a round is about.
struct Round<'a> {
    target: &'a Target,
    commands: &'a [Command],
    calls: &'a mut Pending,
    deadline: Duration,
    left: Dispatch,
}

/// What was sent to a server: commands by their numbers, each with whether `ASKING` stands before it; and
/// what stands behind them.
struct Part<'a> {
    server: Address,
    numbers: Vec<(usize, bool)>,
    asks_role: bool,
    wait: Option<Wait<'a>>,
}

impl State {
    /// Begins a call: what was told of the servers before may have changed since.
    pub(super) fn begin(&mut self) {
        self.is_fresh = false;
    }

    /// Returns the map, after a look for a better one if it is known to be out of date.
    pub(super) fn map(&mut self, target: &Target, writes: bool) -> Result<&mut Map, Failure> {
        let believed = match &target.location.sentinel {
            // A master that was replaced takes itself for one until a sentinel has told it.
            Some(_) => BELIEVED / 10,
            None => BELIEVED,
        };
        let is_old = |map: &Map| os::since_boot().saturating_sub(map.since) > believed;
        if self.is_stale || self.map.as_ref().is_none_or(is_old) {
            let map = self.find_map(target, writes)?;
            self.is_stale = false;
            self.is_fresh = true;
            self.map = Some(map);
        }
        Ok(self.map.as_mut().expect("it was made just now"))
    }

    /// Asks one server after another for the map, those first that are known to be masters.
    fn find_map(&mut self, target: &Target, writes: bool) -> Result<Map, Failure> {
        let location = &target.location;
        let mut failure = None;
        let mut replicas = None;
        let mut servers: Vec<Address> = match &location.sentinel {
            // Of a master that was replaced only they know.
            Some(name) => match word_of_all(location, name, target.haste()) {
                Ok(known) => {
                    replicas = Some(known.wanted());
                    vec![known.master]
                }
                Err((server, why)) => return Err(Failure { server, why }),
            },
            None => {
                let known = self.map.iter().flat_map(Map::masters);
                known.chain(given(location)).collect()
            }
        };
        let mut seen = HashSet::new();
        servers.retain(|server| seen.insert(server.clone()));
        let mut second_best = None;
        for server in servers {
            let mut asked = self.ask_map(target, &server, writes);
            if let (Ok(map), Some(replicas)) = (&mut asked, replicas)
                && !map.is_cluster
            {
                map.replicas = Ok(replicas);
            }
            match asked {
                Ok(map) if map.is_cluster || map.is_master => return Ok(map),
                Ok(map) => second_best = Some(map),
                Err(err) => {
                    self.sockets.remove(&server);
                    failure.get_or_insert(Failure { server, why: err });
                }
            }
        }
        match (second_best, failure) {
            (Some(map), _) if location.reads_replica => Ok(map),
            // It may be behind its master, or empty: what it lacks is not known to be absent.
            (Some(map), failure) => {
                let master = failure.map_or(String::new(), |Failure { server, why }| {
                    format!(", and {server}: {}", plain_text(&why))
                });
                let why = format!("it is a replica{master}; `?read=replica` reads it all the same");
                Err(Failure::of(&map.asked, why))
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Failure::of("", "it names no host")),
        }
    }

    fn ask_map(&mut self, target: &Target, server: &str, writes: bool) -> io::Result<Map> {
        let socket = self.socket(target, server, target.haste())?;
        Map::ask(socket, server, writes)
    }

    fn socket(
        &mut self,
        target: &Target,
        server: &str,
        limit: Duration,
    ) -> io::Result<&mut Socket> {
        if !self.sockets.contains_key(server) {
            let socket = Socket::connect(&target.location, server, limit)?;
            self.sockets.insert(server.to_owned(), socket);
        }
        let socket = self.sockets.get_mut(server).expect("it is there");
        socket.limit(limit)?;
        Ok(socket)
    }

    /// Sends what has no answer yet, and reads what comes back.
    pub(super) fn dispatch(
        &mut self,
        target: &Target,
        commands: &[Command],
        calls: &mut Pending,
        deadline: Duration,
    ) -> Dispatch {
        let writes = commands.iter().any(Command::writes);
        let mut left = Dispatch::default();
        let map = match self.map(target, writes) {
            Ok(map) => map.clone(),
            Err(failure) => {
                left.failure = Some(failure);
                return left;
            }
        };
        let mut parts: BTreeMap<Address, Vec<(usize, bool)>> = BTreeMap::new();
        for (number, command) in commands.iter().enumerate() {
            if calls.replies[number].is_some() {
                continue;
            }
            let ask = calls.asks.remove(&number);
            let asking = ask.is_some();
            let server = ask.or_else(|| match &command.to {
                To::Slot(slot) => map.master_of(*slot).cloned(),
                To::Node(node) => Some(node.clone()),
            });
            match server {
                Some(server) => parts.entry(server).or_default().push((number, asking)),
                None => {
                    self.is_stale = true;
                    left.failure = Some(Failure::of("", "no server has the slot of the key"));
                }
            }
        }
        let mut round = Round {
            target,
            commands,
            calls,
            deadline,
            left,
        };
        // All servers work at the same time: each is told what to do before any is listened to.
        let mut sent = Vec::new();
        for (server, numbers) in parts {
            match self.send(&mut round, &map, &server, numbers) {
                Ok(part) => sent.push(part),
                Err(err) => self.lose(&mut round.left, server, err),
            }
        }
        for part in sent {
            let Some(mut socket) = self.sockets.remove(&part.server) else {
                continue;
            };
            let server = part.server.clone();
            let received = self.receive(&mut round, &mut socket, part);
            self.sockets.insert(server.clone(), socket);
            if let Err(err) = received {
                self.lose(&mut round.left, server, err);
            }
        }
        round.left
    }

    /// Notes that a server cannot be reached.
    fn lose(&mut self, round: &mut Dispatch, server: Address, err: io::Error) {
        // A connection that was idle for long may have been closed: a new one is worth a try at once.
        round.retry_now |= self.sockets.remove(&server).is_some() && !stays(&err);
        self.is_stale = true;
        round.failure = Some(Failure { server, why: err });
    }

    /// Sends one server its commands.
    fn send<'a>(
        &mut self,
        round: &mut Round<'a>,
        map: &Map,
        server: &str,
        numbers: Vec<(usize, bool)>,
    ) -> io::Result<Part<'a>> {
        let (target, commands, deadline) = (round.target, round.commands, round.deadline);
        let mut writes = numbers.iter().map(|(number, _)| commands[*number].writes());
        let writes = writes.any(|writes| writes);
        let asks_role =
            !map.is_cluster && !self.is_fresh && (writes || !target.location.reads_replica);
        let is_unscripted = self.unscripted.contains(server);
        let socket = self.socket(target, server, target.patience())?;
        if is_unscripted {
            load_scripts(socket)?;
        }
        let facts = match writes {
            true => Some(facts_of(socket, &target.location)?.clone()),
            false => None,
        };
        let wait = match &facts {
            Some(facts) => Some(Wait::new(target, map, facts, deadline)?).filter(Wait::is_needed),
            None => None,
        };
        let mut bytes = Vec::new();
        for (number, asking) in &numbers {
            if *asking {
                write_command(&mut bytes, &["ASKING"]);
            }
            let Command {
                bytes: command,
                until_at,
                ..
            } = &commands[*number];
            let begin = bytes.len();
            bytes.extend_from_slice(command);
            if let (Some(at), Some(facts)) = (until_at, &facts) {
                // Whoever sends in time also waits for the answer.
                let last = facts.clock_at(deadline + target.patience());
                let until = until(round.calls.sent[*number], last);
                bytes[begin + at..][..until.len()].copy_from_slice(&until);
                round.calls.send(*number);
            }
        }
        if asks_role {
            write_command(&mut bytes, &ROLE);
        }
        if let Some(wait) = &wait {
            wait.write(&mut bytes);
            socket.limit(target.patience() + wait.left())?;
        }
        socket.send(&bytes)?;
        self.unscripted.remove(server);
        Ok(Part {
            server: server.to_owned(),
            numbers,
            asks_role,
            wait,
        })
    }

    /// Reads what one server answers.
    fn receive(
        &mut self,
        round: &mut Round<'_>,
        socket: &mut Socket,
        part: Part<'_>,
    ) -> io::Result<()> {
        let (commands, server) = (round.commands, &*part.server);
        let (calls, round) = (&mut *round.calls, &mut round.left);
        let mut answered = Vec::new();
        for (number, asking) in &part.numbers {
            if *asking {
                socket.receive()?;
            }
            let answer = judge(socket.receive()?, server);
            if !matches!(&answer, Answer::Final(_)) {
                calls.refuse(*number);
            }
            match answer {
                // Nobody carried it out this time, and perhaps an earlier time.
                Answer::Final(Reply::Bytes(word))
                    if word == b"late" && commands[*number].writes() =>
                {
                    calls.refuse(*number);
                    socket.facts = None;
                    let why = "by its clock the call came too late";
                    round.failure = Some(Failure::of(server, why));
                }
                Answer::Final(reply) => answered.push((*number, reply)),
                Answer::Moved(slot, there) => {
                    round.sent_elsewhere = Some((server.to_owned(), there.clone()));
                    if let Some(map) = &mut self.map {
                        map.note_moved(slot, there);
                    }
                    self.is_stale = true;
                    round.retry_now = true;
                }
                Answer::Ask(there) => {
                    round.sent_elsewhere = Some((server.to_owned(), there.clone()));
                    calls.asks.insert(*number, there);
                    round.retry_now = true;
                }
                Answer::NoScript => {
                    self.unscripted.insert(server.to_owned());
                    (round.retry_now, round.lacks_script) = (true, true);
                    round.failure = Some(Failure::of(
                        server,
                        "it forgets scripts right after SCRIPT LOAD",
                    ));
                }
                Answer::Later(text, is_stale) => {
                    self.is_stale |= is_stale;
                    round.failure = Some(Failure::of(server, text));
                }
            }
        }
        let is_master = match part.asks_role {
            true => is_master(&socket.receive()?) == Some(true),
            false => true,
        };
        if let Some(mut wait) = part.wait {
            let wrote =
                |(number, reply): &(usize, Reply)| commands[*number].writes() && has_written(reply);
            // Where nothing was changed there is nothing to wait for.
            let is_written = answered.iter().any(wrote);
            match wait.read(socket, server, is_written) {
                Ok(reached) if reached < wait.replicas && is_written => {
                    round.reached = Some((wait.replicas, reached));
                }
                Ok(_) => {}
                // Nobody knows what became of the writes.
                Err(err) => {
                    calls.keep(answered, |number| !commands[number].writes());
                    return Err(err);
                }
            }
        }
        if !is_master {
            // What it answered may be what its master had once.
            self.is_stale = true;
            round.failure = Some(Failure::of(server, "it has become a replica"));
            return Ok(());
        }
        calls.keep(answered, |_| true);
        Ok(())
    }
}
