//! Checking: whether the indexes and the entries tell the same, and whether values are what was written.
//!
//! It cannot see what the server lost as a whole: an entry that is gone together with its place in the
//! index was never there for all that is known.

use std::collections::HashSet;

use crate::store::check::{Repair, Severity};
use crate::store::{Check, Clock, Finding, Key, Namespace, Result, Time};

use super::Redis;
use super::codec::{self, Bad};
use super::command::Command;
use super::names::{Bucket, Room, entries_pattern};
use super::pages::Pages;
use super::resp::Reply;

/// Entries that are read at once; each may be as long as any.
const AT_ONCE: usize = 16;

impl Redis {
    /// Checks a namespace; see [`crate::store::Store::check`].
    pub(super) fn check_namespace(
        &self,
        namespace: &Namespace,
        request: &Check,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let now = clock.now();
        let mut stale = 0_u64;
        let mut pages = Pages::new(self, namespace, (Vec::new(), None), false);
        loop {
            let keys = pages.next(AT_ONCE)?;
            if keys.is_empty() {
                break;
            }
            let get = |(key, room): &(Vec<u8>, Room)| {
                Command::read(room.slot, &[b"GET".to_vec(), room.entry(key)])
            };
            let commands: Vec<Command> = keys.iter().map(get).collect();
            for ((key, room), reply) in keys.iter().zip(self.link.run(&commands)?) {
                match reply.into_bytes().map(|bytes| codec::decode(key, bytes)) {
                    Some(Ok(_)) => {}
                    Some(Err(bad)) => self.settle_damage(key, room, bad, request, now, tell)?,
                    None => stale += 1,
                }
            }
        }
        if stale > 0 {
            let room = self.room(namespace, Bucket::LIST);
            tell(Finding {
                severity: Severity::Note,
                path: path_of(&room.single('i')),
                what: format!(
                    "the indexes name {stale} keys that have expired, or that the server dropped; \
                     `kv gc` sweeps them"
                ),
                key: None,
                repair: None,
            });
        }
        self.find_unlisted(namespace, request, tell)
    }

    /// Tells of a damaged entry, and moves it out of the way if that is asked for.
    fn settle_damage(
        &self,
        key: &[u8],
        room: &Room,
        bad: Bad,
        request: &Check,
        now: Time,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let what = match bad {
            Bad::Damaged(why) => why.to_owned(),
            Bad::Newer => "it was written by a newer kv".to_owned(),
        };
        let is_repaired = request.repair && bad != Bad::Newer;
        let aside = room.many('x', key);
        if is_repaired && !request.dry_run {
            let words = [b"RENAME".to_vec(), room.entry(key), aside.clone()];
            self.link.run_one(Command::write(room.slot, &words))?;
            if let Ok(key) = Key::new(key.to_vec()) {
                self.clear(room, &[key], "dead", now)?;
            }
        }
        tell(Finding {
            severity: Severity::Damage,
            path: path_of(&room.entry(key)),
            what,
            key: Some(key.to_vec()),
            repair: is_repaired.then(|| Repair {
                what: format!("moved to `{}`", String::from_utf8_lossy(&aside)),
                settles: true,
            }),
        });
        Ok(())
    }

    /// Finds entries that no index names: they can be got, but are in no listing.
    fn find_unlisted(
        &self,
        namespace: &Namespace,
        request: &Check,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let pattern = entries_pattern(&self.link.place().prefix, namespace);
        let mut seen = HashSet::new();
        for server in self.link.map()?.masters() {
            let mut cursor = b"0".to_vec();
            loop {
                let words = [&b"SCAN"[..], &cursor, b"MATCH", &pattern, b"COUNT", b"1000"];
                let reply = self.link.run_one(Command::of_node(&server, &words))?;
                let mut parts = reply.into_array().into_iter();
                cursor = parts
                    .next()
                    .and_then(Reply::into_bytes)
                    .unwrap_or_else(|| b"0".to_vec());
                for name in parts.next().map(Reply::into_array).unwrap_or_default() {
                    if let Some(name) = name.into_bytes().filter(|name| seen.insert(name.clone())) {
                        self.check_listed(namespace, &name, request, tell)?;
                    }
                }
                if cursor == b"0" {
                    break;
                }
            }
        }
        Ok(())
    }

    fn check_listed(
        &self,
        namespace: &Namespace,
        name: &[u8],
        request: &Check,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let at = name.windows(3).position(|part| part == b"}e:");
        let Some(key) = at.and_then(|at| Key::new(name[at + 3..].to_vec()).ok()) else {
            return Ok(());
        };
        let room = self.room_of(namespace, &key);
        if room.entry(key.as_bytes()) != name {
            return Ok(());
        }
        let index = room.single('i');
        let score = [b"ZSCORE".to_vec(), index.clone(), key.as_bytes().to_vec()];
        let exists = [b"EXISTS".to_vec(), name.to_vec()];
        let replies = self.link.run(&[
            Command::read(room.slot, &score),
            Command::read(room.slot, &exists),
        ])?;
        // It may have been removed since the server named it.
        if replies[0] != Reply::Nil || replies[1].as_int() == Some(0) {
            return Ok(());
        }
        if request.repair && !request.dry_run {
            self.register(namespace)?;
            let add = [
                b"ZADD".to_vec(),
                index,
                b"0".to_vec(),
                key.as_bytes().to_vec(),
            ];
            self.link.run_one(Command::write(room.slot, &add))?;
        }
        tell(Finding {
            severity: Severity::Damage,
            path: path_of(name),
            what: "it is in no index, so that no listing shows it".to_owned(),
            key: Some(key.as_bytes().to_vec()),
            repair: request.repair.then(|| Repair {
                what: "added to its index".to_owned(),
                settles: true,
            }),
        });
        Ok(())
    }
}

fn path_of(name: &[u8]) -> std::path::PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}
