//! Following a namespace: the service tells what its keys hold, in the order in which it has seen that.
//!
//! The events are read by a thread of their own, and what they tell is kept per key until somebody asks. Whatever
//! was told of a key before is then older than what is kept. Where the connection ends, the service may have been
//! started anew: it is asked again after a growing pause, tells all that is there, and what is missing in that is
//! looked up. A service that tells nothing in time, or somebody in between who holds back what it tells, is no
//! failure: then all is listed again and again.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::os;
use crate::store::key::MAX_KEY_LEN;
use crate::store::watch::{Changed, Poll, Told};
use crate::store::{Namespace, OrCannot as _, Result, Selection, StoreError, Watcher};
use crate::wire::http::request::Follow;
use crate::wire::lines::Lines;
use crate::wire::listed::{Change, read_change};

use super::ask::{Ask, namespace_path};
use super::body::Download;
use super::client::Client;

/// How long the service may take to say that it tells what changes.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may take to tell all there is.
const WHOLE: Duration = Duration::from_secs(600);
/// How long it may say nothing then: one that lives says something every 5 s.
const SILENCE: Duration = Duration::from_secs(15);
/// The pause before it is asked again; each is twice as long as the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The most bytes of a line: a byte of a key takes six at the most, as an escape of JSON.
const LONGEST: usize = 6 * MAX_KEY_LEN + 4096;

/// What the thread has heard.
#[derive(Default)]
struct Heard {
    /// The service has said that it tells what changes.
    stands: bool,
    /// It has told all there was.
    has_all: bool,
    /// What was told since somebody asked.
    told: Told,
    /// Why nothing more will be heard.
    failed: Option<StoreError>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    news: Condvar,
}

/// What listens, for as long as somebody has the other end.
struct Listener {
    client: Arc<Client>,
    namespace: Namespace,
    selection: Selection,
    shared: Arc<Shared>,
}

struct EventsWatcher {
    shared: Arc<Shared>,
    /// Looks again and again, where no events come.
    poll: Option<Poll>,
}

/// Watches all entries of a selection.
pub(super) fn watch_all(
    client: &Arc<Client>,
    namespace: &Namespace,
    selection: &Selection,
) -> Result<Box<dyn Watcher>> {
    let shared = Arc::<Shared>::default();
    let listener = Listener {
        client: Arc::clone(client),
        namespace: namespace.clone(),
        selection: selection.clone(),
        shared: Arc::clone(&shared),
    };
    let started = os::spawn_without_signals(move || listener.follow());
    started.or_cannot("start a thread for", "a watch".as_ref())?;
    Ok(Box::new(EventsWatcher { shared, poll: None }))
}

impl Listener {
    /// Listens, and again where that has ended, until nobody asks for it or nothing comes for too long.
    fn follow(&self) {
        let (mut failing, mut pause) = (None, FIRST_PAUSE);
        while self.is_wanted() {
            let mut stands = false;
            let Err(err) = self.listen(&mut stands) else {
                return;
            };
            if stands {
                (failing, pause) = (None, FIRST_PAUSE);
            }
            let since: Instant = *failing.get_or_insert_with(Instant::now);
            let mut heard = self.shared.heard.lock();
            if !heard.has_all || since.elapsed() > self.client.settings().busy_timeout {
                heard.failed = Some(err);
                self.shared.news.notify_all();
                return;
            }
            drop(heard);
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Listens until nobody wants it any more.
    fn listen(&self, stands: &mut bool) -> Result<()> {
        let follow = Follow {
            selection: self.selection.clone(),
            now: true,
        };
        let ask = Ask {
            silence: Some(SILENCE),
            ..Ask::look(namespace_path(&self.namespace) + &follow.write())
        };
        let reply = self.client.ask(&ask)?;
        let reply = reply.ok_or_else(|| self.client.no_service("it tells no changes"))?;
        let mut body = Download::new(&self.client, reply.body, None);
        let mut lines = Lines::of_at_most(LONGEST);
        // What is there is told as a whole.
        let mut all = Some(Told::default());
        while self.is_wanted() {
            if !lines.advance(&mut body)? || !lines.has_newline() {
                return Err(self.client.cut_off());
            }
            match lines.line() {
                b": watching" => {
                    *stands = true;
                    self.shared.heard.lock().stands = true;
                }
                b": all" => {
                    let mut heard = self.shared.heard.lock();
                    let all = all.take().unwrap_or_default();
                    heard.told = Told {
                        is_all: true,
                        ..all
                    };
                    heard.has_all = true;
                }
                line => {
                    let Some(line) = line.strip_prefix(b"data: ") else {
                        continue;
                    };
                    match &mut all {
                        Some(all) => self.take_in(line, all)?,
                        None => self.take_in(line, &mut self.shared.heard.lock().told)?,
                    }
                }
            }
            self.shared.news.notify_all();
        }
        Ok(())
    }

    /// Takes in a change: what was told of the key before does not count any more.
    fn take_in(&self, line: &[u8], told: &mut Told) -> Result<()> {
        match read_change(line).map_err(|why| self.client.no_service(&why))? {
            Change::Of(key, meta) if self.selection.matches(key.as_bytes()) => {
                told.keys.insert(key, meta);
                Ok(())
            }
            Change::Of(..) => Err(self.client.no_service("it tells what was not asked for")),
            Change::Refusal { status, error } => {
                let err = self.client.service_error(status, error);
                match err.is_of_one_entry() {
                    true => told.damage.push(err),
                    false => return Err(err),
                }
                Ok(())
            }
        }
    }
}

impl Watcher for EventsWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        if let Some(poll) = &mut self.poll {
            return poll.wait(until);
        }
        let mut heard = self.shared.heard.lock();
        while !heard.is_news() && until.is_none_or(|until| until > Instant::now()) {
            match until {
                Some(until) => _ = self.shared.news.wait_until(&mut heard, until),
                None => self.shared.news.wait(&mut heard),
            }
        }
        Ok(())
    }

    fn changed(&mut self) -> Result<Changed> {
        if self.poll.is_some() {
            return Ok(Changed::All);
        }
        let begun = Instant::now();
        let mut heard = self.shared.heard.lock();
        while !heard.has_all && heard.failed.is_none() {
            let until = begun + if heard.stands { WHOLE } else { PATIENCE };
            if until <= Instant::now() {
                break;
            }
            _ = self.shared.news.wait_until(&mut heard, until);
        }
        if !heard.has_all {
            drop(heard);
            // Nobody wants to hear more of it.
            self.shared = Arc::default();
            self.poll = Some(Poll::default());
            return Ok(Changed::All);
        }
        if !heard.has_told()
            && let Some(err) = heard.failed.take()
        {
            return Err(err);
        }
        Ok(Changed::Told(std::mem::take(&mut heard.told)))
    }
}

impl Heard {
    fn has_told(&self) -> bool {
        let Told {
            keys,
            damage,
            is_all,
        } = &self.told;
        *is_all || !keys.is_empty() || !damage.is_empty()
    }

    fn is_news(&self) -> bool {
        self.has_told() || self.failed.is_some()
    }
}
