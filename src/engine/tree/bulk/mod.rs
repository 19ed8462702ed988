//! Many entries at once, stored or removed by one pack.
//!
//! 1. Everything is read and put in order, under no lock; see [`crate::engine::runs`].
//! 2. Under the maintenance lock, which keeps the packs as they are, a pack is written, synced and
//!    named. What is too large for a pack is drafted.
//! 3. The locks of all shards that are touched are taken, in order; see [`commit`]. Loose entries are
//!    judged now, as nobody can change them any more.
//! 4. Drafts get their names, durably: a MANIFEST that replaces all would leave their keys without.
//! 5. MANIFEST is committed. It decides: before it nothing else has happened, and after it everything
//!    has, but for what loose entries hide.
//! 6. Loose entries that are superseded are unlinked.
//! 7. The locks are freed, the directories of all these shards synced, and only now is it acknowledged.
//!
//! Committing before the locks are held would lose against a `put --if-absent` that looks at this
//! moment.

mod before;
mod commit;
mod import;
mod remove;

use crate::store::{
    Bulk, Clock, Entry, Feed, Imported, Key, Merge, Namespace, Result, StoreError, Time,
};

use super::Tree;

pub(super) use self::commit::sha1_of_name;
pub(super) use self::remove::Removal;

impl Bulk for Tree {
    fn get_all(
        &self,
        namespace: &Namespace,
        keys: &[&Key],
        now: Time,
    ) -> Option<Vec<Result<Option<Entry>>>> {
        Some(self.find_all(namespace, keys, now))
    }

    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        self.import_entries(namespace, feed, merge, clock)
    }

    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        self.remove_keys(namespace, keys, clock, failed)
    }
}
