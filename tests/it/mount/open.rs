//! What becomes of an open file while others remove, replace, rename or make it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Barrier;
use std::thread;

use kv::exit::Exit;
use rustix::io::Errno;

use super::{Mount, on_each};
use crate::harness::{Engine, Sandbox, tell_count, until};

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

fn is<T>(done: &io::Result<T>, errno: Errno) -> bool {
    let err = done.as_ref().err();
    err.is_some_and(|err| err.raw_os_error() == Some(errno.raw_os_error()))
}

fn open(mount: &Mount, name: &str) -> File {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .open(mount.path(name))
        .unwrap()
}

/// Closes a file, and tells what that says.
pub(super) fn close(file: File) -> io::Result<()> {
    use std::os::fd::IntoRawFd as _;
    let fd = OwnedFd::from(file).into_raw_fd();
    nix::unistd::close(fd).map_err(io::Error::from)
}

type Change = fn(&Sandbox);

#[test]
fn a_part_is_stored_only_on_the_entry_that_was_opened() {
    let changes: [(&str, Change); 3] = [
        ("", |kv| {
            kv.run(["remove", "k"]).ends(Exit::Success);
        }),
        ("", |kv| {
            until("it expires", || !kv.run(["has", "k"]).status().success())
        }),
        ("ANOTHER ONE", |kv| kv.put("k", "ANOTHER ONE")),
    ];
    on_each(MOST, |kv, mount| {
        for (left, change) in changes {
            kv.run(["put", "--ttl", "1s", "k", "0123456789"])
                .ends(Exit::Success);
            let file = open(mount, "k");
            change(kv);
            file.write_all_at(b"xx", 4).unwrap();
            // What was opened is what is edited, and the file can be asked for.
            let mut all = [0; 10];
            file.read_exact_at(&mut all, 0).unwrap();
            assert_eq!(&all, b"0123xx6789");
            assert!(file.metadata().is_ok());
            assert!(is(&file.sync_all(), Errno::STALE));
            let closed = close(file);
            assert!(is(&closed, Errno::STALE), "{closed:?}");
            match left {
                "" => kv.lacks("k"),
                left => kv.holds("k", left),
            }
        }
        // A whole takes the place of whatever is there.
        kv.put("k", "old");
        let mut file = File::create(mount.path("k")).unwrap();
        file.write_all(b"whole").unwrap();
        kv.run(["put", "--ttl", "1h", "k", "between"])
            .ends(Exit::Success);
        close(file).unwrap();
        kv.holds("k", "whole");
        assert_ne!(kv.field("expires", "k"), "never");
    });
}

#[test]
fn what_is_read_stays_what_was_opened() {
    on_each(MOST, |kv, mount| {
        for value in ["short".to_owned(), "long ".repeat(100_000)] {
            for how in 0..4 {
                kv.feed(["put", "k"], value.as_bytes()).ends(Exit::Success);
                mount.write("other", "other");
                let mut file = File::open(mount.path("k")).unwrap();
                let mut read = vec![0; 3];
                file.read_exact(&mut read).unwrap();
                match how {
                    0 => kv.put("k", "replaced"),
                    1 => _ = kv.run(["remove", "k"]).ends(Exit::Success),
                    2 => fs::remove_file(mount.path("k")).unwrap(),
                    _ => fs::rename(mount.path("other"), mount.path("k")).unwrap(),
                }
                assert!(file.metadata().is_ok(), "{how}");
                file.read_to_end(&mut read).unwrap();
                assert!(read == value.as_bytes(), "{how}: {} bytes", read.len());
            }
        }
    });
}

#[test]
fn a_close_beside_an_unlink_or_a_rename_brings_nothing_back() {
    const TIMES: usize = 60;
    on_each(MOST, |kv, mount| {
        let barrier = Barrier::new(2);
        for n in 0..TIMES {
            let (old, new) = (format!("r{n}"), format!("q{n}"));
            mount.write(&old, "old");
            let mut file = match n % 2 {
                0 => File::create(mount.path(&old)).unwrap(),
                _ => open(mount, &old),
            };
            file.write_all(b"NEW").unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    barrier.wait();
                    drop(file);
                });
                barrier.wait();
                match n % 4 {
                    0 | 1 => fs::remove_file(mount.path(&old)).unwrap(),
                    _ => fs::rename(mount.path(&old), mount.path(&new)).unwrap(),
                }
            });
            kv.lacks(&old);
            if n % 4 > 1 {
                until("it is stored", || kv.run(["get", &new]).stdout() == b"NEW");
            }
        }
        tell_count(&format!("{TIMES} closes beside an unlink or a rename"));
    });
}

