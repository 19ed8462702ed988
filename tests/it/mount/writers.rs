//! Several who write, and those who do not get to the end of it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::thread;

use kv::exit::Exit;

use super::open::close;
use super::{Mount, on_each};
use crate::harness::{Engine, tell_count, until};

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

#[test]
fn a_writer_that_is_killed_leaves_the_old_value() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "old");
        for script in [
            "echo half; echo >&2; exec sleep 60",
            // What was opened and emptied, and nothing more.
            "echo >&2; exec sleep 60",
            "exec head -c 3000000 /dev/zero; echo >&2; exec sleep 60",
        ] {
            let mut writer = Command::new("sh");
            let script = script.replace("exec head", "head");
            writer.args(["-c", &format!("exec 3>&1; {{ {script}; }} > k")]);
            writer.current_dir(mount.path("")).stderr(Stdio::piped());
            let mut writer = writer.stdout(Stdio::null()).spawn().unwrap();
            let mut line = [0];
            std::io::Read::read_exact(writer.stderr.as_mut().unwrap(), &mut line).unwrap();
            kv.holds("k", "old");
            writer.kill().unwrap();
            writer.wait().unwrap();
            // The kernel closes the file when the process is gone already.
            until("the old value is there again", || {
                fs::metadata(mount.path("k")).unwrap().len() == 3
            });
            mount.holds("k", "old");
            kv.holds("k", "old");
        }
        // Whoever ends by itself without closing anything has meant what it wrote.
        mount
            .shell(kv, "(printf new) > k; exec > other; printf x; exec true")
            .ends(Exit::Success);
        until("it is stored", || kv.run(["get", "other"]).stdout() == b"x");
        kv.holds("k", "new");
    });
}

#[test]
fn a_shell_that_hands_a_file_on_stores_it_once() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "old");
        let script = "{ echo a; cat /dev/null; kv get k; echo b; } > k; kv get k";
        mount
            .shell(kv, script)
            .ends(Exit::Success)
            .prints("a\noldb\n");
        mount
            .shell(kv, ": > empty; kv get empty")
            .ends(Exit::Success);
        mount.shell(kv, "touch new; kv get new").ends(Exit::Success);
    });
}

/// Asked how it is doing at that moment, the kernel would answer when the other program runs, which
/// does not begin before the file is closed.
/// Not only a duplicate of its descriptor is closed, though the process has the file open once more.
#[test]
fn each_of_two_openings_is_stored_when_it_is_closed() {
    on_each(MOST, |kv, mount| {
        for _ in 0..20 {
            let mut first = fs::File::create(mount.path("k")).unwrap();
            let mut second = fs::File::create(mount.path("k")).unwrap();
            first.write_all(b"first").unwrap();
            second.write_all(b"second").unwrap();
            let duplicate = second.try_clone().unwrap();
            drop(duplicate);
            drop(second);
            kv.holds("k", "second");
            drop(first);
            kv.holds("k", "first");
        }
    });
}

#[test]
fn a_writer_that_becomes_another_program_closes_its_file() {
    if !crate::harness::has_program("perl") {
        return crate::harness::cannot_run("perl is not installed");
    }
    on_each(MOST, |kv, mount| {
        kv.put("k", "old");
        // Perl opens files so that they are closed then.
        let script = r#"timeout 60 perl -e 'open(F, ">k"); syswrite(F, "new"); exec "true"'"#;
        for _ in 0..20 {
            mount.shell(kv, script).ends(Exit::Success).is_silent();
        }
        kv.holds("k", "new");
    });
}

