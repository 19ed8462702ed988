//! A place for stores that are made and thrown away by the thousand.
//!
//! What is tried there is killed, damaged or read at every point, and none of that depends on the
//! disk, which takes most of the time otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many bytes have to be free in memory; containers often have little.
const ENOUGH: u64 = 1 << 30;

/// A new directory, in memory if the system has enough of it.
pub struct Memory(pub PathBuf);

impl Memory {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kv-test-{}-{number}", process::id());
        let in_memory = Path::new("/dev/shm");
        let has_enough = rustix::fs::statvfs(in_memory)
            .is_ok_and(|stat| stat.f_bavail * stat.f_frsize >= ENOUGH);
        let dir = in_memory.join(&name);
        if has_enough && fs::create_dir(&dir).is_ok() {
            return Self(dir);
        }
        let on_disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::create_dir(&on_disk).unwrap();
        Self(on_disk)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
