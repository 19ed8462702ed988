//! Calls that come late, twice, or after their answer: none changes anything by then.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use super::cases::On;
use super::lost_answers::relay;
use super::servers::{Server, each_server};
use crate::harness::until;
use crate::process::{Started, serve};

/// Stands between kv and a server. It keeps a call of a script back until it is let go, and can turn away
/// whoever comes.
#[derive(Clone, Default)]
struct Gate {
    port: u16,
    keeps_next: Arc<AtomicBool>,
    is_kept: Arc<AtomicBool>,
    is_let_go: Arc<AtomicBool>,
    is_shut: Arc<AtomicBool>,
    loses_answer: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
    /// What the server answered to the call that was kept.
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Gate {
    fn new(server: u16) -> Self {
        let mut gate = Self::default();
        let shared = gate.clone();
        gate.port = serve(move |client| _ = shared.pass(client, server)).port();
        gate
    }

    fn pass(&self, client: TcpStream, server: u16) -> std::io::Result<()> {
        if self.is_shut.load(Ordering::SeqCst) {
            return Ok(());
        }
        let keeps = Arc::new(AtomicBool::new(false));
        let (gate, was_kept) = (self.clone(), Arc::clone(&keeps));
        let hear = move |question: &[u8]| {
            if !question.windows(7).any(|word| word == b"EVALSHA") {
                return;
            }
            gate.calls.fetch_add(1, Ordering::SeqCst);
            if gate.keeps_next.swap(false, Ordering::SeqCst) {
                keeps.store(true, Ordering::SeqCst);
                gate.is_kept.store(true, Ordering::SeqCst);
                while !gate.is_let_go.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        };
        relay(client, server, hear, |answer, calls| {
            if was_kept.load(Ordering::SeqCst) {
                self.answer.lock().unwrap().extend_from_slice(answer);
            }
            let is_lost = calls && self.loses_answer.swap(false, Ordering::SeqCst);
            if is_lost {
                self.is_shut.store(true, Ordering::SeqCst);
                self.is_kept.store(true, Ordering::SeqCst);
            }
            !is_lost
        })
    }

    fn wait_until_kept(&self) {
        until("a call is kept back", || {
            self.is_kept.load(Ordering::SeqCst)
        });
    }

    /// Lets the call go, and returns what the server answers to it.
    fn let_go(&self) -> String {
        self.is_let_go.store(true, Ordering::SeqCst);
        until("it is answered", || !self.answer.lock().unwrap().is_empty());
        String::from_utf8_lossy(&self.answer.lock().unwrap()).into_owned()
    }
}

/// Hands a case a store, and the same one through a gate, on a server and on a cluster.
fn through_gate(case: fn(&Server, &On, &On, &Gate)) {
    for server in each_server() {
        let (straight, gated, gate) = gate_before(server);
        case(server, &straight, &gated, &gate);
    }
}

fn gate_before(server: &Server) -> (On, On, Gate) {
    let straight = On::new(server.store());
    // The scripts are there, so that the first call is the one that counts.
    straight.put("loaded", "");
    straight.run(&["incr", "n"]).ends(Exit::Success);
    straight.run(&["push", "loaded", ""]).ends(Exit::Success);
    straight.run(&["rm", "loaded"]).ends(Exit::Success);
    let gate = Gate::new(server.port);
    let gated = straight.by(server.port, gate.port);
    (straight, gated, gate)
}

#[test]
fn a_call_that_comes_after_its_time_changes_nothing() {
    through_gate(|_, straight, gated, gate| {
        gate.keeps_next.store(true, Ordering::SeqCst);
        let incr = Started::new(gated.command(&["incr", "n", "--busy-timeout", "1s"]));
        gate.wait_until_kept();
        gate.is_shut.store(true, Ordering::SeqCst);
        incr.end()
            .ends(Exit::Failure)
            .complains(&["may have been made all the same"]);
        // As a network does that comes back, when the time is over by any clock.
        thread::sleep(Duration::from_secs(2));
        let answer = gate.let_go();
        assert!(answer.contains("late"), "{answer}");
        straight.holds("n", "1");
    });
}

#[test]
fn what_was_answered_stays_so_though_the_call_comes_once_more() {
    through_gate(|_, straight, gated, gate| {
        gate.keeps_next.store(true, Ordering::SeqCst);
        straight.put("k", "old");
        // The first time is kept back, and the second is told that there is one.
        gated
            .run(&["put", "k", "new", "--if-absent"])
            .ends(Exit::No)
            .is_silent();
        straight.run(&["rm", "k"]).ends(Exit::Success);
        let answer = gate.let_go();
        assert!(answer.contains("\r\nno\r\n"), "{answer}");
        straight.run(&["get", "k"]).ends(Exit::No);
    });
}

#[test]
fn who_was_stopped_for_too_long_sends_nothing_again() {
    through_gate(|_, straight, gated, gate| {
        gate.loses_answer.store(true, Ordering::SeqCst);
        let incr = Started::new(gated.command(&["incr", "n", "--busy-timeout", "2s"]));
        gate.wait_until_kept();
        incr.signal(Signal::SIGSTOP);
        let calls = gate.calls.load(Ordering::SeqCst);
        gate.is_shut.store(false, Ordering::SeqCst);
        // Its time passes while it is stopped.
        thread::sleep(Duration::from_millis(2_500));
        incr.signal(Signal::SIGCONT);
        incr.end()
            .ends(Exit::Failure)
            .prints("")
            .complains(&["may have been made all the same"]);
        assert_eq!(gate.calls.load(Ordering::SeqCst), calls);
        straight.holds("n", "2");
    });
}

#[test]
fn a_repair_leaves_what_was_written_since() {
    through_gate(|server, straight, gated, gate| {
        straight.put("k", "old");
        let name = format!("{}e:k", straight.tag("k"));
        server.cli(&["SETRANGE", &name, "100", "zzzz"]);
        gate.keeps_next.store(true, Ordering::SeqCst);
        let fsck = Started::new(gated.command(&["fsck", "--repair"]));
        gate.wait_until_kept();
        straight.put("k", "new");
        gate.let_go();
        fsck.end().ends(Exit::Success);
        straight.holds("k", "new");
    });
}
