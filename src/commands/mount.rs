//! `kv mount`: mounts a store as a file system.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::cli::MountArgs;
use crate::commands::Session;
use crate::exit::{Exit, UsageError};
use crate::mount::{self, Config, Mounted};
use crate::os::{self, Side};
use crate::store::Location;
use crate::wire::text::escape;

/// Mounts, and waits for the end of it: in the foreground, or in another process.
pub(super) fn run(args: &MountArgs, session: &mut Session<'_>) -> Result<Exit> {
    let spill = env::temp_dir();
    let point = check(args, session, &spill)?;
    if args.foreground {
        let mounted = begin(args, session, &point, spill)?;
        let line = format!("kv: mounted on {}", point.display());
        // Nobody is left to tell if this fails.
        _ = writeln!(io::stderr().lock(), "{}", escape(line.as_bytes()));
        mounted.wait().with_context(|| cannot(args))?;
        return Ok(Exit::Success);
    }
    // What is open of a store is one process's: neither of the two goes on with it.
    session.reopen();
    match os::background().with_context(|| cannot(args))? {
        Side::Front(front) => match front.wait().with_context(|| cannot(args))? {
            Some((0, _)) => Ok(Exit::Success),
            Some((_, line)) => bail!(line),
            None => bail!("{}: the process in the background died", cannot(args)),
        },
        Side::Back(back) => {
            let mounted = match begin(args, session, &point, spill) {
                Ok(mounted) => mounted,
                Err(err) => {
                    let causes: Vec<String> = err.chain().map(super::describe).collect();
                    _ = back.tell(1, &causes.join(": "));
                    return Ok(Exit::Failure);
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
    let config = Config {
        store: session.take_store(),
        maker: session.hasty_store(),
        clock: Box::new(session.clock),
        source: session.location.to_string(),
        spill,
        read_only: args.read_only,
        allow_other: args.allow_other,
        namespace: session.namespace.clone(),
        tell: Box::new(super::serve::tell),
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
    let store = match &session.location {
        Location::Directory(path) | Location::Sqlite(path) => Some(path.as_path()),
        _ => None,
    };
    for (what, path) in [("the store", store), ("TMPDIR", Some(spill))] {
        // What is not there yet is made in the nearest directory that is.
        let path = path.and_then(|path| std::path::absolute(path).ok());
        let real = path.as_deref().and_then(|path| {
            let mut above = path.ancestors();
            above.find_map(|path| path.canonicalize().ok())
        });
        if real.is_some_and(|real| real.starts_with(&point)) {
            let error = format!("{}: {what} is in it, and would be hidden", cannot(args));
            return Err(UsageError(error).into());
        }
    }
    Ok(point)
}
