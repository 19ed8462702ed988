//! What a `put --ttl` clears away after its acknowledgement: due entries, and dead writers' drafts.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kv::exit::Exit;

use crate::harness::{Sandbox, names_in};

/// Makes a file or directory look as if it had last been touched so long ago.
pub fn age(path: &Path, by: Duration) {
    let file = File::open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

/// Stores something with an expiry, which is when a sweep happens.
fn put_with_ttl(kv: &Sandbox) {
    kv.run(["put", "x", "y", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
}

/// Does to the hints what time does: the spans that they are of are over.
pub fn let_time_pass(kv: &Sandbox) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let dir = kv.space().join("expiry");
    // Of those that are over, the one that is over for longest comes first.
    for (n, name) in (0..).zip(kv.names_in("expiry")) {
        let past = format!("{:015}", now.as_millis() - 100 + n);
        fs::rename(dir.join(name), dir.join(past)).unwrap();
    }
}

fn has_file(kv: &Sandbox, key: &str) -> bool {
    kv.file_of(key.as_bytes()).exists()
}

/// Stores keys that have expired when this returns.
fn put_expired(kv: &Sandbox, keys: impl IntoIterator<Item = String>) -> Vec<String> {
    let keys: Vec<_> = keys.into_iter().collect();
    for key in &keys {
        let args = ["put", key, "gone", "--ttl", "1ms", "--sync", "off"];
        kv.run(args).ends(Exit::Success);
    }
    thread::sleep(Duration::from_millis(5));
    keys
}

fn left(kv: &Sandbox, keys: &[String]) -> usize {
    keys.iter().filter(|key| has_file(kv, key)).count()
}

#[test]
fn due_entries_go_sixteen_at_a_time() {
    let kv = Sandbox::new();
    let keys = put_expired(&kv, (0..40).map(|n| format!("due {n}")));
    // Their span is not over: what is due is hidden, and still there.
    put_with_ttl(&kv);
    assert_eq!(left(&kv, &keys), 40);
    kv.run(["ls"]).ends(Exit::Success).prints("x\n");

    let_time_pass(&kv);
    for want in [24, 8, 0] {
        put_with_ttl(&kv);
        assert_eq!(left(&kv, &keys), want);
    }
    kv.run(["ls"]).ends(Exit::Success).prints("x\n");
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
fn a_put_without_ttl_sweeps_nothing() {
    let kv = Sandbox::new();
    let keys = put_expired(&kv, ["due".to_owned()]);
    let_time_pass(&kv);
    kv.run(["put", "x", "y"]).ends(Exit::Success);
    assert_eq!(left(&kv, &keys), 1);
}

#[test]
fn what_was_replaced_survives_the_sweep() {
    let kv = Sandbox::new();
    let names = ["forever", "later", "expire", "never", "kept"];
    for key in names {
        kv.run(["put", key, "old", "--ttl", "3s"])
            .ends(Exit::Success);
    }
    for args in [
        &["put", "forever", "new"][..],
        &["put", "later", "new", "--ttl", "2h"],
        &["expire", "expire", "2h"],
        &["expire", "never", "never"],
    ] {
        kv.run(args).ends(Exit::Success);
    }
    thread::sleep(Duration::from_millis(3_100));
    let_time_pass(&kv);
    for _ in 0..3 {
        put_with_ttl(&kv);
    }
    for (key, value) in [
        ("forever", "new"),
        ("later", "new"),
        ("expire", "old"),
        ("never", "old"),
    ] {
        kv.run(["get", key]).ends(Exit::Success).prints(value);
    }
    kv.run(["get", "kept"]).ends(Exit::No);
    assert!(!has_file(&kv, "kept"));
}

#[test]
fn garbage_among_the_hints_does_no_harm() {
    let kv = Sandbox::new();
    kv.run(["put", "alive", "value"]).ends(Exit::Success);
    let keys = put_expired(&kv, (0..3).map(|n| n.to_string()));
    let_time_pass(&kv);
    let dir = kv.space().join("expiry");
    let name = kv.names_in("expiry").remove(0);
    // A hint that the disk was too full for, with the next one behind it.
    let hints = fs::read_to_string(dir.join(&name)).unwrap();
    let hints: Vec<_> = hints.lines().collect();
    let torn = format!(
        "{}\n{}{}\n{}\n",
        hints[0],
        &hints[1][..20],
        hints[1],
        hints[2]
    );
    fs::write(dir.join(&name), torn).unwrap();
    fs::write(dir.join("000000000000001"), [0xff; 3000]).unwrap();
    fs::write(dir.join("000000000000002"), "\n\n../../format\n").unwrap();
    fs::create_dir(dir.join("000000000000003")).unwrap();
    fs::write(dir.join("not a time"), "x").unwrap();
    fs::write(dir.join("000000000000004"), "").unwrap();
    for _ in 0..100 {
        put_with_ttl(&kv);
    }
    kv.run(["get", "alive"]).ends(Exit::Success).prints("value");
    assert!(kv.space().join("format").is_file());
    // A lost hint costs space and nothing else.
    assert!(left(&kv, &keys) <= 1, "{:?}", kv.names_in("expiry"));
}

#[test]
fn no_sweep_happens_beside_maintenance_and_nobody_waits() {
    let kv = Sandbox::new();
    let keys = put_expired(&kv, ["due".to_owned()]);
    put_with_ttl(&kv);
    let_time_pass(&kv);
    fs::write(kv.space().join("tmp/dead"), "draft").unwrap();
    age(&kv.space().join("tmp/dead"), Duration::from_secs(3600));

    let gc = File::open(kv.space().join("locks/gc")).unwrap();
    fs2::FileExt::lock_exclusive(&gc).unwrap();
    // Were it to wait, it would be for ever.
    put_with_ttl(&kv);
    assert_eq!((left(&kv, &keys), kv.litter().len()), (1, 1));
    drop(gc);
    put_with_ttl(&kv);
    assert_eq!((left(&kv, &keys), kv.litter().len()), (0, 0));
}

#[test]
fn a_draft_goes_when_it_is_old_and_nobody_holds_it() {
    let kv = Sandbox::new();
    put_with_ttl(&kv);
    let tmp = kv.space().join("tmp");
    for name in ["young", "old", "held"] {
        fs::write(tmp.join(name), "half an ent").unwrap();
    }
    age(&tmp.join("young"), Duration::from_secs(50));
    age(&tmp.join("old"), Duration::from_secs(61));
    age(&tmp.join("held"), Duration::from_secs(86_400));
    let held = File::open(tmp.join("held")).unwrap();
    fs2::FileExt::lock_exclusive(&held).unwrap();
    put_with_ttl(&kv);
    assert_eq!(kv.litter(), ["held", "young"]);
    drop(held);
    put_with_ttl(&kv);
    assert_eq!(kv.litter(), ["young"]);
}

#[test]
fn litter_of_namespaces_goes_when_the_next_is_made() {
    let kv = Sandbox::new();
    kv.run(["put", "key", "value"]).ends(Exit::Success);
    for name in [".new-1", ".new-2", ".gone-1"] {
        fs::create_dir_all(kv.store().join(name).join("objects/ab")).unwrap();
        fs::write(kv.store().join(name).join("objects/ab/c"), "x").unwrap();
    }
    age(&kv.store().join(".new-1"), Duration::from_secs(61));
    kv.run(["put", "key", "again"]).ends(Exit::Success);
    assert_eq!(names_in(&kv.store()).len(), 4);
    kv.run(["-n", "other", "put", "key", "value"])
        .ends(Exit::Success);
    assert_eq!(names_in(&kv.store()), [".new-2", "default", "other"]);
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("default\nother\n");
}

#[test]
fn litter_of_namespaces_goes_with_any_collection() {
    let kv = Sandbox::new();
    kv.run(["put", "key", "value"]).ends(Exit::Success);
    for name in [".new-1", ".new-2", ".gone-1"] {
        fs::create_dir_all(kv.store().join(name).join("objects/ab")).unwrap();
    }
    age(&kv.store().join(".new-1"), Duration::from_secs(61));
    kv.run(["gc"]).ends(Exit::Success);
    assert_eq!(names_in(&kv.store()), [".new-2", "default"]);
}

#[test]
fn a_lock_file_that_was_never_given_its_one_name_is_swept() {
    let kv = Sandbox::new();
    put_with_ttl(&kv);
    // As a writer leaves it who is killed between the two names of a new lock file.
    let aside = kv.space().join("tmp/aside");
    fs::hard_link(kv.space().join("locks/gc"), &aside).unwrap();
    age(&aside, Duration::from_secs(90));
    put_with_ttl(&kv);
    assert_eq!(kv.litter(), [""; 0]);
    assert!(kv.space().join("locks/gc").exists());
}
