//! Waiting for a change of one key, or of a list: each script that changes a bucket tells its channel.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{Namespace, Result, Watch, WatchTarget, Watcher};

use super::Redis;
use super::link::Link;
use super::names::{Bucket, BucketId};
use super::resp::Reply;
use super::socket::Socket;

/// Whoever waits looks again after this time, should a message have been lost with a server.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long to wait before the next try to listen.
const PAUSE: Duration = Duration::from_millis(500);

/// A connection of its own that listens to a channel.
#[derive(Debug)]
pub(super) struct RedisWatcher {
    link: Link,
    bucket: Bucket,
    socket: Option<Socket>,
}

impl Watch for Redis {
    fn watch(&self, namespace: &Namespace, target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        let bucket = match target {
            WatchTarget::Key(key) => self.bucket_of(namespace, key),
            WatchTarget::List => self.bucket(namespace, BucketId::LIST),
            WatchTarget::All(_) => return self.watch_all(namespace),
        };
        Ok(Box::new(self.watch_bucket(bucket)?))
    }
}

impl Redis {
    pub(super) fn watch_bucket(&self, bucket: Bucket) -> Result<RedisWatcher> {
        let mut watcher = RedisWatcher {
            link: self.link.another(),
            bucket,
            socket: None,
        };
        watcher.listen()?;
        Ok(watcher)
    }
}

impl RedisWatcher {
    /// Listens to the channel, where the slot of it is now. It is no failure that nobody is there to
    /// listen to: then whoever waits looks again and again, and is told by that what is wrong.
    fn listen(&mut self) -> Result<()> {
        let map = self.link.fresh_map()?;
        let Some(server) = map.master_of(self.bucket.slot) else {
            return Ok(());
        };
        let command = if map.is_cluster {
            "SSUBSCRIBE"
        } else {
            "SUBSCRIBE"
        };
        let subscribe = || -> io::Result<Option<Socket>> {
            let mut socket = Socket::connect(self.link.location(), server, LOOK_AGAIN)?;
            let reply = socket.ask(&[command.as_bytes(), &self.bucket.single('w')])?;
            Ok(match reply {
                // Who may not listen looks again and again.
                Reply::Error(_) => None,
                _ => Some(socket),
            })
        };
        self.socket = subscribe().ok().flatten();
        Ok(())
    }
}

impl Watcher for RedisWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
        if left.is_zero() {
            return Ok(());
        }
        let Some(socket) = &mut self.socket else {
            thread::sleep(left.min(PAUSE));
            return self.listen();
        };
        match socket.limit(left).and_then(|()| socket.receive()) {
            Ok(message) => {
                let kind = message
                    .into_array()
                    .into_iter()
                    .next()
                    .and_then(Reply::into_bytes);
                // The slot has moved, and the next message comes from another server.
                if kind.is_some_and(|kind| kind == b"sunsubscribe") {
                    self.listen()?;
                }
                Ok(())
            }
            // A part of a message may have come: a new connection begins with a whole one.
            Err(err) if err.kind() == io::ErrorKind::TimedOut => self.listen(),
            Err(_) => {
                self.socket = None;
                Ok(())
            }
        }
    }
}
