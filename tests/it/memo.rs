//! `kv memo`: what is remembered, under which key, and what is not. One caller at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use kv::exit::Exit;

use crate::files::{bytes, flip_last};
use crate::harness::{Ran, Sandbox};

/// A script that counts its own runs.
const COUNT: &str = "echo run >>runs; ";

/// Prepares `kv memo OPTIONS --ttl 1h -- CMD`.
fn memo(kv: &Sandbox, options: &[&str], cmd: &[&str]) -> Command {
    kv.kv([&["memo", "--ttl", "1h"], options, &["--"], cmd].concat())
}

/// Runs a shell script under `kv memo`; it counts its runs.
pub fn script(kv: &Sandbox, options: &[&str], script: &str) -> Ran {
    Ran::of(&mut memo(
        kv,
        options,
        &["sh", "-c", &[COUNT, script].concat()],
    ))
}

pub fn runs(kv: &Sandbox) -> usize {
    let text = fs::read_to_string(kv.path("runs")).unwrap_or_default();
    text.lines().count()
}

#[test]
pub fn a_run_is_replayed_byte_for_byte() {
    let kv = Sandbox::new();
    for status in [0, 3] {
        let text = format!(r"printf 'a\000\377'; printf 'e\n\376' >&2; printf z; exit {status}");
        let options = [&format!("key{status}"), "--keep-failures"];
        for _ in 0..3 {
            let ran = script(&kv, &options, &text).ends(Exit::Program(status));
            assert_eq!(ran.stderr(), b"e\n\xfe");
            ran.prints(b"a\0\xffz");
        }
    }
    assert_eq!(runs(&kv), 2);
}

#[test]
pub fn a_run_that_prints_nothing_is_remembered() {
    let kv = Sandbox::new();
    script(&kv, &["k"], "").ends(Exit::Success).is_silent();
    script(&kv, &["k"], "").ends(Exit::Success).is_silent();
    assert_eq!(runs(&kv), 1);
}

#[test]
pub fn both_outputs_come_as_they_are_printed_and_are_replayed_in_that_order() {
    let kv = Sandbox::new();
    // Each line waits until the one before has been shown.
    let cmd = "shown() { until grep -q $1 seen; do sleep 0.01; done; }\n\
               echo 1; shown 1; echo 2 >&2; shown 2; echo 3";
    let memo = |to: &str| {
        let run = format!("kv memo k --ttl 1h -- sh -c '{cmd}' >{to} 2>&1");
        kv.shell("sh", &run).ends(Exit::Success).is_silent();
        fs::read_to_string(kv.path(to)).unwrap()
    };
    assert_eq!(memo("seen"), "1\n2\n3\n");
    assert_eq!(memo("replayed"), "1\n2\n3\n");
}

#[test]
pub fn large_outputs_are_replayed_whole() {
    let kv = Sandbox::new();
    let big = bytes(5_000_000);
    fs::write(kv.path("big"), &big).unwrap();
    for _ in 0..2 {
        let ran = script(&kv, &["k"], "cat big & cat big >&2; wait").ends(Exit::Success);
        assert!(ran.stdout() == big && ran.stderr() == big);
    }
    assert_eq!(runs(&kv), 1);
}

#[test]
pub fn the_command_line_is_the_key_and_reads_as_it_was_typed() {
    let kv = Sandbox::new();
    for (words, key) in [
        (&["echo", "a", "b c"][..], "echo a 'b c'"),
        (&["echo", "a", "b", "c"], "echo a b c"),
        (&["echo", "a b c"], "echo 'a b c'"),
        (&["echo", "'a'"], r"echo ''\''a'\'''"),
        (&["echo", "", "a"], "echo '' a"),
        (&["echo", "a", ";", "cwd", "/"], "echo a ';' cwd /"),
    ] {
        let printed = words[1..].join(" ") + "\n";
        for _ in 0..2 {
            let ran = Ran::of(&mut memo(&kv, &[], words));
            ran.ends(Exit::Success).prints(&printed).warns("");
        }
        kv.run(["-n", "memo", "has", key])
            .ends(Exit::Success)
            .is_silent();
    }
    let count = kv.run(["-n", "memo", "ls", "--count"]);
    assert_eq!(count.ends(Exit::Success).line(), "6");
}

#[test]
pub fn the_working_directory_counts_if_it_is_asked_for() {
    let kv = Sandbox::new();
    fs::create_dir(kv.path("other")).unwrap();
    let pwd = |options: &[&str], dir: &Path| {
        let mut command = memo(&kv, options, &["pwd"]);
        let ran = Ran::of(command.current_dir(dir)).ends(Exit::Success);
        ran.line()
    };
    let (here, there) = (kv.root().to_owned(), kv.path("other"));
    let (here_text, there_text) = (here.to_str().unwrap(), there.to_str().unwrap());
    assert_eq!(pwd(&["--cwd"], &here), here_text);
    assert_eq!(pwd(&["--cwd"], &there), there_text);
    assert_eq!(pwd(&[], &here), here_text);
    assert_eq!(pwd(&[], &there), here_text);
}

