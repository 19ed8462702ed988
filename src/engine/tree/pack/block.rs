//! The blocks of a pack, read one after another, by a thread of their own once they are many.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::os;
use crate::store::{Meta, Result, StoreError};

use super::codec::{self, Record};
use super::reader::Pack;

/// A listing that reads more blocks than this has the next ones read beside it.
const FEW: usize = 16;
/// So many blocks are read ahead.
const AHEAD: usize = 16;

/// The records of a block, verified.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    spots: Vec<Spot>,
    /// What cannot be read of the block, and behind how many of the records it is.
    pub(super) damages: VecDeque<(usize, StoreError)>,
}

/// Where a record's parts are in the bytes of its block.
#[derive(Clone, Copy, Debug)]
struct Spot {
    key_at: u32,
    value_at: u32,
    end: u32,
    tombstone: bool,
    meta: Meta,
}

impl Block {
    /// Reads a block in place of the one that was here.
    fn read(&mut self, pack: &Pack, number: usize) {
        self.spots.clear();
        self.damages.clear();
        if let Err(damage) = self.try_read(pack, number) {
            self.add_damage(damage);
        }
    }

    fn add_damage(&mut self, damage: StoreError) {
        self.damages.push_back((self.spots.len(), damage));
    }

    fn try_read(&mut self, pack: &Pack, number: usize) -> Result<()> {
        let begin = pack.block(number, &mut self.bytes)?;
        let mut at = 0;
        while at < self.bytes.len() {
            let (record, len) = match codec::decode(&self.bytes[at..], pack.frame()) {
                Ok(decoded) => decoded,
                Err(damage) => {
                    self.add_damage(pack.damaged(damage));
                    // The hash pages know where the next record begins.
                    let next = pack.next_start(begin + at as u64);
                    let next = next.and_then(|next| usize::try_from(next - begin).ok());
                    at = next.unwrap_or(usize::MAX);
                    continue;
                }
            };
            let place = |place: usize| u32::try_from(place).expect("a block is short");
            let value_at = at + len - record.value.len();
            self.spots.push(Spot {
                key_at: place(value_at - record.key.len()),
                value_at: place(value_at),
                end: place(at + len),
                tombstone: record.tombstone,
                meta: record.meta,
            });
            at += len;
        }
        Ok(())
    }

    /// Takes what cannot be read between two neighbours of the records, or at an end: the first of it, or
    /// in reverse the last. `before` is how many of the records are before that place.
    pub(super) fn take_damage(&mut self, before: usize, reverse: bool) -> Option<StoreError> {
        let next = match reverse {
            false => self.damages.front(),
            true => self.damages.back(),
        };
        next.filter(|(at, _)| *at == before)?;
        let taken = match reverse {
            false => self.damages.pop_front(),
            true => self.damages.pop_back(),
        };
        taken.map(|(_, damage)| damage)
    }

    /// Returns how many records could be read.
    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    /// Returns the key of a record.
    pub(super) fn key(&self, number: usize) -> &[u8] {
        let spot = &self.spots[number];
        &self.bytes[spot.key_at as usize..spot.value_at as usize]
    }

    /// Returns what is known of a record, and whether it is a tombstone.
    pub(super) fn meta(&self, number: usize) -> (&Meta, bool) {
        let spot = &self.spots[number];
        (&spot.meta, spot.tombstone)
    }

    /// Returns a record.
    pub(super) fn record(&self, number: usize) -> Record<'_> {
        let spot = &self.spots[number];
        Record {
            key: self.key(number),
            value: &self.bytes[spot.value_at as usize..spot.end as usize],
            meta: spot.meta,
            tombstone: spot.tombstone,
        }
    }
}

/// Reads blocks in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct Blocks {
    pack: Arc<Pack>,
    /// How many were read.
    read: usize,
    ahead: Option<Ahead>,
}

/// A thread that reads the blocks of a range. It ends with the range, or when this is dropped.
#[derive(Debug)]
struct Ahead {
    /// The blocks that are still to come from it.
    left: Range<usize>,
    filled: Receiver<Block>,
    used: Sender<Block>,
}

impl Blocks {
    pub(super) fn new(pack: Arc<Pack>) -> Self {
        Self {
            pack,
            read: 0,
            ahead: None,
        }
    }

    /// Reads a block in place of the one that was read last. With `ahead`, those up to there are
    /// likely to be asked for next.
    pub(super) fn read(&mut self, number: usize, block: &mut Block, ahead: Option<usize>) {
        self.read += 1;
        if let Some(end) = ahead
            && self.ahead.is_none()
            && self.read > FEW
            && end > number + AHEAD
        {
            self.ahead = Ahead::start(&self.pack, number..end);
        }
        if let Some(ahead) = &mut self.ahead
            && ahead.left.start == number
            && let Ok(filled) = ahead.filled.recv()
        {
            ahead.left.start += 1;
            // It may be at its end and not want it any more.
            _ = ahead.used.send(std::mem::replace(block, filled));
            return;
        }
        if self.ahead.take().is_some() {
            // Somebody sought elsewhere, and may do so again.
            self.read = 0;
        }
        block.read(&self.pack, number);
    }
}

impl Ahead {
    /// Starts the thread; `None` where there can be no more of them.
    fn start(pack: &Arc<Pack>, blocks: Range<usize>) -> Option<Self> {
        let (filled, receiver): (SyncSender<Block>, _) = sync_channel(AHEAD);
        let (used, spare) = channel::<Block>();
        let pack = Arc::clone(pack);
        let range = blocks.clone();
        let work = move || {
            for number in range {
                let mut block = spare.try_recv().unwrap_or_default();
                block.read(&pack, number);
                if filled.send(block).is_err() {
                    break;
                }
            }
        };
        let started = os::spawn_without_signals(work);
        started.ok().map(|_| Self {
            left: blocks,
            filled: receiver,
            used,
        })
    }
}
