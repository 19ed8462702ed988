//! Files that are not there yet when they are opened, and who stores what several change.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;

use kv::exit::Exit;
use rustix::process::Signal;

use super::mounted::{STALE, can};
use super::open::close;
use super::{Mount, on_each};
use crate::harness::{Engine, Sandbox};
use crate::serve::client::Server;

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

#[test]
fn who_adds_to_a_file_that_is_new_adds_to_what_others_make_of_it() {
    on_each(MOST, |kv, mount| {
        let again = Mount::at(kv, "again");
        for how in ["append", "put"] {
            for (exclusive, name) in [(false, "new"), (true, "mine")] {
                let mut options = OpenOptions::new();
                options.append(true).create(true).create_new(exclusive);
                let mut file = options.open(mount.path(name)).unwrap();
                kv.feed([how, name], b"theirs\n").ends(Exit::Success);
                file.write_all(b"mine\n").unwrap();
                close(file).unwrap();
                kv.holds(name, "theirs\nmine\n");
                mount.holds(name, "theirs\nmine\n");
                kv.run(["remove", name]).ends(Exit::Success);
            }
        }
        // Through the same mount, and through another.
        let beside = [
            ("log", "one\ntwo\nthree\n"),
            ("../../again/default/log", "one\nthree\ntwo\n"),
        ];
        for (path, added) in beside {
            let script = format!(
                "exec 3>>log; echo one >> {path}; echo two >&3; echo three >> {path}; exec 3>&-
                cat log; rm log; exec 3>>log; echo theirs > {path}; echo mine >&3; exec 3>&-
                cat log; rm log"
            );
            let ran = mount.shell(kv, &script).ends(Exit::Success);
            ran.prints(format!("{added}theirs\nmine\n"));
        }
        again.stop();
    });
}

#[test]
fn who_has_made_a_file_and_written_nothing_leaves_what_others_have_made_of_it() {
    on_each(MOST, |kv, mount| {
        for flags in ["WRONLY", "RDWR", "WRONLY|os.O_APPEND", "RDWR|os.O_SYNC"] {
            for theirs in ["kv append k", "kv put k", "cat > k"] {
                let script = format!(
                    "python3 -c \"import os, subprocess
fd = os.open('k', os.O_CREAT|os.O_{flags})
subprocess.run('printf theirs | {theirs}', shell=True, check=True)
os.fsync(fd); os.close(fd)\"; cat k; kv get k; rm k"
                );
                let ran = mount.shell(kv, &script).ends(Exit::Success);
                ran.prints("theirstheirs");
            }
        }
        // A part of nothing is no part of what others have made.
        let mut file = OpenOptions::new();
        let file = file.read(true).write(true).create(true).truncate(false);
        let mut file = file.open(mount.path("k")).unwrap();
        kv.put("k", "THEIRS");
        file.write_all(b"me").unwrap();
        let stale = close(file).unwrap_err().raw_os_error();
        assert_eq!(stale, Some(rustix::io::Errno::STALE.raw_os_error()));
        kv.holds("k", "THEIRS");
        // What holds just that is stored already, as by a service that could not say so.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(mount.path("k"));
        let file = file.unwrap();
        file.write_all_at(b"ours", 0).unwrap();
        kv.put("k", "oursRS");
        file.sync_all().unwrap();
        file.write_all_at(b"!", 6).unwrap();
        close(file).unwrap();
        kv.holds("k", "oursRS!");
        // What nobody else has made stays.
        mount.shell(kv, "touch a; : >> b").ends(Exit::Success);
        kv.holds("a", "");
        kv.holds("b", "");
    });
}

