//! What tests do to files and compare of them, and what they fill them with.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Returns a part of an endless text that does not repeat itself in step with any buffer.
pub fn pattern(offset: usize, len: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    (offset..offset + len).map(byte).collect()
}

/// Returns its beginning.
pub fn bytes(len: usize) -> Vec<u8> {
    pattern(0, len)
}

/// Flips a bit of a file.
pub fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Flips a bit of the last byte of a file, and returns what it holds then.
pub fn flip_last(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, &bytes).unwrap();
    bytes
}

/// Everything below a directory, with the bytes of its files.
pub fn image(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let walk = WalkDir::new(root).sort_by_file_name().into_iter();
    let paths = walk.map(|entry| entry.unwrap().into_path());
    paths
        .map(|path| {
            let bytes = fs::read(&path).unwrap_or_default();
            (path, bytes)
        })
        .collect()
}
