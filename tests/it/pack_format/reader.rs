//! A reader of stores, written from kv-format(5) and from nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use sha1::Digest as _;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const PAGE: usize = 4096;
const FOOTER: usize = 120;

/// What a namespace says of a key, dead or alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub tombstone: bool,
    /// Milliseconds; 0 is never.
    pub expires: u64,
    /// Nanoseconds.
    pub modified: u64,
    pub etag: u64,
    pub value: Vec<u8>,
}

/// The twelve numbers of a pack in MANIFEST, and its own in front of them.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    all: [u64; 13],
}

pub struct Pack {
    numbers: Numbers,
    bytes: Vec<u8>,
}

pub struct Reader {
    dir: PathBuf,
    /// The newest first.
    pub packs: Vec<Pack>,
}

fn sha1_of(key: &[u8]) -> [u8; 20] {
    sha1::Sha1::digest(key).into()
}

fn number(bytes: &[u8]) -> u64 {
    assert!(bytes.len() <= 8);
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// Cuts a number of bytes off the front.
fn cut<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (cut, behind) = rest.split_at(len);
    *rest = behind;
    cut
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for place in 0.. {
        let byte = cut(rest, 1)[0];
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            assert!(byte > 0 || place == 0, "not the shortest form");
            break;
        }
    }
    number
}

impl Reader {
    pub fn open(dir: &Path) -> Self {
        let format = fs::read(dir.join("format")).unwrap();
        assert_eq!(format, b"kv 1\nhash sha1\nshards 256\n");
        let packs = match dir.join("packs").exists() {
            true => manifest(&fs::read_to_string(dir.join("packs/MANIFEST")).unwrap()),
            false => vec![],
        };
        let open = |numbers: Numbers| {
            let name = format!("packs/pack-{:016x}", numbers.all[0]);
            let bytes = fs::read(dir.join(name)).unwrap();
            assert_eq!(bytes.len() as u64, numbers.all[1]);
            Pack { numbers, bytes }
        };
        Self {
            dir: dir.to_owned(),
            packs: packs.into_iter().map(open).collect(),
        }
    }

    /// Looks a key up; what decides is returned, whatever it says.
    pub fn find(&self, key: &[u8]) -> Option<Said> {
        let loose = self.loose(key);
        loose.or_else(|| self.packs.iter().find_map(|pack| pack.find(key)))
    }

    /// Reads the file of a key.
    fn loose(&self, key: &[u8]) -> Option<Said> {
        let hash = hex::encode(sha1_of(key));
        let path = self.dir.join("objects").join(&hash[..2]).join(&hash[2..]);
        let bytes = fs::read(path).ok()?;
        let (line, rest) = bytes.split_at(120);
        let end = rest.iter().position(|&b| b == b'\n').unwrap();
        let (second, value) = (&rest[..end], &rest[end + 1..]);
        let line = str::from_utf8(line).unwrap().strip_suffix('\n').unwrap();
        let fields: Vec<&str> = line.split(' ').collect();
        let [
            magic,
            etag,
            modified,
            expires,
            flags,
            key_len,
            value_len,
            value_sum,
            header_sum,
        ] = fields[..]
        else {
            panic!("not nine fields: {line}");
        };
        let hex = |digits| u64::from_str_radix(digits, 16).unwrap();
        let decimal = |digits: &str| digits.parse::<u64>().unwrap();
        assert_eq!(magic, "kv1");
        let summed = [&line.as_bytes()[..102], second].concat();
        assert_eq!(xxh3_64(&summed), hex(header_sum));
        assert_eq!(decoded(second), key);
        assert_eq!(decimal(key_len), key.len() as u64);
        assert_eq!(decimal(value_len), value.len() as u64);
        assert_eq!(xxh3_64(value), hex(value_sum));
        assert!(hex(flags) <= 1);
        Some(Said {
            tombstone: flags == "01",
            expires: decimal(expires),
            modified: decimal(modified),
            etag: hex(etag),
            value: value.to_owned(),
        })
    }
}

