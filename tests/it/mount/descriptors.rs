//! A mount that is to keep more open than its system lets it.

use std::fs::{self, File};
use std::io::Write as _;

use kv::exit::Exit;
use rustix::io::Errno;

use super::mounted::{can, is_mounted, release};
use crate::harness::Sandbox;

/// Mounts with a limit, and writes to so many files at once. Returns how many could be opened.
fn write_at_once(limit: &str, many: usize) -> usize {
    let kv = Sandbox::new();
    let point = kv.path("mnt");
    fs::create_dir(&point).unwrap();
    let mounted = kv.shell("sh", &format!("ulimit {limit}; exec kv mount mnt"));
    mounted.ends(Exit::Success);
    let dir = point.join("default");
    let mut open = Vec::new();
    let refused = (0..many).find_map(|at| match File::create(dir.join(at.to_string())) {
        Ok(file) => {
            open.push(file);
            None
        }
        Err(err) => Some(err),
    });
    let written = open.iter_mut().try_for_each(|file| {
        file.write_all(b"value")?;
        file.sync_all()
    });
    let count = open.len();
    drop(open);
    let listed = fs::read_dir(&dir).map(|dir| dir.flatten().count());
    release(&point);
    written.unwrap();
    assert_eq!(listed.unwrap(), count);
    kv.holds(&(count - 1).to_string(), "value");
    if let Some(err) = refused {
        assert_eq!(Errno::from_io_error(&err), Some(Errno::MFILE), "{err}");
    }
    count
}

/// A process that the system takes memory from dies without unmounting.
#[test]
fn it_is_not_mounted_where_a_limit_leaves_it_no_memory() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    fs::create_dir(kv.path("mnt")).unwrap();
    let mounted = kv.shell("sh", "ulimit -v 600000; exec kv mount mnt");
    mounted
        .ends(Exit::Failure)
        .complains(&["cannot mount on `mnt`", "ulimit -v"]);
    assert!(!is_mounted(&kv.path("mnt")));
}

#[test]
fn it_keeps_open_what_its_hard_limit_allows_and_stores_all_of_that() {
    if !can() {
        return;
    }
    assert_eq!(write_at_once("-Sn 128", 300), 300);
    let open = write_at_once("-n 200", 300);
    assert!((100..200).contains(&open), "{open}");
}
