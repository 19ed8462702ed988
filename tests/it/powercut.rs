//! Power cuts, for real: file systems that are shut down under a load of commands, and mounted again.
//!
//! What was acknowledged is recorded outside of them. A few rounds are made here; `tests/powercut
//! ROUNDS` makes more, by `KV_TEST_ROUNDS`. What a drive with a cache of its own may lose beyond that
//! is what [`crate::crash`] builds.

mod disk;
mod list;
mod load;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use self::disk::{Cut, Disk};
use self::load::{Hand, Held, Known, Ledger, collect};
use crate::dice::Dice;
use crate::harness::{KV, Ran, Sandbox, cannot_run, tell_count, until};
use crate::kills::can_inject;

/// How many rounds there are unless somebody says another number.
const ROUNDS: u64 = 4;
/// A store goes through so many power cuts before the next one begins.
const CUTS_OF_A_STORE: u64 = 3;
const HANDS: usize = 3;

fn rounds() -> u64 {
    let said = std::env::var("KV_TEST_ROUNDS").ok();
    said.map_or(ROUNDS, |said| said.parse().expect("KV_TEST_ROUNDS"))
}

/// A store on a disk whose power is cut, and what is known of it.
struct Trial<'a> {
    kv: &'a Sandbox,
    disk: &'a Disk,
    sync: &'static str,
    store: PathBuf,
    ledger: Ledger,
    dice: Dice,
    acknowledged: AtomicUsize,
}

impl<'a> Trial<'a> {
    fn new(kv: &'a Sandbox, disk: &'a Disk, sync: &'static str) -> Self {
        // Another load each time: what happens when is another thing in any case.
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Self {
            kv,
            disk,
            sync,
            store: PathBuf::new(),
            ledger: Ledger::new(),
            dice: Dice(seed.as_secs()),
            acknowledged: AtomicUsize::new(0),
        }
    }

    fn begin(&mut self, round: u64) {
        _ = fs::remove_dir_all(&self.store);
        self.store = self.disk.dir().join(format!("store-{round}"));
        self.ledger.clear();
    }

    /// Cuts the power under a load.
    fn cut(&mut self) {
        let is_over = AtomicBool::new(false);
        let after = Duration::from_millis(5 + self.dice.roll(400));
        let cut = match self.dice.roll(2) {
            0 => Cut::Plain,
            _ => Cut::JournalFirst,
        };
        let mut hands = Vec::new();
        for number in 0..=HANDS {
            let prefix = format!("{number}:");
            let of_hand = |(key, _): &(&String, &Known)| key.starts_with(&prefix);
            let ledger = self.ledger.iter().filter(of_hand);
            hands.push(Hand {
                kv: self.kv,
                store: &self.store,
                sync: self.sync,
                number,
                dice: Dice(self.dice.roll(u64::from(u32::MAX))),
                ledger: ledger.map(|(k, v)| (k.clone(), v.clone())).collect(),
                count: &self.acknowledged,
                is_over: &is_over,
            });
        }
        let ledger = thread::scope(|scope| {
            let collector = hands.pop().unwrap();
            let collector = scope.spawn(move || collect(collector));
            let working: Vec<_> = hands
                .into_iter()
                .map(|hand| scope.spawn(move || hand.work()))
                .collect();
            thread::sleep(after);
            self.disk.cut(cut);
            is_over.store(true, Ordering::Relaxed);
            collector.join().unwrap();
            let known = working.into_iter().map(|hand| hand.join().unwrap());
            known.flatten().collect()
        });
        self.ledger = ledger;
        self.disk.restart();
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.kv.kv(args);
        command.env("KV_STORE", &self.store);
        Ran::of(&mut command)
    }

    /// Lists all that there is.
    #[track_caller]
    fn list(&self) -> BTreeMap<String, String> {
        let ran = self.run(&["ls", "--values"]).ends(Exit::Success).warns("");
        pairs(&ran)
    }

