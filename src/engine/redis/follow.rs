//! Waiting for changes of all entries of a namespace: each script tells on the channel of its bucket which key it
//! has changed, or that there may be many.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::store::watch::{Changed, poll};
use crate::store::{Key, Namespace, Result, Watcher};

use super::Redis;
use super::link::Link;
use super::names::BucketId;
use super::resp::Reply;
use super::socket::Socket;

/// For so long a server may say nothing before all is looked at: it may be one that nobody writes to any more.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the rest of a message may take.
const MESSAGE: Duration = Duration::from_secs(5);
/// How long to wait before the next try to listen, and look at all: some may never listen.
const PAUSE: Duration = Duration::from_secs(1);

/// A connection of its own that listens to the channels of all buckets.
#[derive(Debug)]
struct BucketsWatcher {
    link: Link,
    channels: Vec<Vec<u8>>,
    /// With when it was heard of last.
    socket: Option<(Socket, Instant)>,
    /// What was told since somebody asked.
    keys: Vec<Key>,
    is_all: bool,
}

impl Redis {
    /// Watches all buckets. Those of a cluster are on many servers: there it looks again and again.
    pub(super) fn watch_all(&self, namespace: &Namespace) -> Result<Box<dyn Watcher>> {
        if self.link.map(false)?.is_cluster {
            return Ok(poll());
        }
        let channel = |id| self.bucket(namespace, id).single('w');
        let mut watcher = BucketsWatcher {
            link: self.link.another(),
            channels: BucketId::all().map(channel).collect(),
            socket: None,
            keys: Vec::new(),
            is_all: true,
        };
        watcher.listen()?;
        Ok(Box::new(watcher))
    }
}

impl BucketsWatcher {
    /// Listens, where it may; what was said meanwhile nobody has heard.
    fn listen(&mut self) -> Result<()> {
        let map = self.link.fresh_map()?;
        let subscribe = || -> io::Result<Option<Socket>> {
            let mut socket = Socket::connect(self.link.location(), &map.asked, MESSAGE)?;
            let words = [&[b"SUBSCRIBE".to_vec()], &self.channels[..]].concat();
            let mut reply = socket.ask(&words)?;
            for _ in 1..self.channels.len() {
                if matches!(reply, Reply::Error(_)) {
                    return Ok(None);
                }
                reply = socket.receive()?;
            }
            Ok(Some(socket))
        };
        let socket = subscribe().ok().flatten();
        self.socket = socket.map(|socket| (socket, Instant::now()));
        self.is_all = true;
        Ok(())
    }

    /// Receives a message, if one comes by then. Returns false where the connection is of no more use.
    fn hear(&mut self, limit: Duration) -> io::Result<bool> {
        let Some((socket, heard)) = &mut self.socket else {
            return Ok(false);
        };
        if !socket.has_more(limit)? {
            return Ok(heard.elapsed() < SILENCE);
        }
        socket.limit(MESSAGE)?;
        let message = socket.receive()?.into_array();
        *heard = Instant::now();
        let key = message.into_iter().nth(2).and_then(Reply::into_bytes);
        match key.and_then(|key| Key::new(key).ok()) {
            Some(key) => self.keys.push(key),
            None => self.is_all = true,
        }
        Ok(true)
    }
}

impl Watcher for BucketsWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map_or(SILENCE, |left| left.min(SILENCE));
        if left.is_zero() {
            return Ok(());
        }
        if self.socket.is_none() {
            thread::sleep(left.min(PAUSE));
        }
        match self.hear(left) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => self.listen(),
        }
    }

    fn changed(&mut self) -> Result<Changed> {
        let keys = std::mem::take(&mut self.keys);
        Ok(match std::mem::take(&mut self.is_all) {
            true => Changed::All,
            false => Changed::At(
                keys.into_iter()
                    .map(|key| (Vec::new(), Some(key)))
                    .collect(),
            ),
        })
    }
}
