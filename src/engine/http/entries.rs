//! Verbs on one entry.

use std::time::{Duration, Instant};

use ureq::http::{Method, StatusCode};

use crate::store::{
    Clock, Condition, End, Entries, Entry, Etag, Expiry, Key, Listing, Lists, Meta, Namespace, Put,
    Result, Selection, Source, StoreError, Time, modify,
};
use crate::wire::http::millis;
use crate::wire::http::request::{OnKey, OnNamespace};
use crate::wire::time::{rfc3339, rfc3339_deadline};

use super::Http;
use super::address::{key_path, namespace_path};
use super::ask::{Ask, STORED};
use super::body::Upload;
use super::client::{Client, Reply};

/// A value of at most this many bytes is sent with its length, and so at once.
const HELD: usize = 64 * 1024;
/// A value of a condition of at most this many bytes stands in the query.
const MAX_IN_QUERY: usize = 4 * 1024;
/// How much longer the service may take for what concerns a whole namespace.
pub(super) const LONG_WORK: Duration = Duration::from_secs(3600);
/// The most bytes that the service adds to a value in one step.
const MAX_ADDITION: usize = 16 * 1024 * 1024;

/// Adds the header that says what must hold. Returns the value that must be there, which no header
/// can say.
fn add_condition<'c>(ask: &mut Ask<'_>, condition: &'c Condition) -> Option<&'c [u8]> {
    match condition {
        Condition::Always => {}
        Condition::Absent => ask.headers.push(("if-none-match", "*".to_owned())),
        Condition::Exists => ask.headers.push(("if-match", "*".to_owned())),
        Condition::Etag(etag) => ask.headers.push(("if-match", format!("\"{etag}\""))),
        Condition::Value(value) => return Some(value),
    }
    None
}

impl Lists for Http {
    fn push(&self, list: &Namespace, value: &mut dyn Source, _clock: &dyn Clock) -> Result<()> {
        let path = namespace_path(list) + &OnNamespace::Push.write();
        let ask = Ask::change(Method::POST, path);
        self.done(Body::read(b"", value)?.send(&self.client, &ask)?)
    }

    fn pop(&self, list: &Namespace, end: End, _clock: &dyn Clock) -> Result<Option<Entry>> {
        self.pop_once(list, end, Duration::ZERO)
    }

    fn pop_within(
        &self,
        list: &Namespace,
        end: End,
        patience: Duration,
        _clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        // A time too long to count is no limit.
        let until = Instant::now().checked_add(patience);
        self.client
            .wait(until, |wait| self.pop_once(list, end, wait))
    }
}

impl Entries for Http {
    fn get(&self, namespace: &Namespace, key: &Key, _now: Time) -> Result<Option<Entry>> {
        let Some(path) = key_path(namespace, key) else {
            return self.find_odd(namespace, key);
        };
        let reply = self.client.ask(&Ask::look(Method::GET, path.clone()))?;
        reply
            .map(|reply| self.client.entry(reply, Some(path)))
            .transpose()
    }

