//! Who may come in, and how far.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use kv::exit::Exit;

use super::client::Server;
use crate::harness::{Ran, Sandbox, until};

#[test]
fn who_does_not_know_the_token_stays_out() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.secret("token", "s3cret+/ABC0123456=\nnot this\n");
    let server = Server::of(&kv, &["--token-file", "token"]);
    for path in [
        "/v1/default/k",
        "/v1",
        "/v1/default",
        "/metrics",
        "/nothing",
    ] {
        for header in [
            "X: y",
            "Authorization: Bearer s3cret+/ABC0123456",
            "Authorization: Bearer s3cret+/ABC0123456==",
            "Authorization: Bearer S3CRET+/ABC0123456=",
            "Authorization: Bearer ",
            "Authorization: Bearer",
            "Authorization: Basic s3cret+/ABC0123456=",
            "Authorization: s3cret+/ABC0123456=",
        ] {
            let refused = server.ask(&format!("GET {path}"), &[header], b"");
            let refused = refused.refuses(401, Exit::Failure);
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        }
    }
    let known = "Authorization: bearer s3cret+/ABC0123456=";
    server
        .ask("GET /v1/default/k", &[known], b"")
        .is(200)
        .holds("v");
    server.ask("GET /healthz", &[], b"").is(200);
    server.ask("PUT /v1/default/k", &[], b"w").is(401);
    kv.holds("k", "v");
    assert_eq!(server.stop(), "");
}

