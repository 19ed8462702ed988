//! How a draft becomes the entry of its key, for a put and for a push.

use crate::store::{Clock, Namespace, Result, Source};

use super::Tree;
use super::dir::Dir;
use super::draft::{Draft, Times};
use super::expiry;
use super::find::{Present, find_packed};
use super::layout::HashedKey;
use super::loose;
use super::namespace_dir::NamespaceDir;
use super::tries::Tries;

/// What is to be done when the key's present entry is known, under the lock.
pub(super) enum Verdict {
    Publish,
    /// The condition does not hold.
    Refuse,
    /// The key is not what it was when its value was looked at.
    LookAgain,
}

/// Where to look for what a key holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    /// Only whether its file is another key's.
    Owner,
    /// Only at its file.
    Loose,
    /// At its file, and without one in the packs.
    Everywhere,
}

impl Tree {
    /// Writes a draft, in the namespace as it was opened for a look just before; without one it is
    /// opened now, or made.
    pub(super) fn write_draft(
        &self,
        namespace: &Namespace,
        mut opened: Option<NamespaceDir>,
        hashed: &HashedKey<'_>,
        value: &mut dyn Source,
        times: Times,
        clock: &dyn Clock,
    ) -> Result<Draft> {
        let mut tries = Tries::default();
        loop {
            let space = match opened.take() {
                Some(space) => space,
                None => self.open_or_create(namespace)?,
            };
            let draft = Draft::write(&space, hashed, value, times, clock);
            if let Some(draft) = draft.inspect_err(|_| self.forget_kept(namespace))? {
                return Ok(draft);
            }
            tries.again(|| space.path_of("tmp"))?;
        }
    }

    /// Renames a draft into its place, if `judge` allows it for what is there now. Returns the
    /// directory that is to be synced before the write is acknowledged. The caller has seen to the
    /// list which the key may belong to.
    pub(super) fn publish(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        draft: &mut Draft,
        looks: Looks,
        judge: impl Fn(Result<Option<Present>>) -> Result<Verdict>,
        clock: &dyn Clock,
    ) -> Result<(Verdict, Option<Dir>)> {
        let mut tries = Tries::default();
        loop {
            let (_turn, patience) = self.turn_at(namespace, hashed.shard());
            let shard = self.lock_new_shard(namespace, hashed.shard(), patience)?;
            let dir = shard.make_dir(self.syncs())?;
            let look = || {
                if looks == Looks::Owner {
                    loose::check_owner(&dir, hashed)?;
                    return Ok(None);
                }
                match loose::open_in(&dir, hashed)? {
                    None if looks == Looks::Everywhere => {
                        Ok(find_packed(&shard.space, hashed)?.map(Present::Packed))
                    }
                    loose => Ok(loose.map(Present::Loose)),
                }
            };
            let present = look();
            let verdict = judge(present)?;
            if !matches!(verdict, Verdict::Publish) {
                return Ok((verdict, None));
            }
            if let Some(deadline) = draft.meta().expires {
                expiry::hint(&shard.space, hashed, deadline, clock.now());
            }
            if draft.publish(&dir, hashed.name())? {
                return Ok((Verdict::Publish, Some(dir)));
            }
            // The draft's name is gone, but its bytes are still open here.
            drop(shard);
            *draft = loop {
                let space = self.open_or_create(namespace)?;
                if let Some(copy) = draft.copy_to(&space, hashed)? {
                    break copy;
                }
                tries.again(|| space.path_of("tmp"))?;
            };
            if self.syncs() {
                draft.sync()?;
            }
            tries.again(|| dir.path.join(hashed.name()))?;
        }
    }
}
