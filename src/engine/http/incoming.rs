//! The body of an answer, bounded: how much of it there is, and how slowly it may come.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::BodyReader;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::wire::http::answer::{self, Head};

use super::deadline::read_within;
use super::faults::uncertain;

/// The fewest bytes that come in a second, while they are waited for.
const RATE: u64 = 1024;
/// The most bytes of the head of a late answer.
const MAX_HEAD: u64 = 64 * 1024;

/// The body of an answer. It ends where its headers say, or it fails.
pub(super) struct Incoming {
    body: BodyReader<'static>,
    /// How many bytes are to come, where that was said.
    left: Option<u64>,
    patience: Duration,
    /// The fewest bytes that come in a second, while they are waited for.
    rate: u64,
    /// It is the answer to a change.
    is_of_change: bool,
    /// For how long bytes have been waited for since it was looked at last, and how many have come.
    waited: Duration,
    come: u64,
}

impl Incoming {
    /// Reads a body whose headers are these. Without `patience` nothing at all may come for longer than
    /// a read may take.
    pub(super) fn new(
        body: BodyReader<'static>,
        headers: &HeaderMap,
        patience: Duration,
        is_of_change: bool,
    ) -> Self {
        Self {
            body,
            left: length(headers),
            patience,
            rate: RATE,
            is_of_change,
            waited: Duration::ZERO,
            come: 0,
        }
    }

    /// Lets nothing come for that long, and ever so little.
    pub(super) fn may_be_silent(&mut self, silence: Duration) {
        (self.patience, self.rate) = (silence, 0);
    }

    /// Reads the head of a late answer, which may take until then.
    pub(super) fn head(&mut self, until: Instant) -> io::Result<(StatusCode, HeaderMap)> {
        self.left = None;
        let mut line = Vec::new();
        let mut come = 0;
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            if read_within(&mut self.body, &mut byte, self.patience)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            come += 1;
            if Instant::now() > until || come > MAX_HEAD {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "timed out waiting for the end of its late answer",
                ));
            }
            if !line.is_empty() || byte != *b"\n" {
                line.push(byte[0]);
            }
        }
        let read = || {
            let head: Head = answer::read(&line)?;
            let mut headers = HeaderMap::new();
            for (name, value) in head.headers {
                let name: HeaderName = name.parse().ok()?;
                headers.append(name, HeaderValue::from_str(&value).ok()?);
            }
            Some((StatusCode::from_u16(head.code).ok()?, headers))
        };
        let none = || io::Error::new(io::ErrorKind::InvalidData, "its late answer has no head");
        let (code, headers) = read().ok_or_else(none)?;
        // What has no body says nothing of its length.
        self.left = length(&headers).or((code == StatusCode::NO_CONTENT).then_some(0));
        Ok((code, headers))
    }

    /// Tells whether it was said how long it is.
    pub(super) fn has_length(&self) -> bool {
        self.left.is_some()
    }

    fn read_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let begun = Instant::now();
        let n = read_within(&mut self.body, buf, self.patience)?;
        match &mut self.left {
            Some(0) if n == 0 => {}
            Some(_) if n == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(left) if (n as u64) > *left => {
                let error = "it is longer than its headers say";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            Some(left) => *left -= n as u64,
            None => {}
        }
        if n > 0 {
            self.note(begun.elapsed(), n)?;
        }
        Ok(n)
    }
    /// Notes what a read has brought. Who sends a byte now and then is as good as silent.
    fn note(&mut self, took: Duration, n: usize) -> io::Result<()> {
        self.waited += took;
        self.come += n as u64;
        if self.waited < self.patience {
            return Ok(());
        }
        if self.come < self.rate * self.patience.as_secs() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it sends fewer than 1,024 bytes a second",
            ));
        }
        (self.waited, self.come) = (Duration::ZERO, 0);
        Ok(())
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_some(buf).map_err(|err| match self.is_of_change {
            true => uncertain(err),
            false => err,
        })
    }
}
