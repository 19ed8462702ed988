//! Entries that name their namespace, in any order.

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};

fn line(namespace: &str, key: &str, value: &str) -> String {
    let namespace = match namespace {
        "" => String::new(),
        name => format!("\"namespace\":\"{name}\","),
    };
    format!("{{\"key\":\"{key}\",{namespace}\"value\":\"{value}\"}}\n")
}

#[track_caller]
fn holds(kv: &Sandbox, namespace: &str, want: &str) {
    kv.run(["-n", namespace, "ls", "--values"])
        .ends(Exit::Success)
        .prints(want);
}

/// Entries of four namespaces, which change from line to line.
fn mixed() -> String {
    let mut lines = String::new();
    for n in 0..400 {
        for namespace in ["b", "", "a", "häuser"] {
            lines.push_str(&line(
                namespace,
                &format!("{n:03}"),
                &format!("{namespace}{n}"),
            ));
        }
    }
    lines.push_str(&line("a", "000", "last"));
    lines
}

#[test]
pub fn each_entry_goes_into_its_own() {
    let kv = Sandbox::new();
    kv.feed(["import", "--sync", "off"], mixed().as_bytes())
        .ends(Exit::Success)
        .is_silent();
    for (namespace, prefix) in [
        ("b", "b"),
        ("default", ""),
        ("a", "a"),
        ("häuser", "häuser"),
    ] {
        let entry = |n| match (namespace, n) {
            ("a", 0) => "000\tlast\n".to_owned(),
            _ => format!("{n:03}\t{prefix}{n}\n"),
        };
        holds(&kv, namespace, &(0..400).map(entry).collect::<String>());
    }
    kv.run(["namespaces"]).prints("a\nb\ndefault\nhäuser\n");
}

#[test]
pub fn a_bad_line_stops_all_of_them() {
    let kv = Sandbox::new();
    for bad in [
        "{\"key\":\"k\"}",
        "{\"key\":\"k\",\"value\":\"\",\"namespace\":\"a/b\"}",
    ] {
        let input = [&mixed(), bad].concat();
        kv.feed(["import"], input.as_bytes())
            .ends(Exit::Usage)
            .prints("")
            .complains(&["line 1602 of standard input", "nothing was imported"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn a_dry_run_looks_at_all_of_them() {
    let kv = Sandbox::new();
    for namespace in ["a", "b", "c"] {
        kv.run(["-n", namespace, "put", &format!("of {namespace}"), "v"])
            .ends(Exit::Success);
    }
    let lines = ["c", "a", "c", "b"].map(|name| line(name, &format!("of {name}"), "new"));
    kv.feed(["import", "--dry-run"], lines.concat().as_bytes())
        .ends(Exit::Success)
        .prints("of c\nof a\nof b\n");
    holds(&kv, "a", "of a\tv\n");
}

#[test]
pub fn replace_is_about_those_that_are_named() {
    let kv = Sandbox::new();
    for namespace in ["a", "b", "c", "default"] {
        kv.run(["-n", namespace, "put", "old", "v"])
            .ends(Exit::Success);
    }
    let expired =
        "{\"key\":\"k\",\"value\":\"\",\"namespace\":\"c\",\"expires\":\"2001-01-01T00:00:00Z\"}\n";
    let input = [&line("a", "new", "1"), &*line("b", "new", "2"), expired].concat();
    kv.feed(["import", "--replace"], input.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    holds(&kv, "a", "new\t1\n");
    holds(&kv, "b", "new\t2\n");
    holds(&kv, "c", "");
    holds(&kv, "default", "old\tv\n");
}

#[test]
pub fn a_namespace_that_was_given_is_the_only_one() {
    let kv = Sandbox::new();
    let input = [line("", "k", "1"), line("a", "l", "2")].concat();
    kv.feed(["-n", "a", "import"], input.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    holds(&kv, "a", "k\t1\nl\t2\n");
    let wanted = [
        "line 2 of standard input: it belongs to the namespace `a`",
        "names `b`: nothing was imported",
    ];
    kv.feed(["-n", "b", "import"], input.as_bytes())
        .ends(Exit::Usage)
        .complains(&wanted);
    let mut by_variable = kv.kv(["import"]);
    Ran::fed(by_variable.env("KV_NAMESPACE", "b"), input.as_bytes())
        .ends(Exit::Usage)
        .complains(&wanted);
    kv.run(["namespaces"]).prints("a\n");
}

#[test]
fn what_failed_half_way_is_told() {
    let kv = Sandbox::new();
    kv.run(["-n", "b", "put", "k", "v"]).ends(Exit::Success);
    let format = kv.store().join("b/format");
    std::fs::write(&format, "kv 2\n").unwrap();
    let input = ["a", "b", "c"].map(|name| line(name, "k", "new")).concat();
    kv.feed(["import"], input.as_bytes())
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["only 1 of 3 namespaces", "`b`", "newer kv"]);
    holds(&kv, "a", "k\tnew\n");
    kv.run(["-n", "c", "ls"]).ends(Exit::Success).prints("");
}

#[test]
fn a_full_temporary_directory_imports_nothing() {
    let kv = Sandbox::new();
    let mut command = kv.kv(["import"]);
    command.env("TMPDIR", kv.path("none"));
    let input = [line("a", "k", "1"), line("b", "k", "2")].concat();
    Ran::fed(&mut command, input.as_bytes())
        .ends(Exit::Failure)
        .prints("")
        .complains(&[
            "nothing was imported: cannot make a temporary file in",
            "none",
        ]);
    assert!(!kv.store().exists());
}
