//! Which path is whose, and what every request goes through.

use std::sync::Arc;
use std::time::Instant;

use axum_core::body::Body;
use axum_core::response::{IntoResponse as _, Response};
use hyper::body::Body as _;
use hyper::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};

use crate::exit::Exit;
use crate::wire::http::request::{OnKey, op};

use super::address::{Resource, resource};
use super::condition::Preconditions;
use super::reply::{Answer, Refusal};
use super::request_body::RequestBody;
use super::stream::Peer;
use super::{App, entry, events, fields, guard, list, metrics, objects, page, verbs};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Answers a request, if it may come in, and notes how that went.
pub(super) async fn answer(app: Arc<App>, peer: Peer, request: Request<Body>) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let has_body = !request.body().is_end_stream();
    let answer = match guard::check(&app, &request, peer.reached()) {
        Ok(()) => route(&app, &peer, request).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answer.into_response();
    // What is not found may be gone with its store.
    if response.status() == StatusCode::NOT_FOUND
        && let Err(refusal) = app.still_there().await
    {
        response = refusal.into_response();
    }
    // No page of another site is to have it, and no browser is to run what others have stored.
    for (name, policy) in [
        (RESOURCE_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let policy = HeaderValue::from_static(policy);
        response.headers_mut().insert(name, policy);
    }
    peer.set_refused(has_body && !response.status().is_success());
    app.metrics
        .note(&method, response.status(), begun.elapsed());
    response
}

async fn route(app: &Arc<App>, peer: &Peer, request: Request<Body>) -> Answer {
    let path = request.uri().path();
    if path == "/v1" || path.starts_with("/v1/") {
        return v1(app, peer, request).await;
    }
    let looks = [Method::GET, Method::HEAD].contains(request.method());
    let posts = *request.method() == Method::POST;
    match path {
        "/get" if posts => objects::get(app, request).await,
        "/set" if posts => objects::set(app, request).await,
        "/get" | "/set" => Err(method_not_allowed("POST")),
        "/openapi.json" if looks => Ok(page::openapi()),
        "/healthz" if looks => metrics::health(app).await,
        "/metrics" if looks => metrics::metrics(app).await,
        "/openapi.json" | "/healthz" | "/metrics" => Err(method_not_allowed("GET, HEAD")),
        path => match page::part(path) {
            Some(part) if looks => Ok(part),
            Some(_) => Err(method_not_allowed("GET, HEAD")),
            None => {
                let error = "there is no such path";
                Err(Refusal::new(StatusCode::NOT_FOUND, Exit::Usage, error))
            }
        },
    }
}

async fn v1(app: &Arc<App>, peer: &Peer, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
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
        (Resource::Store, &Method::GET | &Method::HEAD) => list::namespaces(app, query).await,
        (Resource::Namespace(namespace), &Method::GET | &Method::HEAD) if op == "info" => {
            list::info(app, namespace, query).await
        }
        (Resource::Namespace(namespace), &Method::GET) if op == "watch" => {
            events::events(app, namespace, query).await
        }
        (Resource::Namespace(namespace), &Method::GET) => {
            list::entries(app, namespace, query).await
        }
        (Resource::Namespace(namespace), &Method::HEAD) => list::head(app, namespace, query).await,
        // A key that is empty by mistake is not to be the whole namespace.
        (Resource::Namespace(_), &Method::POST) if parts.uri.path().ends_with('/') => Err(
            Refusal::usage("the path has no key behind its `/`: a namespace is `/v1/NAMESPACE`"),
        ),
        (Resource::Namespace(list), &Method::POST) => {
            verbs::on_namespace(app, peer, list, query, headers, body).await
        }
        (Resource::Entry(at), method) => {
            let known = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
            if known.contains(method) && query.is_some_and(|query| !query.is_empty()) {
                return Err(Refusal::usage("this request takes no query"));
            }
            let verb = match *method {
                Method::HEAD => return entry::head(app, at, headers).await,
                Method::GET => OnKey::Get,
                Method::PUT => OnKey::Put { if_value: None },
                Method::DELETE => OnKey::Remove { if_value: None },
                Method::POST => OnKey::read(query).map_err(Refusal::usage)?,
                _ => return Err(method_not_allowed("GET, HEAD, PUT, DELETE, POST")),
            };
            let body = RequestBody::new(headers, body, verbs::most(app, &verb));
            verbs::on_key(app, peer, at, verb, headers, body).await
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
    refusal.with(header::ALLOW, allowed)
}
