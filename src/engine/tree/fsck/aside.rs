//! What is never trusted alone: drafts, hints, spare files and lock files.
//!
//! None of it has a say in what a key holds, so nothing here is more than a warning, unless it keeps
//! somebody from working.

use crate::store::Result;
use crate::store::check::Severity;

use super::super::dir::Dir;
use super::super::expiry::{each_part, is_hint};
use super::super::layout::SPARES;
use super::super::lock::{self, Kind};
use super::super::loose::read_up_to;
use super::super::range::{NOTE_LEN, is_note};
use super::Work;
use super::dirs::LITTER_AGE;
use super::nodes::{self, Node, is_hex};

impl Work<'_> {
    pub(super) fn check_aside(&mut self) -> Result<()> {
        self.check_each("tmp", Work::check_draft)?;
        self.check_each("expiry", Work::check_hints)?;
        self.check_each("spare", Work::check_spare)?;
        self.check_each("locks", Work::check_lock)?;
        self.check_each("named", Work::check_named)
    }

    fn check_each(
        &mut self,
        subdir: &str,
        check: fn(&mut Self, &Dir, &Node, &str) -> Result<bool>,
    ) -> Result<()> {
        let Some(dir) = self.subdir(subdir)? else {
            return Ok(());
        };
        for node in nodes::read(&dir)? {
            let name = node.name().unwrap_or_default().to_owned();
            let is_known = check(self, &dir, &node, &name)?;
            if !is_known {
                let what = format!("{} that kv knows nothing of", node.kind_word());
                self.found(Severity::Warning, dir.path.join(&node.name), what);
            }
        }
        Ok(())
    }

    /// Looks at a file being written. One that somebody holds is at work.
    fn check_draft(&mut self, dir: &Dir, node: &Node, name: &str) -> Result<bool> {
        if !node.is_older(LITTER_AGE, self.clock.now()) {
            return Ok(true);
        }
        if !node.is_file() {
            return Ok(false);
        }
        let Ok(file) = dir.open(name) else {
            return Ok(true);
        };
        if lock::try_lock(&file, Kind::Shared).unwrap_or(false) {
            let what = "a writer that was killed left it; the next gc deletes it";
            self.found(Severity::Note, dir.path.join(name), what);
        }
        Ok(true)
    }

    fn check_hints(&mut self, dir: &Dir, node: &Node, name: &str) -> Result<bool> {
        let is_name = name.len() == 15 && name.bytes().all(|b| b.is_ascii_digit());
        if !is_name || !node.is_file() {
            return Ok(false);
        }
        self.suspects.look_at(dir, node);
        let Ok(file) = dir.open(name) else {
            return Ok(true);
        };
        // Whoever appends at this moment may not be done.
        let is_still = node.is_older(LITTER_AGE, self.clock.now());
        let (mut bad, mut is_torn) = (0_u64, false);
        let is_read = each_part(&file, |hints| {
            is_torn = hints.last().is_some_and(|&b| b != b'\n');
            let mut lines: Vec<_> = hints.split(|&b| b == b'\n').collect();
            if is_torn {
                lines.pop();
            }
            let is_bad = |line: &&&[u8]| !line.is_empty() && !is_hint(line);
            bad += lines.iter().filter(is_bad).count() as u64;
        });
        bad += u64::from(!is_read || (is_still && is_torn));
        if bad > 0 {
            let what =
                format!("{bad} of its lines are no hints; gc finds their entries all the same");
            self.found(Severity::Warning, dir.path.join(name), what);
        }
        Ok(true)
    }

    fn check_spare(&mut self, dir: &Dir, node: &Node, name: &str) -> Result<bool> {
        let is_name = SPARES.contains(&name);
        if !is_name || !node.is_file() {
            return Ok(false);
        }
        self.suspects.look_at(dir, node);
        if node.stat.st_size > 0 {
            let what = "a spare file ought to be empty";
            self.found(Severity::Warning, dir.path.join(name), what);
        }
        Ok(true)
    }

    fn check_lock(&mut self, dir: &Dir, node: &Node, name: &str) -> Result<bool> {
        let shard = name.strip_suffix(".turn").unwrap_or(name);
        if !is_hex(shard, 2) && name != "gc" && name != "list" {
            return Ok(false);
        }
        if node.is_file() {
            self.suspects.look_at(dir, node);
            self.check_note(dir, name)?;
            return Ok(true);
        }
        self.refuse_lock(dir, node, name, "lock-")
    }

    fn refuse_lock(&mut self, dir: &Dir, node: &Node, name: &str, stem: &str) -> Result<bool> {
        let what = format!("it is {} in the place of a lock file", node.kind_word());
        let repair = self.move_away(dir, name, &[stem, name].concat())?;
        self.damage(dir.path.join(name), what, repair);
        Ok(true)
    }

    /// Looks at what the maintenance lock says of the last collection, and that of a list of its range.
    fn check_note(&mut self, dir: &Dir, name: &str) -> Result<()> {
        if name == "list" {
            let bytes = read_twice(dir, name, NOTE_LEN + 1);
            if bytes.is_some_and(|bytes| !is_note(&bytes)) {
                let what = "it does not say which range the list has; who pushes or pops next \
                            counts its elements";
                self.found(Severity::Warning, dir.path.join(name), what);
            }
            return Ok(());
        }
        if name != "gc" {
            return Ok(());
        }
        let is_note = |bytes: &[u8]| {
            // Behind it, or instead of it, is what says that MANIFEST may not be durable.
            let end = bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |last| last + 1);
            let bytes = &bytes[..end];
            let digits = bytes.strip_suffix(b"\n").unwrap_or_default();
            bytes.is_empty() || (digits.len() == 20 && digits.iter().all(u8::is_ascii_digit))
        };
        let bytes = read_twice(dir, name, 64);
        if bytes.is_some_and(|bytes| !is_note(&bytes)) {
            let what = "it does not say when garbage was collected last; the next gc writes it";
            self.found(Severity::Warning, dir.path.join(name), what);
        }
        Ok(())
    }

    fn check_named(&mut self, dir: &Dir, node: &Node, name: &str) -> Result<bool> {
        if !is_hex(name, 40) {
            return Ok(false);
        }
        if node.is_file() {
            self.suspects.look_at(dir, node);
            return Ok(true);
        }
        self.refuse_lock(dir, node, name, "named-")
    }
}

/// Reads a file that is written in place until two looks in a row are the same; `None` if it is gone,
/// cannot be read, which has no say in anything, or is never the same.
fn read_twice(dir: &Dir, name: &str, most: usize) -> Option<Vec<u8>> {
    let mut last = None;
    for _ in 0..100 {
        let Ok(file) = dir.open(name) else {
            return None;
        };
        let mut bytes = Vec::new();
        if read_up_to(&file, &mut bytes, most).is_err() {
            return None;
        }
        if last.as_ref() == Some(&bytes) {
            return last;
        }
        last = Some(bytes);
    }
    None
}
