//! Keys: any bytes but NUL.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;

/// The most bytes that a key can have.
pub const MAX_KEY_LEN: usize = 65_535;

/// What an entry is stored under: 1 to [`MAX_KEY_LEN`] bytes, none of them NUL, UTF-8 or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    /// Makes a key of raw bytes.
    ///
    /// # Errors
    ///
    /// [`BadKey`] where they are none, too many, or hold a NUL.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadKey> {
        Self::check(&bytes).map(|()| Self(bytes))
    }

    /// Tells whether raw bytes are a key.
    pub fn check(bytes: &[u8]) -> Result<(), BadKey> {
        match bytes.len() {
            0 => Err(BadKey::Empty),
            1..=MAX_KEY_LEN if bytes.contains(&0) => Err(BadKey::Nul),
            1..=MAX_KEY_LEN => Ok(()),
            len => Err(BadKey::TooLong(len)),
        }
    }

    /// Returns the raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<OsString> for Key {
    type Error = BadKey;

    fn try_from(text: OsString) -> Result<Self, BadKey> {
        Self::new(text.into_vec())
    }
}

/// Puts keys in the order of their bytes. Many keys lie all over the memory, so eight bytes of each,
/// behind what all begin with, are compared first.
pub fn sort(keys: &mut Vec<Key>) {
    let common = common_prefix(keys.iter().map(Key::as_bytes));
    // No key holds a NUL, so the zeros behind a short one tell it from all others.
    let digested = keys
        .drain(..)
        .map(|key| (digest(&key.as_bytes()[common..]), key));
    let mut digested: Vec<(u64, Key)> = digested.collect();
    digested.sort_unstable();
    keys.extend(digested.into_iter().map(|(_, key)| key));
}

/// Returns with how many bytes all keys begin alike.
pub fn common_prefix<'a>(mut keys: impl Iterator<Item = &'a [u8]>) -> usize {
    let first = keys.next().unwrap_or_default();
    keys.fold(first.len(), |common, key| {
        let alike = first[..common].iter().zip(key);
        alike.take_while(|(a, b)| a == b).count()
    })
}

/// Returns the first eight bytes as a number, so that numbers compare as the bytes do.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = bytes.len().min(8);
    first[..len].copy_from_slice(&bytes[..len]);
    u64::from_be_bytes(first)
}

/// Shows the key to a person: bytes that are not UTF-8 are replaced.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// There are no bytes.
    #[error("a key cannot be empty")]
    Empty,
    /// There are this many bytes, more than [`MAX_KEY_LEN`].
    #[error("a key has at most {MAX_KEY_LEN} bytes, and this one {0}")]
    TooLong(usize),
    /// One of the bytes is NUL, which no argument of a program can hold.
    #[error("a key cannot hold a NUL byte")]
    Nul,
}
