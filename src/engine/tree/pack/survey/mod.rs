//! Looks at every byte of a pack, and saves what is sound of one that is damaged.
//!
//! A record is reached in two ways, by its slot in a hash page and by walking from one to the next.
//! Both are gone, and each record must be met once on either. Where a record is damaged its slot says
//! where the next one begins; where a page is, the walk finds its records again. Bytes are never
//! searched for something that looks like a record: a value may hold a whole pack. Of a pack with very many
//! records so many slots are held at a time, in the order of the records, and its pages are read again for each
//! such part.

mod records;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::store::check::Severity;
use crate::store::{Result, StoreError};

use super::super::codec::Damage;
use super::super::namespace_dir::NamespaceDir;
use super::super::temp::Temp;
use super::codec;
use super::geometry::{Geometry, HEAD_LEN, MAGIC};
use super::page::{self, Candidate, Page};
use super::reader::Pack;
use super::writer::{Lost, PackWriter};

use self::records::{Counted, Walk, Window};

/// Something that is not as it ought to be.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) key: Option<Vec<u8>>,
}

/// What is known of a pack after a look at all of it.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) flaws: Vec<Flaw>,
    /// Where there are sound records, one directly behind the other; and how many.
    stretches: Vec<Range<u64>>,
    sound: u64,
    pub(crate) lost: Lost,
    /// There is something that only a newer kv can write anew.
    pub(crate) is_newer: bool,
    /// The file is not the one that MANIFEST is about, as far as can be told.
    is_other: bool,
    bad_pages: BTreeSet<u64>,
}

/// A slot of a page that can be read. Of very many each byte counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ref {
    /// The offset of the record, and its length in the low 20 bits.
    spot: u64,
    page: u32,
    below: u32,
}

impl Ref {
    fn new(candidate: Candidate, (page, below): (u64, u32)) -> Self {
        let len = u64::try_from(candidate.len).expect("a slot holds 20 bits");
        Self {
            spot: candidate.offset << 20 | len,
            page: u32::try_from(page).expect("a pack has at most 4 TiB"),
            below,
        }
    }

    fn offset(self) -> u64 {
        self.spot >> 20
    }

    fn len(self) -> u32 {
        (self.spot & 0xf_ffff) as u32
    }

    fn place(self) -> (u64, u32) {
        (u64::from(self.page), self.below)
    }
}

/// So many slots are held, and for a moment twice as many: 64 MiB.
const MOST_REFS: usize = 2 * 1024 * 1024;

/// The first slots behind one, in the order of their records.
struct Refs {
    behind: Option<Ref>,
    most: usize,
    found: Vec<Ref>,
    /// There are more.
    is_part: bool,
}

impl Refs {
    fn behind(behind: Option<Ref>, most: usize) -> Self {
        Self {
            behind,
            most,
            found: Vec::new(),
            is_part: false,
        }
    }

    fn add(&mut self, slot: Ref) {
        if self.behind.is_some_and(|behind| slot <= behind) {
            return;
        }
        self.found.push(slot);
        if self.found.len() == 2 * self.most {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.found.len() > self.most {
            self.found.select_nth_unstable(self.most);
            self.found.truncate(self.most);
            self.is_part = true;
        }
    }

    /// Puts them in order.
    fn sort(mut self) -> Self {
        self.cut();
        self.found.sort_unstable();
        self
    }
}

impl Survey {
    /// Looks at a pack whose file has `size` bytes.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read. Damage is none.
    pub(crate) fn of(pack: &Pack, size: u64) -> Result<Self> {
        let mut survey = Self {
            flaws: Vec::new(),
            stretches: Vec::new(),
            sound: 0,
            lost: Lost {
                pages: pack.geometry().pages,
                ..Lost::default()
            },
            is_newer: false,
            is_other: false,
            bad_pages: BTreeSet::new(),
        };
        survey.look_at_frame(pack, size)?;
        let counted = Walk::new(pack, &mut survey, size).run()?;
        survey.conclude(pack, &counted);
        Ok(survey)
    }

    /// Tells whether something is damaged, and not only told.
    pub(crate) fn is_damaged(&self) -> bool {
        self.flaws
            .iter()
            .any(|flaw| flaw.severity == Severity::Damage)
    }

    /// Tells whether enough is left that the rest is told from what never was.
    pub(crate) fn can_be_saved(&self) -> bool {
        let has_pages = (self.bad_pages.len() as u64) < self.lost.pages;
        !self.is_newer && !self.is_other && (has_pages || self.sound > 0)
    }

    /// Returns how many sound records there are.
    pub(crate) fn sound(&self) -> u64 {
        self.sound
    }

    /// Writes the sound records to a new pack, with marks of what was lost.
    pub(crate) fn save(&self, pack: &Pack, space: &NamespaceDir) -> Result<(Temp, Geometry)> {
        let mut writer = PackWriter::create(space, pack.geometry().base)?;
        let mut window = Window::new(pack, u64::MAX);
        for stretch in &self.stretches {
            let mut at = stretch.start;
            while at < stretch.end {
                let bytes = window.record(at, stretch.end)?;
                let decoded = codec::decode(bytes, pack.frame());
                let (record, len) = decoded.map_err(|damage| pack.damaged(damage))?;
                writer.add(&record)?;
                at += len as u64;
            }
        }
        writer.finish_with(&self.lost)
    }

    fn damage(&mut self, what: impl Into<String>) {
        self.tell(Severity::Damage, what, None);
    }

    fn tell(&mut self, severity: Severity, what: impl Into<String>, key: Option<&[u8]>) {
        self.flaws.push(Flaw {
            severity,
            what: what.into(),
            key: key.map(<[u8]>::to_vec),
        });
    }

