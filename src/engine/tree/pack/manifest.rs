//! MANIFEST: which packs there are.
//!
//! ```text
//! kvpacks 1\n
//! pack <name> <size> <records> <tombstones> <base> <first expiry> <index at>
//!     <index length> <blocks> <index sum> <pages at> <pages> <lost>\n      a line for each pack, the newest first
//! sum <XXH3-64 of all before this line, 16 hex digits>\n
//! ```
//!
//! The numbers are decimal, and what they mean is told in [`super::geometry`]. A pack that is not
//! named here does not exist, whatever lies in the directory.

use std::fs::File;

use rustix::fs::FileType;
use xxhash_rust::xxh3::xxh3_64;

use crate::os;
use crate::store::{OrCannot as _, Result, StoreError};

use super::super::codec::Damage;
use super::super::loose::read_up_to;
use super::super::namespace_dir::NamespaceDir;
use super::geometry::Geometry;

/// Where MANIFEST is, below its namespace.
pub(crate) const MANIFEST: &str = "packs/MANIFEST";
const FIRST_LINE: &str = "kvpacks 1\n";
/// Bytes of the last line.
const SUM_LINE_LEN: usize = 4 + 16 + 1;
/// No MANIFEST is longer: that would be hundreds of thousands of packs.
const LONGEST: u64 = 64 * 1024 * 1024;

/// One pack, as MANIFEST names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The name of its file in `packs/`.
    pub(crate) name: String,
    pub(crate) geometry: Geometry,
}

impl Named {
    /// Names a pack by its number.
    pub(crate) fn new(geometry: Geometry) -> Self {
        let name = format!("pack-{:016x}", geometry.id);
        Self { name, geometry }
    }
}

/// A MANIFEST that was read, its file kept open: as long as it is, no other file has its inode.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The newest first.
    pub(crate) packs: Vec<Named>,
    _file: File,
    /// The device and inode of the file.
    id: (u64, u64),
}

impl Manifest {
    /// Reads the MANIFEST of a namespace; `None` if it has no packs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where it is not whole, and where there is `packs/` without it.
    pub(crate) fn read(space: &NamespaceDir) -> Result<Option<Self>> {
        let path = || space.path_of(MANIFEST);
        let mut file = space.open_if_any(MANIFEST)?;
        if file.is_none() {
            // `packs/` comes with a MANIFEST inside: in between the two looks, perhaps.
            if space.dir_if_any("packs")?.is_none() {
                return Ok(None);
            }
            file = space.open_if_any(MANIFEST)?;
        }
        let Some(file) = file else {
            return match space.has_vanished("packs")? && space.dir_if_any("packs")?.is_none() {
                true => Ok(None),
                false => Err(Damage::Missing.at(path())),
            };
        };
        let stat = rustix::fs::fstat(&file).or_cannot("look at", &path())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Damage::NotAFile.at(path()));
        }
        let size = stat.st_size.cast_unsigned();
        if size > LONGEST {
            return Err(Damage::NotAManifest.at(path()));
        }
        let mut bytes = Vec::new();
        // One byte more than it has shows that it ends there.
        let len = usize::try_from(size).map_or(usize::MAX, |len| len + 1);
        read_up_to(&file, &mut bytes, len).or_cannot("read", &path())?;
        match decode(&bytes) {
            Ok(packs) => Ok(Some(Self {
                packs,
                _file: file,
                id: os::identity(&stat),
            })),
            Err(Damage::Newer) => Err(StoreError::Newer {
                path: path(),
                what: "its first line is of another version".to_owned(),
            }),
            Err(damage) => Err(damage.at(path())),
        }
    }

    /// Tells whether this is still the MANIFEST of its namespace.
    pub(crate) fn is_current(&self, space: &NamespaceDir) -> Result<bool> {
        space.has_at_path(MANIFEST, self.id)
    }
}

/// Returns the text of a MANIFEST that names these packs.
pub(crate) fn encode(packs: &[Named]) -> String {
    let mut text = FIRST_LINE.to_owned();
    for Named { name, geometry } in packs {
        text.extend(["pack ", name, " ", &geometry.to_text(), "\n"]);
    }
    let sum = xxh3_64(text.as_bytes());
    text.push_str(&format!("sum {sum:016x}\n"));
    text
}

/// Reads a MANIFEST.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Named>, Damage> {
    let text = str::from_utf8(bytes).map_err(|_| Damage::NotAManifest)?;
    let split = text
        .len()
        .checked_sub(SUM_LINE_LEN)
        .ok_or(Damage::Truncated)?;
    let (summed, sum) = text.split_at_checked(split).ok_or(Damage::NotAManifest)?;
    if sum != format!("sum {:016x}\n", xxh3_64(summed.as_bytes())) {
        return Err(if text.starts_with("kvpacks ") {
            Damage::ManifestSum
        } else {
            Damage::NotAManifest
        });
    }
    // The sum holds: a surprise is what another writer meant.
    let lines = summed.strip_prefix(FIRST_LINE).ok_or(Damage::Newer)?;
    let packs: Vec<Named> = lines.lines().map(decode_line).collect::<Result<_, _>>()?;
    let mut ids: Vec<u64> = packs.iter().map(|named| named.geometry.id).collect();
    ids.sort_unstable();
    match ids.is_sorted_by(|a, b| a < b) {
        true => Ok(packs),
        false => Err(Damage::Field),
    }
}

fn decode_line(line: &str) -> Result<Named, Damage> {
    let mut words = line.split(' ');
    if words.next() != Some("pack") {
        return Err(Damage::Newer);
    }
    let id = words.next().and_then(id_of).ok_or(Damage::Field)?;
    Geometry::from_text(id, words).map(Named::new)
}

/// Reads the number of a pack off its name, which leads nowhere else.
fn id_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("pack-")?;
    let is_name = digits.len() == 16
        && digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(digits, 16).ok().filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Time;

    fn sample() -> Vec<Named> {
        let geometry = |id| Geometry {
            id,
            size: 4096 * 2 + super::super::geometry::FOOTER_LEN as u64,
            records: 1,
            base: Time(1),
            index_at: 16,
            index_len: 13,
            blocks: 1,
            index_sum: 1,
            pages_at: 4096,
            pages: 1,
            ..Geometry::default()
        };
        [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]
            .map(|id| Named::new(geometry(id)))
            .to_vec()
    }

    #[test]
    fn reports_every_truncation_and_every_flipped_bit() {
        let good = encode(&sample()).into_bytes();
        for len in 0..good.len() {
            assert!(decode(&good[..len]).is_err(), "accepted {len} bytes");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "accepted a flip of bit {bit}");
        }
    }

    #[test]
    fn a_pack_is_named_once() {
        let mut packs = sample();
        packs.push(packs[0].clone());
        assert_eq!(decode(encode(&packs).as_bytes()), Err(Damage::Field));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let mut packs = sample();
        packs[0].name = "../../etc/passwd".to_owned();
        assert_eq!(decode(encode(&packs).as_bytes()), Err(Damage::Field));
    }
}
