//! What a command works with: the store that was named, the clock, and the output.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cli::{self, Durability, Global};
use crate::commands::output::Output;
use crate::engine::{self, Settings, Sync};
use crate::exit::{Exit, UsageError};
use crate::store::error::line;
use crate::store::{Clock, Location, Namespace, Store, StoreError, Time};
use crate::wire::text::escape;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The fewest characters of a token in a file: fewer are guessed.
const MIN_TOKEN: usize = 16;
/// The most bytes of a file with a token.
const MAX_TOKEN_FILE: u64 = 4096;

/// An open store and what belongs to one run of a command.
pub(super) struct Session<'a> {
    pub(super) store: Box<dyn Store>,
    settings: Settings,
    pub(super) location: Location,
    /// What chose the location: an option or a variable, by its name.
    pub(super) setting: &'static str,
    pub(super) namespace: Namespace,
    pub(super) named_by: NamedBy,
    pub(super) clock: SystemClock,
    pub(super) out: &'a mut Output,
    /// How long a value may become.
    pub(super) longest: Option<u64>,
    /// The line of a batch that is being carried out, for messages.
    pub(super) line: Option<u64>,
    repeated: RefCell<Repeated>,
    /// Where messages go that are for the client of a service; otherwise to standard error.
    pub(super) complaints: RefCell<Option<String>>,
    /// The file that was named as one with a token in it.
    pub(super) token_file: Option<PathBuf>,
}

/// What a session was opened with.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    location: Location,
    settings: Settings,
    setting: &'static str,
}

/// Who chose the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedBy {
    Option,
    Variable,
    Nobody,
}

/// What was told last, and how often it would have been told since: many keys may fail for one reason.
#[derive(Default)]
struct Repeated {
    line: String,
    times: u64,
}

impl Repeated {
    fn tell(&mut self, line: String) {
        if line == self.line {
            self.times += 1;
            return;
        }
        self.end();
        super::say(&line);
        self.line = line;
    }

    fn end(&mut self) {
        match std::mem::take(&mut self.times) {
            0 => {}
            1 => super::say("kv: the same once more"),
            times => super::say(&format!("kv: the same {times} times more")),
        }
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        self.end();
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_system(SystemTime::now())
    }
}

impl<'a> Session<'a> {
    /// Opens the store that the options name, or the environment, or else the user's own.
    ///
    /// A token file is for the service that the store is behind, unless this `serves` one itself.
    pub(super) fn open(global: Global, serves: bool, out: &'a mut Output) -> Result<Self> {
        let settings = Settings {
            sync: match global.sync {
                Some(Durability::Full) => Sync::Full,
                Some(Durability::Off) => Sync::Off,
                None => sync_from_env()?,
            },
            busy_timeout: match global.busy_timeout {
                Some(timeout) => timeout,
                None => timeout_from_env()?,
            },
            existing: global.existing || existing_from_env()?,
        };
        let (namespace, named_by) = match (global.namespace, variable("KV_NAMESPACE")) {
            (Some(namespace), _) => (namespace, NamedBy::Option),
            (None, Some(name)) => {
                let name =
                    Namespace::try_from(name).map_err(|err| invalid("KV_NAMESPACE", &err))?;
                (name, NamedBy::Variable)
            }
            (None, None) => (Namespace::default(), NamedBy::Nobody),
        };
        let (mut location, setting) = match (global.store, variable("KV_STORE")) {
            (Some(location), _) => (location, "--store"),
            (None, Some(text)) => {
                let location =
                    Location::from_variable(text).map_err(|err| invalid("KV_STORE", &err))?;
                (location, "KV_STORE")
            }
            (None, None) => default_location()?,
        };
        let token_file = global.token_file;
        if let Location::Http(_) = location {
            let token = match &token_file {
                Some(path) if !serves => Some(read_token(path)?),
                _ => variable("KV_TOKEN")
                    .map(|text| check_token(text, "KV_TOKEN"))
                    .transpose()?,
            };
            location.add_token(token);
        }
        location.add_password(|| variable("KV_PASSWORD").and_then(|text| text.into_string().ok()));
        let store = engine::open(location.clone(), settings);
        if settings.existing {
            expect_store(&*store, &location)?;
        }
        Ok(Self {
            store,
            settings,
            location,
            setting,
            namespace,
            named_by,
            clock: SystemClock,
            out,
            longest: None,
            line: None,
            repeated: RefCell::default(),
            complaints: RefCell::default(),
            token_file,
        })
    }