    fn stat(&self, namespace: &Namespace, key: &Key, _now: Time) -> Result<Option<Meta>> {
        let Some(path) = key_path(namespace, key) else {
            return self.find_odd_meta(namespace, key);
        };
        let reply = self.client.ask(&Ask::look(Method::HEAD, path))?;
        reply
            .map(|reply| self.client.meta(&reply.headers))
            .transpose()
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        _clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        let path = key_path(namespace, key);
        // A key that cannot stand in a path is the beginning of the body.
        let mut ask = match &path {
            Some(path) => Ask::change(Method::PUT, path.clone()),
            None => {
                let put = OnNamespace::Put(key.as_bytes().len()).write();
                Ask::change(Method::POST, namespace_path(namespace) + &put)
            }
        };
        ask.yes = STORED;
        match put.expiry {
            Expiry::Never => {}
            Expiry::After(ttl) => ask.headers.push(("kv-ttl", millis(ttl))),
            Expiry::At(at) => ask.headers.push(("kv-expires", rfc3339_deadline(at))),
            Expiry::Keep => ask.headers.push(("kv-keep-ttl", "1".to_owned())),
        }
        if let Some(modified) = put.modified {
            ask.headers.push(("kv-modified", rfc3339(modified)));
        }
        let is_always = put.condition == Condition::Always;
        let mut wanted = add_condition(&mut ask, &put.condition);
        if let (Some(value), Some(path)) = (wanted, &path)
            && value.len() <= MAX_IN_QUERY
        {
            ask.method = Method::POST;
            let if_value = Some(value.to_vec());
            ask.path = path.clone() + &OnKey::Put { if_value }.write();
            wanted = None;
        }
        let usual = ask.headers.len();
        let prefix = path.map_or(key.as_bytes(), |_| b"");
        let mut body = Body::read(prefix, put.value)?;
        let mut conflicts = modify::Conflicts::default();
        loop {
            if let Some(value) = wanted {
                let Some(etag) = self.etag_of_value(namespace, key, value)? else {
                    return Ok(None);
                };
                ask.headers.truncate(usual);
                ask.headers.push(("if-match", format!("\"{etag}\"")));
            }
            if let Some(reply) = body.send(&self.client, &ask)? {
                if let Some(was_there) = put.was_there {
                    *was_there = reply.code != StatusCode::CREATED;
                }
                let etag = self.client.etag_of(&reply.headers);
                let no_service = || self.client.no_service("it gives no etag");
                return etag.map(Some).ok_or_else(no_service);
            }
            if is_always {
                return Err(self.client.no_service("it says no"));
            }
            if wanted.is_none() {
                return Ok(None);
            }
            if !body.can_be_repeated() {
                return Err(StoreError::Contended {
                    key: key.to_string(),
                    waited: Duration::ZERO,
                });
            }
            conflicts.pause(self.client.settings().busy_timeout, key)?;
        }
    }

    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        _clock: &dyn Clock,
    ) -> Result<bool> {
        let Some(path) = key_path(namespace, key) else {
            return self.remove_odd(namespace, key, condition);
        };
        let mut ask = Ask::change(Method::DELETE, path.clone());
        match add_condition(&mut ask, condition) {
            None => {}
            Some(value) if value.len() <= MAX_IN_QUERY => {
                ask.method = Method::POST;
                let if_value = Some(value.to_vec());
                ask.path = path + &OnKey::Remove { if_value }.write();
            }
            Some(value) => {
                let mut conflicts = modify::Conflicts::default();
                while let Some(etag) = self.etag_of_value(namespace, key, value)? {
                    ask.headers = vec![("if-match", format!("\"{etag}\""))];
                    if self.client.ask(&ask)?.is_some() {
                        return Ok(true);
                    }
                    conflicts.pause(self.client.settings().busy_timeout, key)?;
                }
                return Ok(false);
            }
        }
        Ok(self.client.ask(&ask)?.is_some())
    }

    fn take(&self, namespace: &Namespace, key: &Key, _clock: &dyn Clock) -> Result<Option<Entry>> {
        let Some(path) = key_path(namespace, key) else {
            return self.take_odd(namespace, key);
        };
        let ask = Ask::fetch(Method::POST, path + &OnKey::Take.write());
        let reply = self.client.ask(&ask)?;
        reply
            .map(|reply| self.client.entry(reply, None))
            .transpose()
    }

    fn expire(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        if expiry == Expiry::Keep {
            return Ok(self.stat(namespace, key, clock.now())?.is_some());
        }
        match (key_path(namespace, key), expiry) {
            (Some(path), _) => {
                let path = path + &OnKey::Expire(expiry).write();
                Ok(self.client.ask(&Ask::change(Method::POST, path))?.is_some())
            }
            (None, Expiry::At(_)) => modify::expire(self, namespace, key, expiry, clock),
            (None, Expiry::After(ttl)) => self.expire_odd(namespace, key, &millis(ttl)),
            (None, _) => self.expire_odd(namespace, key, "never"),
        }
    }

    fn incr(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        _clock: &dyn Clock,
    ) -> Result<i64> {
        let text = match key_path(namespace, key) {
            None => self.add_odd(namespace, key, by, ttl)?,
            Some(path) => {
                let path = path + &OnKey::Incr { by, ttl }.write();
                let reply = self.client.ask(&Ask::fetch(Method::POST, path))?;
                let reply = reply.ok_or_else(|| self.client.no_service("it says no"))?;
                self.client.text(reply)?
            }
        };
        let sum = String::from_utf8(text).ok();
        let sum = sum.and_then(|text| text.trim_end().parse().ok());
        sum.ok_or_else(|| self.client.no_service("it gives no number"))
    }

    fn append(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
        clock: &dyn Clock,
    ) -> Result<()> {
        if addition.len() > MAX_ADDITION {
            return modify::append(self, namespace, key, addition, clock);
        }
        let Some(path) = key_path(namespace, key) else {
            return self.append_odd(namespace, key, addition);
        };
        let ask = Ask {
            body: addition,
            ..Ask::change(Method::POST, path + &OnKey::Append.write())
        };
        self.done(self.client.ask(&ask)?)
    }

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        _now: Time,
    ) -> Result<Listing<'a>> {
        self.list_entries(namespace, selection)
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.list_namespaces()
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        self.drop_namespace(namespace)
    }

    fn busy_timeout(&self) -> Duration {
        self.client.settings().busy_timeout
    }
}

