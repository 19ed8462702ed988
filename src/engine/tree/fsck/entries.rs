//! The loose entries: every file in `objects/`.

use rustix::fs::AtFlags;

use crate::os;
use crate::store::check::{Repair, Severity};
use crate::store::{Key, OrCannot as _, Result, StoreError};

use super::super::bulk::sha1_of_name;
use super::super::codec::Damage;
use super::super::dir::{Dir, gone};
use super::super::draft::Draft;
use super::super::layout::{HashedKey, NAME_LEN};
use super::super::loose::read_whole;
use super::super::pack::{Packs, is_lost};
use super::Work;
use super::nodes::{self, Node, is_hex};

/// So often a file is looked at again that changes meanwhile.
const MOST_LOOKS: u32 = 100;

/// What a look at an entry came to.
enum State {
    /// There is none, or none any more.
    Gone,
    Sound,
    /// It holds, and there is something to be said of it.
    Suspect(&'static str, Vec<u8>),
    Newer,
    Damaged(String, Option<Vec<u8>>),
}

/// What must be in the place of an entry when it goes.
enum Successor {
    Nothing,
    /// A tombstone of this key, as a pack holds an older value.
    Tombstone(Key),
    /// Nobody can tell, as packs cannot be read.
    Unknown,
}

impl Work<'_> {
    pub(super) fn check_entries(&mut self) -> Result<()> {
        let Some(objects) = self.subdir("objects")? else {
            return Ok(());
        };
        for node in nodes::read(&objects)? {
            match node.name().filter(|name| is_hex(name, 2)) {
                Some(shard) if node.is_dir() => {
                    self.suspects.look_at(&objects, &node);
                    self.check_shard(shard)?;
                }
                Some(shard) => self.refuse_shard(&objects, &node, shard)?,
                None => self.check_other(&objects, &node)?,
            }
        }
        Ok(())
    }

    /// Tells of something that has the name of a shard and is no directory.
    fn refuse_shard(&mut self, objects: &Dir, node: &Node, shard: &str) -> Result<()> {
        // Whatever packs hold of its keys is not to come back: its entries may have been newer.
        let hides = self.has_packs();
        let mut what = format!("it is {} in the place of a directory", node.kind_word());
        if hides {
            what += ": put that back, as packs may hold older values of its keys";
        }
        let repair = match hides {
            true => None,
            false => self.move_away(objects, shard, &["objects-", shard].concat())?,
        };
        self.damage(objects.path.join(shard), what, repair);
        Ok(())
    }

    /// Tells of something in `objects/` that no key leads to.
    fn check_other(&mut self, objects: &Dir, node: &Node) -> Result<()> {
        let is_hex = |name: &str| name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let mut is_listed = !node.is_dir() && node.name().is_some_and(is_hex);
        if node.is_dir()
            && let Some(name) = node.name()
            && let Some(dir) = self.subdir(&["objects/", name].concat())?
        {
            // A listing takes these for entries, and says that they are damaged.
            is_listed = nodes::read(&dir)?
                .iter()
                .any(|node| node.name.len() == NAME_LEN);
        }
        self.refuse_name(objects, node, is_listed, "objects")
    }

    /// Tells of something that no key leads to: damage where a listing takes it for entries.
    fn refuse_name(&mut self, dir: &Dir, node: &Node, is_listed: bool, stem: &str) -> Result<()> {
        let what = format!("{} that no key leads to", node.kind_word());
        let (severity, repair) = match (is_listed, node.name()) {
            (true, Some(name)) => (Severity::Damage, self.move_away(dir, name, stem)?),
            _ => (Severity::Warning, None),
        };
        self.found_with(severity, dir.path.join(&node.name), what, None, repair);
        Ok(())
    }

    fn check_shard(&mut self, shard: &str) -> Result<()> {
        let Some(dir) = self.subdir(&["objects/", shard].concat())? else {
            return Ok(());
        };
        for node in nodes::read(&dir)? {
            match node.name().filter(|name| is_hex(name, NAME_LEN)) {
                Some(name) => {
                    let done = self.check_entry(&dir, shard, name);
                    self.suspects.look_at(&dir, &node);
                    _ = self.unless_failed(done);
                }
                None => {
                    let is_listed = node.name().is_some_and(|name| name.len() == NAME_LEN);
                    self.refuse_name(&dir, &node, is_listed, shard)?;
                }
            }
        }
        Ok(())
    }

    fn check_entry(&mut self, dir: &Dir, shard: &str, name: &str) -> Result<()> {
        let path = dir.path.join(name);
        match judge(dir, shard, name)? {
            State::Gone | State::Sound => {}
            State::Suspect(what, key) => {
                self.found_with(Severity::Warning, path, what, Some(key), None);
            }
            State::Newer => self.found(Severity::Warning, path, Damage::Newer.to_string()),
            State::Damaged(what, key) => self.cure(shard, name, what, key)?,
        }
        Ok(())
    }

