//! Replies to the commands of a batch: `STATUS BYTES`, a newline, so many bytes, a newline.

use std::io::{self, Write};

/// Writes a reply of so many bytes, which `write` writes.
///
/// # Errors
///
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    status: u8,
    len: u64,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    writeln!(out, "{status} {len}")?;
    write(out)?;
    out.write_all(b"\n")
}

/// Takes a reply off the front of some: its status, itself and what is behind it. `None` where it is
/// none, or is cut off.
pub fn take(replies: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let end = memchr::memchr(b'\n', replies)?;
    let (head, rest) = (
        std::str::from_utf8(&replies[..end]).ok()?,
        &replies[end + 1..],
    );
    let (status, length) = head.split_once(' ')?;
    let length: usize = length.parse().ok()?;
    let reply = rest.get(..length)?;
    let rest = rest[length..].strip_prefix(b"\n")?;
    Some((status.parse().ok()?, reply, rest))
}
