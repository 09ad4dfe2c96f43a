//! Traces: which request of which system led to which line of the log, over the borders of programs.
//!
//! A request that comes with a `traceparent` (W3C Trace Context, <https://www.w3.org/TR/trace-context/>) belongs to that
//! trace, any other begins one. The id is in the log in any case. With a collector, each request becomes a span
//! (OpenTelemetry's conventions for HTTP servers), sent in batches from a thread of its own: what the
//! collector does or does not costs no request anything, and when it is away spans are dropped.

use crate::config;
use crate::error::ServerError;
use crate::http::Called;
use crate::metrics::Metrics;
use async_trait::async_trait;
use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, TraceId, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the collector may take for a batch.
const EXPORT: Duration = Duration::from_secs(5);

/// Where requests are told of.
#[derive(Debug, Default)]
pub struct Traces {
    to: Option<(SdkTracerProvider, SdkTracer)>,
}

impl Traces {
    /// As configured.
    ///
    /// # Errors
    /// [`ServerError::Config`] when the collector's address cannot be used. Whether it answers is not asked.
    pub fn open(config: &config::Traces, metrics: Arc<Metrics>) -> Result<Traces, ServerError> {
        if config.collector.is_empty() {
            return Ok(Traces::default());
        }
        let wrong = |what: String| ServerError::Config { what: format!("`traces.collector`: {what}") };
        let client =
            reqwest::Client::builder().timeout(EXPORT).build().map_err(|error| wrong(error.to_string()))?;
        let runtime = tokio::runtime::Handle::current();
        let collector = Collector { client, runtime, metrics, away: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(format!("{}/v1/traces", config.collector.trim_end_matches('/')))
            .with_timeout(EXPORT)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name("vereda-server")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.share)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(sampler)
            .build();
        let tracer = provider.tracer("vereda-server");
        Ok(Traces { to: Some((provider, tracer)) })
    }

    /// A request has come.
    pub fn begin(&self, headers: &HeaderMap, method: &'static str, route: &str) -> Trace {
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let Some((_, tracer)) = &self.to else {
            let remote = parent.span().span_context().clone();
            let id = if remote.is_valid() {
                remote.trace_id()
            } else {
                RandomIdGenerator::default().new_trace_id()
            };
            return Trace { id, span: None };
        };
        let builder =
            tracer.span_builder(format!("{method} {route}")).with_kind(SpanKind::Server).with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route.to_owned()),
            ]);
        let span = tracer.build_with_context(builder, &parent);
        Trace { id: span.span_context().trace_id(), span: Some(span) }
    }

    /// Sends what is left, for at most so long, and ends.
    pub async fn close(&self, within: Duration) {
        let Some((provider, _)) = self.to.clone() else { return };
        // It waits, while this runtime sends.
        let closed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within)).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The trace that a request belongs to.
#[derive(Debug)]
pub struct Trace {
    /// Names it.
    pub id: TraceId,
    span: Option<SdkSpan>,
}

impl Trace {
    /// The request was answered.
    pub fn end(self, status: u16, called: Option<Called>) {
        let Some(mut span) = self.span else { return };
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(Called { user, role, device }) = called {
            span.set_attribute(KeyValue::new("enduser.id", user.to_string()));
            span.set_attribute(KeyValue::new("enduser.role", role.as_str()));
            if let Some(device) = device {
                span.set_attribute(KeyValue::new("device.id", device.to_string()));
            }
        }
        if status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Sends to the collector on the server's runtime, and says when it goes away and comes back.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
    metrics: Arc<Metrics>,
    away: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move {
            let mut answer = client.execute(request.try_into()?).await?.error_for_status()?;
            let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
            let mut response = Response::new(answer.bytes().await?);
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            Ok::<_, HttpError>(response)
        };
        let sent = self.runtime.spawn(sending).await.map_err(HttpError::from).and_then(|sent| sent);
        self.metrics.spans_sent(sent.is_ok());
        // Once, and not for each batch.
        match (&sent, self.away.swap(sent.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(%error, "the collector of traces does not take spans; they are dropped")
            }
            (Ok(_), true) => tracing::info!("the collector of traces takes spans again"),
            _ => {}
        }
        sent
    }
}
