//! What all commands that run a program have in common.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};
use crate::process::scripted;

/// Commands that run a program, with what they need besides.
pub const RUNNERS: [&[&str]; 2] = [&["lock", "name"], &["update", "key"]];

fn run(kv: &Sandbox, runner: &[&str], cmd: &[&str]) -> Ran {
    kv.run(runner.iter().chain(&["--"]).chain(cmd))
}

#[test]
pub fn the_status_is_that_of_the_program() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for status in [0, 1, 2, 3, 4, 5, 42, 124, 127, 255] {
            run(&kv, runner, &["sh", "-c", &format!("exit {status}")])
                .ends(Exit::Program(status))
                .is_silent();
        }
    }
}

#[test]
pub fn kv_dies_of_the_signal_that_kills_the_program() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for (signal, number) in [("KILL", 9), ("TERM", 15), ("INT", 2), ("PIPE", 13)] {
            run(&kv, runner, &["sh", "-c", &format!("kill -{signal} $$")])
                .ends(Exit::Signal(number))
                .is_silent();
        }
    }
}

#[test]
pub fn what_is_not_found_is_127() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for missing in ["no-such-program", "/no/such/program", "./missing", ""] {
            run(&kv, runner, &[missing])
                .ends(Exit::Program(127))
                .prints("")
                .complains(&["cannot run", missing, "No such file"]);
        }
    }
}

#[test]
pub fn what_cannot_be_executed_is_126() {
    let kv = Sandbox::new();
    fs::write(kv.path("text"), "#!/bin/sh\n").unwrap();
    for runner in RUNNERS {
        for bad in ["./text", "/", "./text/below"] {
            run(&kv, runner, &[bad])
                .ends(Exit::Program(126))
                .prints("")
                .complains(&["cannot run", bad]);
        }
    }
}

#[test]
fn what_kv_lacks_to_start_a_program_is_125() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for run in ["update k", "memo k --ttl 1h", "lock k"] {
        let mut lacked = 0;
        for files in 4..14 {
            let script = format!("ulimit -n {files}; exec kv {run} -- ./missing");
            let ran = kv.shell("sh", &script);
            match ran.status().code() {
                Some(127) => {}
                Some(125) => lacked += 1,
                _ => panic!("{run} with {files} files: {}", ran.report()),
            }
        }
        assert!((2..9).contains(&lacked), "{run}: {lacked}");
    }
}

#[test]
pub fn a_wrong_command_line_is_125() {
    let kv = Sandbox::new();
    for args in [
        &[][..],
        &["--"],
        &["--", "touch", "ran"],
        &["n"],
        &["n", "--"],
        &["n", "touch", "ran"],
        &["n", "touch", "--", "ran"],
        &["", "--", "touch", "ran"],
        &["n", "--nonsense", "--", "touch", "ran"],
        &["-n", "other", "n", "--", "touch", "ran"],
        &["n", "--sync", "maybe", "--", "touch", "ran"],
        &["n", "--busy-timeout", "soon", "--", "touch", "ran"],
    ] {
        for command in ["lock", "update"] {
            kv.run([command].iter().chain(args))
                .ends(Exit::Program(125))
                .prints("")
                .complains(&[]);
            let before = ["--sync", "off", "--namespace", "x", command];
            kv.run(before.iter().chain(args))
                .ends(Exit::Program(125))
                .prints("")
                .complains(&[]);
        }
    }
    assert!(!kv.store().exists());
    assert!(!kv.path("ran").exists());
}

/// Returns all options that stand before a command and take a value, each with one that it takes.
pub fn options_with_values(kv: &Sandbox) -> Vec<[String; 2]> {
    fs::write(kv.path("token"), "0123456789abcdef\n").unwrap();
    let mut command = kv::cli::command();
    command.build();
    let mut options = Vec::new();
    for opt in command.get_opts() {
        let value = match opt.get_long().unwrap() {
            "store" => "other",
            "namespace" => "other",
            "sync" => "off",
            "busy-timeout" => "5s",
            "token-file" => "token",
            new => panic!("give `--{new}` a value here"),
        };
        options.push([format!("--{}", opt.get_long().unwrap()), value.to_owned()]);
        options.extend(opt.get_short().map(|c| [format!("-{c}"), value.to_owned()]));
    }
    options
}

#[test]
fn a_wrong_command_line_is_125_behind_every_option() {
    let kv = Sandbox::new();
    let mut command = kv::cli::command();
    command.build();
    for option in options_with_values(&kv) {
        for named in command.get_subcommands() {
            let runs = named.get_positionals().any(clap::Arg::is_last_set);
            let exit = if runs {
                Exit::Program(125)
            } else {
                Exit::Usage
            };
            let rest = [named.get_name(), "name", "--bogus", "--", "true"];
            kv.run(option.iter().map(String::as_str).chain(rest))
                .ends(exit)
                .prints("")
                .complains(&[]);
        }
    }
}

