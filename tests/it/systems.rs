//! Other systems: processors of another kind, kernels that lack a system call, and a root in which there
//! is nothing but busybox.
//!
//! The binaries of other processors are those that `tests/targets` builds, and qemu runs them. Where one
//! could not be built that has said so, and nothing is missing here.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{Engine, KV, Ran, Sandbox, cannot_run, has_program, tell_count};
use crate::kills::can_inject;
use crate::readme;

/// What is written in front of the words of a command.
type Runner = Vec<OsString>;

fn runner(words: &[&str]) -> Runner {
    words.iter().map(OsString::from).collect()
}

fn command(kv: &Sandbox, runner: &Runner, args: &[&str]) -> Command {
    let mut command = Command::new(&runner[0]);
    command
        .args(&runner[1..])
        .args(args)
        .current_dir(kv.root())
        .env_clear()
        .env("HOME", kv.root())
        .env("KV_STORE", kv.location())
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    command
}

/// Demands that a command succeeds, and returns what it printed.
#[track_caller]
fn says(kv: &Sandbox, runner: &Runner, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = command(kv, runner, args);
    let ran = match input {
        [] => Ran::of(&mut command),
        _ => Ran::fed(&mut command, input),
    };
    ran.ends(Exit::Success).warns("").stdout().to_vec()
}

/// Bytes of all values, more than a buffer holds.
fn large() -> Vec<u8> {
    let byte = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    (0..300_000).map(byte).collect()
}

/// Lines for `kv import --tsv`, so many that they come to be a pack.
fn many(word: &str) -> Vec<u8> {
    let line = |n: u32| format!("{word}/{n}\tvalue {n}\n");
    (0..400).map(line).collect::<String>().into_bytes()
}

/// Goes through the commands, each of which does as it always does.
fn tour(kv: &Sandbox, runner: &Runner) {
    let done = |args: &[&str], input: &[u8], printed: &[u8]| {
        let said = says(kv, runner, args, input);
        assert_eq!(said, printed, "{args:?}");
    };
    done(&["put", "color", "green"], b"", b"");
    done(&["get", "color"], b"", b"green");
    done(&["put", "large"], &large(), b"");
    done(&["get", "large"], b"", &large());
    done(&["put", "short", "v", "--ttl", "1h"], b"", b"");
    done(&["ttl", "short"], b"", b"3600\n");
    done(&["incr", "hits", "--by", "11"], b"", b"11\n");
    done(&["append", "color", " and blue"], b"", b"");
    done(&["push", "jobs", "--lines"], b"one\ntwo\nthree\n", b"");
    done(&["pop", "jobs"], b"", b"one");
    done(&["items", "jobs"], b"", b"two\nthree\n");
    done(&["lock", "l", "--", "echo", "held"], b"", b"held\n");
    for _ in 0..2 {
        let memo = ["memo", "--ttl", "1h", "m", "--", "echo", "once"];
        done(&memo, b"", b"once\n");
    }
    done(&["update", "color", "--", "tr", "a-z", "A-Z"], b"", b"");
    done(&["get", "color"], b"", b"GREEN AND BLUE");
    done(&["import", "--tsv"], &many("many"), b"");
    done(&["gc", "--now"], b"", b"");
    done(&["get", "many/399"], b"", b"value 399");
    done(&["remove", "many/7"], b"", b"");
    done(&["ls", "many/?"], b"", &names_but(7));
    done(&["wait", "color"], b"", b"");
    done(&["fsck"], b"", b"");
    says(kv, runner, &["info"], b"");
    let lost = Ran::of(&mut command(kv, runner, &["get", "many/7"]));
    lost.ends(Exit::No).is_silent();
}

fn names_but(without: u32) -> Vec<u8> {
    let names = (0..10).filter(|n| *n != without);
    let names: String = names.map(|n| format!("many/{n}\n")).collect();
    names.into_bytes()
}

/// Returns how another processor's binary is run, which the environment names; `None` where it is not
/// there.
fn foreign(processor: &str) -> Option<Runner> {
    let variable = format!("KV_TEST_{}", processor.to_uppercase());
    let binary = std::env::var_os(variable).filter(|binary| !binary.is_empty())?;
    let qemu = format!("qemu-{processor}-static");
    if !has_program(&qemu) {
        cannot_run(&format!(
            "{qemu} is missing: apt-get install qemu-user-static"
        ));
        return None;
    }
    Some(vec![qemu.into(), binary])
}

