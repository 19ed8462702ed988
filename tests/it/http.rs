//! Stores behind a service: what the contract suite does not ask of every engine.

mod between;
mod follow;
mod hostile;
mod locks;
mod odd;
mod tls;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use kv::exit::Exit;

use crate::files::bytes;
use crate::harness::{Engine, KV, Ran, Sandbox};
use crate::process::{Started, serve};
use crate::serve::client::Server;

/// Prepares a command on the store that a server keeps.
fn through(kv: &Sandbox, server: &Server, args: &[&str]) -> Command {
    let mut command = kv.kv(args);
    command.env("KV_STORE", format!("http://{}", server.address()));
    command
}

#[track_caller]
fn run(kv: &Sandbox, server: &Server, args: &[&str]) -> Ran {
    Ran::of(&mut through(kv, server, args))
}

/// Reads a request with its body; false where there is none.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if head.contains("100-continue") {
        _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().unwrap());
    if head.contains("chunked") {
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => body.push(byte[0]),
                _ => return false,
            }
        }
    }
    stream.read_exact(&mut vec![0; length]).is_ok()
}

/// Answers the first request of every connection with these bytes, and then closes it. Whoever closes while
/// something is unread resets the connection, and its peer may lose the answer (RFC 9112, 9.6).
fn answers(answer: &'static [u8]) -> String {
    let address = serve(move |mut stream: TcpStream| {
        if read_request(&mut stream) {
            _ = stream.write_all(answer);
        }
    });
    format!("http://{address}")
}

#[test]
fn a_token_lets_in_and_is_never_shown() {
    let kv = Sandbox::new();
    kv.secret("token", "s3cret0123456789\nand more\n");
    let server = Server::of(&kv, &["--token-file", "token"]);
    for args in [&["get", "k"][..], &["stat", "k"], &["put", "k", "v"]] {
        run(&kv, &server, args)
            .ends(Exit::Failure)
            .complains(&["KV_TOKEN", "--token-file"]);
        let wrong = Ran::of(through(&kv, &server, args).env("KV_TOKEN", "wr0ng"));
        let line = wrong.ends(Exit::Failure).stderr_text();
        assert!(
            line.contains("KV_TOKEN") && !line.contains("wr0ng"),
            "{line}"
        );
    }
    let mut put = through(&kv, &server, &["put", "k", "v"]);
    Ran::of(put.env("KV_TOKEN", "s3cret0123456789")).ends(Exit::Success);
    // The option is nearer than the variable.
    let mut get = through(&kv, &server, &["get", "k", "--token-file", "token"]);
    Ran::of(get.env("KV_TOKEN", "wr0ng"))
        .ends(Exit::Success)
        .prints("v");
    let mut info = through(&kv, &server, &["info"]);
    let told = Ran::of(info.env("KV_TOKEN", "s3cret0123456789")).ends(Exit::Success);
    assert!(!told.stdout_text().contains("s3cret0123456789"));
    for bad in ["two words", "\u{e4}"] {
        Ran::of(through(&kv, &server, &["get", "k"]).env("KV_TOKEN", bad))
            .ends(Exit::Usage)
            .complains(&["invalid token in KV_TOKEN"]);
    }
    run(&kv, &server, &["get", "k", "--token-file", "missing"])
        .ends(Exit::Failure)
        .complains(&["missing", "No such file"]);
}

#[test]
fn what_is_not_there_is_told() {
    let kv = Sandbox::new();
    // Nobody listens on a port that was given back.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let gone = format!("http://{}", gone.unwrap());
    for (store, why) in [
        (&*gone, "Connection refused"),
        ("http+unix:missing", "No such file"),
        ("http://nobody.invalid", ""),
    ] {
        for args in [
            &["get", "k"][..],
            &["put", "k", "v"],
            &["ls"],
            &["namespaces"],
            &["wait", "k"],
        ] {
            let mut command = kv.kv(args);
            Ran::of(command.env("KV_STORE", store))
                .ends(Exit::Failure)
                .complains(&["cannot reach", store, why]);
        }
    }
}

