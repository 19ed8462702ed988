//! Opening, reading, writing and closing files, and storing what was written.

use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use fuser::Errno;

use crate::os::{self, Writer};
use crate::store::{Condition, Expiry, Put, StoreError, Time};

use super::body::{Body, Change, Content, Full, Handle, Kind, Mode, State};
use super::draft::Draft;
use super::reader::Reader;
use super::{Answer, App, failure, hold};

/// What is appended is kept up to so many bytes, to be added to the value in one step.
const LONGEST_TAIL: usize = 1 << 20;

impl App {
    /// Opens a file that is there.
    pub(super) fn open_file(&self, number: u64, mode: Mode) -> Answer<u64> {
        let place = self.nodes().place(number);
        let body = match place {
            Some(place) => {
                let file = self.file_of(&place)?;
                let mut files = self.files();
                let body = files.named(&file).unwrap_or_else(|| {
                    let body = Arc::default();
                    files.name(&file, &body);
                    body
                });
                body.handles.fetch_add(1, SeqCst);
                body
            }
            None => {
                let files = self.files();
                let body = files.removed(number).ok_or(Errno::ENOENT)?;
                body.handles.fetch_add(1, SeqCst);
                body
            }
        };
        let opened = self.open_body(number, &body, mode);
        opened.inspect_err(|_| self.close_body(number, &body))
    }

    fn open_body(&self, number: u64, body: &Arc<Body>, mode: Mode) -> Answer<u64> {
        let mut reader = None;
        let mut content = body.content();
        if mode.truncates {
            if content.writers.load(SeqCst) > 0 {
                content = Arc::default();
                body.replace(&content);
            }
            let mut state = content.state();
            state.tail.clear();
            state.draft = Some(Draft::default());
            state.change = Change::Emptied;
            state.modified = Some(self.now());
            state.was_killed = false;
            body.show(&content, &state, self.now());
        } else if let Some((namespace, key)) = body.place()
            && body.seen().whole.is_none()
        {
            if mode.writes {
                let found = self.stat(&namespace, &key)?;
                found.ok_or(Errno::ENOENT)?;
            } else {
                let found = self.answer(Reader::open(self, &namespace, &key))?;
                reader = Some(found.ok_or(Errno::ENOENT)?);
            }
        }
        if mode.writes {
            content.writers.fetch_add(1, SeqCst);
        }
        Ok(self.files().add_handle(Handle {
            number,
            body: Arc::clone(body),
            content,
            writes: mode.writes,
            appends: mode.appends,
            opener: mode.writes.then(|| Writer::of(mode.thread)),
            reader: Mutex::new(reader),
        }))
    }

    /// Makes a file, to be stored when it is closed, and opens it.
    pub(super) fn create_file(&self, number: u64, file: &Full, kind: Kind, mode: Mode) -> u64 {
        let now = self.now();
        let body = Arc::new(Body::default());
        let content = body.content();
        let mut state = content.state();
        *state = State {
            kind,
            draft: Some(Draft::default()),
            change: Change::Emptied,
            modified: Some(now),
            ..State::default()
        };
        body.show(&content, &state, now);
        drop(state);
        body.handles.fetch_add(1, SeqCst);
        content.writers.fetch_add(1, SeqCst);
        let mut files = self.files();
        files.name(file, &body);
        files.add_handle(Handle {
            number,
            body,
            content,
            writes: true,
            appends: mode.appends,
            opener: Some(Writer::of(mode.thread)),
            reader: Mutex::new(None),
        })
    }

    /// Ends an opening. What nobody has stored is stored now, unless its writer was killed.
    pub(super) fn close_file(&self, handle: u64) -> Answer<()> {
        let Some(handle) = self.files().handles.remove(&handle) else {
            return Err(Errno::EBADF);
        };
        let mut stored = Ok(());
        if handle.writes {
            let mut state = handle.content.state();
            if !state.was_killed {
                stored = self.store_body(&handle.body, &handle.content, &mut state);
            }
            drop(state);
            handle.content.writers.fetch_sub(1, SeqCst);
        }
        self.close_body(handle.number, &handle.body);
        stored
    }

