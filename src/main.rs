//! The `kv` command; all of it is in the library of that name.

use std::process::ExitCode;

fn main() -> ExitCode {
    kv::commands::main(std::env::args_os())
}
