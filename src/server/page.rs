//! The page at `/`, to look around a store in a browser. It is text in the binary, it knows nothing of
//! the store, and it asks for what it shows by the paths that every client has.

use axum_core::body::Body;
use axum_core::response::{IntoResponse as _, Response};
use hyper::http::header;

use super::reply::json;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The parts of the page: the path of each, what it is, and its text.
const PARTS: [(&str, &str, &str); 9] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("/page.js", SCRIPT, include_str!("page/page.js")),
    ("/page/about.js", SCRIPT, include_str!("page/about.js")),
    ("/page/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/page/entry.js", SCRIPT, include_str!("page/entry.js")),
    ("/page/rows.js", SCRIPT, include_str!("page/rows.js")),
    ("/page/service.js", SCRIPT, include_str!("page/service.js")),
    ("/page/words.js", SCRIPT, include_str!("page/words.js")),
];

/// Whatever a value holds, a browser is to run and to load nothing but these, and to show them
/// in no frame of another's page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Tells whether a path is one of the page's, which anybody may see who reaches the service.
pub(super) fn is_part(path: &str) -> bool {
    PARTS.iter().any(|(part, ..)| *part == path)
}

/// Answers with a part of the page to look around with; `None` where the path is none of its.
pub(super) fn part(path: &str) -> Option<Response> {
    let (_, kind, text) = PARTS.iter().find(|(part, ..)| *part == path)?;
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Some((headers, Body::from(*text)).into_response())
}

/// Answers with the description of the service (OpenAPI 3.1); a test proves it.
pub(super) fn openapi() -> Response {
    json(include_str!("openapi.json"))
}
