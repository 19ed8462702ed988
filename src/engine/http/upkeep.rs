//! The store as a whole.

use std::io;

use crate::store::{
    Check, Clock, Collect, Collected, Finding, Info, Namespace, Progress, Result, StoreError, Time,
    Upkeep,
};
use crate::wire::http::answer::{self, Ended, Named};
use crate::wire::http::request;
use crate::wire::info;
use crate::wire::lines::Lines;

use super::Http;
use super::ask::{Ask, namespace_path};
use super::body::Download;

/// The most bytes of the names of all namespaces, and of one of them.
const MAX_NAMES: u64 = 16 * 1024 * 1024;
const LONGEST: usize = 64 * 1024;

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
        let ask = Ask::look_long(namespace_path(namespace) + request::INFO);
        let Some(reply) = self.client.ask(&ask)? else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let info = info::read_json(&text);
        info.map(Some).map_err(|why| {
            self.client
                .no_service(&format!("invalid answer to op=info: {why}"))
        })
    }
}

impl Http {
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        let reply = self.client.ask(&Ask::look(request::write_namespaces()))?;
        let reply = reply.ok_or_else(|| self.client.no_service("it has no namespaces"))?;
        let mut body = Download::new(&self.client, reply.body, None);
        let mut lines = Lines::of_at_most(LONGEST);
        let mut names = Vec::new();
        let malformed = || self.client.no_service("it lists no namespaces");
        while lines.advance(&mut body)? && lines.has_newline() {
            if lines.read() > MAX_NAMES {
                let why = format!("it lists namespaces in more than {MAX_NAMES} bytes");
                return Err(self.client.no_service(&why));
            }
            if let Some(Named { namespace }) = answer::read(lines.line()) {
                names.push(namespace.parse().map_err(|_| malformed())?);
                continue;
            }
            let end = names.len() as u64;
            // Nothing is behind it.
            return match answer::read(lines.line()) == Some(Ended { end })
                && !lines.advance(&mut body)?
            {
                true => Ok(names),
                false => Err(malformed()),
            };
        }
        Err(self.client.cut_off())
    }

    /// Says that something is done where the service runs.
    pub(super) fn not_from_here(&self, action: &'static str) -> StoreError {
        let why = "it is done where the service runs, on the store that it serves";
        let why = io::Error::new(io::ErrorKind::Unsupported, why);
        self.client.cannot(action, why)
    }
}
