//! `kv.so`: the commands as a builtin of bash, without a process of their own.
//!
//! `enable -f kv.so kv` loads it. What is done at once, bash does itself: it finds the arguments and the
//! environment in its own memory, and standard input and output where a redirection has put them. All else
//! is handed to the program, as if the builtin was not there: so the shell's children, jobs and signals stay
//! its own.
//!
//! Nothing stays open between two calls, neither a file, whose number a redirection may take, nor a
//! connection, which a subshell would share.
//!
//! Built by `cargo rustc --lib --crate-type cdylib --features bash-builtin`; `tests/builtin` has all of the
//! command.

mod ffi;
mod program;

use std::ffi::OsString;

use parking_lot::Mutex;

use crate::cli::{Reader, Target};
use crate::commands::embedded::{self, Answer};

/// Reads command lines. What it learns of the definition is kept from call to call.
static READER: Mutex<Option<Reader>> = Mutex::new(None);

/// Carries out the words behind `kv`.
fn run(words: Vec<OsString>) -> Answer {
    embedded::heed(ffi::is_interrupted);
    ffi::leave_input();
    ffi::environment::refresh();
    let args: Vec<_> = std::iter::once("kv".into()).chain(words).collect();
    let mut reader = READER.lock();
    embedded::embedded(reader.get_or_insert_default(), &args, check)
}

/// Says why a variable cannot be set, if it cannot.
fn check(target: &Target<'_>) -> Result<(), String> {
    let shown = target.name.display();
    match ffi::look_at(target.name, target.is_array) {
        ffi::Found::Computed if target.is_taken => Err(format!(
            "cannot set `{shown}` to what is taken out of the store: use a plain variable, which is no element, \
             reference or integer, nor bash's own"
        )),
        ffi::Found::Fine | ffi::Found::Computed => Ok(()),
        ffi::Found::NoName => Err(format!("invalid name of a variable: `{shown}`")),
        ffi::Found::Fixed => Err(format!("cannot set `{shown}`: it is readonly")),
        ffi::Found::OtherKind => Err(format!("cannot set `{shown}`: it is an associative array")),
    }
}
