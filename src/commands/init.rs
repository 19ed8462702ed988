//! `kv init`: prints what a shell reads once.

use std::env;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
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
        let mut line = b"if [[ $- != *r* ]] && enable -f ".to_vec();
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
    places
        .into_iter()
        .find(|place| is_whole(place).is_ok_and(|whole| whole))
}

/// Tells whether all of a 64-bit ELF file is there (elf(5): the section headers are its last part): of one that
/// is cut off, bash dies by SIGBUS.
fn is_whole(path: &Path) -> io::Result<bool> {
    let mut header = [0; 64];
    let mut file = File::open(path)?;
    file.read_exact(&mut header)?;
    let half = |at: usize| u64::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    let begin = header[40..48].try_into().map_or(0, u64::from_ne_bytes);
    let end = begin.saturating_add(half(58) * half(60));
    Ok(header.starts_with(b"\x7fELF\x02") && end <= file.metadata()?.len())
}
