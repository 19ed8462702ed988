//! How what was changed is stored: by who closes a file, or syncs it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use fuser::Errno;

use crate::os::{self, Closing, Writer};
use crate::store::modify::{self, Conflicts};
use crate::store::{Condition, Etag, Expiry, Put, Result};

use super::beside::{self, Beside};
use super::buffer::{Buffer, Kind, Pin, State};
use super::draft::Draft;
use super::errors::stale;
use super::inode::{Handle, Inode};
use super::nodes::FullKey;
use super::reader::Reader;
use super::{Answer, App, descriptors, failure, follow, told};

impl App {
    /// Ends an opening. What nobody has stored is stored now, unless its writer was killed.
    pub(super) fn close_file(&self, handle: u64) -> Answer<()> {
        let handle = self.files.lock().drop_handle(handle)?;
        let mut stored = Ok(());
        if let Ok(buffer) = handle.written() {
            let _turn = handle.inode.turn.lock();
            let mut state = buffer.state();
            // What others still write to is stored when they close it, and what was done through this one now
            // if no close before could tell that it was the last.
            if state.writers == 1 || handle.owes_to(&state) {
                let is_told = handle.refused.lock().is_some();
                stored = self.store_through(&handle, &buffer, &mut state);
                if !is_told {
                    stored = told::remember(self, &handle, stored);
                }
            }
            state.writers -= 1;
            drop(state);
            follow::retire(self, &handle.inode, &buffer);
        }
        let inode = Arc::clone(&handle.inode);
        drop(handle);
        self.leave(&inode);
        stored
    }

    /// Stores what was changed as somebody closes the file, unless it is only a duplicate of a descriptor,
    /// or a signal has killed who has opened it.
    pub(super) fn flush_file(&self, handle: u64, closer: u32) -> Answer<()> {
        let handle = self.files.lock().handle(handle)?;
        let Ok(buffer) = handle.written() else {
            return Ok(());
        };
        let state = buffer.state();
        let is_changed = state.is_changed || state.unsynced.is_some();
        drop(state);
        let Some(opener) = handle.opener.as_ref().filter(|_| is_changed) else {
            let refused = *handle.refused.lock();
            let untold = refused.filter(|_| handle.is_untold.load(SeqCst));
            return untold.map_or(Ok(()), Err);
        };
        let file = descriptors::opened(self, handle.number, handle.mode);
        let is_own = Writer::of(closer).is_with(opener);
        let others = {
            let handle = Arc::clone(&handle);
            move |process| descriptors::others_of(&handle, process, is_own)
        };
        let was_killed = match os::closing(opener, closer, file, others) {
            Closing::InPart => return Ok(()),
            Closing::ByHand => {
                handle.is_handed_on.store(true, SeqCst);
                false
            }
            Closing::AtEnd => false,
            Closing::Killed => !handle.is_handed_on.load(SeqCst),
        };
        let stored = self.end_writing(&handle, was_killed);
        told::remember(self, &handle, stored)
    }

    /// Stores what was changed, as somebody closes the file or was killed, who leaves as it was what they
    /// were to write anew.
    pub(super) fn end_writing(&self, handle: &Handle, was_killed: bool) -> Answer<()> {
        let inode = &handle.inode;
        let _turn = inode.turn.lock();
        let buffer = &handle.written()?;
        let mut state = buffer.state();
        if !state.is_changed {
            return self.store_through(handle, buffer, &mut state);
        }
        let was_killed = was_killed && state.is_whole && handle.is_anew.load(SeqCst);
        // What others have changed they store, and the last one what nobody else has stored.
        let owes = |other: &Handle| other.owes_to(&state) || other.refused.lock().is_some();
        let stored = match !was_killed && (state.writers == 1 || owes(handle)) {
            true => self.store_through(handle, buffer, &mut state),
            false => Ok(()),
        };
        if was_killed || stored.is_err() {
            *handle.refused.lock() = stored.err();
            // Whoever was told that it is not stored writes it anew: then the old is not to come after it.
            handle.owes.store(0, SeqCst);
            let others = inode.handles();
            let owes = |other: &&Arc<Handle>| other.shares(buffer) && other.owes_to(&state);
            let is_late = stored.is_err() && stored != Err(Errno::ESTALE);
            for other in others.iter().filter(|_| is_late).filter(owes) {
                *other.refused.lock() = stored.err();
                other.is_untold.store(true, SeqCst);
                other.owes.store(0, SeqCst);
            }
            if !others.iter().any(|other| owes(&other)) {
                follow::give_up(inode, buffer, &mut state);
                if was_killed {
                    follow::go_back(self, inode, buffer, &mut state);
                }
                if is_late && state.kind == Kind::Key && inode.name().is_some() {
                    follow::drop_refused(self, inode, buffer, &mut state);
                }
                buffer.show(&state, self.now());
            }
        }
        stored
    }

