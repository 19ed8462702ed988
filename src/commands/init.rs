//! `kv init`: prints what a shell reads once.

use std::env;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::completions;
use super::output::{OrCannotWrite as _, Output};
use crate::cli::{CompletionsArgs, Shell};
use crate::exit::Exit;
use crate::wire::quote::quote;

/// Prints a script that loads the builtin, where there is one, and the completions.
pub(super) fn run(args: &CompletionsArgs, out: &mut Output) -> Result<Exit> {
    let Shell::Bash = args.shell else {
        return completions::run(args, out);
    };
    if let Ok(program) = env::current_exe()
        && let Some(builtin) = builtin_of(&program)
    {
        // A bash that cannot load it goes on with the program.
        let mut line = b"if enable -f ".to_vec();
        quote(builtin.as_os_str().as_bytes(), &mut line);
        line.extend_from_slice(b" kv 2> /dev/null; then [[ -n ${KV_BIN-} ]] || KV_BIN=");
        quote(program.as_os_str().as_bytes(), &mut line);
        line.extend_from_slice(b"; fi\n");
        out.write_all(&line).or_cannot_write()?;
    }
    writeln!(out, "if [[ $- == *i* ]]; then").or_cannot_write()?;
    completions::run(args, out)?;
    writeln!(out, "fi").or_cannot_write()?;
    Ok(Exit::Success)
}

/// Finds the builtin that was installed with this program.
fn builtin_of(program: &Path) -> Option<PathBuf> {
    let dir = program.parent()?;
    let places = [dir.join("kv.so"), dir.join("../lib/kvsh/kv.so")];
    places.into_iter().find(|place| place.is_file())
}
