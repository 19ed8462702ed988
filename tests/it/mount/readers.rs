//! Who reads a file while it is made anew through the same mount.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use rustix::io::Errno;

use super::open::close;
use super::{Mount, on_each};
use crate::harness::{Engine, until};

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];
const LEN: usize = 20_000;

fn read(file: &File, at: u64) -> Vec<u8> {
    let mut bytes = [0; 100];
    let len = file.read_at(&mut bytes, at).unwrap();
    bytes[..len].to_vec()
}

#[test]
fn who_has_read_the_end_goes_on_with_the_value_that_this_was_of() {
    on_each(MOST, |kv, mount| {
        let foot = LEN as u64 - 100;
        for closes in [false, true] {
            kv.feed(["put", "k"], &[b'a'; LEN]).ends(Exit::Success);
            let reader = File::open(mount.path("k")).unwrap();
            // The last bytes first, as of an archive, and then to the end.
            assert_eq!(read(&reader, foot), [b'a'; 100]);
            assert_eq!(read(&reader, foot + 100), b"");
            let mut writer = File::create(mount.path("k")).unwrap();
            writer.write_all(&[b'b'; LEN]).unwrap();
            if closes {
                close(writer).unwrap();
            }
            assert_eq!(read(&reader, 100), [b'a'; 100]);
            assert_eq!(read(&reader, foot), [b'a'; 100]);
            mount.holds("k", [b'b'; LEN]);
            // Who is at the end and asks how long the file is goes on with what it is now.
            thread::sleep(Duration::from_millis(2));
            assert_eq!(reader.metadata().unwrap().size(), LEN as u64);
            assert_eq!(read(&reader, 100), [b'b'; 100]);
        }
    });
}

#[test]
fn a_program_that_maps_what_is_made_anew_has_what_it_mapped() {
    on_each(MOST, |kv, mount| {
        let script = "python3 -c \"import mmap, os, zipfile
fd = os.open('k', os.O_WRONLY|os.O_CREAT|os.O_TRUNC); os.write(fd, b'a' * 20000); os.close(fd)
fd = os.open('k', os.O_RDONLY); pages = mmap.mmap(fd, 20000, prot=mmap.PROT_READ)
print(pages[:3], os.open('k', os.O_WRONLY|os.O_TRUNC) > 0, set(pages[4096:]))
for name in ['one', 'two']:
    zipfile.ZipFile(name, 'w').writestr('member', name * 9000)
with zipfile.ZipFile('one') as archive:
    os.system('cat two > one')
    print(set(archive.read('member').decode().split('one')))
print(zipfile.ZipFile('one').read('member')[:3])\"";
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("b'aaa' True {97}\n{''}\nb'two'\n");
    });
}

#[test]
fn who_waits_at_the_end_sees_what_several_kinds_of_writers_add() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "0");
        let reader = File::open(mount.path("log")).unwrap();
        let mut seen = Vec::new();
        for (n, how) in ["kv append log", "cat >> log", "cat >> log", "kv append log"]
            .iter()
            .enumerate()
        {
            // As tail(1) does on a network's file system: as much as fstat(2) tells, and no more.
            let mut awaits = |len: usize| {
                until("it grows", || {
                    reader.metadata().unwrap().len() as usize >= len
                });
                seen.extend(read(&reader, seen.len() as u64));
                assert_eq!(seen.len(), len);
            };
            awaits(n + 1);
            let script = format!("printf {} | {how}", n + 1);
            mount.shell(kv, &script).ends(Exit::Success);
            awaits(n + 2);
        }
        assert_eq!(seen, b"01234");
        // It follows who holds it open and who makes it anew, too.
        let mut writer = fs::OpenOptions::new()
            .append(true)
            .open(mount.path("log"))
            .unwrap();
        writer.write_all(b"5").unwrap();
        until("it grows", || reader.metadata().unwrap().len() == 6);
        assert_eq!(read(&reader, 5), b"5");
        fs::write(mount.path("log"), "new").unwrap();
        until("it is made anew", || reader.metadata().unwrap().len() == 3);
        assert_eq!(read(&reader, 0), b"new");
    });
}

#[test]
fn who_waits_at_the_end_sees_what_is_added_while_another_has_not_read_that_far() {
    on_each(MOST, |kv, mount| {
        for how in ["<", "<>"] {
            kv.put("log", "0");
            let mut reader = File::open(mount.path("log")).unwrap();
            assert_eq!(read(&reader, 0), b"0");
            assert_eq!(read(&reader, 1), b"");
            let mut other = Command::new("sh");
            other.args([
                "-c",
                &format!("exec 3{how} log; echo; read go; exec cat <&3"),
            ]);
            other.current_dir(mount.path("")).stdin(Stdio::piped());
            let mut other = other.stdout(Stdio::piped()).spawn().unwrap();
            let mut held = other.stdout.take().unwrap();
            held.read_exact(&mut [0]).unwrap();
            for (n, add) in ["kv append log", "cat >> log", "kv append log"]
                .iter()
                .enumerate()
            {
                let script = format!("printf {} | {add}", n + 1);
                mount.shell(kv, &script).ends(Exit::Success);
                let len = n as u64 + 2;
                until("it grows", || reader.metadata().unwrap().len() == len);
                assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), len);
                assert_eq!(read(&reader, len - 1), (n + 1).to_string().as_bytes());
                assert_eq!(reader.metadata().unwrap().len(), len);
            }
            // The other goes on holding what it has opened.
            other.stdin.take().unwrap().write_all(b"\n").unwrap();
            let mut text = String::new();
            held.read_to_string(&mut text).unwrap();
            assert_eq!(text, "0");
            assert!(other.wait().unwrap().success());
        }
    });
}