#[test]
fn what_is_no_service_is_not_believed() {
    let kv = Sandbox::new();
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"abc\"\r\n\r\n{}\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    ] {
        let store = answers(answer);
        for args in [
            &["get", "k"][..],
            &["stat", "k"],
            &["has", "k"],
            &["put", "k", "v"],
            &["put", "k", "v", "--if-absent"],
            &["incr", "k"],
            &["get", "a//b"],
            &["-n", "a", "info"],
        ] {
            // An answer without anything to read is that of a removal that was done.
            let mut command = kv.kv(args);
            command.env("KV_STORE", &store);
            Ran::of(&mut command)
                .ends(Exit::Failure)
                .complains(&[&store, "no service of kv"]);
        }
    }
    for garbage in [
        &b""[..],
        b"\0\xff\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    ] {
        let mut command = kv.kv(["get", "k"]);
        let ran = Ran::of(command.env("KV_STORE", answers(garbage)));
        ran.ends(Exit::Failure);
    }
}

#[test]
fn what_is_done_where_the_service_runs_is_refused() {
    let kv = Sandbox::on(Engine::Http);
    kv.put("k", "v");
    for args in [
        &["gc"][..],
        &["gc", "--dry-run"],
        &["fsck"],
        &["fsck", "--repair"],
    ] {
        kv.run(args)
            .ends(Exit::Failure)
            .complains(&["where the service runs"]);
        kv.at_home(args).ends(Exit::Success);
    }
    kv.holds("k", "v");
}

#[test]
fn a_service_that_is_read_only_can_be_read() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.put("a//b", "odd");
    let server = Server::of(&kv, &["--read-only"]);
    for (key, value) in [("k", "v"), ("a//b", "odd")] {
        run(&kv, &server, &["get", key])
            .ends(Exit::Success)
            .prints(value);
        run(&kv, &server, &["wait", key]).ends(Exit::Success);
    }
    for key in ["k", "a//b"] {
        for args in [
            &["put", key, "new"][..],
            &["remove", key],
            &["incr", key],
            &["get", key, "--remove"],
            &["expire", key, "1s"],
            &["append", key, "x"],
        ] {
            run(&kv, &server, args)
                .ends(Exit::Failure)
                .complains(&["read-only"]);
        }
    }
    run(&kv, &server, &["namespaces", "--remove", "default"])
        .ends(Exit::Failure)
        .complains(&["read-only"]);
    kv.holds("k", "v");
    kv.holds("a//b", "odd");
}

/// The limits of a service hold of keys that travel in a body too.
#[test]
fn a_value_that_is_too_large_is_refused_and_the_old_one_stays() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--max-value", "100k"]);
    let large = vec![b'x'; 200_000];
    for key in ["k", "a//b"] {
        kv.put(key, "old");
        for size in [102_401, 200_000] {
            let mut put = through(&kv, &server, &["put", key]);
            Ran::fed(&mut put, &large[..size])
                .ends(Exit::Failure)
                .complains(&["larger than 102400 bytes"]);
        }
        kv.holds(key, "old");
        let mut put = through(&kv, &server, &["put", key]);
        Ran::fed(&mut put, &large[..102_400]).ends(Exit::Success);
    }
    let line = format!("k\t{}\nnew\tv\n", "x".repeat(102_401));
    let mut import = through(&kv, &server, &["import", "--tsv"]);
    Ran::fed(&mut import, line.as_bytes())
        .ends(Exit::Failure)
        .complains(&["larger than 102400 bytes"]);
    kv.lacks("new");
}

/// A service that is served again is a store like any other.
#[test]
fn a_service_of_a_service_serves() {
    let kv = Sandbox::new();
    let first = Server::of(&kv, &[]);
    let mut second = Command::new(KV);
    second
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("KV_STORE", format!("http://{}", first.address()));
    let second = Server::start(&mut second);
    run(&kv, &second, &["put", "k", "v"]).ends(Exit::Success);
    kv.holds("k", "v");
    run(&kv, &second, &["get", "k"])
        .ends(Exit::Success)
        .prints("v");
    run(&kv, &second, &["get", "missing"]).ends(Exit::No);
    let waiter = Started::new(through(&kv, &second, &["pop", "jobs", "--wait", "1m"]));
    run(&kv, &first, &["push", "jobs", "one"]).ends(Exit::Success);
    waiter.end().ends(Exit::Success).prints("one");
    run(&kv, &second, &["incr", "k"])
        .ends(Exit::Failure)
        .complains(&["cannot increment", "no decimal number"]);
    run(&kv, &second, &["lock", "l", "--", "true"]).ends(Exit::Success);
}

