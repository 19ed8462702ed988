//! How much of large requests is in memory at once.

use std::thread;

use kv::exit::Exit;

use super::bytes;
use super::client::Server;
use crate::harness::{Sandbox, cannot_run, tell_count};

/// What a service takes that is asked for nothing large, threads and their stacks included.
const BASE_MIB: usize = 32;

/// A service that gives back to the system what it frees, so that what is measured is what it holds.
fn serve(kv: &Sandbox) -> Server {
    let mut command = kv.kv(["serve", "--listen", "127.0.0.1:0", "--sync", "off"]);
    Server::start(command.env("MALLOC_MMAP_THRESHOLD_", "1048576"))
}

/// Returns the most memory that a service has had so far, in MiB, where the system tells.
pub fn peak_mib(server: &Server) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: usize = peak.split_whitespace().next()?.parse().ok()?;
    Some(kib >> 10)
}

/// Sends the same request many times at once, and returns how each was answered.
fn all_at_once(server: &Server, count: usize, request: &str, body: &[u8]) -> Vec<(u16, usize)> {
    thread::scope(|scope| {
        let ask = |n| {
            move || {
                let request = request.replace("{n}", &format!("{n}"));
                let answer = server.ask(&request, &[], body);
                (answer.code, answer.body.len())
            }
        };
        let asked: Vec<_> = (0..count).map(|n| scope.spawn(ask(n))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[track_caller]
fn stays_below(server: &Server, what: &str, most: usize) {
    let Some(peak) = peak_mib(server) else {
        return cannot_run("there is no /proc that tells how much memory a process has had");
    };
    tell_count(&format!("{what} in {peak} MiB of memory"));
    assert!(peak < most, "{what}: {peak}");
}

#[test]
fn large_additions_are_served_one_after_another() {
    let kv = Sandbox::new();
    let server = serve(&kv);
    let request = "POST /v1/default/k{n}?op=append";
    let answers = all_at_once(&server, 40, request, &bytes(16 << 20));
    assert_eq!(answers, vec![(204, 0); 40]);
    stays_below(&server, "40 additions of 16 MiB", 128 + BASE_MIB);
}

#[test]
fn large_lines_of_imports_are_served_one_after_another() {
    let kv = Sandbox::new();
    let server = serve(&kv);
    let line = |len: usize| format!("{{\"key\":\"k\",\"value\":\"{}\"}}\n", "x".repeat(len));
    let request = "POST /v1/n{n}?op=import";
    let answers = all_at_once(&server, 6, request, line(30 << 20).as_bytes());
    assert!(answers.iter().all(|(code, _)| *code == 200), "{answers:?}");
    server
        .ask("POST /v1/default?op=import", &[], line(60 << 20).as_bytes())
        .refuses(400, Exit::Usage);
    kv.lacks("k");
    stays_below(&server, "lines of 30 and 60 MiB", 128 + BASE_MIB);
}

#[test]
fn large_replies_of_a_batch_are_not_held() {
    let kv = Sandbox::new();
    let server = serve(&kv);
    let value = bytes(60 << 20);
    server.ask("PUT /v1/default/k", &[], &value).is(201);
    let request = "POST /v1/default?op=batch&end=1";
    let answers = all_at_once(&server, 3, request, b"get k\nget k\n");
    let frames = 2 * ("0 62914560\n\n".len() + value.len()) + "{\"end\":2}\n".len();
    assert_eq!(answers, vec![(200, frames); 3]);
    stays_below(&server, "6 replies of 60 MiB", 2 * BASE_MIB);
}

#[test]
fn commands_of_a_batch_are_counted_with_their_copies() {
    let kv = Sandbox::new();
    let server = serve(&kv);
    let command = format!("[\"put\",\"k\",\"{}\"]\n", "x".repeat(15 << 20));
    let request = "POST /v1/n{n}?op=batch&json=1";
    let answers = all_at_once(&server, 6, request, command.as_bytes());
    assert_eq!(answers, vec![(200, 5); 6]);
    stays_below(&server, "6 commands of 15 MiB", 128 + BASE_MIB);
}

/// Where glibc's further pools of memory begin.
const POOL: u64 = 64 << 20;

#[test]
fn threads_share_pools_of_memory() {
    let kv = Sandbox::new();
    let server = serve(&kv);
    let answers = all_at_once(&server, 40, "PUT /v1/default/k{n}", b"v");
    assert_eq!(answers, vec![(201, 0); 40]);
    let Ok(maps) = std::fs::read_to_string(format!("/proc/{}/maps", server.pid())) else {
        return cannot_run("there is no /proc that tells where a process has its memory");
    };
    let start = |line: &str| u64::from_str_radix(line.split('-').next()?, 16).ok();
    let is_pool = |line: &&str| {
        line.contains(" rw-p ") && start(line).is_some_and(|start| start.is_multiple_of(POOL))
    };
    let pools = maps.lines().filter(is_pool).count();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    tell_count(&format!("{pools} pools of memory beside the first"));
    assert!(pools < workers.div_ceil(4), "{maps}");
}
