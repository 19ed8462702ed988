//! Which descriptors of a process are of an opening: nobody tells, so they are counted.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use rustix::fs::OFlags;

use crate::os::Opened;

use super::App;
use super::inode::{Handle, Mode};

/// Returns what the descriptors of an opening that writes are to the kernel.
pub(super) fn opened(app: &App, number: u64, mode: Mode) -> Opened {
    let access = match mode.only_writes {
        true => OFlags::WRONLY,
        false => OFlags::RDWR,
    };
    let appends = match mode.appends {
        true => OFlags::APPEND,
        false => OFlags::empty(),
    };
    Opened {
        device: app.device.load(SeqCst),
        number,
        flags: access | appends,
    }
}

/// Tells whether both were opened in one way to write, so that nothing tells their descriptors apart.
pub(super) fn is_like(handle: &Handle, mode: Mode) -> bool {
    let how = |is: Mode| (is.only_writes, is.appends);
    handle.writes && mode.writes && how(handle.mode) == how(mode)
}

/// Returns how many descriptors that are not of one of its openings to be written so a process has of
/// what the kernel has by that number, at most. `is_own`: who closes it has opened it.
pub(super) fn others_of(handle: &Arc<Handle>, process: u32, is_own: bool) -> usize {
    let alike = || {
        let all = handle.inode.handles_by(handle.number);
        all.filter(|other| is_like(other, handle.mode))
    };
    let newer = alike().skip_while(|other| !Arc::ptr_eq(other, handle));
    let Some(opener) = &handle.opener else {
        return 0;
    };
    let is_its = |other: &Arc<Handle>| {
        let is_left = other.is_handed_on.load(SeqCst);
        !is_left && other.opener.as_ref().is_some_and(|by| by.is_with(opener))
    };
    let its = handle.beside + newer.skip(1).filter(is_its).count();
    match opener.is(process) {
        _ if alike().count() <= 1 => 0,
        // It may have closed it by giving its descriptor another opening, as a shell does.
        true if is_own && its > 0 => usize::MAX,
        true => its,
        // Which of them it was handed on nobody can tell.
        false => usize::MAX,
    }
}
