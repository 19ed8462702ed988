//! The SHA-1 of a key.
//!
//! Who hashes by the instructions that a processor has for it asks first whether it has them. In a virtual
//! machine each such question goes to the machine around it, and the three of them take longer than all that
//! `kv get` computes. So the first keys of a process, which are all that most have, are hashed without.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sha1::{Digest as _, Sha1};

/// How many keys are hashed without, which takes as long as to ask, or less.
const FEW: u32 = 64;
/// The most bytes of a key that fits one block, with the byte and the length behind it.
const SHORT: usize = 55;

/// How many were.
static HASHED: AtomicU32 = AtomicU32::new(0);

/// Returns the SHA-1 of a key.
pub(super) fn sha1_of(key: &[u8]) -> [u8; 20] {
    if key.len() > SHORT || HASHED.load(Relaxed) >= FEW {
        return Sha1::digest(key).into();
    }
    HASHED.fetch_add(1, Relaxed);
    of_short(key)
}

/// Returns the SHA-1 of at most [`SHORT`] bytes (FIPS 180-4, section 6.1).
fn of_short(key: &[u8]) -> [u8; 20] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    block[key.len()] = 0x80;
    block[63 - 7..].copy_from_slice(&(8 * key.len() as u64).to_be_bytes());
    let mut words = [0; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for t in 16..80 {
        let word = words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16];
        words[t] = word.rotate_left(1);
    }
    let first = [
        0x6745_2301_u32,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let [mut a, mut b, mut c, mut d, mut e] = first;
    for (t, word) in words.into_iter().enumerate() {
        let (f, k) = match t / 20 {
            0 => ((b & c) ^ (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) ^ (b & d) ^ (c & d), 0x8f1b_bcdc_u32),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let sum = [f, e, k, word]
            .into_iter()
            .fold(a.rotate_left(5), u32::wrapping_add);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    let mut hash = [0; 20];
    let sums = first.into_iter().zip([a, b, c, d, e]);
    for (bytes, (first, last)) in hash.as_chunks_mut().0.iter_mut().zip(sums) {
        *bytes = first.wrapping_add(last).to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_same_hash_either_way() {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        for start in [0, 100, 200] {
            for len in 0..=SHORT {
                let key = &bytes[start..start + len];
                assert_eq!(
                    of_short(key),
                    <[u8; 20]>::from(Sha1::digest(key)),
                    "{key:?}"
                );
            }
        }
        // Whichever way is taken.
        for n in 0..2 * FEW {
            let key = n.to_string().repeat(n as usize);
            let expected = <[u8; 20]>::from(Sha1::digest(&key));
            assert_eq!(sha1_of(key.as_bytes()), expected, "{key}");
        }
    }
}