#[test]
fn who_has_read_what_a_killed_writer_wrote_reads_its_end() {
    on_each(MOST, |kv, mount| {
        let script = "timeout 60 python3 -c \"import os, signal, time
child = os.fork()
if not child:
    fd = os.open('k', os.O_WRONLY|os.O_TRUNC); os.write(fd, b'!' * 2000); signal.pause()
while os.stat('k').st_size != 2000: time.sleep(.01)
half = os.open('k', os.O_RDONLY); os.read(half, 1000)
os.kill(child, 9); os.waitpid(child, 0)
while os.stat('k').st_size != 4000: time.sleep(.01)
print(os.read(half, 9000) == b'!' * 1000, os.read(half, 9000))\"";
        kv.put("k", &"@".repeat(4000));
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("True b''\n");
        mount.holds("k", "@".repeat(4000));
    });
}

/// Begins to write a file anew.
fn writes_anew(mount: &Mount, name: &str, text: &str) -> Child {
    let script = format!("exec > {name}; printf '{text}'; echo >&2; exec sleep 60");
    let mut writer = Command::new("sh");
    let writer = writer.args(["-c", &script]).current_dir(mount.path(""));
    let mut writer = writer.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = writer.stderr.take().unwrap();
    said.read_exact(&mut [0]).unwrap();
    writer
}

#[test]
fn who_has_read_what_a_killed_writer_wrote_reads_nothing_behind_that() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "the old value");
        let mut writer = writes_anew(mount, "k", "half");
        let reader = File::open(mount.path("k")).unwrap();
        assert_eq!(read(&reader, 0), b"half");
        writer.kill().unwrap();
        writer.wait().unwrap();
        until("the old value is there again", || {
            fs::metadata(mount.path("k")).unwrap().len() == 13
        });
        for _ in 0..3 {
            assert_eq!(reader.metadata().unwrap().len(), 4);
            assert_eq!(read(&reader, 4), b"");
            // Who asks again after a while waits for more.
            thread::sleep(Duration::from_millis(110));
        }
        assert_eq!(read(&reader, 0), b"half");
        mount.holds("k", "the old value");
    });
}

/// What is told of a descriptor is what it reads, so that a program that maps it has all of that.
#[track_caller]
fn shows(file: &File, all: &str) {
    let seek = |mut file: &File| file.seek(SeekFrom::End(0)).unwrap();
    let told = (file.metadata().unwrap().len(), seek(file));
    assert_eq!(told, (all.len() as u64, all.len() as u64), "{all:?}");
    assert_eq!(String::from_utf8_lossy(&read(file, 0)), all);
}

fn adds(mount: &Mount, reads: bool) -> File {
    let mut how = File::options();
    let how = how.append(true).read(reads).create(true);
    how.open(mount.path("log")).unwrap()
}

#[test]
fn who_reads_beside_who_adds_holds_that_behind_what_it_has_opened() {
    on_each(MOST, |kv, mount| {
        let append = |text| drop(kv.run(["append", "log", text]).ends(Exit::Success));
        let open = || File::open(mount.path("log")).unwrap();
        for others in ["append", "put"] {
            for is_read in [false, true] {
                kv.put("log", "00");
                let (mut log, reader) = (adds(mount, false), open());
                log.write_all(b"W").unwrap();
                if is_read {
                    shows(&reader, "00W");
                }
                let now = if others == "put" { "abcdef" } else { "00XY" };
                match others {
                    "put" => kv.put("log", now),
                    _ => append("XY"),
                }
                let (all, late) = (format!("{now}W"), open());
                if !is_read {
                    assert_eq!(reader.metadata().unwrap().len(), 3);
                }
                shows(&late, &all);
                close(log).unwrap();
                kv.holds("log", &all);
                shows(&late, &all);
                if !is_read {
                    shows(&reader, "00W");
                }
            }
        }
    });
}

#[test]
fn who_has_read_what_is_stored_behind_more_reads_no_more_of_it() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "0.");
        let mut log = adds(mount, false);
        let mut early = File::open(mount.path("log")).unwrap();
        let mut text = [0; 9];
        assert_eq!(early.read(&mut text).unwrap(), 2);
        log.write_all(b"<1>").unwrap();
        let mut late = File::open(mount.path("log")).unwrap();
        assert_eq!(late.read(&mut text).unwrap(), 5);
        kv.run(["append", "log", "<9>"]).ends(Exit::Success);
        close(log).unwrap();
        kv.holds("log", "0.<9><1>");
        until("what it has read is told to be nowhere", || {
            let told = late.read(&mut text);
            assert!(matches!(told, Ok(0) | Err(_)), "{told:?}");
            told.is_err_and(|err| err.raw_os_error() == Some(Errno::STALE.raw_os_error()))
        });
        let mut more = Vec::new();
        until("it is there", || {
            early.read_to_end(&mut more).unwrap();
            !more.is_empty()
        });
        assert_eq!(more, b"<9><1>");
    });
}

