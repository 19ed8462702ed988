//! What keeps a namespace small, and what is told of it; the names of all of them.

use std::thread;
use std::time::Duration;

use crate::store::{
    Check, Clock, Collect, Collected, Etag, Finding, Info, Key, Namespace, Progress, Result,
    StoreError, Time, Upkeep,
};

use super::Redis;
use super::call::{Change, foreign_key, plain};
use super::check::Checker;
use super::codec::Indexed;
use super::command::Command;
use super::entries::{etag_words, header_words};
use super::facts::eviction;
use super::names::{Bucket, BucketId, namespace_of, path_of};
use super::pages::{Pages, foreign_index};
use super::resp::Reply;
use super::script::Script;

/// Keys that are looked at together.
const AT_ONCE: usize = 1024;
/// The version of the form in which entries are kept.
const FORMAT: u32 = 1;

/// Hears of each key that an index names.
type Each<'a> = dyn FnMut(&[u8], Indexed) -> Result<()> + 'a;

impl Upkeep for Redis {
    fn collect(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        let mut done = Collected::default();
        if !self.is_known(namespace)? {
            return Ok(done);
        }
        let now = clock.now();
        let mut dead = Vec::new();
        let mut seen = 0;
        let foreign = self.for_each(namespace, &mut |key, indexed| {
            seen += 1;
            progress.step(seen, seen);
            match indexed {
                Some(Ok(meta)) if meta.is_live(now) => return Ok(()),
                Some(Err(bad)) => {
                    progress.damage(self.bad(namespace, key, bad));
                    return Ok(());
                }
                Some(Ok(_)) | None => {}
            }
            done.expired += 1;
            dead.extend(Key::new(key.to_vec()));
            Ok(())
        })?;
        foreign.into_iter().for_each(|err| progress.damage(err));
        if request.dry_run {
            done.evicted = self.evict(namespace, request, clock, progress)?;
            return Ok(done);
        }
        self.clear_all(namespace, &dead, "dead", now)
            .sum::<Result<u64>>()?;
        done.evicted = self.evict(namespace, request, clock, progress)?;
        let time = clock.now().0.to_string().into_bytes();
        let words = [b"HSET".to_vec(), namespace.as_str().into(), time];
        self.run_plain(&[plain(&self.of_all(), 'g', &words)])?;
        Ok(done)
    }

    fn remove_unchanged(
        &self,
        namespace: &Namespace,
        keys: &[(Key, Etag)],
        clock: &dyn Clock,
    ) -> Result<u64> {
        let call = |(key, etag): &(Key, Etag)| {
            let id = self.new_etag()?.0;
            let (kind, wanted) = etag_words(*etag);
            let change = Change {
                args: vec![kind, wanted, Vec::new()],
                ..self.change(namespace, key, Script::Remove, id, clock.now())
            };
            self.command_of(&change, true)
        };
        let calls: Vec<Command> = keys.iter().map(call).collect::<Result<_>>()?;
        let is_done = |reply: Reply| match self.word_of(reply)?.as_deref() {
            Some("done") => Ok(1),
            // It was changed or damaged since, and stays.
            Some("no" | "damaged") => Ok(0),
            _ => Err(self.unexpected_answer(Script::Remove)),
        };
        self.link.run(&calls)?.into_iter().map(is_done).sum()
    }

    fn check(
        &self,
        namespace: &Namespace,
        request: &Check,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let (store, now) = (self, clock.now());
        Checker {
            store,
            namespace,
            request,
            now,
            tell,
        }
        .run()
    }

    fn info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        if !self.is_known(namespace)? {
            return Ok(None);
        }
        let mut info = Info {
            format: FORMAT,
            ..Info::default()
        };
        let foreign = self.for_each(namespace, &mut |key, indexed| {
            match indexed {
                Some(Ok(meta)) if meta.is_live(now) => {
                    info.count(key.len(), &meta, now);
                }
                Some(Err(_)) => info.damaged += 1,
                Some(Ok(_)) | None => info.expired += 1,
            }
            Ok(())
        })?;
        info.evicts = Some(!self.evicting_servers()?.is_empty());
        info.damaged += foreign.len() as u64;
        let all = self.of_all();
        let words = [b"HGET".to_vec(), all.single('g'), namespace.as_str().into()];
        let time = self.link.answer(Command::read(all.slot, &words))?.as_int();
        info.collected = time.and_then(|time| u64::try_from(time).ok()).map(Time);
        info.collection_pays = info.expired > 1_000.max(info.entries / 4);
        Ok(Some(info))
    }
}

impl Redis {
    /// Hands every key that the indexes name to `each`, with what is known of its entry. Returns what is
    /// wrong with indexes of which nothing can be told.
    pub(super) fn for_each(
        &self,
        namespace: &Namespace,
        each: &mut Each<'_>,
    ) -> Result<Vec<StoreError>> {
        let mut pages = Pages::new(self, namespace, (Vec::new(), None), false);
        loop {
            let keys = pages.next(AT_ONCE)?;
            if keys.is_empty() {
                let foreign = std::iter::from_fn(|| pages.take_foreign());
                return Ok(foreign.map(|bucket| foreign_index(&bucket)).collect());
            }
            let head = |(key, bucket): &(Vec<u8>, Bucket)| {
                Command::read(bucket.slot, &header_words(bucket, key))
            };
            let commands: Vec<Command> = keys.iter().map(head).collect();
            for ((key, _), reply) in keys.iter().zip(self.link.answers(&commands)?) {
                each(key, self.indexed(key, reply)?)?;
            }
        }
    }