    /// Stores what was changed through this opening, or, where it only reads, through any, in the order of these.
    pub(super) fn sync_file(&self, handle: u64) -> Answer<()> {
        let handle = self.files.lock().handle(handle)?;
        let _turn = handle.inode.turn.lock();
        if let Ok(buffer) = handle.written() {
            return self.store_through(&handle, &buffer, &mut buffer.state());
        }
        let mut synced = Ok(());
        let mut seen = Vec::new();
        let all = handle.inode.handles();
        for buffer in all.iter().flat_map(|other| other.written()) {
            let mut state = buffer.state();
            let is_seen = seen.contains(&Arc::as_ptr(&buffer));
            seen.push(Arc::as_ptr(&buffer));
            if !is_seen && !state.is_given_up {
                let made = self.sync_made(&handle.inode, &buffer, &mut state);
                let stored = self.store_buffer(&handle.inode, &buffer, &mut state);
                synced = synced.and(made).and(stored);
            }
        }
        synced
    }

    /// Makes a draft of the value that an opening is of, unless there is one. What was to be added
    /// is in it from then on.
    pub(super) fn load(&self, handle: &Handle, state: &mut State) -> Result<()> {
        if state.draft.is_none() {
            let name = handle.inode.name();
            let mut reader = handle.reader.lock();
            let mut now = match (&*reader, &name) {
                (None, Some((namespace, key))) => Reader::open(self, namespace, key)?,
                _ => None,
            };
            let held = reader.as_mut().or(now.as_mut());
            let held = held.ok_or_else(|| stale("store", name.as_ref()))?;
            let (pin, modified) = (held.pin(), held.stat().1);
            let mut draft = held.take_draft(self, name.as_ref())?;
            let written = draft.add(&state.tail, &self.spill);
            written.map_err(|err| failure("write", self, err))?;
            state.pin = pin;
            let is_added = !state.tail.is_empty();
            let added = state.modified.filter(|_| is_added);
            state.modified = added.or(Some(modified));
            (state.draft, state.tail) = (Some(draft), Draft::default());
            if handle.only_adds.load(SeqCst) {
                handle.hold_on(&mut reader, None);
            }
            drop(reader);
            // Who holds another value goes on with that.
            let own = handle.buffer().filter(|_| !is_added);
            let mut others = handle.inode.handles();
            others.retain(|is| own.as_ref().is_some_and(|own| is.shares(own)));
            let held = |is: &Handle| is.reader.lock().as_ref().map(Reader::pin);
            let others = others.into_iter().map(|is| (held(&is), is));
            let others = others.filter(|(held, _)| held.is_some_and(|held| held.etag != pin.etag));
            beside::split(self, state, others.map(|(held, is)| (is, held)).collect());
        }
        Ok(())
    }

