//! What becomes of the openings of a file when it is changed through one of them, or made anew.

use std::sync::Arc;

use crate::store::{Etag, Time};

use super::body::{Body, Handle};
use super::content::{Content, Kind, State};
use super::find::Attributes;
use super::nodes::{Full, Place};
use super::reader::Reader;
use super::{Answer, App, hold};

/// Lets who only reads the entry that a content was made of see what becomes of it, as it is about to
/// be changed.
pub(super) fn lead(app: &App, by: &Handle, content: &Arc<Content>, state: &State, is_new: bool) {
    let readers = by.body.handles_by(by.number);
    let mut readers = readers.filter(|other| !other.writes && other.content().is_none());
    let Some(first) = readers.next() else {
        return;
    };
    let etag = match (state.draft.is_some(), by.body.place()) {
        // It is added to whatever the key holds.
        (false, Some((namespace, key))) => {
            let found = app.look(&namespace, &key).ok().flatten();
            found.map(|meta| meta.etag)
        }
        _ => state.pin.etag,
    };
    for reader in [first].into_iter().chain(readers) {
        let held = reader.pin().and_then(|pin| pin.etag);
        if held.is_some() && held == etag {
            if is_new {
                // It was opened since the name was to be taken from its number, and is amid a value.
                if reader.held().is_some() {
                    continue;
                }
                reader.end();
            }
            reader.follow(Some(content));
        }
    }
}

/// Lets go of a content that nobody writes to any more and that is in the store as well, or never
/// will be. Who reads it reads on in what the key holds, if that is what it was stored as.
pub(super) fn settle(app: &App, body: &Body, content: &Arc<Content>) {
    let state = content.state();
    if state.writers > 0 || state.kind != Kind::Key {
        return;
    }
    body.forget(content);
    let readers = body.handles().into_iter();
    for reader in readers.filter(|reader| reader.shares(content)) {
        let mut held = hold(&reader.reader);
        if state.draft.is_some() || held.is_none() {
            let Some((namespace, key)) = body.place() else {
                return;
            };
            match Reader::open(app, &namespace, &key) {
                Ok(Some(now)) if state.draft.is_none() || now.pin().etag == state.pin.etag => {
                    reader.hold_on(&mut held, Some(now));
                }
                _ => continue,
            }
        }
        reader.follow(None);
    }
}

/// Notes that an entry is another now that holds the same, perhaps of another time.
pub(super) fn move_pins(app: &App, body: &Body, from: Etag, to: Etag, modified: Option<Time>) {
    for handle in body.handles() {
        if let Some(content) = handle.content() {
            let mut state = content.state();
            if state.pin.etag == Some(from) {
                state.pin.etag = Some(to);
                if !state.is_pending() && modified.is_some() {
                    state.modified = modified;
                    content.show(&state, app.now());
                }
            }
        }
        let mut reader = hold(&handle.reader);
        if let Some(reader) = &mut *reader {
            reader.move_to(from, to, modified);
        }
        handle.note_read(reader.as_ref());
    }
}

/// Keeps what a file holds for those who have it open, as it is about to be removed in its turn. Where it
/// cannot be had any more, reading it fails and nothing is stored.
pub(super) fn keep_for_users(app: &App, body: &Body, file: &Full, last: (u64, Time)) {
    for handle in body.handles() {
        if let Some(content) = handle.content() {
            let mut sharers = body.handles().into_iter();
            // What one of them was opened on is what all of them have.
            let holder =
                sharers.find(|other| other.shares(&content) && hold(&other.reader).is_some());
            let holder = holder.unwrap_or(handle);
            _ = app.load(&holder, &mut content.state());
        } else if let Some(reader) = &mut *hold(&handle.reader) {
            reader.keep(app, file);
        }
    }
    *hold(&body.last) = Some(last);
}

/// Takes the name of a number away if what others hold of it is to be kept.
pub(super) fn part_held(app: &App, number: u64) -> bool {
    let Some(body) = app.files().numbered(number) else {
        return false;
    };
    let is_held = body.handles_by(number).any(|other| other.held().is_some());
    let place = app.nodes().place(number).filter(|_| is_held);
    place.is_some_and(|place| {
        app.nodes().part(number, &place);
        true
    })
}

/// Returns the number by which the kernel is told of what was found, once more. A file that others
/// have open and hold something else of is theirs alone: it is told what they hold, and has no name.
pub(super) fn tell(app: &App, place: &Place, found: &Attributes) -> Answer<u64> {
    let number = app.nodes().find(place);
    let body = number.and_then(|number| app.files().numbered(number));
    if let (Some(number), Some(body), Place::File(namespace, key)) = (number, body, place) {
        let is_other = |told| told != (found.size, found.modified);
        let mut held = body.handles_by(number).filter_map(|handle| handle.held());
        if held.any(is_other) {
            app.in_turn(&(namespace.clone(), key.clone()), |body| {
                part(app, number, body, place);
                Ok(())
            })?;
        }
    }
    Ok(app.nodes().tell(place))
}

/// Takes the name of a number away if it is open and what is held of it is not what the file is now.
/// It is the file's turn.
fn part(app: &App, number: u64, body: &Body, place: &Place) {
    let pending = body.content().filter(|is| is.told().is_pending);
    let etag = match (&pending, body.place()) {
        (None, Some((namespace, key))) => app.look(&namespace, &key).ok().flatten(),
        _ => None,
    };
    let etag = etag.map(|meta| meta.etag);
    let is_of_now = |handle: &Arc<Handle>| match &pending {
        Some(pending) => handle.shares(pending),
        None => {
            let is_changed = handle.content().is_some_and(|is| is.told().is_pending);
            !is_changed && handle.pin().and_then(|pin| pin.etag) == etag
        }
    };
    let mut open = body.handles_by(number);
    if open.any(|handle| handle.held().is_some() && !is_of_now(&handle)) {
        app.nodes().part(number, place);
    }
}
