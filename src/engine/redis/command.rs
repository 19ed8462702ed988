//! A command on its way: its bytes, and whom it is for.

use super::resp::write_command;
use super::slots::Address;

/// A command, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) bytes: Vec<u8>,
    pub(super) to: To,
    /// It is acknowledged when what it wrote is safe.
    pub(super) writes: bool,
}

/// Whom a command is for.
#[derive(Clone, Debug)]
pub(super) enum To {
    Slot(u16),
    Node(Address),
}

impl Command {
    /// Prepares a command that changes nothing.
    pub(super) fn read<W: AsRef<[u8]>>(slot: u16, words: &[W]) -> Self {
        Self::new(To::Slot(slot), words, false)
    }

    /// Prepares a command that changes something, and is acknowledged when it is safe.
    pub(super) fn write<W: AsRef<[u8]>>(slot: u16, words: &[W]) -> Self {
        Self::new(To::Slot(slot), words, true)
    }

    /// Prepares a command that concerns a server and not a key.
    pub(super) fn of_node<W: AsRef<[u8]>>(node: &str, words: &[W]) -> Self {
        Self::new(To::Node(node.to_owned()), words, false)
    }

    fn new<W: AsRef<[u8]>>(to: To, words: &[W], writes: bool) -> Self {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        Self { bytes, to, writes }
    }
}
