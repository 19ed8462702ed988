//! `kv mount`: mounts a store as a file system.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::cli::MountArgs;
use crate::commands::Session;
use crate::exit::{Exit, UsageError};
use crate::mount::{self, Config, Mounted};
use crate::os::{self, Side};
use crate::store::{Clock as _, Condition, Etag, Fault, Key, StoreError, error};

/// Mounts, and waits for the end of it: in the foreground, or in another process.
pub(super) fn run(args: &MountArgs, session: &mut Session<'_>) -> Result<Exit> {
    let spill = std::path::absolute(env::temp_dir())?;
    let point = check(args, session, &spill)?;
    if args.foreground {
        let mounted = begin(args, session, &point, spill)?;
        super::say(&format!("kv: mounted on {}", point.display()));
        mounted.wait().with_context(|| cannot(args))?;
        return Ok(Exit::Success);
    }
    // It leaves its directory.
    let absolute = session.choice.location.make_absolute();
    absolute.with_context(|| cannot(args))?;
    // What is open of a store is one process's: neither of the two goes on with it.
    session.reopen();
    match os::background().with_context(|| cannot(args))? {
        Side::Front(front) => match front.wait().with_context(|| cannot(args))? {
            Some((status, line)) => {
                if !line.is_empty() {
                    super::say(&line);
                }
                Ok(Exit::ALL
                    .into_iter()
                    .find(|exit| exit.row().0 == status)
                    .unwrap_or(Exit::Failure))
            }
            None => bail!("{}: the process in the background died", cannot(args)),
        },
        Side::Back(back) => {
            let mounted = match begin(args, session, &point, spill) {
                Ok(mounted) => mounted,
                Err(err) => {
                    let exit = Exit::from_error(&err);
                    _ = back.tell(exit.row().0, &super::complaint(err.as_ref()));
                    return Ok(exit);
                }
            };
            back.tell(0, "")?;
            // Nobody is left to be told.
            _ = mounted.wait();
            Ok(Exit::Success)
        }
    }
}

fn begin(
    args: &MountArgs,
    session: &mut Session<'_>,
    point: &Path,
    spill: PathBuf,
) -> Result<Mounted> {
    // A server has room of its own, and drafts are kept here.
    let disk = session.choice.location.locator().on_disk();
    let disk = disk.and_then(real_path);
    let store = session.take_store();
    // One that cannot be reached or opened is told now, not to whoever looks into it.
    let reached = store.exists().and_then(|_| store.namespaces());
    reached.with_context(|| cannot(args))?;
    // Of any other namespace what is damaged hides nothing of the rest.
    let key = Key::new(b"%".to_vec())?;
    let found = store.stat(&session.namespace, &key, session.clock.now());
    found.with_context(|| cannot(args))?;
    // What nobody lets be changed is told to who opens it, and not only to who closes it.
    let is_refused = if let Some(disk) = &disk {
        os::is_read_only(disk)
    } else {
        let nothing = Condition::Etag(Etag(0));
        let refused = store.remove(&session.namespace, &key, &nothing, &session.clock);
        matches!(
            refused,
            Err(StoreError::Service {
                fault: Fault::ReadOnly,
                ..
            })
        )
    };
    let config = Config {
        disk,
        store,
        maker: session.hasty_store(),
        clock: Box::new(session.clock),
        source: session.choice.location.to_string(),
        spill,
        read_only: args.read_only || is_refused,
        no_exec: args.no_exec,
        synchronous: args.synchronous,
        allow_other: args.allow_other,
        namespace: session.namespace.clone(),
        tell: Box::new(|key, err| match key {
            Some(key) => super::say(&format!("kv: `{key}`: {}", error::line(err))),
            None => super::serve::tell(err),
        }),
    };
    mount::mount(config, point).with_context(|| cannot(args))
}

fn cannot(args: &MountArgs) -> String {
    format!("cannot mount on `{}`", args.dir.display())
}

/// Finds out before anything is done what would go wrong. Returns the directory by its full name.
fn check(args: &MountArgs, session: &Session<'_>, spill: &Path) -> Result<PathBuf> {
    let search_path = env::var_os("PATH").unwrap_or_default();
    if let Some(what) = os::lacks_fuse(&search_path) {
        bail!("{}: {what}", cannot(args));
    }
    let point = args.dir.canonicalize();
    let point = point.and_then(|point| Ok((point.metadata()?.is_dir(), point)));
    let (is_dir, point) = point.map_err(|err| {
        let hint = match err.kind() {
            io::ErrorKind::NotConnected => {
                ": a mount whose process was killed is still there; unmount it first"
            }
            _ => "",
        };
        anyhow::Error::new(err).context(format!("{}{hint}", cannot(args)))
    })?;
    if !is_dir {
        bail!("{}: it is no directory", cannot(args));
    }
    let disk = session.choice.location.locator().on_disk();
    for (what, path) in [("the store", disk), ("TMPDIR", Some(spill))] {
        let Some(real) = path.and_then(real_path) else {
            continue;
        };
        let why = match what {
            _ if is_within(&real, &point)? => format!("{what} is in it, and would be hidden"),
            // It would wait for its own answer.
            "the store" if is_within(&point, &real)? => "it is in the store itself".to_owned(),
            _ => continue,
        };
        return Err(UsageError(format!("{}: {why}", cannot(args))).into());
    }
    if !args.over {
        if has_program(&point)? {
            bail!(
                "{}: a program's file system is mounted there already, such as a store; with --over it is hidden",
                cannot(args)
            );
        }
        let mut entries = point.read_dir().with_context(|| cannot(args))?;
        if entries.next().is_some() {
            bail!(
                "{}: it is not empty; with --over what it holds is hidden",
                cannot(args)
            );
        }
    }
    Ok(point)
}

/// Returns a path without links. What is not there yet is made in the nearest directory that is.
fn real_path(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut above = path.ancestors();
    above.find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    })
}

/// Tells whether a path is in another, by its name or wherever its disk is bound to.
fn is_within(path: &Path, other: &Path) -> Result<bool> {
    if path.starts_with(other) {
        return Ok(true);
    }
    if let (Some(path), Some(other)) = (os::Spot::of(path)?, os::Spot::of(other)?) {
        return Ok(path.is_within(&other));
    }
    Ok(false)
}

/// Tells whether a program answers for what is mounted there.
fn has_program(point: &Path) -> Result<bool> {
    Ok(os::Spot::of(point)?.is_some_and(|spot| spot.is_of_program()))
}
