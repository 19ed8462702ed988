//! What can be typed: the command line as data, and nothing that carries it out.
//!
//! Help text is written here once. `--help`, the man pages and the completions are all made from
//! it, so a doc comment on a variant or a field is user documentation: first line imperative, no
//! full stop. What a man page tells beyond that is in `man/`, in Markdown that only the generator in
//! `tests/it` reads: a command without a page there fails a test.
//!
//! Only the command that was typed is built: `alone` says how.

mod alone;
mod batch;
mod bulk;
mod counters;
mod expiry;
mod foreign;
mod fstab;
mod global;
mod lists;
mod memo;
mod programs;
mod reach;
mod reader;
mod screen;
mod serve;
mod shell;
mod upkeep;
pub mod usage;
mod value;
mod values;
mod variable;
mod with;

use clap::{Parser, Subcommand};

pub use self::batch::BatchArgs;
pub use self::bulk::{ExportArgs, ImportArgs};
pub use self::counters::{AppendArgs, IncrArgs};
pub use self::expiry::{ExpireArgs, TtlArgs};
pub use self::foreign::MEANT;
pub use self::fstab::is_helper;
pub use self::global::{Durability, Global};
pub use self::lists::{ItemsArgs, PopArgs, PushArgs};
pub use self::memo::MemoArgs;
pub use self::programs::{LockArgs, OnLoss, UpdateArgs, WaitArgs, WatchArgs};
pub use self::reach::{MountArgs, NamespacesArgs};
pub use self::reader::{Reader, command, names_a_program, parse};
pub use self::screen::{Screen, When};
pub use self::serve::ServeArgs;
pub use self::shell::{CompletionsArgs, Shell};
pub use self::upkeep::{FsckArgs, GcArgs, InfoArgs};
pub use self::values::{
    EditArgs, Field, GetArgs, HasArgs, LsArgs, MoveArgs, PutArgs, RemoveArgs, StatArgs,
};
pub use self::variable::{Target, Variable};
pub use self::with::With;

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
#[command(max_term_width = 80, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    before: Global,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `kv help recipes` prints: a script of sh, which the README and kv-recipes(7) show too.
pub const RECIPES: &str = include_str!("recipes.sh");

const AFTER_HELP: &str = "\
For a start:
  kv put color green
  kv get color
  kv ls

`kv help` lists the commands; `kv help COMMAND` explains one, and so does its
man page, such as kv-put(1); `kv help recipes` shows what scripts do with them.";

