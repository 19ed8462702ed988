//! Lines put aside: those of other namespaces than the one that is imported first.
//!
//! They lie in a file without a name, which is gone with the process however that ends.

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::store::{Namespace, OrCannot as _, Result, Source};

/// What is put aside, while it grows.
#[derive(Debug, Default)]
pub(super) struct Spool {
    file: Option<BufWriter<File>>,
    len: u64,
    parts: Vec<Part>,
    places: HashMap<Namespace, usize>,
}

/// Where the lines of a namespace are.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) namespace: Namespace,
    /// `export --all` writes namespace after namespace: then there is one range.
    ranges: Vec<Range<u64>>,
}

impl Spool {
    /// Notes a namespace, and puts aside the line of one of its entries if there is any.
    ///
    /// # Errors
    ///
    /// Where the temporary file cannot be written.
    pub(super) fn keep(&mut self, namespace: &Namespace, line: Option<&[u8]>) -> Result<()> {
        let place = match self.places.get(namespace) {
            Some(&place) => place,
            None => {
                self.places.insert(namespace.clone(), self.parts.len());
                self.parts.push(Part {
                    namespace: namespace.clone(),
                    ranges: Vec::new(),
                });
                self.parts.len() - 1
            }
        };
        let Some(line) = line else {
            return Ok(());
        };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile();
                let file = file.or_cannot("make a temporary file in", &env::temp_dir())?;
                self.file.insert(BufWriter::with_capacity(256 * 1024, file))
            }
        };
        let written = file.write_all(line).and_then(|()| file.write_all(b"\n"));
        written.or_cannot("write a temporary file in", &env::temp_dir())?;
        let begin = self.len;
        self.len += line.len() as u64 + 1;
        match self.parts[place].ranges.last_mut() {
            Some(last) if last.end == begin => last.end = self.len,
            _ => self.parts[place].ranges.push(begin..self.len),
        }
        Ok(())
    }

    /// Ends it, and returns the parts in the order in which they began.
    ///
    /// # Errors
    ///
    /// Where the temporary file cannot be written.
    pub(super) fn finish(self) -> Result<(Option<File>, Vec<Part>)> {
        let file = self.file.map(|file| {
            file.into_inner()
                .map_err(std::io::IntoInnerError::into_error)
        });
        let file = file.transpose();
        let file = file.or_cannot("write a temporary file in", &env::temp_dir())?;
        Ok((file, self.parts))
    }
}

/// The lines of one namespace.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    file: Option<&'a File>,
    at: Range<u64>,
    ranges: std::slice::Iter<'a, Range<u64>>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(file: Option<&'a File>, part: &'a Part) -> Self {
        Self {
            file,
            at: 0..0,
            ranges: part.ranges.iter(),
        }
    }
}

impl Source for Kept<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        if self.at.is_empty() {
            match self.ranges.next() {
                Some(range) => self.at = range.clone(),
                None => return Ok(0),
            }
        }
        let Some(file) = self.file else {
            return Ok(0);
        };
        let left = usize::try_from(self.at.end - self.at.start).unwrap_or(usize::MAX);
        let n = left.min(buf.len());
        let read = file.read_exact_at(&mut buf[..n], self.at.start);
        read.or_cannot("read a temporary file in", &env::temp_dir())?;
        self.at.start += n as u64;
        Ok(n)
    }
}
