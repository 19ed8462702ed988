//! Calls of the scripts that change one entry.

use std::time::Duration;

use crate::os;
use crate::store::{Etag, Key, Namespace, Result, StoreError, Time};

use super::Redis;
use super::codec::Bad;
use super::command::Command;
use super::names::{Bucket, Room, registry};
use super::script::Script;
use super::wait::has_written;

/// What a script answered to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The condition does not hold.
    No,
    /// Another word, which means something to one script only.
    Word(String),
}

/// An entry that is about to be changed by a script.
pub(super) struct Change<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) key: &'a Key,
    pub(super) room: Room,
    pub(super) script: Script,
    /// Names the call, so that it is carried out once however often it is sent.
    pub(super) id: u64,
    pub(super) now: Time,
    /// The counter of the list, if the key is of one.
    pub(super) counter: Option<Vec<u8>>,
    /// What the script takes besides what every script takes.
    pub(super) args: Vec<Vec<u8>>,
}

impl Redis {
    /// Prepares a change; what its script takes is still to be added.
    pub(super) fn change<'a>(
        &self,
        namespace: &'a Namespace,
        key: &'a Key,
        script: Script,
        id: u64,
        now: Time,
    ) -> Change<'a> {
        let bucket = Bucket::of(key.as_bytes());
        let room = self.room(namespace, bucket);
        Change {
            namespace,
            key,
            script,
            id,
            now,
            counter: (bucket == Bucket::LIST).then(|| room.single('c')),
            room,
            args: Vec::new(),
        }
    }

    /// Has a script change an entry, and registers the namespace first where that is needed.
    pub(super) fn carry_out(&self, change: &Change<'_>) -> Result<Outcome> {
        let mut is_registered = false;
        let mut unreplicated = None;
        loop {
            let command = self.command_of(change, is_registered)?;
            let reply = self.link.run_one(command)?;
            if has_written(&reply)
                && let Some(err) = unreplicated
            {
                return Err(err);
            }
            let word = reply.into_bytes().unwrap_or_default();
            match &word[..] {
                b"done" => return Ok(Outcome::Done),
                b"no" => return Ok(Outcome::No),
                b"register" if !is_registered => {
                    match self.register(change.namespace) {
                        // Whoever is told of it must find stored what was to be stored.
                        Err(err @ StoreError::Unreplicated { .. }) => unreplicated = Some(err),
                        registered => registered?,
                    }
                    is_registered = true;
                }
                b"damaged" => {
                    return Err(self.damage_of(change.namespace, change.key));
                }
                word => return Ok(Outcome::Word(String::from_utf8_lossy(word).into_owned())),
            }
        }
    }

    /// Prepares the call of the script for a change.
    pub(super) fn command_of(&self, change: &Change<'_>, is_registered: bool) -> Result<Command> {
        let room = &change.room;
        let key = change.key.as_bytes();
        let mut words = change
            .script
            .call(3 + usize::from(change.counter.is_some()));
        words.push(room.single('i'));
        words.push(room.entry(key));
        words.push(room.many('o', format!("{:016x}", change.id).as_bytes()));
        words.extend(change.counter.clone());
        // Nobody repeats a call for longer than this.
        let kept = self.link.settings().busy_timeout.saturating_mul(2) + Duration::from_secs(10);
        let kept = kept.min(Duration::from_secs(3_600));
        words.push(if is_registered {
            b"1".to_vec()
        } else {
            b"0".to_vec()
        });
        words.push(change.now.as_millis().to_string().into_bytes());
        words.push(kept.as_millis().to_string().into_bytes());
        words.push(self.publish()?.into());
        words.push(room.single('w'));
        words.push(key.to_vec());
        words.extend(change.args.iter().cloned());
        Ok(Command::write(room.slot, &words))
    }

    /// Returns the command by which a change is told to those who wait for it.
    pub(super) fn publish(&self) -> Result<&'static str> {
        // In a cluster a channel has a slot, so that not every server has to hear of every change.
        Ok(if self.link.map()?.is_cluster {
            "SPUBLISH"
        } else {
            "PUBLISH"
        })
    }

    /// Makes sure that a namespace is among those that are listed.
    pub(super) fn register(&self, namespace: &Namespace) -> Result<()> {
        let (name, slot) = registry(&self.link.place().prefix);
        // HSET is a write even where it changes nothing, and so what WAIT waits for.
        let words = [
            b"HSET".to_vec(),
            name,
            namespace.as_str().into(),
            b"1".to_vec(),
        ];
        self.link.run_one(Command::write(slot, &words)).map(drop)
    }

    pub(super) fn new_etag(&self) -> Result<Etag> {
        os::random().map(Etag).map_err(|source| StoreError::Io {
            action: "get random bits for",
            path: self.link.place().to_string().into(),
            source,
        })
    }

    /// Says that an entry is not what was written.
    pub(super) fn bad(&self, namespace: &Namespace, key: &[u8], bad: Bad) -> StoreError {
        let room = self.room(namespace, Bucket::of(key));
        let path = String::from_utf8_lossy(&room.entry(key))
            .into_owned()
            .into();
        match bad {
            Bad::Damaged(why) => StoreError::Damaged {
                path,
                source: why.into(),
            },
            Bad::Newer => StoreError::Newer {
                path,
                what: "its first line is of another version".into(),
            },
        }
    }

    /// Finds out what is wrong with an entry that a script could not use.
    fn damage_of(&self, namespace: &Namespace, key: &Key) -> StoreError {
        match self.find(namespace, key, Time(0)) {
            Err(err) => err,
            Ok(_) => self.bad(
                namespace,
                key.as_bytes(),
                Bad::Damaged("it was damaged a moment ago"),
            ),
        }
    }

    pub(super) fn odd_answer(&self, script: &str) -> StoreError {
        StoreError::Io {
            action: "use",
            path: self.link.place().to_string().into(),
            source: std::io::Error::other(format!(
                "the script of `{script}` answers what it cannot"
            )),
        }
    }
}
