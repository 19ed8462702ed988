//! A store as a file system (fuse(4)).
//!
//! It sees a [`Store`] and never an engine. The kernel's requests are answered by a few threads, and
//! each may block in the store.
//!
//! ```text
//!   session   mounts, waits for the end, and unmounts;  end  what is stored then
//!   requests  what the kernel asks;  replies  how it is answered
//!   names     how keys are shown as names;  litter  names that never become keys
//!   nodes     the numbers that the kernel knows
//!   find      what a name stands for;  memory  what only this mount knows of
//!   dir_index which directories there are;  index  all keys at a time;  list  what is in one
//!   files     which are open, and their turns;  inode  what is open;  open  opening, reading;  write
//!   follow    what others who have it open see of a change;  beside  also by other buffers
//!   shown     what an opening shows;  told  to whom
//!   buffer    what was changed;  draft  its bytes;  flush  how it is stored;  reader  what is read
//!   change    directories, removals, times and sizes;  rename
//!   xattrs    extended attributes;  errors;  descriptors  which are of an opening
//! ```
//!
//! # What an open file holds, and what becomes of it
//!
//! An opening to be read holds the value that the key had, or, while a change is pending, that
//! change. Openings to write share a buffer. It is pinned to the entry that it was made of (etag and
//! expiry), and is a *whole*, which owes nothing to that entry, a *part* of it that was changed, or a
//! *tail* to be added. A flush, a sync or a close stores it, if something is pending; a sync through
//! an opening to be read, as `sync FILE` does, stores what is pending of each buffer of the file, and a
//! write with O_SYNC or O_DSYNC is one and a sync:
//!
//! ```text
//! opened how                       buffer             stored under the condition      else
//! O_CREAT and O_TRUNC, none there  whole, new         there is none still             takes its place
//! O_CREAT else, none there         part, of an empty  the etag is the pinned one      ESTALE
//!                                  entry that is put
//!                                  --if-absent then;
//!                                  with O_EXCL EEXIST
//!                                  if there is one
//! O_TRUNC, ftruncate to 0          whole, pinned      the etag is the pinned one      takes its place
//! O_APPEND, and only added to      tail               there is an entry               ESTALE
//! any other that writes            part, pinned       the etag is the pinned one, or  ESTALE
//!                                                     the value just this
//! ```
//!
//! "Takes its place": a whole is put in the place of what is there by then, whose expiry stays. If
//! nothing is, it keeps the expiry of the entry that it was pinned to; when that is over, ESTALE. But where
//! nobody has written anything since it was emptied, it was only that entry that was: it takes no place, and is
//! done, unless what is there has its size and its time still, and only another expiry. What is
//! written through it then is a whole again.
//! So of several who write a whole the last one wins, with all of it; of a part nothing mixes with what
//! another has stored; and nothing comes back that was removed or has expired, but by a whole.
//!
//! ```text
//! event                            what it does
//! changed through one opening      who only reads the same entry reads the change from then on; who shares the buffer and
//!                                  holds another goes on with that, and, to write, has a buffer of its own
//! emptied by O_TRUNC where all     they go on with what they hold, by a number of their own: whoever looks for the name
//! who have it open only read it    finds another
//! emptied by O_TRUNC where others  it is emptied for who changes what it holds, or writes it anew and can read it, as it is
//! have it open to write, or        one file to them, and for who reads it by their number. What was changed in place is
//! somebody has locked it           stored before. Who writes it anew and cannot read it has a buffer of their own
//! replaced by others               who has it open goes on with what they hold, by a number of their own, unless somebody
//!                                  has locked it. Who only adds to it, or writes it anew and cannot read it, holds nothing,
//!                                  and keeps the number; so does who holds what is empty, and, if it is emptied, goes on
//!                                  with that
//! replaced by who of this mount    what others have changed of it in place is stored before. Who changes it by another
//! has written it anew               buffer, or has written it anew and can read it, holds just what is replaced, and has
//!                                  nothing pending but what is to be added, goes on with what is there now, and so does
//!                                  who reads it by their number: it is one file to them
//! read at the end once more, or    who only reads, and has come to the end, if only of nothing, goes on with what the file is now,
//! fstat(2) after the last byte      but not behind what was given up, if that is anything, and with ESTALE behind what was
//!                                  added and is stored behind another value, also if pages of memory have shown that since
//!                                  (what the kernel asks as it reads, or is told as others do something, counts only
//!                                  after a tenth of a second: it reads ahead of who reads in parts)
//! another opens it to write        goes on with what is pending, and makes it as empty if it is new; or with the buffer whose pin is the entry
//!                                  of now, or that holds nothing of any entry: it is a part of that once it is
//!                                  changed so; else has a buffer of its own, as with O_TRUNC
//! added to by who only adds        with nothing of theirs pending, they go on as who opens it anew, unless their buffer is
//!                                  what others go on with; a value that it holds is held by these, and it is a tail
//! added to, while others have it   each reads what it holds, and that behind it; who holds another entry than is added
//! open                             to reads that alone, and, to write, has a buffer of its own. Who only adds holds
//!                                  nothing: it reads as who opens it anew, and then as the others by its number
//! what was added is stored, or     who holds the entry that it is behind now goes on with both; who only reads or
//! never will be                    changes another keeps that with what was added, as no entry. It is a tail no more
//! added to beside a part of        what is pending is stored before the other begins; where that is refused, who only
//! others, or the other way round   adds goes on as who opens it anew
//! changed by who has it open, and  that it is emptied is stored before
//! not anew, where another has
//! emptied it and written nothing
//! made another entry by others     where another has emptied it and written nothing, whoever looks for it finds that entry;
//!                                  if that is as empty, it is the one that was emptied
//! stored                           the pin is the new entry
//! refused with ESTALE              is so for good; who has it open keeps it, and nobody else goes on with it.
//!                                  It is told to who has changed it since it was stored last, or syncs as a reader.
//!                                  Who only adds is done with what was refused, and adds what comes
//! closed by who has changed it     stored; by who has not since it was stored last: by the last that closes it
//! a duplicate of who has opened it nothing, as long as that process, or who closes it, has another
//! closed as who has opened it is   a whole is given up by who has emptied it, and anything else is stored, also what was
//! killed                           added to a whole, with that
//! a write fails                    all is as it was, also where the sync that came with it failed
//! given up, or a close that fails  where nobody else has changed it, nobody finds it by the name any
//!                                  more, and what was to be added goes. Who writes to it in place goes on with the
//!                                  entry that it was made of, and who reads it holds what it was. But where who was
//!                                  killed leaves some who read it, who writes to it in place stores the rest, too. Where a close fails, but with ESTALE, it is
//!                                  given up for others that have changed it, who are told as they go on or close it
//! unmounted, while it is open      a whole is told not to be stored if something was written to it, and anything else is
//!                                  stored, also what was added to a whole, with that
//! unlinked, or renamed over        what its users hold is kept for them, and is never stored
//! renamed, given a time or expiry  the pins move to the new entry; what is pending stays so. What was never
//!                                  stored is stored first
//! others remove the key            nothing, until it is stored
//! the last that writes closes it   the buffer is gone; who reads it goes on with the key's entry, if it was stored as
//!                                  that, and else with what it was, as where its writer was killed
//! ```
//!
//! Who opens what others have replaced since the kernel looked for its name is told ESTALE, once, where somebody has
//! another entry open by that number, or it has lost its name: the kernel looks again, and finds another.
//!
//! So what fstat(2) tells of a descriptor is what it reads: the kernel asks for a number, and all who hold
//! something by one hold the same. Who holds nothing is told what the file is, and reads that if
//! it only reads, also where that was told to who looked for the name: the kernel believes it for a tick. Only who adds to
//! a file, or has gone on at its end, or holds nothing, keeps its number beside others who hold something else. Then the
//! process that asks is told what the openings hold that it has made, and one that has made none, as where it was handed a descriptor, what they read who
//! were opened to read and not to add: of several the least, as more would be zeros in memory. It is told
//! nothing that is less than others hold, who may have that in memory.
//!
//! The kernel keeps the locks of flock(2) and fcntl(2) by number, too. That is why all who write to a file have one, as
//! far as no other store has replaced what they hold. Who only reads, where nobody has it open to change it, has another
//! file where it is emptied, or replaced by who had begun to write it anew before, and not locked just then. For the mount to keep the locks, it would have to be told of signals (FUSE_INTERRUPT), as nobody could be
//! killed who waits for one, and of each close before that returns, as it is not of who only reads.
//!
//! Whoever opens, stores, renames or removes a file does that in its turn ([`inode::Inode::turn`]), one
//! after the other, so that nothing of this is decided on what another is about to change.
//!
//! # What is dear, and why it stays
//!
//! [`index`] is for loose entries only: whether a name is a directory is a question about all keys, and
//! a hashed tree answers it by looking at all of them. It is asked of each name that is looked up: of a
//! key, as keys below it would make it a directory, and of a name that is to be made. Without the list
//! each of 10,000 names that `cat` opens or `cp` makes would take a walk of 10,000 files.
//!
//! Who closes a file, and how that process ended, is asked of the kernel (`os/writer.rs`), because the
//! kernel says "flush" as well when a descriptor was only duplicated, as every shell does for `> file`,
//! and when a process is killed half-way. Without asking, `{ a; kv get k; b; } > mnt/k` would store three
//! values, and a killed `sort > mnt/k` half of one in the place of the old. Two questions are asked, when
//! something is pending:
//!
//! * Does the process that has opened the file, or the one that closes it, have it open still? Then only
//!   a duplicate was closed. Which opening a descriptor is of nobody tells, so they are counted, of those that
//!   write and append as it does: a process has it if it has more of them than it had before it opened it and has
//!   opened since. Where that is not known it is stored: what a close has told to be well is never lost. So it is
//!   where who closes it has opened it and has had others: shells close by dup2(2). What was taken for a duplicate
//!   and was none is stored once the kernel has released the opening.
//! * Did a signal kill the process that has emptied it, and has not closed it before? Then a whole is not
//!   stored. A part, and what is added, are, as in any other file system: databases and logs count on that.
//!   That another than who has opened it was killed says nothing: `timeout cmd > mnt/k`, or who ran it, has
//!   meant to keep what came until then.
//!
//! A thread of its own asks, as the kernel tells nothing of a process that is just becoming another
//! program: without that thread such a process hangs, and cannot be killed, until the mount is. The thread is
//! given up only where it waits in the kernel: one that a busy machine leaves no time would make a killed
//! writer one that has closed its file. The state
//! of who closes it would not do: since Linux 6.2 a process that ended is closed for by the kernel's own
//! threads, and then only the end of who has opened it tells exit from death.
//!
//! A reader sees what is pending, as in any other file system: also an empty or a half file, beside who
//! empties and writes it. To show it the stored value until then would hide from a program what it has
//! written through another descriptor, as SQLite, git and `tail -f` read it. Who wants a whole file
//! writes another and renames it, or reads with `kv get`.

