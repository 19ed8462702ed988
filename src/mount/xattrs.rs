//! Extended attributes: what a key has that no other file has.

use std::ffi::OsStr;

use fuser::Errno;

use crate::store::{Deadline, Etag, Expiry, Meta, units};
use crate::wire::time::{read_expires, rfc3339_deadline};

use super::buffer::Kind;
use super::nodes::{FullKey, Node};
use super::{Answer, App, told};

const ETAG: &str = "user.kv.etag";
const EXPIRES: &str = "user.kv.expires";
const NEVER: &str = "never";
/// Flags of setxattr(2), as Linux numbers them.
const CREATE: i32 = 1;
const REPLACE: i32 = 2;

/// A file's number, and the thread that asks for it.
type ByThread = (u64, u32);

impl App {
    /// Names the attributes that a copy of a file can have as well, each with a NUL behind it: who copies
    /// all of them would else never find that two files are the same.
    pub(super) fn xattrs(&self, by: ByThread) -> Answer<Vec<u8>> {
        let expires = self.stored(by)?.and_then(|(_, expires)| expires);
        let names = expires.map(|_| format!("{EXPIRES}\0"));
        Ok(names.unwrap_or_default().into_bytes())
    }

    /// Returns an attribute of a file.
    pub(super) fn xattr(&self, by: ByThread, name: &OsStr) -> Answer<Vec<u8>> {
        let is_etag = name == ETAG;
        if !is_etag && name != EXPIRES {
            // Desktops and `ls` ask each file for some that only other systems have.
            let is_user = name.as_encoded_bytes().starts_with(b"user.");
            return Err(if is_user {
                Errno::NO_XATTR
            } else {
                Errno::EOPNOTSUPP
            });
        }
        let (etag, expires) = self.stored(by)?.ok_or(Errno::NO_XATTR)?;
        let text = match (is_etag, expires) {
            (true, _) => etag.to_string(),
            (_, Some(deadline)) => rfc3339_deadline(deadline),
            (_, None) => NEVER.to_owned(),
        };
        Ok(text.into_bytes())
    }

    /// Sets when a file expires: `never`, a time, or a duration from now on. By the flags of setxattr(2) it may
    /// be demanded that it does not expire yet, or does.
    pub(super) fn set_xattr(
        &self,
        by: ByThread,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Answer<()> {
        self.allow_changes()?;
        if name == ETAG {
            // Whoever copies all attributes copies this one, and it says what is stored, not what is to be.
            return Ok(());
        }
        if name != EXPIRES {
            return Err(Errno::EOPNOTSUPP);
        }
        if flags & (CREATE | REPLACE) != 0 {
            let expires = self.stored(by)?.and_then(|(_, expires)| expires);
            match expires {
                Some(_) if flags & CREATE != 0 => return Err(Errno::EEXIST),
                None if flags & REPLACE != 0 => return Err(Errno::NO_XATTR),
                _ => {}
            }
        }
        let text = std::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
        let expiry = match text.trim_end_matches(['\n', '\0']) {
            NEVER => Expiry::Never,
            text => match (read_expires(text), units::ttl(text)) {
                (Ok(deadline), _) => Expiry::At(deadline),
                (Err(_), Ok(ttl)) => Expiry::At(Deadline::after(self.now(), ttl)),
                (Err(_), Err(_)) => return Err(Errno::EINVAL),
            },
        };
        let node = self.nodes.lock().node(by.0).ok_or(Errno::ESTALE);
        let done = node.and_then(|node| self.expire(&self.file_of(&node)?, expiry));
        self.by_name(by, done, |_| Ok(()))
    }

    /// Takes an attribute away.
    pub(super) fn remove_xattr(&self, by: ByThread, name: &OsStr) -> Answer<()> {
        match name == EXPIRES || name == ETAG {
            true => self.set_xattr(by, name, NEVER.as_bytes(), 0),
            false => Err(Errno::NO_XATTR),
        }
    }

    fn expire(&self, file: &FullKey, expiry: Expiry) -> Answer<()> {
        self.in_turn(file, |inode| {
            let Some(buffer) = inode.buffer() else {
                let (namespace, key) = file;
                let store = self.answer(self.store())?;
                let done = self.answer(store.expire(namespace, key, expiry, self.clock()))?;
                self.dir_index(namespace).note(key.as_bytes(), done);
                return done.then_some(()).ok_or(Errno::ESTALE);
            };
            if buffer.state().kind != Kind::Key {
                return Err(Errno::EOPNOTSUPP);
            }
            // Of what is being written, too: else it could expire before that is stored.
            let done = self.put_again(inode, file, expiry, None);
            let mut state = buffer.state();
            if done == Err(Errno::ENOENT) && state.is_pending() {
                // It is stored with what was written.
                state.expiry = Some(expiry);
                return Ok(());
            }
            done?;
            state.pin.expires = match expiry {
                Expiry::At(deadline) => Some(deadline),
                _ => None,
            };
            Ok(())
        })
    }

    /// Returns which entry a file is, and when it expires or will once it is stored; `None` if it is a
    /// directory, not stored, or open and removed.
    fn stored(&self, by: ByThread) -> Answer<Option<(Etag, Option<Deadline>)>> {
        let node = self.nodes.lock().node(by.0);
        let found = match node {
            Some(Node::File(file)) => self.stored_as(file),
            Some(_) => Ok(None),
            None => Err(Errno::ESTALE),
        };
        self.by_name(by, found, |is_open| match is_open {
            true => Ok(None),
            false => Err(Errno::ENOENT),
        })
    }

    /// Returns that of a file by its name.
    fn stored_as(&self, file: FullKey) -> Answer<Option<(Etag, Option<Deadline>)>> {
        let meta = self.stat(&file.0, &file.1)?;
        let Some(inode) = self.files.lock().named(&file) else {
            let meta = meta.ok_or(Errno::ESTALE)?;
            return Ok(Some((meta.etag, meta.expires)));
        };
        let expiry = inode.buffer().and_then(|is| is.state().expiry);
        let expires = |meta: &Meta| match expiry {
            Some(Expiry::At(deadline)) => Some(deadline),
            Some(_) => None,
            None => meta.expires,
        };
        Ok(meta.map(|meta| (meta.etag, expires(&meta))))
    }

    /// Answers for what a name is by now.
    fn by_name<T>(
        &self,
        (number, thread): ByThread,
        done: Answer<T>,
        gone: impl FnOnce(bool) -> Answer<T>,
    ) -> Answer<T> {
        let is_open = || told::has_open(self, number, thread);
        told::by_name(self, thread, is_open, done, gone)
    }
}
