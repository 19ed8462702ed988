//! A store as a file system (fuse(4)).
//!
//! It sees a [`Store`] and never an engine. The kernel's requests are answered by a few threads, and
//! each may block in the store.
//!
//! ```text
//!   session   mounts, waits for the end, and unmounts
//!   requests  what the kernel asks;  replies  how it is answered
//!   names     how keys are shown as names;  litter  names that never become keys
//!   nodes     the numbers that the kernel knows
//!   find      what a name stands for;  memory  what only this mount knows of
//!   shape     which directories there are;  index  all keys at a time;  list  what is in one
//!   open      opening, writing, storing;  body  an open file;  draft  what was written to it;  reader  what is read from it
//!   change    directories, removals, times and sizes;  rename
//!   marks     extended attributes;  errors
//! ```

mod body;
mod change;
mod draft;
mod errors;
mod find;
mod index;
mod list;
mod litter;
mod marks;
mod memory;
mod names;
mod nodes;
mod open;
mod reader;
mod rename;
mod replies;
mod requests;
mod session;
mod shape;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{Clock, Namespace, Store, StoreError, Time, error};

use self::body::Files;
use self::errors::{Answer, failure};
use self::memory::Memory;
use self::nodes::Nodes;
pub use self::session::{Mounted, mount};
use self::shape::Shape;

/// What to mount, and for whom.
pub struct Config {
    /// The store.
    pub store: Box<dyn Store>,
    /// The clock.
    pub clock: Box<dyn Clock>,
    /// What the list of mounts says it is.
    pub source: String,
    /// Where large files are kept while they are written.
    pub spill: PathBuf,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Whether other users may enter.
    pub allow_other: bool,
    /// A namespace that is shown even if it is empty.
    pub namespace: Namespace,
    /// Is told what goes wrong with the store.
    pub tell: Box<dyn Fn(&StoreError) + Send + Sync>,
}

/// Where drafts go that are too long for memory.
#[derive(Debug)]
struct Spill {
    dir: PathBuf,
}

/// What all requests share.
struct App {
    config: Config,
    spill: Spill,
    /// Where it is mounted.
    point: PathBuf,
    /// Whether it is being unmounted, and has no place among the other files any more.
    is_ending: Arc<AtomicBool>,
    /// Whether there was a store at its place when it was mounted, or at any time since.
    was_there: AtomicBool,
    owner: (u32, u32),
    /// When it was mounted.
    began: Time,
    nodes: Mutex<Nodes>,
    files: Mutex<Files>,
    memory: Mutex<Memory>,
    shapes: Mutex<HashMap<Namespace, Arc<Shape>>>,
    listings: Mutex<list::Listings>,
}

impl App {
    fn new(config: Config, point: PathBuf) -> Self {
        let spill = Spill {
            dir: config.spill.clone(),
        };
        let owner = (
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        );
        // What is wrong with it, if it cannot be looked at, is told to whoever looks into it.
        let was_there = AtomicBool::new(config.store.exists().unwrap_or_default());
        Self {
            began: config.clock.now(),
            config,
            spill,
            point,
            is_ending: Arc::default(),
            was_there,
            owner,
            nodes: Mutex::default(),
            files: Mutex::default(),
            memory: Mutex::default(),
            shapes: Mutex::default(),
            listings: Mutex::default(),
        }
    }

    /// Returns the store, unless it was there before and is not any more.
    fn store(&self) -> error::Result<&dyn Store> {
        let store = &*self.config.store;
        if store.exists()? {
            self.was_there.store(true, SeqCst);
        } else if self.was_there.load(SeqCst) {
            return Err(StoreError::Io {
                action: "find the store",
                path: PathBuf::from(&self.config.source),
                source: io::ErrorKind::NotFound.into(),
            });
        }
        Ok(store)
    }

    fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    fn now(&self) -> Time {
        self.config.clock.now()
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        hold(&self.nodes)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        hold(&self.files)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        hold(&self.memory)
    }

    /// Returns what is known of the directories of a namespace.
    fn shape(&self, namespace: &Namespace) -> Arc<Shape> {
        let mut shapes = hold(&self.shapes);
        let shape = shapes.entry(namespace.clone());
        Arc::clone(shape.or_default())
    }
}

/// Takes a lock. What a thread leaves that has panicked is as good as what it found: each change is
/// one step.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