#[test]
fn no_page_of_another_site_comes_in() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &["--host", "kv.example.org"]);
    let port = server.address().port();
    let get = |headers: &[&str]| server.ask("GET /v1/default/k", headers, b"");
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "kv.example.org",
        "kv.Example.org:80",
    ] {
        get(&[&format!("Host: {host}")]).is(200).holds("v");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.2",
        "",
        "[::1]",
        "127.0.0.1.evil.example",
        "[127.0.0.1]evil.example",
        "localhost:x",
        "localhost:1:2",
        "localhost:99999",
        "localhost:80@evil.example",
    ] {
        get(&[&format!("Host: {host}")]).refuses(403, Exit::Failure);
    }
    // What is offered as a name is one that --host takes.
    for (host, offered) in [
        ("evil.example:8080", Some("--host evil.example\"")),
        ("[::1]:80", Some("--host ::1\"")),
        ("[::1]x", None),
        ("[evil]", None),
        ("a b", None),
        ("", None),
    ] {
        let text = get(&[&format!("Host: {host}")]).text();
        match offered {
            Some(offered) => assert!(text.contains(offered), "{text}"),
            None => assert!(!text.contains("--host"), "{text}"),
        }
    }
    get(&["Host: localhost", "Host: localhost"]).refuses(400, Exit::Usage);
    let absolute = server.ask("GET http://evil.example/v1/default/k", &[], b"");
    absolute.refuses(403, Exit::Failure);
    let origin = |origin: &str| {
        let headers = ["Host: localhost", &format!("Origin: {origin}")];
        server.ask("PUT /v1/default/k", &headers, b"w").code
    };
    for other in [
        "null",
        "http://evil.example",
        "http://localhost.evil",
        "localhost",
        "",
        "https://localhost",
        "ftp://localhost",
    ] {
        assert_eq!(origin(other), 403, "{other}");
    }
    // What stands before the service may encrypt, under a name that it was given.
    let headers = ["Host: kv.example.org", "Origin: https://kv.example.org"];
    get(&headers).is(200);
    for site in ["cross-site", "same-site", "nonsense"] {
        let site = format!("Sec-Fetch-Site: {site}");
        get(&[&site]).refuses(403, Exit::Failure);
        server
            .ask("GET /v1/default", &[&site], b"")
            .refuses(403, Exit::Failure);
        server
            .ask("GET /page.js", &[&site], b"")
            .refuses(403, Exit::Failure);
        server
            .ask("GET /", &[&site, "Sec-Fetch-Mode: navigate"], b"")
            .is(200);
    }
    for site in ["same-origin", "none"] {
        get(&[&format!("Sec-Fetch-Site: {site}")]).is(200);
    }
    // Whatever is answered is for no page of another site, and runs nowhere.
    for path in [
        "/v1/default/k",
        "/v1/default/x",
        "/v1/default",
        "/",
        "/healthz",
        "/nothing",
    ] {
        let answer = server.ask(&format!("GET {path}"), &[], b"");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("same-origin")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let other = get(&["Host: 127.0.0.2:9000"]).refuses(403, Exit::Failure);
    assert!(other.text().contains("127.0.0.2:9000"), "{other:?}");
    kv.holds("k", "v");
    assert_eq!(origin("http://localhost"), 204);
    let own = format!("Origin: http://127.0.0.1:{port}");
    let allowed = get(&[&own]).is(200);
    for header in &allowed.headers {
        assert!(
            !header.to_lowercase().starts_with("access-control"),
            "{header}"
        );
    }
    let mut old = server.connect();
    old.send(b"GET /v1/default/k HTTP/1.0\r\n\r\n").unwrap();
    old.answer(false).unwrap().refuses(403, Exit::Failure);
    // Those who watch over services ask like this.
    let mut old = server.connect();
    old.send(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    old.answer(false).unwrap().is(200);
}

#[test]
fn a_service_that_is_read_only_changes_nothing() {
    let kv = Sandbox::new();
    kv.put("k", "1");
    let server = Server::of(&kv, &["--read-only"]);
    server.ask("GET /v1/default/k", &[], b"").is(200).holds("1");
    for request in [
        "PUT /v1/default/k",
        "DELETE /v1/default/k",
        "POST /v1/default/k?op=incr",
        "POST /v1/default/k?op=take",
        "POST /v1/default/k?op=incr&op=wait",
        "POST /v1/list?op=push",
        "POST /set",
    ] {
        let json = "Content-Type: application/json";
        let answer = server.ask(request, &[json], br#"{"id":"k","value":2}"#);
        answer.refuses(403, Exit::Failure);
    }
    server.ask("POST /v1/default/k?op=wait", &[], b"").is(204);
    kv.holds("k", "1");
    kv.run(["namespaces"]).prints("default\n");
}

#[test]
fn a_command_line_that_opens_the_store_to_all_is_refused() {
    let kv = Sandbox::new();
    let refused = |args: &[&str]| kv.run([&["serve"], args].concat()).ends(Exit::Usage);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        refused(&["--listen", address]).complains(&["--token-file"]);
    }
    let long = "x".repeat(5_000);
    for token in ["", "\nx", "a b", "ü", "x", "0123456789abcde", &long] {
        kv.secret("token", token);
        refused(&["--token-file", "token"]).complains(&["invalid token in"]);
    }
    fs::write(kv.path("open"), "0123456789abcdef").unwrap();
    fs::set_permissions(kv.path("open"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&["--token-file", "open"])
        .complains(&["every user can read or change `open`", "chmod"]);
    refused(&["--token-file", "/dev/zero"]).complains(&["/dev/zero"]);
    for host in ["kv.example.org:8080", "*"] {
        refused(&["--host", host]).complains(&["without a port"]);
    }
    refused(&["--listen", "here"]).complains(&["127.0.0.1:8080"]);
    refused(&["--max-value", "all"]).complains(&["500K"]);
    kv.run(["serve", "--token-file", "missing"])
        .ends(Exit::Failure)
        .complains(&["missing"]);

    let server = Server::of(&kv, &[]);
    let address = server.address().to_string();
    kv.run(["serve", "--listen", &address])
        .ends(Exit::Failure)
        .complains(&["cannot listen on", &address, "in use"]);
}

#[test]
fn a_unix_socket_is_its_users_alone() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let path = kv.path("socket");
    let listen = || {
        let mut command = kv.kv(["serve", "--listen", "unix:socket"]);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let get = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        let request = "GET /v1/default/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nv"), "{answer}");
    };
    let mut first = listen();
    until("it listens", || UnixStream::connect(&path).is_ok());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    get();
    kv.run(["serve", "--listen", "unix:socket"])
        .ends(Exit::Failure)
        .complains(&["in use"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(path.exists(), "what was killed leaves its socket");

    let second = listen();
    until("it listens again", || UnixStream::connect(&path).is_ok());
    get();
    let pid = nix::unistd::Pid::from_raw(second.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = second.wait_with_output().unwrap();
    let ran = Ran::with(&kv.kv(["serve"]), output);
    ran.ends(Exit::Success)
        .warns("kv: listening on unix:socket\n");
    assert!(!path.exists());

    // A service removes no socket but its own.
    let mut third = listen();
    until("it listens again", || UnixStream::connect(&path).is_ok());
    get();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let pid = nix::unistd::Pid::from_raw(third.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(third.wait().unwrap().success());
    drop(other);
    assert!(path.exists(), "it is not ours to remove");

    // Of many that find a socket that nobody listens on one listens.
    let mut all: Vec<_> = (0..10).map(|_| listen()).collect();
    until("one is left", || {
        all.retain_mut(|one| one.try_wait().unwrap().is_none());
        all.len() == 1
    });
    get();
    for mut one in all {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    fs::remove_file(&path).unwrap();

    fs::write(&path, "a file").unwrap();
    kv.run(["serve", "--listen", "unix:socket"])
        .ends(Exit::Failure)
        .complains(&["no socket"]);
    assert_eq!(fs::read(&path).unwrap(), b"a file");
}

#[test]
fn metrics_tell_what_was_done() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    server.ask("PUT /v1/default/k", &[], b"value").is(201);
    server.ask("GET /v1/default/k", &[], b"").is(200);
    server.ask("GET /v1/default/x", &[], b"").is(404);
    let text = server.ask("GET /metrics", &[], b"").is(200).text();
    for line in [
        "kv_http_requests_total{method=\"PUT\",code=\"201\"} 1",
        "kv_http_requests_total{method=\"GET\",code=\"404\"} 1",
        "kv_http_request_duration_seconds_count 3",
        "kv_http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
        "kv_entries{namespace=\"default\"} 1",
        "kv_bytes{namespace=\"default\"} 6",
        "kv_read_only 0",
        "# TYPE kv_http_request_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    let received = text
        .lines()
        .find_map(|line| line.strip_prefix("kv_http_received_bytes_total "));
    assert!(received.unwrap().parse::<u64>().unwrap() > 100, "{text}");
}

#[test]
fn metrics_tell_of_requests_where_the_store_is_gone() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let text = server.ask("GET /metrics", &[], b"").is(200).text();
    assert!(text.contains("\nkv_store_up 1\n"), "{text}");
    std::fs::rename(kv.store(), kv.path("away")).unwrap();
    server.ask("GET /v1/default/k", &[], b"").is(503);
    until("it is noticed", || {
        let text = server.ask("GET /metrics", &[], b"").is(200).text();
        assert!(text.contains("kv_http_connections"), "{text}");
        text.contains("\nkv_store_up 0\n") && !text.contains("kv_entries")
    });
}

#[test]
fn metrics_are_bounded_in_number() {
    const ALL: usize = 150;
    let kv = Sandbox::new();
    kv.put("k", "v");
    let lines: String = (0..ALL).map(|n| format!("push a{n} x\n")).collect();
    kv.feed(["batch"], lines.as_bytes()).ends(Exit::Success);
    let server = Server::of(&kv, &[]);
    let text = server.ask("GET /metrics", &[], b"").is(200).text();
    let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(series("kv_entries{"), 100, "{text}");
    assert_eq!(series("kv_bytes{"), 100, "{text}");
    let all = format!("kv_namespaces {}", ALL + 1);
    assert!(text.lines().any(|line| line == all), "{text}");
    assert_eq!(series("kv_entries{namespace=\"default\"} 1"), 1, "{text}");
}