    /// Returns the servers that drop entries when their memory is full, each with the policy by which.
    pub(super) fn evicting_servers(&self) -> Result<Vec<(String, String)>> {
        let servers = self.link.map(false)?.masters();
        let ask = |server: &String| Command::of_node(server, &["INFO", "memory"]);
        let commands: Vec<Command> = servers.iter().map(ask).collect();
        let mut evicting = Vec::new();
        for (server, reply) in servers.into_iter().zip(self.link.run(&commands)?) {
            let text = self.link.bytes(reply)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if let Some(policy) = eviction(&text) {
                evicting.push((server, policy));
            }
        }
        Ok(evicting)
    }

    /// Names all namespaces; see [`crate::store::Entries::namespaces`]. That there is none is told only
    /// where no server has an entry: the list may be lost.
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        // Who removes a namespace lists it again a moment later if it was written to meanwhile.
        let mut looks = 0..4;
        loop {
            let names = self.listed_namespaces()?;
            if !names.is_empty() {
                return Ok(names);
            }
            let mut is_lost = false;
            let proof = self.each_entry(None, &mut |name| {
                if namespace_of(&self.link.location().prefix, name).is_none() {
                    return Ok(());
                }
                is_lost = true;
                Err(StoreError::damaged(
                    path_of(&self.of_all().single('n')),
                    "it names no namespace, though there are entries; `kv fsck --repair` lists their \
                     namespaces again",
                ))
            });
            if !is_lost || looks.next().is_none() {
                return proof.map(|()| names);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Names the namespaces that are listed.
    pub(super) fn listed_namespaces(&self) -> Result<Vec<Namespace>> {
        let reply = self.ask_names(&[b"HKEYS"])?;
        let namespace = |name: Vec<u8>| String::from_utf8(name).ok()?.parse().ok();
        let names = self.link.array(reply)?.into_iter();
        let mut names: Vec<Namespace> = names
            .filter_map(|name| namespace(name.into_bytes()?))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Tells whether a namespace is listed, or used all the same: the list may be lost, and who removes
    /// the namespace at this moment takes it off before it is known whether somebody writes to it.
    fn is_known(&self, namespace: &Namespace) -> Result<bool> {
        let reply = self.ask_names(&[b"HEXISTS", namespace.as_str().as_bytes()])?;
        Ok(self.link.int(reply)? == 1 || self.is_used(namespace)?)
    }

    /// Asks the hash of the names of all namespaces.
    fn ask_names(&self, words: &[&[u8]]) -> Result<Reply> {
        let all = self.of_all();
        let name = all.single('n');
        let words = [&[words[0], &name[..]], &words[1..]].concat();
        let reply = self.link.answer(Command::read(all.slot, &words))?;
        match reply.is_foreign() {
            true => Err(foreign_key(
                &String::from_utf8_lossy(&name),
                "other than a hash",
            )),
            false => Ok(reply),
        }
    }

    /// Removes a namespace; see [`crate::store::Entries::remove_namespace`].
    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        if !self.is_known(namespace)? {
            return Ok(false);
        }
        let mut pages = Pages::new(self, namespace, (Vec::new(), None), false);
        loop {
            let keys = pages.next(AT_ONCE)?;
            if keys.is_empty() {
                break;
            }
            let keys = keys.into_iter().flat_map(|(key, _)| Key::new(key));
            self.clear_all(namespace, &keys.collect::<Vec<_>>(), "all", Time(0))
                .sum::<Result<u64>>()?;
        }
        pages.demand_all()?;
        let bucket = self.bucket(namespace, BucketId::LIST);
        let all = self.of_all();
        let forget = [b"HDEL".to_vec(), namespace.as_str().into()];
        self.run_plain(&[
            plain(&bucket, 'c', &[b"UNLINK".to_vec()]),
            plain(&all, 'g', &forget),
            plain(&all, 'n', &forget),
        ])?;
        // Who wrote meanwhile found the namespace registered: then it stays.
        if self.is_used(namespace)? {
            self.register(namespace)?;
        }
        Ok(true)
    }

    /// Tells whether there is an entry, registered or not.
    fn is_used(&self, namespace: &Namespace) -> Result<bool> {
        let buckets = BucketId::all().map(|id| self.bucket(namespace, id));
        let commands: Vec<Command> = buckets
            .map(|bucket| Command::read(bucket.slot, &[b"ZCARD".to_vec(), bucket.single('i')]))
            .collect();
        for reply in self.link.answers(&commands)? {
            // What another program made is no entry.
            if !reply.is_foreign() && self.link.int(reply)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
