//! What becomes of what is open still when the end has come.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::StoreError;

use super::App;
use super::buffer::Kind;

/// For so long who is storing something is waited for.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Stores what is pending of what is open still when the end has come. Of a whole nobody knows whether it is
/// one yet, and it is told that it is not stored, unless others have added to it: what they did is, with that.
pub(super) fn end(app: &App) {
    let files = app.files.lock().open();
    for inode in files {
        // Somebody may be storing it and wait for that for long.
        let Some(_turn) = Mutex::try_lock_for(&inode.turn, LAST_WAIT) else {
            continue;
        };
        for buffer in inode.handles().iter().flat_map(|open| open.written()) {
            let in_place = inode.in_place(&buffer);
            let mut state = buffer.state();
            let is_whole = state.is_whole && !in_place.iter().any(|is| is.owes_to(&state));
            let is_pending = state.is_changed && !state.is_given_up;
            match inode
                .name()
                .filter(|_| is_pending && state.kind == Kind::Key)
            {
                // To be only emptied it would have to be closed, and a lock file is not.
                Some(_) if is_whole && state.is_idle() => {}
                Some((_, key)) if is_whole => {
                    state.is_changed = false;
                    let why = "it was being written when it was unmounted";
                    let not_stored = StoreError::Io {
                        action: "store",
                        path: OsStr::from_bytes(key.as_bytes()).into(),
                        source: io::Error::other(why),
                    };
                    (app.config.tell)(None, &not_stored);
                }
                Some(_) => _ = app.store_buffer(&inode, &buffer, &mut state),
                None => {}
            }
        }
    }
}