#[test]
fn who_opens_what_was_listed_before_it_changed_is_told_what_it_reads() {
    on_each(MOST, |kv, mount| {
        let list = || {
            let all = fs::read_dir(mount.path("")).unwrap();
            let sizes = all.map(|file| file.unwrap().metadata().unwrap().len());
            sizes.collect::<Vec<_>>()
        };
        for len in [40, 5, 0] {
            for appends in [false, true] {
                kv.put("log", "0123456789");
                assert_eq!(list(), [10]);
                kv.put("log", &"x".repeat(len));
                let how = File::options().read(true).append(appends).clone();
                shows(&how.open(mount.path("log")).unwrap(), &"x".repeat(len));
            }
        }
        // Who has it open already is told how it grows.
        let reader = File::open(mount.path("log")).unwrap();
        shows(&reader, "");
        assert_eq!(list(), [0]);
        // What was looked up is believed until the kernel's clock ticks.
        thread::sleep(Duration::from_millis(20));
        kv.run(["append", "log", "1"]).ends(Exit::Success);
        shows(&reader, "1");
    });
}

#[test]
fn who_holds_nothing_and_is_told_of_something_reads_that() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "");
        let len = || fs::metadata(mount.path("log")).unwrap().len();
        let reader = File::open(mount.path("log")).unwrap();
        assert_eq!(read(&reader, 0), b"");
        kv.run(["append", "log", "added"]).ends(Exit::Success);
        // What was looked up is believed until the kernel's clock ticks.
        assert_eq!(len(), 5);
        shows(&reader, "added");
        let mut writer = writes_anew(mount, "log", "");
        let reader = File::open(mount.path("log")).unwrap();
        shows(&reader, "");
        writer.kill().unwrap();
        writer.wait().unwrap();
        until("it is what it was again", || len() == 5);
        shows(&reader, "added");
    });
}

#[test]
fn a_program_that_maps_what_others_add_to_maps_all_of_it_and_reads_nothing_twice() {
    on_each(MOST, |kv, mount| {
        let script = "python3 -c \"import errno, mmap, os
log = os.open('log', os.O_WRONLY|os.O_APPEND)
size = os.fstat(log).st_size
for n in range(1, 6):
    reader = os.open('log', os.O_RDONLY)
    while os.read(reader, 1 << 20): pass
    os.write(log, b'w' * 700000)
    while os.read(reader, 1 << 20): pass
    os.system('printf K | kv append log')
    os.write(log, b'w' * 10)
    size += 700011
    assert os.fstat(reader).st_size == size, (os.fstat(reader), size)
    pages = mmap.mmap(reader, size, prot=mmap.PROT_READ)
    pages.madvise(mmap.MADV_WILLNEED)
    told = [bytes(pages).count(byte) for byte in (b'\\0', b'K')]
    assert told == [0, n], told
    try: print(os.read(reader, 9))
    except OSError as err: assert err.errno == errno.ESTALE, err
    assert os.pread(reader, 3, 0) == b'sss'
    pages.close(); os.close(reader); os.fsync(log)
\"";
        kv.feed(["put", "log"], &[b's'; 1_300_000])
            .ends(Exit::Success);
        mount.shell(kv, script).ends(Exit::Success).prints("");
    });
}

#[test]
fn who_goes_on_beside_who_has_emptied_a_file_is_told_what_it_reads() {
    on_each(MOST, |kv, mount| {
        let append = |text| drop(kv.run(["append", "log", text]).ends(Exit::Success));
        type Empty<'a> = &'a dyn Fn(&File) -> Option<File>;
        let truncate = || File::create(mount.path("log")).unwrap();
        let empties: [Empty<'_>; 3] = [
            &|log| log.set_len(0).map(|()| None).unwrap(),
            &|_| {
                drop(truncate());
                None
            },
            &|_| Some(truncate()),
        ];
        for empty in empties {
            let log = adds(mount, false);
            append("1234");
            let reader = File::open(mount.path("log")).unwrap();
            shows(&reader, "1234");
            let empties = empty(&log);
            kv.put("log", "abcdef");
            until("it is told", || reader.metadata().unwrap().len() == 6);
            shows(&reader, "abcdef");
            drop((log, empties));
            shows(&reader, "abcdef");
            kv.run(["remove", "log"]).ends(Exit::Success);
        }
        let mut both = adds(mount, true);
        both.write_all(b"ab").unwrap();
        kv.run(["remove", "log"]).ends(Exit::Success);
        let anew = truncate();
        append("123");
        shows(&both, "123ab");
        drop(anew);
        close(both).unwrap();
        kv.holds("log", "123ab");
    });
}
