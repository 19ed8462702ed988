//! Which name stands for what.

use std::borrow::Cow;

use crate::os;
use crate::store::Key;

use super::hash::sha1_of;
use super::percent;

/// How many shards a namespace has: one for each value of the first byte of a hash.
pub(super) const SHARDS: u16 = 256;
/// What `format` says in a namespace that this version writes.
pub(super) const FORMAT: &str = "kv 1\nhash sha1\nshards 256\n";
/// Hexadecimal digits of a file's name in its shard.
pub(super) const NAME_LEN: usize = 38;

/// The directories that every namespace begins with.
pub(super) const SUBDIRS: [&str; 4] = ["objects", "locks", "tmp", "expiry"];

/// The directory of the packs.
pub(super) const PACKS: &str = "packs";

/// What `packs/` is called while it is made.
pub(super) const STAGED: &str = ".packs-";

/// The maintenance lock: of whoever changes packs, or removes what it did not write.
pub(super) const GC_LOCK: &str = "locks/gc";
/// The lock of a list; after gc's and before the shards'.
pub(super) const LIST_LOCK: &str = "locks/list";
/// How long the file of [`GC_LOCK`] is while a MANIFEST has its name and may not be durable, and at other times at
/// the most: the time of the last collection of garbage is in it.
pub(super) const PENDING_LEN: u64 = 22;
pub(super) const DURABLE_LEN: u64 = 21;

/// Two empty files that a namespace is born with, for a collection of garbage on a file system that
/// can hold no more files.
pub(super) const SPARES: [&str; 2] = ["1", "2"];
/// Their directory.
pub(super) const SPARE: &str = "spare";

/// The directory of the range.
pub(super) const LIST_DIR: &str = "list";
/// What earlier versions keep instead: while it is there, one of them may have added elements.
pub(super) const ENDS: &str = "ends";
/// Where the entry of one key is.
#[derive(Debug)]
pub(super) struct HashedKey<'a> {
    pub(super) key: &'a Key,
    /// The key as the second line of its entry.
    pub(super) line: Cow<'a, [u8]>,
    sha1: [u8; 20],
    hash: [u8; 40],
}

impl<'a> HashedKey<'a> {
    pub(super) fn of(key: &'a Key) -> Self {
        let sha1 = sha1_of(key.as_bytes());
        Self {
            key,
            line: percent::encode(key.as_bytes()),
            sha1,
            hash: digits_of(&sha1),
        }
    }

    /// Returns the name of the shard: two digits.
    pub(super) fn shard(&self) -> &str {
        &self.hash()[..2]
    }

    /// Returns the name of the file in the shard.
    pub(super) fn name(&self) -> &str {
        &self.hash()[2..]
    }

    /// Returns the hash.
    pub(super) fn sha1(&self) -> &[u8; 20] {
        &self.sha1
    }

    /// Returns the hash in hexadecimal.
    pub(super) fn hash(&self) -> &str {
        std::str::from_utf8(&self.hash).expect("hexadecimal digits are UTF-8")
    }
}

/// Returns 64 random bits from the operating system.
///
/// # Panics
///
/// Where the system has no randomness, which no supported system does.
pub(super) fn random() -> u64 {
    os::random().expect("the operating system gives random bytes")
}

/// Returns the SHA-1 of a key in hexadecimal.
pub(super) fn hash_of(key: &[u8]) -> [u8; 40] {
    digits_of(&sha1_of(key))
}

/// Writes a SHA-1 in hexadecimal.
pub(super) fn digits_of(sha1: &[u8; 20]) -> [u8; 40] {
    let mut digits = [0; 40];
    hex::encode_to_slice(sha1, &mut digits).expect("20 bytes are 40 digits");
    digits
}

/// Returns the name of a shard.
pub(super) fn shard_name(shard: u16) -> String {
    format!("{shard:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two prefixes published at shattered.io (Stevens et al., "The first collision for full
    /// SHA-1", CRYPTO 2017). They hold NUL bytes and so cannot be keys; their place is one all the
    /// same, which is why every reader compares the key itself.
    #[test]
    fn the_published_collision_shares_a_place() {
        let parse = |text: &str| hex_bytes(&text.replace(char::is_whitespace, ""));
        let [one, two] = [
            include_str!("../../../tests/it/data/shattered-1.hex"),
            include_str!("../../../tests/it/data/shattered-2.hex"),
        ]
        .map(parse);
        assert_ne!(one, two);
        assert_eq!(hash_of(&one), hash_of(&two));
        assert_eq!(Key::new(one), Err(crate::store::key::BadKey::Nul));
    }

    fn hex_bytes(digits: &str) -> Vec<u8> {
        let mut bytes = vec![0; digits.len() / 2];
        hex::decode_to_slice(digits, &mut bytes).unwrap();
        bytes
    }
}
