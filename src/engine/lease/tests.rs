//! Locks that are kept, lost, and given back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;

use crate::store::StoreError;

use super::*;

/// What a lock answers to those who ask to keep it.
type Keeps = Box<dyn Fn(u32) -> Result<bool> + Send + Sync>;

/// A lock that says busy so many times before it is had.
struct Scripted {
    busy: Mutex<u32>,
    kept: AtomicU32,
    keeps: Keeps,
    freed: AtomicBool,
}

impl Scripted {
    fn new(busy: u32, keeps: impl Fn(u32) -> Result<bool> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            busy: Mutex::new(busy),
            kept: AtomicU32::new(0),
            keeps: Box::new(keeps),
            freed: AtomicBool::new(false),
        })
    }

    fn is_free(&self) -> bool {
        self.freed.load(Ordering::SeqCst)
    }
}

impl Grant for Scripted {
    fn take(&self) -> Result<Attempt> {
        let mut busy = self.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            return Ok(Attempt::Busy(Duration::ZERO));
        }
        Ok(Attempt::Held(7))
    }

    fn keep(&self) -> Result<bool> {
        (self.keeps)(self.kept.fetch_add(1, Ordering::SeqCst))
    }

    fn free(&self) -> Result<()> {
        self.freed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

struct Never;

impl Watcher for Never {
    fn wait(&mut self, _until: Option<Instant>) -> Result<()> {
        Ok(())
    }
}

fn try_for(busy: u32, patience: Option<Duration>) -> (Arc<Scripted>, Option<Held>) {
    let grant = Scripted::new(busy, |_| Ok(true));
    let shared: Arc<dyn Grant> = Arc::clone(&grant) as Arc<dyn Grant>;
    let held = acquire(shared, patience, &mut || Ok(Box::new(Never))).unwrap();
    (grant, held)
}

/// Keeps a lock at this pace, and returns what is told when it is lost.
fn keep(grant: &Arc<Scripted>, lasts: u64, every: u64) -> (Box<Lease>, Receiver<()>) {
    let pace = Pace {
        lasts: Duration::from_millis(lasts),
        every: Duration::from_millis(every),
        retry: Duration::from_millis(1),
        glance: Duration::from_millis(10),
    };
    let grant = Arc::clone(grant) as Arc<dyn Grant>;
    let lease = Box::new(Lease::new(grant, 7, os::since_boot(), pace).unwrap());
    let (sender, told) = mpsc::channel();
    lease.on_loss(Box::new(move || sender.send(()).unwrap()));
    (lease, told)
}

fn out_of_reach() -> StoreError {
    StoreError::io("reach", "it", std::io::ErrorKind::ConnectionRefused.into())
}

#[test]
fn who_waits_gets_it_and_gives_it_back() {
    let (grant, held) = try_for(5, None);
    let held = held.unwrap();
    assert_eq!((held.token(), held.is_lost()), (Some(7), false));
    assert!(!grant.is_free());
    assert!(held.end());
    assert!(grant.is_free());
}

#[test]
fn who_drops_it_gives_it_back() {
    let (grant, held) = try_for(0, None);
    drop(held);
    assert!(grant.is_free());
}

#[test]
fn who_does_not_wait_tries_once() {
    let (grant, held) = try_for(1, Some(Duration::ZERO));
    assert!(held.is_none());
    assert_eq!(*grant.busy.lock().unwrap(), 0);
    assert!(!grant.is_free());
}

#[test]
fn what_is_kept_is_not_lost() {
    let grant = Scripted::new(0, |_| Ok(true));
    let (lease, told) = keep(&grant, 60_000, 1);
    while grant.kept.load(Ordering::SeqCst) < 20 {
        thread::yield_now();
    }
    assert!(!lease.is_lost() && lease.end());
    assert!(told.try_recv().is_err() && grant.is_free());
}

#[test]
fn who_is_told_that_it_is_lost_says_so_at_once() {
    let grant = Scripted::new(0, |n| Ok(n < 3));
    let (lease, told) = keep(&grant, 60_000, 1);
    told.recv().unwrap();
    assert!(lease.is_lost());
    let (sender, again) = mpsc::channel();
    lease.on_loss(Box::new(move || sender.send(()).unwrap()));
    again.recv().unwrap();
    assert!(!lease.end());
}

#[test]
fn who_cannot_reach_the_store_knows_its_own_clock() {
    let grant = Scripted::new(0, |_| Err(out_of_reach()));
    let (lease, told) = keep(&grant, 200, 10);
    told.recv().unwrap();
    // It was not tried once only.
    assert!(grant.kept.load(Ordering::SeqCst) > 1);
    assert!(lease.is_lost() && !lease.end());
}

#[test]
fn who_gets_no_answer_knows_its_own_clock_and_waits_for_none() {
    let (sender, answer) = mpsc::channel::<()>();
    let answer = Mutex::new(answer);
    let grant = Scripted::new(0, move |_| {
        _ = answer.lock().unwrap().recv();
        Ok(true)
    });
    let (lease, told) = keep(&grant, 200, 10);
    told.recv().unwrap();
    // The answer comes after this only.
    assert!(!lease.end());
    drop(sender);
}

#[test]
fn what_was_lost_just_before_the_end_is_told_there() {
    let grant = Scripted::new(0, |_| Ok(false));
    let (lease, told) = keep(&grant, 60_000, 60_000);
    // Nobody has said so, and the store does when it is asked.
    assert!(lease.is_lost() && !lease.end());
    told.recv().unwrap();
}

#[test]
fn a_store_that_is_gone_at_the_end_had_granted_it_until_then() {
    let grant = Scripted::new(0, |_| Err(out_of_reach()));
    let (lease, told) = keep(&grant, 60_000, 60_000);
    assert!(lease.end());
    assert!(told.try_recv().is_err() && !grant.is_free());
}

#[test]
fn an_answer_that_was_long_on_its_way_is_asked_for_once_more() {
    let long_ago = os::since_boot().saturating_sub(Duration::from_secs(60));
    for (holds, keeps) in [(true, 1), (false, 1)] {
        let grant = Scripted::new(0, move |_| Ok(holds));
        let shared = Arc::clone(&grant) as Arc<dyn Grant>;
        let held = hold(&shared, 7, long_ago).unwrap();
        assert_eq!(held.is_some(), holds);
        assert_eq!(grant.kept.load(Ordering::SeqCst), keeps);
    }
}
