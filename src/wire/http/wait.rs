//! How it is asked for an answer when something holds.

use std::time::Duration;

use crate::store::Etag;

use super::query::Query;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For how long; the service has a limit of its own.
    pub wait: Duration,
    /// What has to hold.
    pub until: Until,
}

/// What has to hold of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is there.
    There,
    /// It is not.
    Gone,
    /// Its etag is another, or it is gone.
    Changed(Etag),
}

impl Wait {
    pub(super) fn add_to(&self, query: &mut Query) {
        query.add("op", "wait");
        query.add_millis("wait", self.wait);
        match self.until {
            Until::There => {}
            Until::Gone => query.add_flag("gone", true),
            Until::Changed(etag) => query.add("changed", etag.to_string()),
        }
    }

    pub(super) fn read(query: Option<&str>) -> Result<Self, String> {
        let query = Query::read(query, &["op", "wait", "gone", "changed"])?;
        let changed = query.parse("changed", |text| {
            let etag = text.parse::<Etag>();
            etag.map_err(|err| err.to_string())
        })?;
        let until = match (query.flag("gone")?, changed) {
            (false, None) => Until::There,
            (true, None) => Until::Gone,
            (false, Some(etag)) => Until::Changed(etag),
            (true, Some(_)) => return Err("`gone` and `changed` exclude each other".to_owned()),
        };
        Ok(Self {
            wait: query.wait()?,
            until,
        })
    }
}
