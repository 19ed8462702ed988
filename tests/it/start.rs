//! What is done before a command begins: what the standard library would do for a program.

use std::fs;

use kv::exit::Exit;

use crate::harness::{Sandbox, cannot_run};

/// The standard descriptors of a shell, one a line, written to the file `seen`.
const LOOK: &str = "for n in 0 1 2; do readlink /proc/$$/fd/$n || echo closed; done | cat >seen";

#[test]
fn what_is_closed_is_dev_null() {
    if !std::path::Path::new("/proc/self/fd").exists() {
        return cannot_run("there is no /proc");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    for closed in 0..8 {
        let is_closed = |n: usize| closed >> n & 1 == 1;
        let redirect = ["0<&-", "1>&-", "2>&-"];
        let redirects: Vec<_> = (0..3)
            .filter(|n| is_closed(*n))
            .map(|n| redirect[n])
            .collect();
        let redirects = redirects.join(" ");
        kv.shell("sh", &format!("kv lock k -- sh -c '{LOOK}' {redirects}"))
            .ends(Exit::Success)
            .is_silent();
        let seen = fs::read_to_string(kv.path("seen")).unwrap();
        for (n, seen) in seen.lines().enumerate() {
            let is_null = seen == "/dev/null";
            // The sandbox has its standard input from there.
            assert_eq!(
                is_null,
                is_closed(n) || n == 0,
                "{redirects}: {n} is {seen}"
            );
        }
        assert_eq!(seen.lines().count(), 3, "{redirects}: {seen}");
        // A complaint is written into no file of the store.
        kv.shell("sh", &format!("kv get '' {redirects}"))
            .ends(Exit::Usage);
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
}

#[test]
fn words_are_taken_byte_for_byte() {
    let kv = Sandbox::new();
    let script =
        r#"k=$(printf 'a\377\nb'); kv put "$k" "$k" && kv get "$k" && kv put k "" && kv get k"#;
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints(b"a\xff\nb");
}
