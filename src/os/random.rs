//! Random bits from the operating system.

use std::fs::File;
use std::io::{self, Read as _};

/// Returns 64 random bits.
///
/// Linux is asked directly: what asks through the C library has to find out first whether that has
/// such a call, and in a static program the answer is no, which costs six calls on devices.
pub(crate) fn random() -> io::Result<u64> {
    let mut bits = [0; 8];
    #[cfg(target_os = "linux")]
    {
        use rustix::rand::{GetRandomFlags, getrandom};

        // The kernel never gives less than asked of so few. Before Linux 3.17 there is no such call.
        if getrandom(&mut bits, GetRandomFlags::empty()) == Ok(bits.len()) {
            return Ok(u64::from_ne_bytes(bits));
        }
    }
    File::open("/dev/urandom")?.read_exact(&mut bits)?;
    Ok(u64::from_ne_bytes(bits))
}