#[test]
fn a_file_is_made_by_one() {
    on_each(MOST, |kv, mount| {
        let make = |path: &std::path::Path| File::create_new(path);
        let again = Mount::at(kv, "again");
        for n in 0..20 {
            let name = format!("lock{n}");
            let made = thread::scope(|scope| {
                let here = scope.spawn(|| make(&mount.path(&name)).is_ok());
                let there = scope.spawn(|| make(&again.path(&name)).is_ok());
                [here.join().unwrap(), there.join().unwrap()]
            });
            assert_eq!(made.iter().filter(|made| **made).count(), 1, "{name}");
        }
        let mut file = make(&mount.path("mine")).unwrap();
        kv.run(["put", "--if-absent", "mine", "x"]).ends(Exit::No);
        file.write_all(b"me").unwrap();
        close(file).unwrap();
        kv.holds("mine", "me");
        kv.put("there", "x");
        assert!(is(&make(&mount.path("there")), Errno::EXIST));
        again.stop();
    });
}

#[test]
fn what_empties_a_log_counts_beside_who_adds_to_it() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "old lines\n");
        let mut log = OpenOptions::new();
        let mut log = log.append(true).read(true).open(mount.path("log")).unwrap();
        log.write_all(b"one\n").unwrap();
        log.sync_all().unwrap();
        mount.shell(kv, ": > log").ends(Exit::Success);
        until("it is empty", || kv.run(["get", "log"]).stdout() == b"");
        log.write_all(b"two\n").unwrap();
        close(log).unwrap();
        kv.holds("log", "two\n");
    });
}

#[test]
fn what_cannot_be_kept_is_refused() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "v");
        let file = open(mount, "k");
        let long = file.set_len(1 << 50);
        assert!(is(&long, Errno::NOSPC), "{long:?}");
        let far = file.write_all_at(b"x", 1 << 50);
        assert!(is(&far, Errno::NOSPC), "{far:?}");
        close(file).unwrap();
        kv.holds("k", "v");
        let name = mount.path("n".repeat(256));
        assert!(is(&fs::write(name, "v"), Errno::NAMETOOLONG));
        let early = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(1);
        let set = open(mount, "k").set_modified(early);
        assert!(is(&set, Errno::INVAL), "{set:?}");
        let told = rustix::fs::statvfs(mount.point()).unwrap();
        assert!(told.f_bavail < 1 << 40);
    });
}

#[test]
fn only_what_is_written_to_a_descriptor_that_appends_now_is_appended() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "0123456789");
        let mut file = OpenOptions::new();
        let mut file = file.append(true).open(mount.path("k")).unwrap();
        let flags = rustix::fs::fcntl_getfl(&file).unwrap();
        rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::APPEND).unwrap();
        file.write_all_at(b"ab", 2).unwrap();
        rustix::fs::fcntl_setfl(&file, flags).unwrap();
        file.write_all(b"end").unwrap();
        drop(file);
        kv.holds("k", "01ab456789end");
        if !crate::harness::has_program("python3") {
            return crate::harness::cannot_run("python3 is not installed");
        }
        let script = "import mmap\nf = open('k', 'a+b')\nm = mmap.mmap(f.fileno(), 13)\n\
            m[4:6] = b'XY'\nm.flush()\nm.close()\nf.close()\n";
        let run = format!("python3 -c \"{script}\"");
        mount.shell(kv, &run).ends(Exit::Success);
        kv.holds("k", "01abXY6789end");
    });
}

#[test]
fn who_maps_a_file_to_read_it_takes_nothing_back_that_others_write() {
    if !crate::harness::has_program("python3") {
        return crate::harness::cannot_run("python3 is not installed");
    }
    on_each(MOST, |kv, mount| {
        kv.put("k", "0123456789");
        let script = "import mmap, os\nw = os.open('k', os.O_RDWR)\nr = os.open('k', os.O_RDONLY)\n\
            os.pwrite(w, b'NEW', 0)\nos.fsync(w)\nown = mmap.mmap(w, 10)\nassert own[:4] == b'NEW3'\n\
            other = mmap.mmap(r, 10, prot=mmap.PROT_READ)\n\
            assert (other[:4], own[:4]) == (b'NEW3', b'NEW3')\n\
            assert os.pread(r, 4, 0) == b'NEW3'\nown[5:6] = b'X'\nown.flush()\n";
        let run = format!("python3 -c \"{script}\"");
        mount.shell(kv, &run).ends(Exit::Success);
        kv.holds("k", "NEW34X6789");
    });
}

#[test]
fn what_several_openings_add_is_seen_through_all_of_them() {
    on_each(MOST, |kv, mount| {
        for adds_elsewhere in [false, true] {
            let path = mount.path("log");
            kv.put("log", "0123456789");
            let append = || {
                let mut how = OpenOptions::new();
                how.read(true).append(true).open(&path).unwrap()
            };
            let mut first = append();
            let both = OpenOptions::new().read(true).write(true).open(&path);
            let both = both.unwrap();
            first.write_all(b"one").unwrap();
            first.sync_all().unwrap();
            let mut value = "0123456789one".to_owned();
            let mut bytes = [0; 99];
            let len = both.read_at(&mut bytes, 0).unwrap();
            assert_eq!(&bytes[..len], value.as_bytes());
            let mut files = vec![first];
            if adds_elsewhere {
                drop(both);
                kv.run(["append", "log", "else"]).ends(Exit::Success);
                value += "else";
            } else {
                files.push(both);
            }
            files.push(append());
            files[0].write_all(b"two").unwrap();
            value += "two";
            for file in &files {
                assert_eq!(file.metadata().unwrap().len(), value.len() as u64);
                let len = file.read_at(&mut bytes, 0).unwrap();
                assert_eq!(&bytes[..len], value.as_bytes());
            }
            mount.holds("log", &value);
            if !adds_elsewhere {
                files[1].write_all_at(b"X", 0).unwrap();
                value.replace_range(..1, "X");
            }
            for file in &files {
                file.sync_all().unwrap();
            }
            kv.holds("log", value);
        }
    });
}

