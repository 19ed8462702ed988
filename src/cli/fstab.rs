//! `mount.kv`: what mount(8) calls for a line of /etc/fstab, read as a `kv mount`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// The names that mount(8) looks for, in /sbin: of the types `kv` and `fuse.kv`.
const NAMES: [&str; 2] = ["mount.kv", "mount.fuse.kv"];

/// Options that are for mount(8) and the system, or say what is so anyway.
const PASSED_OVER: &str = "defaults auto noauto nofail _netdev user nouser users owner noowner group \
    nogroup dev nodev suid nosuid atime noatime diratime nodiratime relatime norelatime strictatime \
    nostrictatime lazytime nolazytime async dirsync silent loud mand nomand iversion noiversion \
    symfollow nosymfollow comment helper uhelper";

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
pub(super) fn translated(args: &[OsString]) -> Option<Vec<OsString>> {
    if !is_helper(args) {
        return None;
    }
    let (program, args) = args.split_first()?;
    let mut places = Vec::new();
    let mut options = Vec::new();
    let mut args = args.iter();
    let mut is_done = true;
    while let Some(arg) = args.next() {
        match arg.as_bytes() {
            b"-o" => {
                let given = args
                    .next()
                    .map(|given| given.as_bytes())
                    .unwrap_or_default();
                let given = given.split(|byte| *byte == b',');
                for given in given {
                    // The last one counts, as in `noexec,user,exec`.
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
                if flags[1..].iter().any(|flag| !b"snv".contains(flag)) {
                    options.push(arg.clone());
                }
            }
            _ => places.push(arg.clone()),
        }
    }
    let mut line = vec![program.clone()];
    if !is_done {
        // It is to be told what would be done, and that is nothing that fails.
        line.push("--version".into());
        return Some(line);
    }
    let mut places = places.into_iter();
    if let Some(store) = places.next() {
        let store = store
            .as_bytes()
            .strip_prefix(b"kv#")
            .map(<[u8]>::to_vec)
            .unwrap_or(store.into_vec());
        line.push("--store".into());
        line.push(OsString::from_vec(store));
    }
    line.push("mount".into());
    line.extend(options);
    line.push("--".into());
    line.extend(places);
    Some(line)
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
        || given == b"sync"
        || PASSED_OVER
            .split(' ')
            .any(|passed| passed.as_bytes() == name)
    {
        return None;
    }
    let name = match name {
        // What the kernel does with a mount it does without a program.
        b"remount" => b"remount (mount -i does that)".to_vec(),
        b"ro" => b"read-only".to_vec(),
        b"noexec" => b"no-exec".to_vec(),
        name => name
            .iter()
            .map(|byte| if *byte == b'_' { b'-' } else { *byte })
            .collect(),
    };
    Some(OsString::from_vec([b"--", &name[..], value].concat()))
}
