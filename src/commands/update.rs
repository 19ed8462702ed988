//! `kv update`: changes a value by a program.

use std::io::{self, Read as _};
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};

use crate::cli::UpdateArgs;
use crate::commands::Session;
use crate::commands::program::{self, Rest};
use crate::commands::value::retry;
use crate::exit::Exit;
use crate::os::{Supervisor, Waiter};
use crate::store::modify::{Conflicts, unchanged};
use crate::store::{Expiry, OrCannot as _, Put, Source, StoreError, Value};

/// Runs the program on the value until nobody has changed the key meanwhile.
pub(super) fn run(args: &UpdateArgs, session: &mut Session<'_>) -> Result<Exit> {
    let (namespace, key, clock) = (&session.namespace, &args.key, &session.clock);
    session.store.prepare()?;
    let mut conflicts = Conflicts::default();
    loop {
        let found = session.store.get(namespace, key, session.now())?;
        let condition = unchanged(found.as_ref());
        let input = found.map(|entry| entry.value);
        let mut run = Run::start(args, input)?;
        let put = Put {
            expiry: Expiry::Keep,
            ..Put::new(&mut run, condition)
        };
        let stored = session.store.put(namespace, key, put, clock);
        let stored = match stored {
            // The program, of which there is more to come, ends by nobody's reading that.
            Err(err) if run.stdout.take().is_some() => {
                run.finish()?;
                return Err(err.into());
            }
            stored => stored,
        };
        match (run.finish()?, stored) {
            (status, _) if !status.success() => return Ok(program::exit_of(status)),
            (_, Ok(Some(_))) => return Ok(Exit::Program(0)),
            (_, Ok(None)) => conflicts.pause(session.store.busy_timeout(), key)?,
            (_, Err(err)) => return Err(err.into()),
        }
    }
}

/// One run of the program; as a source, its output, which fails unless the program succeeds.
struct Run {
    stdout: Option<ChildStdout>,
    feeder: Option<JoinHandle<Result<Rest, StoreError>>>,
    waiter: Waiter,
    status: Option<ExitStatus>,
    /// The signals are held back during a run, and not between two: dropped last.
    _supervisor: Supervisor,
}

impl Run {
    fn start(args: &UpdateArgs, input: Option<Value>) -> Result<Self> {
        let supervisor = Supervisor::new().context("cannot hold back signals")?;
        let mut command = program::command(&args.command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program::spawn(&supervisor, &mut command, false)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let waiter = supervisor.wait_aside(child);
        let feeder = stdin
            .map(|stdin| thread::Builder::new().spawn(move || program::feed(stdin, input)))
            .transpose();
        Ok(Self {
            stdout,
            feeder: feeder.context("cannot feed the program")?,
            waiter: waiter.context("cannot wait for the program")?,
            status: None,
            _supervisor: supervisor,
        })
    }

    /// Waits until the program has ended; what it still writes is dropped. Fails if that cannot be
    /// read: a program that nobody reads from ends by that, and its status says nothing.
    fn finish(mut self) -> Result<ExitStatus, StoreError> {
        let drained = self.drain();
        let status = self.status()?;
        self.fed()?;
        drained.or_cannot("read", "the program's output".as_ref())?;
        Ok(status)
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut rest = [0; 4096];
        if let Some(mut stdout) = self.stdout.take() {
            while retry(|| stdout.read(&mut rest))? > 0 {}
        }
        Ok(())
    }

    fn status(&mut self) -> Result<ExitStatus, StoreError> {
        let status = match self.status {
            Some(status) => Ok(status),
            None => self.waiter.status(),
        };
        let status = status.or_cannot("wait for", "the program".as_ref())?;
        self.status = Some(status);
        Ok(status)
    }

    /// Fails if the value that the program got was damaged, as it may have seen that.
    fn fed(&mut self) -> Result<Rest, StoreError> {
        let feeder = self.feeder.take().map(JoinHandle::join);
        feeder.unwrap_or(Ok(Ok(None))).unwrap_or(Ok(None))
    }
}

impl Source for Run {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(0);
        };
        let n = retry(|| stdout.read(buf)).or_cannot("read", "the program's output".as_ref())?;
        if n > 0 {
            return Ok(n);
        }
        self.stdout = None;
        // Only a program that succeeded, on a value that was sound to its end, says the next one.
        let status = self.status()?;
        if !status.success() {
            return Err(io::Error::other(status.to_string()))
                .or_cannot("use the output of", "the program".as_ref());
        }
        if let Some(mut rest) = self.fed()? {
            _ = rest.for_each(|_| Ok(()))?;
        }
        Ok(0)
    }
}