    /// Stores what was changed as somebody closes the file, unless a signal has killed them.
    pub(super) fn flush_file(&self, handle: u64, process: u32) -> Answer<()> {
        let handle = self.files().handle(handle)?;
        let body = &handle.body;
        let mut state = handle.content.state();
        if state.change == Change::None {
            return Ok(());
        }
        // Whoever has opened it may have handed it on, as a shell does with its standard output, and
        // goes on with it.
        let point = match self.is_ending.load(SeqCst) {
            true => Path::new("/"),
            false => &self.point,
        };
        if let Some(opener) = &handle.opener
            && let Some(path) = body.place().and_then(|file| self.path_of(&file))
            && opener.holds_open(&point.join(path))
        {
            return Ok(());
        }
        let opener = handle.opener.as_ref();
        state.was_killed = os::is_killed(opener, state.writer.as_ref(), process);
        if state.was_killed {
            return Ok(());
        }
        self.store_body(body, &handle.content, &mut state)
    }

    fn close_body(&self, number: u64, body: &Arc<Body>) {
        let mut files = self.files();
        if body.handles.fetch_sub(1, SeqCst) > 1 {
            drop(files);
            return self.settle(body);
        }
        files.removed.remove(&number);
        drop(files);
        self.settle(body);
    }

    /// Lets go of what is in the store as well.
    pub(super) fn settle(&self, body: &Arc<Body>) {
        let content = body.content();
        let mut state = content.state();
        if state.kind != Kind::Key {
            return;
        }
        let mut files = self.files();
        if content.writers.load(SeqCst) == 0 && body.place().is_some() {
            // Whoever still reads it reads the key's value from now on.
            *state = State::default();
            body.show(&content, &state, self.now());
        }
        if body.handles.load(SeqCst) == 0
            && let Some(file) = body.place()
            && files
                .named(&file)
                .is_some_and(|named| Arc::ptr_eq(&named, body))
        {
            files.unname(&file);
        }
    }

    /// Reads through an opening.
    pub(super) fn read_file(&self, handle: &Handle, offset: u64, size: usize) -> Answer<Vec<u8>> {
        let body = &handle.body;
        let content = match handle.writes {
            true => Arc::clone(&handle.content),
            false => body.content(),
        };
        let mut state = content.state();
        if !state.tail.is_empty() {
            self.answer(self.load(body, &mut state))?;
        }
        if let Some(draft) = &state.draft {
            let read = draft.read(offset, size);
            return self.answer(read.map_err(|err| failure("read", self, err)));
        }
        drop(state);
        let place = body.place();
        let place = place.as_ref().map(|(namespace, key)| (namespace, key));
        let mut reader = hold(&handle.reader);
        if reader.is_none() {
            let (namespace, key) = place.ok_or(Errno::ESTALE)?;
            *reader = self.answer(Reader::open(self, namespace, key))?;
        }
        let reader = reader.as_mut().ok_or(Errno::ESTALE)?;
        self.answer(reader.read(self, place, offset, size))
    }

    /// Writes through an opening.
    pub(super) fn write_file(
        &self,
        handle: &Handle,
        thread: u32,
        offset: u64,
        bytes: &[u8],
    ) -> Answer<()> {
        let body = &handle.body;
        let now = self.now();
        let mut state = handle.content.state();
        let is_whole = state.draft.is_some() || body.place().is_none();
        if handle.appends && !is_whole && state.tail.len() + bytes.len() <= LONGEST_TAIL {
            state.tail.extend_from_slice(bytes);
        } else {
            self.answer(self.load(body, &mut state))?;
            let draft = state.draft.get_or_insert_default();
            let offset = if handle.appends { draft.len() } else { offset };
            let written = draft.write(offset, bytes, &self.spill);
            self.answer(written.map_err(|err| failure("write", self, err)))?;
        }
        note_written(&mut state, now);
        if !state
            .writer
            .as_ref()
            .is_some_and(|writer| writer.is(thread))
        {
            state.writer = Some(Writer::of(thread));
        }
        body.show(&handle.content, &state, now);
        Ok(())
    }

