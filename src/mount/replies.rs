//! How answers are put for the kernel, and what the flags mean that it sends.

use std::time::Duration;

use fuser::{
    Errno, FopenFlags, Generation, INodeNo, OpenAccMode, OpenFlags, ReplyAttr, ReplyEmpty,
    ReplyEntry, ReplyXattr, Request,
};

use super::find::{Attributes, BELIEVED};
use super::inode::Mode;
use super::{Answer, App};

/// For how long the kernel believes what it was told of a file that was looked up: until its clock
/// ticks. Whoever opens the file asks for its size next, as `cat` and `tar` do, and is told at once.
const A_TICK: Duration = Duration::from_nanos(1);

impl App {
    /// Answers with a file or directory that was looked up or made.
    pub(super) fn entry(&self, done: Answer<(u64, Attributes)>, reply: ReplyEntry) {
        let (number, attributes) = match done {
            Ok(done) => done,
            Err(err) => return reply.error(err),
        };
        let told = self.file_attr(number, &attributes);
        // A file is looked up each time that it is opened, so that it is never an old one.
        let (known, found) = match attributes.is_dir {
            true => (BELIEVED, BELIEVED),
            false => (A_TICK, Duration::ZERO),
        };
        reply.entry_with_ttls(&known, &found, &told, Generation(0));
    }

    /// Answers with what is told of a file or directory.
    pub(super) fn attr(&self, ino: INodeNo, done: Answer<Attributes>, reply: ReplyAttr) {
        match done {
            Ok(attributes) => reply.attr(&Duration::ZERO, &self.file_attr(ino.0, &attributes)),
            Err(err) => reply.error(err),
        }
    }
}

/// Returns a file's number, and the thread that asks for it.
pub(super) fn by_thread(req: &Request, ino: INodeNo) -> (u64, u32) {
    (ino.0, req.pid())
}

/// Of the flags of open(2), which are the same in all programs of one system.
pub(super) const EXCLUSIVE: i32 = rustix::fs::OFlags::EXCL.bits().cast_signed();
const TRUNCATE: i32 = rustix::fs::OFlags::TRUNC.bits().cast_signed();
pub(super) const DSYNC: i32 = rustix::fs::OFlags::DSYNC.bits().cast_signed();
pub(super) const APPEND: i32 = rustix::fs::OFlags::APPEND.bits().cast_signed();

/// Reads the flags of open(2).
pub(super) fn mode_of(flags: OpenFlags, thread: u32) -> Mode {
    let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
    Mode {
        writes,
        only_writes: flags.acc_mode() == OpenAccMode::O_WRONLY,
        appends: writes && flags.0 & APPEND != 0,
        truncates: flags.0 & TRUNCATE != 0,
        thread,
        is_first: false,
    }
}

/// Returns how the kernel is to treat an open file: no page of it is kept, as others may change it at
/// any time.
pub(super) fn opened(mode: Mode) -> FopenFlags {
    let direct = FopenFlags::FOPEN_DIRECT_IO;
    match mode.writes {
        true => direct,
        false => direct | FopenFlags::FOPEN_NOFLUSH,
    }
}

/// Answers with nothing but whether it was done.
pub(super) fn empty(done: Answer<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(err) => reply.error(err),
    }
}

/// Answers with an extended attribute, or with its length where that is asked for.
pub(super) fn sized(found: Answer<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match found {
        Ok(bytes) => match u32::try_from(bytes.len()) {
            Ok(len) if size == 0 => reply.size(len),
            Ok(len) if len <= size => reply.data(&bytes),
            _ => reply.error(Errno::ERANGE),
        },
        Err(err) => reply.error(err),
    }
}
