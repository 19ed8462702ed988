//! Checking the keys of a store that are no entries: whether each is of the type, and holds the number, that
//! kv gives it. What is not is moved away, and kv makes another.

use std::collections::BTreeSet;

use sha1::{Digest as _, Sha1};

use crate::store::check::Severity;
use crate::store::{Check, Finding, Namespace, Result, Time};

use super::Redis;
use super::check::{moved_to, path_of};
use super::command::Command;
use super::names::{Bucket, Room, namespace_of};

/// What such a key is to be, and what is not to be had where it is not.
fn kind_of(name: char) -> (&'static str, &'static str) {
    match name {
        'i' => ("zset", "no listing shows what is in its bucket"),
        'c' => (
            "string",
            "numbers of elements that are gone may be given again",
        ),
        't' => ("string", "no lock of its bucket can be taken"),
        'n' => ("hash", "no namespace is listed"),
        _ => ("hash", "nobody knows when `kv gc` ran"),
    }
}

impl Redis {
    /// Checks what a namespace has besides its entries, and what it has in common with all.
    pub(super) fn check_kinds(
        &self,
        namespace: &Namespace,
        request: &Check,
        now: Time,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let all = self.of_all();
        let list = self.room(namespace, Bucket::LIST);
        let mut names = vec![(all.clone(), 'n'), (all, 'g'), (list, 'c')];
        for bucket in Bucket::all() {
            let room = self.room(namespace, bucket);
            names.extend([(room.clone(), 'i'), (room, 't')]);
        }
        let types = names
            .iter()
            .map(|(room, name)| Command::read(room.slot, &[b"TYPE".to_vec(), room.single(*name)]));
        let types = self.link.run(&types.collect::<Vec<_>>())?;
        for ((room, name), is) in names.iter().zip(types) {
            let is = self.word_of(is).unwrap_or_default();
            let (wanted, lacks) = kind_of(*name);
            if is == "none" || is == wanted && *name != 'c' {
                continue;
            }
            let mut seen = is.clone();
            let mut what = format!("it is a key of type {is}");
            if is == "string" {
                let words = [b"GET".to_vec(), room.single(*name)];
                let held = self.link.answer(Command::read(room.slot, &words))?;
                let held = held.into_bytes().unwrap_or_default();
                seen = hex::encode(Sha1::digest(&held));
                if is == wanted {
                    if held.is_empty() || held.len() == 20 && held.iter().all(u8::is_ascii_digit) {
                        continue;
                    }
                    "it is no number of an element".clone_into(&mut what);
                }
            }
            self.settle_kind(
                (room, *name),
                &seen,
                format!("{what}, and {lacks}"),
                request,
                now,
                tell,
            )?;
        }
        Ok(())
    }

    /// Tells of a key that is not what kv has made, and moves it out of the way if that is asked for.
    fn settle_kind(
        &self,
        (room, kind): (&Room, char),
        seen: &str,
        what: String,
        request: &Check,
        now: Time,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let name = room.single(kind);
        let mut aside = room.single('y');
        if request.repair && !request.dry_run {
            match self.repair(room, (&name, b""), "move", seen, aside, now)? {
                Some(there) => aside = there,
                // Somebody has removed it since, or written it anew.
                None => return Ok(()),
            }
            if kind == 'n' {
                self.register_all()?;
            }
        }
        tell(Finding {
            severity: Severity::Damage,
            path: path_of(&name),
            what,
            key: None,
            repair: request.repair.then(|| moved_to(&aside)),
        });
        Ok(())
    }

    /// Lists all namespaces anew of which there is an entry.
    fn register_all(&self) -> Result<()> {
        let mut namespaces = BTreeSet::new();
        self.each_entry(None, &mut |name| {
            namespaces.extend(namespace_of(&self.link.location().prefix, name));
            Ok(())
        })?;
        namespaces
            .iter()
            .try_for_each(|namespace| self.register(namespace))
    }
}
