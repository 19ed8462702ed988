//! What the README shows works as it is shown.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, cannot_run, has_program, path_with_kv};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Returns the blocks of code in that language which stand in a part of the README.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let rest = text.split(&*fence).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Returns the part of the README below a heading of the third level.
fn recipe<'a>(readme: &'a str, title: &str) -> &'a str {
    let (_, rest) = readme
        .split_once(&format!("### {title}\n"))
        .unwrap_or_else(|| panic!("the README has no recipe {title:?}"));
    let next = |heading| rest.find(heading).unwrap_or(rest.len());
    &rest[..next("\n### ").min(next("\n## "))]
}

/// Returns the commands of a recipe.
pub fn script(title: &str) -> String {
    let script = blocks(recipe(&readme(), title), "sh").concat();
    assert!(!script.is_empty(), "{title:?} shows no script");
    script
}

/// Prepares a shell whose store is where a new user's is.
fn shell(kv: &Sandbox, shell: &str, script: &str) -> Command {
    let mut command = Command::new(shell);
    command.args(["-c", script]).current_dir(kv.root());
    command
        .env_clear()
        .env("HOME", kv.root())
        .env("PATH", path_with_kv())
        .stdin(Stdio::null());
    command
}

/// Returns what the README shows as typed and answered.
pub fn transcripts() -> Vec<String> {
    let readme = readme();
    let transcripts = blocks(&readme, "console");
    assert!(
        transcripts.len() >= 2,
        "the README has lost its transcripts"
    );
    transcripts.into_iter().map(str::to_owned).collect()
}

/// Returns a script that shows what a person at a terminal sees of a transcript: the command is echoed, and
/// a value that does not end in a newline gets one.
pub fn typed(transcript: &str) -> String {
    let show = |command: &str| {
        format!(
            "cat <<'SHOWN'\n$ {command}\nSHOWN\n{{ {command}\n}} > ../out\n\
             cat ../out; [ -z \"$(tail -c 1 ../out)\" ] || echo\n"
        )
    };
    let commands = transcript
        .lines()
        .filter_map(|line| line.strip_prefix("$ "));
    commands.map(show).collect()
}

#[test]
fn the_transcripts_run_as_printed() {
    for transcript in transcripts() {
        let kv = Sandbox::new();
        fs::create_dir(kv.path("here")).unwrap();
        let script = format!("cd here\n{}", typed(&transcript));
        Ran::of(&mut shell(&kv, "bash", &script))
            .ends(Exit::Success)
            .prints(transcript)
            .warns("");
    }
}

#[test]
fn a_cron_job_does_not_overlap() {
    let kv = Sandbox::new();
    fs::write(kv.path("job"), script("A cron job that must not overlap")).unwrap();
    Ran::of(&mut shell(&kv, "sh", "chmod +x job")).ends(Exit::Success);
    let mut first = shell(&kv, "sh", "exec ./job > first").spawn().unwrap();
    // While the first one works, another is turned away; who of the two comes first is all one.
    let began = Instant::now();
    while fs::read(kv.path("first")).unwrap_or_default().is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the job does not begin"
        );
        thread::sleep(Duration::from_millis(5));
    }
    Ran::of(&mut shell(&kv, "sh", "./job; echo $?"))
        .prints("124\n")
        .warns("");
    assert!(first.wait().unwrap().success());
    Ran::of(&mut shell(&kv, "sh", "./job"))
        .ends(Exit::Success)
        .prints("working\n");
}

#[test]
fn a_rate_limit_lets_five_through() {
    let kv = Sandbox::new();
    let script = format!("{}echo in", script("A rate limit"));
    let run = |user: &str| {
        let mut command = shell(&kv, "sh", &script);
        Ran::of(command.env("user", user)).status().code()
    };
    for _ in 0..5 {
        assert_eq!(run("ann"), Some(0));
    }
    assert_eq!((run("ann"), run("bob")), (Some(75), Some(0)));
}

#[test]
fn a_work_queue_gives_each_job_to_one_shell() {
    let kv = Sandbox::new();
    for n in 0..20 {
        fs::write(kv.path(&format!("file {n}.txt")), "text").unwrap();
    }
    let readme = readme();
    let parts = blocks(recipe(&readme, "A work queue over several shells"), "sh");
    let [producer, worker] = parts[..] else {
        panic!("{parts:?}");
    };
    Ran::of(&mut shell(&kv, "sh", producer)).ends(Exit::Success);
    let workers: Vec<_> = (0..4)
        .map(|_| shell(&kv, "sh", worker).spawn().unwrap())
        .collect();
    for mut worker in workers {
        // The loop ends with a `pop` that found nothing; `gzip` would have failed on a job of two.
        assert!(worker.wait().unwrap().success());
    }
    let left = Ran::of(&mut shell(
        &kv,
        "sh",
        "ls *.txt.gz | wc -l; ls *.txt 2>/dev/null | wc -l",
    ));
    assert_eq!(
        left.stdout_text().split_whitespace().collect::<Vec<_>>(),
        ["20", "0"]
    );
}

