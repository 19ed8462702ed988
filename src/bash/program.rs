//! Where the program `kv` is.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where whoever built this has installed the program.
const INSTALLED: Option<&str> = option_env!("KV_PROGRAM");

/// Finds the program: where KV_BIN says, or where it was installed, or on PATH.
pub(super) fn find(named: Option<OsString>) -> Option<PathBuf> {
    let named = named.filter(|name| !name.is_empty());
    if let Some(path) = &named
        && path.as_bytes().contains(&b'/')
    {
        return named.map(PathBuf::from);
    }
    if named.is_none()
        && let Some(path) = INSTALLED.map(PathBuf::from).filter(|path| is_program(path))
    {
        return Some(path);
    }
    let dirs = env::var_os("PATH").unwrap_or_default();
    let name = named.unwrap_or_else(|| "kv".into());
    // A name without a slash would find the builtin again.
    let mut found = env::split_paths(&dirs).map(|dir| Path::new(".").join(dir).join(&name));
    found.find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    let is_executable =
        |meta: std::fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    path.metadata().is_ok_and(is_executable)
}
