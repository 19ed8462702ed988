//! The key of a run that was given none.
//!
//! It is the command line as it could be typed, and behind a lone `;`, which quoting keeps from
//! being a word, what else makes a difference: `date +%s ; cwd /tmp ; env TZ=<SHA-1 of the value>`.
//! Keys are listed, exported and logged, and variables hold passwords.

use std::env;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result};
use sha1::{Digest as _, Sha1};

use crate::cli::MemoArgs;
use crate::store::Key;
use crate::wire::quote::quote;

/// Returns the key that was given, or makes one.
pub(super) fn of(args: &MemoArgs) -> Result<Key> {
    if let Some(key) = &args.key {
        return Ok(key.clone());
    }
    let mut line = Vec::new();
    for word in &args.command {
        add(&mut line, word.as_bytes());
    }
    if args.cwd {
        let cwd = env::current_dir().context("cannot find the working directory")?;
        line.extend_from_slice(b" ; cwd");
        add(&mut line, cwd.as_os_str().as_bytes());
    }
    for name in &args.env {
        line.extend_from_slice(b" ; env");
        let mut text = name.as_bytes().to_vec();
        // A variable that is not set is another thing than an empty one.
        if let Some(value) = env::var_os(name) {
            text.push(b'=');
            text.extend_from_slice(hex::encode(Sha1::digest(value.as_bytes())).as_bytes());
        }
        add(&mut line, &text);
    }
    for file in &args.modtime {
        line.extend_from_slice(b" ; modtime");
        add(&mut line, file.as_os_str().as_bytes());
        let time = match file.metadata() {
            Ok(meta) => format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()),
            Err(_) => "-".to_owned(),
        };
        add(&mut line, time.as_bytes());
    }
    Key::new(line).context("the command line makes no valid key: give KEY")
}

fn add(line: &mut Vec<u8>, word: &[u8]) {
    if !line.is_empty() {
        line.push(b' ');
    }
    quote(word, line);
}
