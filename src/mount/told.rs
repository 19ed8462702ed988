//! What is told of a file that is open, and to whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fuser::{Errno, INodeNo};

use crate::os::Writer;
use crate::store::{Etag, Time};

use super::find::Attributes;
use super::inode::{Handle, Inode, Mode};
use super::nodes::Node;
use super::{Answer, App};

/// For so long it is remembered whom the kernel looks again for.
const LOOKS_AGAIN: Duration = Duration::from_secs(10);
/// What the kernel does at once it has done by then.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Notes that a thread was told that what it opens is stale: the kernel looks again for the name.
pub(super) fn note_stale(app: &App, thread: u32) {
    let end = Instant::now() + LOOKS_AGAIN;
    app.told_stale.lock().insert(thread, end);
}

/// Notes that nothing was found of a name. Who has looked again opens nothing, unless the kernel, which looks twice
/// then, finds it after all.
pub(super) fn note_missing(app: &App, thread: u32) {
    if let Some(end) = app.told_stale.lock().get_mut(&thread) {
        *end = Instant::now() + AT_ONCE;
    }
}

/// Tells, once, whether the kernel looks again for a thread, and will not another time.
pub(super) fn looks_again(app: &App, thread: u32) -> bool {
    let mut told = app.told_stale.lock();
    told.retain(|_, end| *end > Instant::now());
    told.remove(&thread).is_some()
}

/// Remembers what could not be stored as a file was closed, for who syncs or renames it next: a shell does not look at what
/// it is told by close(2). What is stale is another file by now, to which nothing was done.
pub(super) fn remember(app: &App, handle: &Handle, stored: Answer<()>) -> Answer<()> {
    if let (Err(why), Some(file)) = (stored, handle.inode.name())
        && why != Errno::ESTALE
    {
        app.memory.lock().note_failed(file, why);
    }
    stored
}

/// Syncs a file, and tells what could not be stored as it was closed, once, unless it was stored since.
pub(super) fn sync(app: &App, handle: u64) -> Answer<()> {
    app.sync_file(handle)?;
    let file = app.files.lock().handle(handle)?.inode.name();
    let failed = file.and_then(|file| app.memory.lock().take_failed(&file));
    failed.map_or(Ok(()), Err)
}

/// Answers a thread for what was to be done by a name. Where that is nothing any more, the kernel looks for it again,
/// once; `gone` answers for what is not there then either, and for what the thread has open and has no name.
pub(super) fn by_name<T>(
    app: &App,
    thread: u32,
    is_open: impl FnOnce() -> bool,
    done: Answer<T>,
    gone: impl FnOnce(bool) -> Answer<T>,
) -> Answer<T> {
    let was_told = looks_again(app, thread);
    let Err(Errno::ESTALE | Errno::ENOENT) = done else {
        return done;
    };
    match is_open() {
        true => gone(true),
        false if was_told => gone(false),
        false => {
            note_stale(app, thread);
            Err(Errno::ESTALE)
        }
    }
}

/// Tells whether a thread's process has a file open.
pub(super) fn has_open(app: &App, number: u64, thread: u32) -> bool {
    let inode = app.files.lock().numbered(number);
    let all = inode.map(|inode| inode.handles_by(number).collect::<Vec<_>>());
    !opened_by(thread, &all.unwrap_or_default()).is_empty()
}

/// Returns the openings of those that a thread may ask about: those of its process.
fn asked_by(thread: u32, all: &[Arc<Handle>]) -> Vec<Arc<Handle>> {
    // Where all would be told the same nobody needs to be asked.
    let told = |is: &Arc<Handle>| (is.waits(), is.held());
    let is_same = all.iter().all(|is| told(is) == told(&all[0]));
    match is_same {
        true => Vec::new(),
        false => opened_by(thread, all),
    }
}

/// Returns the openings of a thread's process.
fn opened_by(thread: u32, all: &[Arc<Handle>]) -> Vec<Arc<Handle>> {
    if thread == 0 {
        return Vec::new();
    }
    let process = Writer::of(thread);
    let is_its = |is: &&Arc<Handle>| {
        let opener = is.mode.thread;
        opener == thread || process.is_with(&Writer::of(opener))
    };
    all.iter().filter(is_its).cloned().collect()
}

