//! What the kernel asks, and how it is answered.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use tokio::sync::oneshot;

use crate::os;
use crate::store::Time;

use super::change::SetAttr;
use super::inode::Mode;
use super::replies::{APPEND, DSYNC, EXCLUSIVE, by_thread, empty, mode_of, opened, sized};
use super::{App, told, write};

/// Bytes that are written by one request at most.
const MAX_WRITE: u32 = 1 << 20;

/// The file system that the kernel talks to. What it does not answer does not exist here: links,
/// device files, locks of its own.
pub(super) struct Requests {
    app: Arc<App>,
    /// Is told when the kernel asks no more.
    ended: Option<oneshot::Sender<()>>,
}

impl Requests {
    pub(super) fn new(app: Arc<App>, ended: oneshot::Sender<()>) -> Self {
        let ended = Some(ended);
        Self { app, ended }
    }
}

impl Filesystem for Requests {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What this kernel does not know it does without.
        for flag in [
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            // Not only where the kernel guesses that it pays: find and du list all before they look.
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
        ] {
            _ = config.add_capabilities(flag);
        }
        _ = config.set_max_write(MAX_WRITE);
        Ok(())
    }

    fn destroy(&mut self) {
        if let Some(ended) = self.ended.take() {
            _ = ended.send(());
        }
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let parent = self.app.nodes.lock().node(parent.0).ok_or(Errno::ENOENT);
        let found = parent.and_then(|parent| {
            let (node, attributes) = self.app.find(&parent, name)?;
            Ok((told::tell(&self.app, &node, &attributes)?, attributes))
        });
        if found.is_err() {
            told::note_missing(&self.app, req.pid());
        }
        self.app.entry(found, reply);
    }

    fn forget(&self, _req: &Request, number: INodeNo, times: u64) {
        self.app.nodes.lock().forget(number.0, times);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        let told = told::attributes(&self.app, ino.0, fh.map(|fh| fh.0), req.pid());
        self.app.attr(ino, told, reply);
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let modified = mtime.map(|time| match time {
            TimeOrNow::Now => Ok(self.app.now()),
            TimeOrNow::SpecificTime(time) => Time::of_file(time).ok_or(Errno::EINVAL),
        });
        let done = modified.transpose().and_then(|modified| {
            let changes = SetAttr {
                size,
                modified,
                mode,
            };
            let which = (ino.0, fh.map(|fh| fh.0));
            self.app.change_attributes(which, changes, req.pid())
        });
        self.app.attr(ino, done, reply);
    }

    fn mknod(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        const KIND: u32 = 0o170_000;
        const REGULAR: u32 = 0o100_000;
        if mode & KIND != REGULAR {
            return reply.error(Errno::EPERM);
        }
        let made = self.app.create(parent.0, name, mode, Mode::default(), true);
        let made = made.and_then(|(number, attributes, handle)| {
            self.app.close_file(handle).map(|()| (number, attributes))
        });
        self.app.entry(made, reply);
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        self.app.entry(self.app.make_dir(parent.0, name), reply);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.app.unlink(parent.0, name), reply);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.app.remove_dir(parent.0, name), reply);
    }

    fn symlink(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _target: &Path,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        const KEEP: u32 = 1;
        if flags.bits() & !KEEP != 0 {
            return reply.error(Errno::EINVAL);
        }
        let keep = flags.bits() == KEEP;
        let (from, to) = ((parent.0, name), (newparent.0, newname));
        empty(self.app.rename(from, to, keep), reply);
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mode = mode_of(flags, req.pid());
        let allowed = match mode.writes || mode.truncates {
            true => self.app.allow_changes(),
            false => Ok(()),
        };
        match allowed.and_then(|()| self.app.open_file(ino.0, mode)) {
            Ok(handle) => reply.opened(FileHandle(handle), opened(mode)),
            Err(err) => reply.error(err),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let exclusive = flags & EXCLUSIVE != 0;
        let how = mode_of(OpenFlags(flags), req.pid());
        match self.app.create(parent.0, name, mode, how, exclusive) {
            Ok((number, attributes, handle)) => {
                let told = self.app.file_attr(number, &attributes);
                let handle = FileHandle(handle);
                let how = Mode {
                    writes: true,
                    ..how
                };
                reply.created(&Duration::ZERO, &told, Generation(0), handle, opened(how));
            }
            Err(err) => reply.error(err),
        }
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let handle = self.app.files.lock().handle(fh.0);
        let (part, is_page) = ((offset, size as usize), lock_owner.is_none());
        match handle.and_then(|handle| self.app.read_file(&handle, part, is_page)) {
            Ok(bytes) => reply.data(&bytes),
            Err(err) => reply.error(err),
        }
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // As the descriptor is now: fcntl(2) changes it. A page of memory has its place.
        let is_page = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let offset = Some(offset).filter(|_| is_page || flags.0 & APPEND == 0);
        let handle = self.app.files.lock().handle(fh.0);
        // With O_SYNC too, or where all of the mount is to be synced.
        let syncs = flags.0 & DSYNC != 0;
        let written =
            handle.and_then(|handle| write::write_file(&self.app, &handle, offset, data, syncs));
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(err) => reply.error(err),
        }
    }

    fn flush(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        empty(self.app.flush_file(fh.0, req.pid()), reply);
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        empty(self.app.close_file(fh.0), reply);
    }

    fn fsync(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(told::sync(&self.app, fh.0), reply);
    }

    fn opendir(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(self.app.open_dir()), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.app.read_dir(ino.0, fh.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(err) => reply.error(err),
        }
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match self.app.read_dir_plus(ino.0, fh.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(err) => reply.error(err),
        }
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.app.close_dir(fh.0);
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let name_len = u32::try_from(super::names::MAX_NAME).unwrap_or_default();
        match os::disk_space(self.app.config.disk()) {
            Ok(room) => {
                let block = u32::try_from(room.block).unwrap_or(u32::MAX);
                let (free, available) = (room.free, room.available);
                let (files, free_files) = room.files;
                reply.statfs(
                    room.blocks,
                    free,
                    available,
                    files,
                    free_files,
                    block,
                    name_len,
                    block,
                );
            }
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let done = self.app.set_xattr(by_thread(req, ino), name, value, flags);
        empty(done, reply);
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        sized(self.app.xattr(by_thread(req, ino), name), size, reply);
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        sized(self.app.xattrs(by_thread(req, ino)), size, reply);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.app.remove_xattr(by_thread(req, ino), name), reply);
    }
}
