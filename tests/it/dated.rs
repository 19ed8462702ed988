//! Entries that were written when a test says so.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_64;

use crate::harness::Sandbox;

/// Bytes of an entry's first line, and those of it that its checksum covers.
const LINE: usize = 120;
const SUMMED: usize = 102;

/// Makes a key's entry, which has a file of its own, one that was written so long ago.
#[track_caller]
pub fn date(kv: &Sandbox, key: &str, ago: Duration) {
    date_file(&kv.file_of(key.as_bytes()), SystemTime::now() - ago);
}

/// Makes the entry in a file one that was written then. Its etag stays.
#[track_caller]
pub fn date_file(path: &Path, then: SystemTime) {
    let mut bytes = fs::read(path).unwrap();
    let key_end = bytes[LINE..].iter().position(|&b| b == b'\n').unwrap();
    let nanos = then.duration_since(UNIX_EPOCH).unwrap().as_nanos();
    bytes[21..40].copy_from_slice(format!("{nanos:019}").as_bytes());
    let summed = [&bytes[..SUMMED], &bytes[LINE..LINE + key_end]].concat();
    let sum = format!("{:016x}", xxh3_64(&summed));
    bytes[SUMMED + 1..LINE - 1].copy_from_slice(sum.as_bytes());
    fs::write(path, bytes).unwrap();
    File::open(path).unwrap().set_modified(then).unwrap();
}