#[test]
fn what_was_closed_survives_the_death_of_the_mount() {
    on_each(MOST, |kv, _| {
        // A store that is mounted twice is one store.
        fs::create_dir(kv.path("again")).unwrap();
        let mut command = kv.kv(["mount", "--foreground", "again"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let dir = kv.path("again/default");
        until("it is mounted", || dir.is_dir());
        for n in 0..20 {
            fs::write(dir.join(n.to_string()), n.to_string()).unwrap();
        }
        let mut open = fs::File::create(dir.join("open")).unwrap();
        open.write_all(b"not closed").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        open.write_all(b"more").expect_err("nobody answers");
        super::mounted::release(&kv.path("again"));
        drop(open);
        for n in 0..20 {
            kv.holds(&n.to_string(), n.to_string());
        }
        kv.lacks("open");
    });
}

#[test]
fn writers_here_and_elsewhere_do_not_mix() {
    on_each(
        &[Engine::Tree, Engine::Sqlite, Engine::Redis, Engine::Http],
        |kv, mount| {
            const EACH: usize = 12;
            kv.put("whole", &"0".repeat(100_000));
            kv.put("lines", "");
            thread::scope(|scope| {
                for name in ["1", "2"] {
                    scope.spawn(move || {
                        for _ in 0..EACH {
                            mount.write("whole", name.repeat(100_000));
                            let mut file = append(mount, "lines");
                            file.write_all(format!("{name}\n").as_bytes()).unwrap();
                            file.sync_all().unwrap();
                        }
                    });
                }
                scope.spawn(|| {
                    for _ in 0..EACH {
                        kv.feed(["put", "whole"], "3".repeat(100_000).as_bytes())
                            .ends(Exit::Success);
                        kv.run(["append", "lines", "3\n"]).ends(Exit::Success);
                    }
                });
                for _ in 0..EACH * 2 {
                    let ran = kv.run(["get", "whole"]).ends(Exit::Success);
                    let found = ran.stdout();
                    let is_whole = found.len() == 100_000 && found.iter().all(|b| *b == found[0]);
                    assert!(is_whole, "{} bytes of several writers", found.len());
                }
            });
            let lines = fs::read_to_string(mount.path("lines")).unwrap();
            let mut counts = BTreeMap::new();
            for line in lines.lines() {
                *counts.entry(line).or_insert(0) += 1;
            }
            assert_eq!(
                counts,
                BTreeMap::from([("1", EACH), ("2", EACH), ("3", EACH)])
            );
        },
    );
}

fn append(mount: &Mount, name: &str) -> fs::File {
    OpenOptions::new()
        .append(true)
        .open(mount.path(name))
        .unwrap()
}

/// A random operation after the other on one file, and on a model of it (as fsx does).
#[test]
fn a_file_does_what_its_model_does() {
    const STEPS: u64 = 400;
    on_each(
        &[Engine::Tree, Engine::Sqlite, Engine::Redis, Engine::Http],
        |kv, mount| {
            let mut random = 0x9e37_79b9_7f4a_7c15_u64;
            let mut below = |limit: usize| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                usize::try_from(random % limit as u64).unwrap()
            };
            let mut model: Vec<u8> = Vec::new();
            mount.write("k", "");
            let open = || {
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .open(mount.path("k"))
                    .unwrap()
            };
            let mut file = open();
            for step in 0..STEPS {
                // Now and then it is longer than what is kept in memory.
                let reach = if step % 40 < 30 { 200_000 } else { 2_000_000 };
                let at = below(reach);
                match below(10) {
                    0..=3 => {
                        let bytes = vec![u8::try_from(below(255)).unwrap() + 1; below(90_000)];
                        file.write_all_at(&bytes, at as u64).unwrap();
                        let end = at + bytes.len();
                        if !bytes.is_empty() && model.len() < end {
                            model.resize(end, 0);
                        }
                        if !bytes.is_empty() {
                            model[at..end].copy_from_slice(&bytes);
                        }
                    }
                    4..=6 => {
                        let mut part = vec![0; below(150_000)];
                        let n = read_full(&file, &mut part, at as u64);
                        let want = model.get(at..).unwrap_or_default();
                        let want = &want[..want.len().min(part.len())];
                        assert!(part[..n] == *want, "step {step}: {n} bytes at {at}");
                    }
                    7 => {
                        file.set_len(at as u64).unwrap();
                        model.resize(at, 0);
                    }
                    8 => {
                        drop(file);
                        if below(2) == 0 {
                            let path = mount.path("k");
                            let cut = fs::File::options().write(true).open(&path).unwrap();
                            cut.set_len((at / 2) as u64).unwrap();
                            model.resize(at / 2, 0);
                        } else {
                            fs::rename(mount.path("k"), mount.path("l")).unwrap();
                            fs::rename(mount.path("l"), mount.path("k")).unwrap();
                        }
                        file = open();
                    }
                    _ => {
                        file.sync_all().unwrap();
                        kv.holds("k", &model);
                    }
                }
                assert_eq!(
                    file.metadata().unwrap().len(),
                    model.len() as u64,
                    "step {step}"
                );
            }
            drop(file);
            tell_count(&format!("{STEPS} steps"));
        },
    );
}

fn read_full(file: &fs::File, part: &mut [u8], at: u64) -> usize {
    let mut n = 0;
    while n < part.len() {
        match file.read_at(&mut part[n..], at + n as u64).unwrap() {
            0 => break,
            more => n += more,
        }
    }
    n
}

#[test]
fn a_sync_by_who_only_reads_stores_what_others_write() {
    on_each(MOST, |kv, _| {
        kv.put("log", "one\n");
        let mut mount = Mount::at(kv, "again");
        let mut writer = fs::File::create(mount.path("k")).unwrap();
        writer.write_all(b"value").unwrap();
        let mut log = OpenOptions::new();
        let mut log = log.append(true).open(mount.path("log")).unwrap();
        log.write_all(b"two\n").unwrap();
        mount.shell(kv, "sync k log").ends(Exit::Success);
        kv.holds("k", "value");
        kv.holds("log", "one\ntwo\n");
        mount.kill();
        kv.holds("k", "value");
    });
}

#[test]
fn who_made_a_lock_file_and_wrote_nothing_owes_nothing() {
    on_each(MOST, |kv, mount| {
        let changes: [&[&str]; 4] = [
            &["put", "k", "v"],
            &["append", "k", "v"],
            &["expire", "k", "1h"],
            &["remove", "k"],
        ];
        for change in changes {
            let mut options = OpenOptions::new();
            let lock = options.write(true).create_new(true);
            let lock = lock.open(mount.path("k")).unwrap();
            kv.run(change).ends(Exit::Success);
            let left = kv.run(["get", "k"]).stdout().to_vec();
            lock.sync_all().unwrap();
            close(lock).unwrap();
            assert_eq!(kv.run(["get", "k"]).stdout(), left);
            kv.run(["remove", "--force", "k"]).ends(Exit::Success);
        }
    });
}

#[test]
fn what_is_written_to_be_synced_is_stored_before_the_write_ends() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "old ");
        let script = "import os, subprocess
