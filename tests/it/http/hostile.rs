//! Servers that lie, stall and flood: whatever a command is told by one of them, it ends with 5, in a
//! bounded time and with bounded memory.

mod modes;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use self::modes::Does::{Beat, Close, Drip, Flood, Send, Stall};
use self::modes::{MODES, does};
use super::read_request;
use crate::harness::{KV, Sandbox, tell_count};

fn serve(
    mut stream: TcpStream,
    mode: &str,
    proof: &str,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    while read_request(&mut stream) {
        asked.fetch_add(1, Ordering::Relaxed);
        for step in does(mode) {
            match step {
                Send(bytes) => {
                    // Only text holds the place of the header.
                    let text = String::from_utf8_lossy(&bytes).replacen(
                        "\r\n@",
                        &format!("\r\n{proof}"),
                        1,
                    );
                    stream.write_all(text.as_bytes())?;
                }
                Flood(bytes) => loop {
                    stream.write_all(&bytes)?;
                },
                Drip(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).replacen(
                        "\r\n@",
                        &format!("\r\n{proof}"),
                        1,
                    );
                    for byte in text.bytes() {
                        stream.write_all(&[byte])?;
                        thread::sleep(Duration::from_millis(300));
                    }
                }
                Beat(bytes) => loop {
                    stream.write_all(&bytes)?;
                    thread::sleep(Duration::from_millis(300));
                },
                Stall => _ = stream.read(&mut [0]),
                Close => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Starts such a server, which is there for as long as the tests run, and counts what it was asked.
fn start(mode: &'static str, proof: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || serve(stream, mode, proof, &counted));
        }
    });
    (format!("http://{address}"), asked)
}

/// Every kind of request that a command makes.
const COMMANDS: &[&[&str]] = &[
    &["get", "k"],
    &["get", "k", "--remove"],
    &["stat", "k"],
    &["has", "k"],
    &["put", "k", "v"],
    &["put", "k", "v", "--if-absent"],
    &["append", "k", "v"],
    &["incr", "k"],
    &["expire", "k", "1h"],
    &["remove", "k"],
    &["get", "a//b"],
    &["get", "a//b", "--remove"],
    &["put", "a//b", "v"],
    &["ls"],
    &["ls", "--limit", "3"],
    &["ls", "--count"],
    &["export"],
    &["items", "l"],
    &["namespaces"],
    &["push", "l", "v"],
    &["pop", "l"],
    &["pop", "l", "--wait", "1s"],
    &["wait", "k", "--timeout", "1s"],
    &["lock", "l", "--wait", "1s", "--", "true"],
    &["lock", "--show", "l"],
    &["info"],
    &["namespaces", "--remove", "n"],
];

/// Runs a command with little memory, and kills it where it does not end. Returns its status.
fn run(kv: &Sandbox, store: &str, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "60", "bash", "-c"])
        .arg("ulimit -d 65536; exec \"$0\" \"$@\"")
        .arg(KV)
        .args(["--store", store, "--busy-timeout", "1s"])
        .args(args)
        .current_dir(kv.root())
        .env_clear()
        .env("PATH", crate::harness::path_with_kv())
        .env("HOME", kv.root())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

/// Tries all commands on all these servers, some at a time, and returns what was wrong.
fn try_all(
    proof: &'static str,
    commands: &[&[&str]],
    allowed: impl Fn(&str, &[&str], &[i32], i32) -> bool + Sync,
) -> BTreeSet<String> {
    let kv = Sandbox::new();
    let wrong = Mutex::new(BTreeSet::new());
    let slowest = Mutex::new((Duration::ZERO, String::new()));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((mode, also)) = MODES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (store, asked) = start(mode, proof);
                    for args in commands {
                        // What a service may do for an hour it may call for an hour.
                        let is_long = *args == ["info"] || args.contains(&"n");
                        if *mode == "late_beats" && is_long && !proof.is_empty() {
                            continue;
                        }
                        let begun = Instant::now();
                        let before = asked.load(Ordering::Relaxed);
                        let (status, said) = run(&kv, &store, args);
                        // Who asks nobody fails as well.
                        let has_asked = asked.load(Ordering::Relaxed) > before;
                        let took = (begun.elapsed(), format!("{mode}: {args:?}"));
                        let mut slowest = slowest.lock().unwrap();
                        if slowest.0 < took.0 {
                            *slowest = took;
                        }
                        drop(slowest);
                        let fine = status.is_some_and(|status| allowed(mode, args, also, status));
                        let escapes = said.contains(|c: char| c.is_control() && c != '\n');
                        if !fine || escapes || !has_asked {
                            let line = format!("{mode}: {args:?}: {status:?}: {said}");
                            wrong.lock().unwrap().insert(line);
                        }
                    }
                }
            });
        }
    });
    let (took, what) = slowest.into_inner().unwrap();
    tell_count(&format!(
        "{} kinds of server, {} commands each; the slowest took {:.1} s: {what}",
        MODES.len(),
        commands.len(),
        took.as_secs_f32()
    ));
    wrong.into_inner().unwrap()
}

/// What does not say that it is kv's is not believed, whatever it says.
#[test]
fn a_server_that_is_not_kvs_is_believed_nothing() {
    let commands: Vec<_> = COMMANDS.iter().copied().step_by(3).collect();
    let wrong = try_all("", &commands, |_, _, _, status| [5, 125].contains(&status));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_server_that_passes_for_kvs_does_no_harm() {
    let fine = |mode: &str, args: &[&str], also: &[i32], status| {
        // An answer that it is there now has no body that could be wrong.
        let is_there = args[0] == "wait" && status == 0;
        // That is how a service says that a put has made its entry, and nothing else.
        let is_put = mode == "201etag" && args[0] == "put" && status == 0;
        is_there || is_put || [5, 125].contains(&status) || also.contains(&status)
    };
    let wrong = try_all("KV-Protocol: 1\r\n", COMMANDS, fine);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// It says at once that the key has changed, and the key is not there.
#[test]
fn a_server_that_calls_for_nothing_is_not_asked_again_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || {
                let mut begin = [0; 256];
                while stream.peek(&mut begin).is_ok_and(|n| n > 0) && read_request(&mut stream) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let is_look = begin.windows(7).any(|word| word == b"op=stat");
                    let body = r#"{"status":1,"error":"no"}"#;
                    let (status, body) = match is_look {
                        true => ("404 Not Found\r\nKV-Status: 1\r\nContent-Length: 25", body),
                        false => ("204 No Content", ""),
                    };
                    let answer = format!("HTTP/1.1 {status}\r\nKV-Protocol: 1\r\n\r\n{body}");
                    _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    let kv = Sandbox::new();
    let (status, said) = run(&kv, &store, &["wait", "k", "--timeout", "1s"]);
    let asked = asked.load(Ordering::Relaxed);
    assert!(
        asked > 2 && asked < 30,
        "{asked} requests; {status:?}: {said}"
    );
}
