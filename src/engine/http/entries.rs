//! Verbs on one entry.

use std::time::{Duration, Instant};

use ureq::http::Method;

use crate::store::{
    Clock, Condition, End, Entry, Etag, Expiry, Key, Meta, Namespace, Put, Result, Source,
    StoreError, modify,
};
use crate::wire::percent;
use crate::wire::time::{rfc3339, rfc3339_deadline};

use super::Http;
use super::address::{key_path, namespace_path};
use super::body::Upload;
use super::client::{Ask, Client, Reply};

/// A value of at most this many bytes is sent with its length, and so at once.
const HELD: usize = 64 * 1024;
/// A value of a condition of at most this many bytes stands in the query.
const MAX_IN_QUERY: usize = 4 * 1024;
/// How long one request waits; the service allows a little more.
pub(super) const WAIT: Duration = Duration::from_secs(50);
/// How much longer the service may take for what concerns a whole namespace.
pub(super) const LONG_WORK: Duration = Duration::from_secs(3600);
/// The most bytes that the service adds to a value in one step.
const MAX_ADDITION: usize = 16 * 1024 * 1024;

/// Writes a duration so that it is not shorter.
pub(super) fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_nanos().div_ceil(1_000_000))
}

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

fn if_value(op: &str, value: &[u8]) -> String {
    format!("?op={op}&if_value={}", percent::encode(value))
}

impl Http {
    pub(super) fn find(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>> {
        let Some(path) = key_path(namespace, key) else {
            return self.find_odd(namespace, key);
        };
        let reply = self.client.ask(&Ask::look(Method::GET, path))?;
        reply.map(|reply| self.client.entry(reply)).transpose()
    }

    pub(super) fn find_meta(&self, namespace: &Namespace, key: &Key) -> Result<Option<Meta>> {
        let Some(path) = key_path(namespace, key) else {
            return self.find_odd_meta(namespace, key);
        };
        let reply = self.client.ask(&Ask::look(Method::HEAD, path))?;
        reply
            .map(|reply| self.client.meta(&reply.headers))
            .transpose()
    }

    pub(super) fn put_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
    ) -> Result<Option<Etag>> {
        let Some(path) = key_path(namespace, key) else {
            return self.put_odd(namespace, key, put);
        };
        let mut ask = Ask::change(Method::PUT, path.clone());
        match put.expiry {
            Expiry::Never => {}
            Expiry::After(ttl) => ask.headers.push(("kv-ttl", millis(ttl))),
            Expiry::At(at) => ask.headers.push(("kv-expires", rfc3339_deadline(at))),
            Expiry::Keep => ask.headers.push(("kv-keep-ttl", "1".to_owned())),
        }
        if let Some(modified) = put.modified {
            ask.headers.push(("kv-modified", rfc3339(modified)));
        }
        let mut wanted = add_condition(&mut ask, &put.condition);
        if let Some(value) = wanted
            && value.len() <= MAX_IN_QUERY
        {
            ask.method = Method::POST;
            ask.path = path + &if_value("put", value);
            wanted = None;
        }
        let usual = ask.headers.len();
        let mut body = Body::read(put.value)?;
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
                let etag = self.client.etag_of(&reply.headers);
                let no_service = || self.client.no_service("it gives no etag");
                return etag.map(Some).ok_or_else(no_service);
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

    /// Returns the etag of an entry if it has exactly this value.
    fn etag_of_value(
        &self,
        namespace: &Namespace,
        key: &Key,
        value: &[u8],
    ) -> Result<Option<Etag>> {
        let Some(entry) = self.find(namespace, key)? else {
            return Ok(None);
        };
        if entry.meta.size != value.len() as u64 {
            return Ok(None);
        }
        let is_same = entry.value.into_vec()? == value;
        Ok(is_same.then_some(entry.meta.etag))
    }

    pub(super) fn remove_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
    ) -> Result<bool> {
        let Some(path) = key_path(namespace, key) else {
            return self.remove_odd(namespace, key, condition);
        };
        let mut ask = Ask::change(Method::DELETE, path.clone());
        match add_condition(&mut ask, condition) {
            None => {}
            Some(value) if value.len() <= MAX_IN_QUERY => {
                ask.method = Method::POST;
                ask.path = path + &if_value("remove", value);
            }
            Some(value) => {
                let mut conflicts = modify::Conflicts::default();
                while let Some(etag) = self.etag_of_value(namespace, key, value)? {
                    let condition = Condition::Etag(etag);
                    if self.remove_entry(namespace, key, &condition)? {
                        return Ok(true);
                    }
                    conflicts.pause(self.client.settings().busy_timeout, key)?;
                }
                return Ok(false);
            }
        }
        Ok(self.client.ask(&ask)?.is_some())
    }

