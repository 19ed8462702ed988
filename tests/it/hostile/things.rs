//! What an enemy puts in the place of a file or a directory of a store.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

/// Something that is no file of a store. It is made where nothing is any more; what was there lies
/// outside of the store.
pub type Thing = (&'static str, fn(&Path, &Path) -> bool);

pub const THINGS: [Thing; 9] = [
    ("a link to what was there", |path, outside| {
        symlink(outside, path).is_ok()
    }),
    ("a link to nothing", |path, outside| {
        symlink(outside.with_file_name("nothing"), path).is_ok()
    }),
    ("a link to itself", |path, _| {
        symlink(path.file_name().unwrap(), path).is_ok()
    }),
    ("a link to a device", |path, _| {
        symlink("/dev/zero", path).is_ok()
    }),
    ("a pipe", |path, _| {
        succeeds(Command::new("mkfifo").arg(path))
    }),
    // One that has bytes without end.
    ("a device", |path, _| {
        succeeds(Command::new("mknod").arg(path).args(["c", "1", "5"]))
    }),
    ("a directory", |path, _| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("in it"), "x").is_ok()
    }),
    ("an empty file", |path, _| fs::write(path, "").is_ok()),
    ("a huge file", |path, _| {
        let file = fs::File::create(path).unwrap();
        file.set_len(1 << 40).is_ok()
    }),
];

fn succeeds(command: &mut Command) -> bool {
    command.output().unwrap().status.success()
}

/// Puts the thing in the place of what is there; false if that cannot be done here.
pub fn replace(path: &Path, thing: Thing, outside: &Path) -> bool {
    fs::rename(path, outside).unwrap();
    let made = thing.1(path, outside);
    if made && !path.is_symlink() {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // As old as what nobody uses any more.
    made && succeeds(Command::new("touch").args(["-h", "-d", "-1 day"]).arg(path))
}

/// What is outside of the store: every path, its mode, when it was changed, and its bytes.
pub type Canary = Vec<(PathBuf, u32, std::time::SystemTime, Vec<u8>)>;

pub fn canary(outside: &Path) -> Canary {
    let walk = WalkDir::new(outside).sort_by_file_name().into_iter();
    walk.map(|entry| {
        let path = entry.unwrap().into_path();
        let meta = path.symlink_metadata().unwrap();
        let bytes = match meta.is_file() {
            true => fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        let mode = meta.permissions().mode();
        (path, mode, meta.modified().unwrap(), bytes)
    })
    .collect()
}
