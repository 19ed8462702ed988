//! Writing to files.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use fuser::Errno;

use crate::store::Time;

use super::buffer::{Buffer, Kind, State};
use super::draft::{Draft, Undo, must_have_room};
use super::inode::{Handle, Mode};
use super::reader::Reader;
use super::{Answer, App, failure, follow};

/// What a buffer was before something was written to it.
struct Before {
    undo: Undo,
    is_changed: bool,
    is_given_up: bool,
    was_written: bool,
    modified: Option<Time>,
    owes: u64,
    only_adds: bool,
}

/// Returns the buffer that is about to be written to. What is added by who only adds to the file, and what
/// others change of it, is never pending together: the one is stored before the other begins. Where that is
/// refused, or another has emptied the file, who only adds goes on as who opens it anew. It is the file's turn.
fn buffer_to_write(app: &App, handle: &Handle, adds: bool) -> Answer<Arc<Buffer>> {
    let mut buffer = handle.written()?;
    let inode = &handle.inode;
    let only_adds = handle.only_adds.load(SeqCst) && adds;
    // What else was written through it has gone.
    let refused = *handle.refused.lock();
    let is_gone = !adds || handle.is_untold.swap(false, SeqCst);
    if let Some(err) = refused.filter(|err| is_gone && *err != Errno::ESTALE) {
        return Err(err);
    }
    if inode.name().is_none() || only_adds && handle.owes_to(&buffer.state()) {
        return Ok(buffer);
    }
    if let Some(current) = inode.buffer().filter(|is| only_adds || handle.shares(is)) {
        let mut state = current.state();
        let is_added = !state.tail.is_empty();
        let is_part = !is_added && state.is_changed && !state.is_whole;
        let is_own = handle.shares(&current) && handle.is_anew.load(SeqCst);
        let is_in_the_way = match only_adds {
            // It was emptied before that.
            _ if state.is_idle() && !is_own => true,
            true => is_part && state.kind == Kind::Key,
            false => is_added && !adds,
        };
        if is_in_the_way {
            match app.store_buffer(inode, &current, &mut state) {
                // Only for who has changed it.
                Err(Errno::ESTALE) if only_adds => {}
                stored => stored?,
            }
        }
    }
    if !only_adds {
        let mut state = buffer.state();
        let is_anew = handle.is_anew.load(SeqCst);
        // What was emptied and changed in place is a whole once who has emptied it writes to it.
        if !state.is_pending() || state.is_given_up || is_anew && state.draft.is_some() {
            state.is_whole = is_anew;
        }
        drop(state);
        return Ok(buffer);
    }
    if !inode.is_current(&buffer) {
        let mode = Mode {
            writes: true,
            appends: true,
            ..Mode::default()
        };
        let (next, _) = app.buffer_for(handle.number, inode, mode)?;
        let next = next.ok_or(Errno::ESTALE)?;
        handle.is_anew.store(false, SeqCst);
        follow::move_to(app, handle, &buffer, &next);
        buffer = next;
    }
    let mut state = buffer.state();
    if !state.is_pending()
        && let Some(draft) = state.draft.take()
    {
        // Who has it open beside holds what it is so far.
        state.is_whole = false;
        let handles = inode.handles().into_iter();
        for other in handles.filter(|other| other.shares(&buffer)) {
            let is_added_to = other.only_adds.load(SeqCst);
            let held = Reader::stored(state.pin, state.modified.unwrap_or(app.now()), Some(&draft));
            other.hold_on(&mut other.reader.lock(), held.filter(|_| !is_added_to));
            other.is_anew.store(false, SeqCst);
        }
        buffer.show(&state, app.now());
    }
    drop(state);
    Ok(buffer)
}

