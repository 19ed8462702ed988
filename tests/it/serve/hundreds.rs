//! Clients by the hundred that half-close, break off, stand still and are slow: whatever was
//! acknowledged is there, and what was done without an answer can be told from the store.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::Signal;
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::bytes;
use super::client::{Client, Server};
use crate::harness::{Engine, Sandbox, tell_count, until};

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It sends no more once it has asked, and reads.
    HalfClosed,
    /// It goes away once it has asked.
    Cut,
    /// It asks, and stands still until all others have ended.
    Suspended,
    /// It sends a few bytes at a time.
    Slow,
}

const KINDS: [Kind; 4] = [Kind::HalfClosed, Kind::Cut, Kind::Suspended, Kind::Slow];
const EACH: usize = 100;
const ALL: usize = EACH * KINDS.len();

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    Done,
    Refused,
    Unanswered,
}

/// Sends a request as such a client does, and returns the answer if it waits for one.
fn ask(
    server: &Server,
    kind: Kind,
    others: &AtomicUsize,
    request: &str,
    body: &[u8],
) -> (Became, String) {
    let mut client = server.connect();
    let host = server.address();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let bytes = [head.as_bytes(), body].concat();
    let step = match kind {
        Kind::Slow => bytes.len().div_ceil(20),
        _ => bytes.len(),
    };
    for part in bytes.chunks(step) {
        client.send(part).unwrap();
        if kind == Kind::Slow {
            thread::sleep(Duration::from_millis(10));
        }
    }
    match kind {
        Kind::Cut => return (Became::Unanswered, String::new()),
        Kind::HalfClosed => client.end(),
        Kind::Suspended => until("all others have ended", || {
            thread::sleep(Duration::from_millis(50));
            others.load(Ordering::Relaxed) == ALL - EACH
        }),
        Kind::Slow => {}
    }
    let answer = client
        .answer(false)
        .unwrap_or_else(|| panic!("{kind:?}: {request}: no answer"));
    let became = match answer.code {
        200..300 => Became::Done,
        503 => Became::Refused,
        code => panic!("{kind:?}: {request}: {code}: {}", answer.text()),
    };
    (became, answer.text())
}

