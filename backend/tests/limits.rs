//! Hostile sizes, depths and speeds.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vereda_domain::api::{MAX_PUSH_BYTES, ProblemCode};
use vereda_domain::event::EventBody;

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_announced_or_not() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let big = format!(r#"{{"features":{{}},"client_ref":"{}"}}"#, "x".repeat(300_000));
    refused(service.post_bytes("/api/predict", big.clone()).await, 413, ProblemCode::TooLarge).await;
    // Chunked: its length is not announced.
    let parts = big.into_bytes();
    let mut parts =
        parts.chunks(10_000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>().into_iter();
    let stream = reqwest::Body::wrap(Chunked(std::sync::Mutex::new(Box::new(move || parts.next()))));
    refused(service.post_bytes("/api/predict", stream).await, 413, ProblemCode::TooLarge).await;

    let device = server.device("officer").await;
    let response = device.caller.post_bytes("/api/sync/push", vec![b' '; MAX_PUSH_BYTES + 1]).await;
    refused(response, 413, ProblemCode::TooLarge).await;
    let response = device.caller.post_bytes("/api/sync/push", vec![b' '; MAX_PUSH_BYTES]).await;
    refused(response, 400, ProblemCode::BadRequest).await;
}

/// Sends all of a request before it reads, as most programs do, and says how it was answered.
async fn answer_after_all(server: &Server, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.running.api_addr).await.unwrap();
    let head =
        format!("{head}Host: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.expect("the server takes the rest of the body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the answer comes through whole");
    answer
}

/// A connection that is closed on unread bytes is reset, and the answer is lost with it.
#[tokio::test]
async fn whoever_is_refused_before_all_is_sent_still_reads_why() {
    let server = Server::with_model().await;
    let token = server.caller("service").await.token.unwrap();
    // More than what the kernels on both sides hold.
    let body = vec![b'x'; 24 << 20];
    for (head, expected) in [
        ("POST /api/predict HTTP/1.1\r\nContent-Type: application/json\r\n".to_owned(), "unauthenticated"),
        ("POST /api/auth/sign-in HTTP/1.1\r\nContent-Type: application/json\r\n".to_owned(), "too_large"),
        ("POST /nowhere HTTP/1.1\r\n".to_owned(), "not_found"),
        (
            format!(
                "POST /api/predict/batch HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n\
                 Authorization: Bearer {token}\r\n"
            ),
            "a row has more than",
        ),
        (
            format!(
                "POST /api/predict/batch HTTP/1.1\r\nContent-Type: text/csv\r\n\
                 Authorization: Bearer {token}\r\n"
            ),
            "bad_request",
        ),
    ] {
        let answer = answer_after_all(&server, &head, &body).await;
        assert!(answer.contains(expected), "{head}{answer}");
    }
}

type Next = dyn FnMut() -> Option<Result<Vec<u8>, std::io::Error>> + Send;
struct Chunked(std::sync::Mutex<Box<Next>>);

impl axum::body::HttpBody for Chunked {
    type Data = axum::body::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        let next = (self.0.lock().unwrap())();
        std::task::Poll::Ready(next.map(|part| part.map(|bytes| http_body::Frame::data(bytes.into()))))
    }
}

#[tokio::test]
async fn nothing_is_unpacked_so_a_bomb_stays_small() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    for encoding in ["gzip", "zstd", "br", "deflate"] {
        let request = service.request(reqwest::Method::POST, "/api/predict");
        let request = request.header("content-type", "application/json").header("content-encoding", encoding);
        let response = request.body(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).send().await.unwrap();
        refused(response, 415, ProblemCode::UnsupportedMedia).await;
    }
}

#[tokio::test]
async fn a_packed_push_is_taken_and_a_bomb_is_refused_small() {
    let server = Server::with_model().await;
    let mut device = server.device("officer").await;
    let texts: Vec<String> =
        (0..50).map(|_| device.event(EventBody::Assessed(Box::new(assessment(new_client())))).text).collect();
    let plain = format!(r#"{{"events":[{}],"device_ms":1}}"#, texts.join(","));
    let packed = zstd::bulk::compress(plain.as_bytes(), 3).unwrap();
    assert!(packed.len() / 50 < 1000, "{} bytes an assessment", packed.len() / 50);
    println!("{} bytes an assessment, {} before", packed.len() / 50, plain.len() / 50);
    let send = async |body: Vec<u8>, encoding: &str| {
        let request = device.caller.request(reqwest::Method::POST, "/api/sync/push");
        let request = request.header("content-type", "application/json").header("content-encoding", encoding);
        request.body(body).send().await.unwrap()
    };
    assert_eq!(send(packed.clone(), "zstd").await.status(), 200);
    refused(send(packed.clone(), "gzip").await, 415, ProblemCode::UnsupportedMedia).await;
    refused(send(packed.clone(), "zstd, zstd").await, 415, ProblemCode::UnsupportedMedia).await;
    refused(send(packed[..packed.len() / 2].to_vec(), "zstd").await, 400, ProblemCode::BadRequest).await;
    refused(send(b"not zstd".to_vec(), "zstd").await, 400, ProblemCode::BadRequest).await;
    // A gigabyte of nothing in some kilobytes, with a small window and with one larger than allowed.
    for window in [20, 27] {
        use std::io::Write;
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(window).unwrap();
        let nothing = vec![b' '; 1 << 20];
        (0..1024).for_each(|_| encoder.write_all(&nothing).unwrap());
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 200_000);
        let problem = problem(send(bomb, "zstd").await).await;
        assert!(matches!(problem.status, 400 | 413), "{problem:?}");
    }
    assert_eq!(send(packed, "zstd").await.status(), 200, "and the server lives");
}

