//! `info`: what is known of a namespace as a whole.

use std::time::Duration;

use crate::store::{Info, Namespace, Result, Selection, Store as _, Time};

use super::Tree;

impl Tree {
    /// Tells what is known; see [`crate::store::Store::info`].
    pub(super) fn tell_info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        if self.open_space(namespace)?.is_none() {
            return Ok(None);
        }
        let mut info = Info::default();
        for listed in self.scan(namespace, &Selection::default(), now)? {
            let Ok(listed) = listed else {
                info.damaged += 1;
                continue;
            };
            let age = Duration::from_nanos(now.0.saturating_sub(listed.meta.modified.0));
            let key_len = listed.key.as_bytes().len() as u64;
            info.count(key_len, listed.meta.size, age);
        }
        Ok(Some(info))
    }
}
