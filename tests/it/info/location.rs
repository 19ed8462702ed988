//! Where the store is that `kv info` tells of, and who says so.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use kv::exit::Exit;
use serde_json::json;

use super::objects;
use crate::harness::{Ran, Sandbox, cannot_run, has_program, names_in};

/// Runs `kv info ARGS…` with these variables and no others that name a store.
fn with(kv: &Sandbox, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = kv.kv(args.iter().chain(&["info"]));
    command.env_remove("KV_STORE").env_remove("HOME");
    command.envs(variables.iter().copied());
    Ran::of(&mut command).ends(Exit::Success).warns("")
}

#[test]
pub fn the_setting_that_chose_the_location_is_named() {
    let kv = Sandbox::new();
    let home = kv.root().to_str().unwrap();
    let data = format!("{home}/data");
    for (variables, args, setting, location) in [
        (
            &[("HOME", home)][..],
            &[][..],
            "HOME",
            format!("{home}/.local/share/kv"),
        ),
        (
            &[("HOME", home), ("XDG_DATA_HOME", &data)],
            &[],
            "XDG_DATA_HOME",
            format!("{data}/kv"),
        ),
        (
            &[("HOME", home), ("XDG_DATA_HOME", "relative")],
            &[],
            "HOME",
            format!("{home}/.local/share/kv"),
        ),
        (
            &[
                ("HOME", home),
                ("XDG_DATA_HOME", &data),
                ("KV_STORE", "here"),
            ],
            &[],
            "KV_STORE",
            "here".to_owned(),
        ),
        (
            &[("HOME", home), ("KV_STORE", "here")],
            &["-s", "there"],
            "--store",
            "there".to_owned(),
        ),
        (&[], &["--store", "there"], "--store", "there".to_owned()),
        (
            &[("HOME", home), ("KV_STORE", "")],
            &[],
            "HOME",
            format!("{home}/.local/share/kv"),
        ),
    ] {
        with(&kv, variables, args).prints(format!(
            "engine: tree\nlocation: {location}\nsetting: {setting}\n\nnamespace: none yet\n"
        ));
        let mut named = kv.kv(args.iter().chain(&["info", "--namespace", "x"]));
        named.env_remove("KV_STORE").env_remove("HOME");
        Ran::of(named.envs(variables.iter().copied()))
            .ends(Exit::No)
            .is_silent();
    }
}

#[test]
fn without_a_store_its_location_is_told() {
    let kv = Sandbox::new();
    let store = kv.store();
    let head = format!(
        "engine: tree\nlocation: {}\nsetting: KV_STORE\n\nnamespace: none yet\n",
        store.display()
    );
    let object = json!({
        "engine": "tree",
        "location": store.to_str().unwrap(),
        "setting": "KV_STORE",
        "namespace": null,
    });
    for is_made in [false, true] {
        kv.run(["info"]).ends(Exit::Success).prints(&head).warns("");
        let ran = kv.run(["info", "--json"]).ends(Exit::Success).warns("");
        assert_eq!(objects(&ran), std::slice::from_ref(&object));
        assert_eq!(store.exists(), is_made);
        _ = fs::create_dir(&store);
    }
    assert_eq!(names_in(&store), [""; 0]);
}

#[test]
pub fn a_location_of_any_bytes_is_one_line_on_a_terminal() {
    let kv = Sandbox::new();
    let odd = OsStr::from_bytes(b"a\x1b[31m\n\xff");
    let mut info = kv.kv(["info", "--json"]);
    let ran = Ran::of(info.env("KV_STORE", odd)).ends(Exit::Success);
    assert_eq!(objects(&ran)[0]["location"], "a\u{1b}[31m\n\u{fffd}");
    if !has_program("script") {
        return cannot_run("there is no script(1) to make a terminal with");
    }
    let run = "KV_STORE=$(printf 'a\\033[31m') script -qec 'kv info' /dev/null";
    let shown = kv.shell("sh", run).ends(Exit::Success).stdout_text();
    assert!(shown.contains("location:     a\\u{1b}[31m\r\n"), "{shown}");
}

#[test]
pub fn a_password_is_never_printed() {
    let kv = Sandbox::new();
    for location in [
        "redis://me:secret@host/0",
        "rediss://:secret@host",
        "nonsense:secret",
    ] {
        for json in [&[][..], &["--json"]] {
            // Nobody is there, and the first try tells all that there is to tell.
            let told = |args: &[&str], store| {
                let mut info = kv.kv(args.iter().chain(json));
                Ran::of(info.env("KV_STORE", store).env("KV_BUSY_TIMEOUT", "1ms"))
            };
            let by_option = told(&["--store", location, "info"], "");
            for ran in [by_option, told(&["info"], location)] {
                let told = [ran.stdout(), ran.stderr()].concat();
                let told = String::from_utf8(told).unwrap();
                assert!(!told.is_empty() && !told.contains("secret"), "{told}");
            }
        }
    }
}
