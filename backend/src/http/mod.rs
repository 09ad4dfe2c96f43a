//! The API over HTTP: the [table] of routes, and what surrounds every one of them.

mod audit;
mod auth;
mod body;
mod caller;
mod client;
mod cors;
mod devices;
mod docs;
mod erasure;
mod export;
mod files;
mod history;
mod insight;
mod linger;
mod models;
mod observe;
mod openapi;
mod outcomes;
mod people;
mod predict;
pub mod problem;
mod proof;
mod query;
mod route;
mod rows;
mod services;
mod status;
mod sync;
mod table;
mod web;

use crate::config::Config;
use crate::identity::passwords::Passwords;
use crate::identity::people::People;
use crate::identity::proof::Proofs;
use crate::identity::throttle::Throttle;
use crate::identity::tokens::Tokens;
use crate::insight::Insight;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::predictions::Predictions;
use crate::rates::Rates;
use crate::store::Store;
use crate::sync::Sync;
use crate::traces::Traces;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub use caller::Called;
pub use openapi::document;

/// What the handlers share.
pub struct App {
    /// The settings.
    pub config: Config,
    /// All that is kept.
    pub store: Arc<dyn Store>,
    /// Signs and verifies tokens.
    pub tokens: Tokens,
    /// Looks at proofs of devices' keys.
    pub proofs: Proofs,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Counts wrong ones.
    pub throttle: Throttle,
    /// Published models.
    pub models: Arc<Models>,
    /// Takes pushes in.
    pub sync: Sync,
    /// Scores, computed or remembered.
    pub predictions: Predictions,
    /// How models do in use.
    pub insight: Arc<Insight>,
    /// Counts requests.
    pub rates: Rates,
    /// Connections that may still be opened.
    pub connections: Arc<Semaphore>,
    /// Batches and exports that may still begin.
    pub streams: Arc<Semaphore>,
    /// Where requests are told of.
    pub traces: Traces,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The description of the API, made when it is first asked for.
    pub description: OnceLock<Bytes>,
    /// Tells that there is an erasure to finish.
    pub sweep: Notify,
    /// Whether the server is about to stop: then it is not ready.
    pub draining: AtomicBool,
}

impl App {
    /// Sees to people, for whoever sits at the server.
    pub fn people(&self) -> People {
        People::new(self.store.clone(), self.passwords.clone())
    }

    /// Room for one more batch or export.
    fn stream_permit(&self) -> problem::ApiResult<OwnedSemaphorePermit> {
        self.streams.clone().try_acquire_owned().map_err(|_| rows::too_many_streams())
    }
}

/// Shared by every request.
pub type Shared = Arc<App>;

/// The API.
pub fn router(app: Shared) -> Router {
    let mut router = Router::new();
    for route in table::routes(&app.config) {
        let (path, handler, rules) = route.mount();
        let guard = caller::Guard { app: app.clone(), rules };
        let handler = handler.layer(from_fn_with_state(guard, caller::authorise));
        router = router.route(path, handler);
    }
    cors::open(surround(router, &app).with_state(app.clone()), &app.config.cors)
}

/// What holds for every route and for every address that is none. It is one layer: axum copies at each request
/// all that lies below each layer, so that ten of them cost more than what they did.
fn surround(router: Router<Shared>, app: &Shared) -> Router<Shared> {
    router
        .fallback(|| async { problem::ApiError::not_found() })
        .method_not_allowed_fallback(|| async {
            problem::ApiError::for_status(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(from_fn_with_state(app.clone(), observe::observe))
}

/// Metrics and health, for the inside.
pub fn metrics_router(app: Shared) -> Router {
    Router::new()
        .route("/metrics", get(status::metrics))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;
    use vereda_domain::api::{Problem, ProblemCode};

    #[tokio::test]
    async fn failures_inside_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let app = crate::server::open(config).await.unwrap();
        let broken: Router<Shared> = Router::new()
            .route(
                "/panics",
                get(|| async {
                    if true {
                        panic!("secret of the inside")
                    }
                }),
            )
            .route(
                "/fails",
                get(|| async { problem::ApiError::internal("no such table: secrets_of_the_inside") }),
            )
            .route("/plain", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "secret of the inside") }));
        let router = surround(broken, &app).with_state(app);
        for path in ["/panics", "/fails", "/plain"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 500);
            let body = to_bytes(response.into_body(), 10_000).await.unwrap();
            assert!(!String::from_utf8_lossy(&body).contains("inside"));
            let problem: Problem = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem.code, ProblemCode::Internal);
            assert_eq!(problem.request_id.len(), 32);
        }
    }
}
