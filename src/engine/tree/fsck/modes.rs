//! Permissions and owners: those of the store's directory are the policy for all below it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, Stat};

use crate::store::check::Severity;
use crate::store::{OrCannot as _, Result};

use super::super::dir::Dir;
use super::super::namespace_dir::NamespaceDir;
use super::Work;
use super::nodes::Node;

/// So many are told one by one.
const TOLD: usize = 10;
/// What was made a moment ago may be without its permissions yet.
const A_MOMENT: Duration = Duration::from_millis(20);

/// What has other permissions, or another owner, than the store says.
pub(super) struct Suspects {
    store: Stat,
    found: Vec<PathBuf>,
    untold: u64,
}

impl Suspects {
    pub(super) fn of(space: &NamespaceDir) -> Result<Self> {
        Ok(Self {
            store: rustix::fs::fstat(space.store()).or_cannot("look at", space.store_path())?,
            found: Vec::new(),
            untold: 0,
        })
    }

    /// Looks at a file or directory, which is told at the end if it is still as it is then.
    pub(super) fn look_at(&mut self, dir: &Dir, node: &Node) {
        if self.what_is_wrong(&node.stat).is_none() {
            return;
        }
        if self.found.len() < TOLD {
            self.found.push(dir.path.join(&node.name));
        } else {
            self.untold += 1;
        }
    }

    fn what_is_wrong(&self, stat: &Stat) -> Option<String> {
        let node = Node {
            name: "".into(),
            stat: *stat,
        };
        let covered = match (node.is_dir(), node.is_file()) {
            (true, _) => 0o2777,
            (_, true) => 0o666,
            // What it is is told elsewhere.
            _ => return None,
        };
        // In a file no more than reading and writing is covered, but nothing else belongs there.
        let has = stat.st_mode & if node.is_dir() { 0o2777 } else { 0o777 };
        let wanted = self.store.st_mode & covered;
        if has != wanted {
            return Some(format!(
                "its mode is {has:03o}, and the store's asks for {wanted:03o}"
            ));
        }
        let store = Mode::from_raw_mode(self.store.st_mode);
        if !store.intersects(Mode::RWXG | Mode::RWXO) {
            let is_other = stat.st_uid != self.store.st_uid;
            return is_other.then(|| {
                format!(
                    "it belongs to user {}, and the store to {}",
                    stat.st_uid, self.store.st_uid
                )
            });
        }
        let is_other = stat.st_gid != self.store.st_gid;
        (is_other && store.contains(Mode::SGID)).then(|| {
            format!(
                "it belongs to group {}, and the store to {}",
                stat.st_gid, self.store.st_gid
            )
        })
    }
}

impl Work<'_> {
    /// Tells of those that are still not as they ought to be.
    pub(super) fn tell_suspects(&mut self) {
        let found = std::mem::take(&mut self.suspects.found);
        if found.is_empty() {
            return;
        }
        std::thread::sleep(A_MOMENT);
        for path in found {
            if let Some(what) = stat(&path).and_then(|stat| self.suspects.what_is_wrong(&stat)) {
                self.found(Severity::Warning, path, what);
            }
        }
        if self.suspects.untold > 0 {
            let what = format!(
                "{} more files in it have another mode or owner than the store asks for",
                self.suspects.untold
            );
            self.found(Severity::Warning, self.space.path(), what);
        }
    }
}

fn stat(path: &Path) -> Option<Stat> {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()
}
