//! A change whose answer is lost is asked for again, and is carried out once.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use kv::exit::Exit;

use super::cases::On;
use super::servers::{Server, each_server, server};
use crate::process::serve;

/// Stands between kv and a server, and loses the answers to calls of scripts, once in a command.
struct Lossy {
    port: u16,
    /// Answers that are still to be lost.
    to_lose: Arc<AtomicU32>,
    lost: Arc<AtomicU32>,
}

impl Lossy {
    fn new(server: u16) -> Self {
        let (to_lose, lost) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let counters = (Arc::clone(&to_lose), Arc::clone(&lost));
        let address = serve(move |client| _ = pass(client, server, &counters.0, &counters.1));
        Self {
            port: address.port(),
            to_lose,
            lost,
        }
    }
}

/// Passes on what is said, until an answer is not to be passed on; a node of a cluster that tells where it
/// is means this place. Whether it is asked of each part that
/// comes, with whether a script was called before it.
pub fn relay(
    client: TcpStream,
    server: u16,
    mut hear: impl FnMut(&[u8]) + Send + 'static,
    mut passes: impl FnMut(&[u8], bool) -> bool,
) -> std::io::Result<()> {
    let [there, here] = [server, client.local_addr()?.port()].map(|port| format!(":{port}\r\n"));
    let server = TcpStream::connect(("127.0.0.1", server))?;
    let calls = Arc::new(AtomicBool::new(false));
    let ends = [client.try_clone()?, server.try_clone()?];
    let (mut from, mut to, called) = (client.try_clone()?, server.try_clone()?, calls.clone());
    thread::spawn(move || {
        let mut buf = vec![0; 64 * 1024];
        while let Ok(n) = from.read(&mut buf)
            && n > 0
        {
            let question = &buf[..n];
            let is_call = question.windows(7).any(|word| word == b"EVALSHA");
            if is_call || question.starts_with(b"*") {
                called.store(is_call, Ordering::SeqCst);
            }
            hear(question);
            if to.write_all(question).is_err() {
                break;
            }
        }
        // What was asked is answered all the same.
        _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let mut buf = vec![0; 64 * 1024];
    while let Ok(n) = from.read(&mut buf)
        && n > 0
        && passes(&buf[..n], calls.load(Ordering::SeqCst))
        && to
            .write_all(&replaced(&buf[..n], there.as_bytes(), here.as_bytes()))
            .is_ok()
    {}
    for end in ends {
        _ = end.shutdown(Shutdown::Both);
    }
    Ok(())
}

/// Puts one text in the place of another.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut done = Vec::new();
    while let Some(at) = rest.windows(old.len()).position(|part| part == old) {
        done.extend_from_slice(&rest[..at]);
        done.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    [&done, rest].concat()
}

/// Passes on what is said, but for answers that are to be lost.
fn pass(
    client: TcpStream,
    server: u16,
    to_lose: &AtomicU32,
    lost: &AtomicU32,
) -> std::io::Result<()> {
    relay(
        client,
        server,
        |_| (),
        |answer, calls| {
            let is_carried_out = !answer.starts_with(b"-NOSCRIPT");
            let is_lost = calls && is_carried_out && to_lose.load(Ordering::SeqCst) > 0;
            if is_lost {
                to_lose.fetch_sub(1, Ordering::SeqCst);
                lost.fetch_add(1, Ordering::SeqCst);
            }
            !is_lost
        },
    )
}

#[test]
fn a_change_takes_place_once_though_its_answer_is_lost() {
    each_server().for_each(takes_place_once);
}

fn takes_place_once(server: &Server) {
    let straight = On::new(server.store());
    let lossy = Lossy::new(server.port);
    let through = straight.by(server.port, lossy.port);
    let mut commands = 0;
    let mut lose = |args: &[&str], exit: Exit, prints: &str| {
        // The first call finds the namespace registered: what is lost is the answer to a change.
        lossy.to_lose.store(1, Ordering::SeqCst);
        through.run(args).ends(exit).prints(prints).warns("");
        assert_eq!(
            lossy.to_lose.load(Ordering::SeqCst),
            0,
            "nothing was lost: {args:?}"
        );
        commands += 1;
    };
    for key in ["old", "gone", "n"] {
        straight.put(key, "7");
    }
    straight.run(&["push", "jobs", "first"]).ends(Exit::Success);
    straight
        .run(&["push", "jobs", "second"])
        .ends(Exit::Success);
    straight
        .run(&["incr", "n"])
        .ends(Exit::Success)
        .prints("8\n");

    lose(&["incr", "n"], Exit::Success, "9\n");
    lose(&["put", "old", "x", "--if-value", "7"], Exit::Success, "");
    lose(&["rm", "gone"], Exit::Success, "");
    lose(&["get", "old", "--remove"], Exit::Success, "x");
    lose(&["put", "old", "y", "--if-absent"], Exit::Success, "");
    lose(&["push", "jobs", "third"], Exit::Success, "");
    lose(&["pop", "jobs"], Exit::Success, "first");
    lose(&["pop", "jobs", "--last"], Exit::Success, "third");
    lose(&["expire", "old", "1h"], Exit::Success, "");
    lose(&["append", "n", "0"], Exit::Success, "");
    straight.holds("n", "90");
    straight
        .run(&["items", "jobs"])
        .ends(Exit::Success)
        .prints("second\n");
    assert_eq!(lossy.lost.load(Ordering::SeqCst), commands);
    crate::harness::tell_count(&format!("{commands} answers lost"));
}

#[test]
fn the_mark_of_a_call_goes_by_itself() {
    let Some(server) = server() else {
        return;
    };
    let on = On::new(server.store());
    on.put("k", "1");
    let etag = on.run(&["stat", "--field", "etag", "k"]).line();
    let name = server.cli(&["--scan", "--pattern", &format!("*o:{etag}")]);
    assert!(name.ends_with(&etag), "{name:?}");
    let left: i64 = server.cli(&["pttl", &name]).parse().unwrap();
    assert!(left > 0, "{left}");
}

#[test]
fn what_counts_entries_counts_each_once_though_an_answer_is_lost() {
    each_server().for_each(counts_each_once);
}

fn counts_each_once(server: &Server) {
    let straight = On::new(server.store());
    straight.put("loaded", "");
    let lossy = Lossy::new(server.port);
    let through = straight.by(server.port, lossy.port);
    let keys: String = (0..1_500).map(|n| format!("key {n}\n")).collect();
    let lines: String = keys.lines().map(|key| format!("{key}\tv\n")).collect();
    let lose = |args: &[&str], input: &str| {
        lossy.to_lose.store(1, Ordering::SeqCst);
        let ran = through.feed(args, input.as_bytes());
        assert_eq!(lossy.to_lose.load(Ordering::SeqCst), 0, "{}", ran.report());
        ran
    };
    // An import says whether it left any.
    lose(&["import", "--tsv", "--if-absent"], &lines)
        .ends(Exit::Success)
        .is_silent();
    lose(&["rm", "--stdin"], &keys)
        .ends(Exit::Success)
        .is_silent();
    straight.run(&["ls"]).ends(Exit::Success).prints("loaded\n");
}
