//! Which directories a namespace has: a store knows keys only, and a directory is there because keys
//! begin with its name.
//!
//! Most engines find the first key behind a prefix in no time, and are asked. A hashed tree of loose
//! entries has to look at all of them, so that it takes as long as a whole listing: then all keys are
//! listed, and the list is believed for up to a second. What this mount changes is known at once.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::store::error::Result;
use crate::store::{Listed, Meta, Namespace, Selection};

use super::index::{Changes, Index};
use super::{App, names};

/// For how long a list of all keys is believed.
pub(super) const BELIEVED: Duration = Duration::from_secs(1);
/// A question that takes longer than this is dear.
const DEAR: Duration = Duration::from_millis(1);
/// So many dear questions in a row are no accident.
const NO_ACCIDENT: u32 = 3;
/// All keys are listed if that takes at most so many times as long as a question.
const WORTH: u32 = 20;
/// Where the answer may be older, the list is believed for so many times as long as it took.
const RARE: u32 = 8;
/// When that took too long, it is tried again after this.
const RETRY: Duration = Duration::from_secs(10);
/// After so many listings it is looked whether questions are dear still.
const REMEASURE: u32 = 60;

/// More changes than this are not kept for nothing.
const MANY: usize = 4096;

/// What is known of the directories of a namespace.
#[derive(Debug, Default)]
pub(super) struct DirIndex {
    index: Mutex<Known>,
    changes: Mutex<Changes>,
    /// Whether there is a list, or one is being made.
    is_listed: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    index: Option<Index>,
    /// How many questions in a row were dear.
    dear: u32,
    /// How long the last one took.
    took: Duration,
    not_before: Option<Instant>,
    listings: u32,
    /// How long the last listing took.
    listing: Duration,
}

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The answer is true, or was a second ago.
    Recent,
    /// The answer may be older if the truth is dear: as many times as listing all keys takes.
    Cheap,
}

/// What is done with each key: where to go on from, if not behind it; `Err` ends it.
pub(super) type Each<'a> =
    &'a mut dyn FnMut(&[u8], Option<Meta>) -> std::result::Result<Option<Vec<u8>>, ()>;

impl DirIndex {
    /// Notes that this mount has stored or removed a key.
    pub(super) fn note(&self, key: &[u8], is_there: bool) {
        let mut changes = self.changes.lock();
        changes.insert(key.to_vec(), (Instant::now(), is_there));
        // Without a list of all keys nobody needs what has changed since.
        if changes.len() > MANY && !self.is_listed.load(SeqCst) {
            changes.clear();
        }
    }

    /// Tells whether any key is shown below a directory. Where entries are damaged whose keys nobody knows, it fails
    /// unless a sound one does.
    pub(super) fn has_below(
        &self,
        app: &App,
        namespace: &Namespace,
        prefix: &[u8],
        freshness: Freshness,
    ) -> Result<bool> {
        let mut found = false;
        // Below a part of a part there may be keys that are shown elsewhere.
        let limit = names::leads(prefix, prefix).then_some(1);
        let walked = self.walk(app, namespace, prefix, freshness, limit, &mut |key, _| {
            found = names::leads(prefix, key);
            let rest = &key[prefix.len()..];
            let slash = memchr::memchr(b'/', rest).map(|len| prefix.len() + len);
            match found {
                true => Err(()),
                false => Ok(slash.map(|slash| [&key[..slash], b"0"].concat())),
            }
        });
        match walked {
            Err(err) if !found => Err(err),
            _ => Ok(found),
        }
    }

