//! What keeps a namespace small, and what is told of it; the names of all of them.

use std::time::Duration;

use crate::store::evict;
use crate::store::{Clock, Collect, Collected, Info, Key, Meta, Namespace, Progress, Result, Time};

use super::Redis;
use super::codec::{self, Bad};
use super::command::Command;
use super::entries::{header_words, is_live};
use super::names::{Bucket, Room, registry};
use super::pages::Pages;

/// Keys that are looked at together.
const AT_ONCE: usize = 1024;
/// The version of the form in which entries are kept.
const FORMAT: u32 = 1;

/// What an index names: an entry, nothing, or something damaged.
pub(super) type Indexed = Option<Result<Meta, Bad>>;

/// Hears of each key that an index names.
type Each<'a> = dyn FnMut(&[u8], &Room, Indexed) -> Result<()> + 'a;

impl Redis {
    /// Hands every key that the indexes name to `each`, with what is known of its entry.
    pub(super) fn for_each(&self, namespace: &Namespace, each: &mut Each<'_>) -> Result<()> {
        let mut pages = Pages::new(self, namespace, (Vec::new(), None), false);
        loop {
            let keys = pages.next(AT_ONCE)?;
            if keys.is_empty() {
                return Ok(());
            }
            let head =
                |(key, room): &(Vec<u8>, Room)| Command::read(room.slot, &header_words(room, key));
            let commands: Vec<Command> = keys.iter().map(head).collect();
            for ((key, room), reply) in keys.iter().zip(self.link.run(&commands)?) {
                let bytes = reply.into_bytes().unwrap_or_default();
                let indexed = (!bytes.is_empty()).then(|| codec::decode_meta(key, &bytes));
                each(key, room, indexed)?;
            }
        }
    }

    /// Collects garbage; see [`crate::store::Store::collect`].
    pub(super) fn collect_garbage(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        let mut done = Collected::default();
        if !self.is_registered(namespace)? {
            return Ok(done);
        }
        let now = clock.now();
        let mut dead: Vec<(Key, Room)> = Vec::new();
        let mut seen = 0;
        self.for_each(namespace, &mut |key, room, indexed| {
            seen += 1;
            progress.step(seen, seen);
            match indexed {
                Some(Ok(meta)) if is_live(&meta, now) => return Ok(()),
                Some(Err(bad)) => {
                    progress.damage(self.bad(namespace, key, bad));
                    return Ok(());
                }
                Some(Ok(_)) | None => {}
            }
            done.expired += 1;
            dead.extend(Key::new(key.to_vec()).ok().map(|key| (key, room.clone())));
            Ok(())
        })?;
        if request.dry_run {
            done.evicted = evict::tell(self, namespace, request, now, progress)?;
            return Ok(done);
        }
        dead.sort_by_key(|(key, _)| Bucket::of(key.as_bytes()));
        for group in
            dead.chunk_by(|(a, _), (b, _)| Bucket::of(a.as_bytes()) == Bucket::of(b.as_bytes()))
        {
            let keys: Vec<Key> = group.iter().map(|(key, _)| key.clone()).collect();
            self.clear(&group[0].1, &keys, "dead", now)?;
        }
        if request.evicts() {
            done.evicted = self.evict(namespace, request, now, progress)?;
        }
        let (name, slot) = self.collections();
        let time = clock.now().0.to_string().into_bytes();
        let words = [b"HSET".to_vec(), name, namespace.as_str().into(), time];
        self.link.run_one(Command::write(slot, &words))?;
        Ok(done)
    }

    /// Removes the entries that are to go, unless they change meanwhile.
    fn evict(
        &self,
        namespace: &Namespace,
        request: &Collect,
        now: Time,
        progress: &mut dyn Progress,
    ) -> Result<u64> {
        evict::each_round(self, namespace, request, now, progress, AT_ONCE, |keys| {
            let removed = self.remove_unchanged(namespace, keys, now)?;
            Ok(removed.into_iter().filter(|&is_removed| is_removed).count() as u64)
        })
    }

    /// Returns the name of the hash that tells when garbage was collected, and its slot.
    fn collections(&self) -> (Vec<u8>, u16) {
        let (mut name, slot) = registry(&self.link.place().prefix);
        *name.last_mut().expect("a name is not empty") = b'g';
        (name, slot)
    }

