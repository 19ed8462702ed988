//! `/openapi.json`: what the handlers say of themselves, as one document (OpenAPI 3.1).

use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::schema::Listed;
use super::{entry, health, list, objects, page, reply, verbs};
use crate::wire::http::answer;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "kv serve",
        description = "A key-value store over HTTP. kv-serve(1) tells more."
    ),
    paths(
        entry::get,
        entry::head,
        entry::put,
        entry::remove,
        verbs::on_key,
        verbs::on_namespace,
        list::namespaces,
        list::entries,
        objects::get,
        objects::set,
        health::health,
        health::metrics,
        page::html,
        document,
    ),
    components(schemas(
        answer::Refused,
        Listed,
        answer::LockWanted,
        answer::Imported,
        objects::ObjectRequest
    )),
    modifiers(&Token),
    security((), ("token" = []))
)]
struct Document;

/// That each request may need a token, depending on how the service was started.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", scheme);
    }
}

/// Answers with this description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses(
        (status = 200, description = "This document", content_type = "application/json", body = Object),
        reply::Refusals
    )
)]
pub(super) async fn document() -> Response {
    reply::json(Document::openapi().to_json().unwrap_or_default())
}