    /// Stores what was changed. That it is refused is told to who has changed it since it was stored.
    pub(super) fn store_through(
        &self,
        handle: &Handle,
        buffer: &Arc<Buffer>,
        state: &mut State,
    ) -> Answer<()> {
        if !handle.owes_to(state) {
            let refused = *handle.refused.lock();
            refused.map_or(Ok(()), Err)?;
            if state.is_given_up {
                return Ok(());
            }
        }
        self.sync_made(&handle.inode, buffer, state)?;
        let stored = self.store_buffer(&handle.inode, buffer, state);
        if handle.owes_to(state) && handle.only_adds.load(SeqCst) && stored == Err(Errno::ESTALE) {
            handle.owes.store(0, SeqCst);
            *handle.refused.lock() = stored.err();
            return stored;
        }
        match handle.owes_to(state) || stored != Err(Errno::ESTALE) {
            true => stored,
            false => Ok(()),
        }
    }

    /// Stores what was changed, in one step. It is the inode's turn.
    pub(super) fn store_buffer(
        &self,
        inode: &Arc<Inode>,
        buffer: &Arc<Buffer>,
        state: &mut State,
    ) -> Answer<()> {
        if !state.is_changed {
            return Ok(());
        }
        if let (Kind::Key, Some(file)) = (state.kind, inode.name()) {
            let beside = Beside::of(self, inode, &file, (buffer, &*state));
            let stored = match state.tail.is_empty() {
                true => self.store_draft(&file, state),
                false => self.store_tail(inode, buffer, &file, state),
            };
            let stored = self.answer_of(&file.1, stored);
            if stored == Err(Errno::ESTALE) {
                // It never will be, and nobody else is to go on with it.
                inode.forget(buffer);
            }
            if stored.is_err() {
                buffer.show(state, self.now());
            }
            if !stored? {
                self.leave_emptied(inode, buffer, state);
                return Ok(());
            }
            beside.go_on(state.pin);
            self.dir_index(&file.0).note(file.1.as_bytes(), true);
            self.memory.lock().note_stored(&file);
        }
        state.note_stored();
        buffer.show(state, self.now());
        Ok(())
    }

    /// Stores once more, for a crash of the machine, what was put when it was made, if it is that still.
    fn sync_made(&self, inode: &Arc<Inode>, buffer: &Arc<Buffer>, state: &mut State) -> Answer<()> {
        let made = state.unsynced.take();
        let made = made.filter(|_| !state.is_changed && made == state.pin.etag);
        if let Some(((namespace, key), was)) = inode.name().zip(made) {
            let mut nothing = &b""[..];
            let put = Put {
                expiry: Expiry::Keep,
                modified: state.modified,
                ..Put::new(&mut nothing, Condition::Etag(was))
            };
            let put = self
                .store()
                .and_then(|store| store.put(&namespace, &key, put, self.clock()));
            if let Some(is) = self.answer_of(&key, put)? {
                state.pin.etag = Some(is);
                follow::move_pins(self, (inode, Some(buffer)), was, is, None);
            }
        }
        Ok(())
    }

    /// Stores what was changed before another changes the file. That it is refused is told to who has changed it.
    pub(super) fn store_before(&self, inode: &Arc<Inode>, buffer: &Arc<Buffer>) -> Answer<()> {
        match self.store_buffer(inode, buffer, &mut buffer.state()) {
            Err(Errno::ESTALE) => Ok(()),
            stored => stored,
        }
    }

