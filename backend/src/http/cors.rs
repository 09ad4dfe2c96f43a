//! Pages of other origins: none may call the API, unless the configuration names their origin.

use crate::config::Cors;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::CorsLayer;
use vereda_domain::api::SERVER_MS;

/// How long a browser may remember what it was told.
const REMEMBER: Duration = Duration::from_secs(600);

/// Opens the API to the pages of these origins. Without credentials of the browser's own: whoever calls
/// brings a token.
pub fn open(router: Router, cors: &Cors) -> Router {
    let origins: Vec<HeaderValue> = cors.origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return router;
    }
    let named = HeaderName::from_static;
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::IF_NONE_MATCH,
            named("traceparent"),
            named("x-request-id"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            named("ratelimit"),
            named("ratelimit-policy"),
            named("x-request-id"),
            named(SERVER_MS),
        ])
        .max_age(REMEMBER);
    router.layer(layer)
}
