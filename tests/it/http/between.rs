//! What stands between kv and a service: proxies, and what they say of their own.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};
use crate::serve::client::Server;

/// Reads a request without its body; its first line.
fn read_head(stream: &mut BufReader<TcpStream>) -> Option<(String, usize)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_ascii_lowercase()),
        }
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    Some((lines[0].clone(), length))
}

/// Answers each request with the next of these, and the last again and again. Tells what was asked: the
/// first line and the body.
fn answers(answers: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut count = 0;
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some((line, length)) = read_head(&mut stream) {
                let mut body = vec![0; length];
                _ = stream.read_exact(&mut body);
                _ = sender.send(format!("{line} {}", String::from_utf8_lossy(&body)));
                let answer = &answers[count.min(answers.len() - 1)];
                count += 1;
                _ = stream.get_mut().write_all(answer.as_bytes());
                if answer.is_empty() || answer.contains("Connection: close") {
                    break;
                }
            }
        }
    });
    (address.to_string(), asked)
}

fn answer(code: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {code}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

/// Hands on what is said to a server, and counts the connections.
pub fn pipe_to(server: &Server) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, to) = (Arc::clone(&count), server.address());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let server = TcpStream::connect(to).unwrap();
            let ends = [&client, &server].map(|end| end.try_clone().unwrap());
            let [mut from_client, mut from_server] = ends;
            for (from, mut to) in [
                (&mut from_client, server.try_clone().unwrap()),
                (&mut from_server, client.try_clone().unwrap()),
            ] {
                let mut from = from.try_clone().unwrap();
                thread::spawn(move || {
                    _ = io::copy(&mut from, &mut to);
                    _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    (place, count)
}

/// Whatever is asked, also in the body of a batch, the connection is there for the next request.
#[test]
fn a_command_has_one_connection() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let (place, count) = pipe_to(&server);
    let run = |args: &[&str], input: &str| {
        let before = count.load(Ordering::Relaxed);
        let mut command = kv.kv(args);
        command.env("KV_STORE", &place);
        let ran = Ran::fed(&mut command, input.as_bytes());
        let made = count.load(Ordering::Relaxed) - before;
        assert_eq!(made, 1, "{args:?}: {}", ran.report());
        ran
    };
    let large = "x".repeat(300_000);
    let mut commands = String::new();
    for key in ["k", "a//b"] {
        for verb in [
            "put KEY v",
            "get KEY",
            "stat KEY",
            "put KEY w --if-absent",
            "append KEY v",
            "expire KEY 1h",
            "incr KEY",
            "put KEY LARGE",
            "get KEY",
            "get KEY --remove",
            "get KEY",
            "remove KEY",
            "incr KEY",
            "ls --values --limit 1",
            "push l v",
            "pop l",
            "pop l",
            // It is answered late.
            "pop l --wait 700ms",
        ] {
            commands += &verb.replace("KEY", key).replace("LARGE", &large);
            commands += "\n";
        }
    }
    run(&["batch"], &commands).ends(Exit::Failure);
    let keys: String = (0..2_500).map(|n| format!("a//{n}\n")).collect();
    let lines = keys.replace('\n', "\tv\n");
    run(&["import", "--tsv"], &lines).ends(Exit::Success);
    run(&["remove", "--stdin"], &keys).ends(Exit::Success);
    kv.run(["ls", "a//[0-9]*"]).ends(Exit::No).prints("");
}

/// Who has asked for a change and heard no whole answer is told that it may be made; who has only
/// looked, or was not heard at all, is not.
#[test]
fn a_change_that_may_have_been_made_is_told_as_one() {
    const UNSURE: &str = "the change may have been made";
    let kv = Sandbox::new();
    let changes: &[&[&str]] = &[
        &["put", "k", "v"],
        &["put", "k", "v", "--if-absent"],
        &["put", "a//b", "v"],
        &["get", "k", "--remove"],
        &["get", "a//b", "--remove"],
        &["remove", "k"],
        &["remove", "a//b"],
        &["append", "k", "v"],
        &["incr", "k"],
        &["incr", "a//b"],
        &["expire", "k", "1h"],
        &["push", "l", "v"],
        &["pop", "l"],
        &["namespaces", "--remove", "n"],
    ];
    let looks: &[&[&str]] = &[&["get", "k"], &["get", "a//b"], &["stat", "k"], &["ls"]];
    let kvs = "KV-Protocol: 1\r\nConnection: close\r\n";
    let late = format!("{kvs}KV-Late: 1\r\n");
    let cut = "HTTP/1.1 200 OK\r\nKV-Protocol: 1\r\nKV-Late: 1\r\nConnection: close\r\n\
               Content-Length: 99\r\n\r\n\n\n";
    for answer in [
        String::new(),
        cut.to_owned(),
        answer("200 OK", &late, "\n\nrubbish\n"),
        answer("504 Gateway Timeout", "", ""),
        answer("502 Bad Gateway", "", ""),
    ] {
        let (address, _asked) = answers(vec![answer.clone()]);
        for (commands, is_unsure) in [(changes, true), (looks, false)] {
            for args in commands {
                let mut command = kv.kv(*args);
                command
                    .env("KV_STORE", format!("http://{address}"))
                    .env("KV_BUSY_TIMEOUT", "1s");
                let ran = Ran::of(&mut command).ends(Exit::Failure);
                let said = ran.stderr_text();
                assert_eq!(
                    said.contains(UNSURE),
                    is_unsure,
                    "{args:?}: {answer}: {said}"
                );
                assert!(
                    said.lines().count() == 1 && !said.contains("cannot reach"),
                    "{said}"
                );
            }
        }
    }
    // What an answer brings is gone with it.
    let entry = "ETag: \"0123456789abcdef\"\r\nKV-Modified: 2026-01-01T00:00:00Z\r\n";
    let torn = format!("HTTP/1.1 200 OK\r\n{kvs}{entry}Content-Length: 9\r\n\r\nabc");
    let (address, _asked) = answers(vec![torn]);
    for (args, is_unsure) in [
        (&["pop", "l"][..], true),
        (&["get", "k", "--remove"], true),
        (&["get", "k"], false),
    ] {
        let mut command = kv.kv(args);
        command.env("KV_STORE", format!("http://{address}"));
        let said = Ran::of(&mut command).ends(Exit::Failure).stderr_text();
        assert_eq!(said.contains(UNSURE), is_unsure, "{args:?}: {said}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for args in changes {
        let mut command = kv.kv(*args);
        command.env("KV_STORE", format!("http://{address}"));
        let said = Ran::of(&mut command).ends(Exit::Failure).stderr_text();
        assert!(
            said.contains("cannot reach") && !said.contains(UNSURE),
            "{said}"
        );
    }
}

#[test]
fn a_token_that_is_wrong_is_not_told_as_none() {
    let kv = Sandbox::new();
    kv.secret("token", "s3cret0123456789");
    let server = Server::of(&kv, &["--token-file", "token"]);
    for (token, why) in [(None, "it needs a token"), (Some("wr0ng"), "this token")] {
        let mut command = kv.kv(["get", "k"]);
        command.env("KV_STORE", format!("http://{}", server.address()));
        command.envs(token.map(|token| ("KV_TOKEN", token)));
        Ran::of(&mut command).ends(Exit::Failure).complains(&[why]);
    }
}

#[test]
fn what_a_proxy_says_is_told_as_what_it_is() {
    let kv = Sandbox::new();
    for (code, headers, why) in [
        (
            "413 Payload Too Large",
            "Server: nginx\r\n",
            &["nginx answers 413", "takes no values as large"][..],
        ),
        ("504 Gateway Timeout", "", &["504", "does not wait"]),
        (
            "502 Bad Gateway",
            "",
            &["502", "does not reach the service"],
        ),
        (
            "308 Permanent Redirect",
            "Location: https://kv.example/\r\n",
            &["308", "sends to https://kv.example/"],
        ),
        ("200 OK", "", &["no service of kv"]),
    ] {
        let (address, _asked) = answers(vec![answer(code, headers, "<html>")]);
        for args in [&["get", "k"][..], &["put", "k", "v"], &["push", "l", "v"]] {
            let mut command = kv.kv(args);
            command.env("KV_STORE", format!("http://{address}"));
            Ran::of(&mut command).ends(Exit::Failure).complains(why);
        }
    }
}

/// Where a proxy gives up before what is waited for can be there, less is waited for at a time.
#[test]
fn who_waits_behind_an_impatient_proxy_asks_again() {
    let kv = Sandbox::new();
    let too_long = answer("504 Gateway Timeout", "", "");
    let entry = "KV-Protocol: 1\r\nETag: \"0123456789abcdef\"\r\n\
                 KV-Modified: 2026-01-01T00:00:00Z\r\n";
    let popped = answer("200 OK", entry, "v");
    let granted = answer("200 OK", "KV-Protocol: 1\r\n", "{\"token\":1}\n");
    for (args, last, first) in [
        (&["pop", "l", "--wait", "40s"][..], popped, "wait=40000ms"),
        (
            &["lock", "l", "--wait", "40s", "--", "true"],
            granted,
            "\"wait\":\"40000ms\"",
        ),
    ] {
        let (address, asked) = answers(vec![too_long.clone(), too_long.clone(), last]);
        let mut command = kv.kv(args);
        command.env("KV_STORE", format!("http://{address}"));
        Ran::of(&mut command).ends(Exit::Success);
        let asked: Vec<String> = asked.try_iter().collect();
        let (wait, rest) = first.split_at(first.find("40000").unwrap());
        assert!(asked[0].contains(first), "{asked:?}");
        for (asked, shorter) in asked[1..3].iter().zip(["25000", "12500"]) {
            let wanted = format!("{wait}{shorter}{}", &rest["40000".len()..]);
            assert!(asked.contains(&wanted), "{asked}");
        }
    }
}

/// A no that comes at once is not asked for again at once.
#[test]
fn who_is_told_no_too_early_waits() {
    let kv = Sandbox::new();
    let headers = "KV-Protocol: 1\r\nKV-Status: 1\r\n";
    let no = answer("404 Not Found", headers, "{\"status\":1,\"error\":\"no\"}");
    for (args, exit) in [
        (&["pop", "l", "--wait", "1s"][..], 1),
        (&["lock", "l", "--wait", "1s", "--", "true"], 124),
        (&["wait", "k", "--timeout", "1s"], 1),
    ] {
        let (address, asked) = answers(vec![no.clone()]);
        let mut command = kv.kv(args);
        command.env("KV_STORE", format!("http://{address}"));
        let status = command.output().unwrap().status;
        assert_eq!(status.code(), Some(exit), "{args:?}");
        let count = asked.try_iter().count();
        assert!((1..50).contains(&count), "{args:?}: {count}");
    }
}

/// `HTTPS_PROXY` is for https alone, and not for what `NO_PROXY` names.
#[test]
fn a_proxy_for_https_is_asked() {
    let kv = Sandbox::new();
    let refusal = answer("403 Forbidden", "", "");
    for (store, direct, wanted) in [
        ("https://kv.invalid", "", Some("connect kv.invalid:443 ")),
        ("https://kv.invalid", "kv.invalid", None),
        ("https://kv.invalid", "foo, .kv.invalid", None),
        (
            "https://kv.invalid",
            "vinvalid,v.invalid",
            Some("connect kv.invalid:443 "),
        ),
        ("http://kv.invalid", "", None),
    ] {
        let (address, asked) = answers(vec![refusal.clone()]);
        let mut command = kv.kv(["get", "k"]);
        command
            .env("KV_STORE", store)
            .env("HTTPS_PROXY", format!("http://{address}"))
            .env("NO_PROXY", direct);
        let said = Ran::of(&mut command).ends(Exit::Failure);
        let line = asked.try_recv().ok();
        let fine = match wanted {
            Some(wanted) => line.as_ref().is_some_and(|line| line.starts_with(wanted)),
            None => line.is_none(),
        };
        assert!(fine, "{store}: {line:?}: {}", said.report());
        let is_named = said.report().contains("that HTTPS_PROXY names)");
        assert_eq!(is_named, wanted.is_some(), "{}", said.report());
    }
    for proxy in ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "garbage://x"] {
        let mut command = kv.kv(["get", "k"]);
        command
            .env("KV_STORE", "https://kv.invalid")
            .env("HTTPS_PROXY", proxy);
        let said = Ran::of(&mut command).ends(Exit::Failure);
        let report = said.report();
        assert!(report.contains("HTTPS_PROXY names no proxy"), "{report}");
    }
}

/// connect(2) waits for as long as nobody takes a connection out of the queue.
#[test]
fn a_socket_whose_queue_is_full_holds_nobody_up() {
    let kv = Sandbox::new();
    let listener = UnixListener::bind(kv.path("full")).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _waits = UnixStream::connect(kv.path("full")).unwrap();
    for (store, wanted) in [
        ("http", "it does not answer"),
        ("redis", "Resource temporarily"),
    ] {
        let store = format!("{store}+unix:full");
        let options = ["--busy-timeout", "500ms", "--store", &store];
        let said = kv.run([&options[..], &["get", "k"]].concat());
        let report = said.ends(Exit::Failure).report();
        assert!(report.contains(wanted), "{report}");
    }
    let said = kv.run(["serve", "--listen", "unix:full"]);
    let report = said.ends(Exit::Failure).report();
    assert!(report.contains("in use"), "{report}");
}
