//! The store as a whole.

use std::io;

use ureq::http::Method;

use serde::Deserialize;

use crate::store::{Info, Namespace, Result, StoreError};
use crate::wire::info;

use super::Http;
use super::address::namespace_path;
use super::client::Ask;
use super::entries::LONG_WORK;

#[derive(Deserialize)]
struct Named {
    namespace: String,
}

impl Http {
    pub(super) fn tell_info(&self, namespace: &Namespace) -> Result<Option<Info>> {
        let path = namespace_path(namespace) + "?op=info";
        let ask = Ask {
            waits: LONG_WORK,
            ..Ask::look(Method::GET, path)
        };
        let Some(reply) = self.client.ask(&ask)? else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let info = info::read_json(text.as_bytes());
        info.map(Some).map_err(|why| {
            self.client
                .no_service(&format!("it tells of a namespace: {why}"))
        })
    }

    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        let reply = self.client.ask(&Ask::look(Method::GET, String::new()))?;
        let reply = reply.ok_or_else(|| self.client.no_service("it has no namespaces"))?;
        let text = self.client.text(reply)?;
        let read = |line: &str| {
            let named: Named = serde_json::from_str(line).ok()?;
            named.namespace.parse().ok()
        };
        let names: Option<Vec<Namespace>> = text.lines().map(read).collect();
        names.ok_or_else(|| self.client.no_service("it lists no namespaces"))
    }

    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let ask = Ask {
            waits: LONG_WORK,
            ..Ask::change(Method::POST, namespace_path(namespace) + "?op=drop")
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
