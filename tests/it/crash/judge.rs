//! What a store must be in every state in which a power cut may leave it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use super::opened::{Opened, Then, Values, with_expiry};
use super::states::State;
use crate::harness::KV;
pub use crate::library::Now;
use crate::range;

/// What a command makes of a key.
pub type Write = (String, Option<Vec<u8>>);

/// What becomes of a namespace when the last command is run again: its exit status, and the values.
pub type Again = fn(&Values) -> (i32, Values);

/// A command, as far as it is judged.
#[derive(Debug)]
pub struct Told {
    pub writes: Vec<Write>,
    /// It was killed, or did not wait for the disk: what it did may last or not.
    pub is_no_promise: bool,
}

/// What is known of the commands that were recorded.
pub struct Judge {
    /// Where states are laid out.
    pub room: PathBuf,
    /// Where the store is in them.
    pub store: &'static str,
    pub namespace: &'static str,
    pub is_list: bool,
    pub is_repair: bool,
    /// The bytes of what is damaged, which must not get lost.
    pub damaged: Vec<u8>,
    pub before: Values,
    pub commands: Vec<Told>,
    /// The last command, and what it does when it is run once more.
    pub args: Vec<String>,
    pub input: Vec<u8>,
    pub again: Option<Again>,
    pub writes: Vec<Write>,
    pub exit: i32,
}

impl Judge {
    /// Returns all keys that there ever were.
    pub fn keys(&self) -> BTreeSet<String> {
        let written = self.commands.iter().flat_map(|told| &told.writes);
        let written = written.map(|(key, _)| key);
        self.before.keys().chain(written).cloned().collect()
    }

    /// Lays a state out as a real directory and reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(&self, state: &State) -> Result<(), String> {
        let dir = self.lay_out(state);
        let opened = self.open(&dir);
        let done = opened.values(&self.keys());
        let done = done.and_then(|values| {
            self.allow(&values, state.told)?;
            self.drains(&opened, &values)
        });
        let done = done.and_then(|()| self.keeps_damage(&dir));
        fs::remove_dir_all(&dir).unwrap();
        done
    }

    /// Reads it, goes on with it, and does the last command once more.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn try_all(&self, state: &State) -> Result<(), String> {
        for attempt in [Self::go_on, Self::run_again] {
            let dir = self.lay_out(state);
            let opened = self.open(&dir);
            let values = opened.values(&self.keys());
            let done = values.and_then(|values| {
                self.allow(&values, state.told)?;
                attempt(self, &dir, &opened, values)
            });
            fs::remove_dir_all(&dir).unwrap();
            done?;
        }
        Ok(())
    }

    fn open(&self, dir: &Path) -> Opened {
        Opened {
            is_damaged: self.is_repair,
            ..Opened::at(&dir.join(self.store), self.namespace)
        }
    }

    fn lay_out(&self, state: &State) -> PathBuf {
        let dir = self.room.join("state");
        state.disk.lay_out(&dir);
        if self.is_list {
            // The file system went down and came again with the files that it had: what a copy is
            // not believed for is believed.
            range::note(&dir.join(self.store).join(self.namespace));
        }
        dir
    }

    /// Demands of each key that it holds what was acknowledged, or what was written later.
    ///
    /// # Errors
    ///
    /// Which key does not.
    pub fn allow(&self, values: &Values, told: usize) -> Result<(), String> {
        let keys = self.keys();
        if let Some(strange) = values.keys().find(|key| !keys.contains(*key)) {
            return Err(format!("nobody has ever written {strange}"));
        }
        for key in &keys {
            let mut allowed = vec![self.before.get(key)];
            for (number, command) in (1..).zip(&self.commands) {
                for (_, value) in command.writes.iter().filter(|(written, _)| written == key) {
                    if number <= told && !command.is_no_promise {
                        allowed.clear();
                    }
                    allowed.push(value.as_ref());
                }
            }
            let value = values.get(key);
            if !allowed.contains(&value) {
                let show = |value: &Option<&Vec<u8>>| {
                    value.map(|value| {
                        String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned()
                    })
                };
                let allowed: Vec<_> = allowed.iter().map(show).collect();
                return Err(format!(
                    "{key} is {:?} and may be {allowed:?}",
                    show(&value)
                ));
            }
        }
        Ok(())
    }

    /// Demands of a list that all elements are popped, in their order.
    fn drains(&self, opened: &Opened, values: &Values) -> Result<(), String> {
        if !self.is_list {
            return Ok(());
        }
        let drained = opened.take_all()?;
        match drained.iter().eq(values.values()) {
            true => Ok(()),
            false => Err(format!("popped {drained:?}, not {values:?}")),
        }
    }

    /// Demands that the next put and the next gc work, and that gc changes nothing that is seen.
    fn go_on(&self, dir: &Path, opened: &Opened, mut values: Values) -> Result<(), String> {
        const PROBE: &str = "probe";
        if self.is_repair {
            values = self.repair(dir, opened)?;
        }
        let mut keys = self.keys();
        keys.insert(PROBE.to_owned());
        let holds = |values: &Values, when: &str| match opened.values(&keys)? {
            there if there == *values => Ok(()),
            there => Err(format!("{when}: {there:?}, not {values:?}")),
        };
        opened.put(PROBE, b"next")?;
        values.insert(PROBE.to_owned(), b"next".to_vec());
        opened.gc()?;
        holds(&values, "after put and gc")?;
        for command in &self.commands {
            for (key, _) in &command.writes {
                opened.put(key, b"again")?;
                opened.remove(key)?;
                values.remove(key);
            }
        }
        holds(&values, "after put and remove")?;
        opened.gc()?;
        holds(&values, "after put, remove and gc")?;
        if self.is_list {
            opened.remove(PROBE)?;
            values.remove(PROBE);
            let mut left: Vec<_> = values.into_values().collect();
            left.push(b"last".to_vec());
            let drained = opened.drain()?;
            if drained != left {
                return Err(format!("popped {drained:?}, not {left:?}"));
            }
        }
        Ok(())
    }

    /// Demands that the last command can be done once more.
    fn run_again(&self, dir: &Path, opened: &Opened, values: Values) -> Result<(), String> {
        let (status, values) = match self.again {
            Some(again) => again(&values),
            None => {
                let mut values = values;
                for (key, value) in &self.writes {
                    set(&mut values, key, value.as_ref());
                }
                (self.exit, values)
            }
        };
        let input = self.room.join("again");
        fs::write(&input, &self.input).unwrap();
        let output = Command::new(KV)
            .args(&self.args)
            .env_clear()
            .env("KV_STORE", dir.join(self.store))
            .current_dir(dir)
            .stdin(fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        if output.status.code() != Some(status) || !output.stderr.is_empty() {
            return Err(format!("once more: {output:?}"));
        }
        for when in ["once more", "once more, and gc"] {
            let there = opened.values(&self.keys())?;
            // Which number an element has is of no consequence.
            let is_same = match self.is_list {
                true => there.values().eq(values.values()),
                false => there == values,
            };
            if !is_same {
                return Err(format!("{when}: {there:?}, not {values:?}"));
            }
            opened.gc()?;
        }
        Ok(())
    }
}

pub fn set(values: &mut Values, key: &str, value: Option<&Vec<u8>>) {
    match value {
        Some(value) => _ = values.insert(key.to_owned(), value.clone()),
        None => _ = values.remove(key),
    }
}
