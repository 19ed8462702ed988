//! The files of named locks, which `gc` removes where nobody holds them.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use kv::engine::Sync;
use kv::exit::Exit;
use kv::store::{Collect, Key, LockRequest, Namespace, Progress, Store, StoreError};

use crate::harness::{Engine, Sandbox, tell_count};
use crate::library::{Now, open};
use crate::process::{Started, until_there};

/// The engines whose locks have files.
const ENGINES: [Engine; 2] = [Engine::Tree, Engine::Sqlite];

/// Names the files.
fn files(kv: &Sandbox, engine: Engine) -> usize {
    match engine {
        Engine::Tree => kv.names_in("named").len(),
        _ => fs::read_dir(kv.path("store-locks")).map_or(0, Iterator::count),
    }
}

#[test]
fn those_that_nobody_holds_go() {
    for engine in ENGINES {
        let kv = Sandbox::on(engine);
        kv.put("k", "v");
        for n in 0..20 {
            let name = format!("free{n}");
            kv.run(["lock", &*name, "--", "true"]).ends(Exit::Success);
        }
        let wait = "echo >$1; while ! [ -e end ]; do sleep 0.01; done";
        let hold = |args: &[&str]| {
            let ready = kv.path(args[args.len() - 1]);
            let mut script = args.to_vec();
            script.extend(["--", "sh", "-c", wait, "sh", args[args.len() - 1]]);
            let started = Started::new(kv.kv(script));
            until_there(&ready);
            started
        };
        let holders = [
            hold(&["lock", "alone"]),
            hold(&["lock", "--shared", "some"]),
        ];
        assert_eq!(files(&kv, engine), 22);
        kv.run(["gc"]).ends(Exit::Success);
        assert_eq!(files(&kv, engine), 2, "{engine:?}");
        for name in ["alone", "some"] {
            let other = ["lock", "--no-wait", name, "--", "true"];
            kv.run(other).ends(Exit::Program(124)).is_silent();
            kv.run(["lock", "--show", name]).ends(Exit::Success);
        }
        fs::write(kv.path("end"), "").unwrap();
        for holder in holders {
            holder.end().ends(Exit::Success);
        }
        kv.run(["gc"]).ends(Exit::Success);
        assert_eq!(files(&kv, engine), 0);
        kv.run(["lock", "--no-wait", "alone", "--", "true"])
            .ends(Exit::Success);
        kv.run(["lock", "--show", "some"]).ends(Exit::No);
    }
}

struct Nobody;

impl Progress for Nobody {
    fn step(&mut self, _: u64, _: u64) {}

    fn evict(&mut self, _: &Key) {}

    fn damage(&mut self, err: StoreError) {
        panic!("{err}");
    }
}

#[test]
fn a_lock_has_one_holder_though_its_file_goes_and_comes() {
    for engine in ENGINES {
        let kv = Sandbox::on(engine);
        kv.put("k", "v");
        let namespace = Namespace::default();
        let (inside, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (taken, gone) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let key = |name: &str| Key::new(name.as_bytes().to_vec()).unwrap();
        let take = |store: &dyn Store, name: &str, patience| {
            let request = LockRequest {
                is_shared: false,
                patience,
            };
            store.lock(&namespace, &key(name), request, &Now).unwrap()
        };
        thread::scope(|scope| {
            for patience in [None, None, None, Some(Duration::from_secs(60))] {
                let (kv, take, inside, taken, is_over) = (&kv, &take, &inside, &taken, &is_over);
                scope.spawn(move || {
                    let store = open(kv.location(), Sync::Off, 60);
                    while !is_over.load(SeqCst) {
                        let held = take(&*store, "job", patience).expect("there is time");
                        assert_eq!(inside.fetch_add(1, SeqCst), 0, "{engine:?}: two hold it");
                        thread::yield_now();
                        inside.fetch_sub(1, SeqCst);
                        taken.fetch_add(1, SeqCst);
                        drop(held);
                    }
                });
            }
            // A single try for what nobody else takes is always enough. It is a process of its own, as
            // those that other tests start have what is open here for a moment.
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    let take = ["lock", "--no-wait", "mine", "--", "true"];
                    kv.run(take).ends(Exit::Success).is_silent();
                }
            });
            let collectors = (0..2).map(|_| {
                scope.spawn(|| {
                    let store = open(kv.location(), Sync::Off, 60);
                    for _ in 0..300 {
                        let before = files(&kv, engine);
                        store
                            .collect(&namespace, &Collect::default(), &Now, &mut Nobody)
                            .unwrap();
                        gone.fetch_add(usize::from(before > files(&kv, engine)), SeqCst);
                    }
                })
            });
            let collectors: Vec<_> = collectors.collect();
            let ended: Vec<_> = collectors.into_iter().map(|one| one.join()).collect();
            is_over.store(true, SeqCst);
            ended.into_iter().for_each(Result::unwrap);
        });
        let (taken, gone) = (taken.into_inner(), gone.into_inner());
        tell_count(&format!(
            "{engine:?}: a lock was held {taken} times while files of locks went {gone} times"
        ));
        assert!(taken > 100 && gone > 0, "{taken} {gone}");
    }
}
