//! `mount.kv`: what mount(8) calls for a line of /etc/fstab, read as a `kv mount`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// The names that mount(8) looks for, in /sbin: of the types `kv` and `fuse.kv`.
const NAMES: [&str; 2] = ["mount.kv", "mount.fuse.kv"];

/// Options that are for mount(8) and the system, or say what is so anyway.
const PASSED_OVER: &[&str] = &[
    "defaults", "rw", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "dev",
    "nodev", "suid", "nosuid", "exec", "noexec", "atime", "noatime", "relatime", "async",
];

/// Returns the command line that is meant where kv is called by that name:
/// `mount.kv STORE DIR [-sfnv] [-t TYPE] [-o OPTION,...]`. An option is one of mount(8), or one of
/// kv without its dashes, as `allow-other` or `namespace=NAME`.
pub(super) fn translated(args: &[OsString]) -> Option<Vec<OsString>> {
    let (program, args) = args.split_first()?;
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    if !name.is_some_and(|name| NAMES.contains(&name)) {
        return None;
    }
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
                options.extend(given.filter_map(option));
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
    if given.is_empty()
        || given.starts_with(b"x-")
        || PASSED_OVER.iter().any(|name| name.as_bytes() == given)
    {
        return None;
    }
    let (name, value) = match memchr::memchr(b'=', given) {
        Some(at) => given.split_at(at),
        None => (given, &b""[..]),
    };
    let name = match name {
        b"ro" => b"read-only".to_vec(),
        name => name
            .iter()
            .map(|byte| if *byte == b'_' { b'-' } else { *byte })
            .collect(),
    };
    Some(OsString::from_vec([b"--", &name[..], value].concat()))
}
