//! Locks: a lease, its token, and who takes it over.

use std::fs;

use kv::exit::Exit;

use super::cases::{On, each};
use super::servers::{Server, server};
use crate::harness::{KV, path_with_kv, until};
use crate::process::Started;

#[test]
fn one_runs_at_a_time_and_tokens_grow() {
    for (_, on) in each() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let script =
                        "test ! -e held && touch held && echo $KV_LOCK_TOKEN >>tokens && rm held";
                    for _ in 0..5 {
                        on.run(&["lock", "job", "--", "sh", "-c", script])
                            .ends(Exit::Success)
                            .is_silent();
                    }
                });
            }
        });
        let tokens = fs::read_to_string(on.kv.path("tokens")).unwrap();
        let tokens: Vec<u64> = tokens.lines().map(|line| line.parse().unwrap()).collect();
        assert!(
            tokens.len() == 20 && tokens.is_sorted_by(|a, b| a < b),
            "{tokens:?}"
        );
        on.run(&["lock", "--show", "job"])
            .ends(Exit::No)
            .is_silent();
    }
}

#[test]
fn a_holder_is_named_and_shares_with_those_who_share() {
    let Some(server) = server() else {
        return;
    };
    let on = On::new(server.store());
    let inner = format!(
        "{KV} lock --show job && {KV} lock --shared --no-wait job -- true || exit 9
        {KV} lock --no-wait job -- true; test $? = 124"
    );
    let ran = on
        .run(&["lock", "--shared", "job", "--", "sh", "-c", &inner])
        .ends(Exit::Success);
    let text = ran.stdout_text();
    assert!(
        text.contains("pid: ") && text.contains("shared: yes"),
        "{text}"
    );
}

#[test]
fn a_lock_whose_holder_is_gone_is_free_after_its_lease() {
    let Some(server) = server() else {
        return;
    };
    let on = On::new(server.store());
    let mut holder = on
        .command(&["lock", "job", "--", "sleep", "60"])
        .spawn()
        .unwrap();
    until("it is held", || {
        on.run(&["lock", "--show", "job"])
            .stdout()
            .starts_with(b"pid: ")
    });
    // As if its machine had died: nothing is given back.
    holder.kill().unwrap();
    holder.wait().unwrap();
    on.run(&["lock", "--no-wait", "job", "--", "true"])
        .ends(Exit::Program(124))
        .is_silent();
    on.run(&["lock", "--wait", "60s", "job", "--", "echo", "mine"])
        .ends(Exit::Success)
        .prints("mine\n");
}

/// A server that has forgotten a lock is a loss that is told at once, and ends the program.
#[test]
fn a_lock_that_the_server_has_forgotten_is_lost() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let on = On::new(server.store());
    let script = "echo >held; until [ -e go ]; do sleep 0.01; done; echo >done";
    let lock = |options: &[&str]| {
        _ = fs::remove_file(on.kv.path("held"));
        let args = [&["lock", "job"], options, &["--", "sh", "-c", script]].concat();
        let mut command = on.command(&args);
        command.env("PATH", path_with_kv());
        let holder = Started::new(command);
        until("it is held", || on.kv.path("held").exists());
        server.cli(&["FLUSHALL"]);
        holder
    };
    let lost = lock(&[]).end().ends(Exit::Program(125)).prints("");
    lost.complains(&["lock `job` was lost"]);
    assert!(!on.kv.path("done").exists());
    let holder = lock(&["--on-loss", "ignore"]);
    fs::write(on.kv.path("go"), "").unwrap();
    let lost = holder.end().ends(Exit::Program(125)).prints("");
    lost.complains(&["lock `job` was lost"]);
    assert!(on.kv.path("done").exists());
}

/// Who is cut off learns it from its own clock.
#[test]
fn who_is_cut_off_for_as_long_as_a_lock_lasts_is_told() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let on = On::new(server.store());
    let args = [
        "lock",
        "job",
        "--",
        "sh",
        "-c",
        "echo >held; exec sleep 600",
    ];
    let mut command = on.command(&args);
    command.env("PATH", path_with_kv());
    let holder = Started::new(command);
    until("it is held", || on.kv.path("held").exists());
    drop(server);
    let lost = holder.end().ends(Exit::Program(125)).prints("");
    lost.complains(&["lock `job` was lost"]);
}
