//! Work in the process of another program.

use std::os::fd::OwnedFd;

use nix::sys::signal::{SigAction, SigHandler, Signal};

use super::process::{plain, set_action};
use super::stdio;

/// While it lives, this process can be worked in as in one of our own: its three descriptors are open, and
/// a write that nobody reads, or that makes a file too long, is an error and no signal. Then all is as before.
#[derive(Debug)]
pub(crate) struct Guest {
    before: [(Signal, Option<SigAction>); 2],
    _opened: Vec<OwnedFd>,
}

impl Guest {
    pub(crate) fn enter() -> Self {
        let ignore = |signal| (signal, set_action(signal, &plain(SigHandler::SigIgn)).ok());
        Self {
            before: [Signal::SIGPIPE, Signal::SIGXFSZ].map(ignore),
            _opened: stdio::open_all(),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            if let Some(before) = before {
                // It could be set, and so it can be set back.
                _ = set_action(*signal, before);
            }
        }
    }
}
