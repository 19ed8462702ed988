//! What gc leaves where it is for now, and who waits for it.

use std::fs::File;
use std::time::{Duration, Instant};

use kv::engine::Sync;
use kv::exit::Exit;
use kv::store::{Clock as _, Condition, Key, Namespace, Put, Time};

use crate::harness::{Ran, Sandbox, until};
use crate::library::{Now, open};
use crate::process::Started;
use crate::serve::client::Server;

/// Stores an entry that was written so long ago, or will be.
fn put(kv: &Sandbox, key: &str, modified: Time) {
    let namespace: Namespace = "default".parse().unwrap();
    let mut value: &[u8] = b"v";
    let put = Put {
        modified: Some(modified),
        ..Put::new(&mut value, Condition::Always)
    };
    let key = Key::new(key.as_bytes().to_vec()).unwrap();
    let store = open(kv.location(), Sync::Off, 10);
    store.put(&namespace, &key, put, &Now).unwrap();
}

#[test]
fn what_was_written_within_an_hour_stays_in_its_own_file() {
    let kv = Sandbox::new();
    let ago = |minutes: u64| Time(Now.now().0 - minutes * 60_000_000_000);
    put(&kv, "old", ago(61));
    put(&kv, "young", ago(58));
    // A clock that was wrong keeps nothing loose for years.
    put(&kv, "future", Time(Now.now().0 + 7_200_000_000_000));
    kv.put("fresh", "v");
    let is_loose = |key: &str| kv.file_of(key.as_bytes()).exists();
    let loose = || ["old", "young", "future", "fresh"].map(is_loose);
    kv.shell("sh", "kv gc").ends(Exit::Success).is_silent();
    assert_eq!(loose(), [false, true, false, true]);
    kv.shell("sh", "kv gc --now").ends(Exit::Success);
    assert_eq!(loose(), [false; 4]);
    kv.run(["ls"])
        .ends(Exit::Success)
        .prints("fresh\nfuture\nold\nyoung\n");
}

#[test]
fn many_at_once_wait_for_a_collection_whatever_the_busy_timeout_is() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["gc"]).ends(Exit::Success);
    let lock = File::open(kv.space().join("locks/gc")).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let numbers = 0..1_500;
    let entries: String = numbers.clone().map(|n| format!("k{n}\tv\n")).collect();
    let keys: String = numbers.map(|n| format!("k{n}\n")).collect();
    for (args, input) in [
        (&["import", "--tsv"][..], entries),
        (&["remove", "--stdin"], keys),
    ] {
        std::fs::write(kv.path("input"), input).unwrap();
        let mut command = kv.kv(args);
        command
            .args(["--busy-timeout", "10ms"])
            .stdin(File::open(kv.path("input")).unwrap());
        let mut started = Started::new(command);
        let begun = Instant::now();
        until("the timeout has passed for long", || {
            begun.elapsed() > Duration::from_millis(500)
        });
        assert!(started.is_running(), "{args:?}");
        fs2::FileExt::unlock(&lock).unwrap();
        started.end().ends(Exit::Success);
        fs2::FileExt::lock_exclusive(&lock).unwrap();
    }
    // One key at a time waits for nobody.
    kv.run(["put", "k", "w", "--busy-timeout", "10ms"])
        .ends(Exit::Success);
}

#[test]
fn a_batch_of_many_puts_waits_for_no_collection() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["gc"]).ends(Exit::Success);
    let lock = File::open(kv.space().join("locks/gc")).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let puts: String = (0..1_500).map(|n| format!("put k{n} v{n}\n")).collect();
    // Over HTTP too.
    let service = Server::of(&kv, &[]);
    let served = format!("http://{}", service.address());
    for (n, location) in [(7, kv.location()), (8, served.into())] {
        let mut command = kv.kv(["batch", "--sync", "off"]);
        command.env("KV_STORE", location);
        let puts = puts.replace(" v", &format!(" {n}"));
        let ran = Ran::fed(&mut command, puts.as_bytes()).ends(Exit::Success);
        assert_eq!(ran.stdout_text().matches("0 0\n").count(), 1_500);
        kv.holds("k1499", format!("{n}1499"));
        assert!(kv.file_of(b"k1499").exists());
    }
}
