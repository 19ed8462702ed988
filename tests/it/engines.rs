//! What keeps the stores of the tests that every engine passes.

use std::cell::Cell;

use crate::redis::servers;

/// What keeps the stores of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Tree,
    Sqlite,
    /// One server of Redis.
    Redis,
    /// Three masters with a replica each.
    Cluster,
}

thread_local! {
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Tree) };
}

impl Engine {
    /// What survives a power cut is another test's concern.
    pub fn settings(self) -> Option<(&'static str, &'static str)> {
        (self != Self::Tree).then_some(("KV_SYNC", "off"))
    }

    /// Tells whether it can be had here, and says loudly if it cannot.
    #[track_caller]
    pub fn is_here(self) -> bool {
        match self {
            Self::Tree | Self::Sqlite => true,
            Self::Redis => servers::server().is_some(),
            Self::Cluster => servers::cluster().is_some(),
        }
    }

    /// Returns the port of a server that has it.
    pub fn port(self) -> u16 {
        let server = match self {
            Self::Cluster => servers::cluster().map(|cluster| &cluster.nodes[0]),
            _ => servers::server(),
        };
        server.expect("it is here").port
    }

    /// Returns the engine of the test that is running.
    pub fn current() -> Self {
        ENGINE.get()
    }

    /// Runs a test whose sandboxes have their stores on this engine.
    pub fn run(self, test: fn()) {
        let before = ENGINE.replace(self);
        test();
        ENGINE.set(before);
    }
}
