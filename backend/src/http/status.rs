//! Health, readiness, metrics, and what this server is.

use super::Shared;
use super::body::Json;
use crate::clock::now_ms;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use std::sync::atomic::Ordering;
use vereda_domain::api::{PRODUCT, PROTOCOL, ServerInfo};

/// The process answers.
pub async fn healthz() -> &'static str {
    "ok"
}

/// The process can do its work: the database answers and it is not about to stop.
pub async fn readyz(State(app): State<Shared>) -> impl IntoResponse {
    if app.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    match app.store.current_model().await {
        Ok(_) => (StatusCode::OK, "ready"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
        }
    }
}

/// What Prometheus reads.
pub async fn metrics(State(app): State<Shared>) -> impl IntoResponse {
    app.metrics.pool(app.store.saturation());
    let limit = app.config.limits.connections;
    app.metrics.connections(limit.saturating_sub(app.connections.available_permits()), limit);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
}

/// What tells this server from any other machine.
pub async fn server() -> Json<ServerInfo> {
    Json(ServerInfo {
        product: PRODUCT.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: PROTOCOL,
        server_ms: now_ms(),
    })
}
