//! Going on in the background, once all is well.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;

use super::process::{close_from, fork_alone, let_go_of_stdio};

/// Which of the two a process is after [`background`].
#[derive(Debug)]
pub(crate) enum Side {
    /// The one that was started, and is waited for by a shell.
    Front(Front),
    /// The one that does the work.
    Back(Back),
}

/// Waits for word from the other.
#[derive(Debug)]
pub(crate) struct Front(PipeReader);

/// Sends word to the other.
#[derive(Debug)]
pub(crate) struct Back(PipeWriter);

/// Makes a second process, of a session of its own, that keeps nothing of the caller's but the three
/// standard descriptors, and those only until it has told: neither a lock, nor a pipe that somebody
/// reads to its end, nor the directory that it was called in. To be called while there is one thread
/// and nothing is open that is to be used.
pub(crate) fn background() -> io::Result<Side> {
    let (reader, writer) = io::pipe()?;
    // Each side drops the other's end, or the one in front would wait for ever.
    Ok(match fork_alone()? {
        false => Side::Front(Front(reader)),
        true => {
            close_from(3, Some(writer.as_raw_fd()));
            // Both ends of the pipe were closed by their numbers but this one.
            std::mem::forget(reader);
            rustix::process::chdir("/")?;
            Side::Back(Back(writer))
        }
    })
}

impl Front {
    /// Waits until the other says what became of it: a status and a line, or nothing if it died.
    pub(crate) fn wait(mut self) -> io::Result<Option<(u8, String)>> {
        let mut word = Vec::new();
        self.0.read_to_end(&mut word)?;
        let word = word.split_first();
        Ok(word.map(|(status, line)| (*status, String::from_utf8_lossy(line).into_owned())))
    }
}

impl Back {
    /// Says what became of it, and lets go of the terminal.
    pub(crate) fn tell(mut self, status: u8, line: &str) -> io::Result<()> {
        let_go_of_stdio()?;
        let mut word = vec![status];
        word.extend_from_slice(line.as_bytes());
        self.0.write_all(&word)
    }
}
