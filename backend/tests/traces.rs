//! Traces over the borders of programs, told to a collector as it would be in production.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use common::*;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;
use std::sync::{Arc, Mutex};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn parent(trace: &str, sampled: bool) -> String {
    format!("00-{trace}-00f067aa0ba902b7-0{}", u8::from(sampled))
}

/// Takes spans in, as a collector does.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    service: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    async fn start() -> Collector {
        let (spans, service) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (taken, named) = (spans.clone(), service.clone());
        let take = move |body: Bytes| {
            let (taken, named) = (taken.clone(), named.clone());
            async move {
                let Ok(request) = ExportTraceServiceRequest::decode(body) else {
                    return StatusCode::BAD_REQUEST;
                };
                for resource in request.resource_spans {
                    let attributes = resource.resource.unwrap_or_default().attributes;
                    named.lock().unwrap().extend(attributes.iter().map(|kv| format!("{kv:?}")));
                    taken
                        .lock()
                        .unwrap()
                        .extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
                StatusCode::OK
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Collector { url, spans, service }
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

async fn get(caller: &Caller<'_>, path: &str, traceparent: &str) -> u16 {
    let request = caller.request(Method::GET, path).header("traceparent", traceparent);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_to_the_collector_under_the_trace_that_it_came_with() {
    let collector = Collector::start().await;
    let url = collector.url.clone();
    let server = Server::with(|config| config.traces.collector = url).await;
    let officer = server.device("officer").await;
    assert_eq!(get(&officer.caller, "/api/sync/head?", &parent(TRACE, true)).await, 200);
    assert_eq!(get(&officer.caller, "/api/history?limit=0", &parent(TRACE, true)).await, 422);
    // The one who asks says that nobody watches.
    assert_eq!(get(&officer.caller, "/api/devices", &parent(&"a".repeat(32), false)).await, 403);
    // What is none begins a trace of its own.
    for wrong in [
        parent(&"0".repeat(32), true),
        parent(&TRACE.to_uppercase(), true),
        format!("ff{}", &parent(TRACE, true)[2..]),
        "00-4bf9".to_owned(),
        "Nadie".to_owned(),
    ] {
        assert_eq!(get(&officer.caller, "/api/models", &wrong).await, 200);
    }
    let (user, device) = (server.users["officer"].id.to_string(), officer.id.to_string());
    let token = officer.session.access_token.clone();
    // What is left is sent before it ends.
    let _folder = server.stopped().await;

    let spans = collector.spans.lock().unwrap();
    let of = |route: &str| -> Vec<&Span> {
        spans.iter().filter(|span| attribute(span, "http.route").as_deref() == Some(route)).collect()
    };
    let [head] = of("/api/sync/head")[..] else { panic!("{spans:#?}") };
    assert_eq!(
        (hex(&head.trace_id), hex(&head.parent_span_id)),
        (TRACE.to_owned(), "00f067aa0ba902b7".to_owned())
    );
    assert_eq!(head.name, "GET /api/sync/head");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("enduser.id", &user),
        ("enduser.role", "officer"),
        ("device.id", &device),
    ] {
        assert_eq!(attribute(head, key).as_deref(), Some(value), "{key}");
    }
    assert!(head.end_time_unix_nano > head.start_time_unix_nano);
    assert_eq!(attribute(of("/api/history")[0], "http.response.status_code").as_deref(), Some("422"));
    assert!(of("/api/devices").is_empty());
    let own = of("/api/models");
    assert_eq!(own.len(), 5);
    assert!(own.iter().all(|span| hex(&span.trace_id) != TRACE && span.parent_span_id.is_empty()));
    let said = format!("{spans:?}");
    for secret in ["Persona", PASSWORD, "Nadie", &token] {
        assert!(!said.contains(secret), "{secret}");
    }
    assert!(collector.service.lock().unwrap().iter().any(|text| text.contains("vereda-server")));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_nothing_but_spans() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::with(|config| config.traces.collector = format!("http://{gone}")).await;
    let officer = server.caller("officer").await;
    for _ in 0..20 {
        assert_eq!(officer.get("/api/models").await.status(), 200);
    }
    let metrics = server.running.metrics_url();
    let dropped = async {
        loop {
            let text = reqwest::get(format!("{metrics}/metrics")).await.unwrap().text().await.unwrap();
            if text.contains("vereda_trace_exports_total{result=\"dropped\"}") {
                return text;
            }
            assert_eq!(officer.get("/api/models").await.status(), 200);
        }
    };
    let text = tokio::time::timeout(std::time::Duration::from_secs(30), dropped).await.expect("never told");
    assert!(!text.contains("result=\"taken\""));
    let _folder = server.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_counted_by_when_they_were_last_heard_of() {
    let server = Server::start().await;
    let _officer = server.device("officer").await;
    let told = async {
        loop {
            let text = server.metrics().await;
            if text.contains("vereda_devices{heard=\"hour\"}") {
                return text;
            }
        }
    };
    let text = tokio::time::timeout(std::time::Duration::from_secs(60), told).await.expect("never told");
    for age in ["day", "week", "month", "earlier"] {
        assert!(text.contains(&format!("vereda_devices{{heard=\"{age}\"}} 0")), "{age}: {text}");
    }
}
