//! Commands on their way to the servers that answer them.
//!
//! A cluster changes while it is used: slots move, masters die. So each command is sent to the server
//! that is believed to have its slot, and sent again, elsewhere or later, for as long as the store's
//! busy timeout allows; whatever is sent can be sent twice. What a write promises is waited for on the
//! connection that carried the write, behind it: `WAIT` on any other would speak of other writes.

use std::io;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::Settings;
use crate::os::{self, interrupt};
use crate::store::{Result, StoreError};

use super::command::{Command, parts};
use super::dispatch::State;
use super::facts::RULE;
use super::location::RedisLocation;
use super::map::Map;
use super::pending::{Failure, Pending, plain_text};
use super::resp::Reply;
use super::socket::stays;
use super::target::Target;

/// So much is sent before the answers are read.
const LARGEST_ROUND: usize = 1 << 20;
/// So many commands are sent before the answers are read.
const MOST_IN_ROUND: usize = 1024;

/// So many sets of connections are kept for the calls that come next.
const MOST_IDLE: usize = 16;

/// The connections to all servers of a store. Each call that is under way has connections of its own, so
/// that none waits for what a server does for another.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    idle: Mutex<Vec<State>>,
}

impl Link {
    pub(super) fn new(location: RedisLocation, settings: Settings) -> Self {
        Self::to(Target { location, settings })
    }

    fn to(target: Target) -> Self {
        Self {
            target,
            idle: Mutex::default(),
        }
    }

    /// Makes another link to the same servers.
    pub(super) fn another(&self) -> Self {
        Self::to(self.target.clone())
    }

    /// As [`Link::another`], for calls that are of no use when they take longer than this.
    pub(super) fn another_within(&self, limit: Duration) -> Self {
        let mut target = self.target.clone();
        target.settings.busy_timeout = target.settings.busy_timeout.min(limit);
        Self::to(target)
    }

    pub(super) fn location(&self) -> &RedisLocation {
        &self.target.location
    }

    pub(super) fn settings(&self) -> Settings {
        self.target.settings
    }

    /// Takes connections that nobody uses, those that were used last, or a place for new ones.
    fn take(&self) -> State {
        let mut idle = self.idle.lock();
        idle.pop().unwrap_or_default()
    }

    fn give_back(&self, state: State) {
        let mut idle = self.idle.lock();
        if idle.len() < MOST_IDLE {
            idle.push(state);
        }
    }

    /// Returns what is known of the servers, which are asked at the first time; `writes` says that the
    /// call is about to change something.
    pub(super) fn map(&self, writes: bool) -> Result<Map> {
        self.ask_map(writes, false)
    }

    /// As [`Link::map`], but the servers are asked now.
    pub(super) fn fresh_map(&self) -> Result<Map> {
        self.ask_map(false, true)
    }

    fn ask_map(&self, writes: bool, is_stale: bool) -> Result<Map> {
        let deadline = self.target.deadline();
        let mut state = self.take();
        state.is_stale |= is_stale;
        let map = loop {
            match state.map(&self.target, writes) {
                Ok(map) => break map.clone(),
                Err(failure) => pause(self.location(), failure, deadline, false)?,
            }
        };
        self.give_back(state);
        Ok(map)
    }

    /// Carries out commands and returns their answers in the same order. An answer that is an error
    /// is an `Err`.
    pub(super) fn run(&self, commands: &[Command]) -> Result<Vec<Reply>> {
        let replies = self.answers(commands)?;
        replies
            .into_iter()
            .map(|reply| self.accept(reply))
            .collect()
    }

