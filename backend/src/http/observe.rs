//! What surrounds every request: its id, its log line, its time, the headers of every answer, and
//! one form for every refusal.

use super::Shared;
use super::caller::Called;
use super::client::locate;
use super::linger::linger;
use super::problem::{ApiError, PROBLEM_JSON};
use crate::rates::Standing;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use opentelemetry::trace::TraceId;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tracing::Span;

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

/// What is known of a request wherever it is worked on.
#[derive(Clone)]
pub struct Observed(Arc<Known>);

struct Known {
    request_id: String,
    trace: TraceId,
    /// Who it was, once that is known, and the span for all lines of the log from then on.
    called: OnceLock<(Called, Span)>,
}

impl Observed {
    /// It is known who calls. What is done for them belongs into this span.
    pub fn by(&self, called: Called) -> Span {
        self.0.called.get_or_init(|| (called, self.span(Some(called)))).1.clone()
    }

    /// Every line that is logged of the request has these, whatever its level.
    fn span(&self, called: Option<Called>) -> Span {
        let Known { request_id, trace, .. } = &*self.0;
        tracing::error_span!(
            "request",
            request_id,
            trace_id = %trace,
            user = called.map(|called| tracing::field::display(called.user)),
            role = called.map(|called| called.role.as_str()),
            device = called.and_then(|called| called.device).map(tracing::field::display),
        )
    }
}

/// Wraps a request.
pub async fn observe(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let client = locate(&app, &mut request);
    let request_id = request_id(&request);
    let method = known_method(request.method().as_str());
    // The template, never the address: ids stay out of logs and of metric labels.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let trace = app.traces.begin(request.headers(), method, route);
    let observed = Observed(Arc::new(Known { request_id, trace: trace.id, called: OnceLock::new() }));
    request.extensions_mut().insert(observed.clone());
    let mut response = match client.may_ask(request.uri().path()) {
        Ok(()) => contained(next.run(linger(request)), app.config.limits.request_timeout()).await,
        Err(refusal) => refusal.into_response(),
    };
    let Known { request_id, called, .. } = &*observed.0;
    let standing = response.extensions_mut().remove::<Standing>();
    let refusal = response.extensions_mut().remove::<ApiError>().or_else(|| of_framework(&response));
    let (mut code, mut cause) = (None, None);
    if let Some(refusal) = refusal {
        code = Some(refusal.code());
        cause = refusal.cause().map(str::to_owned);
        let allow = response.headers_mut().remove(header::ALLOW);
        response = refusal.into_document(request_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    // An idle device asks often, and is told nothing, in few bytes: there is no content to guard or to ask
    // support about.
    if response.status() != StatusCode::NO_CONTENT {
        let headers = response.headers_mut();
        // Once, and not as they come.
        headers.reserve(HEADERS.len() + 5);
        for (name, value) in HEADERS {
            // Unless a page says what it needs.
            headers.entry(name).or_insert(value);
        }
        if client.secure {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Some((policy, standing)) = standing.and_then(|standing| standing.headers()) {
            for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
                headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
            }
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, value);
        }
    }
    let status = response.status().as_u16();
    let took = started.elapsed();
    app.metrics.request(route, method, status, took);
    let (called, span) = match called.get() {
        Some((called, span)) => (Some(*called), span.clone()),
        None => (None, observed.span(None)),
    };
    trace.end(status, called);
    let _within = span.enter();
    let code = code.map(tracing::field::debug);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
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

/// The answer, if it comes in time; a panic on the way to it is an answer, too.
async fn contained(answer: impl Future<Output = Response>, within: Duration) -> Response {
    match tokio::time::timeout(within, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => panicked(&*panic),
        Err(_) => ApiError::for_status(StatusCode::REQUEST_TIMEOUT).into_response(),
    }
}

/// What a panic in a handler becomes.
fn panicked(panic: &(dyn Any + Send)) -> Response {
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