#[test]
fn a_store_goes_from_one_processor_to_another() {
    let ours = runner(&[KV]);
    for processor in ["s390x", "aarch64"] {
        let Some(theirs) = foreign(processor) else {
            continue;
        };
        for engine in [Engine::Tree, Engine::Sqlite] {
            tour(&Sandbox::on(engine), &theirs);
            // The bytes of aarch64 come in our order.
            let ways = match processor {
                "s390x" => &[(&ours, &theirs), (&theirs, &ours)][..],
                _ => &[],
            };
            for (writer, reader) in ways {
                let kv = Sandbox::on(engine);
                fill(&kv, writer);
                let whole = all(&kv, writer);
                assert_eq!(whole, all(&kv, reader), "{processor}, {engine:?}");
                // And on from there.
                change(&kv, reader);
                let whole = all(&kv, reader);
                assert_eq!(whole, all(&kv, writer), "{processor}, {engine:?}");
                says(&kv, writer, &["fsck"], b"");
            }
        }
        tell_count(&format!("{processor}: all commands on 2 engines"));
    }
}

/// Writes each kind of thing that a store has on its disk.
fn fill(kv: &Sandbox, runner: &Runner) {
    for args in [
        &["put", "loose", "value"][..],
        &["put", "short", "value", "--ttl", "100d"],
        &["put", "--namespace", "other", "loose", "value"],
        &["memo", "--ttl", "100d", "memo", "--", "echo", "once"],
        &["memo", "--ttl", "100d", "--", "echo", "nameless"],
        &["push", "list", "one"],
        &["push", "list", "two"],
        &["push", "list", "three"],
        &["pop", "list"],
        &["lock", "lock", "--", "true"],
    ] {
        says(kv, runner, args, b"");
    }
    says(kv, runner, &["put", "large"], &large());
    says(kv, runner, &["push", "long", "--lines"], &many("element"));
    says(kv, runner, &["import", "--tsv"], &many("packed"));
    says(kv, runner, &["import", "--tsv"], &many("again"));
    says(kv, runner, &["gc", "--now"], b"");
    // What lies in a pack is removed, and what is loose is over it.
    says(kv, runner, &["remove", "packed/3"], b"");
    says(kv, runner, &["put", "packed/4", "new"], b"");
}

fn change(kv: &Sandbox, runner: &Runner) {
    says(kv, runner, &["append", "packed/5", " and more"], b"");
    says(kv, runner, &["expire", "packed/6", "100d"], b"");
    says(kv, runner, &["pop", "list"], b"");
    says(kv, runner, &["push", "long", "--lines"], &many("later"));
    says(kv, runner, &["import", "--tsv"], &many("third"));
    says(kv, runner, &["gc", "--now"], b"");
    says(kv, runner, &["incr", "sum"], b"");
    let memo = ["memo", "--ttl", "100d", "memo", "--", "echo", "twice"];
    assert_eq!(says(kv, runner, &memo, b""), b"once\n");
}

/// Returns all that a store holds, with the etags and the times.
fn all(kv: &Sandbox, runner: &Runner) -> [Vec<u8>; 4] {
    [
        &["export", "--all"][..],
        &["items", "list", "--json"],
        &["items", "long", "--json"],
        &["get", "large"],
    ]
    .map(|args| says(kv, runner, args, b""))
}

#[test]
fn no_command_needs_a_new_kernel() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    // Each came with Linux 3.17 to 5.12, and some sandboxes forbid one.
    for calls in [
        "openat2,statx,getrandom,preadv2,renameat2,copy_file_range,pidfd_open,close_range,faccessat2",
        "openat2",
        "statx",
    ] {
        for engine in [Engine::Tree, Engine::Sqlite] {
            let inject = format!("inject={calls}:error=ENOSYS");
            let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject, KV];
            tour(&Sandbox::on(engine), &runner(&words));
        }
    }
}

/// Makes a root in a directory that has busybox, kv and two devices, and no /proc.
fn empty_root(root: &Path, busybox: &Path) {
    for dir in ["bin", "dev", "tmp", "root"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    fs::copy(KV, root.join("bin/kv")).unwrap();
    let nodes = "mknod dev/null c 1 3 && mknod dev/urandom c 1 9 && chmod 666 dev/*";
    let script = format!("{nodes} && chroot . /bin/busybox --install -s /bin");
    let mut shell = Command::new("sh");
    let ran = Ran::of(shell.args(["-c", &script]).current_dir(root));
    ran.ends(Exit::Success);
}

#[test]
fn busybox_is_all_it_takes() {
    let busybox = PathBuf::from("/bin/busybox");
    if !busybox.exists() {
        return cannot_run("busybox is missing: apt-get install busybox-static");
    }
    if !rustix::process::geteuid().is_root() {
        return cannot_run("a root of its own takes root");
    }
    let kv = Sandbox::new();
    empty_root(kv.root(), &busybox);
    for transcript in readme::transcripts() {
        let script = readme::typed(&transcript);
        let mut command = Command::new("/usr/sbin/chroot");
        command
            .arg(kv.root())
            .args(["/bin/sh", "-c", &format!("cd /root\n{script}")])
            .env_clear()
            .env("HOME", "/root")
            .env("PATH", "/bin");
        let ran = Ran::of(&mut command).ends(Exit::Success);
        ran.prints(transcript).warns("");
    }
}