    /// Looks at what is around the records and the pages.
    fn look_at_frame(&mut self, pack: &Pack, size: u64) -> Result<()> {
        let geometry = *pack.geometry();
        if size != geometry.size {
            let wanted = geometry.size;
            self.damage(format!("it has {size} bytes, and MANIFEST says {wanted}"));
        }
        let mut head = [0; HEAD_LEN as usize];
        let read = unless_damaged(pack.read(&mut head, 0))?;
        let begins = head == *[MAGIC, &geometry.base.0.to_le_bytes()[..]].concat();
        if read.is_some() && !begins {
            self.damage("it does not begin as a pack does");
        }
        let footer = pack.footer(size)?;
        if footer != Some(geometry) {
            self.damage("its last bytes are not what MANIFEST says of it");
        }
        // Whose records these are must be certain before they are taken for those of this pack.
        self.is_other = match footer {
            Some(footer) => footer != geometry,
            None => !begins,
        };
        if unless_damaged(pack.index())?.is_none() {
            self.damage("the checksum of its key index does not match");
        }
        let index_end = geometry.index_at + geometry.index_len;
        let gap = usize::try_from(geometry.pages_at - index_end).unwrap_or(usize::MAX);
        let mut zeros = vec![0; gap.min(page::PAGE_LEN)];
        if unless_damaged(pack.read(&mut zeros, index_end))?.is_some()
            && zeros.iter().any(|&byte| byte != 0)
        {
            self.damage("it has bytes between its parts that are not zero");
        }
        Ok(())
    }

    /// Reads the slots behind one. That the pages are sound is looked at where they are read first.
    fn look_at_pages(&mut self, pack: &Pack, behind: Option<Ref>) -> Result<Refs> {
        let mut refs = Refs::behind(behind, MOST_REFS);
        let is_first = behind.is_none();
        let (mut bad, mut unordered) = (0_u64, false);
        for number in 0..pack.geometry().pages {
            let bytes = unless_damaged(pack.page(number))?;
            let read = bytes
                .as_ref()
                .map(|bytes| Page::read(bytes, pack.geometry().id, number))
                .transpose();
            let page = match read {
                Ok(Some(page)) => page,
                Err(Damage::Newer) => {
                    self.is_newer = true;
                    continue;
                }
                _ => {
                    bad += 1;
                    self.bad_pages.insert(number);
                    continue;
                }
            };
            if page.is_incomplete {
                self.lost.incomplete.insert(number);
            }
            let mut last = 0;
            for (below, candidate) in page.slots() {
                unordered |= below < last;
                last = below;
                let place = (number, below);
                match candidate.lost {
                    true if is_first => self.lost.records.push(place),
                    true => {}
                    false => refs.add(Ref::new(candidate, place)),
                }
            }
        }
        if !is_first {
            return Ok(refs.sort());
        }
        if bad > 0 {
            self.damage(format!(
                "{} of its {} hash pages cannot be read",
                bad, self.lost.pages
            ));
        }
        if unordered {
            self.damage("the slots of a hash page are out of order");
        }
        if self.is_newer {
            let what = Damage::Newer.to_string();
            self.tell(Severity::Warning, what, None);
        }
        Ok(refs.sort())
    }

    /// Compares what was counted with what MANIFEST says.
    fn conclude(&mut self, pack: &Pack, counted: &Counted) {
        let geometry = pack.geometry();
        let old = self.lost.incomplete.len() as u64;
        let records = self.sound() + self.lost.records.len() as u64;
        let is_whole = geometry.lost == 0 && records == geometry.records;
        if !is_whole {
            // Some of these pages, nobody knows which, had slots of records that are not found again.
            self.lost.incomplete.extend(&self.bad_pages);
        }
        self.lost.records.sort_unstable();
        self.lost.records.dedup();
        let marks = self.lost.records.len() as u64 + old;
        if self.is_damaged() || self.is_newer {
            return;
        }
        let found = (self.sound(), counted.tombstones, counted.min_expires, marks);
        let stated = (
            geometry.records,
            geometry.tombstones,
            geometry.min_expires,
            geometry.lost,
        );
        if found != stated {
            self.damage("its records are not as many, or do not expire, as MANIFEST says");
        } else if counted.blocks != geometry.blocks {
            self.damage("its key index does not lead to its records");
        } else if marks > 0 {
            let (records, pages) = (self.lost.records.len(), self.lost.incomplete.len());
            let pages = match pages {
                0 => String::new(),
                pages => format!(", and all that was in {pages} of {} pages", self.lost.pages),
            };
            self.tell(
                Severity::Warning,
                format!(
                    "lost to damage before: {records} of its records{pages}; their keys answer \
                     status 4 until they are written or removed"
                ),
                None,
            );
        }
    }
}

/// Passes on what cannot be read, and returns `None` for what is damaged.
fn unless_damaged<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => Ok(None),
        done => done.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_met_once_however_few_are_held() {
        let slot = |n: u64| {
            let candidate = Candidate {
                offset: n * 7919 % 1_000,
                len: 20,
                lost: false,
            };
            Ref::new(candidate, (n % 5, n as u32))
        };
        for most in [1, 2, 99, 100, 999, 1_000, 5_000] {
            let mut met = Vec::new();
            loop {
                let mut refs = Refs::behind(met.last().copied(), most);
                (0..1_000).for_each(|n| refs.add(slot(n)));
                let refs = refs.sort();
                assert!(refs.found.len() <= most);
                met.extend(refs.found);
                if !refs.is_part {
                    break;
                }
            }
            let offsets = met.iter().map(|slot| slot.offset());
            assert!(offsets.eq(0..1_000), "{most}");
            assert_eq!((met[8].len(), met[8].place().0), (20, 2));
        }
    }
}