#[test]
fn who_owes_nothing_is_not_told_that_others_could_not_store() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "0123456789");
        let open = || {
            let mut how = OpenOptions::new();
            how.read(true).write(true).open(mount.path("k")).unwrap()
        };
        let [synced, writer, idle] = [open(), open(), open()];
        synced.write_all_at(b"a", 0).unwrap();
        synced.sync_all().unwrap();
        writer.write_all_at(b"b", 1).unwrap();
        kv.put("k", "another");
        let stale = Some(rustix::io::Errno::STALE.raw_os_error());
        let is_stale = |done: std::io::Result<()>| done.unwrap_err().raw_os_error() == stale;
        synced.sync_all().unwrap();
        idle.sync_all().unwrap();
        assert!(is_stale(writer.sync_all()));
        let reader = OpenOptions::new().read(true).open(mount.path("k")).unwrap();
        assert!(is_stale(reader.sync_all()));
        for (file, fails) in [(synced, false), (idle, false), (writer, true)] {
            assert_eq!(close(file).is_err(), fails);
        }
        kv.holds("k", "another");
    });
}

#[test]
fn each_descriptor_is_told_of_what_it_reads() {
    on_each(MOST, |kv, mount| {
        let agrees = |file: &File, value: &str| {
            let told = file.metadata().unwrap().len();
            let mut bytes = vec![0; 99];
            let len = file.read_at(&mut bytes, 0).unwrap();
            assert_eq!(
                (std::str::from_utf8(&bytes[..len]), told),
                (Ok(value), value.len() as u64)
            );
        };
        kv.put("k", "hello");
        let reader = File::open(mount.path("k")).unwrap();
        let writer = open(mount, "k");
        writer.write_all_at(b"HELLO WORLD", 0).unwrap();
        agrees(&reader, "HELLO WORLD");
        close(writer).unwrap();
        agrees(&reader, "HELLO WORLD");
        // Once more, as SQLite does for a reader that stays.
        let writer = open(mount, "k");
        writer.write_all_at(b"hallo", 0).unwrap();
        close(writer).unwrap();
        agrees(&reader, "hallo WORLD");
        // Whoever empties it makes another in its place, but where others have it open to change it.
        mount.write("k", "x");
        let newer = File::open(mount.path("k")).unwrap();
        let writer = open(mount, "k");
        let mut whole = File::create(mount.path("k")).unwrap();
        whole.write_all(b"yz").unwrap();
        agrees(&writer, "yz");
        agrees(&newer, "yz");
        close(whole).unwrap();
        agrees(&writer, "yz");
        close(writer).unwrap();
        mount.holds("k", "yz");
        // So do others.
        let older = open(mount, "k");
        kv.put("k", "another");
        mount.holds("k", "another");
        agrees(&older, "yz");
        close(older).unwrap();
        // No part of a value is the rest of another.
        let mut reader = File::open(mount.path("k")).unwrap();
        let mut all = [0; 7];
        reader.read_exact(&mut all).unwrap();
        let mut whole = File::create(mount.path("k")).unwrap();
        whole.write_all(b"another and more").unwrap();
        assert_eq!(reader.read(&mut all).unwrap(), 0);
        close(whole).unwrap();
        // What only reads and empties has emptied it; what is added to what is removed is forgotten.
        mount
            .shell(
                kv,
                "python3 -c 'import os; os.open(\"k\", os.O_RDONLY | os.O_TRUNC)'",
            )
            .ends(Exit::Success);
        kv.holds("k", "");
        mount
            .shell(kv, "exec 3>>k; rm k; echo gone >&3; exec 3>&-")
            .ends(Exit::Success);
        kv.lacks("k");
    });
}

#[test]
fn a_log_that_is_emptied_is_followed() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "a\n");
        let script = "timeout 60 tail -n+1 -s.2 -f log > $HOME/seen 2> $HOME/told & tail=$!
            awaits() { until grep -qs \"$1\" $HOME/$2; do kill -0 $tail; sleep .1; done; }
            awaits a seen; echo b >> log; awaits b seen; : > log; awaits truncated told
            echo c >> log; awaits c seen; kill $tail";
        mount.shell(kv, script).ends(Exit::Success);
    });
}
