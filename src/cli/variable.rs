//! `-v VAR`: an answer for a variable of the shell instead of standard output.

use std::ffi::{OsStr, OsString};

use clap::{Args, ValueHint};

use crate::cli::Command;
use crate::exit::UsageError;

/// The option of the commands whose answer bash can hold.
#[derive(Debug, Default, Args)]
pub struct Variable {
    /// In bash, with the builtin of `kv init bash`: set the variable VAR instead of printing
    #[arg(id = "variable", short = 'v', value_name = "VAR", value_hint = ValueHint::Other)]
    name: Option<OsString>,
}

/// A variable of bash that an answer is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name, or an element of an array.
    pub name: &'a OsStr,
    /// Each record that ends with NUL is an element of its own.
    pub is_array: bool,
    /// The newline at the end is none of the answer.
    pub is_line: bool,
    /// The answer is nowhere else when the command is done.
    pub is_taken: bool,
}

impl Command {
    /// Returns the variable that the answer is for.
    ///
    /// # Errors
    ///
    /// Where the answer is none that a variable holds.
    pub fn target(&self) -> Result<Option<Target<'_>>, UsageError> {
        let is_taken = match self {
            Self::Get(with) => with.args.remove,
            Self::Pop(_) | Self::Incr(_) => true,
            _ => false,
        };
        let (variable, is_array, is_line, lacks) = match self {
            Self::Get(with) => (&with.args.variable, false, with.args.json, None),
            Self::Pop(with) => (&with.args.variable, false, false, None),
            Self::Incr(with) => (&with.args.variable, false, true, None),
            Self::Ttl(with) => (&with.args.variable, false, true, None),
            Self::Stat(with) => {
                let lacks = with.args.field.is_none().then_some("--field");
                (&with.args.variable, false, true, lacks)
            }
            Self::Ls(with) => {
                let lacks = (!with.args.null).then_some("-0");
                (&with.args.variable, true, false, lacks)
            }
            _ => return Ok(None),
        };
        let Some(name) = &variable.name else {
            return Ok(None);
        };
        match lacks {
            Some(option) => Err(UsageError(format!("-v VAR needs {option}"))),
            None => Ok(Some(Target {
                name,
                is_array,
                is_line,
                is_taken,
            })),
        }
    }
}
