//! What the query of a request asks for, typed: the client writes it, and the service reads it.
//!
//! All errors are texts for people.

use std::str::FromStr;
use std::time::Duration;

use crate::store::{End, Etag, Expiry, Merge, units};
use crate::wire::time::{read_expires, rfc3339_deadline};

pub use super::listing::{Follow, INFO, List, read_info, read_namespaces, write_namespaces};
use super::query::{Query, millis};

/// What can be done to an entry: `POST /v1/NAMESPACE/KEY?op=`, or [`OnNamespace::Key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnKey {
    /// To answer with the value.
    Get,
    /// To answer with what is known of the entry.
    Stat,
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

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For how long; the service has a limit of its own.
    pub wait: Duration,
    /// What has to hold.
    pub until: Until,
}

/// What has to hold of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is there.
    There,
    /// It is not.
    Gone,
    /// Its etag is another, or it is gone.
    Changed(Etag),
}

/// What `POST /v1/NAMESPACE?op=` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A verb on a key, which is the first so many bytes of the body, or all of it.
    Key(OnKey, Option<usize>),
}

/// The verbs on a key, and the parameters of each.
const ON_KEY: [(&str, &[&str]); 9] = [
    ("get", &[]),
    ("stat", &[]),
    ("put", &["if_value"]),
    ("remove", &["if_value"]),
    ("take", &[]),
    ("append", &[]),
    ("incr", &["by", "ttl"]),
    ("expire", &["ttl", "at"]),
    ("wait", &["wait", "gone", "changed"]),
];

/// The verbs on a namespace, which wants those on a key with one more parameter.
const ON_NAMESPACE: [(&str, &[&str]); 9] = [
    ("push", &[]),
    ("pop", &["last", "wait"]),
    ("batch", &["json", "stop", "end"]),
    ("import", &["merge", "now"]),
    ("drop", &[]),
    ("lock", &[]),
    ("keep", &[]),
    ("free", &[]),
    ("holder", &[]),
];

/// The words for what an import does to what is there.
const MERGES: [(&str, Merge); 4] = [
    ("overwrite", Merge::Overwrite),
    ("absent", Merge::IfAbsent),
    ("newer", Merge::Newer),
    ("replace", Merge::Replace),
];

/// Returns what `op` says.
pub fn op(query: Option<&str>) -> &str {
    let mut parts = query.unwrap_or_default().split('&');
    parts
        .find_map(|part| part.strip_prefix("op="))
        .unwrap_or("")
}

/// Reads a query that has the parameters of its verb, and perhaps more. `None` where none of these
/// verbs is asked for.
fn read_verb(
    query: Option<&str>,
    verbs: &[(&str, &[&str])],
    more: &[&str],
) -> Result<Option<Query>, String> {
    let Some((_, known)) = verbs.iter().find(|(verb, _)| *verb == op(query)) else {
        return Ok(None);
    };
    Query::read(query, &[&["op"], *known, more].concat()).map(Some)
}

