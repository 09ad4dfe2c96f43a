//! The edge: whose request it is, what every answer says to browsers, who may call from other pages, and
//! how many connections there are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use common::*;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;
use vereda_domain::api::{Problem, ProblemCode};
use vereda_server::config::Config;
use vereda_server::http::router;
use vereda_server::listener::Peer;
use vereda_server::server::open;

/// The API as connections from anywhere reach it.
struct Edge {
    router: Router,
    _dir: TempDir,
}

impl Edge {
    async fn with(change: impl FnOnce(&mut Config)) -> Edge {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        change(&mut config);
        Edge { router: router(open(config).await.unwrap()), _dir: dir }
    }

    async fn ask(&self, peer: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(peer, request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, peer: &str, mut request: Request<Body>) -> Response<Body> {
        let peer = Peer(SocketAddr::new(peer.parse().unwrap(), 4711));
        request.extensions_mut().insert(ConnectInfo(peer));
        self.router.clone().oneshot(request).await.unwrap()
    }
}

async fn code(response: Response<Body>) -> ProblemCode {
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    serde_json::from_slice::<Problem>(&body).unwrap().code
}

const PROXY: &str = "10.0.0.1";

fn behind_proxies(config: &mut Config) {
    config.trusted_proxies = vec!["10.0.0.0/24".parse().unwrap()];
}

#[tokio::test]
async fn plain_http_from_another_machine_is_for_declared_proxies() {
    let edge = Edge::with(behind_proxies).await;
    for (peer, allowed) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        (PROXY, true),
        ("10.0.1.1", false),
        ("198.51.100.7", false),
        ("2001:db8::1", false),
    ] {
        let headers = [("x-forwarded-for", PROXY), ("x-forwarded-proto", "https")];
        let response = edge.ask(peer, "/api/server", &headers).await;
        let expected = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(response.status(), expected, "{peer}");
        if !allowed {
            assert_eq!(code(response).await, ProblemCode::Forbidden);
        }
        // A balancer may ask whether the server is well, from wherever it stands.
        assert_eq!(edge.ask(peer, "/healthz", &[]).await.status(), 200, "{peer}");
    }
}

#[tokio::test]
async fn a_forged_forwarded_for_gets_nobody_another_allowance() {
    let edge = Edge::with(|config| {
        behind_proxies(config);
        (config.rates.window_s, config.rates.address.public) = (3600, 3);
    })
    .await;
    // Not from a proxy: the header is only another thing that the caller says.
    for n in 0..8 {
        let response =
            edge.ask("127.0.0.1", "/api/server", &[("x-forwarded-for", &format!("192.0.2.{n}"))]).await;
        assert_eq!(response.status(), if n < 3 { 200 } else { 429 }, "{n}");
    }
    // From proxies: what they wrote counts, what the caller wrote before it does not.
    for n in 0..8 {
        let forwarded = format!("192.0.2.{n}, 203.0.113.9, 10.0.0.2");
        let response = edge.ask(PROXY, "/api/server", &[("x-forwarded-for", &forwarded)]).await;
        assert_eq!(response.status(), if n < 3 { 200 } else { 429 }, "{n}");
    }
    let other = edge.ask(PROXY, "/api/server", &[("x-forwarded-for", "203.0.113.9, 203.0.113.10")]).await;
    assert_eq!(other.status(), 200, "another client of the same proxy");
}

#[tokio::test]
async fn every_answer_is_closed_to_browsers_and_kept_nowhere() {
    let edge = Edge::with(behind_proxies).await;
    let post = Request::post("/api/auth/sign-in").body(Body::empty()).unwrap();
    let mut answers = vec![edge.send(PROXY, post).await, edge.ask("198.51.100.7", "/api/server", &[]).await];
    for path in
        ["/api/server", "/healthz", "/api/openapi.json", "/api/docs", "/api/docs/start.js", "/nowhere"]
    {
        answers.push(edge.ask(PROXY, path, &[]).await);
    }
    answers.push(edge.ask(PROXY, "/api/history", &[]).await);
    for response in &answers {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        let called = response.status();
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{called}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{called}");
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{called}");
        assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"), "{called}");
        assert_eq!(header("cross-origin-opener-policy"), Some("same-origin"), "{called}");
        let policy = header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(header("strict-transport-security"), None, "nobody said that this was https");
        assert_eq!(header("access-control-allow-origin"), None);
        let file = header("content-type") == Some("text/javascript");
        assert_eq!(header("cache-control"), Some(if file { "public, max-age=3600" } else { "no-store" }));
    }
}

