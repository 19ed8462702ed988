//! Many clients that say nothing.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use super::client::Server;
use crate::harness::{Sandbox, cannot_run, has_program, tell_count, until};

const CLIENTS: usize = 10_000;

/// Opens connections, says how many, and holds them until its input ends. A process of its own: the
/// limit of descriptors is not to be another for every other test.
const SCRIPT: &str = r#"
ulimit -n 10100 2>/dev/null || { echo limit; exit; }
exec perl -MIO::Socket::INET -e '
    my @open;
    for (1 .. 10_000) {
        my $s = IO::Socket::INET->new(PeerAddr => $ARGV[0]) or last;
        push @open, $s;
    }
    $| = 1;
    print scalar(@open), "\n";
    <STDIN>;
' "$1"
"#;

fn connections(server: &Server) -> usize {
    let text = server.ask("GET /metrics", &[], b"").is(200).text();
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("kv_http_connections "));
    count.unwrap().parse().unwrap()
}

fn memory_kib(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.unwrap().trim().strip_suffix(" kB").unwrap();
    digits.parse().unwrap()
}

#[test]
fn ten_thousand_who_say_nothing_are_in_nobodys_way() {
    if !has_program("perl") || !has_program("bash") {
        return cannot_run("perl or bash, which opens the connections, is not here");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let before = memory_kib(&server);
    let address = server.address().to_string();
    let mut clients = Command::new("bash")
        .args(["-c", SCRIPT, "bash", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(clients.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    if line.trim() != CLIENTS.to_string() {
        _ = clients.kill();
        _ = clients.wait();
        return cannot_run(&format!("10,000 connections are not to be had: {line:?}"));
    }
    until("all are served", || connections(&server) > CLIENTS);
    for _ in 0..100 {
        server.ask("GET /v1/default/k", &[], b"").is(200).holds("v");
    }
    let each = (memory_kib(&server) - before) * 1024 / CLIENTS;
    tell_count(&format!("{CLIENTS} idle connections of {each} bytes each"));
    assert!(each < 20_000, "{each}");
    drop(clients.stdin.take());
    said.read_to_string(&mut line).unwrap();
    clients.wait().unwrap();
    until("all are forgotten", || connections(&server) < 10);
    server.ask("GET /v1/default/k", &[], b"").is(200).holds("v");
}
