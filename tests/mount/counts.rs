//! What the steps came to.

use fuser::Errno;

use super::Answer;

/// What was done how often, and what it came to.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) done: u32,
    pub(super) stale: u32,
    pub(super) absent: u32,
    pub(super) exists: u32,
    pub(super) killed: u32,
}

impl Counts {
    #[track_caller]
    pub(super) fn same<T>(&mut self, real: &Answer<T>, model: &Answer<()>, what: &str) {
        let real = real.as_ref().map(|_| ()).map_err(|err| *err);
        assert_eq!(real, *model, "{what}");
        match real {
            Ok(()) => self.done += 1,
            Err(Errno::ESTALE) => self.stale += 1,
            Err(Errno::EEXIST) => self.exists += 1,
            Err(_) => self.absent += 1,
        }
    }
}

/// Is told where a sequence fails.
pub(super) struct Seed(pub(super) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}", self.0);
        }
    }
}
