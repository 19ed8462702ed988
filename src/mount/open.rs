//! Opening, reading, writing and closing files.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use fuser::Errno;

use crate::os::{self, Writer};
use crate::store::{Condition, Etag, Put, Store, Time};

use super::buffer::{Buffer, Kind, Pin, State};
use super::draft::{Draft, must_have_room};
use super::inode::{Handle, Inode, Mode};
use super::nodes::FullKey;
use super::reader::Reader;
use super::{Answer, App, descriptors, failure, follow, told};

/// What was removed since it was found is looked for so often more, after a pause each time: it may
/// be made anew again and again, and the kernel looks only twice before it tells of a stale file.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(2);

impl App {
    /// Opens a file that is there. Where it is not any more, the kernel looks again for the name, but
    /// only once: then nothing is there. So it does where a file is to be emptied of which others hold
    /// something, and finds it by another number.
    pub(super) fn open_file(&self, number: u64, mut mode: Mode) -> Answer<u64> {
        if mode.truncates && !mode.writes {
            self.resize(number, None, 0)?;
            mode.truncates = false;
        }
        let was_told = mode.thread == 0 || told::looks_again(self, mode.thread);
        mode.is_first = !was_told;
        match self.open_found(number, mode) {
            Err(Errno::ESTALE) if was_told => Err(Errno::ENOENT),
            Err(Errno::ESTALE) => {
                told::note_stale(self, mode.thread);
                Err(Errno::ESTALE)
            }
            opened => opened.inspect(|handle| told::note_opened(self, number, *handle)),
        }
    }

    /// Opens a file that was just found.
    pub(super) fn open_found(&self, number: u64, mode: Mode) -> Answer<u64> {
        os::spare_descriptors().map_err(|err| self.failed(&failure("open", self, err)))?;
        let (node, last) = {
            let nodes = self.nodes.lock();
            (nodes.node(number), nodes.last_node(number))
        };
        let open = self.files.lock().numbered(number);
        if let Some(inode) = open.filter(|_| node.is_none()) {
            let _turn = inode.turn.lock();
            return self.open_inode(number, &inode, mode);
        }
        // Another file may have taken the name since the kernel looked.
        let node = node.or(last).ok_or(Errno::ESTALE)?;
        let file = self.file_of(&node)?;
        self.in_turn(&file, |inode| self.open_inode(number, inode, mode))
    }

    /// Opens a file in its turn. Who looks for what has a name finds it by another number, where this one lost it
    /// before or while the turn was waited for.
    fn open_inode(&self, number: u64, inode: &Arc<Inode>, mode: Mode) -> Answer<u64> {
        let is_named = || self.nodes.lock().node(number).is_some();
        if mode.is_first && inode.name().is_some() && !is_named() {
            return Err(Errno::ESTALE);
        }
        let opened = self.buffer_for(number, inode, mode)?;
        Ok(self.add_handle(number, inode, opened, mode))
    }

    /// Returns what an opening works on: what is being changed, or what the key holds.
    pub(super) fn buffer_for(
        &self,
        number: u64,
        inode: &Arc<Inode>,
        mode: Mode,
    ) -> Answer<(Option<Arc<Buffer>>, Option<Reader>)> {
        self.settle_emptied(inode);
        if mode.truncates {
            must_have_room(&self.config, 0, 0)?;
            return Ok((Some(self.empty(number, inode, mode)?), None));
        }
        let pending = inode.buffer().filter(|is| is.state().is_pending());
        if let Some(buffer) = &pending {
            if mode.writes {
                self.make_for_all(inode, &mut buffer.state())?;
            }
            if mode.appends || buffer.state().draft.is_some() {
                return Ok((pending, None));
            }
        }
        let (pin, reader) = match mode.writes && mode.appends {
            true => (self.pin(inode)?, None),
            false => {
                let (namespace, key) = inode.name().ok_or(Errno::ESTALE)?;
                let open = || self.answer_of(&key, Reader::open(self, &namespace, &key));
                let mut reader = open()?;
                for _ in 0..LOOKS {
                    if reader.is_none() {
                        thread::sleep(PAUSE);
                        reader = open()?;
                    }
                }
                let reader = reader.ok_or(Errno::ESTALE)?;
                *inode.last.lock() = Some(reader.stat());
                (Some(reader.pin()), Some(reader))
            }
        };
        let pin = pin.ok_or(Errno::ESTALE)?;
        told::must_be_one(self, (number, inode), mode, pin.etag)?;
        if pending.is_some() || !mode.writes {
            return Ok((pending, reader));
        }
        if let Some(buffer) = inode.goes_on(pin) {
            buffer.state().pin = pin;
            inode.replace(&buffer);
            return Ok((Some(buffer), reader));
        }
        let state = State {
            pin,
            ..State::default()
        };
        let buffer = Buffer::new(state, self.now());
        inode.replace(&buffer);
        Ok((Some(buffer), reader))
    }

