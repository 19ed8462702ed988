//! `kv update`: changes a value by a program.

use std::io::{self, Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};

use crate::cli::UpdateArgs;
use crate::commands::Session;
use crate::commands::program;
use crate::exit::Exit;
use crate::os::Supervisor;
use crate::store::modify::{Conflicts, unchanged};
use crate::store::{Expiry, OrCannot as _, Put, Source, StoreError, Value};

/// Runs the program on the value until nobody has changed the key meanwhile.
pub(super) fn run(args: &UpdateArgs, session: &mut Session<'_>) -> Result<Exit> {
    let supervisor = Supervisor::new().context("cannot hold back signals")?;
    let (namespace, key, clock) = (&session.namespace, &args.key, &session.clock);
    let mut conflicts = Conflicts::default();
    loop {
        let found = session.store.get(namespace, key, session.now())?;
        let condition = unchanged(found.as_ref());
        let input = found.map(|entry| entry.value);
        let mut run = Run::start(args, &supervisor, input)?;
        let put = Put {
            value: &mut run,
            expiry: Expiry::Keep,
            modified: None,
            condition,
        };
        let stored = session.store.put(namespace, key, put, clock);
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
    feeder: Option<JoinHandle<Result<(), StoreError>>>,
    waiter: Option<JoinHandle<io::Result<ExitStatus>>>,
    status: Option<ExitStatus>,
}

impl Run {
    fn start(args: &UpdateArgs, supervisor: &Supervisor, input: Option<Value>) -> Result<Self> {
        let mut command = program::command(&args.command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program::spawn(supervisor, &mut command, false)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let feeder = stdin.map(|stdin| thread::spawn(move || feed(stdin, input)));
        let waiter = Some(supervisor.wait_aside(child));
        Ok(Self {
            stdout,
            feeder,
            waiter,
            status: None,
        })
    }

    /// Waits until the program has ended; what it still writes is dropped.
    fn finish(mut self) -> Result<ExitStatus, StoreError> {
        let mut rest = [0; 4096];
        while let Some(stdout) = &mut self.stdout {
            if stdout.read(&mut rest).unwrap_or(0) == 0 {
                self.stdout = None;
            }
        }
        self.wait()
    }

    fn wait(&mut self) -> Result<ExitStatus, StoreError> {
        if let Some(waiter) = self.waiter.take() {
            let waited = waiter
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a bug in kv")));
            self.status = Some(waited.or_cannot("wait for", "the program".as_ref())?);
        }
        if let Some(feeder) = self.feeder.take() {
            // It has read the value to its end, or as far as the program wanted it.
            feeder.join().unwrap_or(Ok(()))?;
        }
        self.status
            .ok_or_else(|| io::Error::other("it was waited for before"))
            .or_cannot("wait for", "the program".as_ref())
    }
}

impl Source for Run {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(0);
        };
        let n = stdout
            .read(buf)
            .or_cannot("read", "the program's output".as_ref())?;
        if n > 0 {
            return Ok(n);
        }
        self.stdout = None;
        // Only a program that succeeded, on a value that was sound to its end, says the next one.
        let status = self.wait()?;
        match status.success() {
            true => Ok(0),
            false => Err(io::Error::other(status.to_string()))
                .or_cannot("use the output of", "the program".as_ref()),
        }
    }
}

/// Writes the value to the program, which may not want all of it.
fn feed(mut stdin: ChildStdin, input: Option<Value>) -> Result<(), StoreError> {
    if let Some(mut value) = input {
        _ = value.for_each(|part| stdin.write_all(part))?;
    }
    Ok(())
}