#[test]
fn a_batch_of_a_client_reads_no_files_of_the_server() {
    let kv = Sandbox::new();
    fs::write(kv.path("secret"), "s3cret0123456789").unwrap();
    let server = Server::of(&kv, &[]);
    let commands = b"put k --file secret\nput k --file -\npop l --wait 1m\nput a v\nget a\n\
        --store /tmp get a\nlock l -- true\nget missing\nincr a\n-n other put b 'two words'\n";
    let answer = server
        .ask("POST /v1/default?op=batch", &[], commands)
        .is(200);
    let body = answer.text();
    let statuses: Vec<&str> = body
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|line| line.split_once(' ').map(|(status, _)| status))
        .collect();
    assert_eq!(
        statuses,
        ["2", "2", "2", "0", "0", "2", "2", "1", "5", "0"],
        "{body}"
    );
    assert!(
        body.contains("kv: line 1: a batch over HTTP reads no files\n"),
        "{body}"
    );
    assert!(!body.contains("s3cret0123456789"));
    kv.lacks("k");
    kv.run(["-n", "other", "get", "b"])
        .ends(Exit::Success)
        .prints("two words");
    let stopped = server.ask(
        "POST /v1/default?op=batch&json=1&stop=1",
        &[],
        b"[\"get\",\"a\"]\n[\"get\"]\n[\"get\",\"a\"]\n",
    );
    let body = stopped.is(200).text();
    assert!(body.starts_with("0 1\nv\n2 "), "{body}");
    assert_eq!(body.matches("0 1\n").count(), 1, "{body}");
}

/// A value goes through the client in parts, whichever way it goes.
#[test]
fn a_large_value_streams() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let value = bytes(40_000_000);
    fs::write(kv.path("value"), &value).unwrap();
    // What it may allocate is far less than the value has.
    let script = format!(
        "ulimit -v 4000000; ulimit -d 24000; export KV_STORE=http://{}; \
         kv put k <value && kv get k | cmp - value && kv get --remove k | cmp - value",
        server.address()
    );
    kv.shell("bash", &script).ends(Exit::Success).is_silent();
    kv.lacks("k");
}

/// What was found damaged behind the header is no value, and is told as damage.
#[test]
fn damage_on_the_way_is_damage() {
    let kv = Sandbox::new();
    let value = vec![b'x'; 3_000_000];
    kv.feed(["put", "k"], &value).ends(Exit::Success);
    kv.put("small", "v");
    for key in ["k", "small"] {
        let file = kv.file_of(key.as_bytes());
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    kv.put("sound", "v");
    let server = Server::of(&kv, &[]);
    for key in ["k", "small"] {
        // The end comes at once, and not when nobody can be sending any more, which takes 2 s. Of several
        // tries, as a machine may be busy.
        let get = ["get", key, "--busy-timeout", "1900ms"];
        let ends = || run(&kv, &server, &get).status().code();
        assert!((0..5).any(|_| ends() == Some(4)), "{key}");
    }
    let listed = run(&kv, &server, &["ls", "--values", "--json"]).ends(Exit::Damaged);
    assert!(
        listed.stdout_text().contains("\"sound\""),
        "{}",
        listed.report()
    );
    assert!(
        listed.stderr_text().contains("is damaged"),
        "{}",
        listed.report()
    );
}

#[test]
fn values_that_are_too_large_for_a_line_are_imported_too() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--sync", "off"]);
    let large = "x".repeat(45 << 20);
    let lines = format!(
        "{{\"key\":\"a\",\"value\":\"{large}\"}}\n{{\"key\":\"b\",\"value\":\"{large}\"}}\n\
         {{\"key\":\"c\",\"value\":\"small\"}}\n{{\"key\":\"b\",\"value\":\"last\"}}\n"
    );
    fs::write(kv.path("lines"), lines).unwrap();
    let input = fs::File::open(kv.path("lines")).unwrap();
    let mut import = through(&kv, &server, &["import", "--replace"]);
    Ran::of(import.stdin(input)).ends(Exit::Success);
    kv.run(["ls"]).prints("a\nb\nc\n");
    kv.run(["get", "a"]).prints(large);
    kv.holds("b", "last");
}
