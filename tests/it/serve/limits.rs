//! A system that gives few threads and few descriptors.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use kv::exit::Exit;
use rustix::process::Resource;

use super::bytes;
use super::client::Server;
use crate::harness::{Engine, Sandbox, names_in};
use crate::machine::Commons;
use crate::process::limit;

/// A service, or the line with which it ends for want of something.
fn serve(command: &mut Command, what: &str, count: usize) -> Result<Server, String> {
    let inner = format!("ulimit -{what} {count}; exec \"$0\" serve --listen 127.0.0.1:0");
    let mut shell = Command::new("bash");
    shell.args(["-c", &inner]).arg(command.get_program());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let mut probe = shell.stdin(Stdio::null()).stderr(Stdio::piped());
    if what == "u" {
        // A user that has no other process. Root is not limited.
        probe = probe.uid(54_321).gid(54_321);
    }
    Server::try_start(probe)
}

/// Demands one line that names a limit.
#[track_caller]
fn names_limit(said: &str, what: &str, count: usize) {
    let is_clear =
        said.starts_with("kv: cannot serve: ") && said.contains(&format!("ulimit -{what}"));
    assert!(
        is_clear && said.lines().count() == 1,
        "{what} {count}: {said}"
    );
}

#[test]
fn few_descriptors_are_enough_or_refused() {
    let kv = Sandbox::new();
    let (mut served, mut refused) = (0, 0);
    for count in [4, 6, 7, 8, 9, 12, 16, 20, 24, 30, 50] {
        let server = match serve(&mut kv.kv(["serve"]), "n", count) {
            Ok(server) => server,
            Err(said) => {
                names_limit(&said, "n", count);
                refused += 1;
                continue;
            }
        };
        served += 1;
        let value = bytes(200_000);
        thread::scope(|scope| {
            for n in 0..60 {
                let (server, value) = (&server, &value);
                scope.spawn(move || {
                    let answer = match n % 3 {
                        0 => server.ask(&format!("PUT /v1/default/k{n}"), &[CLOSE], value),
                        1 => server.ask(&format!("POST /v1/l{n}?op=push"), &[CLOSE], b"e"),
                        _ => server.ask("GET /v1/default?values=1", &[CLOSE], b""),
                    };
                    answer.done();
                });
            }
        });
        assert_eq!(server.stop(), "");
    }
    assert!(served > 0 && refused > 0, "{served} {refused}");
}

const CLOSE: &str = "Connection: close";

#[test]
fn few_threads_are_enough_or_refused() {
    let Some(commons) = Commons::new() else {
        return;
    };
    let store = commons.kv.store();
    std::fs::create_dir(&store).unwrap();
    std::os::unix::fs::chown(&store, Some(54_321), Some(54_321)).unwrap();
    let (mut served, mut refused) = (0, 0);
    let workers = thread::available_parallelism().unwrap().get();
    for count in 1..workers + 8 {
        let mut command = commons.kv_as((54_321, 54_321), ["serve"]);
        match serve(&mut command, "u", count) {
            Ok(server) => {
                served += 1;
                server.ask("PUT /v1/default/k", &[], b"v").done();
                server.ask("GET /v1/default", &[], b"").is(200);
                server.ask("POST /v1/q?op=pop&wait=1ms", &[], b"").is(404);
                assert_eq!(server.stop(), "");
            }
            Err(said) => {
                refused += 1;
                names_limit(&said, "u", count);
            }
        }
    }
    assert!(served > 0 && refused > 0, "{served} {refused}");
}

#[test]
fn a_service_without_a_descriptor_left_says_so() {
    for engine in [Engine::Tree, Engine::Sqlite] {
        let kv = Sandbox::on(engine);
        let value = bytes(200_000);
        let server = Server::of(&kv, &[]);
        server.ask("PUT /v1/default/k", &[], &value).is(201);
        let mut client = server.connect();
        client.ask("GET /healthz", &[], b"").is(200);
        // What is open for a moment only is none of them.
        let all = || names_in(Path::new(&format!("/proc/{}/fd", server.pid())));
        let mut open = all();
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let still = all();
            open.retain(|fd| still.contains(fd));
        }
        // A limit is one of numbers: whatever is free below it can still be had.
        let free = (0..).find(|n: &u64| !open.contains(&n.to_string()));
        let free = free.unwrap();
        let mut refused = 0;
        for spare in 0..6 {
            limit(server.pid(), Resource::Nofile, free + spare, Some(1_000));
            for request in [
                "GET /v1/default/k",
                "PUT /v1/default/k",
                "GET /v1/default?values=1",
                "POST /v1/default/k2?op=append",
                "POST /v1/q?op=push",
            ] {
                // Some need none, as what they look for is open already.
                let is_put = request.starts_with("PUT");
                let body = if is_put { &value[..] } else { b"" };
                let answer = client.ask(request, &[], body);
                if answer.code >= 300 {
                    refused += 1;
                    let answer = answer.refuses(503, Exit::Failure);
                    assert_eq!(answer.header("retry-after"), Some("1"), "{request}");
                }
            }
        }
        // What SQLite needs is open already.
        assert!(refused > 0 || engine == Engine::Sqlite);
        limit(server.pid(), Resource::Nofile, 1_000, Some(1_000));
        client.ask("PUT /v1/default/k", &[], &value).done();
        client
            .ask("GET /v1/default/k", &[], b"")
            .is(200)
            .holds(&value);
    }
}

#[test]
fn who_is_idle_makes_room_for_others() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = serve(&mut kv.kv(["serve"]), "n", 64).unwrap();
    let answered: Vec<_> = (0..60)
        .map(|_| {
            let mut client = server.connect();
            client.ask("GET /v1/default/k", &[], b"").is(200);
            client
        })
        .collect();
    let silent: Vec<_> = (0..20).map(|_| server.connect()).collect();
    server.ask("GET /v1/default/k", &[CLOSE], b"").is(200);
    drop((answered, silent));
}
