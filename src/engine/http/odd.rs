//! Entries whose keys cannot stand in a path, and stand in a body: verbs on them that bring no value
//! are commands of a batch.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use ureq::http::Method;

use crate::store::{Condition, Entry, Key, Meta, Namespace, Result};
use crate::wire::http::answer::{self, Ended};
use crate::wire::http::request::OnNamespace;
use crate::wire::http::{frame, millis};
use crate::wire::listed;

use super::Http;
use super::address::namespace_path;
use super::ask::Ask;

/// The most bytes of a reply to a command, and of all those to a batch.
const MAX_REPLY: u64 = 512 * 1024;
const MAX_REPLIES: u64 = 17 * 1024 * 1024;

/// How much longer an answer may take for each command.
const EACH: Duration = Duration::from_millis(100);

/// What a command of a batch has printed, or why it failed; `None` is a no.
type Printed = Result<Option<Vec<u8>>>;

/// Makes a word of a command: text where it can be, as JSON has no other bytes.
pub(super) fn word(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Makes a command of options, which are text, and of words behind them.
fn command(options: &[&str], words: &[&[u8]]) -> Json {
    let options = options.iter().map(|option| Json::from(*option));
    let words = words.iter().map(|bytes| word(bytes));
    options.chain([Json::from("--")]).chain(words).collect()
}

impl Http {
    /// Carries out commands, and returns what came of each.
    pub(super) fn batch(&self, namespace: &Namespace, commands: &[Json]) -> Result<Vec<Printed>> {
        let lines: String = commands
            .iter()
            .map(|command| format!("{command}\n"))
            .collect();
        let batch = OnNamespace::Batch {
            json: true,
            stop: false,
            end: true,
        };
        let path = namespace_path(namespace) + &batch.write();
        let ask = Ask {
            body: lines.as_bytes(),
            // They are carried out one after another.
            waits: EACH.saturating_mul(u32::try_from(commands.len()).unwrap_or(u32::MAX)),
            ..Ask::fetch(Method::POST, path)
        };
        let reply = self.client.ask(&ask)?;
        let reply = reply.ok_or_else(|| self.client.no_service("it says no to a batch"))?;
        let end = commands.len() as u64;
        let most = MAX_REPLY.saturating_mul(end).min(MAX_REPLIES);
        let frames = self.client.bytes(reply.body, most)?;
        let mut frames = &*frames;
        let torn = || self.client.no_service("its replies are torn");
        let mut printed = Vec::with_capacity(commands.len());
        for _ in commands {
            let (status, text, rest) = frame::take(frames).ok_or_else(torn)?;
            frames = rest;
            printed.push(match status {
                0 => Ok(Some(text.to_vec())),
                1 => Ok(None),
                status => Err(self.client.told(status, error_of(text))),
            });
        }
        match answer::read::<Ended>(frames) {
            Some(ended) if ended.end == end => Ok(printed),
            _ => Err(torn()),
        }
    }

    fn one(&self, namespace: &Namespace, command: Json) -> Printed {
        let printed = self.batch(namespace, &[command])?;
        printed.into_iter().next().unwrap_or(Ok(None))
    }

    pub(super) fn find_odd(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>> {
        let is_safe = true;
        self.fetch_odd(namespace, key, OnNamespace::Get, is_safe)
    }

    pub(super) fn take_odd(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>> {
        let is_safe = false;
        self.fetch_odd(namespace, key, OnNamespace::Take, is_safe)
    }

    /// Asks for a value with the key in the body.
    fn fetch_odd(
        &self,
        namespace: &Namespace,
        key: &Key,
        op: OnNamespace,
        is_safe: bool,
    ) -> Result<Option<Entry>> {
        let ask = Ask {
            body: key.as_bytes(),
            is_safe,
            ..Ask::fetch(Method::POST, namespace_path(namespace) + &op.write())
        };
        let reply = self.client.ask(&ask)?;
        reply
            .map(|reply| self.client.entry(reply, None))
            .transpose()
    }

    pub(super) fn find_odd_meta(&self, namespace: &Namespace, key: &Key) -> Result<Option<Meta>> {
        let stat = command(&["stat", "--json"], &[key.as_bytes()]);
        let printed = self.one(namespace, stat)?;
        printed.map(|line| self.read_meta(&line)).transpose()
    }

    fn read_meta(&self, line: &[u8]) -> Result<Meta> {
        let listed = listed::read(line).map_err(|why| self.client.no_service(&why))?;
        Ok(listed.meta)
    }

    pub(super) fn remove_odd(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
    ) -> Result<bool> {
        let mut words = vec![Json::from("remove")];
        match condition {
            Condition::Always => {}
            Condition::Etag(etag) => words.push(Json::from(format!("--if-etag={etag}"))),
            Condition::Value(value) => words.extend([Json::from("--if-value"), word(value)]),
            Condition::Absent => return Ok(false),
            Condition::Exists => {}
        }
        words.extend([Json::from("--"), word(key.as_bytes())]);
        Ok(self.one(namespace, Json::from(words))?.is_some())
    }

    pub(super) fn expire_odd(&self, namespace: &Namespace, key: &Key, when: &str) -> Result<bool> {
        let expire = command(&["expire"], &[key.as_bytes(), when.as_bytes()]);
        Ok(self.one(namespace, expire)?.is_some())
    }

    pub(super) fn add_odd(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<Vec<u8>> {
        let mut options = vec!["incr".to_owned(), format!("--by={by}")];
        options.extend(ttl.map(|ttl| format!("--ttl={}", millis(ttl))));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let printed = self.one(namespace, command(&options, &[key.as_bytes()]))?;
        Ok(printed.unwrap_or_default())
    }

    pub(super) fn append_odd(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
    ) -> Result<()> {
        let append = command(&["append"], &[key.as_bytes(), addition]);
        match self.one(namespace, append)? {
            Some(_) => Ok(()),
            None => Err(self.client.no_service("it says no")),
        }
    }
}

/// Returns what a command had to say: the last line of what it printed, without the words that say
/// that it is kv's and which line of the batch it was.
fn error_of(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let line = text.trim_end().rsplit('\n').next().unwrap_or_default();
    let line = line.strip_prefix("kv: ").unwrap_or(line);
    match line
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((number, what)) if number.bytes().all(|byte| byte.is_ascii_digit()) => what.to_owned(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_without_its_frame() {
        assert_eq!(error_of(b"kv: line 1: cannot x\n"), "cannot x");
        assert_eq!(error_of(b"12\nkv: line 12: line x: y\n"), "line x: y");
        assert_eq!(error_of(b"kv: cannot x\n"), "cannot x");
    }
}
