//! The run that is remembered.

use std::io::{self, Read, Seek as _, Write as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::SpooledTempFile;

use super::{Memo, Spooled, show};
use crate::commands::{Session, program};
use crate::exit::Exit;
use crate::os::Supervisor;
use crate::store::{Condition, Expiry, Put};
use crate::wire::memo::{Head, Stream, part_line};

/// What is printed is held in memory up to this many bytes, and beyond it in a temporary file: it
/// is stored behind its status, which is known last.
const HELD: usize = 1024 * 1024;
/// For how long a run that failed is left for those who were waiting for it.
const FAILED_TTL: Duration = Duration::from_secs(10);

/// Runs the program for somebody who sees it: what it prints is shown as it comes. Where `refused`
/// says why nothing can be stored, nothing is.
pub(super) fn seen(
    memo: &Memo<'_>,
    session: &mut Session<'_>,
    refused: Option<anyhow::Error>,
) -> Result<Exit> {
    let mut shown = Ok(());
    // Others may be waiting for a run whose first reader has gone; but not for one without an end.
    let mut left = HELD;
    let (status, spool) = capture(memo, |stream, part, _| {
        if shown.is_ok() {
            shown = show(stream, part, session).and_then(|()| session.out.flush());
        }
        if shown.is_err() {
            left = left.saturating_sub(part.len());
        }
        left > 0
    })?;
    let exit = program::exit_of(status);
    // A run that was killed, or cut off, says nothing about the program.
    if let (Exit::Program(number), Some(_), 1..) = (exit, status.code(), left) {
        let keeps = number == 0 || memo.args.keep_failures;
        let failed_at = if keeps { 0 } else { session.now().0 };
        let ttl = if keeps { memo.ttl } else { FAILED_TTL };
        let head = Head {
            status: number,
            failed_at,
        };
        let stored = match refused {
            None => spool.and_then(|spool| store(memo, session, head, ttl, spool)),
            Some(refused) => Err(refused),
        };
        // The answer is the program's, whether it can be given once more or not.
        if let Err(err) = stored {
            session.complain(err.context("what the program printed is not remembered"));
        }
    }
    shown.context("cannot write to standard output")?;
    Ok(exit)
}

/// Runs the program for nobody but those who come later. A run that fails changes nothing.
pub(super) fn unseen(memo: &Memo<'_>, session: &mut Session<'_>) -> Result<()> {
    let (status, spool) = capture(memo, |_, _, is_kept| is_kept)?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(status) if status == 0 || memo.args.keep_failures => {
            let failed_at = 0;
            let head = Head { status, failed_at };
            store(memo, session, head, memo.ttl, spool?)
        }
        _ => Ok(()),
    }
}

fn store(
    memo: &Memo<'_>,
    session: &Session<'_>,
    head: Head,
    ttl: Duration,
    mut spool: SpooledTempFile,
) -> Result<()> {
    spool
        .rewind()
        .context("cannot read what the program printed")?;
    let line = head.encode();
    let mut value = Spooled(line.as_bytes().chain(spool));
    let put = Put {
        expiry: Expiry::After(ttl),
        ..Put::new(&mut value, Condition::Always)
    };
    session
        .store
        .put(&session.namespace, &memo.key, put, &session.clock)?;
    Ok(())
}

/// Runs the program to its end and collects what it prints, part by part, unless that cannot be kept.
/// `each` learns of each part whether it is, and says whether to read on: where not, the program ends
/// as one that writes into a closed pipe.
fn capture(
    memo: &Memo<'_>,
    mut each: impl FnMut(Stream, &[u8], bool) -> bool,
) -> Result<(ExitStatus, Result<SpooledTempFile>)> {
    let supervisor = Supervisor::new().context("cannot hold back signals")?;
    let mut command = program::command(&memo.args.command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = program::spawn(&supervisor, &mut command, true)?;
    let parts = read_parts(&mut child).context("cannot read what the program prints")?;
    let waiter = supervisor.wait_aside(child);
    let waiter = waiter.context("cannot wait for the program")?;

    let mut spool = SpooledTempFile::new(HELD);
    let mut spooled = Ok(());
    let mut read = Ok(());
    for part in parts {
        let (stream, part) = match part {
            Ok(part) => part,
            Err(err) => {
                read = Err(err);
                continue;
            }
        };
        if spooled.is_ok() {
            let line = part_line(stream, part.len());
            spooled = spool
                .write_all(line.as_bytes())
                .and_then(|()| spool.write_all(&part));
        }
        if !each(stream, &part, spooled.is_ok()) {
            break;
        }
    }
    let status = waiter.status().context("cannot wait for the program")?;
    read.context("cannot read what the program prints")?;
    let spooled = spooled.context("cannot write to a temporary file");
    Ok((status, spooled.map(|()| spool)))
}

/// A part of what a program prints, or why one of its outputs cannot be read further.
type Printed = io::Result<(Stream, Vec<u8>)>;

/// Returns what a program prints, in the order in which it comes, until it closes both its outputs.
fn read_parts(child: &mut Child) -> io::Result<mpsc::Receiver<Printed>> {
    let (sender, receiver) = mpsc::sync_channel(16);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    if let Some(stdout) = stdout {
        let sender = sender.clone();
        thread::Builder::new().spawn(move || forward(stdout, Stream::Out, &sender))?;
    }
    if let Some(stderr) = stderr {
        thread::Builder::new().spawn(move || forward(stderr, Stream::Err, &sender))?;
    }
    Ok(receiver)
}

fn forward(mut from: impl Read, stream: Stream, to: &SyncSender<Printed>) {
    let mut buf = vec![0; 64 * 1024];
    loop {
        let part = match from.read(&mut buf) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => return,
            Ok(n) => Ok((stream, buf[..n].to_vec())),
            Err(err) => Err(err),
        };
        let is_last = part.is_err();
        if to.send(part).is_err() || is_last {
            return;
        }
    }
}
