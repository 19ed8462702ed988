//! Answers there and back, and what no service of kv says.

use kv::wire::http::answer::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use std::fmt::Debug;

/// Texts that mean something where they are not written as they ought to be.
const NASTY: [&str; 5] = ["", "a\"\\\n\u{0}", "\u{1b}[2J", "ä\u{1F600}", "{\"end\":1}"];

#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(answer: T) {
    let line = line(&answer);
    let (last, rest) = line.split_last().unwrap();
    assert!(*last == b'\n' && !rest.contains(&b'\n'), "{answer:?}");
    assert_eq!(read::<T>(&line), Some(answer));
}

#[test]
fn every_answer_comes_back() {
    for text in NASTY.map(str::to_owned) {
        for status in [0, 1, 5, u8::MAX] {
            let error = text.clone();
            comes_back(Refused { status, error });
        }
        comes_back(Named {
            namespace: text.clone(),
        });
        comes_back(Cursor {
            cursor: text.clone(),
        });
        for shared in [false, true] {
            comes_back(Holds {
                pid: u32::MAX,
                host: text.clone(),
                since: text.clone(),
                shared,
            });
            comes_back(LockCall {
                shared,
                host: text.clone(),
                pid: 7,
                ..LockCall::default()
            });
            comes_back(LockCall {
                id: Some(text.clone()),
                name: shared.then(|| text.clone()),
                name_base64: (!shared).then(|| text.clone()),
                wait: Some(text.clone()),
                ..LockCall::default()
            });
        }
    }
    comes_back(Head {
        code: 204,
        headers: NASTY.map(|text| (text.into(), text.into())).to_vec(),
    });
    for number in [0, 1, u64::MAX] {
        comes_back(Ended { end: number });
        comes_back(Granted { token: number });
        comes_back(Imported {
            stored: number,
            left: 1,
            removed: 2,
        });
    }
}

#[test]
fn what_is_something_else_is_not_taken_for_it() {
    for line in [
        "",
        "[1]",
        "{}",
        "1",
        "{\"end\":-1}",
        "{\"end\":1}{}",
        "{\"end\":",
    ] {
        assert_eq!(read::<Ended>(line.as_bytes()), None, "{line}");
    }
}
