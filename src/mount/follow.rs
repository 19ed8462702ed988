//! What becomes of the openings of a file when it is changed through one of them, or made anew.

use std::cell::LazyCell;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use fuser::Errno;

use crate::store::{Etag, Time};

use super::buffer::{Buffer, Kind, Pin, State};
use super::draft::Draft;
use super::inode::{Handle, Inode, Mode};
use super::nodes::FullKey;
use super::reader::Reader;
use super::{Answer, App, beside};

/// Lets who only reads the entry that a buffer was made of see what becomes of it, as it is about to be changed;
/// as it is emptied in place (`empties`), all who read it by a number of who shares it. Who shares a buffer that
/// is added to, and holds something else than the key does now, has that apart.
pub(super) fn lead(app: &App, by: &Handle, buffer: &Arc<Buffer>, state: &mut State, empties: bool) {
    let is_added = state.draft.is_none();
    let name = by.inode.name();
    let etag = LazyCell::new(|| match name.as_ref().filter(|_| is_added) {
        // It is added to whatever the key holds.
        Some((namespace, key)) => app
            .look(namespace, key)
            .ok()
            .flatten()
            .map(|meta| meta.etag),
        None => state.pin.etag,
    });
    let handles = by.inode.handles();
    let sees = |is: &&Arc<Handle>| is.writes && is.shares(buffer) && !is.only_adds.load(SeqCst);
    let numbers = handles.iter().filter(sees).map(|is| is.number);
    let numbers: Vec<_> = numbers.chain([by.number]).collect();
    // They hold the same as who reads by that number.
    let sees = |is: Mode| is.writes && !is.only_writes && !is.appends;
    let is_other = |is: &Arc<Handle>| sees(is.mode) && !is.shares(buffer);
    let others: Vec<_> = handles
        .iter()
        .filter(|is| is_other(is))
        .map(|is| is.number)
        .collect();
    let mut apart = Vec::new();
    for other in handles {
        let is_beside = !other.writes && numbers.contains(&other.number);
        let is_free = is_beside && other.buffer().is_none();
        if !is_free && !other.shares(buffer) {
            continue;
        }
        // Not of what it may follow by now: its state may be held by who lets it, and waits for this one.
        let reader = other.reader.lock();
        let held = reader.as_ref().map(Reader::pin);
        let is_mixed = is_added && reader.as_ref().is_some_and(Reader::is_mixed);
        let is_of = !is_mixed && held.is_some_and(|held| held.etag == *etag);
        drop(reader);
        let is_other = match is_added {
            true => !is_of,
            false => other.only_adds.load(SeqCst),
        };
        match is_free {
            true if others.contains(&other.number) => {}
            true if is_of || empties => other.follow(Some(buffer)),
            false if held.is_some() && is_other => apart.push((other, held)),
            _ => {}
        }
    }
    beside::split(app, state, apart);
}

/// Lets go of what was to be added, as it is stored or never will be. Who has it open goes on with what comes
/// next of what they hold, and else keeps that with what was added.
pub(super) fn part(
    inode: &Inode,
    buffer: &Arc<Buffer>,
    state: &mut State,
    next: impl Fn(&Reader) -> Option<Reader>,
) {
    let tail = Arc::new(mem::take(&mut state.tail));
    let modified = state.modified.unwrap_or(Time(0));
    for handle in inode.handles() {
        let mut reader = handle.reader.lock();
        let Some(held) = reader.as_mut().filter(|_| handle.shares(buffer)) else {
            continue;
        };
        let next = next(held);
        let is_apart = next.is_none() && !handle.writes;
        match next {
            Some(next) => *held = next,
            None if handle.only_adds.load(SeqCst) => *reader = None,
            None => held.mix(&tail, modified),
        }
        handle.show_with(reader.as_ref(), Some(state.stores));
        if is_apart {
            handle.follow(None);
        }
    }
}

/// Lets nobody go on with what is stored nowhere and is not to be. What was to be added goes, and who has it open
/// adds only what comes.
pub(super) fn give_up(inode: &Inode, buffer: &Arc<Buffer>, state: &mut State) {
    state.is_given_up = true;
    inode.forget(buffer);
    if !state.tail.is_empty() && inode.name().is_some() {
        part(inode, buffer, state, |_| None);
        (state.is_changed, state.modified) = (false, None);
    }
}

