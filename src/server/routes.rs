//! Which path is whose, and what every request goes through.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};

use crate::exit::Exit;
use crate::wire::http::request::{OnKey, op};

use super::address::{Resource, resource};
use super::condition::Preconditions;
use super::reply::{Answer, Refusal};
use super::request_body::RequestBody;
use super::stream::Peer;
use super::{App, entry, events, fields, guard, list, metrics, objects, page, speak, verbs};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(super) fn router(app: &Arc<App>) -> Router {
    let page = page::paths().fold(Router::new(), |router, path| {
        router.route(path, get(page::part))
    });
    page.route("/v1", any(v1))
        .route("/v1/", any(v1))
        .route("/v1/{*rest}", any(v1))
        .route("/get", post(objects::get))
        .route("/set", post(objects::set))
        .route("/openapi.json", get(page::openapi))
        .route("/healthz", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, Exit::Usage, "there is no such path")
        })
        .method_not_allowed_fallback(async || method_not_allowed("another method"))
        .layer(middleware::from_fn_with_state(Arc::clone(app), enter))
        .layer(middleware::from_fn(speak::speak))
        .with_state(Arc::clone(app))
}

/// Lets a request in or not, and notes how it went.
async fn enter(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().cloned();
    let has_body = !request.body().is_end_stream();
    let mut response = match guard::check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    // What is not found may be gone with its store.
    if response.status() == StatusCode::NOT_FOUND
        && let Err(refusal) = app.still_there().await
    {
        response = refusal.into_response();
    }
    // No page of another site is to have it, and no browser is to run what others have stored.
    let policies = [
        (RESOURCE_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let response = (policies, response).into_response();
    if let Some(peer) = peer {
        peer.set_refused(has_body && !response.status().is_success());
    }
    app.metrics
        .note(&method, response.status(), begun.elapsed());
    response
}

async fn v1(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let peer = parts.extensions.get::<Peer>();
    let peer = peer.ok_or_else(Refusal::bug)?;
    let query = parts.uri.query();
    let method = &parts.method;
    let reads = [Method::GET, Method::HEAD].contains(method);
    if app.config.read_only && !reads && !may_read(method, query) {
        return Err(Refusal::read_only());
    }
    let resource = resource(parts.uri.path())?;
    let op = op(query);
    let is_post = *method == Method::POST;
    let puts = *method == Method::PUT || (is_post && op == "put");
    fields::check_headers(headers, puts)?;
    // These look at the conditions themselves.
    let looks = match is_post {
        true => ["put", "remove"].contains(&op),
        false => matches!(resource, Resource::Entry(_)),
    };
    if !looks {
        Preconditions::refuse(headers, reads)?;
    }
    match (resource, method) {
        (Resource::Store, &Method::GET | &Method::HEAD) => list::namespaces(&app, query).await,
        (Resource::Namespace(namespace), &Method::GET | &Method::HEAD) if op == "info" => {
            list::info(&app, namespace, query).await
        }
        (Resource::Namespace(namespace), &Method::GET) if op == "watch" => {
            events::events(&app, namespace, query).await
        }
        (Resource::Namespace(namespace), &Method::GET) => {
            list::entries(&app, namespace, query).await
        }
        (Resource::Namespace(namespace), &Method::HEAD) => list::head(&app, namespace, query).await,
        // A key that is empty by mistake is not to be the whole namespace.
        (Resource::Namespace(_), &Method::POST) if parts.uri.path().ends_with('/') => Err(
            Refusal::usage("the path has no key behind its `/`: a namespace is `/v1/NAMESPACE`"),
        ),
        (Resource::Namespace(list), &Method::POST) => {
            verbs::on_namespace(&app, peer, list, query, headers, body).await
        }
        (Resource::Entry(at), method) => {
            let known = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
            if known.contains(method) && query.is_some_and(|query| !query.is_empty()) {
                return Err(Refusal::usage("this request takes no query"));
            }
            let verb = match *method {
                Method::HEAD => return entry::head(&app, at, headers).await,
                Method::GET => OnKey::Get,
                Method::PUT => OnKey::Put { if_value: None },
                Method::DELETE => OnKey::Remove { if_value: None },
                Method::POST => OnKey::read(query).map_err(Refusal::usage)?,
                _ => return Err(method_not_allowed("GET, HEAD, PUT, DELETE, POST")),
            };
            let body = RequestBody::new(headers, body, verbs::most(&app, &verb));
            verbs::on_key(&app, peer, at, verb, headers, body).await
        }
        (Resource::Namespace(_), _) => Err(method_not_allowed("GET, HEAD, POST")),
        (Resource::Store, _) => Err(method_not_allowed("GET, HEAD")),
    }
}

/// Tells whether it is a verb that changes nothing, or looks after that itself.
fn may_read(method: &Method, query: Option<&str>) -> bool {
    *method == Method::POST && ["wait", "get", "stat", "holder", "batch"].contains(&op(query))
}

fn method_not_allowed(allowed: &'static str) -> Refusal {
    let error = format!("this path takes {allowed}");
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Exit::Usage, error);
    match allowed.starts_with(char::is_uppercase) {
        true => refusal.with(header::ALLOW, allowed),
        false => refusal,
    }
}
