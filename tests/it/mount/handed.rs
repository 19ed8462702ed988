//! Files that are handed on to other programs, or that a process has open more than once.

use std::fs::{self, File};
use std::io::Write as _;

use kv::exit::Exit;
use rustix::process::Signal;

use super::mounted::can;
use super::{Mount, on_each};
use crate::harness::{Engine, Sandbox, until};

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

/// A shell that has it open hands that on to each program that it runs.
#[test]
fn what_was_closed_is_stored_though_another_descriptor_was_inherited() {
    on_each(MOST, |kv, mount| {
        for (script, left) in [
            // The program has opened it for itself.
            ("exec 3>>k; /bin/echo new >> k", "old\nnew\n"),
            ("exec 3>>k; (/bin/echo a; /bin/echo b) >> k", "old\na\nb\n"),
            ("exec 3<>k; /bin/echo new > k", "new\n"),
            ("exec 3>>k; echo new > k", "new\n"),
            ("exec 3>>k; : > k", ""),
            ("exec 3<>k; /bin/echo O 1<> k", "O\nd\n"),
            // It was given what the shell has opened, and goes on with what it has opened itself.
            (
                "exec 3>>k; { /bin/echo a >&3; } >> k; exec 3>&-",
                "old\na\n",
            ),
            // What it closes it does by giving the descriptor what it has open, too.
            ("exec 9>&1 >> k; echo a >> k; exec >&9", "old\na\n"),
            (
                "exec 9>&1 >> k; /bin/echo a >> k; kv get k >&9; kill -9 $$",
                "old\na\n",
            ),
            ("exec 3>>k 4>>k 5>&3; echo a >&4; exec 4>&-", "old\na\n"),
            ("exec 3>>k 4>k 5>&3; echo a >&4; exec 4>&-", "a\n"),
            ("{ printf O 1<>k; echo e | kv append k; } >> k", "Old\ne\n"),
        ] {
            kv.put("k", "old\n");
            let script = format!("bash -c '{script}; kv get k; kill -9 $$' || :");
            mount.shell(kv, &script).prints(left);
            kv.holds("k", left);
        }
    });
}

#[test]
fn only_what_was_to_be_written_anew_goes_with_who_is_killed() {
    on_each(MOST, |kv, mount| {
        for (script, left) in [
            ("exec 3<>k; printf new >&3", "new value"),
            ("exec 3>>k; printf new >&3", "old valuenew"),
            // Whether it is written by the shell or by what the shell runs.
            ("exec 3>>k; /bin/echo new >&3", "old valuenew\n"),
            (
                "exec 3>new; printf x >&3; exec 3>&-; exec 4<>new; printf y >&4",
                "old value",
            ),
            ("exec 3>k; printf new >&3", "old value"),
            ("exec 3>k; /bin/echo new >&3", "old value"),
        ] {
            kv.put("k", "old value");
            let script = format!("bash -c '{script}; kill -9 $$' || :");
            mount.shell(kv, &script).ends(Exit::Success);
            // The kernel closes the file when the process is gone already.
            until("it is closed", || {
                fs::metadata(mount.path("k")).unwrap().len() == left.len() as u64
            });
            until("it is stored", || {
                kv.run(["get", "k"]).stdout() == left.as_bytes()
            });
        }
        kv.holds("new", "y");
    });
}

/// A shell closes a duplicate of what it has opened for the program before it runs that.
#[test]
fn who_is_killed_leaves_the_old_value_also_beside_others_who_have_it_open() {
    on_each(MOST, |kv, mount| {
        for (holder, left) in [
            ("exec 3>>k", "old"),
            ("exec 3<>k", "old"),
            ("exec 3<k", "old"),
            // Another who writes it anew, and has emptied it so.
            ("exec 3>k", ""),
        ] {
            for by in ["bash", "zsh"] {
                if !crate::harness::has_program(by) {
                    continue;
                }
                kv.put("k", "old");
                let script = format!(
                    "{holder}; {by} -c 'exec 3>&-; {{ sh -c \"echo half; kill -9 \\$\\$\" > k; }}; true' 2> $HOME/told
                    kv get k"
                );
                mount.shell(kv, &script).ends(Exit::Success).prints("old");
                kv.holds("k", left);
                // Who is not is stored before the shell goes on.
                let script =
                    format!("{holder}; {by} -c 'exec 3>&-; sh -c \"echo all\" > k; kv get k'");
                mount.shell(kv, &script).ends(Exit::Success).prints("all\n");
                kv.holds("k", "all\n");
            }
        }
    });
}

