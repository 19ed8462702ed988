//! Commands on packed entries answer as they do on entries that have files of their own.

use kv::exit::Exit;

use super::{cool, gc, ls, pack};
use crate::harness::Sandbox;

/// Commands that are carried out one after the other; `{etag}` is that of `color`.
const STORIES: &[&[&str]] = &[
    &["put color red", "get color", "put color blue", "get color"],
    &["put color red --if-absent", "get color"],
    &["put absent red --if-absent", "get absent"],
    &[
        "put color red --if-exists",
        "put absent x --if-exists",
        "get color",
    ],
    &[
        "put color red --if-value green",
        "put color blue --if-value green",
        "get color",
    ],
    &[
        "put color red --if-etag {etag}",
        "put color blue --if-etag {etag}",
        "get color",
    ],
    &["put color red --if-etag 0123456789abcdef", "get color"],
    &[
        "remove color",
        "remove color",
        "get color",
        "has color",
        "put color new --if-absent",
    ],
    &[
        "remove -f color",
        "remove -f color",
        "stat color --field size",
    ],
    &[
        "remove color --if-value red",
        "remove color --if-value green",
        "has color",
    ],
    &["remove color --if-etag {etag}", "has color"],
    &["remove --glob k*", "ls", "remove --glob k*"],
    &["remove --glob * --dry-run", "ls --count"],
    &["get color --remove", "get color --remove", "has color"],
    &["get absent --default x", "get color --default x"],
    &[
        "expire color 1h",
        "ttl color",
        "get color",
        "expire color never",
        "ttl color",
    ],
    &["expire absent 1h", "ttl absent"],
    &["put color red --keep-ttl", "ttl color"],
    &["put dated red --keep-ttl", "ttl dated --busy-timeout 1s"],
    &["put dated red", "ttl dated"],
    &[
        "incr number",
        "incr number --by -50",
        "get number",
        "incr color",
        "incr fresh --ttl 1h",
    ],
    &[
        "append color er",
        "get color",
        "append fresh x",
        "get fresh",
    ],
    &[
        "has color",
        "has absent",
        "stat color --field size",
        "stat color --field key",
    ],
    &[
        "stat color --field modified",
        "stat color --field etag",
        "stat absent",
    ],
    &[
        "ls",
        "ls --reverse",
        "ls k*",
        "ls absent*",
        "ls --limit 2",
        "ls --count",
    ],
    &[
        "ls --prefix k",
        "ls --from k2 --to k5",
        "ls --reverse --from k2 --limit 2",
    ],
    &["ls --values", "ls -l", "ls --json --values", "ls -0"],
    &[
        "put k3 changed",
        "remove k4",
        "put k31 between",
        "ls --values",
        "ls --reverse",
    ],
    &[
        "items jobs",
        "pop jobs",
        "push jobs four",
        "items jobs",
        "pop jobs --last",
        "pop jobs",
    ],
    &[
        "pop jobs",
        "pop jobs",
        "pop jobs",
        "pop jobs",
        "push jobs one",
        "pop jobs",
    ],
    &[
        "wait color --timeout 0",
        "wait absent --timeout 0",
        "wait color --gone --timeout 0",
    ],
    &[
        "update color -- tr a-z A-Z",
        "get color",
        "update color -- false",
        "get color",
    ],
    &["update fresh -- echo new", "get fresh"],
    &[
        "namespaces",
        "namespaces --remove jobs",
        "namespaces",
        "pop jobs",
    ],
];

fn prepare() -> Sandbox {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.put("number", "41\n");
    kv.put("empty", "");
    for n in 0..8 {
        kv.put(&format!("k{n}"), &"v".repeat(n));
    }
    // Whether this is short enough for a pack or not: it reads the same.
    kv.run(["put", "dated", "v", "--ttl", "600w"])
        .ends(Exit::Success);
    for job in ["one", "two", "three"] {
        kv.run(["push", "jobs", job, "--sync", "off"])
            .ends(Exit::Success);
    }
    cool(&kv);
    kv
}

/// Returns how a command ended, and what it printed.
fn carry_out(kv: &Sandbox, etag: &str, command: &str) -> (Option<i32>, String, String) {
    let words = command.split(' ').map(|word| word.replace("{etag}", etag));
    let ran = kv.shell(
        "sh",
        &format!("set -f; kv {}", words.collect::<Vec<_>>().join(" ")),
    );
    // The two stores lie in different places.
    let stderr = ran.stderr_text().replace(kv.root().to_str().unwrap(), "");
    (ran.status().code(), ran.stdout_text(), stderr)
}

#[test]
fn a_pack_cannot_be_told_from_files() {
    let template = prepare();
    for story in STORIES {
        let (loose, packed) = (Sandbox::new(), Sandbox::new());
        for kv in [&loose, &packed] {
            crate::kills::renew(kv, &template);
        }
        pack(&packed);
        let etag = loose.field("etag", "color");
        assert_eq!(packed.field("etag", "color"), etag);
        for command in *story {
            let (mut want, mut found) = (
                carry_out(&loose, &etag, command),
                carry_out(&packed, &etag, command),
            );
            // Seconds go by between the two.
            if command.starts_with("ttl") {
                want.1 = want.1.replace("3599", "3600");
                found.1 = found.1.replace("3599", "3600");
            }
            if command.starts_with("ttl dated") {
                want.1.truncate(3);
                found.1.truncate(3);
            }
            assert_eq!(found, want, "{command} of {story:?}");
        }
        // What was done holds after the next collections, too.
        for kv in [&loose, &packed] {
            let want = ls(kv, &["--values"]);
            for _ in 0..2 {
                pack(kv);
                assert_eq!(ls(kv, &["--values"]), want, "{story:?}");
            }
        }
        assert_eq!(
            ls(&packed, &["--values"]),
            ls(&loose, &["--values"]),
            "{story:?}"
        );
    }
}

#[test]
fn a_batch_reads_and_writes_packed_entries() {
    let kv = prepare();
    pack(&kv);
    let commands = "get color\nput color red\nget color\nremove k0\nhas k0\nincr number\nls k1*\n";
    kv.feed(["batch"], commands.as_bytes())
        .ends(Exit::No)
        .prints("0 5\ngreen\n0 0\n\n0 3\nred\n0 0\n\n1 0\n\n0 3\n42\n\n0 3\nk1\n\n")
        .warns("");
}

#[test]
fn what_memo_remembers_is_replayed_from_a_pack() {
    let kv = Sandbox::new();
    let script = "kv memo --keep-failures --ttl 600w -- \
                  sh -c 'echo run >>runs; echo out; echo err >&2; exit 7'";
    let run = || {
        let ran = kv.shell("sh", script).prints("out\n").warns("err\n");
        assert_eq!(ran.status().code(), Some(7));
    };
    run();
    cool(&kv);
    gc(&kv);
    assert!(super::loose(&kv).is_empty(), "it was not moved into a pack");
    run();
    assert_eq!(std::fs::read_to_string(kv.path("runs")).unwrap(), "run\n");
}

#[test]
fn a_large_value_hides_a_packed_one_and_the_other_way_round() {
    let kv = Sandbox::new();
    let large = "x".repeat(20_000);
    kv.put("k", "small");
    pack(&kv);
    kv.put("k", &large);
    pack(&kv);
    kv.holds("k", &large);
    kv.put("k", "small again");
    pack(&kv);
    kv.holds("k", "small again");
    kv.put("k", &large);
    kv.run(["remove", "k"]).ends(Exit::Success).is_silent();
    for _ in 0..2 {
        kv.lacks("k");
        pack(&kv);
    }
}