    pub(super) fn take_entry(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>> {
        let Some(path) = key_path(namespace, key) else {
            return self.take_odd(namespace, key);
        };
        let ask = Ask::change(Method::POST, path + "?op=take");
        let reply = self.client.ask(&ask)?;
        reply.map(|reply| self.client.entry(reply)).transpose()
    }

    pub(super) fn expire_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let when = match expiry {
            Expiry::Never => "ttl=never".to_owned(),
            Expiry::After(ttl) => format!("ttl={}", millis(ttl)),
            Expiry::At(at) => {
                let at = rfc3339_deadline(at);
                format!("at={}", percent::encode(at.as_bytes()))
            }
            Expiry::Keep => return Ok(self.find_meta(namespace, key)?.is_some()),
        };
        match key_path(namespace, key) {
            Some(path) => {
                let path = format!("{path}?op=expire&{when}");
                Ok(self.client.ask(&Ask::change(Method::POST, path))?.is_some())
            }
            None => match expiry {
                Expiry::At(_) => modify::expire(self, namespace, key, expiry, clock),
                _ => self.expire_odd(namespace, key, &when["ttl=".len()..]),
            },
        }
    }

    pub(super) fn add(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64> {
        let text = match key_path(namespace, key) {
            None => self.add_odd(namespace, key, by, ttl)?,
            Some(path) => {
                let ttl = ttl.map_or(String::new(), |ttl| format!("&ttl={}", millis(ttl)));
                let path = format!("{path}?op=incr&by={by}{ttl}");
                let reply = self.client.ask(&Ask::change(Method::POST, path))?;
                let reply = reply.ok_or_else(|| self.client.no_service("it says no"))?;
                self.client.text(reply)?
            }
        };
        let sum = text.trim_end().parse();
        sum.map_err(|_| self.client.no_service("it gives no number"))
    }

    pub(super) fn append_bytes(
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
            ..Ask::change(Method::POST, path + "?op=append")
        };
        self.client.ask(&ask).map(drop)
    }

    pub(super) fn push_element(&self, list: &Namespace, value: &mut dyn Source) -> Result<()> {
        let path = namespace_path(list) + "?op=push";
        let ask = Ask::change(Method::POST, path);
        Body::read(value)?.send(&self.client, &ask).map(drop)
    }

    pub(super) fn pop_element(&self, list: &Namespace, end: End) -> Result<Option<Entry>> {
        self.pop_once(list, end, Duration::ZERO)
    }

    pub(super) fn pop_element_within(
        &self,
        list: &Namespace,
        end: End,
        patience: Duration,
    ) -> Result<Option<Entry>> {
        // A time too long to count is no limit.
        let until = Instant::now().checked_add(patience);
        loop {
            let left = until.map_or(WAIT, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let popped = self.pop_once(list, end, left.min(WAIT))?;
            if popped.is_some() || until.is_some_and(|until| until <= Instant::now()) {
                return Ok(popped);
            }
        }
    }

    fn pop_once(&self, list: &Namespace, end: End, wait: Duration) -> Result<Option<Entry>> {
        let last = match end {
            End::First => "",
            End::Last => "&last=1",
        };
        let wait_for = match wait.as_millis() {
            0 => String::new(),
            millis => format!("&wait={millis}ms"),
        };
        let ask = Ask {
            waits: wait,
            ..Ask::change(
                Method::POST,
                format!("{}?op=pop{last}{wait_for}", namespace_path(list)),
            )
        };
        let reply = self.client.ask(&ask)?;
        reply.map(|reply| self.client.entry(reply)).transpose()
    }
}

/// A value that is to be sent: all of it, or its beginning and where the rest comes from.
struct Body<'a> {
    head: Vec<u8>,
    rest: Option<&'a mut dyn Source>,
}

impl<'a> Body<'a> {
    fn read(source: &'a mut dyn Source) -> Result<Self> {
        let mut head = vec![0; HELD];
        let mut filled = 0;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_never_shorter_than_it_was() {
        assert_eq!(millis(Duration::from_nanos(1)), "1ms");
        assert_eq!(millis(Duration::from_millis(1500)), "1500ms");
    }
}