    /// Cuts what an opening holds, or adds zeros.
    pub(super) fn resize_file(&self, handle: &Handle, len: u64) -> Answer<()> {
        let body = &handle.body;
        let now = self.now();
        let mut state = handle.content.state();
        if len == 0 {
            state.tail.clear();
            state.draft = Some(Draft::default());
        } else {
            self.answer(self.load(body, &mut state))?;
            let draft = state.draft.get_or_insert_default();
            let done = draft.set_len(len, &self.spill);
            self.answer(done.map_err(|err| failure("write", self, err)))?;
        }
        note_written(&mut state, now);
        if len == 0 {
            state.change = Change::Emptied;
        }
        body.show(&handle.content, &state, now);
        Ok(())
    }

    /// Keeps what a file holds for those who have it open, as it is about to be removed.
    pub(super) fn keep_for_users(&self, body: &Body, last: (u64, Time)) -> Answer<()> {
        let content = body.content();
        if content.writers.load(SeqCst) > 0 {
            let mut state = content.state();
            self.answer(self.load(body, &mut state))?;
            body.show(&content, &state, last.1);
        }
        *hold(&body.last) = Some(last);
        Ok(())
    }

    /// Makes a draft of what the key holds, unless there is one.
    pub(super) fn load(&self, body: &Body, state: &mut State) -> Result<(), StoreError> {
        if state.draft.is_some() {
            return Ok(());
        }
        let found = match body.place() {
            Some((namespace, key)) => self.store()?.get(&namespace, &key, self.now())?,
            None => None,
        };
        let mut draft = match found {
            Some(entry) => Draft::of(entry.value, &self.spill)?,
            None => Draft::default(),
        };
        let written = draft.write(draft.len(), &state.tail, &self.spill);
        written.map_err(|err| failure("write", self, err))?;
        state.tail.clear();
        state.draft = Some(draft);
        Ok(())
    }

    /// Stores what was changed, in one step.
    pub(super) fn store_body(
        &self,
        body: &Body,
        content: &Arc<Content>,
        state: &mut State,
    ) -> Answer<()> {
        let stored = match (state.change, state.kind, body.place()) {
            (Change::None, ..) => return Ok(()),
            (_, Kind::Key, Some(file)) => self.store_at(&file, state).map(|()| Some(file)),
            _ => Ok(None),
        };
        if let Some((namespace, key)) = self.answer(stored)? {
            self.shape(&namespace).note(key.as_bytes(), true);
            self.memory().unhide(&namespace);
        }
        state.change = Change::None;
        body.show(content, state, self.now());
        Ok(())
    }

    fn store_at(&self, (namespace, key): &Full, state: &mut State) -> Result<(), StoreError> {
        let (store, clock) = (self.store()?, self.clock());
        match &state.draft {
            Some(draft) => {
                let put = Put {
                    value: &mut draft.source(&self.spill),
                    expiry: state.expiry.unwrap_or(Expiry::Keep),
                    modified: state.modified,
                    condition: Condition::Always,
                };
                store.put(namespace, key, put, clock)?;
            }
            None => {
                store.append(namespace, key, &state.tail, clock)?;
                state.tail.clear();
                if let Some(expiry) = state.expiry {
                    store.expire(namespace, key, expiry, clock)?;
                }
            }
        }
        state.expiry = None;
        Ok(())
    }
}

fn note_written(state: &mut State, now: Time) {
    state.change = Change::Written;
    state.modified = Some(now);
    state.was_killed = false;
    if state.kind == Kind::Probe {
        state.kind = Kind::Key;
    }
}
