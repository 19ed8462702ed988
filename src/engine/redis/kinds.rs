//! Checking the keys of a store that are no entries: whether each is of the type, and holds the number, that
//! kv gives it. What is not is moved away, and kv makes another.

use std::collections::BTreeMap;

use sha1::{Digest as _, Sha1};

use crate::store::check::Severity;
use crate::store::{Finding, Namespace, Result, StoreError};

use super::check::{Checker, Damage};
use super::command::Command;
use super::names::{BucketId, namespace_of, path_of, tag_slot};

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

impl Checker<'_> {
    /// Checks what a namespace has besides its entries, and what it has in common with all.
    pub(super) fn check_kinds(&mut self) -> Result<()> {
        let (store, namespace) = (self.store, self.namespace);
        let all = store.of_all();
        let list = store.bucket(namespace, BucketId::LIST);
        let mut names = vec![(all.clone(), 'n'), (all, 'g'), (list, 'c')];
        for id in BucketId::all() {
            let bucket = store.bucket(namespace, id);
            names.extend([(bucket.clone(), 'i'), (bucket, 't')]);
        }
        let types = names.iter().map(|(bucket, name)| {
            Command::read(bucket.slot, &[b"TYPE".to_vec(), bucket.single(*name)])
        });
        let types = store.link.run(&types.collect::<Vec<_>>())?;
        for ((bucket, name), is) in names.iter().zip(types) {
            let is = store.word_of(is)?.unwrap_or_default();
            let (wanted, lacks) = kind_of(*name);
            if is == "none" || is == wanted && *name != 'c' {
                continue;
            }
            let mut seen = is.clone();
            let mut what = format!("it is a key of type {is}");
            if is == "string" {
                let words = [b"GET".to_vec(), bucket.single(*name)];
                let held = store.link.answer(Command::read(bucket.slot, &words))?;
                let held = held.into_bytes().unwrap_or_default();
                seen = hex::encode(Sha1::digest(&held));
                if is == wanted {
                    if held.is_empty() || held.len() == 20 && held.iter().all(u8::is_ascii_digit) {
                        continue;
                    }
                    "it is no number of an element".clone_into(&mut what);
                }
            }
            let damage = Damage {
                bucket,
                name: bucket.single(*name),
                key: None,
                what: format!("{what}, and {lacks}"),
                seen,
                aside: bucket.single('y'),
                is_repaired: self.request.repair,
            };
            self.tell_damage(damage)?;
        }
        Ok(())
    }

    /// Finds namespaces that have entries and are not listed: in the check of the first that is listed, so
    /// that all servers are searched once, and of any that is not.
    pub(super) fn find_lost(&mut self) -> Result<()> {
        let (store, namespace, request) = (self.store, self.namespace, self.request);
        let listed = match store.listed_namespaces() {
            // It is a key of another type, which was told.
            Err(StoreError::Damaged { .. }) => return Ok(()),
            listed => listed?,
        };
        if listed.first().is_some_and(|first| first != namespace) && listed.contains(namespace) {
            return Ok(());
        }
        let mut lost = BTreeMap::new();
        store.each_entry(None, &mut |name| {
            let namespace = namespace_of(&store.link.location().prefix, name);
            let is_new = |namespace: &Namespace| !listed.contains(namespace);
            if let Some(namespace) = namespace.filter(is_new) {
                lost.insert(namespace, name.to_vec());
            }
            Ok(())
        })?;
        if lost.is_empty() {
            return Ok(());
        }
        // They may have been made, or removed, since.
        let listed = store.listed_namespaces()?;
        lost.retain(|namespace, _| !listed.contains(namespace));
        let all = store.of_all();
        for (namespace, name) in lost {
            let exists = Command::read(tag_slot(&name), &[b"EXISTS".to_vec(), name.clone()]);
            if store.link.int(store.link.answer(exists)?)? == 0 {
                continue;
            }
            if request.repair && !request.dry_run {
                store.register(&namespace)?;
            }
            let what = format!("it does not name the namespace `{namespace}`, which has entries");
            let finding = Finding::new(Severity::Damage, path_of(&all.single('n')), what);
            (self.tell)(finding.settled_by(request.repair, "listed again"));
        }
        Ok(())
    }
}