/// Returns what kv says of itself to somebody who names no command.
pub fn welcome() -> String {
    let about = command().get_about().map(ToString::to_string);
    format!("{}\n\n{AFTER_HELP}", about.unwrap_or_default())
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
    #[command(alias = "set")]
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

    /// Give a key another name
    ///
    /// The value, its time of modification and its expiry come along; the etag is new. What NEW held is
    /// replaced, unless --if-absent is given. Of several who rename OLD at once, one does, and the
    /// others end with status 1.
    Rename(With<MoveArgs>),

    /// Copy what a key holds to another
    ///
    /// The value, its time of modification and its expiry are those of OLD; the etag is new. What NEW
    /// held is replaced, unless --if-absent is given.
    Copy(With<MoveArgs>),

    /// List keys
    ///
    /// Lists keys in the order of their bytes, one a line. GLOB matches the whole key: `*` stands
    /// for any bytes, a slash too, `?` for one character, `[a-z]` and `[!a-z]` for one of several,
    /// and `\` quotes; put it in quotes. A pattern, prefix or bound that nothing matches ends with
    /// status 1.
    #[command(aliases = ["list", "keys"])]
    Ls(With<LsArgs>),

    /// Test whether a key exists
    ///
    /// Prints nothing; ends with status 0 if there is such a key and with 1 if there is none.
    #[command(alias = "exists")]
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

    /// Add to a number
    ///
    /// Prints the sum. A key that is absent counts as 0. The value must be a decimal number of 64
    /// bits; one final newline is passed over. The expiry stays as it is.
    Incr(With<IncrArgs>),

    /// Add to the end of a value
    ///
    /// Without VALUE standard input is read, up to its end. A key that is absent is made; the
    /// expiry stays as it is.
    Append(With<AppendArgs>),

    /// Add elements to the end of a list
    ///
    /// A list is the namespace of its name, wherever -n points to, and its keys are numbers; it is
    /// made by its first element. Without VALUE all of standard input is one element.
    Push(With<PushArgs>),

    /// Take an element from a list, or work on it
    ///
    /// Takes the oldest element, in one step: of several takers, each gets another. With nothing to
    /// take it ends with status 1. Without CMD an element whose taker dies before it has read it is gone.
    ///
    /// With CMD the element stays in the list until CMD has ended with status 0, and nobody else gets it
    /// meanwhile. CMD gets it on its standard input, and its key in KV_ELEMENT; its status is returned.
    /// If that is another, or CMD or kv is killed, the element is there for the next taker.
    Pop(With<PopArgs>),

    /// Print the elements of a list
    ///
    /// Prints all elements, the oldest first, one a line, and takes none.
    Items(With<ItemsArgs>),

    /// Change a value by a program
    ///
    /// CMD gets the value on its standard input, nothing if there is no such key, and what it
    /// writes to its standard output becomes the value if it ends with status 0. Otherwise nothing
    /// changes, and its status is returned. The expiry stays as it is.
    ///
    /// No lock is held while CMD runs. If another changes the key meanwhile, the output is dropped
    /// and CMD is run again on the new value: it must bear being run more than once.
    Update(With<UpdateArgs>),

    /// Change a value in an editor
    ///
    /// Opens the value in $VISUAL, or else $EDITOR or vi, and stores what is then in the file. If another
    /// changes the key meanwhile, nothing is stored: the text is kept in a file, a line says where, and
    /// the status is 1. A key that is absent is made. Text that stays as it is stores nothing. The expiry
    /// stays as it is.
    Edit(With<EditArgs>),

    /// Run a program while holding a lock
    ///
    /// The lock belongs to NAME in the namespace and is held by kv itself, not by CMD: it ends when
    /// CMD ends. If kv dies, CMD is killed and the lock is free, however that happens. What CMD has
    /// started, or leaves running in the background, lives on without the lock, unless --inherit is
    /// given.
    ///
    /// Without an option this waits for as long as it takes, as flock(1) does.
    Lock(With<LockArgs>),

    /// Run a program once and replay what it printed
    ///
    /// The first run's standard output, standard error and status are remembered for the time to
    /// live, and given again instead of running CMD. Of several callers at once one runs CMD and
    /// the others wait for it. Runs that fail are remembered only with --keep-failures, and runs
    /// that a signal ends never. CMD gets no standard input.
    ///
    /// What is remembered is an ordinary key in the namespace `memo`, unless -n names another.
    Memo(With<MemoArgs>),

    /// Wait until a key is there, gone or changed
    ///
    /// Returns as soon as it holds, and at once if it holds already.
    Wait(With<WaitArgs>),

    /// Follow changes, or run a program for each
    ///
    /// Prints a line for each key that changes, at once: `put` or `gone`, its etag or `-`, and the key,
    /// with tabs between them. An expired key is gone at its time. It goes on until it is ended, or
    /// --timeout is over.
    ///
    /// It tells states: a key that changes again before it was looked at is told once, as it is then, and
    /// the last state of each key is told in any case.
    ///
    /// With CMD, CMD is run once for each key that has changed, one at a time, with the value on its
    /// standard input and KV_KEY, KV_EVENT and KV_ETAG in its environment. A status other than 0 ends it,
    /// and is returned.
    Watch(With<WatchArgs>),

    /// Carry out commands from standard input
    ///
    /// Takes one command a line, without `kv`, quoted as in a shell: 'text', "text", \c and
    /// $'\xff' work, nothing is expanded, a quoted newline goes on, and `#` begins a comment. The
    /// commands are put, get, remove, rename, copy, ls, has, stat, expire, ttl, incr, append, push, pop and items;
    /// a VALUE cannot come from standard input.
    ///
    /// For each command the reply is a line with its exit status and a number of bytes, then so many
    /// bytes of what it prints, and a newline. A reply means that the command is done, and replies
    /// do not wait while the input does. Errors are told on standard error with their line. The exit
    /// status is the highest of all.
    Batch(With<BatchArgs>),

    /// Store entries from standard input
    ///
    /// Reads what `kv export` writes, one JSON object a line. Each entry takes the place of what its
    /// key holds and keeps its time of modification and its expiry; the etag is new. A line that is
    /// wrong ends it with status 2, and then nothing is imported: all is read and checked before the
    /// first entry is stored.
    Import(With<ImportArgs>),

    /// Print entries for `kv import`
    ///
    /// Prints keys, values, times of modification and expiries in the order of the keys, one JSON
    /// object a line. GLOB matches the whole key, as with `kv ls`; one that nothing matches ends
    /// with status 1.
    Export(With<ExportArgs>),

    /// Keep a store small
    ///
    /// Moves small entries that nobody has written for an hour from files of their own into packs,
    /// merges packs, and deletes what has expired and what killed processes left. What any command
    /// answers stays the same. It is silent and made for cron: if another gc is at work, or there is
    /// no store, it does nothing and ends with status 0. Readers and writers need not stop for it.
    ///
    /// With --evict-older-than, --max-entries or --max-size it also removes living entries, those
    /// first that were written first. These want a namespace to be named, by -n or KV_NAMESPACE.
    /// Otherwise every namespace is treated, unless one is named.
    ///
    /// SIZE is a number of bytes, or a number and K, M, G or T for powers of 1024, as in 500M or
    /// 1.5G; KiB and so on are the same, and KB and so on are powers of 1000.
    Gc(With<GcArgs>),

    /// Check a store, and repair it
    ///
    /// Looks at every byte of a store and prints a line for each thing that is not as it ought to
    /// be: how bad it is, the file, and what is wrong. It is silent when all is well. A check takes
    /// no lock and changes nothing, and others may go on using the store.
    ///
    /// With --repair what is damaged is moved to the directory `lost` of its namespace, and what is
    /// sound of a pack is saved. Nothing is deleted and nothing is guessed: a key whose value is lost
    /// is absent or answers status 4, and no older value takes its place.
    ///
    /// The status is 4 if damage is left, and 5 if something could not be looked at.
    Fsck(With<FsckArgs>),

    /// Print what is known of a store
    ///
    /// Prints which engine keeps the store, where it is and which setting says so, and then of every
    /// namespace, or of the one that is named, its counts and sizes, one `name: value` a line, and how
    /// its entries are spread by the size of their values and by their age.
    Info(With<InfoArgs>),

    /// Serve a store over HTTP
    ///
    /// GET, HEAD, PUT and DELETE of /v1/NAMESPACE/KEY read and write raw bytes, GET /v1/NAMESPACE lists
    /// keys, and POST carries out the other atomic verbs; kv-serve(1) has all of it. Without an option
    /// it listens on 127.0.0.1:8080, where every user and program of this machine can reach it.
    ///
    /// One line on standard error says that it listens, and where. SIGTERM lets the requests finish
    /// that have begun, and ends it with status 0.
    Serve(With<ServeArgs>),

    /// Mount a store as a file system
    ///
    /// Namespaces are directories in DIR, slashes in keys make directories in these, and a key's value
    /// is a file: grep, vim, rsync and any other program can read and write it. What was written to a
    /// file becomes the key's value in one step when it is closed or synced.
    ///
    /// kv goes into the background and ends with status 0 once the store is mounted. It is unmounted by
    /// umount(8), or by fusermount3 -u for users other than root.
    Mount(With<MountArgs>),

    /// List the namespaces, or remove one
    Namespaces(With<NamespacesArgs>),

    /// Print the completion script of a shell
    ///
    /// The scripts complete commands, options and the keys of the store.
    ///
    ///   kv completions bash > ~/.local/share/bash-completion/completions/kv
    ///   kv completions zsh > /usr/local/share/zsh/site-functions/_kv
    ///   kv completions fish > ~/.config/fish/completions/kv.fish
    #[command(verbatim_doc_comment)]
    Completions(With<CompletionsArgs>),

    /// Print what a shell reads once to work well with kv
    ///
    /// `eval "$(kv init bash)"` in a script or in ~/.bashrc loads kv into bash as a builtin, where kv.so lies
    /// beside kv: the commands on single keys, lists and counters then take no process of their own,
    /// and -v VAR sets a variable without a subshell. Where there is none, all stays as it is. In an
    /// interactive shell the completions are loaded too; of other shells only these.
    Init(With<CompletionsArgs>),

    /// Print help, for kv or for one command
    Help {
        /// Command to explain, or `recipes` for what scripts do with them
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

impl Command {
    /// Tells whether the command runs a program, whose exit status it then returns.
    pub fn runs_a_program(&self) -> bool {
        match self {
            Self::Watch(with) => !with.args.command.is_empty(),
            Self::Pop(with) => !with.args.command.is_empty(),
            _ => matches!(self, Self::Update(_) | Self::Lock(_) | Self::Memo(_)),
        }
    }
}