#[test]
pub fn a_variable_counts_and_unset_is_not_empty() {
    let kv = Sandbox::new();
    let print = |value: Option<&str>| {
        let script = format!("{COUNT} echo \"${{V-unset}}\"");
        let mut command = memo(&kv, &["--env", "V"], &["/bin/sh", "-c", &script]);
        value.map(|value| command.env("V", value));
        Ran::of(&mut command).ends(Exit::Success).line()
    };
    for _ in 0..2 {
        assert_eq!(print(None), "unset");
        assert_eq!(print(Some("")), "");
        assert_eq!(print(Some("a; b")), "a; b");
    }
    assert_eq!(runs(&kv), 3);
}

#[test]
fn the_value_of_a_variable_is_in_no_key() {
    let kv = Sandbox::new();
    let mut command = memo(&kv, &["--env", "TOKEN"], &["true"]);
    Ran::of(command.env("TOKEN", "secret 1"))
        .ends(Exit::Success)
        .is_silent();
    // echo -n 'secret 1' | sha1sum
    let key = "true ; env TOKEN=77ed6ed84932ac246d89b4fa75ec9a35ae38b83a\n";
    kv.run(["-n", "memo", "ls"]).ends(Exit::Success).prints(key);
}

#[test]
pub fn a_variable_has_a_name_that_can_be_one() {
    let kv = Sandbox::new();
    for name in ["", "LANG=C"] {
        let ran = script(&kv, &["--env", name], "");
        ran.ends(Exit::Program(125))
            .prints("")
            .complains(&["--env"]);
    }
    assert_eq!(runs(&kv), 0);
}

#[test]
pub fn the_time_of_a_file_counts_and_a_missing_one_too() {
    let kv = Sandbox::new();
    let file = kv.path("file");
    let run = |what: &str, so_far| {
        for _ in 0..2 {
            let ran = script(&kv, &["--modtime", "file", "--modtime", "none"], "echo out");
            ran.ends(Exit::Success).prints("out\n").warns("");
            assert_eq!(runs(&kv), so_far, "{what}");
        }
    };
    run("missing", 1);
    fs::write(&file, "").unwrap();
    run("made", 2);
    let touched = fs::File::options().append(true).open(&file).unwrap();
    let later =
        touched.metadata().unwrap().modified().unwrap() + std::time::Duration::from_nanos(1);
    touched.set_modified(later).unwrap();
    run("changed", 3);
    fs::remove_file(&file).unwrap();
    run("missing again", 3);
}

#[test]
pub fn a_key_that_is_given_is_the_whole_key() {
    let kv = Sandbox::new();
    for option in [&["--cwd"][..], &["--env", "A"], &["--modtime", "f"]] {
        let ran = script(&kv, &[&["k"], option].concat(), "");
        ran.ends(Exit::Program(125))
            .prints("")
            .complains(&[option[0]]);
    }
    assert_eq!(runs(&kv), 0);
    script(&kv, &["k"], "echo 1")
        .ends(Exit::Success)
        .prints("1\n");
    script(&kv, &["k"], "echo 2")
        .ends(Exit::Success)
        .prints("1\n");
}

#[test]
pub fn failures_are_kept_only_on_demand() {
    let kv = Sandbox::new();
    let fail = |options: &[&str]| {
        let ran = script(&kv, options, "echo no; exit 1").ends(Exit::Program(1));
        ran.prints("no\n").warns("");
        runs(&kv)
    };
    assert_eq!([fail(&["k"]), fail(&["k"])], [1, 2]);
    assert_eq!(fail(&["k", "--keep-failures"]), 3);
    assert_eq!([fail(&["k", "--keep-failures"]), fail(&["k"])], [3, 3]);
}

