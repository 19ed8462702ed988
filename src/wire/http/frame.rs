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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let replies = [
            (0, &b""[..]),
            (1, b"\n"),
            (5, b"0 1\n\n"),
            (u8::MAX, &all),
            (0, b""),
        ];
        let mut written = Vec::new();
        for (status, reply) in replies {
            let len = reply.len() as u64;
            write(&mut written, status, len, |out| out.write_all(reply)).unwrap();
        }
        let mut rest = &*written;
        for (status, reply) in replies {
            let (read_status, read_reply, behind) = take(rest).unwrap();
            assert_eq!((read_status, read_reply), (status, reply));
            rest = behind;
        }
        assert_eq!(rest, b"");
        for cut in 0..written.len() {
            let mut rest = &written[..cut];
            let mut whole = 0;
            while let Some((_, _, behind)) = take(rest) {
                (whole, rest) = (whole + 1, behind);
            }
            assert!(whole < replies.len(), "{cut}");
        }
    }

    #[test]
    fn what_is_torn_is_none() {
        for torn in [
            &b""[..],
            b"0",
            b"0 1\n",
            b"0 1\na",
            b"0 1\nab\n",
            b"x 0\n\n",
            b"0 -1\n\n",
            b"777 0\n\n",
            b"0 99999999999999999999\nabc\n",
        ] {
            assert_eq!(take(torn), None);
        }
    }
}
