//! What the keys of Redis are called that a store is made of.
//!
//! ```text
//! {PREFIX}n                     a hash: the names of the namespaces
//! {PREFIX}g                     a hash: when garbage was last collected in each
//! {PREFIX:NAMESPACE:BUCKET}i    a sorted set: the keys in this bucket, in the order of their bytes
//! {PREFIX:NAMESPACE:BUCKET}e:…  a string: the entry of a key; see the codec
//! {PREFIX:NAMESPACE:BUCKET}o:…  that a call was carried out, and its answer; goes after a while
//! {PREFIX:NAMESPACE:BUCKET}c    the last number of a list
//! {PREFIX:NAMESPACE:BUCKET}l:…  a hash: the holders of a lock
//! {PREFIX:NAMESPACE:BUCKET}t    the last token of a lock
//! {PREFIX:NAMESPACE:BUCKET}w    a channel, on which every change of the bucket is told
//! {PREFIX:NAMESPACE:BUCKET}x:…  what a repair moved out of the way
//! {PREFIX:NAMESPACE:BUCKET}y    the same, where it stood in the place of one of the others
//! ```
//!
//! What stands in braces is what a cluster hashes, so that a bucket is in one slot and a script can
//! change all of it in one step. BUCKET is two hexadecimal digits, below 40, of the key's XXH3-64; the
//! elements of a list are all in the bucket `list`, as they have an order.

use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_encode};
use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Namespace, lists};

use super::slots::slot_of;

/// How many buckets there are for keys that are no elements. Never to be changed: a key would not be
/// found any more.
const HASHED: u8 = 64;

/// Which part of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BucketId(u8);

impl BucketId {
    /// The bucket of the elements of a list.
    pub(super) const LIST: Self = Self(HASHED);

    /// Returns the bucket of a key.
    pub(super) fn of(key: &[u8]) -> Self {
        match lists::is_element(key) {
            true => Self::LIST,
            false => Self((xxh3_64(key) % u64::from(HASHED)) as u8),
        }
    }

    /// Returns all buckets.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=HASHED).map(Self)
    }
}

/// A part of a namespace that is in one slot, with what its keys begin with.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// What all its keys begin with.
    tag: String,
    /// The slot of all its keys.
    pub(super) slot: u16,
}

impl Bucket {
    pub(super) fn new(prefix: &str, namespace: &Namespace, id: BucketId) -> Self {
        let namespace = encode(namespace);
        let inner = match id {
            BucketId::LIST => format!("{prefix}:{namespace}:list"),
            BucketId(number) => format!("{prefix}:{namespace}:{number:02x}"),
        };
        Self {
            slot: slot_of(inner.as_bytes()),
            tag: format!("{{{inner}}}"),
        }
    }

    /// Returns what the keys begin with that are not of one namespace.
    pub(super) fn of_all(prefix: &str) -> Self {
        Self {
            slot: slot_of(prefix.as_bytes()),
            tag: format!("{{{prefix}}}"),
        }
    }

    /// Returns the name of one of the keys that are there once: `i`, `c`, `t`, `w`, `n`, `g`.
    pub(super) fn single(&self, kind: char) -> Vec<u8> {
        format!("{}{kind}", self.tag).into_bytes()
    }

    /// Returns the name of one of many keys: `e`, `o`, `l`, `x`.
    pub(super) fn many(&self, kind: char, name: &[u8]) -> Vec<u8> {
        let mut full = format!("{}{kind}:", self.tag).into_bytes();
        full.extend_from_slice(name);
        full
    }

    /// Returns the name of the note of a call.
    pub(super) fn note(&self, id: u64) -> Vec<u8> {
        self.many('o', format!("{id:016x}").as_bytes())
    }

    pub(super) fn entry(&self, key: &[u8]) -> Vec<u8> {
        self.many('e', key)
    }
}

/// Returns the pattern that the entries of a namespace match, or of all, for SCAN.
pub(super) fn entries_pattern(prefix: &str, namespace: Option<&Namespace>) -> Vec<u8> {
    // What is special in a pattern is in neither of the two.
    let namespace = namespace.map_or_else(|| "*".to_owned(), |name| encode(name).to_string());
    format!("{{{prefix}:{namespace}:*}}e:*").into_bytes()
}

/// Returns the namespace of an entry by its name.
pub(super) fn namespace_of(prefix: &str, name: &[u8]) -> Option<Namespace> {
    let rest = name.strip_prefix(format!("{{{prefix}:").as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b':')?;
    let name = percent_encoding::percent_decode(&rest[..end]);
    let namespace = name.decode_utf8().ok()?.parse().ok()?;
    // What is encoded otherwise is another's.
    (encode(&namespace).to_string().as_bytes() == &rest[..end]).then_some(namespace)
}

/// Returns the slot of an entry by its name.
pub(super) fn tag_slot(name: &[u8]) -> u16 {
    let inner = name.split(|byte| matches!(byte, b'{' | b'}')).nth(1);
    slot_of(inner.unwrap_or_default())
}

/// Shows a name to people.
pub(super) fn path_of(name: &[u8]) -> PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}

/// Writes a namespace so that it holds no brace, colon or wildcard.
fn encode(namespace: &Namespace) -> PercentEncode<'_> {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');
    percent_encode(namespace.as_str().as_bytes(), ENCODED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_what_they_are() {
        let bucket =
            |name: &str, key: &[u8]| Bucket::new("kv", &name.parse().unwrap(), BucketId::of(key));
        let of = |bucket: &Bucket, key: &[u8]| String::from_utf8(bucket.entry(key)).unwrap();
        assert_eq!(of(&bucket("default", b"a"), b"a"), "{kv:default:1f}e:a");
        let element = b"00000000000000000007";
        assert_eq!(
            of(&bucket("a}b:*", element), element),
            "{kv:a%7Db%3A%2A:list}e:00000000000000000007"
        );
        assert_eq!(bucket("default", b"a").slot, slot_of(b"kv:default:1f"));
        assert_eq!(Bucket::of_all("kv").single('n'), b"{kv}n");
        assert_eq!(
            namespace_of("kv", &bucket("a}b:*", element).entry(element))
                .unwrap()
                .as_str(),
            "a}b:*"
        );
        assert_eq!(namespace_of("kv", b"{kv:%zz:00}e:"), None);
    }

    #[test]
    fn every_bucket_is_used() {
        let mut used: Vec<_> = (0..2000)
            .map(|n: u32| BucketId::of(format!("k{n}").as_bytes()))
            .collect();
        used.push(BucketId::of(b"00000000000000000001"));
        used.sort();
        used.dedup();
        assert_eq!(used, BucketId::all().collect::<Vec<_>>());
    }
}
