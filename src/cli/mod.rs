//! What can be typed: the command line as data, and nothing that carries it out.
//!
//! Help text is written here once. `--help`, the man pages and the completions are all made from
//! it, so a doc comment on a variant or a field is user documentation: first line imperative, no
//! full stop.
//!
//! Only the arguments of the command that was typed are built; its siblings are known by name
//! alone, as building them all takes longer than a `get`.

mod expiry;
pub mod man;
mod reach;
mod shell;
pub mod usage;
mod value;
mod values;

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::store::{Location, Namespace};

pub use self::expiry::{ExpireArgs, NewExpiry, TtlArgs};
pub use self::reach::NamespacesArgs;
pub use self::shell::{CompletionsArgs, Shell};
pub use self::values::{Field, GetArgs, HasArgs, LsArgs, PutArgs, RemoveArgs, StatArgs};

/// The key-value store for the Unix shell
///
/// Keeps values under keys in a directory: one binary, no daemon, no setup. What a command prints
/// is the data and nothing else; success is silent; the exit status says yes (0), no (1) or why
/// not.
#[derive(Debug, Parser)]
#[command(name = "kv", bin_name = "kv", version, disable_help_subcommand = true)]
#[command(
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands"
)]
#[command(max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    before: GlobalBefore,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Store a value under a key
    ///
    /// Without VALUE or --file the value is read from standard input, up to its end. It is stored
    /// byte for byte: nothing is added, trimmed or interpreted. A value that was there is replaced
    /// in one step, and so is its expiry, unless --keep-ttl is given.
    ///
    /// What does not begin with `-`, and `-` itself and negative numbers, is taken as text; write
    /// `kv put -- "$key" "$value"` where either may begin with a dash.
    Put(With<PutArgs>),

    /// Print the value of a key
    ///
    /// The value is written as it was stored: nothing is added and nothing is quoted. Only on a
    /// terminal is a newline added to a value that does not end in one. A key that is missing or
    /// has expired prints nothing and ends with status 1.
    ///
    /// Values of up to 64 KiB are verified before a byte is printed. Larger ones are verified while
    /// they are printed, and a damaged one ends with status 4.
    Get(With<GetArgs>),

    /// Remove keys
    ///
    /// Removes all the keys it can, and ends with status 1 if any was absent.
    #[command(visible_alias = "rm", aliases = ["del", "delete"])]
    Remove(With<RemoveArgs>),

    /// List keys
    ///
    /// Lists keys in the order of their bytes, one a line. GLOB matches the whole key: `*` stands
    /// for any bytes, a slash too, `?` for one character, `[a-z]` and `[!a-z]` for one of several,
    /// and `\` quotes; put it in quotes. A pattern, prefix or bound that nothing matches ends with
    /// status 1.
    #[command(alias = "list")]
    Ls(With<LsArgs>),

    /// Test whether a key exists
    ///
    /// Prints nothing; ends with status 0 if there is such a key and with 1 if there is none.
    Has(With<HasArgs>),

    /// Print what is known about a key
    ///
    /// Prints key, namespace, size in bytes, time of modification, expiry and etag, one a line.
    Stat(With<StatArgs>),

    /// Set when a key expires
    ///
    /// The value, and when it was modified, stay as they are; the etag is new. An expired key is
    /// absent in every command at once.
    Expire(With<ExpireArgs>),

    /// Print how long a key has to live
    ///
    /// Prints whole seconds, rounded up, or `never`.
    Ttl(With<TtlArgs>),

    /// List the namespaces, or remove one
    Namespaces(With<NamespacesArgs>),

    /// Print the completion script of a shell
    ///
    /// The scripts complete commands, options and the keys of the store.
    ///
    ///   bash: kv completions bash > ~/.local/share/bash-completion/completions/kv
    ///   zsh:  kv completions zsh > /usr/local/share/zsh/site-functions/_kv
    ///   fish: kv completions fish > ~/.config/fish/completions/kv.fish
    #[command(verbatim_doc_comment)]
    Completions(With<CompletionsArgs>),

    /// Print help, for kv or for one command
    Help(HelpArgs),
}