/// While a service stands still, more come than the library would let wait; all of them are answered,
/// also those who send no more.
#[test]
fn whoever_comes_while_a_service_stands_still_is_answered() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--sync", "off"]);
    server.signal(Signal::SIGSTOP);
    let clients: Vec<Client> = (0..ALL)
        .map(|n| {
            let stream = TcpStream::connect_timeout(&server.address(), Duration::from_secs(10));
            let mut client = Client::on(stream.expect("a place in the queue")).unwrap();
            let request = format!("PUT /v1/default/k{n}");
            client.begin(&request, &[], 0).unwrap();
            client.end();
            client
        })
        .collect();
    server.signal(Signal::SIGCONT);
    for mut client in clients {
        client.answer(false).expect("an answer").is(201);
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_else_is_unknown() {
    for engine in [Engine::Tree, Engine::Sqlite] {
        one_engine(engine);
    }
}

fn one_engine(engine: Engine) {
    let kv = Sandbox::on(engine);
    let lines: String = (0..ALL).map(|n| format!("push full {n}\n")).collect();
    kv.feed(["batch", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Success);
    let server = Server::of(&kv, &["--sync", "off"]);
    let value = |n: usize| format!("value {n} ").repeat(500);
    let others = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for n in 0..ALL {
            let (server, others, all) = (&server, &others, &all);
            scope.spawn(move || {
                let kind = KINDS[n % KINDS.len()];
                let ask =
                    |request: &str, body: &str| ask(server, kind, others, request, body.as_bytes());
                let one = match n / KINDS.len() % 4 {
                    0 => ("put", ask(&format!("PUT /v1/default/k{n}"), &value(n))),
                    1 => ("push", ask("POST /v1/made?op=push", &n.to_string())),
                    2 => ("incr", ask("POST /v1/default/sum?op=incr", "")),
                    _ => ("pop", ask("POST /v1/full?op=pop", "")),
                };
                if kind != Kind::Suspended {
                    others.fetch_add(1, Ordering::Relaxed);
                }
                all.lock().unwrap().push((n, kind, one.0, one.1));
            });
        }
    });
    // What nobody waits for any more comes to its end, too.
    drop(server.stop());
    let all = all.into_inner().unwrap();
    let mut counts = BTreeMap::<_, usize>::new();
    for (_, kind, verb, (became, _)) in &all {
        *counts.entry((*verb, *became)).or_default() += 1;
        assert_eq!(*became == Became::Unanswered, *kind == Kind::Cut);
    }
    let of = |verb, became| counts.get(&(verb, became)).copied().unwrap_or(0);
    let items = |list: &str| -> Vec<usize> {
        let ran = kv.run(["items", list]).ends(Exit::Success).stdout_text();
        let mut items: Vec<usize> = ran.lines().map(|line| line.parse().unwrap()).collect();
        items.sort_unstable();
        items
    };
    let (made, left) = (items("made"), items("full"));
    let (mut put, mut popped) = (0, Vec::new());
    for (n, kind, verb, (became, text)) in &all {
        match (*verb, became) {
            ("put", Became::Done) => kv.holds(&format!("k{n}"), value(*n)),
            ("put", Became::Refused) => kv.lacks(&format!("k{n}")),
            // All of it, or nothing.
            ("put", Became::Unanswered) => {
                let got = kv.run(["get", &format!("k{n}")]).stdout_text();
                assert!(got.is_empty() || got == value(*n), "{kind:?}: {got}");
                put += usize::from(!got.is_empty());
            }
            ("push", _) => {
                let times = made.iter().filter(|element| *element == n).count();
                let fine = match became {
                    Became::Done => times == 1,
                    Became::Refused => times == 0,
                    Became::Unanswered => times <= 1,
                };
                assert!(fine, "{kind:?}: {n} is there {times} times");
            }
            ("pop", Became::Done) => popped.push(text.parse::<usize>().unwrap()),
            _ => {}
        }
    }
    // Nobody has two of one element, and what is in nobody's hands was asked for by who went away.
    let taken = popped.len();
    let mut known = [popped, left].concat();
    known.sort_unstable();
    let len = known.len();
    known.dedup();
    assert_eq!(known.len(), len, "an element was given to two");
    let gone = ALL - len;
    assert!(gone <= of("pop", Became::Unanswered), "{gone} were lost");
    let sum = kv.run(["get", "sum"]).ends(Exit::Success).stdout_text();
    let sum: usize = sum.parse().unwrap();
    let counted = of("incr", Became::Done);
    let unanswered = of("incr", Became::Unanswered);
    assert!((counted..=counted + unanswered).contains(&sum), "{sum}");
    let pushed = of("push", Became::Done);
    tell_count(&format!(
        "{engine:?}: {ALL} clients; acknowledged and there: {} put, {pushed} pushed, {counted} added, \
         {taken} popped; done without an answer of {EACH}: {put} put, {} pushed, {} added, {gone} popped",
        of("put", Became::Done),
        made.len() - pushed,
        sum - counted,
    ));
}

#[test]
fn who_reads_nothing_of_a_large_value_keeps_nobody_from_storing_one() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &["--sync", "off", "--busy-timeout", "2s"]);
    // More than the kernel keeps for who sends (tcp_wmem of tcp(7): 4 MiB) and for who reads so little.
    server
        .ask("PUT /v1/default/large", &[], &bytes(16 << 20))
        .is(201);
    let readers: Vec<Client> = (0..140)
        .map(|_| {
            let mut client = server.connect();
            set_socket_recv_buffer_size(client.stream().get_ref(), 4096).unwrap();
            client.begin("GET /v1/default/large", &[], 0).unwrap();
            client
        })
        .collect();
    until("no value more is sent", || {
        let code = server
            .ask("GET /v1/default/large", &["Range: bytes=0-0"], b"")
            .code;
        code == 503
    });
    let value = bytes(1 << 20);
    server.ask("PUT /v1/default/other", &[], &value).is(201);
    drop(readers);
    kv.holds("other", &value);
}
