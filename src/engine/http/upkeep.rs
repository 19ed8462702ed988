//! The store as a whole.

use std::io;

use ureq::http::Method;

use crate::store::{
    Check, Clock, Collect, Collected, Finding, Info, Namespace, Progress, Result, StoreError, Time,
    Upkeep,
};
use crate::wire::http::answer::{self, Ended, Named};
use crate::wire::http::request::{self, OnNamespace};
use crate::wire::info;
use crate::wire::lines::Lines;

use super::Http;
use super::address::namespace_path;
use super::ask::Ask;
use super::body::Body;
use super::entries::LONG_WORK;

/// The most bytes of a namespace's line.
const LONGEST: usize = 4 * 1024;
/// The most bytes of all of them.
const MAX_NAMES: u64 = 16 * 1024 * 1024;

impl Upkeep for Http {
    fn collect(
        &self,
        _namespace: &Namespace,
        _request: &Collect,
        _clock: &dyn Clock,
        _progress: &mut dyn Progress,
    ) -> Result<Collected> {
        Err(self.not_from_here("collect garbage in"))
    }

    fn check(
        &self,
        _namespace: &Namespace,
        _request: &Check,
        _clock: &dyn Clock,
        _tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        Err(self.not_from_here("check"))
    }

    fn info(&self, namespace: &Namespace, _now: Time) -> Result<Option<Info>> {
        let path = namespace_path(namespace) + request::INFO;
        let ask = Ask {
            waits: LONG_WORK,
            ..Ask::look(Method::GET, path)
        };
        let Some(reply) = self.client.ask(&ask)? else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let info = info::read_json(&text);
        info.map(Some).map_err(|why| {
            self.client
                .no_service(&format!("it tells of a namespace: {why}"))
        })
    }
}

impl Http {
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        let path = request::write_namespaces();
        let reply = self.client.ask(&Ask::look(Method::GET, path))?;
        let reply = reply.ok_or_else(|| self.client.no_service("it has no namespaces"))?;
        let mut body = Body::new(&self.client, reply.body);
        let mut lines = Lines::of_at_most(LONGEST);
        let mut names = Vec::new();
        let odd = || self.client.no_service("it lists no namespaces");
        while lines.advance(&mut body)? {
            if lines.read() > MAX_NAMES {
                return Err(odd());
            }
            if let Some(Named { namespace }) = answer::read(lines.line()) {
                names.push(namespace.parse().map_err(|_| odd())?);
                continue;
            }
            let end = names.len() as u64;
            let is_end = answer::read(lines.line()) == Some(Ended { end });
            // Nothing is behind it.
            return match is_end && !lines.advance(&mut body)? {
                true => Ok(names),
                false => Err(odd()),
            };
        }
        Err(self.client.cut_off())
    }

    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let ask = Ask {
            waits: LONG_WORK,
            ..Ask::change(
                Method::POST,
                namespace_path(namespace) + &OnNamespace::Drop.write(),
            )
        };
        Ok(self.client.ask(&ask)?.is_some())
    }

    /// Says that something is done where the service runs.
    pub(super) fn not_from_here(&self, action: &'static str) -> StoreError {
        StoreError::Io {
            action,
            path: self.client.place().to_string().into(),
            source: io::Error::new(
                io::ErrorKind::Unsupported,
                "it is done where the service runs, on the store that it serves",
            ),
        }
    }
}
