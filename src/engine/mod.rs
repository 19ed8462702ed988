//! Where entries live: one folder or file per engine. They do not know each other.
//!
//! [`open`] is the only list of engines; a new one is a new module and a line there. What engines
//! share is beside them: `holder` tells who has a lock on a file; `lease`
//! serves those that cannot see a holder die; `runs` puts what is imported in order, and `merge` reads
//! what is in order as one; `tls` knows whom to trust.

mod holder;
pub mod http;
mod lease;
pub mod memory;
mod merge;
pub mod redis;
mod runs;
pub mod sqlite;
mod tls;
pub mod tree;

use std::time::Duration;

use crate::store::{Location, Store};

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
pub fn open(location: Location, settings: Settings) -> Box<dyn Store> {
    match location {
        Location::Directory(path) => Box::new(tree::Tree::new(path, settings)),
        Location::Http(place) => Box::new(http::Http::new(place, settings)),
        Location::Memory => Box::new(memory::Memory::new(settings)),
        Location::Redis(place) => Box::new(redis::Redis::new(place, settings)),
        Location::Sqlite(path) => Box::new(sqlite::Sqlite::new(path, settings)),
    }
}