#[tokio::test]
async fn browsers_are_told_to_stay_with_https_only_when_they_came_by_it() {
    let edge = Edge::with(behind_proxies).await;
    for (peer, proto, expected) in [
        (PROXY, "https", true),
        (PROXY, "http", false),
        (PROXY, "https, http", false),
        ("127.0.0.1", "https", false),
    ] {
        for path in ["/api/server", "/nowhere"] {
            let response = edge.ask(peer, path, &[("x-forwarded-proto", proto)]).await;
            let told = response.headers().contains_key("strict-transport-security");
            assert_eq!(told, expected, "{peer} {proto} {path}");
        }
    }
}

#[tokio::test]
async fn only_pages_of_named_origins_may_call() {
    let ours = "https://console.example";
    let preflight = |origin: &str| {
        let request = Request::options("/api/predict").header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap()
    };
    let allowed = |response: &Response<Body>| {
        response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    };
    let closed = Edge::with(|_| {}).await;
    for origin in [ours, "https://evil.example", "null"] {
        let response = closed.send("127.0.0.1", preflight(origin)).await;
        assert_eq!((response.status().as_u16(), allowed(&response)), (405, None));
        assert_eq!(allowed(&closed.ask("127.0.0.1", "/api/server", &[("origin", origin)]).await), None);
    }
    let open = Edge::with(|config| config.cors.origins = vec![ours.into()]).await;
    let response = open.send("127.0.0.1", preflight(ours)).await;
    assert_eq!((response.status().as_u16(), allowed(&response)), (200, Some(ours.into())));
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-methods"), "GET,POST");
    assert!(header("access-control-allow-headers").contains("authorization"));
    assert!(!response.headers().contains_key("access-control-allow-credentials"));
    // A refusal can be read by the page, too.
    for path in ["/api/server", "/api/history"] {
        let response = open.ask("127.0.0.1", path, &[("origin", ours)]).await;
        assert_eq!(allowed(&response), Some(ours.into()), "{path}");
        let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"), "{exposed}");
        assert!(response.headers()["vary"].to_str().unwrap().contains("origin"));
    }
    for evil in
        ["https://evil.example", "https://console.example.evil.example", "http://console.example", "null"]
    {
        assert_eq!(allowed(&open.send("127.0.0.1", preflight(evil)).await), None, "{evil}");
        assert_eq!(allowed(&open.ask("127.0.0.1", "/api/server", &[("origin", evil)]).await), None, "{evil}");
    }
}

/// Asks on an open connection, and reads the answer.
async fn asked(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    answered(stream).await
}

async fn answered(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    String::from_utf8_lossy(&answer[..read.expect("an answer").unwrap()]).into_owned()
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end_and_metrics_are_served() {
    let server = Server::with(|config| config.limits.connections = 2).await;
    assert_eq!(server.counted("vereda_connections ").await, 0);
    let open = async || TcpStream::connect(server.running.api_addr).await.unwrap();
    let (mut one, mut two) = (open().await, open().await);
    assert!(asked(&mut one).await.starts_with("HTTP/1.1 200"));
    assert!(asked(&mut two).await.starts_with("HTTP/1.1 200"));
    let mut third = open().await;
    third.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Those who are in are served, and so is whoever watches.
    for _ in 0..20 {
        assert!(asked(&mut one).await.starts_with("HTTP/1.1 200"));
        let metrics =
            server.http.get(format!("{}/metrics", server.running.metrics_url())).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains("vereda_connections 2\n"), "{metrics}");
        assert!(metrics.contains("vereda_connections_limit 2\n"), "{metrics}");
        let waits = third.try_read(&mut [0; 16]).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    }
    drop(two);
    assert!(answered(&mut third).await.starts_with("HTTP/1.1 200"));
}