/// Says that no verb of these is asked for.
fn no_verb<'a>(op: &str, known: impl Iterator<Item = &'a (&'a str, &'a [&'a str])>) -> String {
    let known: Vec<&str> = known.map(|(verb, _)| *verb).collect();
    let known = known.join(", ");
    match op {
        "" => format!("`op` is missing: use {known}"),
        op => format!("unknown `op={}`: use {known}", op.escape_debug()),
    }
}

impl OnKey {
    /// Writes the query, with its `?`.
    pub fn write(&self) -> String {
        self.query().write()
    }

    fn query(&self) -> Query {
        match self {
            Self::Get => Query::of("get"),
            Self::Stat => Query::of("stat"),
            Self::Put { if_value } => Query::of("put").with("if_value", if_value.as_ref()),
            Self::Remove { if_value } => Query::of("remove").with("if_value", if_value.as_ref()),
            Self::Take => Query::of("take"),
            Self::Append => Query::of("append"),
            Self::Incr { by, ttl } => Query::of("incr")
                .with("by", Some(by.to_string()))
                .with("ttl", ttl.map(millis)),
            Self::Expire(expiry) => {
                let (name, text) = match expiry {
                    Expiry::Never | Expiry::Keep => ("ttl", "never".to_owned()),
                    Expiry::After(ttl) => ("ttl", millis(*ttl)),
                    Expiry::At(at) => ("at", rfc3339_deadline(*at)),
                };
                Query::of("expire").with(name, Some(text))
            }
            Self::Wait(Wait { wait, until }) => {
                let query = Query::of("wait").with("wait", Some(millis(*wait)));
                match until {
                    Until::There => query,
                    Until::Gone => query.on("gone", true),
                    Until::Changed(etag) => query.with("changed", Some(etag.to_string())),
                }
            }
        }
    }

    /// Reads a query.
    ///
    /// # Errors
    ///
    /// Where it asks for nothing that there is.
    pub fn read(query: Option<&str>) -> Result<Self, String> {
        match read_verb(query, &ON_KEY, &[])? {
            Some(read) => Self::of(op(query), &read),
            None => Err(no_verb(op(query), ON_KEY.iter())),
        }
    }

    fn of(op: &str, query: &Query) -> Result<Self, String> {
        let if_value = query.bytes("if_value");
        Ok(match op {
            "get" => Self::Get,
            "stat" => Self::Stat,
            "put" => Self::Put { if_value },
            "remove" => Self::Remove { if_value },
            "take" => Self::Take,
            "append" => Self::Append,
            "incr" => Self::Incr {
                by: query.parse("by", number)?.unwrap_or(1),
                ttl: query.parse("ttl", units::ttl)?,
            },
            "expire" => Self::Expire(expiry(query)?),
            _ => Self::Wait(Wait {
                wait: query.wait()?,
                until: until(query)?,
            }),
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "use a whole number of 64 bits".to_owned())
}

fn expiry(query: &Query) -> Result<Expiry, String> {
    let after = query.parse("ttl", units::expiry)?;
    let at = query.parse("at", |text| {
        let deadline = read_expires(text);
        deadline.map(Expiry::At).map_err(|why| format!("it {why}"))
    })?;
    match (after, at) {
        (Some(expiry), None) | (None, Some(expiry)) => Ok(expiry),
        _ => Err("`expire` needs either `ttl` or `at`".to_owned()),
    }
}

fn until(query: &Query) -> Result<Until, String> {
    let changed = query.parse("changed", |text| {
        let etag = text.parse::<Etag>();
        etag.map_err(|err| err.to_string())
    })?;
    match (query.flag("gone")?, changed) {
        (false, None) => Ok(Until::There),
        (true, None) => Ok(Until::Gone),
        (false, Some(etag)) => Ok(Until::Changed(etag)),
        (true, Some(_)) => Err("give either `gone` or `changed`".to_owned()),
    }
}

impl OnNamespace {
    /// Writes the query, with its `?`.
    pub fn write(&self) -> String {
        let query = match self {
            Self::Push => Query::of("push"),
            Self::Pop { end, wait } => Query::of("pop")
                .on("last", *end == End::Last)
                .with("wait", (!wait.is_zero()).then(|| millis(*wait))),
            Self::Batch { json, stop, end } => Query::of("batch")
                .on("json", *json)
                .on("stop", *stop)
                .on("end", *end),
            Self::Import(merge, now) => {
                let word = MERGES.iter().find(|(_, other)| other == merge);
                let query = Query::of("import").with("merge", word.map(|(word, _)| word));
                query.on("now", *now)
            }
            Self::Drop => Query::of("drop"),
            Self::Lock => Query::of("lock"),
            Self::Keep => Query::of("keep"),
            Self::Free => Query::of("free"),
            Self::Holder => Query::of("holder"),
            Self::Key(verb, len) => verb.query().with("key", len.map(|len| len.to_string())),
        };
        query.write()
    }

    /// Reads a query.
    ///
    /// # Errors
    ///
    /// Where it asks for nothing that there is.
    pub fn read(query: Option<&str>) -> Result<Self, String> {
        let op = op(query);
        if let Some(query) = read_verb(query, &ON_KEY, &["key"])? {
            let (verb, len) = (OnKey::of(op, &query)?, query.parse("key", number)?);
            return match (&verb, len) {
                (OnKey::Put { .. } | OnKey::Append, None) => Err(format!(
                    "`{op}` needs `key`: how many bytes of the body are the key"
                )),
                _ => Ok(Self::Key(verb, len)),
            };
        }
        let Some(query) = read_verb(query, &ON_NAMESPACE, &[])? else {
            return Err(no_verb(op, ON_NAMESPACE.iter().chain(&ON_KEY)));
        };
        Ok(match op {
            "push" => Self::Push,
            "pop" => Self::Pop {
                end: match query.flag("last")? {
                    true => End::Last,
                    false => End::First,
                },
                wait: query.wait()?,
            },
            "batch" => Self::Batch {
                json: query.flag("json")?,
                stop: query.flag("stop")?,
                end: query.flag("end")?,
            },
            "import" => {
                let merge = query.parse("merge", |text| {
                    let known = MERGES.iter().find(|(word, _)| *word == text);
                    let why = "use overwrite, absent, newer or replace";
                    known.map(|(_, merge)| *merge).ok_or_else(|| why.to_owned())
                })?;
                Self::Import(merge.unwrap_or_default(), query.flag("now")?)
            }
            "drop" => Self::Drop,
            "lock" => Self::Lock,
            "keep" => Self::Keep,
            "free" => Self::Free,
            _ => Self::Holder,
        })
    }
}
