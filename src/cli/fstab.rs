//! `mount.kv`: what mount(8) calls for a line of /etc/fstab, read as a `kv mount`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::engine::Location;

use super::Cli;

/// The names that mount(8) looks for, in /sbin: of the types `kv` and `fuse.kv`.
const NAMES: [&str; 2] = ["mount.kv", "mount.fuse.kv"];

/// Options that are for mount(8) and the system, or say what is so anyway.
const PASSED_OVER: &str = "defaults auto noauto nofail _netdev user nouser users owner noowner group \
    nogroup dev nodev suid nosuid atime noatime diratime nodiratime relatime norelatime strictatime \
    nostrictatime lazytime nolazytime async dirsync silent loud mand nomand iversion noiversion \
    symfollow nosymfollow comment helper uhelper default_permissions";

/// Options of kv that are none here: mount(8) waits until it is mounted, and names the store itself.
const NONE_HERE: [&str; 4] = ["foreground", "help", "version", "store"];

/// Tells whether kv is called by mount(8), by one of its names.
pub fn is_helper(args: &[OsString]) -> bool {
    let name = args
        .first()
        .and_then(|program| Path::new(program).file_name());
    name.and_then(OsStr::to_str)
        .is_some_and(|name| NAMES.contains(&name))
}

/// Returns the command line that is meant where kv is called by that name:
/// `mount.kv STORE DIR [-sfnv] [-t TYPE] [-o OPTION,...]`. An option is one of mount(8), or one of
/// kv without its dashes, as `allow-other` or `namespace=NAME`.
///
/// # Errors
///
/// What is wrong with the line and no command line can say.
pub(super) fn translated(args: &[OsString]) -> Result<Option<Vec<OsString>>, clap::Error> {
    let wrong = |what| Err(Cli::command().error(ErrorKind::ValueValidation, what));
    let Some((program, args)) = args.split_first().filter(|_| is_helper(args)) else {
        return Ok(None);
    };
    let mut places = Vec::new();
    let mut options = Vec::new();
    let mut args = args.iter();
    let (mut is_done, mut is_sloppy) = (true, false);
    while let Some(arg) = args.next() {
        match arg.as_bytes() {
            b"-o" => {
                let Some(given) = args.next() else {
                    return wrong("-o needs a value");
                };
                for given in given.as_bytes().split(|byte| *byte == b',') {
                    // The last one counts, as in `noexec,user,exec`.
                    // mount(8) may take `sync=off` for its own `sync` too.
                    if given == b"async" || given.starts_with(b"sync=") {
                        options.retain(|option| option != "--synchronous");
                    }
                    match given {
                        b"exec" => options.retain(|option| option != "--no-exec"),
                        b"rw" => options.retain(|option| option != "--read-only"),
                        _ => options.extend(option(given).filter(|new| !options.contains(new))),
                    }
                }
            }
            b"-t" | b"-N" => _ = args.next(),
            b"-f" => is_done = false,
            flags if flags.starts_with(b"-") && flags.len() > 1 => {
                is_sloppy |= flags.contains(&b's');
                if flags[1..].iter().any(|flag| !b"snv".contains(flag)) {
                    options.push(arg.clone());
                }
            }
            _ => places.push(arg.clone()),
        }
    }
    let mut line = vec![program.clone()];
    if is_sloppy {
        options.retain(|option| is_known(option));
    }
    let mut places = places.into_iter();
    if let Some(store) = places.next() {
        let store = store
            .as_bytes()
            .strip_prefix(b"kv#")
            .map(<[u8]>::to_vec)
            .unwrap_or(store.into_vec());
        let location = Location::from_variable(OsString::from_vec(store.clone()));
        // What is no location at all is told of `--store`.
        if location.is_ok_and(|location| location.is_relative()) {
            return wrong(
                "the store has to be named by its full path: mount(8) is called in any directory",
            );
        }
        line.push("--store".into());
        line.push(OsString::from_vec(store));
    }
    line.push("mount".into());
    line.extend(options);
    line.push("--".into());
    line.extend(places);
    if !is_done && Cli::command().try_get_matches_from(&line).is_ok() {
        // The line is right, and nothing is to be done or said.
        line.truncate(1);
        line.extend(["--store", "memory:", "ls"].map(Into::into));
    }
    Ok(Some(line))
}

/// Tells whether it is an option of `kv mount`.
fn is_known(option: &OsStr) -> bool {
    let name = option.to_str().and_then(|option| option.strip_prefix("--"));
    let name = name.map(|name| name.split_once('=').map_or(name, |(name, _)| name));
    let mut command = Cli::command();
    command.build();
    let own = command.find_subcommand("mount").into_iter();
    let mut all = own.chain([&command]).flat_map(clap::Command::get_arguments);
    all.any(|known| known.get_long().is_some_and(|long| Some(long) == name))
}

/// Puts what is wrong in the words of a line of /etc/fstab.
pub(super) fn in_its_words(mut err: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::SuggestedArg] {
        if let Some(ContextValue::String(text)) = err.get(kind) {
            let mut text = text.strip_prefix("--").unwrap_or(text).to_owned();
            let other = match text.strip_prefix("--").unwrap_or(&text) {
                // What the kernel does with a mount it does without a program.
                "remount" => Some(ContextValue::String("mount -i -o remount".to_owned())),
                name if text != name && NONE_HERE.contains(&name) => {
                    text = name.to_owned();
                    Some(ContextValue::None)
                }
                _ => None,
            };
            _ = err.insert(kind, ContextValue::String(text));
            if let Some(other) = other {
                _ = err.insert(ContextKind::SuggestedArg, other);
                break;
            }
        }
    }
    err
}

/// Returns an option of kv; `None` where there is nothing to be said to it.
fn option(given: &[u8]) -> Option<OsString> {
    let (name, value) = match memchr::memchr(b'=', given) {
        Some(at) => given.split_at(at),
        None => (given, &b""[..]),
    };
    if name.is_empty()
        || name.starts_with(b"x-")
        || name.starts_with(b"X-")
        || PASSED_OVER
            .split(' ')
            .any(|passed| passed.as_bytes() == name)
    {
        return None;
    }
    let spelled = String::from_utf8_lossy(name).replace('_', "-");
    let spelled = spelled.strip_prefix("kv-").unwrap_or(&spelled);
    let name: &[u8] = match spelled {
        "ro" => b"read-only",
        "noexec" => b"no-exec",
        "sync" if value.is_empty() => b"synchronous",
        _ if NONE_HERE.contains(&spelled) => return Some(format!("----{spelled}").into()),
        _ if is_known(format!("--{spelled}").as_ref()) => spelled.as_bytes(),
        _ => name,
    };
    Some(OsString::from_vec([b"--", name, value].concat()))
}