/// Lets who has read to the end go on with what the file is now, if that is there: who has read no more than what
/// was the key's value. What is behind that in another is not what comes behind what they have read.
/// To read pages of memory is not to go on: where what is behind has changed is returned.
pub(super) fn renew(app: &App, handle: &Handle, offset: u64, is_page: bool) -> Answer<Option<u64>> {
    let inode = &handle.inode;
    let Some((namespace, key)) = inode.name() else {
        return Ok(None);
    };
    app.settle_emptied(inode);
    let current = inode.buffer();
    // Nobody stores it meanwhile.
    let state = current.as_ref().map(|is| is.state());
    let is_all = |state: &State| state.is_pending().then_some(state.draft.is_some());
    let is_all = state.as_ref().and_then(|state| is_all(state));
    let pending = current.as_ref().filter(|_| is_all.is_some());
    let mut reader = handle.reader.lock();
    let found = match is_all {
        Some(true) => None,
        _ => match app.stat(&namespace, &key)? {
            None => return Ok(None),
            found => found,
        },
    };
    let is_same = match pending {
        Some(pending) => handle.shares(pending),
        None => handle.buffer().is_none(),
    };
    let held = reader.as_ref().map(Reader::pin);
    if is_same && (found.is_none() || held == found.as_ref().map(Pin::of)) {
        return Ok(None);
    }
    let is_added = reader.as_ref().is_some_and(Reader::is_mixed)
        || handle
            .buffer()
            .is_some_and(|is| is.snapshot().tail.is_some());
    let seam = reader.as_ref().map(Reader::value_len).filter(|_| is_added);
    if !is_page && seam.is_some_and(|at| offset > at) {
        return Err(Errno::ESTALE);
    }
    let next = match found {
        None => None,
        Some(_) => match app.answer(Reader::open(app, &namespace, &key))? {
            None => return Ok(None),
            next => next,
        },
    };
    handle.follow(pending);
    handle.hold_on(&mut reader, next);
    Ok(seam.filter(|_| is_page))
}

/// Lets go of a buffer that nobody writes to any more and that is in the store as well, or never
/// will be. Who reads it reads on in what the key holds, if that is what it was stored as.
pub(super) fn retire(app: &App, inode: &Inode, buffer: &Arc<Buffer>) {
    let mut state = buffer.state();
    if state.writers > 0 || state.kind != Kind::Key {
        return;
    }
    inode.forget(buffer);
    if !state.tail.is_empty() {
        part(inode, buffer, &mut state, |_| None);
    }
    let readers = inode.handles().into_iter();
    for reader in readers.filter(|reader| reader.shares(buffer)) {
        let mut held = reader.reader.lock();
        if state.draft.is_some() || held.is_none() {
            let Some((namespace, key)) = inode.name() else {
                return;
            };
            match Reader::open(app, &namespace, &key) {
                // They hold what was never stored.
                _ if state.draft.is_some() && state.is_changed => continue,
                Ok(Some(now)) if state.draft.is_none() || now.pin().etag == state.pin.etag => {
                    reader.hold_on(&mut held, Some(now));
                }
                _ => continue,
            }
        }
        reader.follow(None);
    }
}

/// Lets go of what was to be written anew by who was killed, where others have it open to change what it holds: they
/// go on with the entry that it was made of, if that is there still. They do not where somebody reads on what was
/// written, which they would have by the same number.
pub(super) fn go_back(app: &App, inode: &Inode, buffer: &Arc<Buffer>, state: &mut State) {
    let Some((namespace, key)) = inode.name().filter(|_| !inode.in_place(buffer).is_empty()) else {
        return;
    };
    let mut all = inode.handles();
    all.retain(|is| is.shares(buffer));
    let open = || Reader::open(app, &namespace, &key).ok().flatten();
    let Some(entry) = open().filter(|is| is.pin().etag == state.pin.etag) else {
        return;
    };
    if all.iter().any(|is| !is.writes) {
        return;
    }
    for other in all {
        other.is_anew.store(false, SeqCst);
        let held = open().filter(|is| is.pin() == entry.pin() && !other.only_adds.load(SeqCst));
        other.hold_on(&mut other.reader.lock(), held);
    }
    *state = State {
        writers: state.writers,
        stores: state.stores,
        pin: entry.pin(),
        ..State::default()
    };
}

/// Lets go of what could not be stored. Who reads it keeps it, and who has it open to write goes on with the
/// entry that it was made of.
pub(super) fn drop_refused(app: &App, inode: &Inode, buffer: &Arc<Buffer>, state: &mut State) {
    let Some(draft) = state.draft.take() else {
        return;
    };
    let kept = State {
        draft: Some(draft),
        is_changed: true,
        is_given_up: true,
        modified: state.modified.take(),
        ..State::default()
    };
    let kept = Buffer::new(kept, app.now());
    (state.is_changed, state.is_whole) = (false, false);
    for other in inode.handles() {
        if !other.shares(buffer) {
            continue;
        }
        other.is_anew.store(false, SeqCst);
        if !other.writes {
            other.follow(Some(&kept));
            continue;
        }
        let mut held = other.reader.lock();
        if held.as_ref().map(Reader::pin) != Some(state.pin) {
            other.hold_on(&mut held, Reader::stored(state.pin, app.now(), None));
        }
    }
}

