//! The one suite that every engine passes: the tests of the commands, with each engine's stores.
//!
//! On the tree they run as the tests that they are; here they run once more on the others, one test
//! for each engine and command. An engine is added by a line below.

mod cases;

use crate::harness::Engine;

/// A test, and its name.
type Case = (&'static str, fn());

/// Makes a test for each command on an engine.
macro_rules! contract {
    ($name:ident: $engine:expr; $($command:ident $cases:ident)*) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $command() {
                    run($engine, cases::$cases);
                }
            )*
        }
    };
}

/// Runs the cases one after another.
fn run(engine: Engine, cases: &[Case]) {
    for (name, case) in cases {
        // A panic says where it was, and this what it was.
        eprintln!("{engine:?}: {name}");
        engine.run(*case);
    }
}

contract! {
    sqlite: Engine::Sqlite;
    append APPEND
    batch BATCH
    concurrency CONCURRENCY
    counting COUNTING
    expire EXPIRE
    export EXPORT
    gc GC
    get GET
    has HAS
    import IMPORT
    incr INCR
    info INFO
    items ITEMS
    keys KEYS
    lock LOCK
    ls LS
    memo MEMO
    memo_flight MEMO_FLIGHT
    namespaces NAMESPACES
    pop POP
    pop_wait POP_WAIT
    program PROGRAM
    push PUSH
    put PUT
    remove REMOVE
    stat STAT
    ttl TTL
    update UPDATE
    values VALUES
    wait WAIT
}
