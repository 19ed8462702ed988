//! Queries: what stands behind the `?` of a request.

use std::time::Duration;

use crate::store::percent;
use crate::store::units::patience;

/// The parameters of a query, each of which may stand there once. Errors are texts for people.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    /// Reads a query. A name that is not known is an error, as is an option of a command.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        let parts = query.unwrap_or_default().split('&');
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&name) {
                let known = known.join("`, `");
                let name = name.escape_debug();
                return Err(format!("unknown parameter `{name}`: use `{known}`"));
            }
            if parameters.iter().any(|(other, _)| other == name) {
                return Err(format!("`{name}` is given twice"));
            }
            let value = percent::decode(value.as_bytes());
            let value = value
                .ok_or_else(|| format!("`{name}` has a `%` without two hexadecimal digits"))?;
            parameters.push((name.to_owned(), value));
        }
        Ok(Self(parameters))
    }

    /// Makes a query that asks for a verb.
    pub(super) fn of(op: &str) -> Self {
        Self::default().with("op", Some(op))
    }

    /// Adds a parameter, if it has a value.
    pub(super) fn with(mut self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        let value = value.map(|value| (name.to_owned(), value.as_ref().to_vec()));
        self.0.extend(value);
        self
    }

    /// Adds a parameter, if it is on.
    pub(super) fn on(self, name: &str, is_on: bool) -> Self {
        self.with(name, is_on.then_some("1"))
    }

    /// Writes the query, with its `?` where there is anything in it.
    pub(super) fn write(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            text.push(if text.is_empty() { '?' } else { '&' });
            text += name;
            text.push('=');
            text += &percent::encode(value);
        }
        text
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    }

    /// Reads a parameter by `read`, whose error is told with its name.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let Some(bytes) = self.bytes(name) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned());
        let value = text.and_then(read);
        value
            .map(Some)
            .map_err(|why| format!("invalid `{name}`: {why}"))
    }

    /// Reads a parameter that is on where it is there, unless it says `0`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        let flag = self.parse(name, |text| match text {
            "" | "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err("use 1 or 0".to_owned()),
        })?;
        Ok(flag.unwrap_or(false))
    }

    /// Reads for how long to wait, which is not at all where nothing is said.
    pub(super) fn wait(&self) -> Result<Duration, String> {
        Ok(self.parse("wait", patience)?.unwrap_or_default())
    }
}

/// Writes a duration so that it is not shorter.
pub fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_nanos().div_ceil(1_000_000))
}