fd = os.open('k', os.O_WRONLY | os.O_APPEND | os.O_DSYNC); os.write(fd, b'line ')
print(subprocess.run(['kv', 'get', 'k'], capture_output=True).stdout)
fd = os.open('new', os.O_WRONLY | os.O_CREAT | os.O_SYNC); os.write(fd, b'value')
print(subprocess.run(['kv', 'get', 'new'], capture_output=True).stdout)";
        let ran = mount.shell(kv, &format!("python3 -c \"{script}\""));
        ran.ends(Exit::Success).prints("b'old line '\nb'value'\n");
    });
}

/// Who reads in parts and stops at the size that it is told reads all of it.
#[test]
fn who_reads_beside_who_adds_is_told_of_what_it_reads() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "0123456789");
        let reader = fs::File::open(mount.path("k")).unwrap();
        let mut adds = OpenOptions::new();
        let mut adds = adds.append(true).open(mount.path("k")).unwrap();
        adds.write_all(b"ABC").unwrap();
        assert_eq!(reader.metadata().unwrap().len(), 13);
        let mut all = [0; 99];
        assert_eq!(reader.read_at(&mut all, 0).unwrap(), 13);
        assert_eq!(&all[..13], b"0123456789ABC");
        // No part of what another has put in its place.
        kv.put("k", "another value");
        adds.sync_all().unwrap();
        mount.holds("k", "another valueABC");
    });
}

/// What only writes a file anew is one of its own, of which nobody else is told.
#[test]
fn who_writes_anew_is_told_how_long_that_is() {
    on_each(MOST, |kv, mount| {
        let mut file = File::create(mount.path("k")).unwrap();
        let mut other = Command::new("sh");
        other.args(["-c", "exec 3> k; echo; read x"]);
        other.current_dir(mount.path("")).stdin(Stdio::piped());
        let mut other = other.stdout(Stdio::piped()).spawn().unwrap();
        other.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        file.write_all(b"AAAA").unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4);
        assert_eq!(file.seek(SeekFrom::End(0)).unwrap(), 4);
        file.write_all(b"BBBB").unwrap();
        close(file).unwrap();
        drop(other.stdin.take());
        other.wait().unwrap();
        kv.holds("k", "AAAABBBB");
    });
}
