//! Named locks: a lease that a script grants. See [`crate::engine::lease`] for what that can promise.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::lease::{self, Attempt, Grant, KEEP_EVERY, LASTS};
use crate::os;
use crate::store::{
    Clock, Held, Holder, Key, LockRequest, Locks, Namespace, Result, StoreError, Time, Watcher,
};

use super::Redis;
use super::call::{about, foreign_key};
use super::command::Command;
use super::link::Link;
use super::names::{Bucket, BucketId, path_of};
use super::script::Script;

/// What a key is that stands where a lock is to be: nothing of a store is in it.
const OF_ANOTHER: &str = "which another program made: delete it";

/// A lock, for one holder.
struct RedisGrant {
    /// A link of its own: it must not wait for what others do.
    link: Link,
    /// As the other, for what must not take long.
    keeper: Link,
    bucket: Bucket,
    name: Vec<u8>,
    /// Names the holder.
    id: u64,
    is_shared: bool,
    /// Who that is: `<since> <pid> <host>`.
    who: String,
    publish: &'static str,
}

impl RedisGrant {
    fn call(&self, link: &Link, what: &str) -> Result<String> {
        let mut call = Script::Lease.call(2);
        call.push(self.bucket.many('l', &self.name));
        call.push(self.bucket.single('t'));
        let kind = if self.is_shared { b"s" } else { b"x" };
        let args = [
            what.into(),
            format!("{:016x}", self.id).into_bytes(),
            kind.to_vec(),
            LASTS.as_millis().to_string().into_bytes(),
            self.who.clone().into_bytes(),
            self.publish.into(),
            self.bucket.single('w'),
        ];
        let command = Command::write(self.bucket.slot, &call, &args);
        let about_it = |err| about(err, String::from_utf8_lossy(&self.name).into_owned());
        let reply = link.run_one(command).map_err(about_it)?;
        let answer = link.bytes(reply)?.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        match answer.split_once(' ') {
            Some(("foreign", what)) => {
                let (kind, name) = what.split_once(' ').unwrap_or((what, ""));
                Err(match name.as_bytes() == self.bucket.single('t') {
                    true => foreign_key(name, kind),
                    false => self.no_lock(&format!("it is a key of type {kind}, {OF_ANOTHER}")),
                })
            }
            _ => Ok(answer),
        }
    }

    fn no_lock(&self, why: &str) -> StoreError {
        no_lock(&self.bucket.many('l', &self.name), why)
    }
}

fn no_lock(name: &[u8], why: &str) -> StoreError {
    StoreError::damaged(path_of(name), why)
}

impl Grant for RedisGrant {
    fn take(&self) -> Result<Attempt> {
        let answer = self.call(&self.link, "take")?;
        let number = |text: &str| text.parse::<u64>().ok();
        match answer.split_once(' ') {
            Some(("held", token)) => number(token).map(Attempt::Held),
            Some(("busy", left)) => number(left).map(Duration::from_millis).map(Attempt::Busy),
            _ => None,
        }
        .ok_or_else(|| self.no_lock("it is no lock"))
    }

    fn keep(&self) -> Result<bool> {
        let answer = match self.call(&self.keeper, "keep") {
            // It is granted anew where it counts, and replicas have it from before.
            Err(StoreError::Unreplicated { .. }) => return Ok(true),
            answer => answer?,
        };
        match &*answer {
            "lost" => Ok(false),
            answer if answer.starts_with("held ") => Ok(true),
            _ => Err(self.no_lock("it is no lock")),
        }
    }

    fn free(&self) -> Result<()> {
        self.call(&self.keeper, "free").map(drop)
    }
}

impl Locks for Redis {
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        let bucket = self.bucket_of_lock(namespace, name);
        let (pid, host) = (std::process::id(), os::host_name());
        let grant = RedisGrant {
            link: self.link.another(),
            keeper: self.link.another_within(KEEP_EVERY),
            bucket: bucket.clone(),
            name: name.as_bytes().to_vec(),
            id: self.new_etag()?.0,
            is_shared: request.is_shared,
            who: format!("{} {pid} {host}", clock.now().0),
            publish: self.publish()?,
        };
        let mut watch =
            || -> Result<Box<dyn Watcher>> { Ok(Box::new(self.watch_bucket(bucket.clone())?)) };
        lease::acquire(Arc::new(grant), request.patience, &mut watch)
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let bucket = self.bucket_of_lock(namespace, name);
        let name = bucket.many('l', name.as_bytes());
        let holders = Command::read(bucket.slot, &[b"HVALS".to_vec(), name.clone()]);
        let map = self.link.map(false)?;
        let server = map.master_of(bucket.slot).cloned().unwrap_or_default();
        let replies = self
            .link
            .answers(&[holders, Command::of_node(&server, &["TIME"])])?;
        let mut parts = Vec::new();
        for reply in replies {
            if reply.is_foreign() {
                return Err(no_lock(
                    &name,
                    &format!("it is no hash but a key {OF_ANOTHER}"),
                ));
            }
            parts.push(self.link.array(reply)?);
        }
        let (time, holders) = (parts.pop(), parts.pop());
        let (time, holders) = (time.unwrap_or_default(), holders.unwrap_or_default());
        let seconds = time.first().and_then(|reply| reply.as_int()).unwrap_or(0);
        let live = |text: Vec<u8>| read_holder(&text, u64::try_from(seconds).unwrap_or(0) * 1_000);
        let holders = holders
            .into_iter()
            .filter_map(|holder| live(holder.into_bytes()?));
        Ok(holders.max_by_key(|holder| holder.since))
    }
}

impl Redis {
    fn bucket_of_lock(&self, namespace: &Namespace, name: &Key) -> Bucket {
        self.bucket(namespace, BucketId::of(name.as_bytes()))
    }
}

/// Reads `<end> <token> <x or s> <since> <pid> <host>`, unless it has ended by `now`.
pub(super) fn read_holder(text: &[u8], now: u64) -> Option<Holder> {
    let text = std::str::from_utf8(text).ok()?;
    let mut fields = text.splitn(6, ' ');
    let end: u64 = fields.next()?.parse().ok()?;
    fields.next()?;
    let is_shared = match fields.next()? {
        "s" => true,
        "x" => false,
        _ => return None,
    };
    let since = Time(fields.next()?.parse().ok()?);
    let pid = fields.next()?.parse().ok()?;
    let host = fields.next()?.to_owned();
    (end > now).then_some(Holder {
        pid,
        host,
        since,
        is_shared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_who_holds_a_lock_and_nothing_else() {
        let holder = read_holder(b"9000 3 s 5 17 a host", 8999).unwrap();
        let want = Holder {
            pid: 17,
            host: "a host".into(),
            since: Time(5),
            is_shared: true,
        };
        assert_eq!(holder, want);
        for (bad, now) in [
            (&b"9000 3 s 5 17 a host"[..], 9000),
            (b"9000 3 y 5 17 a", 0),
            (b"9000 3 s 5 17", 0),
            (b"\xff", 0),
        ] {
            assert_eq!(read_holder(bad, now), None);
        }
    }
}
