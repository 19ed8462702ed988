//! What is known of an entry between its folding and its unlinking.

use super::super::codec::Header;

/// What a candidate takes in memory beside its key and its value.
pub(super) const OVERHEAD: usize = size_of::<Candidate>() + 32;

/// A loose entry that was read to be folded.
pub(super) struct Candidate {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) sha1: [u8; 20],
    /// What its first line said.
    pub(super) header: Header,
    /// What the pack is to say of the key.
    pub(super) fold_as: FoldAs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoldAs {
    Entry,
    /// It is dead, and hides what an older pack says.
    Tombstone,
    /// It is dead and hides nothing: it goes, and the pack says nothing of it.
    Nothing,
}