#[test]
fn a_slow_command_runs_once() {
    let kv = Sandbox::new();
    let report = "#!/bin/sh\necho run >> runs\necho report\n";
    fs::write(kv.path("slow-report"), report).unwrap();
    let script = format!(
        "chmod +x slow-report\n{0}{0}{0}",
        script("A slow command, cached")
    );
    Ran::of(&mut shell(&kv, "sh", &script))
        .ends(Exit::Success)
        .prints("report\nreport\nreport\n");
    assert_eq!(fs::read_to_string(kv.path("runs")).unwrap(), "run\n");
}

#[test]
fn a_service_is_waited_for() {
    let kv = Sandbox::new();
    let waiter = shell(&kv, "sh", &script("Waiting for a service"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(50));
    Ran::of(&mut shell(&kv, "sh", "kv put db:ready port-5432")).ends(Exit::Success);
    let output = waiter.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"connected to port-5432\n");
}

#[test]
fn a_compare_and_swap_loses_nothing() {
    let kv = Sandbox::new();
    let script = script("A compare-and-swap");
    let all: Vec<_> = (0..5)
        .map(|_| shell(&kv, "sh", &script).spawn().unwrap())
        .collect();
    for mut one in all {
        assert!(one.wait().unwrap().success());
    }
    Ran::of(&mut shell(&kv, "sh", "kv get total")).prints("25\n");
}

#[test]
fn a_store_is_looked_after_in_silence() {
    let kv = Sandbox::new();
    let readme = readme();
    let recipe = recipe(&readme, "A store that stays small");
    let crontab = blocks(recipe, "crontab").concat();
    let [service, timer] = blocks(recipe, "ini")[..] else {
        panic!("there are a service and a timer: {recipe}");
    };
    // The man page shows the same.
    let shown = crate::manpage::source::Page::named("kv-gc").code("NOTES");
    assert_eq!(shown, [&crontab, service, timer].map(str::trim_end));

    let lines = crontab.lines().map(|line| {
        let fields: Vec<&str> = line.splitn(6, ' ').collect();
        fields[5].trim_start()
    });
    let exec = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/"));
    for run in [false, true] {
        if run {
            Ran::of(&mut shell(&kv, "sh", "kv put k v && kv -n cache put k v")).ends(Exit::Success);
        }
        for command in lines.clone().chain(exec) {
            assert!(command.starts_with("kv "), "{command}");
            Ran::of(&mut shell(&kv, "sh", command))
                .ends(Exit::Success)
                .is_silent();
        }
    }
    Ran::of(&mut shell(&kv, "sh", "kv get k && kv -n cache get k")).prints("vv");
    if !has_program("systemd-analyze") {
        return cannot_run("systemd-analyze, which checks units and times, is not here");
    }
    let unit = service.replace("/usr/bin/kv", crate::harness::KV);
    fs::write(kv.path("kv-gc.service"), unit).unwrap();
    fs::write(kv.path("kv-gc.timer"), timer).unwrap();
    let verify = "export XDG_RUNTIME_DIR=$PWD; \
                  systemd-analyze verify --user ./kv-gc.service ./kv-gc.timer";
    let ran = Ran::of(&mut shell(&kv, "sh", verify)).ends(Exit::Success);
    // What else it says is about other units of the machine.
    assert!(!ran.stderr_text().contains("kv-gc"), "{}", ran.report());
}

#[test]
fn a_backup_brings_everything_back() {
    let kv = Sandbox::new();
    let readme = readme();
    let parts = blocks(recipe(&readme, "A backup"), "sh");
    let [backup, restore] = parts[..] else {
        panic!("{parts:?}");
    };
    let fill =
        "kv put k v; kv put t w --ttl 1h; kv -n app put k x; printf '1\\n2' | kv push l --lines\n";
    let show = "kv export --all | sed 's/,\"etag.*//'\n";
    let before = Ran::of(&mut shell(&kv, "sh", &[fill, show].concat())).ends(Exit::Success);
    assert_eq!(before.stdout_text().lines().count(), 5);
    let lose = "kv namespaces | while read -r name; do kv namespaces --remove \"$name\"; done\nkv namespaces\n";
    let script = ["set -e\n", backup, lose, restore, show].concat();
    Ran::of(&mut shell(&kv, "sh", &script))
        .ends(Exit::Success)
        .prints(before.stdout())
        .warns("");
}

#[test]
fn many_commands_take_one_process() {
    if !has_program("bash") {
        return cannot_run("bash, which has coprocesses, is not here");
    }
    let kv = Sandbox::new();
    Ran::of(&mut shell(
        &kv,
        "bash",
        &script("Many commands, one process"),
    ))
    .ends(Exit::Success)
    .prints("green\nno shape\n")
    .warns("");
}

#[test]
fn the_recipe_for_outgrowing_one_machine_moves_a_store() {
    let Some(cluster) = crate::redis::servers::cluster() else {
        return;
    };
    let kv = Sandbox::new();
    let mut put = kv.kv(["put", "greeting", "hello"]);
    put.env_remove("KV_STORE");
    Ran::of(&mut put).ends(Exit::Success);
    let recipe = script("Outgrowing one machine");
    let moved = recipe.replace("redis://db1,db2,db3", &format!("'{}'", cluster.store()));
    assert_ne!(moved, recipe);
    let ran = Ran::of(&mut shell(&kv, "sh", &moved)).ends(Exit::Success);
    let told = ran.stdout_text();
    assert!(
        told.starts_with("engine: redis\n") && told.ends_with("hello"),
        "{told}"
    );
}