    /// Tells what is known of a namespace; see [`crate::store::Store::info`].
    pub(super) fn tell_info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        if !self.is_registered(namespace)? {
            return Ok(None);
        }
        let mut info = Info {
            format: FORMAT,
            ..Info::default()
        };
        self.for_each(namespace, &mut |key, _, indexed| {
            match indexed {
                Some(Ok(meta)) if is_live(&meta, now) => {
                    let age = Duration::from_nanos(now.0.saturating_sub(meta.modified.0));
                    info.count(key.len() as u64, meta.size, age);
                }
                Some(Err(_)) => info.damaged += 1,
                Some(Ok(_)) | None => info.expired += 1,
            }
            Ok(())
        })?;
        let (name, slot) = self.collections();
        let words = [b"HGET".to_vec(), name, namespace.as_str().into()];
        let time = self.link.run_one(Command::read(slot, &words))?.as_int();
        info.collected = time.and_then(|time| u64::try_from(time).ok()).map(Time);
        info.collection_pays = info.expired > 1_000.max(info.entries / 4);
        Ok(Some(info))
    }

    /// Names all namespaces; see [`crate::store::Store::namespaces`].
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        let (name, slot) = registry(&self.link.place().prefix);
        let reply = self
            .link
            .run_one(Command::read(slot, &[b"HKEYS".to_vec(), name]))?;
        let namespace = |name: Vec<u8>| String::from_utf8(name).ok()?.parse().ok();
        let names = reply.into_array().into_iter();
        let mut names: Vec<Namespace> = names
            .filter_map(|name| namespace(name.into_bytes()?))
            .collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn is_registered(&self, namespace: &Namespace) -> Result<bool> {
        let (name, slot) = registry(&self.link.place().prefix);
        let words = [b"HEXISTS".to_vec(), name, namespace.as_str().into()];
        Ok(self.link.run_one(Command::read(slot, &words))?.as_int() == Some(1))
    }

    /// Removes a namespace; see [`crate::store::Store::remove_namespace`].
    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        // Who removes it at this moment takes it off the list before it is known whether somebody
        // writes to it all the same.
        if !self.is_registered(namespace)? && !self.is_used(namespace)? {
            return Ok(false);
        }
        let mut pages = Pages::new(self, namespace, (Vec::new(), None), false);
        loop {
            let mut keys = pages.next(AT_ONCE)?;
            if keys.is_empty() {
                break;
            }
            keys.sort_by_key(|(key, _)| Bucket::of(key));
            for group in keys.chunk_by(|(a, _), (b, _)| Bucket::of(a) == Bucket::of(b)) {
                let keys = group
                    .iter()
                    .filter_map(|(key, _)| Key::new(key.clone()).ok());
                self.clear(&group[0].1, &keys.collect::<Vec<_>>(), "all", Time(0))?;
            }
        }
        let room = self.room(namespace, Bucket::LIST);
        let counter = [b"UNLINK".to_vec(), room.single('c')];
        let (name, slot) = registry(&self.link.place().prefix);
        let forget = [b"HDEL".to_vec(), name, namespace.as_str().into()];
        let (times, _) = self.collections();
        let forget_time = [b"HDEL".to_vec(), times, namespace.as_str().into()];
        self.link.run(&[
            Command::write(room.slot, &counter),
            Command::write(slot, &forget_time),
            Command::write(slot, &forget),
        ])?;
        // Who wrote meanwhile found the namespace registered: then it stays.
        if self.is_used(namespace)? {
            self.register(namespace)?;
        }
        Ok(true)
    }

    /// Tells whether there is an entry, registered or not.
    fn is_used(&self, namespace: &Namespace) -> Result<bool> {
        let rooms = Bucket::all().map(|bucket| self.room(namespace, bucket));
        let commands: Vec<Command> = rooms
            .map(|room| Command::read(room.slot, &[b"EXISTS".to_vec(), room.single('i')]))
            .collect();
        let replies = self.link.run(&commands)?;
        Ok(replies.iter().any(|reply| reply.as_int() == Some(1)))
    }
}
