//! Reading a command by its own definition.
//!
//! To define the other commands too, if only by their names, takes longer than all else that a `get`
//! does. So a command line is first read as two: the options before the command, and the command as
//! if it were a program. Both are pieces of the whole definition, and what cannot be read so, as it is
//! wrong or asks for help, is left to that one: it says the same of everything, and says it all.

use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;

use clap::Args;

use super::reader::{command_at, with_null_option};
use super::{Cli, Command, Global, With};

impl Cli {
    /// Reads a command line, the program's name included, if it is one that is right.
    pub(super) fn alone(args: &[OsString]) -> Option<Self> {
        let is_option = args.get(1)?.as_encoded_bytes().starts_with(b"-");
        let (before, at) = if is_option {
            let definition = define::<Global>();
            let at = command_at(&definition, args)?;
            let words = args[..at].iter().map(OsString::as_os_str);
            (read_by(definition, words)?, at)
        } else {
            (Global::default(), 1)
        };
        let command = Command::alone(&args[at..])?;
        Some(Self { before, command })
    }
}

/// What is done for each of the commands that take the options of any command.
macro_rules! each {
    ($($command:ident $($alias:ident)*,)*) => {
        impl Command {
            /// Reads a command and what stands behind it.
            fn alone(words: &[OsString]) -> Option<Self> {
                let name = words.first()?.to_str()?;
                if !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
                    return None;
                }
                let words = with_null_option(words);
                $(if name.eq_ignore_ascii_case(stringify!($command))
                    $(|| name == stringify!($alias))*
                {
                    return read(words).map(Self::$command);
                })*
                None
            }

            /// Returns the options of any command that stand behind this one.
            pub(super) fn after(&self) -> Option<&Global> {
                match self {
                    $(Self::$command(With { after, .. }) => Some(after),)*
                    Self::Help { .. } => None,
                }
            }
        }
    };
}

// Each with its other names: the test walks those of the definition.
each! {
    Get, Put set, Remove rm del delete, Rename, Copy, Ls list keys, Has exists, Stat, Expire, Ttl, Incr, Append,
    Push, Pop, Items,
    Update, Edit, Lock, Memo, Wait, Watch, Batch, Import, Export, Gc, Fsck, Info, Serve, Mount, Namespaces,
    Completions, Init,
}

fn define<A: Args>() -> clap::Command {
    A::augment_args(clap::Command::new("kv"))
}

/// Reads words behind a first one, which is a name.
fn read<'a, A: Args>(words: impl Iterator<Item = &'a OsStr> + Clone) -> Option<A> {
    read_by(define::<A>(), words)
}

fn read_by<'a, A: Args>(
    definition: clap::Command,
    words: impl Iterator<Item = &'a OsStr> + Clone,
) -> Option<A> {
    // The process ends soon, and to take the definition apart would be work.
    let mut definition = ManuallyDrop::new(definition);
    let mut matches = definition.try_get_matches_from_mut(words).ok()?;
    A::from_arg_matches_mut(&mut matches).ok()
}