    /// Empties a file for who opens it so: for all who have it open to change what it holds, as one file, or
    /// else for that one alone.
    fn empty(&self, number: u64, inode: &Arc<Inode>, mode: Mode) -> Answer<Arc<Buffer>> {
        // It is emptied of what has come so far.
        if let Some(buffer) = inode.buffer().filter(|is| inode.is_changed_in_place(is)) {
            self.store_before(inode, &buffer)?;
        }
        let kind = inode.buffer().map(|buffer| buffer.state().kind);
        // What others have removed since it was found is made anew, as by who found nothing.
        let pin = match self.pin(inode)? {
            None if kind.is_none() && inode.name().is_none() => return Err(Errno::ESTALE),
            pin => pin.unwrap_or_default(),
        };
        let mut emptied = State::emptied(pin, self.now());
        emptied.kind = kind.unwrap_or_default();
        emptied.was = pin.etag.and_then(|_| *inode.last.lock());
        let together = inode.goes_on(pin).filter(|is| inode.is_one_to_all(is));
        let is_kept = follow::is_kept(self, number, inode, together.as_ref());
        if mode.is_first && is_kept {
            let node = self.nodes.lock().node(number);
            if let Some(node) = node {
                self.nodes.lock().detach(number, &node);
                return Err(Errno::ESTALE);
            }
        }
        let emptied = self.emptied_for(inode, together, emptied);
        follow::join(self, number, inode, (&emptied, !is_kept));
        Ok(emptied)
    }

    /// Empties what some of those go on with who have a file open to write, or begins another for one.
    fn emptied_for(
        &self,
        inode: &Inode,
        together: Option<Arc<Buffer>>,
        mut emptied: State,
    ) -> Arc<Buffer> {
        let now = self.now();
        if let Some(buffer) = together {
            let mut state = buffer.state();
            (emptied.writers, emptied.stores) = (state.writers, state.stores);
            emptied.expiry = state.expiry;
            let was_pending = mem::replace(&mut *state, emptied).is_pending();
            buffer.show(&state, now);
            for other in inode.handles().iter().filter(|is| is.shares(&buffer)) {
                if other.only_adds.load(SeqCst) {
                    other.hold_on(&mut other.reader.lock(), None);
                } else if !was_pending && other.writes {
                    follow::lead(self, other, &buffer, &mut state, false);
                }
            }
            drop(state);
            inode.replace(&buffer);
            return buffer;
        }
        let buffer = Buffer::new(emptied, now);
        inode.replace(&buffer);
        buffer
    }

    /// Puts nothing where a file is there only for those who see what somebody writes anew, as another opens it to write.
    fn make_for_all(&self, inode: &Inode, state: &mut State) -> Answer<()> {
        let is_new = state.is_whole && state.pin == Pin::default() && state.kind == Kind::Key;
        if let Some((namespace, key)) = inode.name().filter(|_| is_new) {
            let now = self.now();
            state.pin.etag = self.put_nothing(&*self.config.maker, &(namespace, key), now)?;
            state.was = Some((0, now));
        }
        Ok(())
    }

    /// Makes an empty entry of a key that has none; `None` where it has one.
    fn put_nothing(&self, maker: &dyn Store, file: &FullKey, now: Time) -> Answer<Option<Etag>> {
        let (namespace, key) = file;
        let mut nothing = &b""[..];
        let put = Put {
            modified: Some(now),
            ..Put::new(&mut nothing, Condition::Absent)
        };
        let made = self
            .store()
            .and_then(|_| maker.put(namespace, key, put, self.clock()));
        let made = self.answer_of(key, made)?;
        if made.is_some() {
            self.dir_index(namespace).note(key.as_bytes(), true);
            self.memory.lock().note_stored(file);
        }
        Ok(made)
    }

    /// Lets who has emptied a file and written nothing leave it to others who have made it another since.
    pub(super) fn settle_emptied(&self, inode: &Inode) {
        if let Some(buffer) = inode.buffer().filter(|is| is.snapshot().is_idle)
            && let Some((namespace, key)) = inode.name()
            && let Ok(found) = self.look(&namespace, &key)
        {
            let mut state = buffer.state();
            match found {
                _ if !state.is_idle() => {}
                Some(meta) if state.is_still(&meta) => state.pin = Pin::of(&meta),
                found if state.pin.etag == found.map(|meta| meta.etag) => {}
                Some(meta) if meta.size == 0 => {
                    state.is_now(&meta);
                    state.note_stored();
                    buffer.show(&state, self.now());
                }
                _ => self.leave_emptied(inode, &buffer, &mut state),
            }
        }
    }

    /// Tells whether somebody has locked what the kernel has by a number.
    pub(super) fn is_locked(&self, number: u64) -> bool {
        os::is_locked(self.device.load(SeqCst), number)
    }

    /// Notes that a file was emptied only before others have made it another.
    pub(super) fn leave_emptied(&self, inode: &Inode, buffer: &Arc<Buffer>, state: &mut State) {
        state.note_stored();
        inode.forget(buffer);
        buffer.show(state, self.now());
    }

