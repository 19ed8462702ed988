//! What can be done with files is done with keys.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use kv::exit::Exit;

use super::mounted::{Mount, can};
use super::on_each;
use super::open::close;
use crate::harness::{Engine, Sandbox};
use crate::serve::client::Server;

const ALL: &[Engine] = &[
    Engine::Tree,
    Engine::Sqlite,
    Engine::Redis,
    Engine::Cluster,
    Engine::Http,
    Engine::HttpSqlite,
];

/// Some bytes that no run of the same length repeats.
fn bytes(len: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    (0..len).map(byte).collect()
}

#[test]
fn values_of_all_sizes_go_in_and_out() {
    on_each(ALL, |kv, mount| {
        for size in [0, 1, 4096, 65_535, 65_536, 65_537, 1 << 20, 3_000_001] {
            let value = bytes(size);
            mount.write("k", &value);
            kv.holds("k", &value);
            mount.holds("k", &value);
            assert_eq!(fs::metadata(mount.path("k")).unwrap().len(), size as u64);
            kv.feed(["put", "other"], &value).ends(Exit::Success);
            mount.holds("other", &value);
        }
    });
}

#[test]
fn what_others_do_is_seen_at_once() {
    on_each(ALL, |kv, mount| {
        mount.lacks("k");
        for value in ["one", "a longer one", ""] {
            kv.put("k", value);
            mount.holds("k", value);
            assert_eq!(
                fs::metadata(mount.path("k")).unwrap().len(),
                value.len() as u64
            );
        }
        kv.run(["remove", "k"]).ends(Exit::Success);
        mount.lacks("k");
        kv.run(["put", "--ttl", "0.2s", "k", "v"])
            .ends(Exit::Success);
        crate::harness::until("the key expires", || !mount.path("k").exists());
        // A directory that others make is seen within a second.
        kv.put("dir/sub/k", "below");
        crate::harness::until("it is seen", || mount.path("dir/sub").is_dir());
        mount.holds("dir/sub/k", "below");
        assert_eq!(mount.names("dir"), ["sub"]);
    });
}

#[test]
fn nothing_is_stored_before_it_is_closed_or_synced() {
    on_each(ALL, |kv, mount| {
        kv.put("k", "old");
        let mut file = File::create(mount.path("k")).unwrap();
        file.write_all(b"new").unwrap();
        kv.holds("k", "old");
        mount.holds("k", "new");
        file.sync_all().unwrap();
        kv.holds("k", "new");
        file.write_all(b"er").unwrap();
        kv.holds("k", "new");
        drop(file);
        crate::harness::until("it is stored", || kv.run(["get", "k"]).stdout() == b"newer");
    });
}

#[test]
fn any_part_can_be_read_and_written() {
    on_each(ALL, |kv, mount| {
        let mut value = bytes(2_500_000);
        mount.write("k", &value);
        let file = File::open(mount.path("k")).unwrap();
        for at in [2_499_990, 0, 1_000_000, 2_000_000, 10, 2_400_000] {
            let mut part = [0; 10];
            file.read_exact_at(&mut part, at as u64).unwrap();
            assert_eq!(part, value[at..at + 10], "at {at}");
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(mount.path("k"))
            .unwrap();
        file.write_all_at(b"hello", 1_000_000).unwrap();
        value[1_000_000..1_000_005].copy_from_slice(b"hello");
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"end").unwrap();
        value.extend_from_slice(b"end");
        let mut end = [0; 4];
        file.read_exact_at(&mut end, value.len() as u64 - 4)
            .unwrap();
        assert_eq!(end, value[value.len() - 4..]);
        file.set_len(1_000_003).unwrap();
        value.truncate(1_000_003);
        file.set_len(1_000_010).unwrap();
        value.resize(1_000_010, 0);
        file.sync_all().unwrap();
        kv.holds("k", &value);
    });
}

#[test]
fn what_is_appended_is_added_to_what_is_there() {
    on_each(ALL, |kv, mount| {
        mount.write("k", "a");
        let append = || {
            OpenOptions::new()
                .append(true)
                .open(mount.path("k"))
                .unwrap()
        };
        let (mut one, mut two) = (append(), append());
        one.write_all(b"b").unwrap();
        kv.run(["append", "k", "c"]).ends(Exit::Success);
        assert_eq!(fs::metadata(mount.path("k")).unwrap().len(), 3);
        one.sync_all().unwrap();
        two.write_all(b"d").unwrap();
        two.sync_all().unwrap();
        kv.holds("k", "acbd");
        // Who looks at the whole while something is being added sees it too.
        one.write_all(b"e").unwrap();
        mount.holds("k", "acbde");
        one.sync_all().unwrap();
        kv.holds("k", "acbde");
    });
}