    /// Demands what is promised, and goes on from what is there.
    #[track_caller]
    fn judge(&mut self) {
        let listed = self.list();
        if let Some(strange) = listed.keys().find(|key| !self.ledger.contains_key(*key)) {
            panic!("nobody has ever written {strange}");
        }
        for (key, known) in &self.ledger {
            let held = listed.get(key).cloned();
            assert!(known.allows(&held), "{key} is {held:?}: {known:?}");
        }
        self.gets_what_is_listed(&listed);
        let ran = self.run(&["fsck"]).ends(Exit::Success).warns("");
        let told = ran.stdout_text();
        assert!(!told.contains("damage: "), "{told}");

        self.run(&["gc"]).ends(Exit::Success).is_silent();
        assert!(self.list() == listed, "gc has changed what is there");
        let probe = ["put", "0:probe", "0:probe=1"];
        self.run(&probe).ends(Exit::Success).is_silent();
        let ran = self.run(&["get", "0:probe"]).ends(Exit::Success);
        ran.prints("0:probe=1");
        self.run(&["remove", "0:probe"]).ends(Exit::Success);

        for (key, known) in &mut self.ledger {
            known.acknowledged = listed.get(key).cloned();
            known.pending.clear();
        }
    }

    /// A look-up takes another way than a listing.
    #[track_caller]
    fn gets_what_is_listed(&self, listed: &BTreeMap<String, String>) {
        let is_asked = |key: &&String| !key.contains("bulk") || key.ends_with('7');
        let keys: Vec<_> = self.ledger.keys().filter(is_asked).collect();
        for (key, held) in keys.iter().zip(self.get_each(&keys)) {
            assert_eq!(held, Ok(listed.get(*key).cloned()), "{key}");
        }
    }

    /// Gets keys one by one, in one process; of each its value, or the status of its failure.
    fn get_each(&self, keys: &[&String]) -> Vec<Result<Held, i32>> {
        let lines: String = keys.iter().map(|key| format!("get {key}\n")).collect();
        let mut command = self.kv.kv(["batch"]);
        command.env("KV_STORE", &self.store);
        let ran = Ran::fed(&mut command, lines.as_bytes());
        let mut rest = ran.stdout();
        let mut answers = Vec::new();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8(rest[..end].to_vec()).unwrap();
            let (status, len) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let len: usize = len.parse().unwrap();
            let value = String::from_utf8(rest[end + 1..][..len].to_vec());
            rest = &rest[end + 1 + len + 1..];
            answers.push(match status {
                "0" => Ok(Some(value.unwrap())),
                "1" => Ok(None),
                status => Err(status.parse().unwrap()),
            });
        }
        assert_eq!(answers.len(), keys.len(), "{}", ran.report());
        answers
    }
}

