//! `push` and `pop`: the elements of a list are the entries of one bucket, in their order.

use crate::store::lists::{next_key, number_of};
use crate::store::modify::Conflicts;
use crate::store::{Clock, End, Entries, Entry, Key, Lists, Locks as _, Namespace, Result, Source};

use super::Redis;
use super::call::{Change, Outcome, about};
use super::codec;
use super::command::Command;
use super::entries::{etag_words, expires_word, read_value};
use super::names::{Bucket, BucketId};
use super::pages::foreign_index;
use super::script::Script;

/// So many elements that have expired are cleared away at once.
const AT_ONCE: usize = 100;

impl Lists for Redis {
    fn push(&self, list: &Namespace, value: &mut dyn Source, clock: &dyn Clock) -> Result<()> {
        let value = read_value(value, list)?;
        let now = clock.now();
        // The largest is no element's.
        let guess = self.guesses.lock().get(list).copied();
        let mut number = guess.unwrap_or(1).min(u64::MAX - 1);
        let mut is_first_guess = true;
        let mut conflicts = Conflicts::default();
        loop {
            // The script takes the number only if it is the next, and tells the last one otherwise: so
            // the order of the elements is that in which they came.
            let key = next_key(list, number)?;
            // Each time it is another call, which has an answer of its own.
            let etag = self.new_etag()?;
            let entry = codec::encode(key.as_bytes(), etag, now, None, &value);
            let change = Change {
                args: vec![entry, expires_word(None)],
                ..self.change(list, &key, Script::Push, etag.0, now)
            };
            let pushed = self.carry_out(&change);
            let word = match pushed.map_err(|err| about(err, list.to_string()))? {
                Outcome::Done => {
                    let next = number.saturating_add(1);
                    self.guesses.lock().insert(list.clone(), next);
                    return Ok(());
                }
                Outcome::Word(word) => word,
                Outcome::No => return Err(self.unexpected_answer(Script::Push)),
            };
            let last = word
                .strip_prefix("next ")
                .and_then(|last| number_of(last.as_bytes()));
            number = last.ok_or_else(|| self.unexpected_answer(Script::Push))? + 1;
            // The first guess is of nobody's making.
            if is_first_guess {
                is_first_guess = false;
            } else {
                conflicts.pause(self.busy_timeout(), &key)?;
            }
        }
    }

    fn pop(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Entry>> {
        let bucket = self.bucket(list, BucketId::LIST);
        let word = match end {
            End::First => "first",
            End::Last => "last",
        };
        let mut conflicts = Conflicts::default();
        let mut cleared = None;
        let mut held = Vec::new();
        loop {
            let near = self.elements_at(&bucket, end, held.len() + 1)?;
            let Some(key) = near.into_iter().find(|key| !held.contains(key)) else {
                return Ok(None);
            };
            let Some(entry) = self.get(list, &key, clock.now())? else {
                let dead = self.elements_at(&bucket, end, AT_ONCE)?;
                self.clear(&bucket, &dead, "dead", clock.now())?;
                // It is there again, or still.
                if cleared.as_ref() == Some(&key) {
                    conflicts.pause(self.busy_timeout(), &key)?;
                }
                cleared = Some(key);
                continue;
            };
            // Whoever locks it after it was read gives it another etag.
            if self.lock_holder(list, &key)?.is_some() {
                held.push(key);
                continue;
            }
            let word = if held.is_empty() { word } else { "" };
            let unchanged = etag_words(entry.meta.etag);
            let popped = self.remove_at(list, &key, unchanged, word, clock);
            match popped.map_err(|err| about(err, list.to_string())) {
                Ok(Outcome::Done) => return Ok(Some(entry)),
                Ok(_) => {}
                Err(err) => return entry.taken_though(err).map(Some),
            }
            conflicts.pause(self.busy_timeout(), &key)?;
        }
    }
}

impl Redis {
    /// Returns the keys nearest to one end of a list.
    fn elements_at(&self, bucket: &Bucket, end: End, count: usize) -> Result<Vec<Key>> {
        let (command, from, to) = match end {
            End::First => ("ZRANGEBYLEX", "-", "+"),
            End::Last => ("ZREVRANGEBYLEX", "+", "-"),
        };
        let index = bucket.single('i');
        let count = count.to_string();
        let words = [
            command.as_bytes(),
            &index,
            from.as_bytes(),
            to.as_bytes(),
            b"LIMIT",
            b"0",
            count.as_bytes(),
        ];
        let reply = self.link.answer(Command::read(bucket.slot, &words))?;
        if reply.is_foreign() {
            return Err(foreign_index(bucket));
        }
        let keys = self.link.array(reply)?.into_iter();
        Ok(keys
            .filter_map(|key| Key::new(key.into_bytes()?).ok())
            .collect())
    }
}
