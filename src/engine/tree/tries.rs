//! Trying again because something moved.
//!
//! A step that finds its namespace, its draft or a pack gone begins again with what is there now. It
//! gets further each time unless others are faster for ever, or the file system answers the same
//! question in two ways: no such loop goes on without a pause, or without an end.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::store::{Result, StoreError};

/// So often without a pause: what moved once has rarely moved twice.
const AT_ONCE: u32 = 32;
const PAUSE: Duration = Duration::from_millis(5);
/// All pauses together.
const LONGEST: Duration = Duration::from_secs(10);

/// Counts how often something had moved.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Counts one more, and pauses if there were many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] on this path when that went on for 10 seconds.
    pub(super) fn again(&mut self, path: impl FnOnce() -> PathBuf) -> Result<()> {
        self.0 += 1;
        let waited = PAUSE * self.0.saturating_sub(AT_ONCE);
        if waited > LONGEST {
            let path = path();
            return Err(StoreError::Busy { path, waited });
        }
        if !waited.is_zero() {
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_an_end() {
        let mut tries = Tries(AT_ONCE + 1_999);
        assert!(tries.again(PathBuf::new).is_ok());
        let err = tries.again(PathBuf::new).unwrap_err();
        assert!(matches!(err, StoreError::Busy { .. }));
    }
}
