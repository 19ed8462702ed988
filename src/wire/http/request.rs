//! What the query of a request asks for, typed: the client writes it, and the service reads it.
//!
//! All errors are texts for people.

use std::str::FromStr;
use std::time::Duration;

use crate::store::units::ttl;
use crate::store::{End, Expiry, Merge};
use crate::wire::time::{read_expires, rfc3339_deadline};

pub use super::listing::{INFO, List, read_info, read_namespaces, write_namespaces};
use super::query::Query;
pub use super::wait::{Until, Wait};

/// What `POST /v1/NAMESPACE/KEY?op=` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnKey {
    /// To store the body.
    Put {
        /// If the entry holds just this.
        if_value: Option<Vec<u8>>,
    },
    /// To remove the entry.
    Remove {
        /// If it holds just this.
        if_value: Option<Vec<u8>>,
    },
    /// To remove the entry, and answer with its value.
    Take,
    /// To add the body to the value.
    Append,
    /// To add to a number.
    Incr {
        /// How much.
        by: i64,
        /// How long the entry lives if this makes it.
        ttl: Option<Duration>,
    },
    /// To set when the entry expires, which is not [`Expiry::Keep`].
    Expire(Expiry),
    /// To answer when something holds.
    Wait(Wait),
}

/// What `POST /v1/NAMESPACE?op=` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNamespace {
    /// To add the body to a list.
    Push,
    /// To take an element of a list.
    Pop {
        /// Which.
        end: End,
        /// For how long to wait for one.
        wait: Duration,
    },
    /// As [`OnKey::Wait`], with the key in the body.
    Wait(Wait),
    /// To answer with the value of the key in the body.
    Get,
    /// As [`OnKey::Take`], with the key in the body.
    Take,
    /// To store the body under the key that its first so many bytes are.
    Put(usize),
    /// To carry out the commands in the body.
    Batch {
        /// Each is an array of JSON.
        json: bool,
        /// The first failure ends them.
        stop: bool,
        /// The end of the answer is to be marked.
        end: bool,
    },
    /// To store the entries in the body; now or not at all, or whenever that can be done.
    Import(Merge, bool),
    /// To remove the namespace.
    Drop,
    /// To take the lock that the body names.
    Lock,
    /// To keep it.
    Keep,
    /// To give it back.
    Free,
    /// To tell who holds it.
    Holder,
}

/// Returns what `op` says.
pub fn op(query: Option<&str>) -> &str {
    let parts = query.unwrap_or_default().split('&');
    parts
        .filter_map(|part| part.strip_prefix("op="))
        .next()
        .unwrap_or("")
}

fn unknown(op: &str, known: &str) -> String {
    match op {
        "" => format!("`op` is missing: there are {known}"),
        op => format!("there is no `op={}` here, but {known}", op.escape_debug()),
    }
}

impl OnKey {
    /// Writes the query, with its `?`.
    pub fn write(&self) -> String {
        let mut query = Query::default();
        match self {
            Self::Put { if_value } | Self::Remove { if_value } => {
                let is_put = matches!(self, Self::Put { .. });
                query.add("op", if is_put { "put" } else { "remove" });
                if let Some(value) = if_value {
                    query.add("if_value", value);
                }
            }
            Self::Take => query.add("op", "take"),
            Self::Append => query.add("op", "append"),
            Self::Incr { by, ttl } => {
                query.add("op", "incr");
                query.add("by", by.to_string());
                ttl.iter().for_each(|ttl| query.add_millis("ttl", *ttl));
            }
            Self::Expire(expiry) => {
                query.add("op", "expire");
                match expiry {
                    Expiry::Never => query.add("ttl", "never"),
                    Expiry::After(ttl) => query.add_millis("ttl", *ttl),
                    Expiry::At(at) => query.add("at", rfc3339_deadline(*at)),
                    Expiry::Keep => {}
                }
            }
            Self::Wait(wait) => wait.add_to(&mut query),
        }
        query.write()
    }

