//! `kv edit`: changes a value in an editor.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;
use serde::de::IgnoredAny;
use tempfile::TempDir;

use crate::cli::EditArgs;
use crate::commands::Session;
use crate::commands::program;
use crate::exit::Exit;
use crate::os::{self, Supervisor};
use crate::store::modify::unchanged;
use crate::store::{Expiry, Key, OrCannot as _, Put};

/// The most bytes of a value that an editor gets.
const MOST: u64 = 64 * 1024 * 1024;

/// Opens the value in the editor, and stores what the file then holds unless the key was changed meanwhile.
pub(super) fn run(args: &EditArgs, session: &mut Session<'_>) -> Result<Exit> {
    let (namespace, key) = (&session.namespace, &args.key);
    session.store.prepare()?;
    let found = session.store.get(namespace, key, session.now())?;
    let condition = unchanged(found.as_ref());
    if found.as_ref().is_some_and(|entry| entry.meta.size > MOST) {
        bail!("cannot edit `{key}`: its value has more than {MOST} bytes");
    }
    let old = found.map(|entry| entry.value.into_vec()).transpose()?;
    let old = old.unwrap_or_default();
    let text = match args.hex {
        true => digits(&old),
        false if old.contains(&0) || std::str::from_utf8(&old).is_err() => {
            bail!("cannot edit `{key}`: its value is no text; --hex shows its bytes as digits")
        }
        false => old.clone(),
    };
    let draft = Draft::new(key, &text)?;
    let status = draft.open()?;
    let edited = fs::read(&draft.path).or_cannot("read", &draft.path)?;
    let is_same = edited == text;
    if !status.success() {
        let why = anyhow!("cannot edit `{key}`: the editor ended with {status}; nothing is stored");
        let why = if is_same { why } else { draft.keep(why) };
        // What the terminal has sent is for kv as well, as it is for git: a loop of the shell is to end.
        return match status.signal().map(Signal::try_from) {
            Some(Ok(signal @ (Signal::SIGINT | Signal::SIGQUIT))) => {
                session.complain(why);
                Ok(Exit::Signal(signal as u8))
            }
            _ => Err(why),
        };
    }
    let new = match args.hex {
        true => match bytes(&edited) {
            Some(new) => new,
            None => {
                return Err(draft.keep(anyhow!(
                    "cannot store `{key}`: there are no pairs of hexadecimal digits"
                )));
            }
        },
        // An editor ends the last line of what had none, such as a value that was an argument.
        false if !old.ends_with(b"\n") => edited.strip_suffix(b"\n").unwrap_or(&edited).to_vec(),
        false => edited,
    };
    if is_same || new == old {
        return Ok(Exit::Success);
    }
    let mut value = &new[..];
    let put = Put {
        expiry: Expiry::Keep,
        ..Put::new(&mut value, condition)
    };
    match session.store.put(namespace, key, put, &session.clock) {
        Ok(Some(_)) => Ok(Exit::Success),
        Ok(None) => {
            session.complain(draft.keep(anyhow!(
                "cannot store `{key}`: another has changed it meanwhile"
            )));
            Ok(Exit::No)
        }
        Err(err) => Err(draft.keep(err.into())),
    }
}

/// The file that is edited, in a directory of its own, which has room for what an editor leaves beside it.
struct Draft {
    dir: TempDir,
    path: PathBuf,
}

impl Draft {
    fn new(key: &Key, text: &[u8]) -> Result<Self> {
        let private = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new()
            .prefix("kv-")
            .permissions(private)
            .tempdir();
        let dir =
            dir.with_context(|| format!("cannot edit `{key}`: cannot make a temporary directory"))?;
        let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
            && serde_json::from_slice::<IgnoredAny>(text).is_ok();
        let path = dir
            .path()
            .join(if is_json { "value.json" } else { "value" });
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options
            .open(&path)
            .and_then(|mut file| file.write_all(text));
        written.or_cannot("write", &path)?;
        Ok(Self { dir, path })
    }

    /// Runs the editor, which can be a command with options, as git does.
    fn open(&self) -> Result<ExitStatus> {
        let named = os::first_variable(&["VISUAL", "EDITOR"]);
        let editor = named.map_or_else(|| "vi".to_owned(), |(_, editor)| editor);
        let supervisor = Supervisor::new().context("cannot hold back signals")?;
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(format!("{editor} \"$@\""))
            .arg(&editor)
            .arg(&self.path);
        let mut child = program::spawn(&supervisor, &mut shell, false)?;
        supervisor
            .wait(&mut child)
            .context("cannot wait for the editor")
    }

    /// Leaves the file where it is, and says so along with the reason.
    fn keep(self, why: anyhow::Error) -> anyhow::Error {
        let _kept = self.dir.keep();
        why.context(format!("not stored, but kept in `{}`", self.path.display()))
    }
}

/// Writes bytes as digits, 16 in a line.
fn digits(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        let pairs: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&pairs.join(" "));
        text.push('\n');
    }
    text.into_bytes()
}

/// Reads what [`digits`] writes, wherever its blanks and newlines are.
fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    hex::decode(digits).ok()
}