    /// As [`Link::run`], but an answer that is an error is an answer.
    pub(super) fn answers(&self, commands: &[Command]) -> Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        let size = |command: &Command| command.bytes.len();
        for round in parts(commands, MOST_IN_ROUND, LARGEST_ROUND, size) {
            self.run_some(round, &mut replies)?;
        }
        Ok(replies)
    }

    /// As [`Link::run`] for one command.
    pub(super) fn run_one(&self, command: Command) -> Result<Reply> {
        Ok(self.run(&[command])?.swap_remove(0))
    }

    fn run_some(&self, commands: &[Command], done: &mut Vec<Reply>) -> Result<()> {
        // What fails leaves connections behind that may have answers under way: they are dropped.
        let mut state = self.take();
        state.begin();
        let begun = os::since_boot();
        let deadline = self.target.deadline();
        let mut calls = Pending::new(commands.len());
        let mut tries = 0_u32;
        loop {
            let round = state.dispatch(&self.target, commands, &mut calls, deadline);
            if let Some((wanted, reached)) = round.reached {
                return Err(StoreError::Unreplicated {
                    place: self.location().to_string(),
                    key: None,
                    wanted,
                    reached,
                    waited: os::since_boot().saturating_sub(begun),
                });
            }
            if calls.replies.iter().all(Option::is_some) {
                break;
            }
            tries += 1;
            let unsure = |number: usize| {
                commands[number].writes() && calls.sent[number] && calls.replies[number].is_none()
            };
            let is_unsure = (0..commands.len()).any(unsure);
            match round.failure {
                // A server may redirect a few times at once, and then after a pause each time. One that has
                // become a master lacks the scripts, and is waited for all the same by the WAIT behind one.
                _ if round.retry_now
                    && tries <= 8
                    && (os::since_boot() < deadline || round.lacks_script && tries == 1) => {}
                Some(failure) => pause(self.location(), failure, deadline, is_unsure)?,
                None => {
                    let (server, there) = round.sent_elsewhere.unwrap_or_default();
                    let why = io::Error::other(format!(
                        "the cluster keeps redirecting (MOVED, ASK), last to {there}, after {tries} tries: \
                         compare the answers of both servers to `CLUSTER SLOTS`"
                    ));
                    pause(
                        self.location(),
                        Failure { server, why },
                        deadline,
                        is_unsure,
                    )?;
                }
            }
        }
        done.extend(calls.replies.into_iter().flatten());
        self.give_back(state);
        Ok(())
    }

    /// As [`Link::answers`] for one command.
    pub(super) fn answer(&self, command: Command) -> Result<Reply> {
        Ok(self.answers(&[command])?.swap_remove(0))
    }

    /// Takes an answer that is no error.
    pub(super) fn accept(&self, reply: Reply) -> Result<Reply> {
        match reply {
            Reply::Error(text) => Err(self.refused(&text)),
            reply => Ok(reply),
        }
    }

    /// Takes an answer that must be bytes, or that there are none.
    pub(super) fn bytes(&self, reply: Reply) -> Result<Option<Vec<u8>>> {
        match self.accept(reply)? {
            Reply::Nil => Ok(None),
            Reply::Bytes(bytes) => Ok(Some(bytes)),
            _ => Err(self.wrong_kind()),
        }
    }

    /// Takes an answer that must be a list.
    pub(super) fn array(&self, reply: Reply) -> Result<Vec<Reply>> {
        match self.accept(reply)? {
            Reply::Array(parts) => Ok(parts),
            _ => Err(self.wrong_kind()),
        }
    }

    /// Takes an answer that must be a number.
    pub(super) fn int(&self, reply: Reply) -> Result<i64> {
        match self.accept(reply)? {
            Reply::Int(number) => Ok(number),
            _ => Err(self.wrong_kind()),
        }
    }

    /// Says that an answer is of a kind that the command does not have: no answer is made of it.
    pub(super) fn wrong_kind(&self) -> StoreError {
        self.refused("an answer is of another kind than the command has: is it a server of Redis?")
    }

    /// Makes an error of what a server said.
    fn refused(&self, text: &str) -> StoreError {
        // Which line of a script it was means nothing to a person.
        let denied = text.strip_prefix("ERR ACL failure in script: ");
        let denied = denied.map(|why| format!("NOPERM {why}"));
        let text = denied.as_deref().unwrap_or(text);
        let text = text.split(" script: ").next().unwrap_or_default();
        let (kind, text) = match text.split(' ').next() {
            Some("OOM") => (
                io::ErrorKind::StorageFull,
                "its memory is full (`maxmemory`): what frees some, as `kv rm` and `kv gc`, works",
            ),
            _ => (io::ErrorKind::Other, text),
        };
        let is_forbidden = text.starts_with("NOPERM") || text.contains("user executing the script");
        let rule = if is_forbidden { RULE } else { "" };
        self.cannot("use", io::Error::new(kind, format!("{text}{rule}")))
    }

    /// Says what could not be done with the servers.
    pub(super) fn cannot(&self, action: &'static str, why: io::Error) -> StoreError {
        StoreError::io(action, self.location().to_string(), why)
    }
}

/// Waits a moment before the next try, if there is time for one. With `is_unsure` something was sent that
/// may have been carried out.
fn pause(
    location: &RedisLocation,
    Failure { server, why }: Failure,
    deadline: Duration,
    is_unsure: bool,
) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let is_over = os::since_boot() + PAUSE >= deadline || interrupt::is_wanted();
    if !is_over && !stays(&why) {
        thread::sleep(PAUSE);
        // This process may have been stopped for long meanwhile.
        if os::since_boot() < deadline {
            return Ok(());
        }
    }
    let text = plain_text(&why);
    let server = match server.is_empty() {
        true => String::new(),
        false => format!("{server}: "),
    };
    let unsure = match is_unsure {
        true => "; the change may have been made all the same: look before you try again",
        false => "",
    };
    let action = match why.kind() {
        // It was reached, and said so itself.
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::Other => {
            "use"
        }
        _ => "reach",
    };
    let why = io::Error::new(why.kind(), format!("{server}{text}{unsure}"));
    Err(StoreError::io(action, location.to_string(), why))
}