    /// Opens the same store once more, for whoever has a session and an output of its own.
    pub(super) fn again<'b>(kept: &Kept, out: &'b mut Output) -> Session<'b> {
        Session {
            store: engine::open(kept.location.clone(), kept.settings),
            settings: kept.settings,
            location: kept.location.clone(),
            setting: kept.setting,
            namespace: Namespace::default(),
            named_by: NamedBy::Nobody,
            clock: SystemClock,
            out,
            longest: None,
            line: None,
            repeated: RefCell::default(),
            complaints: RefCell::default(),
            token_file: None,
        }
    }

    /// Returns what it takes to open the same store once more.
    pub(super) fn keep(&self) -> Kept {
        Kept {
            location: self.location.clone(),
            settings: self.settings,
            setting: self.setting,
        }
    }

    /// Closes what is open of the store; the next call on it opens it anew.
    pub(super) fn reopen(&mut self) {
        self.store = engine::open(self.location.clone(), self.settings);
    }

    /// Hands the store to whoever needs it for longer than the command; the session has another.
    pub(super) fn take_store(&mut self) -> Box<dyn Store> {
        let another = engine::open(self.location.clone(), self.settings);
        std::mem::replace(&mut self.store, another)
    }

    /// Opens the same store for what need not survive a crash of the machine yet. Where a store has
    /// one log for all, what is written to it waits for the disk like the rest.
    pub(super) fn hasty_store(&self) -> Box<dyn Store> {
        let mut settings = self.settings;
        if let Location::Directory(_) = self.location {
            settings.sync = Sync::Off;
        }
        engine::open(self.location.clone(), settings)
    }

    /// Says what went wrong, for a command that goes on all the same: on standard error, or to the
    /// client of a service.
    pub(super) fn complain(&self, err: anyhow::Error) {
        let err = match self.line {
            Some(line) => err.context(format!("line {line}")),
            None => err,
        };
        match &mut *self.complaints.borrow_mut() {
            None => self
                .repeated
                .borrow_mut()
                .tell(super::complaint(err.as_ref())),
            Some(told) => {
                let stored = err.chain().find_map(|err| err.downcast_ref::<StoreError>());
                let text = super::complaint(err.as_ref());
                let text = match stored {
                    Some(stored) => text.replace(&line(stored), &stored.without_place()),
                    None => text,
                };
                told.push_str(&escape(text.as_bytes()));
                told.push('\n');
            }
        }
    }

    /// As [`Session::complain`], and returns the status that it stands for.
    pub(super) fn fails(&self, err: impl Into<anyhow::Error>) -> Exit {
        let err = err.into();
        let exit = Exit::from_error(&err);
        self.complain(err);
        exit
    }

    /// Returns the namespaces that a command about the whole store is to treat: the one that was
    /// named, or else all there are.
    pub(super) fn namespaces(&self) -> Result<Vec<Namespace>> {
        match self.named_by {
            NamedBy::Nobody => Ok(self.store.namespaces()?),
            _ => Ok(vec![self.namespace.clone()]),
        }
    }

    /// Returns the time now.
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }
}

/// Reads the token that is the first line of a file, which is a secret that nobody guesses.
pub(super) fn read_token(path: &Path) -> Result<String> {
    let shown = path.display();
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mode = file.metadata()?.mode();
        (&file).take(MAX_TOKEN_FILE + 1).read_to_end(&mut text)?;
        Ok(mode)
    });
    let mode = read.with_context(|| format!("cannot read `{shown}`"))?;
    if mode & 0o006 != 0 {
        let error = format!("every user can use `{shown}`, which is a secret: `chmod go= {shown}`");
        return Err(UsageError(error).into());
    }
    if text.len() as u64 > MAX_TOKEN_FILE {
        let error = format!("`{shown}` is no token: it has more than {MAX_TOKEN_FILE} bytes");
        return Err(UsageError(error).into());
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = OsString::from_vec(line.trim_ascii().to_vec());
    let token = check_token(line, &format!("the first line of `{shown}`"))?;
    match token.len() < MIN_TOKEN {
        true => Err(UsageError(format!(
            "the first line of `{shown}` is no token: it has less than {MIN_TOKEN} characters"
        ))
        .into()),
        false => Ok(token),
    }
}

/// Takes text as a token: what can stand in a header, and is not empty.
fn check_token(text: OsString, what: &str) -> Result<String, UsageError> {
    let text = text.into_string().ok();
    let is_token = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    text.filter(is_token)
        .ok_or_else(|| UsageError(format!("{what} is no token: letters, digits and signs")))
}

/// Reads a variable; an empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn invalid(name: &str, why: &dyn std::fmt::Display) -> UsageError {
    UsageError(format!("invalid {name}: {why}"))
}

fn sync_from_env() -> Result<Sync, UsageError> {
    match variable("KV_SYNC") {
        None => Ok(Sync::Full),
        Some(value) if value == "full" => Ok(Sync::Full),
        Some(value) if value == "off" => Ok(Sync::Off),
        Some(value) => Err(invalid(
            "KV_SYNC",
            &format!("it is `full` or `off`, not `{}`", value.display()),
        )),
    }
}

fn existing_from_env() -> Result<bool, UsageError> {
    match variable("KV_EXISTING") {
        None => Ok(false),
        Some(value) if value == "0" => Ok(false),
        Some(value) if value == "1" => Ok(true),
        Some(value) => Err(invalid(
            "KV_EXISTING",
            &format!("it is 1 or 0, not `{}`", value.display()),
        )),
    }
}

/// Fails where there is no store. A place with no namespace at all is none: a directory without
/// anything in it may be where a disk is not mounted.
fn expect_store(store: &dyn Store, location: &Location) -> Result<(), StoreError> {
    if store.exists()? && !store.namespaces()?.is_empty() {
        return Ok(());
    }
    Err(StoreError::no_store(location.to_string().into()))
}

fn timeout_from_env() -> Result<Duration, UsageError> {
    let Some(value) = variable("KV_BUSY_TIMEOUT") else {
        return Ok(BUSY_TIMEOUT);
    };
    let text = value.to_string_lossy();
    cli::parse_duration(&text).map_err(|why| invalid("KV_BUSY_TIMEOUT", &why))
}

/// Returns the user's own store (XDG Base Directory Specification 0.8: a relative path is ignored),
/// and the variable that says where it is.
fn default_location() -> Result<(Location, &'static str)> {
    if let Some(data) = variable("XDG_DATA_HOME").map(PathBuf::from)
        && data.is_absolute()
    {
        return Ok((Location::Directory(data.join("kv")), "XDG_DATA_HOME"));
    }
    match variable("HOME").map(PathBuf::from) {
        Some(home) if home.is_absolute() => {
            Ok((Location::Directory(home.join(".local/share/kv")), "HOME"))
        }
        Some(_) => Err(invalid("HOME", &"it is no absolute path; set it, or KV_STORE").into()),
        None => bail!("cannot find a store: set KV_STORE or HOME, or give --store LOCATION"),
    }
}
