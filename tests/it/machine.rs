//! What only root can give a test: file systems of its own, and other users.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{KV, Ran, Sandbox, cannot_run};

/// Tells whether this is root, and says loudly if it is not.
#[track_caller]
pub fn is_root() -> bool {
    let uid = fs::metadata("/proc/self").map(|meta| meta.uid());
    let is_root = uid.is_ok_and(|uid| uid == 0);
    if !is_root {
        cannot_run("it takes root");
    }
    is_root
}

/// A small file system in memory, unmounted when it goes, after a panic too.
pub struct Mount {
    dir: PathBuf,
}

impl Mount {
    /// Mounts one with these options in a sandbox; says loudly if that is impossible.
    #[track_caller]
    pub fn tmpfs(kv: &Sandbox, options: &str) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let dir = kv.path("mount");
        fs::create_dir_all(&dir).unwrap();
        let options = format!("{options},mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "kv-test"]);
        match mount.arg(&dir).output() {
            Ok(output) if output.status.success() => Some(Self { dir }),
            _ => {
                cannot_run("nothing can be mounted here");
                None
            }
        }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Prepares `kv ARGS…` on the store that this file system holds.
    pub fn kv<A: AsRef<OsStr>>(&self, kv: &Sandbox, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = kv.kv(args);
        command.env("KV_STORE", self.store());
        command
    }

    pub fn run<A: AsRef<OsStr>>(&self, kv: &Sandbox, args: impl IntoIterator<Item = A>) -> Ran {
        Ran::of(&mut self.kv(kv, args))
    }

    /// Makes what is mounted unwritable.
    #[track_caller]
    pub fn make_read_only(&self) {
        self.remount("ro");
    }

    /// Mounts it once more, with this option.
    #[track_caller]
    pub fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]);
        assert!(mount.arg(&self.dir).status().unwrap().success());
    }

    /// Returns all paths below the store, to be compared with what is there later.
    pub fn names(&self) -> Vec<PathBuf> {
        let walk = walkdir::WalkDir::new(self.store()).sort_by_file_name();
        walk.into_iter()
            .map(|entry| entry.unwrap().into_path())
            .collect()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that still has a file open must not keep it mounted.
        _ = Command::new("umount").arg("-l").arg(&self.dir).status();
    }
}

/// A sandbox that any user can reach, and a copy of the binary in it.
pub struct Commons {
    pub kv: Sandbox,
    binary: PathBuf,
}

impl Commons {
    #[track_caller]
    pub fn new() -> Option<Self> {
        if !is_root() {
            return None;
        }
        // The build's directory may lie below a home that others cannot enter.
        let kv = Sandbox::below(&std::env::temp_dir().join("kv-commons"));
        let binary = kv.path("kv");
        if fs::hard_link(KV, &binary).is_err() {
            fs::copy(KV, &binary).unwrap();
        }
        for open in [kv.root().parent().unwrap(), kv.root()] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(Self { kv, binary })
    }

    /// Prepares `kv ARGS…` as another user, whose only group is the one that is named.
    pub fn kv_as<A: AsRef<OsStr>>(
        &self,
        (uid, gid): (u32, u32),
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .current_dir(self.kv.root())
            .env_clear()
            .env("KV_STORE", self.kv.store())
            .stdin(std::process::Stdio::null());
        // Changing the user drops root's other groups.
        command.uid(uid).gid(gid);
        command
    }

    pub fn run_as<A: AsRef<OsStr>>(
        &self,
        user: (u32, u32),
        args: impl IntoIterator<Item = A>,
    ) -> Ran {
        Ran::of(&mut self.kv_as(user, args))
    }
}

/// Returns the permission bits of a file, and its group.
pub fn mode_and_group(path: &Path) -> (u32, u32) {
    let meta = path.symlink_metadata().unwrap();
    (meta.mode() & 0o7777, meta.gid())
}

/// Without this name the standard library starts each child of a static program by `fork`, which
/// copies the page tables of a test binary of hundreds of megabytes. With it, it is `posix_spawn`,
/// which copies nothing. In a static program a weak name is there only if somebody asks for it.
#[cfg(target_os = "linux")]
#[used]
static SPAWN_IN_A_DIRECTORY: unsafe extern "C" fn(
    *mut nix::libc::posix_spawn_file_actions_t,
    *const nix::libc::c_char,
) -> nix::libc::c_int = nix::libc::posix_spawn_file_actions_addchdir_np;
