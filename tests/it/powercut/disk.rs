//! A file system of its own, in an image, whose power can be cut.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::{Sandbox, cannot_run, has_program};
use crate::machine::is_root;

/// How the file system goes down.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// What its journal has not yet written is lost.
    Plain,
    /// Its journal is written first: names are new, and what they name may not be there.
    JournalFirst,
}

/// An image with a file system that is mounted now and then.
pub struct Disk {
    kind: &'static str,
    image: PathBuf,
    dir: PathBuf,
}

impl Disk {
    /// Makes one and mounts it; says loudly if that cannot be done here.
    #[track_caller]
    pub fn new(kv: &Sandbox, kind: &'static str) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let mkfs = format!("mkfs.{kind}");
        for program in [&mkfs, "xfs_io"] {
            if !has_program(program) {
                cannot_run(&format!("{program} is not installed"));
                return None;
            }
        }
        let image = kv.path("image");
        // The least that mkfs.xfs takes; of the file only what is written takes space.
        File::create(&image).unwrap().set_len(300 << 20).unwrap();
        let made = Command::new(&mkfs).arg("-q").arg(&image).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let dir = kv.path("disk");
        fs::create_dir(&dir).unwrap();
        let disk = Self { kind, image, dir };
        match disk.mount() {
            true => Some(disk),
            false => {
                cannot_run(&format!("no image with {kind} can be mounted here"));
                None
            }
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn mount(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", self.kind, "-o", "loop"]);
        let output = mount.arg(&self.image).arg(&self.dir).output().unwrap();
        output.status.success()
    }

    /// Shuts the file system down under whoever uses it: all that it is asked from then on fails.
    pub fn cut(&self, cut: Cut) {
        let shutdown = match cut {
            Cut::Plain => "shutdown",
            Cut::JournalFirst => "shutdown -f",
        };
        let mut xfs_io = Command::new("xfs_io");
        xfs_io.args(["-x", "-c", shutdown]).arg(&self.dir);
        let output = xfs_io.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Mounts it again, as after a power cut, when nobody uses it any more.
    #[track_caller]
    pub fn restart(&self) {
        for _ in 0..200 {
            let status = Command::new("umount").arg(&self.dir).output().unwrap();
            if status.status.success() {
                assert!(self.mount(), "{} cannot be mounted again", self.kind);
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{} is in use for ever", self.dir.display());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(&self.dir).output();
    }
}