    /// Reads a query.
    ///
    /// # Errors
    ///
    /// Where it asks for nothing that there is.
    pub fn read(query: Option<&str>) -> Result<Self, String> {
        let read = |known: &[&str]| Query::read(query, known);
        let if_value = || Ok::<_, String>(read(&["op", "if_value"])?.bytes("if_value"));
        Ok(match op(query) {
            "put" => Self::Put {
                if_value: if_value()?,
            },
            "remove" => Self::Remove {
                if_value: if_value()?,
            },
            "take" => read(&["op"]).map(|_| Self::Take)?,
            "append" => read(&["op"]).map(|_| Self::Append)?,
            "incr" => {
                let query = read(&["op", "by", "ttl"])?;
                Self::Incr {
                    by: query.parse("by", number)?.unwrap_or(1),
                    ttl: query.parse("ttl", ttl)?,
                }
            }
            "expire" => Self::Expire(expiry(&read(&["op", "ttl", "at"])?)?),
            "wait" => Self::Wait(Wait::read(query)?),
            op => {
                let known = "put, remove, take, incr, append, expire and wait";
                return Err(unknown(op, known));
            }
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "it is no number of 64 bits".to_owned())
}

fn expiry(query: &Query) -> Result<Expiry, String> {
    let after = query.parse("ttl", |text| match text {
        "never" => Ok(Expiry::Never),
        text => ttl(text).map(Expiry::After),
    })?;
    let at = query.parse("at", |text| {
        let deadline = read_expires(text);
        deadline.map(Expiry::At).map_err(|why| format!("it {why}"))
    })?;
    match (after, at) {
        (Some(expiry), None) | (None, Some(expiry)) => Ok(expiry),
        _ => Err("`expire` wants `ttl` or `at`".to_owned()),
    }
}

/// The words for what an import does to what is there.
const MERGES: [(&str, Merge); 4] = [
    ("overwrite", Merge::Overwrite),
    ("absent", Merge::IfAbsent),
    ("newer", Merge::Newer),
    ("replace", Merge::Replace),
];

/// The verbs on a namespace that have no parameters.
const PLAIN: [(&str, OnNamespace); 8] = [
    ("push", OnNamespace::Push),
    ("get", OnNamespace::Get),
    ("take", OnNamespace::Take),
    ("drop", OnNamespace::Drop),
    ("lock", OnNamespace::Lock),
    ("keep", OnNamespace::Keep),
    ("free", OnNamespace::Free),
    ("holder", OnNamespace::Holder),
];

impl OnNamespace {
    /// Writes the query, with its `?`.
    pub fn write(&self) -> String {
        let mut query = Query::default();
        match self {
            Self::Pop { end, wait } => {
                query.add("op", "pop");
                query.add_flag("last", *end == End::Last);
                if !wait.is_zero() {
                    query.add_millis("wait", *wait);
                }
            }
            Self::Wait(wait) => wait.add_to(&mut query),
            Self::Batch { json, stop, end } => {
                query.add("op", "batch");
                query.add_flag("json", *json);
                query.add_flag("stop", *stop);
                query.add_flag("end", *end);
            }
            Self::Import(merge, now) => {
                query.add("op", "import");
                let word = MERGES.iter().find(|(_, other)| other == merge);
                word.iter().for_each(|(word, _)| query.add("merge", word));
                query.add_flag("now", *now);
            }
            Self::Put(key) => {
                query.add("op", "put");
                query.add("key", key.to_string());
            }
            plain => {
                let word = PLAIN.iter().find(|(_, other)| other == plain);
                word.iter().for_each(|(word, _)| query.add("op", word));
            }
        }
        query.write()
    }

    /// Reads a query.
    ///
    /// # Errors
    ///
    /// Where it asks for nothing that there is.
    pub fn read(query: Option<&str>) -> Result<Self, String> {
        let read = |known: &[&str]| Query::read(query, known);
        if let Some((_, verb)) = PLAIN.iter().find(|(word, _)| *word == op(query)) {
            return read(&["op"]).map(|_| *verb);
        }
        match op(query) {
            "pop" => {
                let query = read(&["op", "last", "wait"])?;
                let last = query.flag("last")?;
                let end = if last { End::Last } else { End::First };
                let wait = query.wait()?;
                Ok(Self::Pop { end, wait })
            }
            "wait" => Wait::read(query).map(Self::Wait),
            "batch" => {
                let query = read(&["op", "json", "stop", "end"])?;
                Ok(Self::Batch {
                    json: query.flag("json")?,
                    stop: query.flag("stop")?,
                    end: query.flag("end")?,
                })
            }
            "import" => {
                let query = read(&["op", "merge", "now"])?;
                let merge = query.parse("merge", |text| {
                    let known = MERGES.iter().find(|(word, _)| *word == text);
                    let why = "it is overwrite, absent, newer or replace";
                    known.map(|(_, merge)| *merge).ok_or_else(|| why.to_owned())
                })?;
                let (merge, now) = (merge.unwrap_or_default(), query.flag("now")?);
                Ok(Self::Import(merge, now))
            }
            "put" => {
                let key = read(&["op", "key"])?.parse("key", number)?;
                let why = "`put` wants `key`, how many bytes of the body are the key";
                key.map(Self::Put).ok_or_else(|| why.to_owned())
            }
            op => {
                let known = "push, pop, wait, get, take, put, batch, import, drop, lock, keep, free and holder; \
                             the others want a key";
                Err(unknown(op, known))
            }
        }
    }
}
