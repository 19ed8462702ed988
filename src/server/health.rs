//! What is told to those who watch over the service.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;

use super::App;
use super::reply::{Answer, typed};

/// Tells whether the store can be read.
pub(super) async fn health(State(app): State<Arc<App>>) -> Answer {
    app.still_there().await?;
    app.aside(|app| app.store().namespaces()).await?;
    Ok("ok\n".into_response())
}

/// Tells what was done, and what there is, for Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Answer {
    let text = app.metrics_text().await?;
    Ok(typed("text/plain; version=0.0.4; charset=utf-8", text))
}