#[test]
fn who_has_changed_nothing_stores_nothing_that_another_is_writing() {
    on_each(MOST, |kv, mount| {
        kv.put("k", "whole old value");
        for idle in ["touch k", ": >> k", "exec 9<>k; exec 9>&-", "sleep .1 9>>k"] {
            let script = format!(
                "python3 -c \"import os, signal, subprocess
fd = os.open('k', os.O_WRONLY|os.O_TRUNC); os.write(fd, b'first half,')
subprocess.run(['bash', '-c', '{idle}'], check=True)
print(subprocess.run(['kv', 'get', 'k'], capture_output=True).stdout.decode(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)\" || :; cat k; kv get k"
            );
            // The kernel closes the file a moment after the process has ended.
            let script = script.replace(
                "|| :;",
                "|| :; for n in {1..600}; do test $(stat -c %s k) = 15 && break; sleep .1; done;",
            );
            let ran = mount.shell(kv, &script).ends(Exit::Success);
            ran.prints("whole old value\nwhole old valuewhole old value");
        }
    });
}

#[test]
fn a_part_is_not_stored_on_what_others_have_put_since_for_who_adds_to_that() {
    on_each(MOST, |kv, mount| {
        let stale = Some(rustix::io::Errno::STALE.raw_os_error());
        for is_stored in [true, false] {
            kv.put("k", "oooooooooooo");
            let adds = OpenOptions::new().append(true).open(mount.path("k"));
            let mut adds = adds.unwrap();
            let part = OpenOptions::new()
                .read(true)
                .write(true)
                .open(mount.path("k"));
            let part = part.unwrap();
            kv.put("k", "XXXXXXXXXXXX");
            adds.write_all(b"AAAA").unwrap();
            if is_stored {
                adds.sync_all().unwrap();
            }
            let written = part.write_all_at(b"BBBB", 0);
            let told = written.and_then(|()| part.sync_all()).unwrap_err();
            assert_eq!(told.raw_os_error(), stale);
            close(adds).unwrap();
            kv.holds("k", "XXXXXXXXXXXXAAAA");
        }
    });
}

/// Who is told so does it again.
#[test]
fn what_a_close_has_told_to_have_failed_is_not_stored_later() {
    if !can() {
        return;
    }
    let kv = Sandbox::on(Engine::Sqlite);
    kv.put("log", "old ");
    let mut mount = Mount::of(&kv, &["--busy-timeout", "1s"]);
    for flags in ["O_WRONLY|os.O_APPEND", "O_RDWR", "O_WRONLY|os.O_TRUNC"] {
        let script = format!(
            "python3 -c \"import os, sqlite3, time
fd = os.open('log', os.{flags})
base = sqlite3.connect(os.environ['KV_STORE'].split(':', 1)[1], isolation_level=None)
base.execute('begin exclusive')
for act in [lambda: os.write(fd, b'line '), lambda: os.close(os.dup(fd)), lambda: os.close(fd)]:
    try: act()
    except OSError as err: print(err.errno, flush=True)
base.execute('rollback'); time.sleep(.3)\"; kv get log"
        );
        let ran = mount.shell(&kv, &script).ends(Exit::Success);
        ran.prints("16\nold ");
    }
    // Nor by who has it open beside and writes on.
    let script = "python3 -c \"import os, sqlite3
other = os.open('log', os.O_WRONLY|os.O_APPEND)
base = sqlite3.connect(os.environ['KV_STORE'].split(':', 1)[1], isolation_level=None)
for lock in ['begin exclusive', 'begin deferred']:
    fd = os.open('log', os.O_WRONLY|os.O_APPEND)
    base.execute(lock); os.write(fd, b'line ')
    try: os.close(fd)
    except OSError as err: print(err.errno, flush=True)
    base.execute('rollback')
os.write(other, b'more '); os.close(other)\"; kv get log";
    let ran = mount.shell(&kv, script).ends(Exit::Success);
    ran.prints("16\nold line more ");
    // Nor by who has changed it beside: they are told so, too.
    for flags in ["O_WRONLY|os.O_APPEND", "O_RDWR"] {
        for before in ["pass", "attempt(lambda: os.write(other, b'again '))"] {
            kv.put("log", "old ");
            let script = format!(
                "python3 -c \"import os, sqlite3
def attempt(act):
    try: act()
    except OSError as err: print(err.errno, flush=True)
fd = os.open('log', os.{flags}); other = os.open('log', os.{flags})
os.write(fd, b'line '); os.write(other, b'more ')
base = sqlite3.connect(os.environ['KV_STORE'].split(':', 1)[1], isolation_level=None)
base.execute('begin exclusive'); attempt(lambda: os.close(fd)); base.execute('rollback')
{before}; attempt(lambda: os.fsync(other)); attempt(lambda: os.close(other))\"; kv get log"
            );
            let ran = mount.shell(&kv, &script).ends(Exit::Success);
            assert!(ran.stdout_text().starts_with("16\n16\n"), "{script}");
            assert!(ran.stdout_text().ends_with("\nold "), "{script}");
        }
    }
    // Nor a part or a whole, nor what a child writes behind it; and who has read of it reads nothing else there.
    for flags in ["RDWR", "WRONLY|os.O_TRUNC"] {
        kv.put("log", "old value");
        let script = format!(
            "python3 -c \"import os, sqlite3
fd = os.open('log', os.O_{flags}); os.write(fd, b'line')
reader = os.open('log', os.O_RDONLY); os.read(reader, 4)
other = os.open('log', os.O_RDWR); ends, end = os.pipe()
def attempt(act):
    try: act()
    except OSError as err: print(err.errno, flush=True)
child = os.fork()
if not child:
    os.read(ends, 1); attempt(lambda: os.write(fd, b'late')); os._exit(0)
base = sqlite3.connect(os.environ['KV_STORE'].split(':', 1)[1], isolation_level=None)
base.execute('begin exclusive'); attempt(lambda: os.close(fd)); base.execute('rollback')
os.write(end, b'.'); os.waitpid(child, 0)
print(len(os.pread(reader, 99, 4)), len(os.pread(reader, 99, 0)) in (4, 9))
os.write(other, b'more'); os.close(other)\"; kv get log"
        );
        let rest = if flags == "RDWR" { 5 } else { 0 };
        let ran = mount.shell(&kv, &script).ends(Exit::Success);
        ran.prints(format!("16\n16\n{rest} True\nmorevalue"));
    }
    // Whoever runs it is told of each failure.
    let script = "exec 3<>log; printf x >&3; kv put log theirs; exec 3>&- || :; kv get log";
    let ran = mount.shell(&kv, script).ends(Exit::Success);
    ran.prints("theirs");
    let told = mount.end(rustix::process::Signal::TERM);
    assert!(told.contains("kv: `log`: `"), "{told}");
    assert!(told.contains("another process held it"), "{told}");
    let stale = format!("kv: cannot store `log`: {STALE}\n");
    assert!(told.ends_with(&stale), "{told}");
}

#[test]
fn a_write_that_has_failed_leaves_all_as_it_was() {
    if !can() {
        return;
    }
    let kv = Sandbox::on(Engine::Tree);
    let server = Server::of(&kv, &["--max-value", "100K"]);
    let store = format!("http://{}", server.address());
    let mount = Mount::of(&kv, &["--store", &store]);
    for (how, len) in [
        ("APPEND", 4),
        ("RDWR", 0),
        ("TRUNC", 0),
        ("RDWR|os.O_APPEND", 4),
    ] {
        kv.put("k", "old ");
        let script = format!(
            "python3 -c \"import os
fd = os.open('k', os.O_WRONLY*('RDWR' not in '{how}')|os.O_SYNC|os.O_{how}); os.write(fd, b'a' * 90000)
for n in [20000, 50000]:
    try: os.write(fd, b'D' * n)
    except OSError as err: print(err.errno, os.fstat(fd).st_size)
os.write(fd, b'e'); os.close(fd)\"; kv get k | tail -c 3; kv get k | wc -c"
        );
        let size = 90_000 + len;
        let told = format!("27 {size}\n27 {size}\naae{}\n", size + 1);
        mount.shell(&kv, &script).ends(Exit::Success).prints(told);
    }
    // What a file has held does not go for a write that has failed.
    kv.put("k", "old ");
    let script = "dd if=/dev/zero of=k bs=200K count=1 oflag=sync 2> /dev/null || kv get k";
    mount.shell(&kv, script).ends(Exit::Success).prints("old ");
    drop(mount);
    // The service has no room.
    kv.put("k", "old ");
    let server = Server::of(&kv, &[]);
    crate::process::limit_files(server.pid(), 50_000);
    let store = format!("http://{}", server.address());
    let mount = Mount::of(&kv, &["--store", &store]);
    let full = fs::write(mount.path("k"), [b'a'; 90_000]).and_then(|()| {
        let file = OpenOptions::new().append(true).open(mount.path("k"))?;
        file.write_all_at(&[b'a'; 90_000], 0)?;
        file.sync_all()
    });
    assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
    kv.holds("k", "old ");
    drop(mount);
    // The temporary file cannot grow.
    let kv = Sandbox::on(Engine::Tree);
    let mut mount = Mount::of(&kv, &[]);
    crate::process::limit_files(mount.pid(), 1_500_000);
    for at in [1_400_000, 1_300_000] {
        let file = fs::File::create(mount.path("k")).unwrap();
        for (byte, at) in [(b'a', 0), (b'b', 400_000)] {
            file.write_all_at(&[byte; 1_000_000], at).unwrap();
        }
        let failed = file.write_all_at(&[b'D'; 1_000_000], at);
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(file.metadata().unwrap().len(), 1_400_000);
        file.write_all_at(b"e", 1_400_000).unwrap();
        close(file).unwrap();
        let value = kv.run(["get", "k"]).stdout().to_vec();
        assert_eq!(value.len(), 1_400_001);
        assert!(!value.contains(&b'D') && value.ends_with(b"bbbe"));
    }
    let told = mount.end(rustix::process::Signal::TERM);
    assert!(told.contains("File too large"), "{told}");
}

/// What close(2) tells a shell that has redirected something nobody hears of; `cmd > FILE && sync FILE` does.
#[test]
fn who_syncs_or_moves_a_file_is_told_once_what_could_not_be_stored_when_it_was_closed() {
    if !can() {
        return;
    }
    const SCRIPT: &str = r#"python3 -c '
import fcntl, glob, os, sqlite3, subprocess
store = os.environ["KV_STORE"]
def hold():
    if store.startswith("sqlite:"):
        base = sqlite3.connect(store[7:], isolation_level=None)
        base.execute("begin exclusive")
        return base
    locks = [open(path, "a") for path in glob.glob(store + "/default/locks/*")]
    for lock in locks: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return locks
def free(held):
    if store.startswith("sqlite:"): held.execute("rollback")
    else:
        for lock in held: lock.close()
def told(name):
    fd = os.open(name, os.O_RDONLY)
    try: os.fsync(fd)
    except OSError as err: return err.errno
    finally: os.close(fd)
    return 0
def shell(script): return subprocess.run(["sh", "-c", script]).returncode
for how in [">", ">>", "1<>"]:
    held = hold()
    ran = shell("echo x " + how + " log")
    free(held)
    print(ran, told("log"), told("log"))
held = hold()
ran = shell("echo x > log && sync log 2> /dev/null")
free(held)
print(ran, shell("sync log"))
for then in ["echo y > log", "mv log other 2> /dev/null", "rm log; kv put log old"]:
    shell("kv put log old")
    held = hold()
    shell("echo x > log")
    free(held)
    print(shell(then), told("log"))
os.mkdir("dir")
shell("echo old > dir/log")
held = hold()
shell("echo x > dir/log")
free(held)
print([shell("mv dir other 2> /dev/null") for _ in range(2)])
'"#;
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        kv.put("log", "old");
        let mut mount = Mount::of(&kv, &["--busy-timeout", "300ms"]);
        let ran = mount.shell(&kv, SCRIPT).ends(Exit::Success);
        ran.prints("0 16 0\n0 16 0\n0 16 0\n1 0\n0 0\n1 0\n0 0\n[1, 0]\n");
        assert!(mount.end(Signal::TERM).contains("log"));
    }
}