fn decoded(line: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        key.push(match cut(&mut rest, 1)[0] {
            b'%' => {
                let digits = str::from_utf8(cut(&mut rest, 2)).unwrap();
                u8::from_str_radix(digits, 16).unwrap()
            }
            byte => byte,
        });
    }
    key
}

fn manifest(text: &str) -> Vec<Numbers> {
    let at = text.rfind("sum ").unwrap();
    assert_eq!(
        text[at..],
        format!("sum {:016x}\n", xxh3_64(&text.as_bytes()[..at]))
    );
    let mut lines = text[..at].lines();
    assert_eq!(lines.next(), Some("kvpacks 1"));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!((words[0], words.len()), ("pack", 14));
            let id = words[1].strip_prefix("pack-").unwrap();
            assert_eq!(id.len(), 16);
            let mut all = [u64::from_str_radix(id, 16).unwrap(); 13];
            for (number, word) in all[1..].iter_mut().zip(&words[2..]) {
                *number = word.parse().unwrap();
                assert_eq!(number.to_string(), *word);
            }
            Numbers { all }
        })
        .collect()
}

impl Pack {
    /// Finds the record of a key by its hash page.
    pub fn find(&self, key: &[u8]) -> Option<Said> {
        let [.., pages_at, pages, _] = self.numbers.all;
        let hash = u64::from_be_bytes(sha1_of(key)[..8].try_into().unwrap());
        let product = u128::from(hash) * u128::from(pages);
        let (number, bits) = (
            u64::try_from(product >> 64).unwrap(),
            (product as u64 >> 32) as u32,
        );
        let page = &self.bytes[size(pages_at) + size(number) * PAGE..][..PAGE];
        for slot in self.slots(number, page) {
            if slot.0 != bits {
                continue;
            }
            let (found, said) = self.record(&self.bytes[slot.1..][..slot.2]);
            if found == key {
                return Some(said);
            }
        }
        None
    }

    /// Returns the slots of a page: bits, offset and length.
    fn slots(&self, number: u64, page: &[u8]) -> Vec<(u32, usize, usize)> {
        let seed = self.numbers.all[0].wrapping_add(number);
        assert_eq!(
            self::number(&page[..8]),
            xxh3_64_with_seed(&page[8..], seed)
        );
        let count = size(self::number(&page[8..10]));
        assert!(count <= 340);
        assert_eq!(page[10..16], [0; 6]);
        let (used, rest) = page[16..].split_at(12 * count);
        assert!(rest.iter().all(|&b| b == 0));
        used.chunks(12)
            .map(|slot| {
                let len = self::number(&slot[9..]);
                assert!(len < 1 << 20, "a record was lost");
                let bits = u32::try_from(self::number(&slot[..4])).unwrap();
                (bits, size(self::number(&slot[4..9])), size(len))
            })
            .collect()
    }