/// Returns what those that are asked about have written anew, where that is not what is told and nobody who has the
/// file open can read it.
fn written(
    asked: impl FnOnce() -> Vec<Arc<Handle>>,
    all: &[Arc<Handle>],
    told: u64,
) -> Option<(u64, Time)> {
    let len = |is: &Arc<Handle>| is.written_anew().map_or(told, |(len, _)| len);
    let is_unread = all.iter().all(|is| is.only_writes_anew());
    if !is_unread || all.iter().all(|is| len(is) == told) {
        return None;
    }
    asked().iter().filter_map(|is| is.written_anew()).max()
}

/// Returns what is told of a file or directory that the kernel knows; of a file that is open what the opening holds
/// that is asked about, or one of the process of the thread that asks, or any. Of several it is the least, so that
/// all of it can be read; and who is at the end is told what the file is, if nobody else holds more.
pub(super) fn attributes(
    app: &App,
    number: u64,
    handle: Option<u64>,
    thread: u32,
) -> Answer<Attributes> {
    let node = app.nodes.lock().node(number);
    let (inode, handle) = {
        let files = app.files.lock();
        let handle = handle.and_then(|handle| files.handle(handle).ok());
        (files.numbered(number), handle)
    };
    let all = inode.map(|inode| inode.handles_by(number).rev().collect());
    let all: Vec<_> = all.unwrap_or_default();
    // Who only adds sees what comes, and who only writes nothing.
    let sees = |is: &Arc<Handle>| (is.mode.only_writes, is.mode.appends);
    let first = all.iter().map(sees).min();
    let readers = all.iter().filter(|is| Some(sees(is)) == first);
    let readers: Vec<_> = readers.cloned().collect();
    let asked = match &handle {
        Some(handle) => vec![Arc::clone(handle)],
        None => asked_by(thread, &readers),
    };
    let reads_on = handle.as_ref().is_some_and(|is| is.reads_on());
    let waits = |is: &Arc<Handle>| match &handle {
        Some(own) if Arc::ptr_eq(own, is) => reads_on,
        // Nobody has asked.
        None if thread == 0 => false,
        _ => is.waits(),
    };
    // Who holds nothing is told what the file is.
    let amid = |is: &Arc<Handle>| {
        let held = (!waits(is)).then(|| is.held())?;
        held.filter(|(len, _)| *len > 0)
    };
    let least = |of: &[Arc<Handle>]| of.iter().filter_map(amid).min_by_key(|(len, _)| *len);
    let most = readers.iter().filter_map(amid).map(|(len, _)| len).max();
    let added = |is: &Arc<Handle>| is.inode.name().zip(is.own_tail());
    let adds = |of: &[Arc<Handle>]| of.iter().filter(|is| !waits(is)).find_map(added);
    // Who asks, and adds to what the key holds, is told of that, whatever others hold.
    let own = adds(&asked).filter(|_| least(&asked).is_none());
    let held = match own {
        Some(_) => None,
        None => least(&asked).or_else(|| least(&readers)),
    };
    let theirs = |told: Attributes| Attributes {
        is_gone: node.is_none(),
        ..told
    };
    let is_at_end = !asked.is_empty() && asked.iter().all(waits);
    let those = if is_at_end { &asked } else { &readers };
    let now = match held {
        Some(_) if is_at_end => {
            let now = app.told_now(number, node.as_ref(), those)?;
            Some(now).filter(|now| most.is_none_or(|most| now.size >= most))
        }
        Some(_) => None,
        // It is behind what the key holds, also where others have made that another file.
        None => match own.or_else(|| adds(&readers)) {
            Some((file, tail)) if !is_at_end => app.told_of(&file, || tail.snapshot())?.map(theirs),
            _ => None,
        },
    };
    let now = now.or(held.map(|(size, modified)| theirs(Attributes::file(size, modified))));
    let told = match (now, &node) {
        (Some(now), _) => now,
        (None, Some(dir)) if dir.is_dir() => return Ok(app.dir_attributes(dir)),
        (None, node) => app.told_now(number, node.as_ref(), those)?,
    };
    let its = || opened_by(thread, &all);
    let asked = || handle.clone().map_or_else(its, |handle| vec![handle]);
    let anew = written(asked, &all, told.size);
    let told = anew.map_or(told, |(size, modified)| {
        theirs(Attributes::file(size, modified))
    });
    let is_told = (told.size, told.modified);
    if all
        .iter()
        .any(|is| is.waits() && is.held() != Some(is_told))
    {
        let asked = match &handle {
            Some(own) if reads_on => vec![Arc::clone(own)],
            Some(_) => Vec::new(),
            None => opened_by(thread, &all),
        };
        for is in &all {
            let has_asked = asked.iter().any(|asked| Arc::ptr_eq(asked, is));
            is.note_told(is_told, has_asked);
        }
    }
    Ok(told)
}

