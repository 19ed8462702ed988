//! Input, cut into lines without being copied.

use std::ops::Range;

use memchr::memchr;

use crate::store::{Result, Source, StoreError};

/// How much is read at a time.
const PART: usize = 256 * 1024;
/// A buffer that is larger than this grows by this.
const STEP: usize = 16 * 1024 * 1024;

/// A buffer that holds a part of the input, and one line of it at least.
#[derive(Debug, Default)]
pub struct Lines {
    buf: Vec<u8>,
    /// How much of the buffer has been filled.
    filled: usize,
    /// Where the next line begins, and up to where it is known to hold no newline.
    next: usize,
    searched: usize,
    has_ended: bool,
    line: Range<usize>,
    has_newline: bool,
    number: u64,
    read: u64,
    /// How many bytes a line may have.
    longest: Option<usize>,
}

impl Lines {
    /// Makes a buffer for lines of at most so many bytes.
    pub fn of_at_most(longest: usize) -> Self {
        Self {
            longest: Some(longest),
            ..Self::default()
        }
    }

    /// Returns the line that [`Lines::advance`] went to, without its newline.
    pub fn line(&self) -> &[u8] {
        &self.buf[self.line.clone()]
    }

    /// Tells whether a newline ended that line; the last one may lack it.
    pub fn has_newline(&self) -> bool {
        self.has_newline
    }

    /// Returns the number of that line; the first is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns how many bytes have been read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Goes to the next line; the last one may lack its newline. Returns false at the end.
    ///
    /// # Errors
    ///
    /// As [`Source::read`], and [`StoreError::Unfit`] where a line is longer than it may be.
    pub fn advance(&mut self, source: &mut dyn Source) -> Result<bool> {
        loop {
            if let Some(at) = memchr(b'\n', &self.buf[self.searched..self.filled]) {
                self.line = self.next..self.searched + at;
                self.next = self.line.end + 1;
                self.has_newline = true;
                self.searched = self.next;
                self.number += 1;
                return Ok(true);
            }
            self.searched = self.filled;
            if self.has_ended {
                if self.next == self.filled {
                    return Ok(false);
                }
                self.line = self.next..self.filled;
                self.next = self.filled;
                self.has_newline = false;
                self.number += 1;
                return Ok(true);
            }
            self.fill(source)?;
        }
    }

    /// Reads more behind the beginning of a line, which moves to the front.
    fn fill(&mut self, source: &mut dyn Source) -> Result<()> {
        self.buf.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.next = 0;
        self.searched = self.filled;
        if self.longest.is_some_and(|longest| self.filled > longest) {
            return Err(StoreError::Unfit {
                action: "read",
                key: format!("line {}", self.number + 1),
                why: "it is too long",
            });
        }
        if self.filled == self.buf.len() {
            let more = self.buf.len().clamp(PART, STEP);
            self.buf.resize(self.buf.len() + more, 0);
        }
        let n = source.read(&mut self.buf[self.filled..])?;
        self.filled += n;
        self.read += n as u64;
        self.has_ended = n == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields its bytes in parts of a fixed size.
    struct Parts<'a>(&'a [u8], usize);

    impl Source for Parts<'_> {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
            let n = self.1.min(buf.len());
            Source::read(&mut self.0, &mut buf[..n])
        }
    }

    fn lines_of(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut source = Parts(text, size);
        let mut lines = Lines::default();
        let mut all = Vec::new();
        while lines.advance(&mut source).unwrap() {
            all.push(lines.line().to_vec());
            assert_eq!(lines.number(), all.len() as u64);
        }
        assert!(!lines.advance(&mut source).unwrap());
        assert_eq!(lines.read(), text.len() as u64);
        all
    }

    #[test]
    fn lines_are_the_same_in_parts_of_any_size() {
        let text = b"one\n\ntwo\n\xff\0\nlast";
        let want: [&[u8]; 5] = [b"one", b"", b"two", b"\xff\0", b"last"];
        for size in 1..=text.len() {
            assert_eq!(lines_of(text, size), want, "{size}");
            assert_eq!(lines_of(&text[..text.len() - 4], size), want[..4], "{size}");
        }
        assert!(lines_of(b"", 1).is_empty());
    }

    #[test]
    fn a_line_that_does_not_end_is_not_gathered() {
        let text = vec![b'x'; 3 * PART];
        let mut lines = Lines::of_at_most(PART);
        let err = lines.advance(&mut Parts(&text, PART)).unwrap_err();
        assert!(err.to_string().contains("line 1"), "{err}");
    }

    #[test]
    fn a_line_may_be_longer_than_the_buffer() {
        for len in [PART - 1, PART, PART + 1, 3 * PART] {
            let long = vec![b'x'; len];
            let text = [b"short\n", &*long, b"\nshort\n", &*long].concat();
            for size in [4_093, PART, 8 * PART] {
                let want: [&[u8]; 4] = [b"short", &long, b"short", &long];
                assert!(lines_of(&text, size) == want, "{len} in parts of {size}");
            }
        }
    }
}
