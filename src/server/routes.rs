//! Which path is whose, and what every request goes through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::exit::Exit;

use super::address::{Place, place};
use super::entry::{self, At};
use super::reply::{Answer, Refusal, Refusals};
use super::{App, guard, list, openapi, origin, page, verbs};

/// How long a client may send nothing of a body that it has begun.
const BODY_TIME: Duration = Duration::from_secs(30);

pub(super) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/v1", any(v1))
        .route("/v1/", any(v1))
        .route("/v1/{*rest}", any(v1))
        .route("/get", post(origin::get))
        .route("/set", post(origin::set))
        .route("/", get(page::html))
        .route("/page.css", get(page::css))
        .route("/page.js", get(page::script))
        .route("/openapi.json", get(openapi::document))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, Exit::Usage, "there is no such path")
        })
        .method_not_allowed_fallback(async || method_not_allowed("another method"))
        .layer(RequestBodyTimeoutLayer::new(BODY_TIME))
        .layer(middleware::from_fn_with_state(Arc::clone(app), enter))
        .with_state(Arc::clone(app))
}

/// Lets a request in or not, and notes how it went.
async fn enter(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let response = match guard::check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    app.metrics
        .note(&method, response.status(), begun.elapsed());
    response
}

async fn v1(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let query = parts.uri.query();
    let method = &parts.method;
    let reads = [Method::GET, Method::HEAD].contains(method);
    if app.config.read_only && !reads && !may_read(method, query) {
        return Err(Refusal::forbidden("this service is read-only"));
    }
    match (place(parts.uri.path())?, method) {
        (Place::Store, &Method::GET) => list::namespaces(&app, query).await,
        (Place::Namespace(namespace), &Method::GET) if verbs::op(query) == "info" => {
            list::info(&app, namespace, query).await
        }
        (Place::Namespace(namespace), &Method::GET) => list::entries(&app, namespace, query).await,
        (Place::Namespace(list), &Method::POST) => {
            verbs::on_namespace(&app, list, query, headers, body).await
        }
        (Place::Key(namespace, key), method) => {
            let at = At { namespace, key };
            if *method == Method::POST {
                return verbs::on_key(&app, at, query, headers, body).await;
            }
            let known = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
            if known.contains(method) && query.is_some_and(|query| !query.is_empty()) {
                return Err(Refusal::usage("a query has no meaning here"));
            }
            match *method {
                Method::GET => entry::get(&app, at, headers).await,
                Method::HEAD => entry::head(&app, at, headers).await,
                Method::PUT => entry::put(&app, at, headers, body, None).await,
                Method::DELETE => entry::remove(&app, at, headers, None).await,
                _ => Err(method_not_allowed("GET, HEAD, PUT, DELETE, POST")),
            }
        }
        (Place::Namespace(_), _) => Err(method_not_allowed("GET, POST")),
        (Place::Store, _) => Err(method_not_allowed("GET")),
    }
}

/// Tells whether it is a verb that changes nothing, or looks after that itself.
fn may_read(method: &Method, query: Option<&str>) -> bool {
    *method == Method::POST && ["wait", "holder", "batch"].contains(&verbs::op(query))
}

fn method_not_allowed(allowed: &'static str) -> Refusal {
    let error = format!("this path wants {allowed}");
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Exit::Usage, error);
    match allowed.starts_with(char::is_uppercase) {
        true => refusal.with(header::ALLOW, allowed),
        false => refusal,
    }
}

/// Tells whether the store can be read.
#[utoipa::path(
    get,
    path = "/healthz",
    responses(
        (status = 200, description = "It can", content_type = "text/plain", body = String),
        Refusals
    )
)]
pub(super) async fn health(State(app): State<Arc<App>>) -> Answer {
    app.start(|app| app.store().namespaces()).await?;
    Ok("ok\n".into_response())
}

/// Tells what was done, and what there is, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "Its text format 0.0.4", content_type = "text/plain", body = String),
        Refusals
    )
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Answer {
    let text = app.start(App::metrics_text).await?;
    let mut response = text.into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
