//! Which store a command works on: options, variables, and what stands in for them.

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in};

#[test]
fn the_short_names_stand_before_the_command_only() {
    let kv = Sandbox::new();
    kv.run(["-s", "other", "-n", "app", "put", "k", "v"])
        .ends(Exit::Success)
        .is_silent();
    assert!(kv.path("other/app").is_dir());
    for args in [["get", "k", "-s", "other"], ["get", "k", "-n", "app"]] {
        kv.run(args).ends(Exit::Usage).prints("").complains(&[
            &format!("`{}`", args[2]),
            "-s and -n stand before the command",
        ]);
    }
}

#[test]
fn the_long_names_stand_on_either_side_and_the_later_wins() {
    let kv = Sandbox::new();
    kv.run(["--store", "one", "--namespace", "app", "put", "k", "1"])
        .ends(Exit::Success)
        .is_silent();
    let after = ["get", "k", "--store", "one", "--namespace", "app"];
    kv.run(after).ends(Exit::Success).prints("1");
    let both = ["-s", "nowhere", "-n", "none"];
    kv.run(both.iter().chain(&after))
        .ends(Exit::Success)
        .prints("1");
    for options in [["--sync", "off"], ["--busy-timeout", "1s"]] {
        kv.run(["put", "k", "v"].iter().chain(&options))
            .ends(Exit::Success)
            .is_silent();
        kv.run(options.iter().chain(&["put", "k", "v"]))
            .ends(Exit::Success)
            .is_silent();
    }
}

#[test]
fn without_a_location_the_store_is_the_users_own() {
    let kv = Sandbox::new();
    let data = kv.path("data");
    let mut put = kv.kv(["put", "k", "v"]);
    Ran::of(put.env_remove("KV_STORE").env("XDG_DATA_HOME", &data))
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(names_in(&data), ["kv"]);
    // An empty variable counts as unset, and one that is no absolute path is ignored.
    for unset in ["", "relative"] {
        let home = kv.path(&format!("home{unset}"));
        let mut put = kv.kv(["put", "k", "v"]);
        put.env("KV_STORE", "").env("HOME", &home);
        Ran::of(put.env("XDG_DATA_HOME", unset))
            .ends(Exit::Success)
            .is_silent();
        assert!(home.join(".local/share/kv/default").is_dir());
    }
}

#[test]
fn with_no_home_a_line_says_what_to_set() {
    let kv = Sandbox::new();
    for empty in [false, true] {
        let mut get = kv.kv(["get", "k"]);
        get.env_remove("KV_STORE").env_remove("HOME");
        if empty {
            get.env("HOME", "").env("XDG_DATA_HOME", "");
        }
        Ran::of(&mut get)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["KV_STORE", "HOME", "--store"]);
    }
}

#[test]
fn variables_stand_in_for_options_and_options_win() {
    let kv = Sandbox::new();
    kv.run(["-n", "app", "put", "k", "v"])
        .ends(Exit::Success)
        .is_silent();
    Ran::of(kv.kv(["get", "k"]).env("KV_NAMESPACE", "app"))
        .ends(Exit::Success)
        .prints("v");
    for (namespace, args) in [("app", ["-n", "default"]), ("", ["-n", "default"])] {
        let mut get = kv.kv(args.iter().chain(&["get", "k"]));
        Ran::of(get.env("KV_NAMESPACE", namespace))
            .ends(Exit::No)
            .is_silent();
    }
}

#[test]
fn a_variable_that_makes_no_sense_is_a_wrong_command_line() {
    let kv = Sandbox::new();
    for (name, value) in [
        ("KV_STORE", "nonsense:x"),
        ("KV_STORE", "~/kv"),
        ("KV_STORE", "sqlite:$HOME/kv.db"),
        ("KV_STORE", "store\r"),
        ("KV_STORE", "store\n"),
        ("KV_EXISTING", "yes"),
        ("KV_NAMESPACE", "a/b"),
        ("KV_NAMESPACE", ".a"),
        ("KV_SYNC", "maybe"),
        ("KV_BUSY_TIMEOUT", "soon"),
        ("KV_BUSY_TIMEOUT", "-1"),
    ] {
        Ran::of(kv.kv(["put", "k", "v"]).env(name, value))
            .ends(Exit::Usage)
            .prints("")
            .complains(&[&format!("invalid {name}")]);
        Ran::of(kv.kv(["ls"]).env(name, ""))
            .ends(Exit::Success)
            .is_silent();
    }
    assert!(!kv.store().exists());
}

#[test]
fn a_location_with_a_password_is_never_printed() {
    let kv = Sandbox::new();
    // In the variable a password of a server is welcome, and this server is not there.
    for (location, by_variable) in [
        ("redis://me:secret@127.0.0.1:1/0", Exit::Failure),
        ("nonsense:secret", Exit::Usage),
    ] {
        let by_option = kv.run(["--store", location, "ls"]).ends(Exit::Usage);
        let mut ls = kv.kv(["ls", "--busy-timeout", "1ms"]);
        let by_variable = Ran::of(ls.env("KV_STORE", location)).ends(by_variable);
        for ran in [by_option, by_variable] {
            assert!(
                !ran.report()
                    .split("--- ")
                    .skip(1)
                    .any(|s| s.contains("secret"))
            );
        }
    }
    kv.run(["--store", "", "ls"])
        .ends(Exit::Usage)
        .complains(&["--store"]);
}

#[test]
fn a_directory_with_a_colon_is_named_by_its_path() {
    let kv = Sandbox::new();
    kv.run(["-s", "a:b", "put", "k", "v"])
        .ends(Exit::Usage)
        .complains(&["`a:`", "./a:"]);
    kv.run(["-s", "./a:b", "put", "k", "v"])
        .ends(Exit::Success)
        .is_silent();
    assert!(kv.path("a:b/default").is_dir());
}

#[test]
fn reading_a_store_that_does_not_exist_makes_nothing() {
    let kv = Sandbox::new();
    for (args, exit) in [
        (&["get", "k"][..], Exit::No),
        (&["get", "k", "--remove"], Exit::No),
        (&["has", "k"], Exit::No),
        (&["stat", "k"], Exit::No),
        (&["ttl", "k"], Exit::No),
        (&["expire", "k", "1h"], Exit::No),
        (&["remove", "k"], Exit::No),
        (&["remove", "--glob", "*"], Exit::No),
        (&["ls"], Exit::Success),
        (&["namespaces"], Exit::Success),
        (&["gc"], Exit::Success),
    ] {
        kv.run(args).ends(exit).is_silent();
        assert_eq!(names_in(kv.root()), [""; 0], "{args:?}");
    }
}

#[test]
fn a_store_is_private_unless_its_directory_says_otherwise() {
    use std::os::unix::fs::PermissionsExt as _;
    let kv = Sandbox::new();
    let script = "umask 000 && kv -s deep/below/store put k v";
    kv.shell("sh", script).ends(Exit::Success).is_silent();
    for dir in ["deep", "deep/below", "deep/below/store/default/objects"] {
        let mode = kv.path(dir).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{dir}");
    }
    let format = kv.path("deep/below/store/default/format");
    let mode = format.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}
