//! `format`, and the directories of a namespace.

use std::time::Duration;

use rustix::fs::{AtFlags, FileType};

use crate::store::check::{Repair, Severity};
use crate::store::{Result, StoreError};

use super::super::dir::{Dir, gone};
use super::super::layout::{
    ENDS, FORMAT, GC_LOCK, LIST_DIR, SHARDS, SPARE, STAGED, SUBDIRS, shard_name,
};
use super::super::lock;
use super::super::loose::read_header;
use super::super::namespace_dir::names_in;
use super::super::pack::Manifest;
use super::super::temp::Temp;
use super::Work;
use super::lost::LOST;
use super::nodes::{self, is_hex};

/// What is left behind is told when it is older than this: before, somebody may be at work on it.
pub(super) const LITTER_AGE: Duration = Duration::from_secs(60);
/// Directories that a namespace has once it needs them.
const LATER: [&str; 5] = ["spare", "named", "packs", LIST_DIR, LOST];

const MISSING: &str = "it is missing";

impl Work<'_> {
    /// Tells whether there is a namespace, sound or not.
    pub(super) fn is_there(&mut self) -> Result<bool> {
        match self.space.check_format() {
            Ok(is_there) => Ok(is_there),
            Err(StoreError::Newer { .. }) => Ok(true),
            Err(StoreError::Damaged { .. }) if self.space.is_ours() => Ok(true),
            Err(StoreError::Damaged { path, source }) => {
                self.found(Severity::Damage, path, source.to_string());
                Ok(false)
            }
            Err(err) => Err(err),
        }
    }

    /// Looks at `format`.
    pub(super) fn check_format(&mut self) -> Result<()> {
        let (path, source) = match self.space.check_format() {
            Ok(_) => return Ok(()),
            Err(StoreError::Damaged { path, source }) => (path, source),
            Err(err) => return Err(err),
        };
        let mut what = source.to_string();
        let repair = match (self.says_one(), self.mends()) {
            (false, _) => {
                what += ", and its entries are not of version 1: put it back";
                None
            }
            (true, false) => self.would("written anew"),
            (true, true) => Some(self.write_format()?),
        };
        self.damage(path, what, repair);
        Ok(())
    }

    /// Tells whether what is stored is of this version: one entry says it, or else the packs; and of
    /// nothing nothing can be read wrongly.
    fn says_one(&self) -> bool {
        for shard in (0..SHARDS).map(shard_name) {
            let below = ["objects/", &shard].concat();
            for name in names_in(&self.space, &below).unwrap_or_default() {
                let below = [&below, "/", &name].concat();
                let Ok(Some(file)) = self.space.open_if_any(&below) else {
                    continue;
                };
                let path = || self.space.path_of(&below);
                match read_header(&file, (&shard, &name), &path) {
                    Ok(_) => return true,
                    Err(StoreError::Newer { .. }) => return false,
                    Err(_) => {}
                }
            }
        }
        !matches!(Manifest::read(&self.space), Err(StoreError::Newer { .. }))
    }

    fn write_format(&self) -> Result<Repair> {
        let dir = self.space.dir("")?;
        let before = self.clear(&dir, "format")?;
        let gone = || gone("write", &dir.path);
        let mut temp = Temp::create_or_spare(&self.space, SPARE)?.ok_or_else(gone)?;
        temp.write(FORMAT.as_bytes())?;
        temp.sync()?;
        if !temp.publish(&dir, "format")? {
            return Err(gone());
        }
        dir.sync()?;
        Ok(Repair {
            what: format!("{before}written anew"),
            settles: true,
        })
    }

    /// Moves away what has this name, and says so before what is said next; says nothing if it is free.
    fn clear(&self, dir: &Dir, name: &str) -> Result<String> {
        let moved = match rustix::fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => self.move_away(dir, name, name)?,
            Err(_) => None,
        };
        Ok(moved.map_or(String::new(), |moved| format!("{}, and ", moved.what)))
    }

    /// Looks at all names in the namespace's own directory.
    pub(super) fn check_dirs(&mut self) -> Result<()> {
        for subdir in SUBDIRS {
            self.check_subdir(subdir)?;
        }
        let dir = self.space.dir("")?;
        for node in nodes::read(&dir)? {
            let path = dir.path.join(&node.name);
            let name = node.name().unwrap_or_default();
            let is_subdir = SUBDIRS.contains(&name) || LATER.contains(&name);
            let is_right = match name {
                "format" | ENDS => node.is_file(),
                _ if is_subdir => node.is_dir(),
                _ if name
                    .strip_prefix(STAGED)
                    .is_some_and(|name| is_hex(name, 16)) =>
                {
                    self.check_staged(path);
                    continue;
                }
                _ => {
                    let what = format!("{} that kv knows nothing of", node.kind_word());
                    self.found(Severity::Warning, path, what);
                    continue;
                }
            };
            if is_right {
                self.suspects.look_at(&dir, &node);
            } else if [ENDS, LIST_DIR, "spare", "named"].contains(&name) {
                let what = format!("it is {}", node.kind_word());
                let repair = self.move_away(&dir, name, name)?;
                self.damage(path, what, repair);
            } else if !SUBDIRS.contains(&name) && name != "packs" && name != "format" {
                let what = format!("it is {}", node.kind_word());
                self.found(Severity::Damage, path, what);
            }
        }
        Ok(())
    }

    /// Sees to it that a directory is there that every namespace begins with.
    fn check_subdir(&mut self, subdir: &'static str) -> Result<()> {
        let what = match self.space.dir_if_any(subdir) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if self.space.has_vanished(subdir)? => return Ok(()),
            Ok(None) => MISSING,
            Err(StoreError::Damaged { .. }) => "it is no directory",
            Err(err) => return Err(err),
        };
        // What has its place may hide it, and its entries may be newer than what packs have.
        let may_be_newer = subdir == "objects" && self.has_packs();
        let is_hidden = may_be_newer && what != MISSING;
        let repair = match (is_hidden, self.mends()) {
            (true, _) => None,
            (false, false) => self.would("made anew"),
            (false, true) => Some(self.make_subdir(subdir)?),
        };
        // What needs it makes it: not every tool copies empty directories.
        let is_harmless = what == MISSING && !may_be_newer;
        let what = match (is_hidden, may_be_newer) {
            (true, _) => format!("{what}: put it back, as packs may hold older values of its keys"),
            (_, true) => {
                format!("{what}: packs may hold older values of what was in it, if it held any")
            }
            _ if is_harmless => format!("{what}, and is made by whoever needs it"),
            _ => what.to_owned(),
        };
        let severity = match is_harmless {
            true => Severity::Note,
            false => Severity::Damage,
        };
        let path = self.space.path_of(subdir);
        self.found_with(severity, path, what, None, repair);
        Ok(())
    }

    fn make_subdir(&self, subdir: &str) -> Result<Repair> {
        let dir = self.space.dir("")?;
        let before = self.clear(&dir, subdir)?;
        dir.make_dir(subdir, self.space.dir_mode()?)?;
        dir.sync()?;
        Ok(Repair {
            what: format!("{before}made anew"),
            settles: true,
        })
    }

    /// Tells whether there may be packs.
    pub(super) fn has_packs(&self) -> bool {
        let dir = self.space.dir("");
        dir.is_ok_and(|dir| {
            let stat = rustix::fs::statat(&dir.fd, "packs", AtFlags::SYMLINK_NOFOLLOW);
            !matches!(stat, Err(rustix::io::Errno::NOENT))
        })
    }

    /// Sees to it that the maintenance lock can be taken, before anything else is done.
    pub(super) fn repair_locks(&mut self) -> Result<()> {
        self.check_subdir("locks")?;
        let Some(dir) = self.space.dir_if_any("locks")? else {
            return Ok(());
        };
        let Ok(stat) = rustix::fs::statat(&dir.fd, "gc", AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(());
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let repair = self.move_away(&dir, "gc", "lock-gc")?;
            self.damage(self.space.path_of(GC_LOCK), "it is no file", repair);
        }
        Ok(())
    }

    /// Looks at what will be `packs/`, if whoever makes it is still there.
    fn check_staged(&mut self, path: std::path::PathBuf) {
        if self.has_maintainer() || path.symlink_metadata().is_err() {
            return;
        }
        let what = "a process that was killed left it; the next gc deletes it";
        self.found(Severity::Note, path, what);
    }

    /// Tells whether somebody else may hold the maintenance lock.
    pub(super) fn has_maintainer(&self) -> bool {
        self.maintenance.is_none() && lock::is_in_maintenance(&self.space).unwrap_or(true)
    }

    /// Opens a directory of the namespace; what is wrong with it is told elsewhere.
    pub(super) fn subdir(&self, name: &str) -> Result<Option<Dir>> {
        match self.space.dir_if_any(name) {
            Err(StoreError::Damaged { .. }) => Ok(None),
            done => done,
        }
    }
}
