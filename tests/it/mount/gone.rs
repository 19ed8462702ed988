//! What a mount says when its store is taken away while it is in use.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::Signal;

use super::Mount;
use super::mounted::can;
use crate::harness::{Engine, Sandbox, tell_count, until};
use crate::redis::cases::On;
use crate::redis::servers::Cluster;

fn is_io<T>(done: io::Result<T>) -> bool {
    done.is_err_and(|err| err.raw_os_error() == Some(Errno::IO.raw_os_error()))
}

/// Removes a store, whatever it consists of.
fn remove(store: &Path) {
    let dir = store.parent().unwrap();
    let name = store.file_name().unwrap().to_str().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let of_store = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && of_store == name {
            fs::remove_dir_all(path).unwrap();
        } else if of_store.starts_with(name) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn a_store_that_is_removed_is_no_empty_one() {
    let kv = Sandbox::new();
    let mut mount = Mount::of(&kv, &[]);
    // A store that is not there yet is empty.
    mount.lacks("k");
    assert_eq!(mount.names(""), [""; 0]);
    kv.put("k", "v");
    kv.put("dir/k", "v");
    mount.holds("k", "v");
    remove(&kv.store());
    let default = mount.point().join("default");
    let seen = [
        is_io(fs::read(default.join("k"))),
        is_io(fs::metadata(default.join("other"))),
        is_io(fs::metadata(default.join("dir/k"))),
        is_io(fs::read_dir(&default).and_then(|mut dir| dir.next().unwrap())),
        is_io(fs::read_dir(mount.point()).and_then(|mut dir| dir.next().unwrap())),
        is_io(fs::write(default.join("k"), "new")),
        is_io(fs::remove_file(default.join("k"))),
        is_io(fs::rename(default.join("k"), default.join("l"))),
    ];
    assert!(
        !kv.store().exists(),
        "a store was made where one was taken away"
    );
    // Somebody else begins a new one there.
    kv.put("k", "another");
    mount.holds("k", "another");
    mount.write("l", "written");
    kv.holds("l", "written");
    let told = mount.end(Signal::TERM);
    assert_eq!(seen, [true; 8], "{told}");
    assert!(told.contains("cannot find the store"), "{told}");
}

#[test]
fn a_directory_that_is_removed_is_no_empty_store() {
    if can() {
        Engine::Tree.run(a_store_that_is_removed_is_no_empty_one);
    }
}

#[test]
fn a_database_that_is_removed_is_no_empty_store() {
    if can() {
        Engine::Sqlite.run(a_store_that_is_removed_is_no_empty_one);
    }
}

#[test]
fn a_service_that_has_ended_is_an_error_until_it_is_back() {
    if !can() {
        return;
    }
    let mut kv = Sandbox::on(Engine::HttpSqlite);
    kv.put("k", "v");
    let mut mount = Mount::of(&kv, &["--busy-timeout", "1s"]);
    mount.holds("k", "v");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(mount.path("k"))
        .unwrap();
    file.write_all(b"more").unwrap();
    kv.stop_service();
    // As a shell does, which looks at no close.
    drop(file);
    let default = mount.point().join("default");
    assert!(is_io(fs::read(default.join("k"))));
    assert!(is_io(fs::write(default.join("k"), "new")));
    assert!(is_io(
        fs::read_dir(&default).and_then(|mut dir| dir.next().unwrap())
    ));
    // The next command begins another.
    kv.holds("k", "v");
    mount.holds("k", "v");
    let sync = || File::open(mount.path("k")).unwrap().sync_all();
    assert!(is_io(sync()));
    sync().unwrap();
    assert!(mount.end(Signal::TERM).contains("cannot reach"));
}

#[test]
fn a_node_that_is_killed_is_an_error_until_another_has_its_keys() {
    if !can() {
        return;
    }
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let kv = Sandbox::new();
    let on = On::new(cluster.store());
    let keys: Vec<String> = (0..30).map(|n| format!("k{n}")).collect();
    for key in &keys {
        on.put(key, key);
    }
    let mut mount = Mount::of(&kv, &["--busy-timeout", "200ms", "--store", &on.store]);
    for key in &keys {
        mount.holds(key, key);
    }
    let master = cluster.masters()[0];
    let dead = cluster.nodes.remove(master);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(dead.pid.cast_signed()).unwrap(),
        Signal::KILL,
    )
    .unwrap();
    let read = |key: &String| fs::read(mount.path(key));
    let failed = keys.iter().filter(|key| is_io(read(key))).count();
    tell_count(&format!(
        "of {} files {failed} were an error when a node was killed",
        keys.len()
    ));
    assert!((1..keys.len()).contains(&failed), "{failed}");
    until("the replica has taken over", || {
        keys.iter().all(|key| read(key).is_ok())
    });
    for key in &keys {
        mount.holds(key, key);
        mount.write(key, "new");
        on.holds(key, "new");
    }
    assert!(mount.end(Signal::TERM).contains("cannot"));
}
