//! Entries whose keys cannot stand in a path: verbs on them are commands of a batch, in the body.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use ureq::http::Method;

use crate::store::{
    Condition, Entry, Etag, Expiry, Key, Meta, Namespace, Put, Result, StoreError, Value,
    entry::read_to_end,
};
use crate::wire::listed;

use super::Http;
use super::address::namespace_path;
use super::body::Download;
use super::client::Ask;
use super::entries::millis;

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
    pub(super) fn batch(
        &self,
        namespace: &Namespace,
        commands: &[Json],
        is_safe: bool,
    ) -> Result<Vec<Printed>> {
        let lines: String = commands
            .iter()
            .map(|command| format!("{command}\n"))
            .collect();
        let path = namespace_path(namespace) + "?op=batch&json=1";
        let ask = Ask {
            body: lines.as_bytes(),
            is_safe,
            ..Ask::change(Method::POST, path)
        };
        let reply = self.client.ask(&ask)?;
        let reply = reply.ok_or_else(|| self.client.no_service("it says no to a batch"))?;
        let frames = read_to_end(&mut Download::new(&self.client, reply.body))?;
        let mut frames = &*frames;
        let torn = || self.client.no_service("its replies are torn");
        let mut printed = Vec::with_capacity(commands.len());
        for _ in commands {
            let (status, text, rest) = take_frame(frames).ok_or_else(torn)?;
            frames = rest;
            printed.push(match status {
                0 => Ok(Some(text.to_vec())),
                1 => Ok(None),
                status => Err(self.client.told(status, error_of(text))),
            });
        }
        Ok(printed)
    }

    fn one(&self, namespace: &Namespace, command: Json) -> Printed {
        let printed = self.batch(namespace, &[command], false)?;
        printed.into_iter().next().unwrap_or(Ok(None))
    }

    pub(super) fn find_odd(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>> {
        let stat = command(&["stat", "--json"], &[key.as_bytes()]);
        let get = command(&["get"], &[key.as_bytes()]);
        loop {
            let commands = [stat.clone(), get.clone(), stat.clone()];
            let printed = self.batch(namespace, &commands, true)?;
            let Ok([before, value, after]) = <[Printed; 3]>::try_from(printed) else {
                return Ok(None);
            };
            let (Some(before), Some(bytes), Some(after)) = (before?, value?, after?) else {
                return Ok(None);
            };
            // Where others have changed it meanwhile, it may not be what was told of it.
            if before == after {
                let meta = self.read_meta(&before)?;
                let value = Value::Whole { bytes, next: 0 };
                return Ok(Some(Entry { meta, value }));
            }
        }
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

    pub(super) fn put_odd(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
    ) -> Result<Option<Etag>> {
        let mut options = vec![Json::from("put"), Json::from("--print-etag")];
        let mut add = |words: &[Json]| options.extend_from_slice(words);
        match &put.condition {
            Condition::Always => {}
            Condition::Absent => add(&[Json::from("--if-absent")]),
            Condition::Exists => add(&[Json::from("--if-exists")]),
            Condition::Etag(etag) => add(&[Json::from(format!("--if-etag={etag}"))]),
            Condition::Value(value) => add(&[Json::from("--if-value"), word(value)]),
        }
        match put.expiry {
            Expiry::Never => {}
            Expiry::After(ttl) => add(&[Json::from(format!("--ttl={}", millis(ttl)))]),
            Expiry::Keep => add(&[Json::from("--keep-ttl")]),
            Expiry::At(_) => return Err(self.cannot_set_times(key)),
        }
        if put.modified.is_some() {
            return Err(self.cannot_set_times(key));
        }
        let value = read_to_end(put.value)?;
        add(&[Json::from("--"), word(key.as_bytes()), word(&value)]);
        let printed = self.one(namespace, Json::from(options))?;
        let etag = printed.map(|text| String::from_utf8_lossy(&text).trim_end().parse());
        etag.transpose()
            .map_err(|_| self.client.no_service("it gives no etag"))
    }

    fn cannot_set_times(&self, key: &Key) -> StoreError {
        StoreError::Unfit {
            action: "set the times of",
            key: key.to_string(),
            why: "over HTTP that wants a key that can stand in a path",
        }
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

    pub(super) fn take_odd(&self, namespace: &Namespace, key: &Key) -> Result<Option<Entry>> {
        let stat = command(&["stat", "--json"], &[key.as_bytes()]);
        let take = command(&["get", "--remove"], &[key.as_bytes()]);
        let printed = self.batch(namespace, &[stat, take], false)?;
        let Ok([before, taken]) = <[Printed; 2]>::try_from(printed) else {
            return Ok(None);
        };
        let Some(bytes) = taken? else {
            return Ok(None);
        };
        let before = before.ok().flatten();
        let known = before.and_then(|line| self.read_meta(&line).ok());
        let meta = Meta {
            size: bytes.len() as u64,
            ..known.ok_or_else(|| self.client.no_service("it tells nothing of what it gave"))?
        };
        let value = Value::Whole { bytes, next: 0 };
        Ok(Some(Entry { meta, value }))
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
    ) -> Result<String> {
        let mut options = vec!["incr".to_owned(), format!("--by={by}")];
        options.extend(ttl.map(|ttl| format!("--ttl={}", millis(ttl))));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let printed = self.one(namespace, command(&options, &[key.as_bytes()]))?;
        Ok(String::from_utf8_lossy(&printed.unwrap_or_default()).into_owned())
    }

    pub(super) fn append_odd(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
    ) -> Result<()> {
        let append = command(&["append"], &[key.as_bytes(), addition]);
        self.one(namespace, append).map(drop)
    }
}

/// Takes a reply off the front: `STATUS BYTES`, a newline, so many bytes, a newline.
fn take_frame(frames: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let end = frames.iter().position(|&byte| byte == b'\n')?;
    let (head, rest) = (
        std::str::from_utf8(&frames[..end]).ok()?,
        &frames[end + 1..],
    );
    let (status, length) = head.split_once(' ')?;
    let length: usize = length.parse().ok()?;
    let text = rest.get(..length)?;
    let rest = rest[length..].strip_prefix(b"\n")?;
    Some((status.parse().ok()?, text, rest))
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
    fn a_frame_is_as_long_as_it_says() {
        let (status, text, rest) = take_frame(b"0 3\na\nb\n1 0\n\n").unwrap();
        assert_eq!((status, text), (0, &b"a\nb"[..]));
        assert_eq!(take_frame(rest), Some((1, &b""[..], &b""[..])));
        for torn in [
            &b""[..],
            b"0",
            b"0 1\n",
            b"0 1\na",
            b"0 1\nab\n",
            b"x 0\n\n",
            b"0 -1\n\n",
        ] {
            assert_eq!(take_frame(torn), None);
        }
    }

    #[test]
    fn an_error_is_told_without_its_frame() {
        assert_eq!(error_of(b"kv: line 1: cannot x\n"), "cannot x");
        assert_eq!(error_of(b"12\nkv: line 12: line x: y\n"), "line x: y");
        assert_eq!(error_of(b"kv: cannot x\n"), "cannot x");
    }
}
