//! `/openapi.json`: what the handlers say of themselves, as one document (OpenAPI 3.1).

use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::{entry, list, origin, page, reply, routes, verbs};
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
        origin::get,
        origin::set,
        routes::health,
        routes::metrics,
        page::html,
        document,
    ),
    components(schemas(
        answer::Refused,
        Listed,
        answer::LockWanted,
        answer::Imported,
        origin::Wanted
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

/// A line of a listing: an entry; or `cursor`, where there is more; or `status` and `error`, where
/// something is damaged; or `end`, where that was asked for. A namespace is a line with `namespace`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) struct Listed {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    size: Option<u64>,
    modified: Option<String>,
    expires: Option<String>,
    etag: Option<String>,
    cursor: Option<String>,
    namespace: Option<String>,
    status: Option<u8>,
    error: Option<String>,
    end: Option<u64>,
}

/// A value as it is: any bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) struct Raw(Vec<u8>);

/// What can be done to an entry.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum KeyVerb {
    Put,
    Remove,
    Take,
    Incr,
    Append,
    Expire,
    Wait,
}

/// What can be done to a namespace.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum NamespaceVerb {
    Push,
    Pop,
    Wait,
    Get,
    Take,
    Put,
    Batch,
    Import,
    Drop,
    Lock,
    Keep,
    Free,
    Holder,
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