    /// Tells of a damaged entry, and moves it away if that is asked for.
    fn cure(
        &mut self,
        shard: &str,
        name: &str,
        mut what: String,
        key: Option<Vec<u8>>,
    ) -> Result<()> {
        let mut repair = None;
        if self.request.repair {
            match self.successor(shard, name, key.as_deref())? {
                Successor::Unknown => {
                    what += ": it stays, as its key is unknown and packs that cannot be read may \
                             hold an older value";
                }
                successor if self.mends() => {
                    match self.move_damaged_away(shard, name, successor)? {
                        Some(done) => repair = Some(done),
                        // Somebody has put it right in the meantime.
                        None => return Ok(()),
                    }
                }
                Successor::Nothing => repair = self.would("moved to lost/"),
                Successor::Tombstone(_) => {
                    repair = self.would("moved to lost/, and the key be removed");
                }
            }
        }
        let path = self.space.path_of(&format!("objects/{shard}/{name}"));
        self.found_with(Severity::Damage, path, what, key, repair);
        Ok(())
    }

    /// Moves a damaged entry away, if it still is one when its shard is locked.
    fn move_damaged_away(
        &mut self,
        shard: &str,
        name: &str,
        successor: Successor,
    ) -> Result<Option<Repair>> {
        let tombstone = match successor {
            Successor::Tombstone(key) => {
                let draft = Draft::tombstone(&self.space, &HashedKey::of(&key), self.clock)?;
                let draft = draft.ok_or_else(|| gone("write to", &self.space.path()))?;
                // Nothing is written under the lock of a shard.
                draft.sync()?;
                Some(draft)
            }
            _ => None,
        };
        let patience = self.tree.patience();
        let locked = self
            .tree
            .lock_shard_within(self.namespace, shard, patience)?;
        let Some(locked) = locked else {
            return Ok(None);
        };
        let Some(dir) = locked.dir()? else {
            return Ok(None);
        };
        if !matches!(judge(&dir, shard, name)?, State::Damaged(..)) {
            return Ok(None);
        }
        let stem = [shard, name].concat();
        match tombstone {
            Some(tombstone) => self.replace(&dir, name, &stem, tombstone).map(Some),
            None => self.move_away(&dir, name, &stem),
        }
    }

    /// Finds out what must be in the place of an entry when it goes.
    fn successor(&self, shard: &str, name: &str, key: Option<&[u8]>) -> Result<Successor> {
        let key = key.and_then(|key| Key::new(key.to_vec()).ok());
        let unknown = |key: Option<Key>| key.map_or(Successor::Unknown, Successor::Tombstone);
        let packs = match Packs::read(&self.space) {
            Ok(None) => return Ok(Successor::Nothing),
            Ok(Some(packs)) => packs,
            Err(_) => return Ok(unknown(key)),
        };
        let sha1 = sha1_of_name(shard, name).expect("it is the name of an entry");
        for number in 0..packs.named().len() {
            let Ok(Ok(pack)) = packs.open(&self.space, number) else {
                return Ok(unknown(key));
            };
            match pack.find_sha1(&sha1, |record| (record.key.to_vec(), record.tombstone)) {
                Ok(None) => {}
                Ok(Some((_, true))) => return Ok(Successor::Nothing),
                Ok(Some((key, false))) => {
                    return Ok(Key::new(key).map_or(Successor::Unknown, Successor::Tombstone));
                }
                // The mark answers for a key that nobody knows.
                Err(err) if is_lost(&err) => {
                    return Ok(key.map_or(Successor::Nothing, Successor::Tombstone));
                }
                Err(_) => return Ok(unknown(key)),
            }
        }
        Ok(Successor::Nothing)
    }
}

/// Looks at an entry until it is the same before and after.
fn judge(dir: &Dir, shard: &str, name: &str) -> Result<State> {
    let stat = || rustix::fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    let identity = |stat: rustix::fs::Stat| (os::identity(&stat), stat.st_size, os::changed(&stat));
    let mut state = State::Gone;
    for _ in 0..MOST_LOOKS {
        let before = stat().map(identity);
        state = look(dir, shard, name)?;
        let is_bad = matches!(state, State::Damaged(..));
        if !is_bad || before == stat().map(identity) {
            break;
        }
    }
    Ok(state)
}

/// Looks at an entry once.
fn look(dir: &Dir, shard: &str, name: &str) -> Result<State> {
    let path = dir.path.join(name);
    let Some(opened) = dir.open_if_any(name).transpose() else {
        return Ok(State::Gone);
    };
    let read =
        opened.and_then(
            |file| match file.metadata().or_cannot("look at", &path)?.is_file() {
                true => read_whole(file, (shard, name), path.clone()),
                false => Err(Damage::NotAFile.at(path.clone())),
            },
        );
    let (header, key, value) = match read {
        Ok(read) => read,
        Err(StoreError::Damaged { source, .. }) => {
            return Ok(State::Damaged(source.to_string(), None));
        }
        Err(StoreError::OtherKey { .. }) => {
            let what = "it holds the entry of another key";
            return Ok(State::Damaged(what.to_owned(), None));
        }
        Err(StoreError::Newer { .. }) => return Ok(State::Newer),
        Err(err) => return Err(err),
    };
    Ok(match value {
        Err(StoreError::Damaged { source, .. }) => State::Damaged(source.to_string(), Some(key)),
        Err(err) => return Err(err),
        Ok(()) if header.tombstone && (header.meta.size > 0 || header.meta.expires.is_some()) => {
            State::Suspect(
                "it says that its key is removed, and has a value or an expiry",
                key,
            )
        }
        Ok(()) => State::Sound,
    })
}