#[test]
fn names_come_and_go() {
    on_each(ALL, |kv, mount| {
        fs::create_dir_all(mount.path("a/b")).unwrap();
        assert_eq!(mount.names("a"), ["b"]);
        mount.write("a/b/c", "v");
        kv.holds("a/b/c", "v");
        fs::rename(mount.path("a/b/c"), mount.path("d")).unwrap();
        kv.holds("d", "v");
        kv.lacks("a/b/c");
        // An empty directory stays until it is removed.
        assert_eq!(mount.names("a"), ["b"]);
        let err = fs::remove_dir(mount.path("a")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::DirectoryNotEmpty);
        fs::remove_dir(mount.path("a/b")).unwrap();
        fs::remove_dir(mount.path("a")).unwrap();
        mount.lacks("a");
        fs::remove_file(mount.path("d")).unwrap();
        kv.lacks("d");
        let err = fs::remove_file(mount.path("d")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        let err = symlink("x", mount.path("link")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
        mount.write("e", "");
        let err = fs::hard_link(mount.path("e"), mount.path("f")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn renaming_keeps_what_a_key_has() {
    on_each(ALL, |kv, mount| {
        kv.run(["put", "--ttl", "1h", "a/1", "one"])
            .ends(Exit::Success);
        kv.put("a/b/2", "two");
        kv.put("a", "self");
        kv.put("z", "old");
        let modified = kv.field("modified", "a/1");
        let expires = kv.field("expires", "a/1");
        fs::rename(mount.path("a"), mount.path("c")).unwrap();
        let listed = kv.run(["ls"]).ends(Exit::Success);
        listed.prints("c\nc/1\nc/b/2\nz\n");
        assert_eq!(kv.field("modified", "c/1"), modified);
        assert_eq!(kv.field("expires", "c/1"), expires);
        fs::rename(mount.path("c/b/2"), mount.path("z")).unwrap();
        kv.holds("z", "two");
        // Whoever has a file open that another takes the place of goes on reading it.
        let mut old = File::open(mount.path("z")).unwrap();
        fs::rename(mount.path("c/1"), mount.path("z")).unwrap();
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "two");
        mount.holds("z", "one");
        fs::create_dir(mount.point().join("other")).unwrap();
        fs::rename(mount.path("z"), mount.point().join("other/z")).unwrap();
        kv.run(["-n", "other", "get", "z"])
            .ends(Exit::Success)
            .prints("one");
        kv.lacks("z");
    });
}

#[test]
fn a_file_that_is_removed_can_be_used_until_it_is_closed() {
    on_each(ALL, |kv, mount| {
        mount.write("k", "value");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(mount.path("k"))
            .unwrap();
        fs::remove_file(mount.path("k")).unwrap();
        file.write_all(b"VAL").unwrap();
        let told = file.metadata().unwrap();
        assert_eq!((told.len(), told.nlink()), (5, 0));
        let mut part = [0; 5];
        file.read_exact_at(&mut part, 0).unwrap();
        assert_eq!(&part, b"VALue");
        mount.lacks("k");
        mount.write("k", "another");
        file.sync_all().unwrap();
        drop(file);
        kv.holds("k", "another");
        assert_eq!(mount.names(""), ["k"]);
    });
}

#[test]
fn times_and_modes_are_kept_as_far_as_they_can_be() {
    on_each(ALL, |kv, mount| {
        mount.write("k", "value");
        let etag = kv.field("etag", "k");
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        let file = OpenOptions::new()
            .write(true)
            .open(mount.path("k"))
            .unwrap();
        file.set_modified(time).unwrap();
        drop(file);
        assert_eq!(
            fs::metadata(mount.path("k")).unwrap().modified().unwrap(),
            time
        );
        assert_eq!(kv.field("modified", "k"), "2001-09-09T01:46:40.123456789Z");
        kv.holds("k", "value");
        assert_ne!(kv.field("etag", "k"), etag);
        let mut file = File::create(mount.path("new")).unwrap();
        file.write_all(b"x").unwrap();
        file.set_modified(time).unwrap();
        file.sync_all().unwrap();
        assert_eq!(
            kv.field("modified", "new"),
            "2001-09-09T01:46:40.123456789Z"
        );

        let mode = || fs::metadata(mount.path("k")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(mount.path("k"), fs::Permissions::from_mode(0o4755)).unwrap();
        assert_eq!(mode(), 0o700);
        fs::set_permissions(mount.path("k"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(mode(), 0o600);
        // What is added is of now, though nothing is stored yet.
        let mut adds = OpenOptions::new()
            .append(true)
            .open(mount.path("k"))
            .unwrap();
        let modified = || fs::metadata(mount.path("k")).unwrap().modified().unwrap();
        assert_eq!(modified(), time);
        adds.write_all(b"+").unwrap();
        let added = modified();
        assert!(added > time && adds.metadata().unwrap().modified().unwrap() == added);
        drop(adds);
        assert!(modified() >= added);
        let uid = fs::metadata(mount.path("k")).unwrap().uid();
        std::os::unix::fs::chown(mount.path("k"), Some(uid), None).unwrap();
    });
}

#[test]
fn files_that_may_not_grow_are_told_as_such() {
    if !can() {
        return;
    }
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        let mut mount = Mount::of(&kv, &[]);
        kv.put("k", "old");
        crate::process::limit_files(mount.pid(), 300_000);
        let mut file = File::create(mount.path("k")).unwrap();
        let written = file.write_all(&bytes(5_000_000));
        let err = written.and_then(|()| file.sync_all()).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::FileTooLarge);
        drop(file);
        kv.holds("k", "old");
        assert!(fs::read_dir(mount.point()).is_ok());
        let told = mount.end(rustix::process::Signal::TERM);
        assert!(told.contains("File too large"), "{told}");
    }
}

#[test]
fn a_value_that_is_too_large_for_a_service_is_told_as_such() {
    if !can() {
        return;
    }
    let refuses = |mount: &Mount, len: usize| {
        mount.write("k", "old");
        let mut file = File::create(mount.path("k")).unwrap();
        file.write_all(&bytes(len)).unwrap();
        for done in [file.sync_all(), close(file)] {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
        mount.holds("k", "old");
    };
    let kv = Sandbox::on(Engine::Tree);
    let server = Server::of(&kv, &["--max-value", "100K"]);
    let store = format!("http://{}", server.address());
    refuses(&Mount::of(&kv, &["--store", &store]), 200_000);
    if Engine::Redis.is_here() {
        refuses(&Mount::of(&Sandbox::on(Engine::Redis), &[]), 9_000_000);
    }
}

#[test]
fn a_time_comes_back_or_is_refused() {
    on_each(ALL, |kv, mount| {
        mount.write("k", "v");
        let file = File::options().write(true).open(mount.path("k")).unwrap();
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (9_999_999_999_999_999_999, "2286-11-20T17:46:39.999999999Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
            file.set_modified(time).unwrap();
            file.sync_all().unwrap();
            assert_eq!(kv.field("modified", "k"), text);
            assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
        }
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000_000);
        for time in [early, late] {
            let err = file.set_modified(time).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput);
        }
    });
}

/// All keys of a store with many loose ones are listed once a second at most.
#[test]
fn what_a_file_is_told_anew_is_seen_in_the_next_listing() {
    on_each(&[Engine::Tree], |kv, mount| {
        let puts = (0..900).fold(String::new(), |puts, at| puts + &format!("put k{at} v\n"));
        kv.feed(["--sync", "off", "batch"], puts.as_bytes())
            .ends(Exit::Success);
        let times = || {
            let entries = fs::read_dir(mount.path("")).unwrap();
            let told = entries
                .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?))));
            let told: Vec<_> = told.map(Result::unwrap).collect();
            let (_, one) = told.iter().find(|(name, _)| name == "k7").unwrap();
            one.modified().unwrap()
        };
        for at in 0..20 {
            // Whether a name is a directory is asked of all keys.
            mount.lacks("nothing");
            times();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            let file = fs::File::options()
                .write(true)
                .open(mount.path("k7"))
                .unwrap();
            file.set_modified(time).unwrap();
            drop(file);
            assert_eq!(times(), time, "{at}");
        }
    });
}
