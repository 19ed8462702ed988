//! What is asked of the service.

use std::time::Duration;

use ureq::http::{Method, StatusCode};

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// The path below `/v1`, and the query.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
    /// How long the answer may take beyond the usual.
    pub(super) waits: Duration,
    /// How long all of it may take, where an answer that comes later is of no use.
    pub(super) within: Option<Duration>,
    /// It changes nothing, or the same once more, so that it may be sent again.
    pub(super) is_safe: bool,
    /// The codes that say yes.
    pub(super) yes: &'static [StatusCode],
}

/// What an answer that brings something has for a code.
pub(super) const BRINGS: &[StatusCode] = &[StatusCode::OK];
/// What an answer has for a code that brings nothing, as that was done.
pub(super) const DONE: &[StatusCode] = &[StatusCode::NO_CONTENT];
/// The same of a put, which may have made what it stored.
pub(super) const STORED: &[StatusCode] = &[StatusCode::NO_CONTENT, StatusCode::CREATED];

impl Ask<'_> {
    /// Asks for something, which changes nothing.
    pub(super) fn look(method: Method, path: String) -> Self {
        Self {
            is_safe: true,
            ..Self::fetch(method, path)
        }
    }

    /// Asks for a change that answers with something.
    pub(super) fn fetch(method: Method, path: String) -> Self {
        Self {
            yes: BRINGS,
            ..Self::change(method, path)
        }
    }

    /// Asks for a change.
    pub(super) fn change(method: Method, path: String) -> Self {
        Ask {
            method,
            path,
            headers: Vec::new(),
            body: b"",
            waits: Duration::ZERO,
            within: None,
            is_safe: false,
            yes: DONE,
        }
    }
}
