//! `kv watch -- CMD`.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use crate::harness::{Sandbox, until};
use crate::process::{Started, pid_in, until_there};

const NOW: &[&str] = &["watch", "--now", "--timeout", "0"];

fn lines(kv: &Sandbox, file: &str) -> Vec<String> {
    let text = fs::read_to_string(kv.path(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
pub fn it_gets_the_key_the_event_the_etag_and_the_value() {
    let kv = Sandbox::new();
    kv.put("a b", "one");
    kv.put("c", "two");
    let script = r#"echo "$KV_EVENT|$KV_ETAG|$KV_KEY|$(cat)""#;
    let wanted = |key, value| format!("put|{}|{key}|{value}\n", kv.field("etag", key));
    let ran = crate::harness::Ran::of(&mut crate::process::scripted(&kv, NOW, script));
    ran.ends(Exit::Success)
        .prints(wanted("a b", "one") + &wanted("c", "two"));
    let listed = kv.run(["ls", "-l"]).ends(Exit::Success);
    fs::write(kv.path("seen"), listed.stdout()).unwrap();
    kv.run(["remove", "c"]).ends(Exit::Success);
    let since = ["watch", "--since", "seen", "--timeout", "0"];
    let ran = crate::harness::Ran::of(&mut crate::process::scripted(&kv, &since, script));
    ran.ends(Exit::Success).prints("gone|-|c|\n");
}

#[test]
pub fn it_need_not_read() {
    let kv = Sandbox::new();
    kv.feed(["put", "large"], &vec![b'x'; 1 << 20])
        .ends(Exit::Success);
    kv.put("small", "v");
    kv.run(NOW.iter().chain(&["--", "true"]))
        .ends(Exit::Program(0))
        .is_silent();
}

#[test]
pub fn its_status_ends_it_and_is_returned() {
    let kv = Sandbox::new();
    kv.run(NOW.iter().chain(&["--", "true"]))
        .ends(Exit::No)
        .is_silent();
    kv.put("a", "");
    kv.put("b", "");
    for (cmd, exit) in [
        ("echo $KV_KEY; exit 7", Exit::Program(7)),
        ("echo $KV_KEY; kill $$", Exit::Signal(15)),
    ] {
        kv.run(NOW.iter().chain(&["--", "sh", "-c", cmd]))
            .ends(exit)
            .prints("a\n");
    }
    kv.run(NOW.iter().chain(&["--", "no-such-program"]))
        .ends(Exit::Program(127))
        .complains(&["no-such-program"]);
}

#[test]
pub fn what_changes_meanwhile_is_one_run_more() {
    let kv = Sandbox::new();
    kv.put("k", "0");
    let script = r#"mkdir running || echo twice >> log; echo "$KV_KEY $(cat)" >> log
        touch begun; until [ -e go ]; do sleep 0.01; done; rmdir running"#;
    let watching = Started::script(&kv, &["watch", "--now"], script);
    until_there(&kv.path("begun"));
    for n in 1..=5 {
        kv.put("k", &n.to_string());
        kv.put("passing", "");
    }
    kv.run(["remove", "passing"]).ends(Exit::Success);
    kv.put("other", "v");
    thread::sleep(Duration::from_millis(100));
    fs::write(kv.path("go"), "").unwrap();
    until("it has run for both", || lines(&kv, "log").len() >= 3);
    kv.put("k", "6");
    until("it has run once more", || lines(&kv, "log").len() >= 4);
    assert_eq!(lines(&kv, "log"), ["k 0", "k 5", "other v", "k 6"]);
    watching.signal(Signal::SIGTERM);
    assert_eq!(watching.end().status().signal(), Some(15));
}

#[test]
pub fn a_signal_reaches_the_program_and_ends_both() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.put("l", "v");
    // Whatever the program makes of it.
    for (trap, log) in [("-", ""), ("'echo told >> log; exit 0'", "told")] {
        _ = fs::remove_file(kv.path("pid"));
        let script =
            format!("trap {trap} TERM; echo $$ > pid.; mv pid. pid; while :; do sleep 0.01; done");
        let watching = Started::script(&kv, &["watch", "--now"], &script);
        pid_in(&kv.path("pid"));
        watching.signal(Signal::SIGTERM);
        assert_eq!(watching.end().status().signal(), Some(15));
        assert_eq!(lines(&kv, "log").join("\n"), log);
    }
}