/// Writes through an opening, at the end where no offset is named. With `syncs` it is stored, too. A write
/// that fails leaves all as it was.
pub(super) fn write_file(
    app: &App,
    handle: &Handle,
    offset: Option<u64>,
    bytes: &[u8],
    syncs: bool,
) -> Answer<()> {
    let now = app.now();
    let _turn = handle.inode.turn.lock();
    let buffer = buffer_to_write(app, handle, offset.is_none())?;
    let mut state = buffer.state();
    let was_pending = state.is_pending();
    let is_at_end = offset.is_none();
    let adds = is_at_end && state.draft.is_none() && handle.inode.name().is_some();
    if !adds {
        app.answer(app.load(handle, &mut state))?;
    }
    let State { draft, tail, .. } = &mut *state;
    let draft = draft.as_mut().unwrap_or(tail);
    let offset = offset.unwrap_or(draft.len());
    let end = offset.saturating_add(bytes.len() as u64);
    must_have_room(&app.config, draft.len(), end)?;
    let written = draft.write(offset, bytes, &app.spill);
    let undo = app.answer(written.map_err(|err| failure("write", app, err)))?;
    let before = Before {
        undo,
        is_changed: state.is_changed,
        is_given_up: state.is_given_up,
        was_written: state.was_written,
        modified: state.modified,
        owes: handle.owes.load(SeqCst),
        only_adds: handle.only_adds.fetch_and(is_at_end, SeqCst),
    };
    if adds {
        handle.hold_on(&mut handle.reader.lock(), None);
    }
    state.note_written(now);
    handle.owe_to(&state);
    state.was_written = true;
    if !was_pending {
        follow::lead(app, handle, &buffer, &mut state, false);
    }
    buffer.show(&state, now);
    if syncs && let Err(err) = app.store_through(handle, &buffer, &mut state) {
        take_back(app, handle, &buffer, &mut state, &before);
        return Err(err);
    }
    Ok(())
}

/// Takes back what could not be stored with the write that it came with.
fn take_back(app: &App, handle: &Handle, buffer: &Arc<Buffer>, state: &mut State, before: &Before) {
    let undone = state
        .draft
        .as_mut()
        .unwrap_or(&mut state.tail)
        .undo(&before.undo);
    _ = app.answer(undone.map_err(|err| failure("write", app, err)));
    state.is_changed = before.is_changed;
    state.is_given_up = before.is_given_up;
    state.was_written = before.was_written;
    state.modified = before.modified;
    handle.owes.store(before.owes, SeqCst);
    handle.only_adds.store(before.only_adds, SeqCst);
    *handle.refused.lock() = None;
    if state.is_idle() {
        // To empty it was only the beginning, and what it held is not to go for that.
        handle.owes.store(0, SeqCst);
        follow::give_up(&handle.inode, buffer, state);
    }
    buffer.show(state, app.now());
}

/// Cuts what an opening holds, or adds zeros.
pub(super) fn resize_file(app: &App, handle: &Handle, len: u64) -> Answer<()> {
    let now = app.now();
    let inode = &handle.inode;
    let _turn = inode.turn.lock();
    let (buffer, pin) = match len {
        // It is emptied of what it is now.
        0 => (handle.written()?, app.pin(inode)?),
        _ => (buffer_to_write(app, handle, false)?, None),
    };
    let mut state = buffer.state();
    let was_pending = state.is_pending();
    if len == 0 {
        state.tail = Draft::default();
        state.draft = Some(Draft::default());
        state.is_whole = true;
    } else {
        app.answer(app.load(handle, &mut state))?;
        if let Some(draft) = &mut state.draft {
            must_have_room(&app.config, draft.len(), len)?;
            let done = draft.set_len(len, &app.spill);
            app.answer(done.map_err(|err| failure("write", app, err)))?;
        }
    }
    handle.only_adds.store(false, SeqCst);
    state.note_written(now);
    handle.owe_to(&state);
    if len == 0 {
        handle.is_anew.store(true, SeqCst);
        state.was_written = false;
        state.pin = pin.unwrap_or(state.pin);
        state.was = pin.and_then(|_| *inode.last.lock());
    }
    if !was_pending || len == 0 {
        follow::lead(app, handle, &buffer, &mut state, len == 0);
    }
    buffer.show(&state, now);
    Ok(())
}
