//! Verbs on one entry, and on a list.

use std::time::{Duration, Instant};

use ureq::http::StatusCode;

use crate::store::{
    Clock, Condition, End, Entries, Entry, Etag, Expiry, Key, Listing, Lists, Meta, Namespace, Put,
    Result, Selection, Source, StoreError, Time, modify,
};
use crate::wire::http::answer::WAS;
use crate::wire::http::millis;
use crate::wire::http::request::{OnKey, OnNamespace};
use crate::wire::listed;
use crate::wire::time::{rfc3339, rfc3339_deadline};

use super::Http;
use super::ask::Ask;
use super::body::Upload;
use super::client::Reply;

/// A value of a condition of at most this many bytes stands in the query.
const MAX_IN_QUERY: usize = 4 * 1024;
/// The most bytes that the service adds to a value in one step.
const MAX_ADDITION: usize = 16 * 1024 * 1024;

/// How a request says what must hold.
#[derive(Default)]
struct Precondition<'c> {
    header: Option<(&'static str, String)>,
    /// The value that must be there, in the query.
    if_value: Option<Vec<u8>>,
    /// Where that is too large for a query.
    large: Option<&'c [u8]>,
}

impl<'c> Precondition<'c> {
    fn of(condition: &'c Condition) -> Self {
        let mut precondition = Self::default();
        match condition {
            Condition::Always => {}
            Condition::Absent => precondition.header = Some(("if-none-match", "*".to_owned())),
            Condition::Exists => precondition.header = Some(("if-match", "*".to_owned())),
            Condition::Etag(etag) => precondition.header = Some(if_match(*etag)),
            Condition::Value(value) if value.len() > MAX_IN_QUERY => {
                precondition.large = Some(value)
            }
            Condition::Value(value) => precondition.if_value = Some(value.clone()),
        }
        precondition
    }
}

fn if_match(etag: Etag) -> (&'static str, String) {
    ("if-match", format!("\"{etag}\""))
}

impl Lists for Http {
    fn push(&self, list: &Namespace, value: &mut dyn Source, _clock: &dyn Clock) -> Result<()> {
        let ask = Ask::on_namespace(list, &OnNamespace::Push);
        self.done(Upload::read(b"", value)?.send(&self.client, &ask)?)
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
        self.client.entry(&Ask::on_key(namespace, key, OnKey::Get))
    }

    fn stat(&self, namespace: &Namespace, key: &Key, _now: Time) -> Result<Option<Meta>> {
        let ask = Ask::on_key(namespace, key, OnKey::Stat);
        let Some(reply) = self.client.ask(&ask)? else {
            return Ok(None);
        };
        let listed = listed::read(&self.client.text(reply)?);
        let listed = listed.map_err(|why| self.client.no_service(&why))?;
        Ok(Some(listed.meta))
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        _clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        let Precondition {
            header,
            if_value,
            large,
        } = Precondition::of(&put.condition);
        let mut ask = Ask::on_key(namespace, key, OnKey::Put { if_value });
        ask.headers.extend(match put.expiry {
            Expiry::Never => None,
            Expiry::After(ttl) => Some(("kv-ttl", millis(ttl))),
            Expiry::At(at) => Some(("kv-expires", rfc3339_deadline(at))),
            Expiry::Keep => Some(("kv-keep-ttl", "1".to_owned())),
        });
        let modified = put.modified.map(|time| ("kv-modified", rfc3339(time)));
        ask.headers.extend(header.into_iter().chain(modified));
        let usual = ask.headers.len();
        let mut body = Upload::read(ask.body, put.value)?;
        let mut conflicts = modify::Conflicts::default();
        loop {
            if let Some(value) = large {
                let Some(etag) = self.etag_of_value(namespace, key, value)? else {
                    return Ok(None);
                };
                ask.headers.truncate(usual);
                ask.headers.push(if_match(etag));
            }
            if let Some(reply) = body.send(&self.client, &ask)? {
                if let Some(was_there) = put.was_there {
                    *was_there = reply.code != StatusCode::CREATED;
                }
                let etag = self.client.etag_of(&reply.headers, "etag");
                let no_service = || self.client.no_service("its answer has no etag");
                return etag.map(Some).ok_or_else(no_service);
            }
            if put.condition == Condition::Always {
                return Err(self.nothing_to_refuse());
            }
            if large.is_none() {
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
        let Precondition {
            header,
            if_value,
            large,
        } = Precondition::of(condition);
        let mut ask = Ask::on_key(namespace, key, OnKey::Remove { if_value });
        ask.headers.extend(header);
        let Some(value) = large else {
            return Ok(self.client.ask(&ask)?.is_some());
        };
        let mut conflicts = modify::Conflicts::default();
        while let Some(etag) = self.etag_of_value(namespace, key, value)? {
            ask.headers = vec![if_match(etag)];
            if self.client.ask(&ask)?.is_some() {
                return Ok(true);
            }
            conflicts.pause(self.client.settings().busy_timeout, key)?;
        }
        Ok(false)
    }

    fn take(&self, namespace: &Namespace, key: &Key, _clock: &dyn Clock) -> Result<Option<Entry>> {
        self.client.entry(&Ask::on_key(namespace, key, OnKey::Take))
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
        let ask = Ask::on_key(namespace, key, OnKey::Expire(expiry));
        Ok(self.client.ask(&ask)?.is_some())
    }

    fn incr(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        _clock: &dyn Clock,
    ) -> Result<i64> {
        let ask = Ask::on_key(namespace, key, OnKey::Incr { by, ttl });
        let reply = self.client.ask(&ask)?;
        let reply = reply.ok_or_else(|| self.nothing_to_refuse())?;
        let sum = String::from_utf8(self.client.text(reply)?).ok();
        let sum = sum.and_then(|text| text.trim_end().parse().ok());
        sum.ok_or_else(|| self.client.no_service("its answer is no number"))
    }

    fn append(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
        clock: &dyn Clock,
    ) -> Result<Option<(Option<Etag>, Etag)>> {
        if addition.len() > MAX_ADDITION {
            return modify::append(self, namespace, key, || addition, clock, true);
        }
        let ask = Ask::on_key(namespace, key, OnKey::Append);
        let behind_key = [ask.body, addition].concat();
        let reply = self.client.ask_with(&ask, &behind_key)?;
        let headers = reply.ok_or_else(|| self.nothing_to_refuse())?.headers;
        let was = self.client.etag_of(&headers, WAS);
        Ok(self.client.etag_of(&headers, "etag").map(|is| (was, is)))
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
        let ask = Ask::on_namespace(namespace, &OnNamespace::Drop);
        Ok(self.client.ask(&ask)?.is_some())
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
        reply.map(drop).ok_or_else(|| self.nothing_to_refuse())
    }

    fn nothing_to_refuse(&self) -> StoreError {
        let why = "it answers 404 to a change that needs nothing to be there";
        self.client.no_service(why)
    }

    fn pop_once(&self, list: &Namespace, end: End, wait: Duration) -> Result<Option<Entry>> {
        let pop = OnNamespace::Pop { end, wait };
        self.client.entry(&Ask::on_namespace(list, &pop))
    }
}
