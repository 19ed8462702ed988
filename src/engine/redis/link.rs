//! Commands on their way to the servers that answer them.
//!
//! A cluster changes while it is used: slots move, masters die. So each command is sent to the server
//! that is believed to have its slot, and sent again, elsewhere or later, for as long as the store's
//! busy timeout allows; whatever is sent can be sent twice. What a write promises is waited for on the
//! connection that carried the write, behind it: `WAIT` on any other would speak of other writes.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::{Settings, Sync};
use crate::store::{RedisLocation, Result, StoreError};

use super::command::Command;
use super::map::Map;
use super::resp::Reply;
use super::round::{State, Trouble};

/// So much is sent before the answers are read.
const LARGEST_ROUND: usize = 1 << 20;
/// So many commands are sent before the answers are read.
const MOST_IN_ROUND: usize = 1024;

/// The connections to all servers of a store.
#[derive(Debug)]
pub(super) struct Link {
    place: RedisLocation,
    settings: Settings,
    state: Mutex<State>,
}

impl Link {
    pub(super) fn new(place: RedisLocation, settings: Settings) -> Self {
        Self {
            place,
            settings,
            state: Mutex::default(),
        }
    }

    /// Makes another link to the same servers, for a thread that must not wait for others.
    pub(super) fn another(&self) -> Self {
        Self::new(self.place.clone(), self.settings)
    }

    /// As [`Link::another`], for calls that are of no use when they take longer than this.
    pub(super) fn another_within(&self, limit: Duration) -> Self {
        let mut settings = self.settings;
        settings.busy_timeout = settings.busy_timeout.min(limit);
        Self::new(self.place.clone(), settings)
    }

    pub(super) fn place(&self) -> &RedisLocation {
        &self.place
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Returns what is known of the servers, which are asked at the first time.
    pub(super) fn map(&self) -> Result<Map> {
        let deadline = self.deadline();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match state.map(self) {
                Ok(map) => return Ok(map.clone()),
                Err(trouble) => pause(&self.place, trouble, deadline)?,
            }
        }
    }

    /// As [`Link::map`], but the servers are asked now.
    pub(super) fn fresh_map(&self) -> Result<Map> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_stale = true;
        drop(state);
        self.map()
    }

    /// Carries out commands and returns their answers in the same order. An answer that is an error
    /// is an `Err`.
    pub(super) fn run(&self, commands: &[Command]) -> Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        let mut rest = commands;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |command: &&Command| {
                bytes += command.bytes.len();
                bytes <= LARGEST_ROUND
            };
            let count = rest
                .iter()
                .take(MOST_IN_ROUND)
                .take_while(fits)
                .count()
                .max(1);
            let (now, later) = rest.split_at(count);
            self.run_some(now, &mut replies)?;
            rest = later;
        }
        Ok(replies)
    }

    /// As [`Link::run`] for one command.
    pub(super) fn run_one(&self, command: Command) -> Result<Reply> {
        Ok(self.run(&[command])?.swap_remove(0))
    }

    fn run_some(&self, commands: &[Command], done: &mut Vec<Reply>) -> Result<()> {
        let begun = Instant::now();
        let deadline = self.deadline();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut replies: Vec<Option<Reply>> = vec![None; commands.len()];
        let mut asks = HashMap::new();
        let mut hopes = 0;
        loop {
            let round = state.round(self, commands, &mut replies, &mut asks, deadline);
            if let Some(reached) = round.reached {
                return Err(StoreError::Unreplicated {
                    place: self.place.to_string(),
                    wanted: state.map.as_ref().map_or(0, |map| self.replicas(map)),
                    reached,
                    waited: begun.elapsed(),
                });
            }
            if replies.iter().all(Option::is_some) {
                break;
            }
            hopes += 1;
            match round.trouble {
                // A server may send here and there for a while, but not for ever at full speed.
                _ if round.is_hopeful && hopes <= 8 => {}
                Some(trouble) => pause(&self.place, trouble, deadline)?,
                None => {
                    let why = io::Error::other("it sends elsewhere for ever");
                    pause(
                        &self.place,
                        Trouble {
                            server: String::new(),
                            why,
                        },
                        deadline,
                    )?;
                }
            }
        }
        for reply in replies.into_iter().flatten() {
            if let Reply::Error(text) = reply {
                return Err(self.refused(&text));
            }
            done.push(reply);
        }
        Ok(())
    }

    /// How many replicas must have a write.
    pub(super) fn replicas(&self, map: &Map) -> u32 {
        match self.settings.sync {
            Sync::Off => 0,
            Sync::Full => self.place.replicas.unwrap_or(u32::from(map.has_replicas)),
        }
    }

    /// Makes an error of what a server said.
    fn refused(&self, text: &str) -> StoreError {
        StoreError::Io {
            action: "use",
            path: self.place.to_string().into(),
            source: io::Error::other(text.to_owned()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.settings.busy_timeout)
    }

    /// For how long to wait for one answer, so that there is time left to ask another server.
    pub(super) fn patience(&self) -> Duration {
        let third = self.settings.busy_timeout / 3;
        third.clamp(Duration::from_millis(500), Duration::from_secs(5))
    }
}

/// Waits a moment before the next try, if there is time for one.
fn pause(
    place: &RedisLocation,
    Trouble { server, why }: Trouble,
    deadline: Option<Instant>,
) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let is_over = deadline.is_some_and(|deadline| Instant::now() + PAUSE >= deadline);
    if !is_over
        && why.kind() != io::ErrorKind::PermissionDenied
        && why.kind() != io::ErrorKind::Unsupported
    {
        thread::sleep(PAUSE);
        return Ok(());
    }
    let text = why.to_string();
    // The number means nothing to a person.
    let text = text.split(" (os error").next().unwrap_or_default();
    let source = match server.is_empty() {
        true => io::Error::new(why.kind(), text),
        false => io::Error::new(why.kind(), format!("{server}: {text}")),
    };
    let path = place.to_string().into();
    Err(StoreError::Io {
        action: "reach",
        path,
        source,
    })
}
