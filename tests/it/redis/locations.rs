//! Where a store is, and what is said when it cannot be reached.

use kv::exit::Exit;

use super::cases::On;
use super::servers::{Server, cluster, free_port};
use crate::harness::{Ran, Sandbox, cannot_run, has_program};
use crate::process::Started;

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
            let ran = on.run_within("1ms", args).ends(Exit::Failure);
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
    Ran::of(&mut with).ends(Exit::Success).is_silent();
    let mut wrong = on.command(&["get", "k"]);
    wrong.env("KV_PASSWORD", "hash");
    let ran = Ran::of(&mut wrong)
        .ends(Exit::Failure)
        .complains(&["WRONGPASS"]);
    assert!(!ran.stderr_text().contains("hash"));
    on.run(&["get", "k"])
        .ends(Exit::Failure)
        .complains(&["NOAUTH", "KV_PASSWORD"]);
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

/// Makes a certificate of an authority of the test's own, and one for this machine that it signs.
pub const CERTIFICATES: &str = "set -e
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost 2>/dev/null
echo subjectAltName=IP:127.0.0.1,DNS:localhost >extensions
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
    -extfile extensions -out cert.pem 2>/dev/null";

#[test]
fn tls_is_spoken_with_whom_an_authority_vouches_for() {
    let kv = Sandbox::new();
    if !has_program("openssl") {
        return cannot_run("openssl is not installed");
    }
    kv.shell("sh", CERTIFICATES).ends(Exit::Success);
    let path = |name: &str| kv.path(name).to_str().unwrap().to_owned();
    let tls_port = free_port();
    let Some(_server) = Server::start(&[
        "--tls-port",
        &tls_port.to_string(),
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-ca-cert-file",
        &path("ca.pem"),
        "--tls-auth-clients",
        "no",
    ]) else {
        return;
    };
    let on = On::new(format!("rediss://localhost:{tls_port}"));
    let run = |args: &[&str], authority: &str| {
        let mut command = on.command(args);
        command.env("SSL_CERT_FILE", path(authority));
        command.env("KV_BUSY_TIMEOUT", "2s");
        Ran::of(&mut command)
    };
    run(&["put", "k", "v"], "ca.pem")
        .ends(Exit::Success)
        .is_silent();
    run(&["get", "k"], "ca.pem").ends(Exit::Success).prints("v");
    run(&["push", "jobs", "element"], "ca.pem").ends(Exit::Success);
    let popped = run(&["pop", "jobs", "--wait", "1s"], "ca.pem").ends(Exit::Success);
    popped.prints("element");
    // The server's own certificate is no authority.
    kv.shell(
        "sh",
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out other.pem -subj /CN=o",
    )
    .ends(Exit::Success);
    let refused = run(&["get", "k"], "other.pem")
        .ends(Exit::Failure)
        .prints("");
    refused.complains(&["cannot reach `rediss://localhost", "set SSL_CERT_FILE to"]);
    // What will be no better the next time is told at once.
    kv.shell("sh", "echo junk >junk.pem").ends(Exit::Success);
    for (authority, why) in [
        ("none.pem", "No such file"),
        ("junk.pem", "no certificate in"),
    ] {
        let mut get = on.command(&["get", "k", "--busy-timeout", "10m"]);
        get.env("SSL_CERT_FILE", path(authority));
        // Those in a directory do not make up for it.
        get.env("SSL_CERT_DIR", "/etc/ssl/certs");
        let told = [authority, "SSL_CERT_FILE", why];
        let ran = Started::new(get).end();
        ran.ends(Exit::Failure).complains(&told);
    }
    let mut get = on.command(&["get", "k", "--busy-timeout", "10m"]);
    get.env("SSL_CERT_FILE", path("other.pem"));
    Started::new(get).end().ends(Exit::Failure);
}

#[test]
fn a_server_in_the_place_of_a_sentinel_is_told() {
    let Some(server) = super::servers::server() else {
        return;
    };
    let store = format!("redis+sentinel://127.0.0.1:{}/main", server.port);
    On::new(store)
        .run_within("10ms", &["get", "k"])
        .ends(Exit::Failure)
        .complains(&["it is no sentinel", "`redis://`"]);
}
