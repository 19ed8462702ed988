//! Who waits for a key, or for an element of a list, is woken when a pack brings or takes it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, can_trace, until};
use crate::pack_bulk::{filler, import};
use crate::process::Started;

/// A command that waits, under strace(1), which tells whether it was woken or only looked again.
struct Waiter {
    started: Started,
    trace: PathBuf,
}

impl Waiter {
    fn new(kv: &Sandbox, args: &[&str]) -> Self {
        let trace = kv.path("trace");
        _ = fs::remove_file(&trace);
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-e", "trace=poll,ppoll", "-o"]);
        strace.arg(&trace).arg(KV).args(args);
        strace
            .current_dir(kv.root())
            .env_clear()
            .env("KV_STORE", kv.store());
        let started = Started::new(strace);
        let waiter = Self { started, trace };
        until("it waits", || waiter.polls().contains("ppoll(["));
        waiter
    }

    fn polls(&self) -> String {
        fs::read_to_string(&self.trace).unwrap_or_default()
    }

    #[track_caller]
    fn still_waits(&mut self) {
        assert!(self.started.is_running(), "{}", self.polls());
    }

    /// Demands that it ends, and not because it looked again after some seconds.
    #[track_caller]
    fn wakes(self) -> Ran {
        let trace = self.trace.clone();
        let ran = self.started.end();
        let polls = fs::read_to_string(trace).unwrap();
        let last = polls.lines().rfind(|line| line.contains("ppoll("));
        assert!(
            last.is_some_and(|last| !last.contains("Timeout")),
            "{polls}"
        );
        ran.ends(Exit::Success).warns("")
    }
}

const LINE: &str = "{\"key\":\"k\",\"value\":\"v\"}\n";

/// Makes a store in which the directory of the key's shard is there already, so that nothing above
/// it changes; with packs or without.
fn store(has_packs: bool) -> Sandbox {
    let kv = Sandbox::new();
    kv.put("k", "v");
    if has_packs {
        import(&kv, &[], "");
    }
    kv.run(["remove", "k"]).ends(Exit::Success);
    kv
}

#[test]
fn an_import_wakes_who_waits_for_a_key() {
    if !can_trace() {
        return;
    }
    for has_packs in [false, true] {
        let kv = store(has_packs);
        let mut waiter = Waiter::new(&kv, &["wait", "k"]);
        import(&kv, &[], "");
        waiter.still_waits();
        import(&kv, &[], LINE);
        waiter.wakes().prints("");
    }
    // Where nothing is there yet, everything above has to be watched first.
    let kv = Sandbox::new();
    let waiter = Waiter::new(&kv, &["wait", "k"]);
    import(&kv, &[], LINE);
    waiter.wakes().prints("");
}

#[test]
fn a_bulk_removal_wakes_who_waits_for_the_end() {
    if !can_trace() {
        return;
    }
    for is_packed in [false, true] {
        let kv = Sandbox::new();
        import(&kv, &[], LINE);
        if !is_packed {
            kv.put("k", "v");
        }
        let mut waiter = Waiter::new(&kv, &["wait", "k", "--gone"]);
        import(&kv, &[], LINE);
        kv.run(["gc"]).ends(Exit::Success);
        waiter.still_waits();
        let keys: String = (0..1_001).map(|n| format!("filler {n}\n")).collect();
        kv.feed(["remove", "--stdin"], (keys + "k\n").as_bytes())
            .ends(Exit::Success);
        waiter.wakes().prints("");
    }
    let kv = Sandbox::new();
    import(&kv, &[], LINE);
    let waiter = Waiter::new(&kv, &["wait", "k", "--gone"]);
    import(&kv, &["--replace"], "");
    waiter.wakes().prints("");
}

#[test]
fn an_import_is_a_change_and_folding_is_none() {
    if !can_trace() {
        return;
    }
    for has_packs in [false, true] {
        let kv = store(has_packs);
        kv.put("k", "v");
        let etag = kv.field("etag", "k");
        let mut waiter = Waiter::new(&kv, &["wait", "k", "--changed", &etag]);
        let mut gone = Started::new(kv.kv(["wait", "k", "--gone"]));
        kv.run(["gc"]).ends(Exit::Success);
        assert!(!kv.file_of(b"k").exists());
        import(&kv, &[], "");
        kv.run(["gc"]).ends(Exit::Success);
        waiter.still_waits();
        assert!(gone.is_running());
        import(&kv, &[], LINE);
        waiter.wakes().prints("");
        assert!(gone.is_running());
        kv.run(["remove", "k"]).ends(Exit::Success);
        gone.end().ends(Exit::Success).is_silent();
    }
}

#[test]
fn an_imported_list_wakes_who_pops() {
    if !can_trace() {
        return;
    }
    let pop = ["pop", "jobs", "--wait", "10m"];
    let elements: String = (1..1_500).map(|n| format!("{n:020}\tjob {n}\n")).collect();
    let import = |kv: &Sandbox| {
        let args = ["-n", "jobs", "import", "--tsv", "--sync", "off"];
        kv.feed(args, elements.as_bytes()).ends(Exit::Success);
    };
    // Where there is no list yet, where it is empty, and where it was emptied after an import.
    let kv = Sandbox::new();
    let waiter = Waiter::new(&kv, &pop);
    import(&kv);
    waiter.wakes().prints("job 1");
    for _ in 0..2 {
        kv.run(["-n", "jobs", "remove", "--glob", "*"])
            .ends(Exit::Success);
        let waiter = Waiter::new(&kv, &pop);
        import(&kv);
        waiter.wakes().prints("job 1");
        kv.run(["pop", "jobs", "--last"])
            .ends(Exit::Success)
            .prints("job 1499");
    }
    // Elements of other namespaces, however many, are nothing to it.
    kv.feed(["-n", "empty", "import"], filler("x").as_bytes())
        .ends(Exit::Success);
    kv.run(["pop", "empty", "--wait", "0"]).ends(Exit::No);
}
