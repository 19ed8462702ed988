//! Where entries live: one folder or file per engine. They do not know each other.
//!
//! `ENGINES` is the only list of them; a new one is a new module and a row there. A [`Location`] names
//! one, and says where its store is. What engines
//! share is beside them: `holder` tells who has a lock on a file; `lease`
//! serves those that cannot see a holder die; `runs` puts what is imported in order, and `merge` reads
//! what is in order as one; `tls` knows whom to trust.

mod holder;
pub mod http;
mod lease;
pub mod location;
pub mod memory;
mod merge;
mod path;
pub mod redis;
mod runs;
pub mod sqlite;
mod tls;
pub mod tree;

use std::time::Duration;

use crate::store::Store;

pub use self::location::Location;
use self::location::{Engine, Secret};

/// The engines, in the order in which help names them: the name, what begins a location, how help shows
/// one, what it can be given that nobody is to see, and who reads it.
const ENGINES: [Engine; 5] = [
    Engine::new("tree", &[""], "a directory", None, tree::location),
    Engine::new("sqlite", &["sqlite"], "sqlite:FILE", None, sqlite::location),
    Engine::new(
        "redis",
        redis::SCHEMES,
        "redis://HOST",
        PASSWORD,
        redis::location,
    ),
    Engine::new("http", http::SCHEMES, "http://HOST", TOKEN, http::location),
    // For tests and scripts: help is for those who keep something.
    Engine::new("memory", &["memory"], "", None, memory::location),
];
const PASSWORD: Option<Secret> = Some(Secret::Password);
const TOKEN: Option<Secret> = Some(Secret::Token);

/// What a user can choose about a store besides its location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What an acknowledged write survives.
    pub sync: Sync,
    /// How long to wait for the store's own locks, and for a key that others keep changing.
    pub busy_timeout: Duration,
    /// Whether a store that is not there is an error, where it would else be empty, or made.
    pub existing: bool,
}

/// What a write that was acknowledged survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// A power cut.
    Full,
    /// The death of any process, but no power cut.
    Off,
}

/// Opens the store at a location. Nothing is read, made or connected before the first call on it.
pub fn open(location: &Location, settings: Settings) -> Box<dyn Store> {
    location.locator().open(settings)
}

/// Says for help what a location can be.
pub fn usage() -> String {
    let usages = ENGINES.iter().map(|engine| engine.usage);
    let usages: Vec<_> = usages.filter(|usage| !usage.is_empty()).collect();
    let (last, others) = usages.split_last().unwrap_or((&"", &[]));
    format!("{} or {last}", others.join(", "))
}
