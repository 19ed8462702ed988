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
            let line = format!("line {}", self.number + 1);
            return Err(StoreError::unfit("read", line, "it is too long"));
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
