//! What the operations on one key mean, for [`crate::linearize`].

use crate::linearize::Step;

/// A value, by a number of its own; each write of a history has another one.
pub type Value = u64;

/// What a key holds: a value, and the etag of the write where anybody was told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    value: Value,
    etag: Option<u64>,
}

/// An operation and what it answered. Of one that was killed, the answer is the one that goes with
/// having had an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Get(Option<Value>),
    /// The etag that `stat` printed.
    Etag(Option<u64>),
    Put {
        value: Value,
        etag: Option<u64>,
    },
    PutIfAbsent {
        value: Value,
        etag: Option<u64>,
        done: bool,
    },
    /// As [`Op::PutIfAbsent`] of whom nobody was told whether it was done.
    PutIfUnsure {
        value: Value,
    },
    PutIfValue {
        wanted: Value,
        value: Value,
        etag: Option<u64>,
        done: bool,
    },
    PutIfEtag {
        wanted: u64,
        value: Value,
        etag: Option<u64>,
        done: bool,
    },
    Remove(bool),
    /// The sum that `incr` printed.
    Incr(Value),
    /// What is held is a number, and this digit was put behind it.
    Append(u64),
    /// `get --remove`.
    Take(Option<Value>),
    /// A new expiry, far away: the value stays, the etag is another.
    Expire(bool),
    /// The whole namespace went.
    Clear,
}

impl Op {
    /// Returns the value that it has seen, or looked for.
    pub fn seen(&self) -> Option<Value> {
        match *self {
            Self::Get(seen) | Self::Take(seen) => seen,
            Self::PutIfValue { wanted, .. } => Some(wanted),
            _ => None,
        }
    }
}

impl Step for Op {
    type State = Option<Held>;

    fn step(&self, held: &Option<Held>) -> Option<Option<Held>> {
        let held = *held;
        let now = held.map(|held| held.value);
        let put = |value, etag, allowed, done| {
            let put = if done {
                Some(Held { value, etag })
            } else {
                held
            };
            (allowed == done).then_some(put)
        };
        match *self {
            Self::Get(answer) => (answer == now).then_some(held),
            Self::Etag(None) => held.is_none().then_some(held),
            Self::Etag(Some(etag)) => with_etag(held?, etag).map(Some),
            Self::Put { value, etag } => put(value, etag, true, true),
            Self::PutIfAbsent { value, etag, done } => put(value, etag, held.is_none(), done),
            Self::PutIfUnsure { value } => Some(held.or(Some(Held { value, etag: None }))),
            Self::PutIfValue {
                wanted,
                value,
                etag,
                done,
            } => put(value, etag, now == Some(wanted), done),
            Self::PutIfEtag {
                wanted,
                value,
                etag,
                done,
            } => match held {
                // Nobody was told the etag: it may be this one, and nothing is learnt if not.
                Some(Held { etag: None, .. }) => put(value, etag, done, done),
                _ => put(
                    value,
                    etag,
                    held.and_then(|held| held.etag) == Some(wanted),
                    done,
                ),
            },
            Self::Remove(done) => (done == held.is_some()).then_some(None),
            Self::Incr(sum) => {
                let held = Held {
                    value: sum,
                    etag: None,
                };
                (sum == now.unwrap_or(0) + 1).then_some(Some(held))
            }
            Self::Append(digit) => {
                let value = now.unwrap_or(0) * 10 + digit;
                Some(Some(Held { value, etag: None }))
            }
            Self::Take(answer) => (answer == now).then_some(None),
            Self::Expire(false) => held.is_none().then_some(held),
            Self::Expire(true) => held.map(|held| Some(Held { etag: None, ..held })),
            Self::Clear => Some(None),
        }
    }

    fn only_reads(&self) -> bool {
        match self {
            Self::Get(_) | Self::Etag(None) | Self::Take(None) => true,
            Self::PutIfAbsent { done, .. }
            | Self::PutIfValue { done, .. }
            | Self::PutIfEtag { done, .. }
            | Self::Remove(done)
            | Self::Expire(done) => !done,
            Self::Etag(Some(_))
            | Self::Put { .. }
            | Self::PutIfUnsure { .. }
            | Self::Take(Some(_))
            | Self::Incr(_)
            | Self::Append(_)
            | Self::Clear => false,
        }
    }
}

/// What is known when somebody saw this etag.
fn with_etag(held: Held, etag: u64) -> Option<Held> {
    match held.etag {
        Some(known) if known != etag => None,
        _ => Some(Held {
            etag: Some(etag),
            ..held
        }),
    }
}