impl Http {
    /// Returns the etag of an entry if it has exactly this value.
    fn etag_of_value(
        &self,
        namespace: &Namespace,
        key: &Key,
        value: &[u8],
    ) -> Result<Option<Etag>> {
        let Some(entry) = self.get(namespace, key, Time(0))? else {
            return Ok(None);
        };
        if entry.meta.size != value.len() as u64 {
            return Ok(None);
        }
        let is_same = entry.value.into_vec()? == value;
        Ok(is_same.then_some(entry.meta.etag))
    }

    /// Takes a no for no answer where there is nothing to say no to.
    fn done(&self, reply: Option<Reply>) -> Result<()> {
        match reply {
            Some(_) => Ok(()),
            None => Err(self.client.no_service("it says no")),
        }
    }

    fn pop_once(&self, list: &Namespace, end: End, wait: Duration) -> Result<Option<Entry>> {
        let path = namespace_path(list) + &OnNamespace::Pop { end, wait }.write();
        let ask = Ask {
            waits: wait,
            ..Ask::fetch(Method::POST, path)
        };
        let reply = self.client.ask(&ask)?;
        reply
            .map(|reply| self.client.entry(reply, None))
            .transpose()
    }
}

/// A value that is to be sent: all of it, or its beginning and where the rest comes from.
struct Body<'a> {
    head: Vec<u8>,
    rest: Option<&'a mut dyn Source>,
}

impl<'a> Body<'a> {
    /// Reads the beginning of a value, to be sent behind some bytes.
    fn read(prefix: &[u8], source: &'a mut dyn Source) -> Result<Self> {
        let mut head = prefix.to_vec();
        let mut filled = head.len();
        head.resize(filled + HELD, 0);
        while filled < head.len() {
            match source.read(&mut head[filled..])? {
                0 => {
                    head.truncate(filled);
                    return Ok(Self { head, rest: None });
                }
                n => filled += n,
            }
        }
        let rest = Some(source);
        Ok(Self { head, rest })
    }

    fn can_be_repeated(&self) -> bool {
        self.rest.is_none()
    }

    fn send(&mut self, client: &Client, ask: &Ask<'_>) -> Result<Option<Reply>> {
        let Some(rest) = &mut self.rest else {
            return client.ask(&Ask {
                method: ask.method.clone(),
                path: ask.path.clone(),
                headers: ask.headers.clone(),
                body: &self.head,
                ..*ask
            });
        };
        let mut upload = Upload::new(&self.head, *rest);
        let sent = client.stream(ask, &mut upload);
        match upload.failed.take() {
            Some(err) => Err(err),
            None => sent,
        }
    }
}