/// Arguments of `kv help`.
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// Command to explain
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// The arguments of a command, and the options that any command takes.
#[derive(Debug, Args)]
pub struct With<A: Args> {
    /// The command's own.
    #[command(flatten)]
    pub args: A,

    #[command(flatten)]
    after: GlobalAfter,
}

/// Options of any command, as they stand before it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalBefore {
    /// Store to use: a directory
    #[arg(short, long, value_name = "LOCATION", value_parser = value::location())]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    store: Option<Location>,

    /// Namespace to use
    #[arg(short, long, value_name = "NAME", value_parser = value::namespace())]
    namespace: Option<Namespace>,

    #[command(flatten)]
    rest: GlobalRest,
}

/// The same as they stand behind it: with long names only, so that commands can have the short
/// ones, as with git's -C.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalAfter {
    /// Store to use: a directory
    #[arg(long, value_name = "LOCATION", value_parser = value::location(), hide_short_help = true)]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    store: Option<Location>,

    /// Namespace to use
    #[arg(long, value_name = "NAME", value_parser = value::namespace(), hide_short_help = true)]
    namespace: Option<Namespace>,

    #[command(flatten)]
    rest: GlobalRest,
}

#[derive(Debug, Args)]
struct GlobalRest {
    /// What a write that succeeded survives: a power cut (full), or the death of any process (off)
    #[arg(long, value_name = "WHEN", hide_short_help = true)]
    sync: Option<Durability>,

    /// How long to wait for the store's own locks [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = value::patience, hide_short_help = true)]
    busy_timeout: Option<Duration>,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// A power cut.
    Full,
    /// The death of any process.
    Off,
}

/// The options that any command takes; what was not given is `None`.
#[derive(Clone, Debug, Default)]
pub struct Global {
    /// Where the store is.
    pub store: Option<Location>,
    /// Which namespace to use.
    pub namespace: Option<Namespace>,
    /// What an acknowledged write survives.
    pub sync: Option<Durability>,
    /// How long to wait for locks.
    pub busy_timeout: Option<Duration>,
}

impl Cli {
    /// Joins the global options before the command with those behind it, which win.
    pub fn global(&self) -> Global {
        let before = &self.before;
        let after = self.command.after();
        Global {
            store: after
                .and_then(|g| g.store.clone())
                .or_else(|| before.store.clone()),
            namespace: after
                .and_then(|g| g.namespace.clone())
                .or_else(|| before.namespace.clone()),
            sync: after.and_then(|g| g.rest.sync).or(before.rest.sync),
            busy_timeout: after
                .and_then(|g| g.rest.busy_timeout)
                .or(before.rest.busy_timeout),
        }
    }
}

impl Command {
    fn after(&self) -> Option<&GlobalAfter> {
        Some(match self {
            Self::Put(with) => &with.after,
            Self::Get(with) => &with.after,
            Self::Remove(with) => &with.after,
            Self::Ls(with) => &with.after,
            Self::Has(with) => &with.after,
            Self::Stat(with) => &with.after,
            Self::Expire(with) => &with.after,
            Self::Ttl(with) => &with.after,
            Self::Namespaces(with) => &with.after,
            Self::Completions(with) => &with.after,
            Self::Help(_) => return None,
        })
    }
}

/// Returns the whole command line as data.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads a command line, the program's name included.
///
/// # Errors
///
/// What clap finds wrong, and its requests to print help or the version; [`usage::explain`] makes
/// one line of the former.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    // To take the description of the command line apart would cost a tenth of a `get`, and the
    // process ends soon.
    let mut command = ManuallyDrop::new(command());
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|err| err.format(&mut command))
}

/// Reads a duration, as [`PutArgs::ttl`] does.
///
/// # Errors
///
/// A text for people.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    value::patience(text)
}
