//! Writes that are cut short by the kernel: files may not grow beyond a limit, wherever that comes.

use std::process::{Command, Stdio};

use super::contents::{image, litter};
use super::scenario::*;
use crate::harness::{KV, Ran, Sandbox, tell_count};
use crate::kills::renew;

/// Where files end, in units of 512 bytes, as sh counts.
const LIMITS: [u32; 12] = [0, 1, 2, 3, 5, 8, 16, 32, 64, 79, 128, 600];

/// Runs a command whose files may not grow beyond so many blocks. A write that reaches the limit is
/// a short one, and the next fails.
fn limited(kv: &Sandbox, scenario: &Scenario, limit: u32) -> Ran {
    let script = format!("ulimit -f {limit}; exec timeout 60 \"$0\" \"$@\"");
    let mut command = Command::new("dash");
    command
        .args(["-c", &script, KV])
        .args(scenario.args)
        .current_dir(kv.root())
        .env_clear()
        .env("HOME", kv.root())
        .env("PATH", "/usr/bin:/bin")
        .env("KV_STORE", kv.store())
        .stdin(Stdio::null());
    match &*scenario.input {
        [] => Ran::of(&mut command),
        input => Ran::fed(&mut command, input),
    }
}

#[test]
fn files_that_may_not_grow() {
    if !crate::harness::has_program("dash") {
        return crate::harness::cannot_run("there is no dash, whose ulimit counts 512 bytes");
    }
    let scenarios = [
        Scenario::new(nothing, &["put", "key", "new"]),
        Scenario::fed(loose, &["put", "key"], large_value()),
        Scenario::new(large, &["append", "key", "more"]),
        Scenario::new(packed, &["remove", "key"]),
        Scenario::fed(bulk, &["import"], with_a_large_one()),
        Scenario::fed(bulk, &["remove", "--stdin"], names()),
        Scenario::new(to_collect, &["gc"]),
        Scenario::new(bulk, &["gc"]),
    ];
    let (mut done, mut failed) = (0, 0);
    for scenario in &scenarios {
        let template = Sandbox::in_memory();
        (scenario.prepare)(&template);
        let kv = Sandbox::in_memory();
        renew(&kv, &template);
        let old = image(&kv).unwrap();
        let ran = limited(&kv, scenario, 1 << 20);
        assert!(ran.status().success(), "{}", ran.report());
        let new = image(&kv).unwrap();
        for limit in LIMITS {
            renew(&kv, &template);
            let ran = limited(&kv, scenario, limit);
            let now = image(&kv).unwrap_or_else(|_| panic!("{limit}: {}", ran.report()));
            match ran.status().code() {
                Some(0) => {
                    assert!(now == new, "{limit}: {}", ran.report());
                    done += 1;
                }
                Some(5) => {
                    let text = ran.stderr_text();
                    assert!(
                        text.starts_with("kv: ") && text.lines().count() == 1,
                        "{limit}: {}",
                        ran.report()
                    );
                    assert_eq!(litter(&kv), [""; 0], "{limit}: {}", ran.report());
                    failed += 1;
                }
                _ => panic!("{limit}: {}", ran.report()),
            }
            for (key, held) in &now {
                let is_one = Some(held) == old.get(key) || Some(held) == new.get(key);
                assert!(is_one, "{limit}: {key:?} holds {held:?}: {}", ran.report());
            }
            let is_kept = |key| now.contains_key(key) || !new.contains_key(key);
            assert!(old.keys().all(is_kept), "{limit}: {}", ran.report());
            let next = kv.run(["put", "key", "next"]);
            assert!(next.status().success(), "{limit}: {}", next.report());
            kv.holds("key", "next");
        }
    }
    assert!(done > 0 && failed > 0);
    tell_count(&format!("{done} runs below the limit, {failed} failed"));
}