#[test]
pub fn a_run_that_a_signal_ends_is_never_kept() {
    let kv = Sandbox::new();
    for so_far in 1..=2 {
        let ran = script(&kv, &["k", "--keep-failures"], "echo out; kill -KILL $$");
        ran.ends(Exit::Signal(9)).prints("out\n").warns("");
        assert_eq!(runs(&kv), so_far);
    }
    kv.run(["-n", "memo", "has", "k"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
pub fn what_has_expired_is_run_anew() {
    let kv = Sandbox::new();
    for so_far in 1..=2 {
        script(&kv, &["k"], "echo out")
            .ends(Exit::Success)
            .prints("out\n");
        assert_eq!(runs(&kv), so_far);
        kv.run(["-n", "memo", "expire", "k", "1ms"])
            .ends(Exit::Success)
            .is_silent();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
pub fn a_ttl_is_demanded() {
    let kv = Sandbox::new();
    for args in [
        &["memo", "k", "--", "true"][..],
        &["memo", "k", "--ttl", "0", "--", "true"],
        &["memo", "k", "--ttl", "1h"],
        &["memo", "k", "--ttl", "1h", "--"],
        &["memo", "", "--ttl", "1h", "--", "true"],
        &["memo", "k", "--ttl", "1h", "--stale", "1h", "--", "true"],
        &["memo", "k", "--ttl", "1h", "--stale", "2h", "--", "true"],
    ] {
        kv.run(args)
            .ends(Exit::Program(125))
            .prints("")
            .complains(&[]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn results_are_ordinary_keys_of_their_own_namespace() {
    let kv = Sandbox::new();
    let ran = |options: &[&str]| {
        let args = [options, &["memo", "k", "--ttl", "1h", "--", "sh", "-c"]].concat();
        let mut command = kv.kv([&args[..], &[&format!("{COUNT} echo out")]].concat());
        command.env("KV_NAMESPACE", "scripts");
        Ran::of(&mut command)
            .ends(Exit::Success)
            .prints("out\n")
            .warns("");
        runs(&kv)
    };
    assert_eq!([ran(&[]), ran(&[])], [1, 1]);
    assert_eq!([ran(&["-n", "other"]), ran(&["-n", "other"])], [2, 2]);
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("memo\nother\n");
    kv.run(["-n", "memo", "ls"])
        .ends(Exit::Success)
        .prints("k\n");
    assert_eq!(kv.run(["-n", "memo", "ttl", "k"]).line(), "3600");
    kv.run(["-n", "memo", "remove", "k"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(ran(&[]), 3);
}

#[test]
fn what_is_no_result_is_run_over() {
    let kv = Sandbox::new();
    let anew = |so_far| {
        for _ in 0..2 {
            let ran = script(&kv, &["k", "--namespace", "default"], "echo out");
            ran.ends(Exit::Success).prints("out\n").warns("");
            assert_eq!(runs(&kv), so_far);
        }
    };
    for (n, foreign) in ["", "text", "kvmemo2 0 0\n", "kvmemo1 0 0 0\n"]
        .iter()
        .enumerate()
    {
        kv.put("k", foreign);
        anew(n + 1);
    }
    let file = kv.file_of(b"k");
    flip_last(&file);
    anew(5);
    // A result that was written for those who waited for it, long ago.
    kv.put("k", "kvmemo1 1 1\no 4\nold\n");
    anew(6);
}

#[test]
pub fn what_breaks_off_is_run_over() {
    let kv = Sandbox::new();
    for (n, foreign) in ["o 10\nshort", "o x\n", "z 1\nz", "o 1"].iter().enumerate() {
        kv.put("k", &["kvmemo1 0 0\n", foreign].concat());
        let ran = script(&kv, &["k", "--namespace", "default"], "echo out");
        ran.ends(Exit::Success).prints("out\n").warns("");
        assert_eq!(runs(&kv), n + 1, "{foreign:?}");
    }
}

#[test]
pub fn the_program_gets_no_standard_input() {
    let kv = Sandbox::new();
    let args = ["memo", "k", "--ttl", "1h", "--", "sh", "-c"];
    let ran = kv.feed(
        [&args[..], &["cat; readlink /proc/self/fd/0"]].concat(),
        b"input",
    );
    ran.ends(Exit::Success).prints("/dev/null\n").warns("");
}

#[test]
pub fn a_program_that_cannot_be_run_has_a_status_of_its_own() {
    let kv = Sandbox::new();
    fs::write(kv.path("plain"), "").unwrap();
    fs::set_permissions(kv.path("plain"), fs::Permissions::from_mode(0o644)).unwrap();
    for (cmd, status) in [("./plain", 126), ("./none", 127)] {
        let ran = Ran::of(&mut memo(&kv, &["k", "--keep-failures"], &[cmd]));
        ran.ends(Exit::Program(status)).prints("").complains(&[cmd]);
    }
    kv.run(["-n", "memo", "ls"]).ends(Exit::Success).is_silent();
    fs::write(kv.path("file"), "").unwrap();
    let mut no_store = memo(&kv, &["k"], &["true"]);
    let ran = Ran::of(no_store.env("KV_STORE", kv.path("file")));
    ran.ends(Exit::Program(125)).prints("").complains(&["file"]);
    for status in [1, 5, 124, 127, 255] {
        let ran = script(&kv, &["k"], &format!("exit {status}"));
        ran.ends(Exit::Program(status)).is_silent();
    }
}

#[test]
pub fn a_reader_that_has_enough_is_no_failure_and_the_run_is_kept_whole() {
    let kv = Sandbox::new();
    let lines = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo $i; done";
    let run = format!("kv memo k --ttl 1h -- sh -c '{COUNT} {lines}'");
    for _ in 0..2 {
        let ran = kv.shell("bash", &format!("{run} | head -1; echo ${{PIPESTATUS[0]}}"));
        ran.ends(Exit::Success).prints("1\n0\n").warns("");
    }
    let all: String = (1..=30000).map(|n| format!("{n}\n")).collect();
    kv.shell("sh", &run)
        .ends(Exit::Success)
        .prints(all)
        .warns("");
    assert_eq!(runs(&kv), 1);
}
