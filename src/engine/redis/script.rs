//! The scripts that a server carries out, each in one step.
//!
//! Every key that a script touches is among the keys it is called with: while a slot moves, a server
//! then sees that it does not have all of them and says so, where it would take one that has moved
//! already for absent. Every call that changes something can be repeated.

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
}

macro_rules! with_prelude {
    ($file:literal) => {
        concat!(include_str!("scripts/prelude.lua"), include_str!($file))
    };
}

impl Script {
    pub(super) const ALL: [Self; 8] = [
        Self::Put,
        Self::Remove,
        Self::Expire,
        Self::Incr,
        Self::Push,
        Self::Store,
        Self::Clear,
        Self::Lease,
    ];

    /// Returns its text.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Put => with_prelude!("scripts/put.lua"),
            Self::Remove => with_prelude!("scripts/remove.lua"),
            Self::Expire => with_prelude!("scripts/expire.lua"),
            Self::Incr => with_prelude!("scripts/incr.lua"),
            Self::Push => with_prelude!("scripts/push.lua"),
            Self::Store => include_str!("scripts/store.lua"),
            Self::Clear => include_str!("scripts/clear.lua"),
            Self::Lease => include_str!("scripts/lease.lua"),
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
