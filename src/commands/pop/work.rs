//! `kv pop LIST -- CMD`: a program works on the element, which goes when that has succeeded.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, anyhow};

use crate::cli::PopArgs;
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::commands::program::{self, Loss};
use crate::exit::{Exit, UsageError};
use crate::os::{self, Supervisor};
use crate::store::{Claim, Guard, Key, Namespace, Result as StoreResult, Value, jobs};

/// Where the program is told the key of its element.
const ELEMENT: &str = "KV_ELEMENT";

/// Claims an element, runs the program, and returns its status.
pub(super) fn run(args: &PopArgs, session: &mut Session<'_>) -> Result<Exit> {
    let list = &args.list;
    let limit = match args.attempts {
        Some(most) => Some((most, failed_list(list)?)),
        None => None,
    };
    while let Some(claim) = claim(args, session)? {
        let (store, clock) = (&*session.store, &session.clock);
        let Claim { key, entry, held } = claim;
        let tried = jobs::attempts(store, list, &key, session.now())?;
        // How it ended the last time nobody has lived to say.
        if let Some((most, failed)) = &limit
            && tried >= *most
        {
            jobs::give_up(store, list, failed, &key, &entry.meta, clock)?;
            tell(args, session, failed, &key, tried);
            store.clear(list, &key, held);
            continue;
        }
        // With a limit also those count of which nobody sees the end.
        if limit.is_some() {
            jobs::count(store, list, &key, 1, clock)?;
        }
        let ran = work(args, &key, &*held, entry.value);
        if limit.is_some() && ran.is_err() {
            jobs::count(store, list, &key, -1, clock)?;
        }
        let Ran {
            status,
            fed,
            loss,
            is_ended,
        } = ran?;
        if held.is_lost() {
            loss.tell();
            return Ok(Exit::Program(125));
        }
        // What the program has printed is to be kept before its element goes.
        let kept = match status.success() && fed.is_ok() {
            true => os::replace_stdout().or_cannot_write(),
            false => Ok(()),
        };
        if status.success() && fed.is_ok() && kept.is_ok() {
            if !jobs::finish(store, list, &key, &entry.meta, clock)? {
                return Err(anyhow!(
                    "element `{key}` of `{list}` is another one now, and stays: it was changed while \
                     the program ran"
                ));
            }
        } else if let Some((most, failed)) = &limit {
            // Whoever ended kv ended the program with it, which has not failed.
            if is_ended {
                jobs::count(store, list, &key, -1, clock)?;
            } else if tried + 1 >= *most {
                jobs::give_up(store, list, failed, &key, &entry.meta, clock)?;
                tell(args, session, failed, &key, tried + 1);
            }
        } else if !is_ended {
            jobs::count(store, list, &key, 1, clock)?;
        }
        store.clear(list, &key, held);
        fed?;
        kept?;
        return Ok(program::exit_of(status));
    }
    Ok(Exit::No)
}

fn failed_list(list: &Namespace) -> Result<Namespace, UsageError> {
    let too_long = || UsageError(format!("`{list}.attempts` is too long a name"));
    jobs::failed_list(list).ok_or_else(too_long)
}

fn claim(args: &PopArgs, session: &Session<'_>) -> StoreResult<Option<Claim>> {
    let (store, clock, end) = (&session.store, &session.clock, super::end_of(args));
    match args.wait {
        None => store.claim(&args.list, end, clock),
        Some(wait) => store.claim_within(&args.list, end, wait, clock),
    }
}

/// What came of a program.
struct Ran {
    status: ExitStatus,
    /// Whether the element was sound to its end.
    fed: StoreResult<()>,
    loss: Arc<Loss>,
    /// kv was told to end while it ran.
    is_ended: bool,
}

/// Runs the program on the element.
fn work(args: &PopArgs, key: &Key, held: &dyn Guard, value: Value) -> Result<Ran> {
    let supervisor = Supervisor::new().context("cannot hold back signals")?;
    let mut command = program::command(&args.command);
    command.env(ELEMENT, OsStr::from_bytes(key.as_bytes()));
    command.stdin(Stdio::piped());
    program::tell_token(held, &mut command);
    // Whatever becomes of kv, nobody else gets the element before the program is gone.
    if let Some(descriptor) = held.descriptor() {
        os::hand_down(descriptor).context("cannot pass the lock on to the program")?;
    }
    let mut child = program::spawn(&supervisor, &mut command, true)?;
    let feeder = child.stdin.take().map(|stdin| {
        thread::Builder::new().spawn(move || program::feed(stdin, Some(value)).map(drop))
    });
    let feeder = feeder.transpose().context("cannot feed the program")?;
    let what = format!("the lock of element `{key}` of `{}`", args.list);
    let loss = Loss::watch(held, what, true, &supervisor);
    let status = supervisor
        .wait(&mut child)
        .context("cannot wait for the program")?;
    let is_ended = supervisor.ended_by().is_some();
    // From now on a signal means kv: what the program left in the background may keep its input open.
    drop(supervisor);
    let fed = feeder.map_or(Ok(()), |feeder| feeder.join().unwrap_or(Ok(())));
    Ok(Ran {
        status,
        fed,
        loss,
        is_ended,
    })
}

fn tell(args: &PopArgs, session: &Session<'_>, failed: &Namespace, key: &Key, tried: u64) {
    let times = if tried == 1 { "time" } else { "times" };
    session.complain(anyhow!(
        "element `{key}` of `{}` has failed {tried} {times} and was moved to `{failed}`",
        args.list
    ));
}
