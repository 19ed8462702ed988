//! A store as the library opens it, without a process of its own.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use kv::engine::{self, Location, Settings, Sync};
use kv::store::{Clock, Store, Time};

/// The system's clock.
#[derive(Debug)]
pub struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        Time::from_system(SystemTime::now())
    }
}

/// Opens the store at a location. Waiting for others or for a server ends after so many seconds.
pub fn open(location: impl Into<OsString>, sync: Sync, seconds: u64) -> Box<dyn Store> {
    let settings = Settings {
        sync,
        busy_timeout: Duration::from_secs(seconds),
        existing: false,
    };
    let location = Location::from_variable(location.into()).unwrap();
    engine::open(&location, settings)
}
