//! Reading a command line.

use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command, GetArgs, Global, HasArgs, PutArgs, Variable, With, fstab};
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
    let translated = fstab::translated(args)?;
    let args = translated.as_deref().unwrap_or(args);
    match plain(args).or_else(|| Cli::alone(args)) {
        Some(cli) => with_program(cli, args),
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
        let words = before.chain(with_null_option(&args[at..]));
        let mut matches = self.command.try_get_matches_from_mut(words)?;
        let cli = Cli::from_arg_matches_mut(&mut matches);
        with_program(cli.map_err(|err| err.format(&mut self.command))?, args)
    }
}

/// Refuses `--` with nothing behind it, where a program may stand: the variable that was to hold it is unset.
fn with_program(cli: Cli, args: &[OsString]) -> Result<Cli, clap::Error> {
    let may_run_one = matches!(cli.command, Command::Pop(_) | Command::Watch(_));
    let lacks_it = may_run_one && !cli.command.runs_a_program();
    match args.last() {
        Some(last) if lacks_it && last == "--" => Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "there is no CMD behind `--`",
        )),
        _ => Ok(cli),
    }
}

/// Reads a command that scripts and batches have many of, where no word can be an option: the definition
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
            let args = GetArgs {
                key,
                default: None,
                remove: false,
                json: false,
                variable: Variable::default(),
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
    // Of some it is left open whether they do.
    let is_open = matches!(name, Some("pop" | "watch")) && !args.iter().any(|arg| arg == "--");
    name.is_some_and(runs_a_program) && !is_open
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
mod tests {
    //! Every option of every command, wherever it stands.

    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn at(words: &[String]) -> Option<usize> {
        let words = ["kv"]
            .map(str::to_owned)
            .iter()
            .chain(words)
            .map(OsString::from)
            .collect::<Vec<_>>();
        command_at(&command(), &words)
    }

    /// Options that are given before the command, each in all the ways in which it can be typed, and
    /// how many words that takes.
    fn every_option_before() -> Vec<Vec<String>> {
        let mut command = command();
        command.build();
        let mut typed = Vec::new();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let is_flag = !arg.get_action().takes_values();
            for name in arg.get_long_and_visible_aliases().unwrap_or_default() {
                typed.push(vec![format!("--{name}")]);
                if !is_flag {
                    typed.last_mut().unwrap().push("push".to_owned());
                    typed.push(vec![format!("--{name}=push")]);
                }
            }
            for name in arg.get_short_and_visible_aliases().unwrap_or_default() {
                typed.push(vec![format!("-{name}")]);
                if !is_flag {
                    typed.last_mut().unwrap().push("push".to_owned());
                    typed.push(vec![format!("-{name}push")]);
                    typed.push(vec![format!("-h{name}"), "push".to_owned()]);
                }
            }
        }
        typed
    }

    #[test]
    fn the_command_is_found_behind_every_option() {
        let options = every_option_before();
        assert!(options.len() > 12, "{options:?}");
        for option in &options {
            for other in &options {
                let words = [&option[..], other, &["get".to_owned()]].concat();
                assert_eq!(at(&words), Some(words.len()), "{words:?}");
            }
            assert_eq!(at(option), None, "{option:?}");
        }
    }

    #[test]
    fn who_runs_a_program_is_known_from_the_definition() {
        let mut all = command();
        all.build();
        let names = all.get_subcommands().map(clap::Command::get_name);
        let runners: Vec<_> = names.filter(|name| runs_a_program(name)).collect();
        assert_eq!(runners, ["pop", "update", "lock", "memo", "watch"]);
        for name in runners {
            let words = ["kv", name, "name", "--", "true"];
            let words = if name == "memo" {
                vec!["kv", "memo", "--ttl", "1", "--", "true"]
            } else {
                words.to_vec()
            };
            let words: Vec<_> = words.into_iter().map(OsString::from).collect();
            assert!(parse(&words).unwrap().command.runs_a_program());
        }
    }

    /// Words for a command line of this command: all its options, and what they take or refuse.
    fn words_for(command: &clap::Command) -> Vec<OsString> {
        let mut words = Vec::new();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let short = arg.get_short().map(|short| format!("-{short}"));
            let long = arg.get_long().map(|long| format!("--{long}"));
            words.extend(short.into_iter().chain(long.clone()));
            let values = arg.get_possible_values();
            let values = values.iter().map(|value| value.get_name());
            let values = values.chain(["1s", "0123456789abcdef"]);
            words.extend(
                values.flat_map(|value| long.as_ref().map(|long| format!("{long}={value}"))),
            );
        }
        let texts = "x x x x 1s 1s -- -0 -7 - -x --bogus bash".split(' ');
        let mut words: Vec<_> = words.into_iter().map(OsString::from).collect();
        words.extend(texts.map(OsString::from));
        words.extend([OsString::new(), OsString::from_vec(b"\xff".to_vec())]);
        words
    }

    /// Reads command lines in both ways, and demands that they agree. Returns how many are right.
    fn agree(reader: &mut Reader, lines: impl Iterator<Item = Vec<OsString>>) -> usize {
        let mut right = 0;
        for line in lines {
            let alone = Cli::alone(&line).and_then(|cli| with_program(cli, &line).ok());
            match (reader.read(&line), alone) {
                (Ok(whole), Some(alone)) => {
                    assert_eq!(format!("{whole:?}"), format!("{alone:?}"), "{line:?}");
                    right += 1;
                }
                // What is wrong is told by the whole definition.
                (Err(_), None) => {}
                (whole, alone) => panic!("{line:?}: {whole:?}, but {alone:?}"),
            }
        }
        right
    }

    #[test]
    fn a_command_that_is_read_alone_means_what_it_means_among_all() {
        let mut all = command();
        all.build();
        let options = every_option_before().concat();
        let options = options.into_iter().map(OsString::from);
        let options: Vec<_> = options.chain(words_for(&all)).collect();
        let mut reader = Reader::default();
        let mut seed = 0_u64;
        let mut below = |end: usize| {
            seed += 1;
            xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()) as usize % end
        };
        for one in all.get_subcommands().filter(|one| one.get_name() != "help") {
            let words = words_for(one);
            let shouted = one.get_name().to_uppercase();
            let names: Vec<_> = [one.get_name(), &shouted]
                .into_iter()
                .chain(one.get_all_aliases())
                .collect();
            let needed = one.get_opts().filter(|opt| opt.is_required_set());
            let needed = needed.map(|opt| format!("--{}=1s", opt.get_long().unwrap()));
            let needed: Vec<_> = needed.map(OsString::from).collect();
            let mut line = || {
                let mut line = vec![OsString::from("kv")];
                // Most have nothing before the command.
                let before = below(6).saturating_sub(3);
                line.extend((0..before).map(|_| options[below(options.len())].clone()));
                line.push(names[below(names.len())].into());
                if below(2) == 0 {
                    line.extend(needed.clone());
                }
                let behind = below(5);
                line.extend((0..behind).map(|_| words[below(words.len())].clone()));
                if below(3) == 0 {
                    line.extend(["--", "x"].map(OsString::from));
                }
                line
            };
            let right = agree(&mut reader, (0..1_500).map(|_| line()));
            assert!(right > 8, "{one}: {right}");
        }
    }
}
