//! Reading a command line.

use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command, GetArgs, Global, HasArgs, PutArgs, With, fstab};
use crate::store::Key;

/// Returns the whole command line as data.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads a command line, the program's name included.
///
/// # Errors
///
/// What clap finds wrong, and its requests to print help or the version; [`super::usage::explain`] makes
/// one line of the former.
pub fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let translated = fstab::translated(args);
    let args = translated.as_deref().unwrap_or(args);
    match Cli::alone(args) {
        Some(cli) => Ok(cli),
        None => Reader::default()
            .read(args)
            .map_err(|err| match translated {
                Some(_) => fstab::in_its_words(err),
                None => err,
            }),
    }
}

/// Reads command lines, of which the second takes less time than the first: what describes a
/// command is built once.
#[derive(Debug)]
pub struct Reader {
    /// To take the description apart would cost a tenth of a `get`, and the process ends soon.
    command: ManuallyDrop<clap::Command>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            command: ManuallyDrop::new(command()),
        }
    }
}

impl Reader {
    /// Reads a command line, as [`parse`].
    pub fn read(&mut self, args: &[OsString]) -> Result<Cli, clap::Error> {
        if let Some(cli) = plain(args) {
            return Ok(cli);
        }
        let at = command_at(&self.command, args).unwrap_or(args.len());
        let before = args[..at].iter().map(OsString::as_os_str);
        let args = before.chain(with_null_option(&args[at..]));
        let mut matches = self.command.try_get_matches_from_mut(args)?;
        Cli::from_arg_matches_mut(&mut matches).map_err(|err| err.format(&mut self.command))
    }
}

/// Reads a command of a batch that most batches have many of, where no word can be an option: the definition
/// takes longer to say so than most stores take to carry it out.
fn plain(args: &[OsString]) -> Option<Cli> {
    let [_, name, key, value @ ..] = args else {
        return None;
    };
    let mut words = args[1..].iter();
    if words.any(|word| word.as_encoded_bytes().starts_with(b"-")) {
        return None;
    }
    let key = Key::try_from(key.clone()).ok()?;
    let after = Global::default();
    let command = match (name.to_str()?, value) {
        ("get", []) => {
            let (default, remove) = (None, false);
            let args = GetArgs {
                key,
                default,
                remove,
            };
            Command::Get(With { args, after })
        }
        ("has", []) => {
            let args = HasArgs { key };
            Command::Has(With { args, after })
        }
        ("put", [value]) => {
            let args = PutArgs {
                key,
                value: Some(value.clone()),
                file: None,
                ttl: None,
                keep_ttl: false,
                if_absent: false,
                if_exists: false,
                if_value: None,
                if_etag: None,
                print_etag: false,
            };
            Command::Put(With { args, after })
        }
        _ => return None,
    };
    let before = Global::default();
    Some(Cli { before, command })
}

/// Reads `-0` behind the name of a command as the option that it is for `push`. Everywhere else before
/// `--` it is a negative number, which is text, and clap would take it for the element.
pub(super) fn with_null_option(words: &[OsString]) -> impl Iterator<Item = &OsStr> + Clone {
    let mut is_option = words.first().is_some_and(|name| name == "push");
    words.iter().map(move |word| {
        is_option &= word != "--";
        match is_option && word == "-0" {
            true => OsStr::new("--null"),
            false => word,
        }
    })
}

/// Returns where the name of the command stands.
pub(super) fn command_at(command: &clap::Command, args: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        match args.get(at)?.to_str() {
            Some("--") => return None,
            Some(word) if !word.starts_with('-') => return Some(at),
            Some(word) if wants_value(command, word) => at += 2,
            _ => at += 1,
        }
    }
}

/// Tells whether a word before the command is an option whose value is the next word.
fn wants_value(command: &clap::Command, word: &str) -> bool {
    // `get_opts` has flags too as long as the command is not built, which would cost every start.
    let is_one = |arg: &&clap::Arg| !arg.is_positional() && arg.get_action().takes_values();
    let options = || command.get_arguments().filter(is_one);
    let Some(long) = word.strip_prefix("--") else {
        let is_option = |short| options().any(|opt| opt.get_short() == Some(short));
        // What stands behind a short option is its value.
        let found = word.char_indices().skip(1).find(|(_, c)| is_option(*c));
        return found.is_some_and(|(at, short)| at + short.len_utf8() == word.len());
    };
    options().any(|opt| opt.get_long() == Some(long))
}

/// Tells whether a command line that cannot be read is one of a command that runs a program: such
/// a command has exit statuses of its own for its own failures.
pub fn names_a_program(args: &[OsString]) -> bool {
    let name = command_at(&command(), args).and_then(|at| args[at].to_str());
    name.is_some_and(runs_a_program)
}

/// Tells whether the command of this name runs a program, which then stands behind `--`.
pub(super) fn runs_a_program(name: &str) -> bool {
    let mut command = command();
    // The arguments of a command are not there before.
    command.build();
    let named = command.find_subcommand(name);
    named.is_some_and(|named| named.get_positionals().any(clap::Arg::is_last_set))
}

#[cfg(test)]
mod tests;
