//! Arguments of the commands that read and write single keys, and of `ls`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum, ValueHint};

use crate::cli::{Screen, Variable, value};
use crate::store::{Etag, Key};

/// Arguments of `kv put`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("condition").multiple(false))]
pub struct PutArgs {
    /// Key to write
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Value to store; without one, standard input is read
    #[arg(value_name = "VALUE", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub value: Option<OsString>,

    /// Read the value from PATH; `-` is standard input, whatever it is
    #[arg(long, value_name = "PATH", conflicts_with = "value", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Let the key expire after this long, such as 90s, 1h30m or 7d
    #[arg(long, value_name = "DURATION", value_parser = value::ttl, allow_negative_numbers = true)]
    #[arg(value_hint = ValueHint::Other)]
    pub ttl: Option<Duration>,

    /// Keep the expiry that the key has
    #[arg(long, conflicts_with = "ttl")]
    pub keep_ttl: bool,

    /// Store only if there is no such key; else status 1
    #[arg(long, group = "condition")]
    pub if_absent: bool,

    /// Store only if there is such a key; else status 1
    #[arg(long, group = "condition")]
    pub if_exists: bool,

    /// Store only if the key holds exactly this value; else status 1
    #[arg(long, value_name = "VALUE", group = "condition")]
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub if_value: Option<OsString>,

    /// Store only if the key's entry has this etag; else status 1
    #[arg(long, value_name = "ETAG", group = "condition", value_hint = ValueHint::Other)]
    pub if_etag: Option<Etag>,

    /// Print the etag of the new entry
    #[arg(long)]
    pub print_etag: bool,
}

/// Arguments of `kv get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Key to look up
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Print TEXT instead, and succeed, if there is no such key
    #[arg(long, value_name = "TEXT", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub default: Option<OsString>,

    /// Remove the key in the same atomic step: of several takers, one gets the value
    #[arg(long)]
    pub remove: bool,

    /// Print one JSON object, as `kv ls --json --values` does
    #[arg(long, conflicts_with_all = ["default", "remove"])]
    pub json: bool,

    /// Where the answer goes.
    #[command(flatten)]
    pub variable: Variable,
}

/// Arguments of `kv rename` and `kv copy`.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// Key that is there
    #[arg(value_name = "OLD", value_parser = value::key(), allow_negative_numbers = true)]
    pub old: Key,

    /// Key that is to hold the same
    #[arg(value_name = "NEW", value_parser = value::key(), allow_negative_numbers = true)]
    pub new: Key,

    /// Only if there is no key NEW; else status 1
    #[arg(long)]
    pub if_absent: bool,
}

/// Arguments of `kv edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// Key to change
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Show the bytes as hexadecimal digits, for a value that is no text
    #[arg(long)]
    pub hex: bool,
}

/// Arguments of `kv remove`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("condition").multiple(false))]
pub struct RemoveArgs {
    /// Keys to remove
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub keys: Vec<Key>,

    /// Succeed for keys that are absent
    #[arg(short, long)]
    pub force: bool,

    /// Remove only if the key holds exactly this value; else status 1
    #[arg(long, value_name = "VALUE", group = "condition")]
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub if_value: Option<OsString>,

    /// Remove only if the key's entry has this etag; else status 1
    #[arg(long, value_name = "ETAG", group = "condition", value_hint = ValueHint::Other)]
    pub if_etag: Option<Etag>,

    /// Remove all keys that match PATTERN, as `kv ls PATTERN` lists them
    #[arg(long, value_name = "PATTERN", value_hint = ValueHint::Other)]
    pub glob: Option<OsString>,

    /// Read the keys from standard input, one a line
    #[arg(long, conflicts_with = "glob")]
    pub stdin: bool,

    /// With --stdin or --glob: end each key that is read or printed with NUL instead of a newline
    #[arg(short = '0', long)]
    pub null: bool,

    /// Remove nothing; print the keys that would go
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `kv ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Pattern that keys must match
    #[arg(value_name = "GLOB", value_hint = ValueHint::Other)]
    pub glob: Option<OsString>,

    /// End each line, or each key and value, with NUL instead
    #[arg(short = '0', long)]
    pub null: bool,

    /// Print etag, bytes, modified, expires and key, with tabs between them or, at a terminal, in columns
    #[arg(short, long, conflicts_with_all = ["json", "values"])]
    pub long: bool,

    /// Print one JSON object a line
    #[arg(long, conflicts_with = "null")]
    pub json: bool,

    /// Print each key, a tab and its value
    #[arg(long)]
    pub values: bool,

    /// List keys that begin with PREFIX
    #[arg(long, value_name = "PREFIX", allow_negative_numbers = true)]
    #[arg(value_hint = ValueHint::Other)]
    pub prefix: Option<OsString>,

    /// List keys from KEY on, this one included
    #[arg(long, value_name = "KEY", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub from: Option<OsString>,

    /// List keys before KEY, this one not included
    #[arg(long, value_name = "KEY", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub to: Option<OsString>,

    /// List the last key first
    #[arg(long)]
    pub reverse: bool,

    /// List at most N keys
    #[arg(long, value_name = "N", value_parser = value::count, value_hint = ValueHint::Other)]
    pub limit: Option<u64>,

    /// Print only how many keys there are
    #[arg(long, conflicts_with_all = ["null", "long", "json", "values"])]
    pub count: bool,

    /// Where the answer goes.
    #[command(flatten)]
    pub variable: Variable,

    /// What a terminal shows.
    #[command(flatten)]
    pub screen: Screen,

    /// Use no pager, even for more than a screenful
    #[arg(long)]
    pub no_pager: bool,
}

/// Arguments of `kv has`.
#[derive(Debug, Args)]
pub struct HasArgs {
    /// Key to look for
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,
}

/// Arguments of `kv stat`.
#[derive(Debug, Args)]
pub struct StatArgs {
    /// Key to look up
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Print one JSON object
    #[arg(long, conflicts_with = "field")]
    pub json: bool,

    /// Print only the value of this field
    #[arg(long, value_name = "NAME")]
    pub field: Option<Field>,

    /// Where the answer goes.
    #[command(flatten)]
    pub variable: Variable,
}

/// What `kv stat` knows about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Field {
    /// The key
    Key,
    /// The namespace it is in
    Namespace,
    /// Bytes of its value
    Size,
    /// When its value was written
    Modified,
    /// When it expires, or `never`
    Expires,
    /// Names the write that made the entry: 16 hexadecimal digits
    Etag,
}
