//! What is said of a missing key to a person who may have mistyped it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::commands::Session;
use crate::exit::Exit;
use crate::os;
use crate::store::{Key, Namespace, Selection, Store, Time};
use crate::wire::text::escape;

/// The most keys that are looked at, and how long a person waits for that.
const MOST: u64 = 10_000;
const PATIENCE: Duration = Duration::from_millis(200);

/// Of longer keys nobody mistypes one letter.
const LONGEST: usize = 255;

/// Returns the status for a key that is missing. To a script that is the whole answer; who has typed the
/// command is told which key is there that may have been meant.
pub(super) fn missing(session: &Session<'_>, key: &Key) -> Exit {
    if session.line.is_none() && os::is_typed() {
        let near = nearest(session, key).map(|near| format!("; there is `{near}`"));
        super::say(&format!("kv: no `{key}`{}", near.unwrap_or_default()));
    }
    Exit::No
}

/// Looks for the key aside: a listing may take long before its first key, and ends with the process.
fn nearest(session: &Session<'_>, key: &Key) -> Option<String> {
    if key.as_bytes().len() > LONGEST {
        return None;
    }
    let (store, namespace) = (session.choice.open(), session.namespace.clone());
    let (key, now) = (escape(key.as_bytes()), session.now());
    let (sender, found) = mpsc::channel();
    let look = move || _ = sender.send(search(&*store, &namespace, &key, now));
    thread::Builder::new().spawn(look).ok()?;
    found.recv_timeout(PATIENCE).ok()?
}

/// Returns the first of the keys from which so few letters differ that this may be it.
fn search(store: &dyn Store, namespace: &Namespace, wanted: &str, now: Time) -> Option<String> {
    let selection = Selection {
        keys_only: true,
        limit: Some(MOST),
        ..Selection::default()
    };
    let letters = wanted.chars().count();
    let mut most = (letters + 1) / 3;
    let mut best = None;
    let mut listing = store.scan(namespace, &selection, now).ok()?;
    while let Some(listed) = listing.next() {
        let Ok(listed) = listed else { continue };
        if most == 0 || listed.key.len() > 2 * LONGEST {
            continue;
        }
        let key = escape(listed.key);
        if key.chars().count().abs_diff(letters) > most {
            continue;
        }
        let distance = strsim::osa_distance(&key, wanted);
        if (1..=most).contains(&distance) {
            most = distance - 1;
            best = Some(key);
        }
    }
    best
}