#[test]
fn what_a_program_wrote_that_was_handed_a_file_is_stored_though_it_is_killed() {
    on_each(MOST, |kv, mount| {
        for (end, left) in [("c.kill()", "first,"), ("c.stdin.close()", "first,second")] {
            for parent in ["f.close()", "pass"] {
                kv.put("k", "whole old value");
                let script = format!(
                    "python3 -c \"import subprocess
f = open('k', 'wb'); pipe = subprocess.PIPE
c = subprocess.Popen(['sh', '-c', 'printf first,; echo >&2; read _; printf second'], stdout=f, stdin=pipe, stderr=pipe)
{parent}; c.stderr.read(1); {end}; c.wait(); f.close()\""
                );
                mount.shell(kv, &script).ends(Exit::Success);
                until("it is stored", || {
                    kv.run(["get", "k"]).stdout() == left.as_bytes()
                });
            }
        }
        mount
            .shell(
                kv,
                "timeout .3 sh -c 'echo part; exec sleep 60' > t || kv get t",
            )
            .ends(Exit::Success)
            .prints("part\n");
    });
}

/// Who goes on with what another writes anew goes on with the file when that one is killed.
#[test]
fn who_has_a_file_open_beside_who_is_killed_has_what_others_open_after_that() {
    on_each(MOST, |kv, mount| {
        for (was, left) in [(None, "4746"), (Some("old"), "old4746")] {
            for way in [">>", "<>"] {
                kv.run(["remove", "--force", "k"]).ends(Exit::Success);
                if let Some(was) = was {
                    kv.put("k", was);
                }
                let script = format!(
                    "python3 -c \"import os, signal, time
pipe = os.pipe()
if not (child := os.fork()):
    os.open('k', os.O_RDWR | os.O_CREAT | os.O_TRUNC); os.write(pipe[1], b'1'); signal.pause()
os.read(pipe[0], 1)
a = os.open('k', os.O_RDWR | os.O_CREAT); d = os.open('k', os.O_RDWR)
os.kill(child, 9); os.waitpid(child, 0)
# The kernel closes the file a moment after that.
was = {}
while os.stat('k').st_size != was: time.sleep(.01)
time.sleep(.3)
c = os.open('k', os.O_RDWR | os.O_CREAT | (os.O_APPEND if '{way}' == '>>' else 0))
os.lseek(c, 0, 2); os.write(c, b'47'); os.close(c)
os.lseek(a, 0, 2); os.write(a, b'46')
assert os.pread(d, 99, 0) == b'{left}', os.pread(d, 99, 0)
os.close(a)\"",
                    was.map_or(0, str::len)
                );
                mount.shell(kv, &script).ends(Exit::Success);
                kv.holds("k", left);
            }
        }
    });
}

/// As where both are killed.
#[test]
fn what_was_added_to_what_is_written_anew_is_stored_with_it_when_it_is_unmounted() {
    if !can() {
        return;
    }
    for engine in MOST.iter().filter(|engine| engine.is_here()) {
        let kv = Sandbox::on(*engine);
        let mut mount = Mount::of(&kv, &[]);
        for key in ["both", "alone", "lock"] {
            kv.put(key, "old");
        }
        let empty = |name| File::create(mount.path(name)).unwrap();
        let (mut both, mut alone, _lock) = (empty("both"), empty("alone"), empty("lock"));
        both.write_all(b"F").unwrap();
        let mut log = File::options()
            .append(true)
            .open(mount.path("both"))
            .unwrap();
        log.write_all(b"add").unwrap();
        alone.write_all(b"half").unwrap();
        let said = mount.end(Signal::TERM);
        let told = "kv: cannot store `alone`: it was being written when it was unmounted\n";
        assert_eq!(said, told);
        kv.holds("both", "Fadd");
        kv.holds("alone", "old");
        kv.holds("lock", "old");
    }
}
