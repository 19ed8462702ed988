//! `incr`: the server adds, as it is the only one who sees the number and nobody else.

use std::time::Duration;

use crate::store::modify::Conflicts;
use crate::store::{Clock, Deadline, Entries, Key, Namespace, Result, StoreError, Time};

use super::Redis;
use super::call::{Change, Outcome};
use super::entries::expires_word;
use super::script::Script;

impl Redis {
    /// Adds to a number; see [`crate::store::Entries::incr`].
    pub(super) fn add(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        clock: &dyn Clock,
    ) -> Result<i64> {
        let unfit = |why| StoreError::Unfit {
            action: "increment",
            key: key.to_string(),
            why,
        };
        const NO_NUMBER: &str = "its value is no decimal number of 64 bits";
        let mut seen = Vec::new();
        let mut has_looked = false;
        let mut conflicts = Conflicts::default();
        loop {
            // Each time it is another call, which has an answer of its own.
            let etag = self.new_etag()?;
            let now = clock.now();
            let expires = expires_word(ttl.map(|ttl| Deadline::after(now, ttl)));
            let args = vec![
                etag.to_string().into_bytes(),
                format!("{:020}", now.0).into_bytes(),
                by.to_string().into_bytes(),
                expires,
                seen,
            ];
            let change = Change {
                args,
                ..self.change(namespace, key, Script::Incr, etag.0, now)
            };
            let word = match self.carry_out(&change)? {
                Outcome::Word(word) => word,
                _ => return Err(self.odd_answer(Script::Incr)),
            };
            match &word[..] {
                "unfit" => return Err(unfit(NO_NUMBER)),
                "overflow" => return Err(unfit("the sum does not fit 64 bits")),
                "look" => {
                    // The first look is of nobody's making.
                    if has_looked {
                        conflicts.pause(self.link.settings().busy_timeout, key)?;
                    }
                    has_looked = true;
                    seen = self.verified_number(namespace, key, now)?;
                }
                word => {
                    let sum = word.strip_prefix("sum ").and_then(|sum| sum.parse().ok());
                    return sum.ok_or_else(|| self.odd_answer(Script::Incr));
                }
            }
        }
    }

    /// Returns a short value and its checksum, which is right.
    fn verified_number(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Vec<u8>> {
        let Some(entry) = self.get(namespace, key, now)? else {
            return Ok(Vec::new());
        };
        let mut value = entry.value.into_vec()?;
        let sum = xxhash_rust::xxh3::xxh3_64(&value);
        value.extend_from_slice(format!("{sum:016x}").as_bytes());
        Ok(value)
    }
}
