//! Where a store is, and what is said when it cannot be reached.

use kv::exit::Exit;

use super::cases::On;
use super::servers::{Server, cluster};
use crate::harness::Sandbox;

#[test]
fn a_server_that_is_not_there_is_named() {
    let kv = Sandbox::new();
    let args = [
        "--store",
        "redis://127.0.0.1:1",
        "--busy-timeout",
        "200ms",
        "get",
        "k",
    ];
    let ran = kv.run(args).ends(Exit::Failure).prints("");
    ran.complains(&["cannot reach `redis://127.0.0.1:1`", "refused"]);
}

#[test]
fn a_password_is_not_taken_from_an_argument_and_never_shown() {
    let kv = Sandbox::new();
    for secret in ["redis://me:hush@127.0.0.1:1", "rediss://:hush@127.0.0.1:1"] {
        for args in [
            vec!["--store", secret, "get", "k"],
            vec!["get", "k", "--store", secret],
        ] {
            let ran = kv.run(&args).ends(Exit::Usage).complains(&["KV_PASSWORD"]);
            assert!(!ran.stderr_text().contains("hush"), "{}", ran.report());
        }
        let on = On::new(secret.to_owned());
        for args in [&["get", "k"][..], &["info"]] {
            let mut command = on.command(args);
            command.env("KV_BUSY_TIMEOUT", "1ms");
            let ran = crate::harness::Ran::of(&mut command).ends(Exit::Failure);
            assert!(
                !ran.report()
                    .split("--- stdout")
                    .nth(1)
                    .unwrap()
                    .contains("hush")
            );
            ran.complains(&["***"]);
        }
    }
}

#[test]
fn a_password_opens_the_store() {
    let Some(server) = Server::start(&["--requirepass", "hush"]) else {
        return;
    };
    let on = On::new(server.store());
    let mut with = on.command(&["put", "k", "v"]);
    with.env("KV_PASSWORD", "hush");
    crate::harness::Ran::of(&mut with)
        .ends(Exit::Success)
        .is_silent();
    let mut wrong = on.command(&["get", "k"]);
    wrong.env("KV_PASSWORD", "hash");
    let ran = crate::harness::Ran::of(&mut wrong)
        .ends(Exit::Failure)
        .complains(&["WRONGPASS"]);
    assert!(!ran.stderr_text().contains("hash"));
    on.run(&["get", "k"])
        .ends(Exit::Failure)
        .complains(&["NOAUTH"]);
    let inside = On::new(on.store.replace("//", "//:hush@"));
    inside.holds("k", "v");
    let info = inside.run(&["info"]).ends(Exit::Success).stdout_text();
    assert!(info.contains("engine: redis") && info.contains(":***@") && !info.contains("hush"));
}

#[test]
fn a_cluster_has_no_databases() {
    let Some(cluster) = cluster() else {
        return;
    };
    let on = On::new(format!("redis://127.0.0.1:{}/3", cluster.nodes[0].port));
    let ran = on.run(&["get", "k"]).ends(Exit::Failure).prints("");
    ran.complains(&["database"]);
}