    /// Puts a draft in the place of the entry that it was made of. Where that is not there any more,
    /// a whole takes the place of whatever is, and a part of none. Returns false where others have made
    /// another of what was only emptied.
    fn store_draft(&self, file: &FullKey, state: &mut State) -> Result<bool> {
        let (namespace, key) = file;
        let (store, clock) = (self.store()?, self.clock());
        let mut conflicts = Conflicts::default();
        loop {
            let Some(draft) = &state.draft else {
                return Ok(true);
            };
            let (expiry, modified) = (state.expiry, state.modified);
            let put = |pin: Pin, condition| {
                let mut value = draft.source(&self.spill);
                let put = Put {
                    expiry: expiry.unwrap_or(pin.expiry()),
                    modified,
                    ..Put::new(&mut value, condition)
                };
                store.put(namespace, key, put, clock)
            };
            let done = match put(state.pin, state.pin.condition()) {
                // What is damaged has no etag, and a whole repairs it.
                Err(err) if state.is_whole && err.is_damage() => {
                    state.pin.etag = None;
                    put(state.pin, Condition::Always)
                }
                done => done,
            };
            if let Some(etag) = done? {
                state.pin.etag = Some(etag);
                if let Some(expiry) = state.expiry.take() {
                    state.pin.expires = match expiry {
                        Expiry::At(deadline) => Some(deadline),
                        _ => None,
                    };
                }
                return Ok(true);
            }
            let found = store.stat(namespace, key, self.now())?;
            if state.is_idle() && !found.as_ref().is_some_and(|meta| state.is_still(meta)) {
                // Others have emptied it, too.
                let nothing = found.filter(|meta| meta.size == 0);
                nothing.iter().for_each(|meta| state.is_now(meta));
                return Ok(nothing.is_some());
            }
            let was = state.pin;
            state.pin = match found {
                // As where a service has stored it and could not say so.
                Some(meta)
                    if !state.is_whole && self.is_stored(file, draft)? == Some(meta.etag) =>
                {
                    state.is_now(&meta);
                    return Ok(true);
                }
                _ if !state.is_whole => return Err(stale("store", Some(file))),
                Some(meta) => Pin::of(&meta),
                // Its time is over, and what was written with it.
                None if was.expires.is_some_and(|end| end.is_over(self.now())) => {
                    return Err(stale("store", Some(file)));
                }
                None => Pin { etag: None, ..was },
            };
            if state.pin == was {
                conflicts.pause(store.busy_timeout(), key)?;
            }
        }
    }

    /// Returns the entry of a key if that holds just this.
    fn is_stored(&self, (namespace, key): &FullKey, draft: &Draft) -> Result<Option<Etag>> {
        let found = self.store()?.get(namespace, key, self.now())?;
        let Some(mut entry) = found.filter(|entry| entry.meta.size == draft.len()) else {
            return Ok(None);
        };
        let (mut at, mut is_same) = (0, true);
        let read = entry.value.for_each(|part| {
            let own = draft.read(at, part.len())?;
            is_same &= own == part;
            at += part.len() as u64;
            Ok(())
        })?;
        Ok((is_same && read.is_ok()).then_some(entry.meta.etag))
    }

    /// Adds to what the key holds, unless that is nothing any more.
    fn store_tail(
        &self,
        inode: &Arc<Inode>,
        buffer: &Arc<Buffer>,
        file: &FullKey,
        state: &mut State,
    ) -> Result<bool> {
        let (namespace, key) = file;
        let (store, clock) = (self.store()?, self.clock());
        let found = store.stat(namespace, key, self.now())?;
        let found = found.ok_or_else(|| stale("store", Some(file)))?;
        buffer.show_onto(found.size);
        // An append to what expires just now would make a value that never does.
        let etags = match (&state.tail, found.expires) {
            (Draft::Memory(tail), None) => store.append(namespace, key, tail, clock)?,
            (tail, _) => {
                let tail = || tail.source(&self.spill);
                let added = modify::append(store, namespace, key, tail, clock, false)?;
                Some(added.ok_or_else(|| stale("store", Some(file)))?)
            }
        };
        let expiry = state.expiry.take();
        let expired = expiry.map(|expiry| store.expire(namespace, key, expiry, clock));
        // Who has it open beside goes on with what it is now, if that is what they hold and what was added.
        let next = |held: &Reader| {
            let (was, is) = etags?;
            let is_of = held.pin().etag == was && !held.is_mixed();
            let now = is_of.then(|| Reader::open(self, namespace, key).ok()?);
            now?.filter(|now| now.pin().etag == Some(is))
        };
        follow::part(inode, buffer, state, next);
        expired.transpose()?;
        Ok(true)
    }
}