mod beside;
mod buffer;
mod change;
mod descriptors;
mod dir_index;
mod draft;
mod end;
mod errors;
#[cfg(test)]
#[path = "../../tests/mount/fake.rs"]
mod fake;
mod files;
mod find;
mod flush;
mod follow;
mod index;
mod inode;
#[cfg(test)]
#[path = "../../tests/mount/interleave.rs"]
mod interleave;
mod list;
mod litter;
mod memory;
#[cfg(test)]
#[path = "../../tests/mount/model.rs"]
mod model;
mod names;
mod nodes;
mod open;
mod reader;
mod rename;
mod replies;
mod requests;
mod session;
mod shown;
mod told;
mod write;
mod xattrs;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use fuser::Notifier;
use parking_lot::Mutex;

use crate::store::{Clock, Key, Namespace, Store, StoreError, Time, error};

use self::dir_index::DirIndex;
use self::errors::{Answer, failure};
use self::files::Files;
use self::memory::Memory;
use self::nodes::Nodes;
pub use self::session::{Mounted, mount};

/// Is told what goes wrong with the store, and of which key.
pub type Tell = dyn Fn(Option<&Key>, &StoreError) + Send + Sync;

/// What to mount, and for whom.
pub struct Config {
    /// The store.
    pub store: Box<dyn Store>,
    /// The same store without waiting for the disk: for what is made on opening, and is synced with
    /// what is written to it.
    pub maker: Box<dyn Store>,
    /// The clock.
    pub clock: Box<dyn Clock>,
    /// What the list of mounts says it is.
    pub source: String,
    /// Where large files are kept while they are written.
    pub spill: PathBuf,
    /// Where the store is, on whose disk there must be room for what is written; `None` where a server has its own.
    pub disk: Option<PathBuf>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Whether no program can be run from it.
    pub no_exec: bool,
    /// Whether each write is stored before it returns.
    pub synchronous: bool,
    /// Whether other users may enter.
    pub allow_other: bool,
    /// A namespace that is shown even if it is empty.
    pub namespace: Namespace,
    /// Is told what goes wrong with the store, and of which key.
    pub tell: Box<Tell>,
}

