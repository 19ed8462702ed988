//! Letting two files swap their names.

use std::io;
use std::os::fd::BorrowedFd;

/// Swaps the names of two files of one file system, in one step.
///
/// # Errors
///
/// Where the system, or the file system, has no such call, too.
pub(crate) fn exchange(
    a: BorrowedFd<'_>,
    name: &str,
    b: BorrowedFd<'_>,
    other: &str,
) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        Ok(rustix::fs::renameat_with(a, name, b, other, flags)?)
    }
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    {
        _ = (a, name, b, other);
        Err(io::ErrorKind::Unsupported.into())
    }
}
