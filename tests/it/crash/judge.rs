//! What a store must be in every state in which a power cut may leave it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use kv::engine::{Settings, Sync, open};
use kv::store::{
    Clock, Collect, Condition, End, Entry, Expiry, Key, Location, Meta, Namespace, Progress, Put,
    Selection, Store, StoreError, Time,
};

use super::states::State;
use crate::harness::KV;

/// What a namespace holds.
pub type Values = BTreeMap<String, Vec<u8>>;

/// What a command makes of a key.
pub type Write = (String, Option<Vec<u8>>);

/// What becomes of a namespace when the last command is run again: its exit status, and the values.
pub type Again = fn(&Values) -> (i32, Values);

/// The system's clock.
#[derive(Debug)]
pub struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        Time::from_system(SystemTime::now())
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub struct Then(pub SystemTime);

impl Clock for Then {
    fn now(&self) -> Time {
        Time::from_system(self.0)
    }
}

/// Keeps what a collection of garbage complains of.
#[derive(Debug, Default)]
struct Complaints(Vec<String>);

impl Progress for Complaints {
    fn step(&mut self, _: u64, _: u64) {}

    fn evict(&mut self, _: &Key) {}

    fn damage(&mut self, err: StoreError) {
        self.0.push(format!("{err:?}"));
    }
}

/// A namespace of a store, without a process of its own.
pub struct Opened {
    pub store: Box<dyn Store>,
    pub namespace: Namespace,
    /// Of what it holds something may be damaged, and that is to be read as such.
    pub is_damaged: bool,
}

impl Opened {
    pub fn at(path: &Path, namespace: &str) -> Self {
        let settings = Settings {
            sync: Sync::Full,
            busy_timeout: Duration::from_secs(5),
            existing: false,
        };
        Self {
            store: open(Location::Directory(path.to_owned()), settings),
            namespace: namespace.parse().unwrap(),
            is_damaged: false,
        }
    }

    /// Reads all values: by listing them, and each by its key.
    pub fn values(&self, keys: &BTreeSet<String>) -> Result<Values, String> {
        if self.is_damaged {
            return self.look(keys);
        }
        let selection = Selection {
            values: true,
            ..Selection::default()
        };
        let mut listed = Values::new();
        let now = Now.now();
        let mut all = self.store.scan(&self.namespace, &selection, now);
        let all = all.as_mut().map_err(|err| format!("ls: {err:?}"))?;
        while let Some(next) = all.next() {
            let next = next.map_err(|err| format!("ls: {err:?}"))?;
            let key = String::from_utf8(next.key.to_vec()).unwrap();
            let value = next.value.unwrap().into_vec();
            let value = value.map_err(|err| format!("ls: {key}: {err:?}"))?;
            listed.insert(key, with_expiry(value, next.meta));
        }
        for name in keys {
            let key = Key::new(name.as_bytes().to_vec()).unwrap();
            let got = self.store.get(&self.namespace, &key, now);
            let read = |entry: Entry| Ok(with_expiry(entry.value.into_vec()?, entry.meta));
            let got = got.and_then(|entry| entry.map(read).transpose());
            let got = got.map_err(|err| format!("get {name}: {err:?}"))?;
            if listed.get(name) != got.as_ref() {
                return Err(format!("get and ls disagree on {name}"));
            }
        }
        Ok(listed)
    }

    /// Stores a value, as of a time.
    pub fn put_at(
        &self,
        key: &str,
        value: &[u8],
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<(), String> {
        let name = Key::new(key.as_bytes().to_vec()).unwrap();
        let put = Put {
            value: &mut { value },
            expiry,
            modified: None,
            condition: Condition::Always,
        };
        let etag = self.store.put(&self.namespace, &name, put, clock);
        etag.map_err(|err| format!("put {key}: {err:?}"))?;
        Ok(())
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.put_at(key, value, Expiry::Never, &Now)
    }

    fn remove(&self, key: &str) -> Result<(), String> {
        let name = Key::new(key.as_bytes().to_vec()).unwrap();
        let removed = self
            .store
            .remove(&self.namespace, &name, &Condition::Always, &Now);
        match removed.map_err(|err| format!("remove {key}: {err:?}"))? {
            true => Ok(()),
            false => Err(format!("remove {key}: it is not there")),
        }
    }

    /// Collects garbage.
    pub fn gc(&self) -> Result<(), String> {
        let mut complaints = Complaints::default();
        let request = Collect {
            at_once: true,
            ..Collect::default()
        };
        let done = self
            .store
            .collect(&self.namespace, &request, &Now, &mut complaints);
        let done = done.map_err(|err| format!("gc: {err:?}"))?;
        match (done.is_busy, complaints.0.first()) {
            (false, None) => Ok(()),
            wrong => Err(format!("gc: {wrong:?}")),
        }
    }

    /// Adds an element to the list, then takes all.
    fn drain(&self) -> Result<Vec<Vec<u8>>, String> {
        let pushed = self.store.push(&self.namespace, &mut &b"last"[..], &Now);
        pushed.map_err(|err| format!("push: {err:?}"))?;
        let mut all = Vec::new();
        loop {
            let popped = self.store.pop(&self.namespace, End::First, &Now);
            let Some(entry) = popped.map_err(|err| format!("pop: {err:?}"))? else {
                return Ok(all);
            };
            all.push(
                entry
                    .value
                    .into_vec()
                    .map_err(|err| format!("pop: {err:?}"))?,
            );
        }
    }
}

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
        let done = done.and_then(|values| self.allow(&values, state.told));
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
            if there != values {
                return Err(format!("{when}: {there:?}, not {values:?}"));
            }
            opened.gc()?;
        }
        Ok(())
    }
}

/// Says behind a value if it expires.
pub fn with_expiry(mut value: Vec<u8>, meta: Meta) -> Vec<u8> {
    if meta.expires.is_some() {
        value.extend_from_slice(b" (expires)");
    }
    value
}

pub fn set(values: &mut Values, key: &str, value: Option<&Vec<u8>>) {
    match value {
        Some(value) => _ = values.insert(key.to_owned(), value.clone()),
        None => _ = values.remove(key),
    }
}
