//! The scripts that a server carries out, each in one step.
//!
//! Every key that a script touches is among the keys it is called with: while a slot moves, a server
//! then sees that it does not have all of them and says so, where it would take one that has moved
//! already for absent. Every call can be repeated until its time is over, and nothing in a script fails
//! after its first write, as a server does not take that back.

use sha1::{Digest as _, Sha1};

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Put,
    Remove,
    Expire,
    Incr,
    Push,
    Store,
    Clear,
    Lease,
    Repair,
    Plain,
}

macro_rules! script {
    ($($part:literal)*) => {
        concat!(include_str!("scripts/guard.lua"), $(include_str!($part),)*)
    };
}

/// As [`script`], of one that frees memory, or takes next to none: it works where memory is full.
macro_rules! freeing {
    ($($part:literal)*) => {
        concat!("#!lua flags=allow-oom\n", script!($($part)*))
    };
}

impl Script {
    pub(super) const ALL: [Self; 10] = [
        Self::Put,
        Self::Remove,
        Self::Expire,
        Self::Incr,
        Self::Push,
        Self::Store,
        Self::Clear,
        Self::Lease,
        Self::Repair,
        Self::Plain,
    ];

    /// Returns its text.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Put => script!("scripts/prelude.lua" "scripts/put.lua"),
            Self::Remove => freeing!("scripts/prelude.lua" "scripts/remove.lua"),
            Self::Expire => freeing!("scripts/prelude.lua" "scripts/expire.lua"),
            Self::Incr => script!("scripts/prelude.lua" "scripts/incr.lua"),
            Self::Push => script!("scripts/prelude.lua" "scripts/push.lua"),
            Self::Store => script!("scripts/store.lua"),
            Self::Clear => freeing!("scripts/clear.lua"),
            Self::Lease => freeing!("scripts/lease.lua"),
            Self::Repair => freeing!("scripts/prelude.lua" "scripts/repair.lua"),
            Self::Plain => freeing!("scripts/plain.lua"),
        }
    }

    /// Tells whether it gives an answer that begins with this word and means something to it alone.
    pub(super) fn answers(self, first: &str) -> bool {
        match self {
            Self::Put => first == "new",
            Self::Remove => first == "moved",
            Self::Incr => ["sum", "unfit", "overflow", "look"].contains(&first),
            Self::Push => first == "next",
            _ => false,
        }
    }

    /// Returns the words that call it, up to its keys and arguments.
    pub(super) fn call(self, keys: usize) -> Vec<Vec<u8>> {
        let name = hex::encode(Sha1::digest(self.source().as_bytes()));
        vec![
            b"EVALSHA".to_vec(),
            name.into_bytes(),
            keys.to_string().into_bytes(),
        ]
    }
}
