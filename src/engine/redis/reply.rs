//! What to make of an answer: take it, or ask again, here or elsewhere.

use super::resp::Reply;
use super::slots::{Address, Redirect, redirect};

/// What an answer means for the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is the answer, an error too.
    Final(Reply),
    /// Ask the server that has this slot now.
    Moved(u16, Address),
    /// Ask another server this once.
    Ask(Address),
    /// The server has to be given the scripts first.
    NoScript,
    /// Ask again in a moment, for this reason; with true, perhaps another server.
    Later(String, bool),
}

/// Words with which errors begin that pass by themselves, and whether another server may be the one
/// to ask by then.
const PASSING: [(&str, bool); 8] = [
    // Some keys of the slot are here and some already where it moves to.
    ("TRYAGAIN", false),
    ("CLUSTERDOWN", true),
    ("LOADING", true),
    ("MASTERDOWN", true),
    ("READONLY", true),
    ("BUSY", false),
    ("NOREPLICAS", false),
    // The server became a replica while it waited.
    ("UNBLOCKED", true),
];

/// Judges what a server answered.
pub(super) fn judge(reply: Reply, server: &str) -> Answer {
    let Reply::Error(text) = &reply else {
        return Answer::Final(reply);
    };
    match redirect(text, server) {
        Some(Redirect::Moved(slot, there)) => return Answer::Moved(slot, there),
        Some(Redirect::Ask(there)) => return Answer::Ask(there),
        None => {}
    }
    // Inside of a script the word stands behind `ERR` or in the middle.
    let word = text.split([' ', ':']).next().unwrap_or_default();
    if word == "NOSCRIPT" {
        return Answer::NoScript;
    }
    match PASSING.iter().find(|(passing, _)| *passing == word) {
        Some((_, is_elsewhere)) => Answer::Later(text.clone(), *is_elsewhere),
        None => Answer::Final(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_pass_are_told_from_those_that_stay() {
        let of = |text: &str| judge(Reply::Error(text.into()), "h:1");
        assert_eq!(of("MOVED 5 a:1"), Answer::Moved(5, "a:1".into()));
        assert_eq!(of("ASK 5 a:1"), Answer::Ask("a:1".into()));
        assert_eq!(of("NOSCRIPT No matching script."), Answer::NoScript);
        let text = "READONLY You can't write against a read only replica.";
        assert_eq!(of(text), Answer::Later(text.into(), true));
        for text in [
            "ERR syntax",
            "OOM command not allowed",
            "WRONGTYPE x",
            "BUSYGROUP x",
        ] {
            assert_eq!(of(text), Answer::Final(Reply::Error(text.into())));
        }
        assert_eq!(judge(Reply::Nil, "h:1"), Answer::Final(Reply::Nil));
    }
}
