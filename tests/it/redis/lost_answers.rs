//! A change whose answer is lost is asked for again, and is carried out once.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use kv::exit::Exit;

use super::cases::On;
use super::servers::server;

/// Stands between kv and a server, and loses the answers to calls of scripts, once in a command.
struct Lossy {
    port: u16,
    /// Answers that are still to be lost.
    to_lose: Arc<AtomicU32>,
    lost: Arc<AtomicU32>,
}

impl Lossy {
    fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to_lose, lost) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let counters = (Arc::clone(&to_lose), Arc::clone(&lost));
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (to_lose, lost) = (Arc::clone(&counters.0), Arc::clone(&counters.1));
                thread::spawn(move || _ = pass(client, server, &to_lose, &lost));
            }
        });
        Self {
            port,
            to_lose,
            lost,
        }
    }
}

/// Passes on what is said, a question and an answer at a time, as kv waits for each answer.
fn pass(
    mut client: TcpStream,
    server: u16,
    to_lose: &AtomicU32,
    lost: &AtomicU32,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server))?;
    let mut buf = vec![0; 64 * 1024];
    loop {
        let n = client.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        let calls = buf[..n].windows(7).any(|word| word == b"EVALSHA");
        server.write_all(&buf[..n])?;
        let mut back = server.try_clone()?;
        let n = back.read(&mut buf)?;
        let is_carried_out = !buf[..n].starts_with(b"-NOSCRIPT");
        if calls && is_carried_out && to_lose.load(Ordering::SeqCst) > 0 {
            to_lose.fetch_sub(1, Ordering::SeqCst);
            lost.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        client.write_all(&buf[..n])?;
    }
}

#[test]
fn a_change_takes_place_once_though_its_answer_is_lost() {
    let Some(server) = server() else {
        return;
    };
    let straight = On::new(server.store());
    let lossy = Lossy::new(server.port);
    let port = |port: u16| format!(":{port}?");
    let through = On::new(
        straight
            .store
            .replace(&port(server.port), &port(lossy.port)),
    );
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
fn a_change_of_another_is_not_undone_by_a_call_that_comes_twice() {
    let Some(server) = server() else {
        return;
    };
    let on = On::new(server.store());
    on.put("k", "1");
    let etag = on.run(&["stat", "--field", "etag", "k"]).line();
    let name = server.cli(&["--scan", "--pattern", &format!("*o:{etag}")]);
    // The mark of the call is there, and goes by itself.
    assert!(name.ends_with(&etag), "{name:?}");
    assert_ne!(server.cli(&["pttl", &name]), "-1");
}
