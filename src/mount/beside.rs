//! What becomes of who has a file open by another buffer than who changes it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::store::Etag;

use super::App;
use super::buffer::{Buffer, Pin, State};
use super::inode::{Handle, Inode};
use super::nodes::FullKey;
use super::reader::Reader;

/// Lets those who share a buffer, and hold something else than who is about to change it, have that apart: who
/// writes by a buffer of their own, with all who hold the same. Who only adds holds nothing.
pub(super) fn split(app: &App, state: &mut State, others: Vec<(Arc<Handle>, Option<Pin>)>) {
    let mut own: Vec<(Option<Pin>, Arc<Buffer>)> = Vec::new();
    for (other, held) in others {
        if other.only_adds.load(SeqCst) {
            other.hold_on(&mut other.reader.lock(), None);
        } else if other.writes {
            let found = own.iter().position(|(pin, _)| *pin == held);
            let at = found.unwrap_or_else(|| {
                let pin = held.unwrap_or_default();
                let apart = State {
                    pin,
                    ..State::default()
                };
                own.push((held, Buffer::new(apart, app.now())));
                own.len() - 1
            });
            own[at].1.state().writers += 1;
            other.follow(Some(&own[at].1));
            other.owes.store(0, SeqCst);
            state.writers -= 1;
        } else {
            other.follow(None);
        }
    }
}

/// A whole that is about to be stored, and those beside it by whose buffers the file is changed in place, or written
/// anew and read.
pub(super) struct Beside<'a> {
    app: &'a App,
    inode: &'a Arc<Inode>,
    file: &'a FullKey,
    buffers: Vec<Arc<Buffer>>,
    /// What the whole takes the place of.
    was: Option<Etag>,
}

impl<'a> Beside<'a> {
    /// Finds them, and stores what they have changed in place before. It is the file's turn.
    pub(super) fn of(
        app: &'a App,
        inode: &'a Arc<Inode>,
        file: &'a FullKey,
        (buffer, state): (&Arc<Buffer>, &State),
    ) -> Self {
        let mut buffers: Vec<Arc<Buffer>> = Vec::new();
        if state.is_whole && state.tail.is_empty() && !state.is_idle() {
            buffers.extend(inode.handles().iter().filter_map(|is| is.written().ok()));
        }
        buffers.sort_unstable_by_key(Arc::as_ptr);
        buffers.dedup_by_key(|is| Arc::as_ptr(is));
        buffers.retain(|is| {
            let is_other = !Arc::ptr_eq(is, buffer) && !is.snapshot().is_given_up;
            is_other && inode.is_one_to_all(is)
        });
        for other in &buffers {
            let mut state = other.state();
            if state.is_whole || !state.tail.is_empty() {
                continue;
            }
            // What somebody has emptied, and written to since, is theirs when they close it.
            let is_anew = |is: &Arc<Handle>| is.mode.truncates && is.shares(other);
            let mut anew = inode.handles().into_iter().filter(is_anew);
            match state.draft.is_some() && anew.any(|is| is.owes_to(&state)) {
                true => state.is_whole = true,
                // That it is refused is told to who has changed it.
                false => _ = app.store_buffer(inode, other, &mut state),
            }
        }
        let is_alone = buffers.is_empty();
        let found = (!is_alone).then(|| app.look(&file.0, &file.1).ok().flatten());
        Self {
            app,
            inode,
            file,
            buffers,
            was: found.flatten().map(|meta| meta.etag),
        }
    }

    /// Lets those go on with what was stored who hold just what it took the place of, and have nothing pending but what
    /// is to be added, and who reads that by their number: it stays one file to all.
    pub(super) fn go_on(&self, now: Pin) {
        for buffer in self.buffers.iter().filter(|_| self.was.is_some()) {
            let mut state = buffer.state();
            let is_all = state.draft.is_some();
            if !is_all || !state.is_pending() && state.pin.etag == self.was {
                self.go_on_with(buffer, &mut state, now);
            }
        }
    }

    fn go_on_with(&self, buffer: &Arc<Buffer>, state: &mut State, now: Pin) {
        let (namespace, key) = self.file;
        let open = || {
            let found = Reader::open(self.app, namespace, key).ok().flatten();
            found.filter(|is| is.pin().etag == now.etag)
        };
        let holds = |is: &Handle| {
            let held = is.reader.lock();
            let is_of = |held: &Reader| held.pin().etag == self.was && !held.is_mixed();
            held.as_ref().is_some_and(is_of)
        };
        let mut all = self.inode.handles();
        let sees = |is: &&Arc<Handle>| is.writes && is.shares(buffer);
        let writers = all.iter().filter(sees);
        let writers: Vec<_> = writers
            .filter(|is| !is.only_adds.load(SeqCst))
            .cloned()
            .collect();
        let is_known = state.draft.is_some();
        let is_one = is_known || !writers.is_empty() && writers.iter().all(|is| holds(is));
        let Some(entry) = open().filter(|_| is_one) else {
            return;
        };
        all.retain(|is| {
            let is_beside = || writers.iter().any(|other| other.number == is.number);
            let reads = || !is.writes && is.buffer().is_none() && is_beside() && holds(is);
            is.shares(buffer) && (is_known || holds(is)) || reads()
        });
        state.pin = entry.pin();
        (state.draft, state.is_whole) = (None, false);
        for is in all {
            is.is_anew.store(false, SeqCst);
            let held = open().filter(|_| !is.only_adds.load(SeqCst));
            is.hold_on(&mut is.reader.lock(), held);
        }
        buffer.show(state, self.app.now());
    }
}
