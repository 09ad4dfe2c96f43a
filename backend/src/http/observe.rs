//! What surrounds every request: its id, its log line, its time, the headers of every answer, and
//! one form for every refusal.

use super::Shared;
use super::caller::Called;
use super::client::Client;
use super::problem::{ApiError, PROBLEM_JSON};
use crate::rates::Standing;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every answer with content. There is no page here to protect, so everything is closed.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// For browsers that came by HTTPS: stay with it.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Wraps a request.
pub async fn observe(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(&request);
    let method = request.method().clone();
    let client = Client::of(request.extensions());
    // The template, never the address: ids stay out of logs and of metric labels.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let trace = app.traces.begin(request.headers(), known_method(method.as_str()), &route);
    // Every line that is logged of the request has these, whatever its level; who calls is put in when it is known.
    let span = tracing::error_span!(
        "request",
        request_id,
        trace_id = %trace.id,
        user = Empty,
        role = Empty,
        device = Empty
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let called = response.extensions().get::<Called>().copied();
    let standing = response.extensions_mut().remove::<Standing>();
    let refusal = response.extensions_mut().remove::<ApiError>().or_else(|| of_framework(&response));
    let (mut code, mut cause) = (None, None);
    if let Some(refusal) = refusal {
        code = Some(refusal.code());
        cause = refusal.cause().map(str::to_owned);
        let allow = response.headers_mut().remove(header::ALLOW);
        response = refusal.into_document(&request_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    // An idle device asks often, and is told nothing, in few bytes: there is no content to guard or to ask
    // support about.
    if response.status() != StatusCode::NO_CONTENT {
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            // Unless a page says what it needs.
            headers.entry(name).or_insert(value);
        }
        if client.secure {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Some((policy, standing)) = standing.and_then(|standing| standing.headers()) {
            for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
                headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
            }
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert(REQUEST_ID, value);
        }
    }
    let status = response.status();
    let took = started.elapsed();
    let method = known_method(method.as_str());
    app.metrics.request(&route, method, status.as_u16(), took);
    trace.end(status.as_u16(), called);
    let _within = span.enter();
    let code = code.map(tracing::field::debug);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let status = status.as_u16();
    if status >= 500 {
        tracing::error!(method, route, status, ms, code, cause, "request failed");
    } else if status == 403 || status == 401 || status == 429 {
        // Whoever looks into an attack needs to know where from; elsewhere, addresses stay out of the log.
        let from = client.address.to_string();
        tracing::warn!(method, route, status, ms, from, code, cause, "request refused");
    } else {
        tracing::info!(method, route, status, ms, code, cause, "request");
    }
    response
}

/// What a panic in a handler becomes.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    ApiError::internal(format!("a handler panicked: {text}")).into_response()
}

/// A refusal that no handler of ours made.
fn of_framework(response: &Response) -> Option<ApiError> {
    let status = response.status();
    let is_problem =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes() == PROBLEM_JSON.as_bytes());
    let refused = status.is_client_error() || status.is_server_error();
    (refused && !is_problem && status != StatusCode::NOT_MODIFIED).then(|| ApiError::for_status(status))
}

/// The caller's, if it is a short token of safe characters; otherwise a new one.
fn request_id(request: &Request) -> String {
    let safe = |id: &&str| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    match request.headers().get(&REQUEST_ID).and_then(|v| v.to_str().ok()).filter(safe) {
        Some(id) => id.to_owned(),
        None => uuid::Uuid::now_v7().simple().to_string(),
    }
}

/// Methods that somebody made up must not become labels.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}
