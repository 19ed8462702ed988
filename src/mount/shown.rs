//! What an opening shows: what fstat(2) tells of it, and what it reads.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::store::Time;

use super::buffer::Buffer;
use super::inode::{Handle, Progress, Stat};
use super::reader::Reader;

/// Who reads at the end again after this long waits for more, as `tail -f` does.
const PATIENCE: Duration = match cfg!(test) {
    // The model's time is not the machine's.
    true => Duration::MAX,
    false => Duration::from_millis(100),
};

impl Handle {
    /// Tells whether it only reads and has come to the end of what it holds, if that is anything: who asks for
    /// what has come since, as `tail -f` does, gets to see that.
    pub(super) fn waits(&self) -> bool {
        let is_amid = matches!(*self.progress.lock(), Progress::Amid);
        self.goes_on() && (!is_amid || self.held().is_some_and(|(len, _)| len == 0))
    }

    /// As [`Handle::waits`], of what the kernel asks about for itself, as it does where somebody reads: that may have
    /// read ahead, and only who was told more, or is still there after a while, waits for more.
    pub(super) fn reads_on(&self) -> bool {
        let mut progress = self.progress.lock();
        if matches!(*progress, Progress::Reached) {
            *progress = Progress::Waits(Instant::now());
        }
        drop(progress);
        let is_free = self.is_told.load(SeqCst) || self.is_patient() || !self.holds();
        is_free && self.waits()
    }

    /// Tells whether it only reads and may go on with what the file is now, if it is any: not behind what was never
    /// stored, but for nothing.
    fn goes_on(&self) -> bool {
        let told = || self.buffer().map(|is| is.snapshot()).unwrap_or_default();
        let is_kept = || told().is_given_up && self.holds();
        !self.writes && self.inode.name().is_some() && !is_kept()
    }

    /// Notes that it was read up to here, of so many bytes.
    pub(super) fn note_read(&self, offset: u64, read: usize, of: u64) {
        let mut progress = self.progress.lock();
        *progress = match *progress {
            Progress::Waits(since) if read == 0 => Progress::Waits(since),
            _ if read == 0 => Progress::Waits(Instant::now()),
            _ if offset + read as u64 >= of => Progress::Reached,
            _ => Progress::Amid,
        };
    }

    /// Notes what is told of the file to who may wait for that: who has asked, or has waited for a while. Anybody else
    /// may only have been read ahead, and reads on in what it holds.
    pub(super) fn note_told(&self, told: (u64, Time), has_asked: bool) {
        let is_free = has_asked || self.is_patient() || !self.holds();
        if is_free && self.waits() && self.held() != Some(told) {
            self.is_told.store(true, SeqCst);
        }
    }

    /// Tells whether it has been at the end for a while.
    fn is_patient(&self) -> bool {
        matches!(*self.progress.lock(), Progress::Waits(since) if since.elapsed() > PATIENCE)
    }

    /// Tells whether a read at an offset is to be of what the file is now.
    pub(super) fn is_due(&self, offset: u64) -> bool {
        let is_told = self.is_told.swap(false, SeqCst) && self.waits();
        let is_at_end = || self.held().is_none_or(|(len, _)| offset >= len);
        let is_due = is_told || self.is_patient() && self.goes_on() && is_at_end();
        if is_due {
            *self.progress.lock() = Progress::Reached;
        }
        is_due
    }

    /// Returns what it shows where that is not an entry's value: who only adds to a file, or holds nothing of it,
    /// sees what others have made of it.
    pub(super) fn shown(&self) -> Option<Arc<Buffer>> {
        let own = self.buffer();
        let told = own.as_ref().map(|is| is.snapshot()).unwrap_or_default();
        let is_blank = told.draft.or(told.tail).is_none();
        let holds = !is_blank || self.stat.lock().told.is_some();
        let is_own = holds && !self.only_adds.load(SeqCst);
        match is_own || self.owes.load(SeqCst) > told.stores || self.inode.name().is_none() {
            true => own,
            false => self.inode.buffer().filter(|is| is.snapshot().is_pending),
        }
    }

    /// Returns another opening that holds what it reads: who only adds holds nothing before it reads.
    pub(super) fn holder(&self) -> Option<Arc<Self>> {
        if !self.only_adds.load(SeqCst) || self.stat.lock().told.is_some() {
            return None;
        }
        let shown = |is: &Self| is.shown().map(|is| Arc::as_ptr(&is));
        let holds = |is: &Arc<Self>| !is.mode.only_writes && is.stat.lock().told.is_some();
        let mut beside = self.inode.handles_by(self.number);
        beside.find(|is| holds(is) && !is.waits() && shown(is) == shown(self))
    }

    /// Returns what it shows if that is to be added to the value.
    pub(super) fn own_tail(&self) -> Option<Arc<Buffer>> {
        self.shown().filter(|is| is.snapshot().tail.is_some())
    }

    /// Tells whether it shows what is to be added and is not what the file is.
    pub(super) fn is_apart(&self) -> bool {
        self.own_tail()
            .is_some_and(|is| !self.inode.is_current(&is))
    }

    /// Tells whether it holds something, which is something else than what is told of the file.
    pub(super) fn holds_other(&self, told: (u64, Time)) -> bool {
        self.is_apart() || self.holds() && self.held() != Some(told)
    }

    /// Tells whether it holds something.
    pub(super) fn holds(&self) -> bool {
        self.held().is_some_and(|(len, _)| len > 0)
    }

    /// Tells whether it only writes what owes nothing to any entry: nobody can read that through it.
    pub(super) fn only_writes_anew(&self) -> bool {
        self.mode.only_writes && self.is_anew.load(SeqCst)
    }

    /// Returns the size and time of what is written anew through it.
    pub(super) fn written_anew(&self) -> Option<(u64, Time)> {
        let own = self.buffer().filter(|_| self.only_writes_anew())?;
        own.snapshot().draft
    }

    /// Notes what can be told of what it holds.
    pub(super) fn show(&self, reader: Option<&Reader>) {
        self.show_with(reader, None);
    }

    /// Notes what can be told of what it holds, `with` what its buffer has added that was stored so often.
    pub(super) fn show_with(&self, reader: Option<&Reader>, with: Option<u64>) {
        let told = reader.map(Reader::stat);
        let told = told.filter(|(len, _)| *len < u64::MAX);
        *self.stat.lock() = Stat { told, with };
    }

    /// Returns the size and time of what it holds, if that need not be what the file is now.
    pub(super) fn held(&self) -> Option<(u64, Time)> {
        if self.only_writes_anew() {
            return None;
        }
        let shown = self.shown();
        // Together: what is stored moves from the one to the other.
        let stat = self.stat.lock();
        let shown = shown.map(|buffer| buffer.snapshot()).unwrap_or_default();
        match shown.tail.filter(|_| stat.with != Some(shown.stores)) {
            Some((more, modified)) => stat.told.map(|(len, _)| (len + more, modified)),
            None => shown.draft.or(stat.told),
        }
    }
}
