//! MANIFEST, the packs that it names, and what else lies beside them.

use std::collections::HashSet;
use std::path::PathBuf;

use rustix::fs::AtFlags;

use crate::store::check::{Repair, Severity};
use crate::store::{Result, StoreError};

use super::super::codec::Damage;
use super::super::dir::gone;
use super::super::layout::PACKS;
use super::super::pack::{Flaw, Manifest, Named, Pack, Survey};
use super::Work;
use super::nodes;

/// What can be done where a pack cannot be replaced by what is left of it.
const HELPLESS: &str = "its keys answer status 4 until the file is put back from a backup, or they \
                        are written or imported anew";
/// So often a store is looked at again whose packs change meanwhile.
const MOST_LOOKS: u32 = 100;

impl Work<'_> {
    pub(super) fn check_packs(&mut self) -> Result<()> {
        if let Err(StoreError::Damaged { path, source }) = self.space.dir_if_any("packs") {
            let what = format!("{source}: put the directory back");
            self.found(Severity::Damage, path, what);
            return Ok(());
        }
        let mut seen = HashSet::new();
        for _ in 0..MOST_LOOKS {
            let read = Manifest::read(&self.space);
            let manifest = match read {
                Ok(None) => return Ok(()),
                Ok(Some(manifest)) => manifest,
                Err(StoreError::Damaged { path, source }) => {
                    let what = format!(
                        "{source}: which of the packs are newer cannot be told without it; put it \
                         back from a backup"
                    );
                    self.found(Severity::Damage, path, what);
                    return Ok(());
                }
                Err(err) => {
                    _ = self.unless_failed::<()>(Err(err));
                    return Ok(());
                }
            };
            for named in &manifest.packs {
                // A pack never changes, so that one look is enough.
                if seen.insert(named.name.clone()) {
                    self.check_pack(named)?;
                }
            }
            if self.mends() || manifest.is_current(&self.space)? {
                break;
            }
        }
        self.check_beside()
    }

    fn check_pack(&mut self, named: &Named) -> Result<()> {
        let path = self.space.path_of(&["packs/", &named.name].concat());
        let missing = || Damage::Missing.at(path.clone());
        let opened = Pack::open_any_size(&self.space, PACKS, named);
        let (pack, size) = match opened.and_then(|opened| opened.ok_or_else(missing)) {
            Ok(opened) => opened,
            Err(StoreError::Damaged { source, .. }) => {
                if self.is_named(named) {
                    self.found(Severity::Damage, path, format!("{source}: {HELPLESS}"));
                }
                return Ok(());
            }
            Err(err) => {
                self.note_trouble(err);
                return Ok(());
            }
        };
        let survey = match Survey::of(&pack, size) {
            Ok(survey) => survey,
            Err(err) => {
                self.note_trouble(err);
                return Ok(());
            }
        };
        if survey.flaws.is_empty() || !self.is_named(named) {
            return Ok(());
        }
        let repair = match survey.is_damaged() {
            true => self.save_pack(named, &pack, &survey),
            false => Ok(None),
        };
        let (repair, failed) = match repair {
            Ok(repair) => (repair, None),
            Err(err) => (None, Some(err)),
        };
        let is_helpless = survey.is_damaged() && !survey.can_be_saved();
        let mut flaws = survey.flaws;
        if is_helpless {
            let what = match survey.is_newer {
                true => "only the kv that wrote it can repair it".to_owned(),
                false => format!("nothing of it can be saved: {HELPLESS}"),
            };
            flaws.push(Flaw {
                severity: Severity::Damage,
                what,
                key: None,
            });
        }
        for flaw in flaws {
            let repair = repair.clone().filter(|_| flaw.severity == Severity::Damage);
            self.found_with(flaw.severity, path.clone(), flaw.what, flaw.key, repair);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Tells whether MANIFEST names a pack at this moment.
    fn is_named(&self, named: &Named) -> bool {
        let manifest = Manifest::read(&self.space);
        // Where it cannot be read any more, nobody has replaced the pack.
        !matches!(manifest, Ok(Some(manifest)) if !manifest.packs.contains(named))
    }

    /// Replaces a pack, at its own place, by what is sound of it.
    fn save_pack(&mut self, named: &Named, pack: &Pack, survey: &Survey) -> Result<Option<Repair>> {
        if !survey.can_be_saved() {
            return Ok(None);
        }
        let (sound, lost) = (survey.sound(), &survey.lost);
        let what = format!(
            "sound records ({sound}), with marks of those that are lost ({}){}",
            lost.records.len(),
            match lost.incomplete.len() {
                0 => String::new(),
                pages => format!(
                    " and of pages of which nobody knows ({pages} of {})",
                    lost.pages
                ),
            }
        );
        if !self.mends() {
            return Ok(self.would(&format!("replaced by its {what}")));
        }
        let maintenance = self.maintenance.as_mut().expect("a repair holds the lock");
        let (temp, geometry) = survey.save(pack, &self.space)?;
        let new = maintenance.add_pack(temp, geometry)?;
        let gone = || gone("write to", &self.space.path());
        let packs = maintenance.packs()?.ok_or_else(gone)?;
        let mut all = packs.named().to_vec();
        for other in &mut all {
            if other == named {
                *other = new.clone();
            }
        }
        let manifest = maintenance.write_manifest(&all)?;
        maintenance.commit(manifest)?;
        let dir = self.space.dir("packs")?;
        let moved = self.move_away(&dir, &named.name, &named.name)?;
        let moved = moved.map_or(String::new(), |moved| moved.what);
        Ok(Some(Repair {
            what: format!("{moved}, and replaced by its {what}"),
            settles: true,
        }))
    }

    /// Looks at what lies beside the packs.
    fn check_beside(&mut self) -> Result<()> {
        for _ in 0..MOST_LOOKS {
            let Some(dir) = self.subdir("packs")? else {
                return Ok(());
            };
            let Ok(Some(manifest)) = Manifest::read(&self.space) else {
                return Ok(());
            };
            let nodes = nodes::read(&dir)?;
            let is_named = |name: &str| {
                let mut names = manifest.packs.iter().map(|named| named.name.as_str());
                names.any(|named| named == name)
            };
            let (ours, strays): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| {
                node.name()
                    .is_some_and(|name| name == "MANIFEST" || is_named(name))
            });
            // A pack has its name before MANIFEST names it, and still has it a little after; all
            // that time the lock is held.
            let is_settled = strays.is_empty() || !self.has_maintainer();
            if !manifest.is_current(&self.space)? {
                continue;
            }
            for node in ours {
                self.suspects.look_at(&dir, &node);
            }
            if !is_settled {
                return Ok(());
            }
            for node in strays {
                let stat = rustix::fs::statat(&dir.fd, &*node.name, AtFlags::SYMLINK_NOFOLLOW);
                if stat.is_err() {
                    continue;
                }
                let path: PathBuf = dir.path.join(&node.name);
                let what = match node.is_file() {
                    true => "MANIFEST does not name it; the next gc deletes it".to_owned(),
                    false => format!("{} that MANIFEST does not name", node.kind_word()),
                };
                let severity = match node.is_file() {
                    true => Severity::Note,
                    false => Severity::Warning,
                };
                let repair = match node.name() {
                    Some(name) => self.move_away(&dir, name, name)?,
                    None => None,
                };
                self.found_with(severity, path, what, None, repair);
            }
            return Ok(());
        }
        Ok(())
    }
}