/// Returns the number by which the kernel is told of what was found, once more. A file that others
/// have open and hold something else of is theirs alone: it is told what they hold, and has no name.
pub(super) fn tell(app: &App, node: &Node, found: &Attributes) -> Answer<u64> {
    let number = app.nodes.lock().find(node);
    let inode = number.and_then(|number| app.files.lock().numbered(number));
    if let (Some(number), Some(inode), Node::File(file)) = (number, inode, node) {
        let is_other = |is: Arc<Handle>| is.holds_other((found.size, found.modified));
        if inode.handles_by(number).any(is_other) {
            app.in_turn(file, |inode| {
                let now = app.look(&file.0, &file.1).ok().flatten();
                detach(app, (number, inode), node, now.map(|meta| meta.etag));
                Ok(())
            })?;
        }
    }
    Ok(self::found(app, node, (found.size, found.modified)))
}

/// Lets the kernel look again for a file that is about to be opened as this entry, where those who have it open by
/// that number hold another: others have replaced it since the kernel looked, and has memory for one value by a
/// number. It is the file's turn.
pub(super) fn must_be_one(
    app: &App,
    (number, inode): (u64, &Inode),
    mode: Mode,
    etag: Option<Etag>,
) -> Answer<()> {
    let found = inode.last.lock().filter(|_| mode.is_first);
    let is_other = |is: Arc<Handle>| found.is_some_and(|found| is.holds_other(found));
    let is_other = inode.handles_by(number).any(is_other);
    let node = app.nodes.lock().node(number).filter(|_| is_other);
    match node.is_some_and(|node| detach(app, (number, inode), &node, etag)) {
        true => Err(Errno::ESTALE),
        false => Ok(()),
    }
}

/// Takes the name of a number away if it is open and what is held of it is not what the file is now, this entry or
/// what is pending, unless somebody has locked it. It is the file's turn.
fn detach(app: &App, (number, inode): (u64, &Inode), node: &Node, etag: Option<Etag>) -> bool {
    let pending = inode.buffer().filter(|is| is.snapshot().is_pending);
    let is_all = pending
        .as_ref()
        .is_some_and(|is| is.snapshot().draft.is_some());
    let is_of_now = |handle: &Arc<Handle>| {
        let shown = handle.shown().filter(|is| is.snapshot().is_pending);
        let is_shown = shown.as_ref().map(Arc::as_ptr) == pending.as_ref().map(Arc::as_ptr);
        is_shown && (is_all || handle.pin().and_then(|pin| pin.etag) == etag)
    };
    let mut open = inode.handles_by(number);
    let is_other = open.any(|is| is.is_apart() || is.holds() && !is_of_now(&is));
    let is_free = is_other && !app.is_locked(number);
    if is_free {
        app.nodes.lock().detach(number, node);
    }
    is_free
}

/// Returns the number by which the kernel is told of what was found, which it believes for a tick also where fstat(2)
/// asks.
pub(super) fn found(app: &App, node: &Node, found: (u64, Time)) -> u64 {
    let number = app.nodes.lock().tell_of(node, found);
    let open = app.files.lock().numbered(number);
    for handle in open.iter().flat_map(|is| is.handles_by(number)) {
        handle.note_told(found, false);
    }
    number
}

/// Lets the kernel ask what a file is that was just opened, where that is not what it was told when it was found or
/// listed, and believes.
pub(super) fn note_opened(app: &App, number: u64, handle: u64) {
    let told = app.nodes.lock().take_told(number);
    let handle = app.files.lock().handle(handle);
    let held = handle.ok().and_then(|handle| handle.held());
    if told.is_some()
        && told != held
        && let Some(notifier) = app.notifier.get()
    {
        // Of attributes alone: pages would be waited for.
        _ = notifier.inval_inode(INodeNo(number), -1, 0);
    }
}
