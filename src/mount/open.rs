//! Opening, reading, writing and closing files.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use fuser::Errno;

use crate::os::{self, Writer};
use crate::store::{Condition, Put};

use super::body::{Body, Handle, Mode};
use super::content::{Change, Content, Kind, LONGEST_TAIL, Pin, State};
use super::draft::Draft;
use super::reader::Reader;
use super::{Answer, App, failure, follow, hold};

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
        let was_told = hold(&self.told_stale).remove(&mode.thread) || mode.thread == 0;
        let opened = match mode.truncates && !was_told && follow::part_held(self, number) {
            true => Err(Errno::ESTALE),
            false => self.open_found(number, mode),
        };
        match opened {
            Err(Errno::ESTALE) if was_told => Err(Errno::ENOENT),
            Err(Errno::ESTALE) => {
                hold(&self.told_stale).insert(mode.thread);
                opened
            }
            opened => opened,
        }
    }

    /// Opens a file that was just found.
    pub(super) fn open_found(&self, number: u64, mode: Mode) -> Answer<u64> {
        os::spare_descriptors().map_err(|err| self.failed(&failure("open", self, err)))?;
        let (place, last) = {
            let nodes = self.nodes();
            (nodes.place(number), nodes.last_place(number))
        };
        // Asked here, as the table of files stays locked for as long as a condition's branch.
        let open = self.files().numbered(number);
        if place.is_none()
            && let Some(body) = open
        {
            let _turn = hold(&body.turn);
            return self.open_body(number, &body, mode);
        }
        // Another file may have taken the name since the kernel looked.
        let place = place.or(last).ok_or(Errno::ESTALE)?;
        let file = self.file_of(&place)?;
        self.in_turn(&file, |body| self.open_body(number, body, mode))
    }

    /// Opens a file in its turn.
    fn open_body(&self, number: u64, body: &Arc<Body>, mode: Mode) -> Answer<u64> {
        let opened = self.content_for(body, mode)?;
        Ok(self.add_handle(number, body, opened, mode))
    }

    /// Returns what an opening works on: what is being changed, or what the key holds.
    fn content_for(
        &self,
        body: &Arc<Body>,
        mode: Mode,
    ) -> Answer<(Option<Arc<Content>>, Option<Reader>)> {
        let current = body.content();
        let kind = current.as_ref().map(|content| content.state().kind);
        if mode.truncates {
            // What others have removed since it was found is made anew, as by who found nothing.
            let pin = match self.pin(body)? {
                None if kind.is_none() && body.place().is_none() => return Err(Errno::ESTALE),
                pin => pin.unwrap_or_default(),
            };
            let mut state = State::emptied(pin, self.now());
            state.kind = kind.unwrap_or_default();
            let content = Content::new(state, self.now());
            body.replace(&content);
            return Ok((Some(content), None));
        }
        if let Some(content) = &current
            && content.state().is_pending()
        {
            return Ok((current, None));
        }
        let (pin, reader) = match mode.writes && mode.appends {
            true => (self.pin(body)?, None),
            false => {
                let (namespace, key) = body.place().ok_or(Errno::ESTALE)?;
                let mut reader = self.answer(Reader::open(self, &namespace, &key))?;
                for _ in 0..LOOKS {
                    if reader.is_none() {
                        thread::sleep(PAUSE);
                        reader = self.answer(Reader::open(self, &namespace, &key))?;
                    }
                }
                let reader = reader.ok_or(Errno::ESTALE)?;
                *hold(&body.last) = Some(reader.told());
                (Some(reader.pin()), Some(reader))
            }
        };
        let pin = pin.ok_or(Errno::ESTALE)?;
        if !mode.writes {
            return Ok((None, reader));
        }
        if let Some(content) = current
            && Self::goes_on(body, &content, pin)
        {
            return Ok((Some(content), reader));
        }
        let state = State {
            pin,
            ..State::default()
        };
        let content = Content::new(state, self.now());
        body.replace(&content);
        Ok((Some(content), reader))
    }

    /// Returns the entry that a file is: one that is damaged, and may be replaced, is none.
    pub(super) fn pin(&self, body: &Body) -> Answer<Option<Pin>> {
        let Some((namespace, key)) = body.place() else {
            return Ok(None);
        };
        let found = match self.look(&namespace, &key) {
            Err(err) if err.is_damage() => return Ok(Some(Pin::default())),
            found => self.answer(found)?,
        };
        if let Some(meta) = &found {
            *hold(&body.last) = Some((meta.size, meta.modified));
        }
        Ok(found.as_ref().map(Pin::of))
    }

    fn add_handle(
        &self,
        number: u64,
        body: &Arc<Body>,
        (content, reader): (Option<Arc<Content>>, Option<Reader>),
        mode: Mode,
    ) -> u64 {
        let opener = mode.writes.then(|| Writer::of(mode.thread));
        let opened = Handle::new(number, body, (content.clone(), reader), opener);
        let id = self.files().add_handle(opened);
        if let Ok(handle) = self.files().handle(id)
            && let Some(content) = content.filter(|_| mode.writes)
        {
            let mut state = content.state();
            let is_changed = state.writers == 0 && state.change != Change::None;
            state.writers += 1;
            // What was put when it was made is stored, whatever others have done with it since.
            let is_owed = is_changed && state.is_whole;
            handle.owes.store(is_owed.into(), SeqCst);
            if is_changed {
                follow::lead(self, &handle, &content, &state, true);
            }
        }
        id
    }

    /// Makes a file in its turn, and opens it. It is stored when it is closed, but where nobody else
    /// may have made it, at once.
    pub(super) fn create_file(
        &self,
        number: u64,
        body: &Arc<Body>,
        kind: Kind,
        mode: Mode,
        exclusive: bool,
    ) -> Answer<u64> {
        os::spare_descriptors().map_err(|err| self.failed(&failure("make", self, err)))?;
        let now = self.now();
        let mut state = State::emptied(Pin::default(), now);
        state.kind = kind;
        if exclusive
            && kind == Kind::Key
            && let Some((namespace, key)) = body.place()
        {
            let mut nothing = &b""[..];
            let put = Put {
                modified: Some(now),
                ..Put::new(&mut nothing, Condition::Absent)
            };
            let made = self.store().and_then(|_| {
                let store = &self.config.maker;
                store.put(&namespace, &key, put, self.clock())
            });
            state.pin.etag = Some(self.answer(made)?.ok_or(Errno::EEXIST)?);
            // It is stored once more when it is closed, for a crash of the machine.
            state.is_whole = false;
            self.shape(&namespace).note(key.as_bytes(), true);
            self.memory().unhide(&namespace);
        }
        let content = Content::new(state, now);
        body.replace(&content);
        let mode = Mode {
            writes: true,
            ..mode
        };
        Ok(self.add_handle(number, body, (Some(content), None), mode))
    }

    /// Reads through an opening.
    pub(super) fn read_file(&self, handle: &Handle, offset: u64, size: usize) -> Answer<Vec<u8>> {
        if handle.ends_at(offset) {
            return Ok(Vec::new());
        }
        let place = handle.body.place();
        if let Some(content) = handle.content() {
            let mut state = content.state();
            let mut is_other = false;
            if !state.tail.is_empty() {
                // What is added is behind what it holds, if the key holds that still.
                let held = hold(&handle.reader)
                    .as_ref()
                    .map(|is| (is.told().0, is.pin()));
                let held = held.filter(|(len, _)| !handle.writes && offset < *len);
                if held.is_none_or(|(len, _)| offset.saturating_add(size as u64) > len) {
                    let viewed = self.view(&handle.body, &mut state);
                    self.answer(viewed.or_else(|err| held.map(|_| ()).ok_or(err)))?;
                }
                is_other = held.is_some_and(|(_, pin)| pin != state.pin);
            }
            if let Some(draft) = state.draft.as_ref().filter(|_| !is_other) {
                let read = draft.read(offset, size);
                return self.answer(read.map_err(|err| failure("read", self, err)));
            }
        }
        let mut reader = hold(&handle.reader);
        if reader.is_none() {
            let (namespace, key) = place.as_ref().ok_or(Errno::ESTALE)?;
            *reader = self.answer(Reader::open(self, namespace, key))?;
        }
        // What is written through the same opening is of the entry that it was opened on.
        let follows = !handle.writes;
        let held = reader.as_mut().ok_or(Errno::ESTALE)?;
        let read = held.read(self, place.as_ref(), follows, offset, size);
        handle.note_read(reader.as_ref());
        self.answer(read)
    }

    /// Writes through an opening, at the end where no offset is named.
    pub(super) fn write_file(
        &self,
        handle: &Handle,
        thread: u32,
        offset: Option<u64>,
        bytes: &[u8],
    ) -> Answer<()> {
        let content = handle.written()?;
        let now = self.now();
        let mut state = content.state();
        let was_pending = state.is_pending();
        let is_tail = state.draft.is_none() || !state.tail.is_empty();
        let fits = state.tail.len() + bytes.len() <= LONGEST_TAIL;
        if offset.is_none() && is_tail && fits && handle.body.place().is_some() {
            state.tail.extend_from_slice(bytes);
            handle.hold_on(&mut hold(&handle.reader), None);
        } else {
            self.answer(self.load(handle, &mut state))?;
        }
        if let Some(draft) = &mut state.draft {
            let offset = offset.unwrap_or(draft.len());
            self.must_have_room(draft.len(), offset)?;
            let written = draft.write(offset, bytes, &self.spill);
            self.answer(written.map_err(|err| failure("write", self, err)))?;
        }
        state.note_written(now);
        handle.owes.store(state.stores + 1, SeqCst);
        let is_known = state.writer.as_ref().is_some_and(|is| is.is(thread));
        if !is_known {
            // Each that is remembered takes a descriptor.
            let opener = handle.opener.as_ref().filter(|is| is.is(thread));
            let writer = opener.map_or_else(|| Arc::new(Writer::of(thread)), Arc::clone);
            state.writer = Some(writer);
        }
        content.show(&state, now);
        if !was_pending {
            follow::lead(self, handle, &content, &state, false);
        }
        Ok(())
    }

    /// Cuts what an opening holds, or adds zeros.
    pub(super) fn resize_file(&self, handle: &Handle, len: u64) -> Answer<()> {
        let content = handle.written()?;
        let now = self.now();
        let mut state = content.state();
        let was_pending = state.is_pending();
        if len == 0 {
            state.tail.clear();
            state.draft = Some(Draft::default());
            state.is_whole = true;
        } else {
            self.answer(self.load(handle, &mut state))?;
            if let Some(draft) = &mut state.draft {
                self.must_have_room(draft.len(), len)?;
                let done = draft.set_len(len, &self.spill);
                self.answer(done.map_err(|err| failure("write", self, err)))?;
            }
        }
        state.note_written(now);
        handle.owes.store(state.stores + 1, SeqCst);
        if len == 0 {
            state.change = Change::Emptied;
        }
        content.show(&state, now);
        if !was_pending {
            follow::lead(self, handle, &content, &state, false);
        }
        Ok(())
    }
}
