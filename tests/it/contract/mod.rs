//! The one suite that every engine passes: the tests of the commands, with each engine's stores.
//!
//! On the tree they run as the tests that they are; here they run once more on the others, one test
//! for each engine and command. An engine is added by a line below.

mod cases;

use crate::harness::Engine;

/// A test, and its name.
type Case = (&'static str, fn());

/// What cannot hold of a store behind a service, where a lock is a lease, and why.
const NOT_SERVED: &[(&str, &str)] = &[
    (
        "jobs::a_kv_that_is_killed_gives_it_back",
        "a lease outlives a holder that was killed",
    ),
    (
        "jobs::what_the_program_has_started_keeps_it_when_kv_is_killed",
        "a lease is not inherited",
    ),
    (
        "lock::kv_and_the_program_end_together",
        "a lease outlives a holder that was killed",
    ),
    (
        "lock::a_lock_that_is_inherited_is_free_when_the_last_is_gone",
        "a lease is not inherited",
    ),
    (
        "lock::a_program_that_inherits_a_lock_lives_on_with_it",
        "a lease is not inherited",
    ),
    (
        "lock::what_is_shared_is_inherited_shared",
        "a lease is not inherited",
    ),
];

/// What the defaults of the facets do not promise either, or what looks at files.
const NOT_BY_DEFAULT: &[(&str, &str)] = &[
    (
        "pop::a_gap_of_any_width_is_passed_over",
        "a list that has become empty begins anew",
    ),
    ("info::it_changes_nothing", "it looks at files"),
    (
        "keys::keys_that_look_like_paths_are_no_paths",
        "it looks at files",
    ),
];

/// What cannot hold either of a store that is on other machines, and why.
const NOT_REMOTE: &[(&str, &str)] = &[
    (
        "export::it_takes_little_memory_however_much_there_is",
        "a value has at most 8 MiB",
    ),
    (
        "memo::large_outputs_are_replayed_whole",
        "a value has at most 8 MiB",
    ),
    ("info::it_changes_nothing", "it looks at files"),
    (
        "keys::keys_that_look_like_paths_are_no_paths",
        "it looks at files",
    ),
];

/// Makes a test for each command on an engine: those that all engines have, and those that are named.
macro_rules! contract {
    ($name:ident: $engine:expr; $($also:ident $cases:ident)*) => {
        mod $name {
            use super::*;
            tests! { $engine; $($also $cases)*
                append APPEND
                batch BATCH
                concurrency CONCURRENCY
                edit EDIT
                existing EXISTING
                expire EXPIRE
                export EXPORT
                facts FACTS
                get GET
                has HAS
                import IMPORT
                incr INCR
                info INFO
                items ITEMS
                jobs JOBS
                keys KEYS
                lock LOCK
                ls LS
                memo MEMO
                memo_flight MEMO_FLIGHT
                namespaces NAMESPACES
                nonblocking NONBLOCKING
                pop POP
                pop_wait POP_WAIT
                program PROGRAM
                push PUSH
                put PUT
                remove REMOVE
                rename RENAME
                stat STAT
                times TIMES
                ttl TTL
                update UPDATE
                values VALUES
                wait WAIT
                watch WATCH
            }
        }
    };
}

macro_rules! tests {
    ($engine:expr; $($command:ident $cases:ident)*) => {
        $(
            #[test]
            fn $command() {
                run($engine, cases::$cases);
            }
        )*
    };
}

/// Runs the cases one after another.
#[track_caller]
fn run(engine: Engine, cases: &[Case]) {
    if !engine.is_here() {
        return;
    }
    let excepted = match engine {
        Engine::Tree | Engine::Sqlite => vec![],
        Engine::Redis | Engine::Cluster => [NOT_SERVED, NOT_REMOTE].concat(),
        Engine::HttpMemory => [NOT_SERVED, NOT_BY_DEFAULT].concat(),
        Engine::Http | Engine::HttpSqlite | Engine::Nginx => NOT_SERVED.to_vec(),
    };
    for (name, case) in cases {
        if excepted.iter().any(|(excepted, _)| excepted == name) {
            continue;
        }
        // A panic says where it was, and this what it was.
        eprintln!("{engine:?}: {name}");
        engine.run(*case);
    }
}

/// A name that no case has any more would except nothing, and a reader believe that it did.
#[test]
fn what_is_excepted_is_a_case() {
    let all = [
        cases::EXPORT,
        cases::INFO,
        cases::JOBS,
        cases::KEYS,
        cases::LOCK,
        cases::MEMO,
        cases::POP,
    ]
    .concat();
    for (name, _) in [NOT_SERVED, NOT_BY_DEFAULT, NOT_REMOTE].concat() {
        assert!(all.iter().any(|(case, _)| *case == name), "{name}");
    }
}

contract! { sqlite: Engine::Sqlite; counting COUNTING gc GC }
contract! { redis: Engine::Redis; counting COUNTING gc GC }
// Counting is the same code on a cluster as on one server, and takes its time.
contract! { cluster: Engine::Cluster; gc GC }
contract! { http: Engine::Http; counting COUNTING }
// What it does by the defaults of the facets, every engine may rely on.
contract! { http_memory: Engine::HttpMemory; counting COUNTING }
contract! { http_sqlite: Engine::HttpSqlite; counting COUNTING }
contract! { nginx: Engine::Nginx; counting COUNTING }
