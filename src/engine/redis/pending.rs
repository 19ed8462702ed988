//! Commands on their way: what has an answer, what may have been carried out, and why there is none yet.

use std::collections::HashMap;
use std::io;

use super::resp::Reply;
use super::slots::Address;

/// How far commands are on their way, each at the place that it has among them.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) replies: Vec<Option<Reply>>,
    /// It was sent, and nobody knows whether it was carried out.
    pub(super) sent: Vec<bool>,
    /// That was so before it was sent the last time.
    pub(super) sent_before: Vec<bool>,
    /// Whom to ask this once.
    pub(super) asks: HashMap<usize, Address>,
}

impl Pending {
    /// Notes that a command is sent.
    pub(super) fn send(&mut self, number: usize) {
        self.sent_before[number] = std::mem::replace(&mut self.sent[number], true);
    }

    /// Notes that it was not carried out when it was sent the last time.
    pub(super) fn refuse(&mut self, number: usize) {
        self.sent[number] = self.sent_before[number];
    }

    /// Keeps those of the answers that are known to be safe.
    pub(super) fn keep(&mut self, answered: Vec<(usize, Reply)>, is_safe: impl Fn(usize) -> bool) {
        for (number, reply) in answered {
            if is_safe(number) {
                self.replies[number] = Some(reply);
            }
        }
    }

    pub(super) fn new(count: usize) -> Self {
        Self {
            replies: vec![None; count],
            sent: vec![false; count],
            sent_before: vec![false; count],
            asks: HashMap::new(),
        }
    }
}

/// Why there is no answer yet, and of which server; of none in particular where that is empty.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) server: Address,
    pub(super) why: io::Error,
}

impl Failure {
    pub(super) fn of(
        server: &str,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            server: server.to_owned(),
            why: io::Error::other(why),
        }
    }
}

/// Returns what is wrong without the number of the error, which means nothing to a person.
pub(super) fn plain_text(why: &io::Error) -> String {
    let text = why.to_string();
    let text = text.split(" (os error").next();
    text.unwrap_or_default().to_owned()
}