    /// Hands the keys that begin so to `each`, in the order of their bytes; of a key that this mount
    /// has changed a moment ago nothing else may be known. What is damaged is an error once all that
    /// is sound was handed over.
    pub(super) fn walk(
        &self,
        app: &App,
        namespace: &Namespace,
        prefix: &[u8],
        freshness: Freshness,
        limit: Option<u64>,
        each: Each<'_>,
    ) -> Result<()> {
        let mut known = self.index.lock();
        if known.dear >= NO_ACCIDENT && known.not_before.is_none_or(|at| at < Instant::now()) {
            let age = BELIEVED.max(match freshness {
                Freshness::Recent => Duration::ZERO,
                Freshness::Cheap => known.listing * RARE,
            });
            let is_fine = known
                .index
                .as_ref()
                .is_some_and(|is| is.since.elapsed() < age);
            if (is_fine || self.list(app, namespace, &mut known)?)
                && let Some(index) = &known.index
            {
                let changes = self.changes.lock();
                index.walk(prefix, &changes, app.now(), each);
                return index.damage().map_or(Ok(()), Err);
            }
        }
        let before = known.dear;
        drop(known);
        let began = Instant::now();
        let done = ask(app, namespace, prefix, limit, each);
        if limit.is_some() {
            let mut known = self.index.lock();
            known.took = began.elapsed();
            known.dear = match known.took > DEAR {
                true => before.max(known.dear) + 1,
                false => 0,
            };
        }
        done
    }

    /// Lists all keys. Returns false if that takes too long.
    fn list(&self, app: &App, namespace: &Namespace, known: &mut Known) -> Result<bool> {
        self.is_listed.store(true, SeqCst);
        let began = Instant::now();
        let budget = known.took.max(DEAR) * WORTH;
        let mut index = Index::new(began);
        let mut count = 0_u32;
        let mut is_over = false;
        let listed = each_key(app, namespace, &Selection::default(), &mut |listed| {
            index.push(listed.key, listed.meta);
            count = count.wrapping_add(1);
            is_over = count.is_multiple_of(1024) && began.elapsed() > budget;
            !is_over
        });
        match listed {
            Err(err) if err.is_damage() => index.note_damage(&err),
            done => done?,
        }
        known.listings += 1;
        known.listing = began.elapsed();
        if is_over || known.listings.is_multiple_of(REMEASURE) {
            known.not_before = is_over.then(|| Instant::now() + RETRY);
            known.dear = 0;
            known.index = None;
            self.is_listed.store(false, SeqCst);
            return Ok(false);
        }
        self.changes.lock().retain(|_, (when, _)| *when >= began);
        known.index = Some(index);
        Ok(true)
    }
}

/// Asks the store for the keys that begin so.
fn ask(
    app: &App,
    namespace: &Namespace,
    prefix: &[u8],
    limit: Option<u64>,
    each: Each<'_>,
) -> Result<()> {
    let mut selection = Selection {
        prefix: prefix.to_vec(),
        limit,
        ..Selection::default()
    };
    let mut damage = Ok(());
    loop {
        let mut next = None;
        let listed = each_key(app, namespace, &selection, &mut |listed| match each(
            listed.key,
            Some(listed.meta),
        ) {
            Ok(None) => true,
            Ok(from) => {
                next = from;
                false
            }
            Err(()) => false,
        });
        match listed {
            Err(err) if !err.is_damage() => return Err(err),
            listed => damage = damage.and(listed),
        }
        if next.is_none() {
            return damage;
        }
        selection.from = next;
    }
}

/// Hands what is listed to `each` until it returns false. What cannot be listed is passed over, and is
/// an error at the end.
pub(super) fn each_key(
    app: &App,
    namespace: &Namespace,
    selection: &Selection,
    each: &mut dyn FnMut(Listed<'_>) -> bool,
) -> Result<()> {
    let mut listing = app.store()?.scan(namespace, selection, app.now())?;
    let mut damage = Ok(());
    while let Some(listed) = listing.next() {
        match listed {
            Ok(listed) => {
                if !each(listed) {
                    break;
                }
            }
            Err(err) if damage.is_ok() || !err.is_damage() => damage = Err(err),
            Err(err) => (app.config.tell)(None, &err),
        }
    }
    damage
}