    /// Returns the entry that a file is: one that is damaged, and may be replaced, is none.
    pub(super) fn pin(&self, inode: &Inode) -> Answer<Option<Pin>> {
        let Some((namespace, key)) = inode.name() else {
            return Ok(None);
        };
        let found = match self.look(&namespace, &key) {
            Err(err) if err.is_damage() => return Ok(Some(Pin::default())),
            found => self.answer_of(&key, found)?,
        };
        if let Some(meta) = &found {
            *inode.last.lock() = Some((meta.size, meta.modified));
        }
        Ok(found.as_ref().map(Pin::of))
    }

    fn add_handle(
        &self,
        number: u64,
        inode: &Arc<Inode>,
        (buffer, reader): (Option<Arc<Buffer>>, Option<Reader>),
        mode: Mode,
    ) -> u64 {
        let opener = mode.writes.then(|| {
            let opener = Writer::of(mode.thread);
            let is_alone = !inode
                .handles_by(number)
                .any(|other| descriptors::is_like(&other, mode));
            let beside = match is_alone {
                true => 0,
                false => opener.count_open(descriptors::opened(self, number, mode)),
            };
            (opener, beside)
        });
        let opened = Handle::new(number, inode, (buffer.clone(), reader), mode, opener);
        if let Some(buffer) = buffer.filter(|_| mode.writes) {
            let mut state = buffer.state();
            // What was put when it was made is stored, whatever others have done with it since.
            if mode.truncates || state.writers == 0 && state.is_changed && state.is_whole {
                opened.owe_to(&state);
            }
            state.writers += 1;
        }
        self.files.lock().add_handle(opened)
    }

    /// Makes a file in its turn, and opens it; `None` where others have made it. What is emptied on opening is stored
    /// when it is closed. Any other is put there at once: from then on it is a file as others are.
    pub(super) fn create_file(
        &self,
        number: u64,
        inode: &Arc<Inode>,
        kind: Kind,
        mode: Mode,
        exclusive: bool,
    ) -> Answer<Option<u64>> {
        os::spare_descriptors().map_err(|err| self.failed(&failure("make", self, err)))?;
        must_have_room(&self.config, 0, 0)?;
        let now = self.now();
        let mut state = State::emptied(Pin::default(), now);
        state.kind = kind;
        if (exclusive || !mode.truncates)
            && kind == Kind::Key
            && let Some(file) = inode.name()
        {
            // What is only added to is not stored once more, for a crash of the machine, when it is closed.
            let maker = match mode.appends {
                true => &self.config.store,
                false => &self.config.maker,
            };
            let Some(etag) = self.put_nothing(&**maker, &file, now)? else {
                return Ok(None);
            };
            state.pin.etag = Some(etag);
            if mode.appends {
                (state.draft, state.modified) = (None, None);
            }
            (state.is_whole, state.is_changed) = (false, false);
            // Who looks for the name is told what the key holds by then.
            state.unsynced = Some(etag).filter(|_| !mode.appends);
        }
        let buffer = Buffer::new(state, now);
        inode.replace(&buffer);
        let mode = Mode {
            writes: true,
            ..mode
        };
        let handle = self.add_handle(number, inode, (Some(buffer), None), mode);
        Ok(Some(handle))
    }

    /// Reads through an opening: by read(2), or pages of memory, which show all of what it is now.
    pub(super) fn read_file(
        &self,
        handle: &Handle,
        (offset, size): (u64, usize),
        is_page: bool,
    ) -> Answer<Vec<u8>> {
        let mut seam = handle.seam.lock();
        // Who begins before it reads all of what is there now.
        *seam = seam.filter(|at| is_page || offset > *at);
        if seam.is_some() && !is_page {
            return Err(Errno::ESTALE);
        }
        if handle.is_due(offset) {
            let met = follow::renew(self, handle, offset, is_page)?;
            *seam = seam.iter().chain(&met).min().copied();
        }
        drop(seam);
        let name = handle.inode.name();
        let buffer = handle.shown();
        let state = buffer.as_ref().map(|buffer| buffer.state());
        if let Some(draft) = state.as_ref().and_then(|state| state.draft.as_ref()) {
            let read = draft.read(offset, size);
            let read = self.answer(read.map_err(|err| failure("read", self, err)))?;
            handle.note_read(offset, read.len(), draft.len());
            return Ok(read);
        }
        // What is added is behind what it holds.
        let state = state.filter(|state| !state.tail.is_empty());
        let tail = state.as_ref().map(|state| &state.tail);
        let holder = handle.holder();
        let (by, handle) = (handle, holder.as_deref().unwrap_or(handle));
        let mut reader = handle.reader.lock();
        if reader.is_none() {
            let (namespace, key) = name.as_ref().ok_or(Errno::ESTALE)?;
            *reader = self.answer_of(key, Reader::open(self, namespace, key))?;
        }
        let held = reader.as_mut().ok_or(Errno::ESTALE)?;
        let read = self.answer(held.read(self, name.as_ref(), (offset, size), tail))?;
        let all = held.stat().0 + tail.map_or(0, Draft::len);
        handle.show(Some(held));
        by.note_read(offset, read.len(), all);
        Ok(read)
    }
}
