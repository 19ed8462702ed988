//! `kv mount`: a store as a file system.

mod adders;
mod damage;
mod descriptors;
mod disks;
mod ends;
mod files;
mod gone;
mod handed;
mod held;
mod locks;
mod made;
mod mounted;
mod names;
mod open;
mod readers;
mod threads;
mod tools;
mod writers;
mod xattrs;

pub use self::mounted::can_mount;
use self::mounted::{Mount, on_each};
