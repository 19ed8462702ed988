//! What a store is, whatever the engine: keys, values, conditions, and the verbs on them.
//!
//! Nothing here does I/O or knows an engine. A command is written against [`Store`] and works on
//! each engine that implements it.
//!
//! Read the files in this order: [`key`], [`namespace`], [`time`], [`units`], [`entry`], [`put`], [`scan`],
//! [`glob`], [`error`], [`percent`]; then the facets, [`entries`] first, with [`modify`] for its defaults,
//! [`lists`], [`jobs`], [`locks`], [`watch`] with [`follow`], [`bulk`] and [`upkeep`] with [`evict`] and [`check`].
//! [`Store`] is their sum.

pub mod bulk;
pub mod check;
pub mod entries;
pub mod entry;
pub mod error;
pub mod evict;
pub mod follow;
pub mod glob;
pub mod jobs;
pub mod key;
pub mod lists;
pub mod locks;
pub mod modify;
pub mod namespace;
pub mod percent;
pub mod put;
pub mod scan;
pub mod time;
pub mod units;
pub mod upkeep;
pub mod watch;

pub use self::bulk::{Bulk, Feed, Imported, Incoming, Merge, Stopped};
pub use self::check::{Check, Finding};
pub use self::entries::{Entries, Place, Turn};
pub use self::entry::{Entry, Etag, Meta, Source, Value};
pub use self::error::{Fault, OrCannot, Result, StoreError};
pub use self::follow::{Change, Follower};
pub use self::glob::Glob;
pub use self::key::Key;
pub use self::lists::{Claim, End, Lists};
pub use self::locks::{Guard, Held, Holder, LockRequest, Locks, OnLoss};
pub use self::namespace::Namespace;
pub use self::put::{Condition, Expiry, Put};
pub use self::scan::{Listed, Listing, Scan, Selection};
pub use self::time::{Clock, Deadline, Time};
pub use self::upkeep::{Collect, Collected, Info, Progress, Upkeep};
pub use self::watch::{Changed, Watch, WatchTarget, Watcher};

/// A store: all of its facets.
pub trait Store: Entries + Lists + Locks + Watch + Bulk + Upkeep {}

impl<S: Entries + Lists + Locks + Watch + Bulk + Upkeep> Store for S {}