impl Config {
    /// Returns on whose disk there must be room for what is long.
    fn disk(&self) -> &Path {
        self.disk.as_ref().unwrap_or(&self.spill)
    }
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
    /// The number of its device, once it is mounted.
    device: AtomicU64,
    /// Tells the kernel what it is not to believe any more, once it is mounted.
    notifier: OnceLock<Notifier>,
    /// Whether there was a store at its place when it was mounted, or at any time since.
    was_there: AtomicBool,
    owner: (u32, u32),
    /// When it was mounted.
    began: Time,
    nodes: Mutex<Nodes>,
    files: Mutex<Files>,
    /// Who was told that what they open is stale, and looks again, until when that is remembered.
    told_stale: Mutex<HashMap<u32, Instant>>,
    /// Held by whoever has the turns of two files.
    renames: Mutex<()>,
    memory: Mutex<Memory>,
    dir_indexes: Mutex<HashMap<Namespace, Arc<DirIndex>>>,
    listings: Mutex<list::Listings>,
}

impl App {
    fn new(config: Config) -> Self {
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
            device: AtomicU64::default(),
            notifier: OnceLock::new(),
            was_there,
            owner,
            nodes: Mutex::default(),
            files: Mutex::default(),
            told_stale: Mutex::default(),
            renames: Mutex::default(),
            memory: Mutex::default(),
            dir_indexes: Mutex::default(),
            listings: Mutex::default(),
        }
    }

    /// Returns the store, unless it was there before and is not any more.
    fn store(&self) -> error::Result<&dyn Store> {
        let store = &*self.config.store;
        // Noted before the look: another call may make the store between the two.
        let was_there = self.was_there.load(SeqCst);
        if store.exists()? {
            self.was_there.store(true, SeqCst);
        } else if was_there {
            return Err(StoreError::Io {
                action: "find the store",
                path: PathBuf::from(&self.config.source),
                source: io::ErrorKind::NotFound.into(),
            });
        }
        Ok(store)
    }

    /// Passes on what was found in the store. Nothing may be because the store is gone.
    fn found<T>(&self, found: error::Result<Option<T>>) -> error::Result<Option<T>> {
        match found? {
            None => self.store().map(|_| None),
            found => {
                self.was_there.store(true, SeqCst);
                Ok(found)
            }
        }
    }

    fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    fn now(&self) -> Time {
        self.config.clock.now()
    }

    /// Returns what is known of the directories of a namespace.
    fn dir_index(&self, namespace: &Namespace) -> Arc<DirIndex> {
        let mut dir_indexes = self.dir_indexes.lock();
        let dir_index = dir_indexes.entry(namespace.clone());
        Arc::clone(dir_index.or_default())
    }
}
