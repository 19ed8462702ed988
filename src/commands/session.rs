//! What a command works with: the store that was named, the clock, and the output.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cli::{Durability, Global};
use crate::commands::output::Output;
use crate::engine::location::Secret;
use crate::engine::{self, Location, Settings, Sync};
use crate::exit::{Exit, UsageError};
use crate::store::error::line;
use crate::store::units::patience;
use crate::store::{Clock, Namespace, Store, StoreError, Time};
use crate::wire::text::escape;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The fewest characters of a token in a file: fewer are guessed.
const MIN_TOKEN: usize = 16;
/// The most bytes of a file with a token.
const MAX_TOKEN_FILE: u64 = 4096;

/// An open store and what belongs to one run of a command.
pub(super) struct Session<'a> {
    pub(super) store: Box<dyn Store>,
    pub(super) choice: StoreChoice,
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

/// Which store it is, and how it is opened.
#[derive(Clone, Debug)]
pub(super) struct StoreChoice {
    pub(super) location: Location,
    settings: Settings,
    /// What chose the location: an option or a variable, by its name.
    pub(super) setting: &'static str,
}

impl StoreChoice {
    pub(super) fn open(&self) -> Box<dyn Store> {
        engine::open(&self.location, self.settings)
    }
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
                None => from_env("KV_SYNC", sync)?.unwrap_or(Sync::Full),
            },
            busy_timeout: match global.busy_timeout {
                Some(timeout) => timeout,
                None => from_env("KV_BUSY_TIMEOUT", timeout)?.unwrap_or(BUSY_TIMEOUT),
            },
            existing: global.existing || from_env("KV_EXISTING", flag)?.unwrap_or(false),
        };
        let (namespace, named_by) = match global.namespace {
            Some(namespace) => (namespace, NamedBy::Option),
            None => match from_env("KV_NAMESPACE", Namespace::try_from)? {
                Some(namespace) => (namespace, NamedBy::Variable),
                None => (Namespace::default(), NamedBy::Nobody),
            },
        };
        let (mut location, setting) = match global.store {
            Some(location) => (location, "--store"),
            None => match from_env("KV_STORE", Location::from_variable)? {
                Some(location) => (location, "KV_STORE"),
                None => default_location()?,
            },
        };
        let token_file = global.token_file;
        let secret = match (location.secret(), &token_file) {
            (None, _) => None,
            (Some(Secret::Password), _) => {
                variable("KV_PASSWORD").and_then(|text| text.into_string().ok())
            }
            (Some(Secret::Token), Some(path)) if !serves => Some(read_token(path)?),
            (Some(Secret::Token), _) => variable("KV_TOKEN")
                .map(|text| check_token(text, "KV_TOKEN"))
                .transpose()?,
        };
        location.add_secret(secret)?;
        let choice = StoreChoice {
            location,
            settings,
            setting,
        };
        let session = Self {
            namespace,
            named_by,
            token_file,
            ..Self::of(choice, out)
        };
        if settings.existing {
            expect_store(&*session.store, &session.choice.location)?;
        }
        Ok(session)
    }

    /// Opens a store for whoever has a session and an output of its own.
    pub(super) fn of(choice: StoreChoice, out: &'a mut Output) -> Self {
        Self {
            store: choice.open(),
            choice,
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

    /// Closes what is open of the store; the next call on it opens it anew.
    pub(super) fn reopen(&mut self) {
        self.store = self.choice.open();
    }

    /// Hands the store to whoever needs it for longer than the command; the session has another.
    pub(super) fn take_store(&mut self) -> Box<dyn Store> {
        std::mem::replace(&mut self.store, self.choice.open())
    }

    /// Opens the same store for what need not survive a crash of the machine yet. Where a store has
    /// one log for all, what is written to it waits for the disk like the rest.
    pub(super) fn hasty_store(&self) -> Box<dyn Store> {
        let mut choice = self.choice.clone();
        if choice.location.locator().syncs_apart() {
            choice.settings.sync = Sync::Off;
        }
        choice.open()
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
        let error = format!(
            "every user can read or change `{shown}`, which is a secret: run `chmod go= {shown}`"
        );
        return Err(UsageError(error).into());
    }
    if text.len() as u64 > MAX_TOKEN_FILE {
        let error =
            format!("invalid token in `{shown}`: the file has more than {MAX_TOKEN_FILE} bytes");
        return Err(UsageError(error).into());
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = OsString::from_vec(line.trim_ascii().to_vec());
    let token = check_token(line, &format!("the first line of `{shown}`"))?;
    match token.len() < MIN_TOKEN {
        true => Err(UsageError(format!(
            "invalid token in the first line of `{shown}`: use at least {MIN_TOKEN} characters"
        ))
        .into()),
        false => Ok(token),
    }
}

/// Takes text as a token: what can stand in a header, and is not empty.
fn check_token(text: OsString, what: &str) -> Result<String, UsageError> {
    let text = text.into_string().ok();
    let is_token = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    text.filter(is_token).ok_or_else(|| {
        UsageError(format!(
            "invalid token in {what}: use ASCII letters, digits and punctuation, without blanks"
        ))
    })
}

/// Reads a variable; an empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads a variable by `read`, whose error is told with its name.
fn from_env<T, E: Display>(
    name: &str,
    read: impl FnOnce(OsString) -> Result<T, E>,
) -> Result<Option<T>, UsageError> {
    let value = variable(name).map(read).transpose();
    value.map_err(|why| UsageError(format!("invalid {name}: {why}")))
}

fn sync(text: OsString) -> Result<Sync, String> {
    match &*text.to_string_lossy() {
        "full" => Ok(Sync::Full),
        "off" => Ok(Sync::Off),
        other => Err(format!("use full or off, not `{other}`")),
    }
}

fn flag(text: OsString) -> Result<bool, String> {
    match &*text.to_string_lossy() {
        "0" => Ok(false),
        "1" => Ok(true),
        other => Err(format!("use 1 or 0, not `{other}`")),
    }
}

fn timeout(text: OsString) -> Result<Duration, String> {
    patience(&text.to_string_lossy())
}

/// Fails where there is no store. A place with no namespace at all is none: a directory without
/// anything in it may be where a disk is not mounted.
fn expect_store(store: &dyn Store, location: &Location) -> Result<(), StoreError> {
    if store.exists()? && !store.namespaces()?.is_empty() {
        return Ok(());
    }
    Err(StoreError::no_store(location.to_string().into()))
}

/// Returns the user's own store (XDG Base Directory Specification 0.8: a relative path is ignored),
/// and the variable that says where it is.
fn default_location() -> Result<(Location, &'static str)> {
    if let Some(data) = variable("XDG_DATA_HOME").map(PathBuf::from)
        && data.is_absolute()
    {
        let location = Location::from_variable(data.join("kv").into())?;
        return Ok((location, "XDG_DATA_HOME"));
    }
    match variable("HOME").map(PathBuf::from) {
        Some(home) if home.is_absolute() => {
            let location = Location::from_variable(home.join(".local/share/kv").into())?;
            Ok((location, "HOME"))
        }
        Some(_) => bail!(UsageError(
            "HOME is no absolute path: set it, or KV_STORE".to_owned()
        )),
        None => bail!("cannot find a store: set KV_STORE or HOME, or give --store LOCATION"),
    }
}