/// Notes that an entry is another now that holds the same, perhaps of another time. Of the buffer whose state the
/// caller has `held`, it has noted that itself.
pub(super) fn move_pins(
    app: &App,
    (inode, held): (&Inode, Option<&Arc<Buffer>>),
    from: Etag,
    to: Etag,
    modified: Option<Time>,
) {
    for handle in inode.handles() {
        let buffer = handle.buffer();
        if let Some(buffer) = buffer.filter(|is| held.is_none_or(|held| !Arc::ptr_eq(is, held))) {
            let mut state = buffer.state();
            if state.pin.etag == Some(from) {
                state.pin.etag = Some(to);
                if !state.is_pending() && modified.is_some() {
                    state.modified = modified;
                    buffer.show(&state, app.now());
                }
            }
        }
        let mut reader = handle.reader.lock();
        if let Some(reader) = &mut *reader {
            reader.move_to(from, to, modified);
        }
        handle.show(reader.as_ref());
    }
}

/// Keeps what a file holds for those who have it open, as it is about to be removed in its turn. Where it
/// cannot be had any more, reading it fails and nothing is stored.
pub(super) fn keep_for_users(app: &App, inode: &Inode, file: &FullKey, last: (u64, Time)) {
    let handles = inode.handles();
    // Twice: some have a buffer of their own once others have what they hold.
    for handle in handles.iter().chain(&handles) {
        if let Some(buffer) = handle.buffer() {
            // What one of them was opened on is what all of them have: who only adds may have read another.
            let mut state = buffer.state();
            let pin = |other: &Handle| other.reader.lock().as_ref().map(Reader::pin);
            let sharers = inode.handles().into_iter();
            let holders = sharers.filter(|other| other.shares(&buffer) && pin(other).is_some());
            let holder = holders.min_by_key(|other| pin(other) != Some(state.pin));
            let holder = holder.unwrap_or_else(|| Arc::clone(handle));
            let is_known = state.draft.is_some();
            keep_apart(app, file, &holder, &buffer, &state);
            _ = app.load(&holder, &mut state);
            if !state.is_pending() && !is_known {
                let held = holder.reader.lock().as_ref().map(Reader::stat);
                state.modified = held.or(Some(last)).map(|(_, modified)| modified);
            }
            buffer.show(&state, last.1);
        } else if let Some(reader) = &mut *handle.reader.lock() {
            reader.keep(app, file);
        }
    }
    *inode.last.lock() = Some(last);
}

/// Lets who only reads another entry than what is kept of a file have that, with what is to be added, apart.
fn keep_apart(app: &App, file: &FullKey, kept: &Handle, buffer: &Arc<Buffer>, state: &State) {
    let pin = kept.reader.lock().as_ref().map(Reader::pin);
    let modified = state.modified.unwrap_or(app.now());
    let mut others = kept.inode.handles();
    others.retain(|is| !is.writes && is.shares(buffer) && !state.tail.is_empty());
    for other in others {
        let mut reader = other.reader.lock();
        let Some(held) = reader.as_mut().filter(|held| Some(held.pin()) != pin) else {
            continue;
        };
        let mut added = Draft::default();
        // Without that they are told that what they read is stale.
        if added.add(&state.tail, &app.spill).is_ok() {
            held.keep(app, file);
            held.mix(&Arc::new(added), modified);
            other.show(Some(held));
            drop(reader);
            other.follow(None);
        }
    }
}

/// Tells whether a file that is emptied, for `all` who share that, is to be another: where all who have it open only
/// read it, and hold something, or somebody writes to what others have replaced. Who locks a file counts on that all
/// who have it open have one, and who writes may be about to.
pub(super) fn is_kept(app: &App, number: u64, inode: &Inode, all: Option<&Arc<Buffer>>) -> bool {
    let is_written = inode.handles_by(number).any(|is| is.writes);
    let is_free = |is: &Handle| is.only_adds.load(SeqCst) || all.is_some_and(|all| is.shares(all));
    let is_apart = |is: &Handle| is.writes && !is_free(is);
    let mut open = inode.handles_by(number);
    open.any(|is| is.holds() && (!is_written || is_apart(&is))) && !app.is_locked(number)
}

/// Lets who holds nothing of a number go on with a buffer that was emptied, and `all` who only read by it.
pub(super) fn join(app: &App, number: u64, inode: &Inode, (emptied, all): (&Arc<Buffer>, bool)) {
    for other in inode.handles_by(number) {
        let Ok(own) = other.written() else {
            if all || !other.holds() {
                other.follow(Some(emptied));
            }
            continue;
        };
        if other.only_adds.load(SeqCst) {
            other.hold_on(&mut other.reader.lock(), None);
            continue;
        }
        let is_nothing = other.held().is_some_and(|(len, _)| len == 0);
        if is_nothing && !other.shares(emptied) && !own.snapshot().is_pending {
            move_to(app, &other, &own, emptied);
        }
    }
}

/// Lets who writes go on with another buffer.
pub(super) fn move_to(app: &App, handle: &Handle, from: &Arc<Buffer>, to: &Arc<Buffer>) {
    to.state().writers += 1;
    handle.follow(Some(to));
    handle.owes.store(0, SeqCst);
    from.state().writers -= 1;
    retire(app, &handle.inode, from);
}
