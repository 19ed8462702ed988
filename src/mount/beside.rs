//! What becomes of who has a file open by another buffer than who changes it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::App;
use super::buffer::{Buffer, Pin, State};
use super::inode::Handle;

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
