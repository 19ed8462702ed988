//! The page at `/`, to look around a store in a browser. It is text in the binary, it knows nothing of
//! the store, and it asks for what it shows by the paths that every client has.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::reply::json;

const HTML: &str = include_str!("page/index.html");
const CSS: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Whatever a value holds, a browser is to run and to load nothing but these three, and to show them
/// in no frame of another's page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Tells whether a path is one of the page's, which anybody may see who reaches the service.
pub(super) fn is_part(path: &str) -> bool {
    ["/", "/page.css", "/page.js"].contains(&path)
}

/// Answers with the page to look around with.
pub(super) async fn html() -> Response {
    file(HTML, "text/html; charset=utf-8")
}

pub(super) async fn css() -> Response {
    file(CSS, "text/css; charset=utf-8")
}

pub(super) async fn script() -> Response {
    file(SCRIPT, "text/javascript; charset=utf-8")
}

/// Answers with the description of the service (OpenAPI 3.1); a test proves it.
pub(super) async fn openapi() -> Response {
    json(include_str!("openapi.json"))
}

fn file(text: &'static str, kind: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Body::from(text)).into_response()
}