    /// Reads a record that has exactly these bytes.
    fn record<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], Said) {
        let mut rest = bytes;
        let record = self.next_record(&mut rest);
        assert!(rest.is_empty());
        record
    }

    fn next_record<'a>(&self, rest: &mut &'a [u8]) -> (&'a [u8], Said) {
        let [id, _, _, _, base, ..] = self.numbers.all;
        let sum = number(cut(rest, 8));
        let summed = *rest;
        let flags = cut(rest, 1)[0];
        assert!(flags <= 3);
        let key_len = size(varint(rest));
        let value_len = size(varint(rest));
        let modified = base + varint(rest);
        let expires = if flags & 2 == 0 { 0 } else { varint(rest) };
        let etag = number(cut(rest, 8));
        let key = cut(rest, key_len);
        let value = cut(rest, value_len).to_owned();
        let len = summed.len() - rest.len();
        assert_eq!(sum, xxh3_64_with_seed(&summed[..len], id));
        assert!((1..=65_535).contains(&key_len) && value_len <= 16_384);
        let tombstone = flags & 1 != 0;
        assert!(!tombstone || value_len == 0);
        let said = Said {
            tombstone,
            expires,
            modified,
            etag,
            value,
        };
        (key, said)
    }

    /// Returns how many hash pages and blocks there are.
    pub fn pages_and_blocks(&self) -> (u64, u64) {
        (self.numbers.all[11], self.numbers.all[8])
    }

    /// Verifies every byte of the pack, and returns its records.
    pub fn verified(&self) -> Vec<(Vec<u8>, Said)> {
        let [
            _,
            _,
            count,
            tombstones,
            base,
            first_expiry,
            index_at,
            index_len,
            blocks,
            index_sum,
            pages_at,
            pages,
            lost,
        ] = self.numbers.all;
        assert_eq!(lost, 0);
        let bytes = &self.bytes;
        assert_eq!(bytes[..8], *b"kvpack1\n");
        assert_eq!(number(&bytes[8..16]), base);

        // Records, and with which offset each begins.
        let mut rest = &bytes[16..size(index_at)];
        let (mut records, mut offsets) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            offsets.push(size(index_at) - rest.len());
            let (key, said) = self.next_record(&mut rest);
            records.push((key.to_owned(), said));
        }
        assert!(records.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(records.len() as u64, count);
        let dead = records.iter().filter(|(_, said)| said.tombstone).count();
        assert_eq!(dead as u64, tombstones);
        let deadlines = records.iter().map(|(_, said)| said.expires);
        let first = deadlines.filter(|&at| at > 0).min();
        assert_eq!(first.unwrap_or(0), first_expiry);

        // The key index is a function of the records.
        let index = &bytes[size(index_at)..][..size(index_len)];
        assert_eq!(xxh3_64(index), index_sum);
        let (mut table, mut keys) = (Vec::new(), Vec::new());
        let mut begin = None;
        for (nth, &offset) in offsets.iter().enumerate() {
            if begin.is_some_and(|begin| offset - begin < 16_384) {
                continue;
            }
            begin = Some(offset);
            let key = &records[nth].0;
            let before: &[u8] = nth.checked_sub(1).map_or(b"", |last| &records[last].0);
            let len = (1..=key.len()).find(|&len| &key[..len] > before).unwrap();
            table.extend((offset as u64).to_le_bytes());
            table.extend(u32::try_from(keys.len()).unwrap().to_le_bytes());
            keys.extend(&key[..len]);
        }
        assert_eq!(table.len() as u64, 12 * blocks);
        assert!(index == [table, keys].concat());

        let gap = &bytes[size(index_at + index_len)..size(pages_at)];
        assert!(gap.len() < PAGE && gap.iter().all(|&b| b == 0));
        assert_eq!(pages_at % PAGE as u64, 0);

        // Every record has one slot, in the page of its key.
        let mut pointed = Vec::new();
        for number in 0..pages {
            let page = &bytes[size(pages_at) + size(number) * PAGE..][..PAGE];
            let slots = self.slots(number, page);
            assert!(slots.is_sorted_by(|a, b| a.0 <= b.0));
            pointed.extend(slots.iter().map(|slot| slot.1));
        }
        pointed.sort_unstable();
        assert_eq!(pointed, offsets);
        for (key, said) in &records {
            assert_eq!(self.find(key).as_ref(), Some(said));
        }

        let footer = &bytes[size(pages_at) + size(pages) * PAGE..];
        assert_eq!(footer.len(), FOOTER);
        assert_eq!(footer[..8], *b"kvfoot1\n");
        let numbers: Vec<u64> = footer[8..112].chunks(8).map(number).collect();
        assert_eq!(numbers, self.numbers.all);
        assert_eq!(number(&footer[112..]), xxh3_64(&footer[..112]));
        records
    }
}
