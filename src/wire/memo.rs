//! What `kv memo` remembers of a run: its status and what it printed, in the order in which it came.
//!
//! ```text
//! kvmemo1 <status> <failed at: nanoseconds since 1970; 0 for a result that is kept>\n
//! o <bytes>\n…          a part of standard output
//! e <bytes>\n…          a part of standard error
//! ```
//!
//! The parts go on to the end of the value.

use std::io::{self, Read};

const MAGIC: &str = "kvmemo1";
/// More than the longest line of this format.
const LONGEST_LINE: usize = 64;

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The exit status of the program.
    pub status: u8,
    /// When it failed, for a result that only those may use who waited for it then; else 0.
    pub failed_at: u64,
}

/// Where a part was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Head {
    /// Returns the first line.
    pub fn encode(self) -> String {
        format!("{MAGIC} {} {}\n", self.status, self.failed_at)
    }
}

/// Returns the line in front of a part of `len` bytes.
pub fn part_line(stream: Stream, len: usize) -> String {
    let mark = match stream {
        Stream::Out => 'o',
        Stream::Err => 'e',
    };
    format!("{mark} {len}\n")
}

/// Reads the first line; `None` if it is no such line.
///
/// # Errors
///
/// Those of the input.
pub fn read_head(input: &mut dyn Read) -> io::Result<Option<Head>> {
    let Some(line) = read_line(input)? else {
        return Ok(None);
    };
    let fields: Vec<&str> = line.split(' ').collect();
    let [MAGIC, status, failed_at] = fields[..] else {
        return Ok(None);
    };
    let head = status.parse().ok().zip(failed_at.parse().ok());
    Ok(head.map(|(status, failed_at)| Head { status, failed_at }))
}

/// Reads the line in front of the next part, and how many bytes it has; `None` at the end.
///
/// # Errors
///
/// Those of the input, and `InvalidData` for a line that is none.
pub fn read_part_line(input: &mut dyn Read) -> io::Result<Option<(Stream, u64)>> {
    let Some(line) = read_line(input)? else {
        return Ok(None);
    };
    let part = line.split_once(' ').and_then(|(mark, len)| {
        let stream = match mark {
            "o" => Stream::Out,
            "e" => Stream::Err,
            _ => return None,
        };
        Some((stream, len.parse().ok()?))
    });
    part.map(Some)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads one line without its newline; `None` at the end of the input.
fn read_line(input: &mut dyn Read) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match input.read(&mut byte)? {
            0 if line.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ if byte == *b"\n" => break,
            _ if line.len() == LONGEST_LINE => return Err(io::ErrorKind::InvalidData.into()),
            _ => line.push(byte[0]),
        }
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}
