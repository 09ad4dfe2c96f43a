//! The API over HTTP: the table of routes, and what surrounds every one of them.

mod auth;
mod body;
mod caller;
mod devices;
mod export;
mod files;
mod history;
mod insight;
mod models;
mod observe;
mod outcomes;
mod predict;
pub mod problem;
mod query;
mod rows;
mod status;
mod sync;

use crate::config::Config;
use crate::identity::passwords::Passwords;
use crate::identity::throttle::Throttle;
use crate::identity::tokens::Tokens;
use crate::insight::Insight;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::predictions::Predictions;
use crate::store::Store;
use crate::sync::Sync;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use vereda_domain::api::{MAX_PUSH_BYTES, Role};
use vereda_domain::attachment::CHUNK_BYTES;

/// What the handlers share.
pub struct App {
    /// The settings.
    pub config: Config,
    /// All that is kept.
    pub store: Arc<dyn Store>,
    /// Signs and verifies tokens.
    pub tokens: Tokens,
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
    /// Batches and exports that may still begin.
    pub streams: Arc<Semaphore>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Whether the server is about to stop: then it is not ready.
    pub draining: AtomicBool,
}

impl App {
    /// Room for one more batch or export.
    fn stream_permit(&self) -> problem::ApiResult<OwnedSemaphorePermit> {
        self.streams.clone().try_acquire_owned().map_err(|_| rows::too_many_streams())
    }
}

/// Shared by every request.
pub type Shared = Arc<App>;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// These roles.
    Roles(&'static [Role]),
    /// These roles, and users who were disabled while their token still holds: work that is done
    /// already is taken in before access ends.
    Escrow(&'static [Role]),
}

/// One route, as documented and as tested.
#[derive(Debug, Clone, Copy)]
pub struct RouteInfo {
    /// Its method.
    pub method: &'static str,
    /// Its template.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

struct Route {
    info: RouteInfo,
    body_limit: usize,
    handler: MethodRouter<Shared>,
}

const EVERYBODY: &[Role] = &[Role::Officer, Role::Manager, Role::Analyst, Role::Admin, Role::Service];
const OVERSIGHT: &[Role] = &[Role::Manager, Role::Admin];
const SYSTEMS: &[Role] = &[Role::Service, Role::Analyst];
/// Who watches how models do.
const WATCH: &[Role] = &[Role::Manager, Role::Analyst, Role::Admin];
const FIELD: &[Role] = &[Role::Officer, Role::Manager];

/// The one place that says which routes there are and who may call them.
fn routes(config: &Config) -> Vec<Route> {
    use Access::{Escrow, Public, Roles};
    let small = config.limits.body_bytes;
    let route = |method: Method, path, access, body_limit, handler| Route {
        info: RouteInfo { method: name_of(&method), path, access },
        body_limit,
        handler,
    };
    let reads = |path, access, handler| route(Method::GET, path, access, 0, handler);
    let takes = |path, access, limit, handler| route(Method::POST, path, access, limit, handler);
    vec![
        reads("/healthz", Public, get(status::healthz)),
        reads("/readyz", Public, get(status::readyz)),
        reads("/.well-known/jwks.json", Public, get(auth::jwks)),
        reads("/api/server", Public, get(status::server)),
        takes("/api/auth/sign-in", Public, small, post(auth::sign_in)),
        takes("/api/auth/refresh", Public, small, post(auth::refresh)),
        takes("/api/auth/sign-out", Public, small, post(auth::sign_out)),
        reads("/api/sync/head", Escrow(FIELD), get(sync::head)),
        takes("/api/sync/push", Escrow(FIELD), MAX_PUSH_BYTES, post(sync::push)),
        reads("/api/sync/pull", Roles(FIELD), get(sync::pull)),
        reads("/api/sync/status", Roles(FIELD), get(sync::status)),
        reads("/api/sync/quarantined", Roles(FIELD), get(sync::quarantined)),
        takes("/api/sync/fork", Escrow(FIELD), small, post(auth::fork)),
        reads("/api/clients/{client}/files/{sha256}", Roles(FIELD), get(files::file)),
        takes("/api/clients/{client}/files/{sha256}", Escrow(FIELD), CHUNK_BYTES, post(files::piece)),
        reads("/api/clients/{client}/files/{sha256}/status", Escrow(FIELD), get(files::status)),
        reads("/api/devices", Roles(OVERSIGHT), get(devices::list)),
        takes("/api/devices/{id}/revoke", Roles(OVERSIGHT), 0, post(devices::revoke)),
        reads("/api/models", Roles(EVERYBODY), get(models::list)),
        takes("/api/models", Roles(&[Role::Analyst]), config.limits.bundle_bytes, post(models::publish)),
        reads("/api/models/current", Roles(EVERYBODY), get(models::current)),
        reads("/api/models/{version}/bundle", Roles(EVERYBODY), get(models::bundle)),
        reads("/api/models/{version}/performance", Roles(WATCH), get(insight::performance)),
        reads("/api/models/{version}/drift", Roles(WATCH), get(insight::drift)),
        reads("/api/models/{version}/overrides", Roles(WATCH), get(insight::overrides)),
        takes("/api/predict", Roles(SYSTEMS), small, post(predict::predict)),
        // Rows are bounded one by one, not the whole of them.
        takes("/api/predict/batch", Roles(SYSTEMS), small, post(predict::batch)),
        takes("/api/outcomes", Roles(SYSTEMS), small, post(outcomes::take)),
        reads("/api/history", Roles(EVERYBODY), get(history::list)),
        reads("/api/history/export", Roles(EVERYBODY), get(export::export)),
        reads("/api/history/{id}", Roles(EVERYBODY), get(history::one)),
    ]
}

fn name_of(method: &Method) -> &'static str {
    if *method == Method::POST { "POST" } else { "GET" }
}

/// Every route with who may call it.
pub fn route_table() -> Vec<RouteInfo> {
    routes(&Config::default()).into_iter().map(|route| route.info).collect()
}

/// The API.
pub fn router(app: Shared) -> Router {
    let mut router = Router::new();
    for route in routes(&app.config) {
        let guard =
            caller::Guard { app: app.clone(), access: route.info.access, body_limit: route.body_limit };
        let handler = route.handler.layer(axum::middleware::from_fn_with_state(guard, caller::authorise));
        router = router.route(route.info.path, handler);
    }
    surround(router, &app).with_state(app)
}

/// What holds for every route and for every address that is none.
fn surround(router: Router<Shared>, app: &Shared) -> Router<Shared> {
    let timeout = app.config.limits.request_timeout();
    router
        .fallback(|| async { problem::ApiError::not_found() })
        .method_not_allowed_fallback(|| async {
            problem::ApiError::for_status(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(axum::middleware::from_fn_with_state(app.clone(), observe::observe))
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
