//! `gc`: collects garbage.

use crate::store::{Clock, Collect, Collected, Namespace, Progress, Result};

use super::Tree;

impl Tree {
    /// Collects garbage; see [`crate::store::Store::collect`].
    pub(super) fn collect_garbage(
        &self,
        _namespace: &Namespace,
        _request: &Collect,
        _clock: &dyn Clock,
        _progress: &mut dyn Progress,
    ) -> Result<Collected> {
        Ok(Collected::default())
    }
}
