//! Servers that answer what no server of Redis does: an end in time, a line, and no answer made of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kv::engine::Sync;
use kv::exit::Exit;
use kv::store::{Key, Time};

use super::cases::On;
use crate::harness::until;
use crate::library::open;
use crate::process::serve;

/// Somebody has asked for the key `slow`, which is answered when somebody lets it.
static SLOW_IS_ASKED: AtomicBool = AtomicBool::new(false);
static SLOW_IS_LET_GO: AtomicBool = AtomicBool::new(false);

/// What it answers to whatever is no question about itself; the part behind `…` comes again and again.
const ANSWERS: [&[u8]; 15] = [
    b"+OK\r\n",
    b"$-1\r\n",
    b":-99\r\n",
    b"*0\r\n",
    b"$4\r\ndone\r\n",
    b"$8\r\nregister\r\n",
    b"$-5\r\n",
    b"$9999999999999\r\n",
    b"*2000000000\r\n",
    b"%1\r\n+a\r\n+b\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"-ERR \x1b[31mevil\x07\r\n",
    b"+\xffaaaa\xff",
    b"$9999999999999\r\n\xffaaaa\xff",
    b"-NOSCRIPT No matching script.\r\n",
];

/// What it answers to every script, so that whoever asked begins again: an element that is in its list
/// and nowhere else, and a number that is to be looked at once more.
const AGAIN: [&[u8]; 2] = [b"$1\r\n0\r\n", b"$4\r\nlook\r\n"];
const ELEMENT: &str = "00000000000000000001";

const INFO: &str = "redis_version:7.0.15\r\nrole:master\r\nconnected_slaves:0\r\n\
                    repl_backlog_active:0\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";

/// The name of a node of a cluster.
const NODE: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a server seems to be by what it tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It tells nothing of itself.
    Odd,
    Single,
    Cluster,
}

/// Starts a server that answers so, and returns its port.
fn start(answer: &'static [u8], kind: Kind) -> u16 {
    serve(move |client| _ = reply(client, answer, kind)).port()
}

fn reply(mut client: TcpStream, answer: &[u8], kind: Kind) -> std::io::Result<()> {
    let is_plausible = kind != Kind::Odd;
    let mut from = BufReader::new(client.try_clone()?);
    let number = |from: &mut BufReader<TcpStream>| -> std::io::Result<usize> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let digits = line.get(1..).unwrap_or_default().trim_end();
        digits.parse().map_err(std::io::Error::other)
    };
    loop {
        let mut words = Vec::new();
        for _ in 0..number(&mut from)? {
            let mut word = vec![0; number(&mut from)? + 2];
            from.read_exact(&mut word)?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
        }
        if words.iter().any(|word| word.ends_with("e:slow")) {
            SLOW_IS_ASKED.store(true, Ordering::SeqCst);
            until("it is let go", || SLOW_IS_LET_GO.load(Ordering::SeqCst));
        }
        match words[0].as_str() {
            "CLUSTER" if kind == Kind::Cluster => {
                let port = client.local_addr()?.port();
                let nodes =
                    format!("{NODE} 127.0.0.1:{port}@1 myself,master - 0 0 1 connected 0-16383\n");
                let answer = match words[1].as_str() {
                    "SLOTS" => format!(
                        "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$40\r\n{NODE}\r\n"
                    ),
                    _ => format!("${}\r\n{nodes}\r\n", nodes.len()),
                };
                client.write_all(answer.as_bytes())?;
            }
            "CLUSTER" if is_plausible => {
                client.write_all(b"-ERR This instance has cluster support disabled\r\n")?;
            }
            "INFO" if is_plausible => {
                client.write_all(format!("${}\r\n{INFO}\r\n", INFO.len()).as_bytes())?;
            }
            "TIME" if is_plausible => client.write_all(b"*2\r\n$2\r\n50\r\n$1\r\n0\r\n")?,
            "WAIT" if is_plausible => client.write_all(b":0\r\n")?,
            "SCRIPT" if is_plausible => client.write_all(b"$1\r\nx\r\n")?,
            "GET" if AGAIN.contains(&answer) => client.write_all(b"$-1\r\n")?,
            "ZRANGEBYLEX" if AGAIN.contains(&answer) => {
                client.write_all(format!("*1\r\n$20\r\n{ELEMENT}\r\n").as_bytes())?;
            }
            _ => {
                let mut parts = answer.split(|byte| *byte == 0xff);
                client.write_all(parts.next().unwrap_or_default())?;
                while let Some(again) = parts.clone().next().filter(|again| !again.is_empty()) {
                    client.write_all(&again.repeat(16 * 1024))?;
                }
            }
        }
    }
}

