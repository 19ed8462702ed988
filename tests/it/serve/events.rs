//! Changes as server-sent events.

use std::fs;
use std::io::BufRead as _;

use kv::exit::Exit;

use super::client::{Client, Server};
use crate::harness::{Sandbox, until};

/// Begins to listen, and reads up to the comment that says that the watch stands.
#[track_caller]
fn listen(server: &Server, query: &str) -> Client {
    let mut client = server.connect();
    let request = format!("GET /v1/default?op=watch{query}");
    client.begin(&request, &[], 0).unwrap();
    let mut head = String::new();
    loop {
        let line = line(&mut client);
        if line == ": watching" {
            break;
        }
        head += &line.to_lowercase();
        head.push('\n');
    }
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream\n"), "{head}");
    client
}

/// Reads a line that says something; the sizes of chunks, which this server makes one of each answer's parts, are
/// passed over.
#[track_caller]
fn line(client: &mut Client) -> String {
    loop {
        let mut line = String::new();
        let read = client.stream().read_line(&mut line).unwrap();
        assert!(read > 0, "it has ended");
        let line = line.trim_end();
        let is_size = line.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_size && line != ":" {
            return line.to_owned();
        }
    }
}

#[test]
fn each_change_is_an_event() {
    let kv = Sandbox::new();
    kv.put("k1", "v");
    kv.put("other", "v");
    let server = Server::of(&kv, &[]);
    let mut client = listen(&server, "&now=1&prefix=k");
    let put = |key: &str| {
        let line = kv.run(["ls", "--json", "--prefix", key]).stdout_text();
        let event = format!("\"key\":\"{key}\",\"event\":\"put\",");
        format!(
            "data: {}",
            line.trim_end()
                .replacen(&format!("\"key\":\"{key}\","), &event, 1)
        )
    };
    assert_eq!(line(&mut client), put("k1"));
    assert_eq!(line(&mut client), ": all");
    kv.put("other", "w");
    kv.put("k2", "v");
    assert_eq!(line(&mut client), put("k2"));
    server.ask("DELETE /v1/default/k1", &[], b"").is(204);
    assert_eq!(line(&mut client), r#"data: {"key":"k1","event":"gone"}"#);
    // What cannot be read is told once, however often all is looked at.
    kv.put("kept", "v");
    assert_eq!(line(&mut client), put("kept"));
    fs::write(kv.file_of(b"kept"), "kv1 nonsense").unwrap();
    let damage = line(&mut client);
    assert!(
        damage.starts_with(r#"data: {"status":4,"error":"#),
        "{damage}"
    );
    kv.run(["gc", "--now"]).ends(Exit::Damaged);
    kv.put("k3", "v");
    assert_eq!(line(&mut client), put("k3"));
    // Who is gone is listened for no more.
    until("one listens", || server.waiting() == 1);
    drop(client);
    until("nobody listens", || server.waiting() == 0);
}

#[test]
fn a_service_that_stops_ends_its_events() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--read-only"]);
    let client = listen(&server, "");
    let begun = std::time::Instant::now();
    server.stop();
    assert!(begun.elapsed() < std::time::Duration::from_secs(8));
    drop(client);
}

#[test]
fn who_may_not_read_may_not_listen() {
    let kv = Sandbox::new();
    kv.secret("token", "s3cret0123456789");
    let server = Server::of(&kv, &["--token-file", "token"]);
    server.ask("GET /v1/default?op=watch", &[], b"").is(401);
    server
        .ask(
            "GET /v1/default?op=watch&to=k",
            &["Authorization: Bearer s3cret0123456789"],
            b"",
        )
        .is(400);
}