#[tokio::test]
async fn json_nested_deep_is_refused_and_the_server_lives() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let deep = format!(r#"{{"features":{{"amount":{}1{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let problem = problem(service.post_bytes("/api/predict", deep).await).await;
    assert!(problem.status == 400 || problem.status == 422, "{problem:?}");
    let mut device = server.device("officer").await;
    let nested: String = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    let text = device.raw(json!({"type": "client_edited"})).replace(r#"{"type":"client_edited"}"#, &nested);
    let response = device.send(&[&text]).await;
    assert_eq!(response.status(), 200, "kept aside like any other malformed event");
    assert_eq!(server.anonymous().get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn slow_and_silent_connections_are_closed_and_others_served() {
    let server = Server::with(|config| config.limits.header_timeout_ms = 300).await;
    let open = async |text: &'static [u8]| {
        let mut stream = TcpStream::connect(server.running.api_addr).await.unwrap();
        stream.write_all(text).await.unwrap();
        stream
    };
    let mut held = vec![
        open(b"").await,
        open(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await,
        // A whole request, and then silence.
        open(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await,
    ];
    assert_eq!(server.anonymous().get("/healthz").await.status(), 200);
    for stream in &mut held {
        let mut received = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "still open");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_times_out() {
    let server = Server::with(|config| config.limits.request_timeout_ms = 400).await;
    let mut stream = TcpStream::connect(server.running.api_addr).await.unwrap();
    let head = "POST /api/auth/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read =
        tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("application/problem+json") && text.contains("request_id"), "{text}");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document_too() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    for path in ["/", "/api", "/api/nothing", "/../etc/passwd", "/api/history/%00", "/%2e%2e/x"] {
        let problem = problem(anonymous.get(path).await).await;
        assert!([404, 401].contains(&problem.status), "{path} {problem:?}");
    }
    let body = r#"{"username":"officer","password":"una clave de prueba"}"#;
    let url = server.url("/api/auth/sign-in");
    let response =
        server.http.post(url).header("content-type", "text/plain").body(body).send().await.unwrap();
    refused(response, 415, ProblemCode::UnsupportedMedia).await;
}

#[tokio::test]
async fn stopping_lets_requests_in_flight_finish() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.running.api_addr).await.unwrap();
    let body = r#"{"username":"nobody","password":"no es esta clave"}"#;
    let head = format!(
        "POST /api/auth/sign-in HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(10);
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // Wait until the request has arrived: the server has counted a connection and answers others.
    assert_eq!(server.anonymous().get("/healthz").await.status(), 200);
    let addr = server.running.api_addr;
    let stopping = tokio::spawn(server.running.shutdown());
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    stopping.await.unwrap();
}

/// To the other end a connection is there as soon as the system made it, taken by the server or not.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_at_the_door_when_it_stops_is_answered() {
    let server = Server::start().await;
    let addr = server.running.api_addr;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(TcpStream::connect(addr).await.unwrap());
    }
    let stopping = tokio::spawn(server.running.shutdown());
    // Nobody is refused at first: who comes now is not heard, and asks again after a second.
    while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(addr)).await {
        tokio::task::yield_now().await;
    }
    for stream in &mut streams {
        stream.write_all(HEALTH.as_bytes()).await.unwrap();
    }
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    stopping.await.unwrap();
}

/// Connections that come one after the other, as fast as they can: each is answered, or never made.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_in_while_it_stops_is_answered() {
    for _ in 0..5 {
        let server = Server::start().await;
        let addr = server.running.api_addr;
        let answered = Arc::new(AtomicUsize::new(0));
        let come = |answered: Arc<AtomicUsize>| async move {
            while let Ok(mut stream) = TcpStream::connect(addr).await {
                stream.write_all(HEALTH.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let coming: Vec<_> = (0..8).map(|_| tokio::spawn(come(answered.clone()))).collect();
        while answered.load(Ordering::Relaxed) < 100 {
            tokio::task::yield_now().await;
        }
        server.running.shutdown().await;
        for one in coming {
            one.await.unwrap();
        }
    }
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