fn pairs(ran: &Ran) -> BTreeMap<String, String> {
    let text = ran.stdout_text();
    let pairs = text.lines().map(|line| line.split_once('\t').unwrap());
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[track_caller]
fn nothing_acknowledged_is_lost(kind: &'static str) {
    let kv = Sandbox::new();
    let Some(disk) = Disk::new(&kv, kind) else {
        return;
    };
    let mut trial = Trial::new(&kv, &disk, "full");
    let rounds = rounds();
    for round in 0..rounds {
        if round % CUTS_OF_A_STORE == 0 {
            trial.begin(round);
        }
        trial.cut();
        trial.judge();
    }
    let acknowledged = trial.acknowledged.into_inner();
    assert!(acknowledged > 0, "nothing was acknowledged");
    tell_count(&format!(
        "{rounds} power cuts on {kind}, {acknowledged} acknowledged changes of keys, none lost"
    ));
}

#[test]
fn on_ext4_nothing_acknowledged_is_lost() {
    nothing_acknowledged_is_lost("ext4");
}

#[test]
fn on_xfs_nothing_acknowledged_is_lost() {
    nothing_acknowledged_is_lost("xfs");
}

/// What became of keys that were written without a sync.
#[derive(Debug, Default)]
struct Losses {
    kept: usize,
    lost: usize,
    older: usize,
    back: usize,
    damaged: usize,
}

impl Losses {
    /// Takes in what is read of a key: never what it has never held.
    #[track_caller]
    fn add(&mut self, key: &str, known: &Known, held: &Result<Held, i32>) {
        match held {
            Ok(held) if known.allows(held) => self.kept += 1,
            Ok(None) => self.lost += 1,
            Ok(held) => {
                assert!(known.ever.contains(held), "{key} is {held:?}: {known:?}");
                match known.acknowledged {
                    Some(_) => self.older += 1,
                    None => self.back += 1,
                }
            }
            Err(4) => self.damaged += 1,
            Err(status) => panic!("{key}: {status}"),
        }
    }
}

/// Without syncs keys get lost, or damaged; what is damaged is told, and repaired.
#[track_caller]
fn without_syncs_losses_are_told(kind: &'static str) {
    let kv = Sandbox::new();
    let Some(disk) = Disk::new(&kv, kind) else {
        return;
    };
    let mut trial = Trial::new(&kv, &disk, "off");
    let (mut losses, rounds) = (Losses::default(), rounds());
    for round in 0..rounds {
        trial.begin(round);
        trial.cut();
        let keys: Vec<_> = trial.ledger.keys().collect();
        let held = trial.get_each(&keys);
        for (key, held) in keys.iter().zip(&held) {
            losses.add(key, &trial.ledger[*key], held);
        }
        let is_damaged = held.iter().any(Result::is_err);
        let ran = trial.run(&["fsck"]);
        let finds = ran.status().code() == Some(4);
        assert!(finds || ran.status().success(), "{}", ran.report());
        assert!(finds || !is_damaged, "{}", ran.report());
        trial.run(&["fsck", "--repair"]).ends(Exit::Success);
        let repaired = trial.get_each(&keys);
        for ((key, before), after) in keys.iter().zip(&held).zip(&repaired) {
            let is_same = before == after || (before.is_err() && *after == Ok(None));
            assert!(is_same, "{key}: {before:?}, and repaired {after:?}");
        }
        trial.run(&["gc"]).ends(Exit::Success).is_silent();
    }
    let Losses {
        kept,
        lost,
        older,
        back,
        damaged,
    } = losses;
    assert!(
        trial.acknowledged.into_inner() > 0,
        "nothing was acknowledged"
    );
    tell_count(&format!(
        "{rounds} power cuts on {kind} with sync off: of what was acknowledged of keys {kept} held, \
         {lost} were lost, {older} older, {back} back, {damaged} damaged and told"
    ));
}

#[test]
fn on_ext4_without_syncs_losses_are_told() {
    without_syncs_losses_are_told("ext4");
}

#[test]
fn on_xfs_without_syncs_losses_are_told() {
    without_syncs_losses_are_told("xfs");
}

/// The disk of these tests does lose what nobody has synced: otherwise they show nothing.
#[test]
fn the_disk_forgets() {
    for kind in ["ext4", "xfs"] {
        let kv = Sandbox::new();
        let Some(disk) = Disk::new(&kv, kind) else {
            return;
        };
        let write = |name: &str| -> Option<PathBuf> {
            let path: &Path = &disk.dir().join(name);
            fs::write(path, "bytes").ok()?;
            Some(path.to_owned())
        };
        let (synced, forgotten) = (write("synced").unwrap(), disk.dir().join("forgotten"));
        fs::File::open(&synced).unwrap().sync_all().unwrap();
        write("forgotten").unwrap();
        disk.cut(Cut::Plain);
        assert_eq!(write("dead"), None);
        disk.restart();
        assert_eq!(fs::read(synced).unwrap(), b"bytes");
        assert!(!forgotten.exists(), "{kind}");
    }
}

/// XFS says of a directory that it is synced when the file system has gone down before that.
#[test]
fn a_sync_on_a_dead_disk_is_not_believed() {
    if !can_inject() {
        return cannot_run("strace, which makes system calls slow, does not work here");
    }
    for kind in ["ext4", "xfs"] {
        for args in [&["remove", "key"][..], &["put", "key", "new"]] {
            let kv = Sandbox::new();
            let Some(disk) = Disk::new(&kv, kind) else {
                return;
            };
            let store = disk.dir().join("store");
            let run = |args: &[&str]| Ran::of(kv.kv(args).env("KV_STORE", &store));
            run(&["put", "key", "old"]).ends(Exit::Success);
            let file = kv.file_of(b"key");
            let file = store.join(file.strip_prefix(kv.store()).unwrap());
            let old = fs::read(&file).unwrap();

            let mut slow = Command::new("strace");
            slow.args(["-q", "-o", "/dev/null", "-e", "trace=fsync"])
                .args(["-e", "inject=fsync:delay_enter=500000", KV])
                .args(args)
                .env_clear()
                .env("KV_STORE", &store);
            let mut slow = slow.stderr(Stdio::null()).spawn().unwrap();
            until("it is removed, or replaced", || {
                fs::read(&file).ok() != Some(old.clone())
            });
            disk.cut(Cut::Plain);
            let is_done = slow.wait().unwrap().success();
            disk.restart();
            let held = run(&["get", "key"]);
            let is_old = held.status().success() && held.stdout() == b"old";
            assert!(
                !is_done || !is_old,
                "{kind}: {args:?} is acknowledged and lost"
            );
        }
    }
}
