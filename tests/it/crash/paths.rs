//! Paths, as a record and the recorded program know them.

use super::calls::Call;
use super::disk::{Disk, Inode};

pub fn path_to(disk: &Disk, dir: Inode, wanted: Inode) -> Option<String> {
    if dir == wanted {
        return Some(".".to_owned());
    }
    disk.entries(dir).find_map(|(name, child)| {
        let below = path_to(disk, child, wanted)?;
        Some(match &below[..] {
            "." => name.clone(),
            _ => format!("{name}/{below}"),
        })
    })
}

pub fn call_path(call: &Call, n: usize) -> String {
    let path = String::from_utf8(call.bytes(n)).unwrap();
    assert!(path.starts_with('/'), "{call:?}");
    path
}

/// Returns which permissions new files do not get.
pub fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    u32::from_str_radix(line.unwrap().trim(), 8).unwrap()
}