#[test]
fn whatever_a_server_answers_is_no_silent_answer() {
    // Most of the time each of them waits.
    thread::scope(|scope| {
        for (number, answer) in ANSWERS.into_iter().enumerate() {
            for kind in [Kind::Odd, Kind::Single, Kind::Cluster] {
                scope.spawn(move || is_no_silent_answer(number, answer, kind));
            }
        }
    });
}

fn is_no_silent_answer(number: usize, answer: &'static [u8], kind: Kind) {
    let commands = [
        &["put", "k", "v"][..],
        &["incr", "k"],
        &["push", "l", "v"],
        &["append", "k", "v"],
        &["lock", "--no-wait", "l", "--", "true"],
        &["ls"],
        &["get", "k"],
        &["namespaces"],
        &["pop", "l"],
    ];
    let on = On::new(format!("redis://127.0.0.1:{}", start(answer, kind)));
    for args in commands {
        let ran = on.run_within("300ms", args);
        let code = ran.status().code();
        let shown = || format!("{}\n{}", answer.escape_ascii(), ran.report());
        // What is answered to all may be an answer to some.
        let is_one = kind != Kind::Odd
            && matches!(
                (number, args[0]),
                (1, "get") | (3, "pop" | "ls" | "namespaces") | (4, "put" | "push")
            );
        if is_one {
            continue;
        }
        assert!([Some(4), Some(5), Some(125)].contains(&code), "{}", shown());
        let text = ran.stderr_text();
        assert_eq!(text.lines().count(), 1, "{}", shown());
        let is_plain = !text.contains("\\n") && !text.contains('\x1b');
        assert!(is_plain, "{}", shown());
    }
}

#[test]
fn nobody_begins_again_for_ever() {
    for (answer, args) in AGAIN.into_iter().zip([["pop", "l"], ["incr", "k"]]) {
        let on = On::new(format!("redis://127.0.0.1:{}", start(answer, Kind::Single)));
        let ran = on.run_within("300ms", &args);
        ran.ends(Exit::Busy).complains(&[]);
    }
}

#[test]
fn who_waits_for_a_server_keeps_nobody_else_waiting() {
    let server = start(b"$-1\r\n", Kind::Single);
    let store = open(format!("redis://127.0.0.1:{server}"), Sync::Full, 100);
    let get = |key: &str| {
        let key = Key::new(key.into()).unwrap();
        store.get(&"default".parse().unwrap(), &key, Time(0))
    };
    thread::scope(|scope| {
        let slow = scope.spawn(|| get("slow"));
        until("it is asked", || SLOW_IS_ASKED.load(Ordering::SeqCst));
        assert!(get("quick").unwrap().is_none());
        assert!(!slow.is_finished());
        SLOW_IS_LET_GO.store(true, Ordering::SeqCst);
        assert!(slow.join().unwrap().unwrap().is_none());
    });
}

#[test]
fn a_cluster_that_keeps_redirecting_is_named() {
    let server = start(b"-MOVED 1234 127.0.0.1:1\r\n", Kind::Single);
    let on = On::new(format!("redis://127.0.0.1:{server}"));
    let ran = on.run_within("200ms", &["get", "k"]);
    ran.ends(Exit::Failure).prints("").complains(&[
        &format!("127.0.0.1:{server}"),
        "redirecting (MOVED, ASK), last to 127.0.0.1:1",
        "CLUSTER SLOTS",
    ]);
}