#[test]
pub fn a_program_without_dashes_before_it_is_told_of_them() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for (cmd, what) in [(&["echo", "hi"][..], "`echo`"), (&[], "<CMD>")] {
            kv.run(runner.iter().chain(cmd))
                .ends(Exit::Program(125))
                .prints("")
                .complains(&[what, "; CMD stands behind `--`"]);
        }
    }
    for args in [&["get", "a", "b"][..], &["wait"], &["lock", "--", "true"]] {
        let ran = kv.run(args);
        assert!(
            !ran.stderr_text().contains("CMD stands"),
            "{}",
            ran.report()
        );
    }
}

#[test]
pub fn variables_that_cannot_be_used_are_125() {
    let kv = Sandbox::new();
    for (name, value) in [
        ("KV_STORE", "nonsense:here"),
        ("KV_NAMESPACE", "a/b"),
        ("KV_SYNC", "maybe"),
        ("KV_BUSY_TIMEOUT", "soon"),
    ] {
        for runner in RUNNERS {
            let mut command = kv.kv(runner.iter().chain(&["--", "touch", "ran"]));
            Ran::of(command.env(name, value))
                .ends(Exit::Program(125))
                .prints("")
                .complains(&[name]);
        }
    }
    assert!(!kv.path("ran").exists());
}

#[test]
fn a_store_that_cannot_be_used_is_125() {
    let kv = Sandbox::new();
    fs::write(kv.path("file"), "").unwrap();
    for runner in RUNNERS {
        let args = ["--store", "file"].iter().chain(runner);
        kv.run(args.chain(&["--", "touch", "ran"]))
            .ends(Exit::Program(125))
            .prints("")
            .complains(&["file"]);
    }
    kv.put("k", "v");
    fs::write(kv.space().join("format"), "kv 9\n").unwrap();
    for runner in RUNNERS {
        run(&kv, runner, &["touch", "ran"])
            .ends(Exit::Program(125))
            .prints("")
            .complains(&["newer"]);
    }
    assert!(!kv.path("ran").exists());
}

#[test]
pub fn help_runs_nothing() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        let ran = kv.run(runner.iter().chain(&["--help"])).ends(Exit::Success);
        assert!(ran.stdout_text().contains("Usage: "), "{}", ran.report());
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn options_do_not_reach_the_environment() {
    let kv = Sandbox::new();
    let options = [
        "--store",
        "other",
        "--namespace",
        "x",
        "--sync",
        "off",
        "--busy-timeout",
        "5",
    ];
    for runner in RUNNERS {
        let script = "cat /proc/self/environ >seen";
        let mut command = scripted(&kv, &[&options, runner].concat(), script);
        command.env("KV_NAMESPACE", "mine").env("OTHER", "a\nb");
        // The shell execs the last command, or adds nothing but what it exports by itself.
        Ran::of(&mut command).ends(Exit::Success).is_silent();
        let seen = fs::read(kv.path("seen")).unwrap();
        let mut seen: Vec<_> = seen.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        seen.retain(|text| {
            !text.is_empty() && !text.starts_with(b"PWD=") && !text.starts_with(b"_=")
        });
        seen.sort();
        let wanted = command
            .get_envs()
            .filter_map(|(name, value)| Some([name.as_bytes(), b"=", value?.as_bytes()].concat()));
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort();
        assert_eq!(seen, wanted);
    }
}

#[test]
pub fn a_program_gets_the_arguments_byte_for_byte() {
    let kv = Sandbox::new();
    let words = [&b"a b"[..], b"", b"--", b"-n", b"\n", b"*", b"\xff\x01"];
    let want: Vec<u8> = words
        .iter()
        .flat_map(|word| [word, &b"\n"[..]].concat())
        .collect();
    let words = words.map(OsStr::from_bytes);
    for runner in RUNNERS {
        let script = ["--", "sh", "-c", "printf '%s\\n' \"$@\" >seen", "sh"];
        let args = runner.iter().chain(&script).map(OsStr::new);
        kv.run(args.chain(words)).ends(Exit::Success).is_silent();
        assert_eq!(fs::read(kv.path("seen")).unwrap(), want);
    }
}

#[test]
pub fn a_program_has_the_descriptors_of_kv_and_no_others() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        let script = format!(
            "exec 5>five; ls /proc/self/fd >before; \
             kv {} -- sh -c 'echo passed >&5; exec ls /proc/self/fd >within'; cmp before within",
            runner.join(" ")
        );
        kv.shell("sh", &script).ends(Exit::Success).is_silent();
        assert_eq!(fs::read(kv.path("five")).unwrap(), b"passed\n");
    }
}
