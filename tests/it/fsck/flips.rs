//! Every byte of every file, flipped in turn: no read is wrong, and what matters is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kv::engine::Sync;
use kv::store::check::Severity;
use kv::store::{Check, Clock, Finding, Key, Namespace, Selection, Store, StoreError};
use walkdir::WalkDir;

use super::{copy, expected, small, space};
use crate::harness::{Sandbox, tell_count};
use crate::library::{Now, open};

/// What a look at a whole store came to.
#[derive(Default)]
struct Looked {
    failed: bool,
    found: Vec<Finding>,
    refused: bool,
}

pub fn is_refusal(err: &StoreError) -> bool {
    matches!(
        err,
        StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::OtherKey { .. }
    )
}

/// Reads everything in every way, and checks the store. Whatever is read must be right.
#[track_caller]
fn look(store: &dyn Store, want: &BTreeMap<String, Option<String>>, what: &str) -> Looked {
    let jobs: Namespace = "jobs".parse().unwrap();
    let mut looked = Looked::default();
    let now = Now.now();
    for (key, want) in want {
        let key = Key::new(key.as_bytes().to_vec()).unwrap();
        let value = store.get(&jobs, &key, now).and_then(|entry| {
            let value = entry.map(|entry| entry.value.into_vec());
            value.transpose()
        });
        match value {
            Ok(value) => assert_eq!(
                value.as_deref(),
                want.as_ref().map(|want| want.as_bytes()),
                "{what}: {key:?}"
            ),
            Err(err) => {
                assert!(is_refusal(&err), "{what}: {err}");
                looked.failed = true;
            }
        }
    }
    let selection = Selection {
        values: true,
        ..Selection::default()
    };
    let mut left: BTreeMap<_, _> = want
        .iter()
        .filter_map(|(key, value)| Some((key.as_bytes().to_vec(), value.as_ref()?)))
        .collect();
    let mut listing_failed = false;
    match store.scan(&jobs, &selection, now) {
        Err(err) => {
            assert!(is_refusal(&err), "{what}: {err}");
            listing_failed = true;
        }
        Ok(mut listing) => {
            while let Some(listed) = listing.next() {
                let read = listed.and_then(|listed| {
                    let key = listed.to_key();
                    Ok((key, listed.value.unwrap().into_vec()?))
                });
                match read {
                    Ok((key, value)) if key.as_bytes().starts_with(b"fill") => {
                        assert_eq!(value, [b'x'; 600], "{what}: listed {key:?}");
                    }
                    Ok((key, value)) => {
                        let want = left.remove(key.as_bytes());
                        let want = want.map(|want| want.as_bytes());
                        assert_eq!(want, Some(&*value), "{what}: listed {key:?}");
                    }
                    Err(err) => {
                        assert!(is_refusal(&err), "{what}: {err}");
                        listing_failed = true;
                    }
                }
            }
        }
    }
    assert!(
        listing_failed || left.is_empty(),
        "{what}: not listed: {left:?}"
    );
    looked.failed |= listing_failed;
    let done = store.check(&jobs, &Check::default(), &Now, &mut |found| {
        looked.found.push(found);
    });
    if let Err(err) = done {
        assert!(is_refusal(&err), "{what}: {err}");
        looked.refused = true;
    }
    looked
}

/// Tells whether a flip there may go unseen: these bytes say nothing.
fn says_nothing(below: &Path) -> bool {
    // Of the lock files only whether they are empty counts, of a hint only its form.
    below.starts_with("locks") || below.starts_with("expiry")
}

#[test]
fn no_flip_makes_a_read_wrong_or_goes_unseen() {
    let template = small();
    let want = expected();
    let mut paths: Vec<PathBuf> = WalkDir::new(space(&template))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            entry
                .path()
                .strip_prefix(space(&template))
                .unwrap()
                .to_owned()
        })
        .collect();
    paths.sort();
    let count = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let (template, want, paths) = (&template, &want, &paths);
            scope.spawn(move || flip_all(template, want, paths, half))
        });
        halves
            .into_iter()
            .map(|half| half.join().unwrap())
            .sum::<usize>()
    });
    tell_count(&format!("{count} bytes of {} files flipped", paths.len()));
}

/// Flips every other byte of all files, each in a store that is otherwise sound.
fn flip_all(
    template: &Sandbox,
    want: &BTreeMap<String, Option<String>>,
    paths: &[PathBuf],
    half: usize,
) -> usize {
    let kv = copy(template);
    let store = open(kv.location(), Sync::Off, 10);
    let sound = look(&*store, want, "before");
    assert!(!sound.failed && !sound.refused);
    // The ends are of the file that was copied, and so nobody believes them.
    assert!(sound.found.is_empty(), "{:?}", sound.found);
    let mut count = 0;
    for below in paths {
        let path = space(&kv).join(below);
        let good = fs::read(&path).unwrap();
        for at in (half..good.len()).step_by(2) {
            // Of the bytes that no slot of a page uses, and of values that only fill a pack, all are
            // alike.
            let is_alike = [0, b'x'].contains(&good[at]);
            let is_dull = below.starts_with("packs") && is_alike && at % 257 != half;
            if is_dull {
                continue;
            }
            let mut bad = good.clone();
            bad[at] ^= 1 << (at / 2 % 8);
            fs::write(&path, &bad).unwrap();
            let what = format!("{} at {at}", below.display());
            let looked = look(&*store, want, &what);
            let is_told = looked.refused || !looked.found.is_empty();
            assert!(is_told || (!looked.failed && says_nothing(below)), "{what}");
            let is_grave = |found: &Finding| found.severity > Severity::Note;
            assert!(
                !looked.failed || looked.refused || looked.found.iter().any(is_grave),
                "{what}: {:?}",
                looked.found
            );
            count += 1;
        }
        fs::write(&path, &good).unwrap();
    }
    count
}
