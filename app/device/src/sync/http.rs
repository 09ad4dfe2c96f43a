//! The server, as HTTP: addresses, requests, and what its answers mean.

use crate::error::{DeviceError, Result};
use crate::store::chain::BATCH_BYTES;
use crate::store::remote::Page;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};
use vereda_domain::api::{
    Device, DeviceInfo, FileStatus, MAX_PULL_CHANGES, ModelManifest, PRODUCT, PROTOCOL, Problem, ProblemCode,
    Push, Pushed, Quarantined, Refresh, SERVER_MS, ServerInfo, Session, SignIn,
};
use vereda_domain::attachment::MAX_FILE_BYTES;
use vereda_domain::event::{ChainHead, Hash};
use vereda_domain::{ClientId, Millis};

/// To reach the server at all.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two pieces of an answer: a slow network is waited for as long as something arrives.
const SILENCE: Duration = Duration::from_secs(30);
/// For a push, from its first byte to the answer's: sending it may take long, and reqwest's own
/// `read_timeout` runs while a body is sent, which would end every push that a slow network cannot
/// carry within it, again and again. So both limits are kept here.
const UPLOAD: Duration = Duration::from_secs(5 * 60);
/// The slowest network on which a full push gets through, in bytes a second.
const SLOWEST: u64 = 1024;
const _: () = assert!(BATCH_BYTES as u64 <= SLOWEST * UPLOAD.as_secs());
/// For the first, small question.
const FIRST: Duration = Duration::from_secs(10);
/// The largest answer, bundles apart.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Makes the one HTTP client of the app.
pub(crate) fn client(version: &str) -> Result<Client> {
    trust(Client::builder())
        .user_agent(format!("vereda-device/{version}"))
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| DeviceError::Internal(format!("no HTTP client: {}", whole(&error))))
}

/// Whose certificates are believed: the system's, and on Android Mozilla's list.
fn trust(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    #[cfg(target_os = "android")]
    let builder = builder.tls_certs_only(
        webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .filter_map(|certificate| reqwest::Certificate::from_der(certificate).ok()),
    );
    builder
}

/// Reads a server's address as people type it, and gives it as it is kept.
///
/// # Errors
/// [`DeviceError::BadAddress`], [`DeviceError::InsecureAddress`].
pub(crate) fn address(typed: &str) -> Result<String> {
    let typed = typed.trim();
    let bad = || DeviceError::BadAddress(typed.chars().take(100).collect());
    let whole = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let mut url = Url::parse(&whole).map_err(|_| bad())?;
    if !typed.contains("://") && is_loopback(&url) {
        url = Url::parse(&format!("http://{typed}")).map_err(|_| bad())?;
    }
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if url.host_str().is_none_or(str::is_empty) || !plain {
        return Err(bad());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(DeviceError::InsecureAddress),
        _ => return Err(bad()),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    client: Client,
    base: String,
}

impl Server {
    /// The server at an address as [`address`] gives it.
    pub(crate) fn new(client: Client, base: &str) -> Result<Server> {
        Ok(Server { client, base: address(base)? })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What it is and what time it has.
    ///
    /// # Errors
    /// [`DeviceError::ForeignServer`] for anything that is not this product's server and protocol.
    pub(crate) async fn info(&self) -> Result<ServerInfo> {
        let request = self.client.get(self.url("/api/server")).timeout(FIRST);
        let info: ServerInfo = match answer(request).await {
            // A page of a hotel's network, say.
            Err(DeviceError::Server(what)) => return Err(DeviceError::ForeignServer(what)),
            other => other?,
        };
        if info.product != PRODUCT {
            return Err(DeviceError::ForeignServer("another product".into()));
        }
        if info.protocol != PROTOCOL {
            return Err(DeviceError::ForeignServer(format!(
                "protocol {}, and this app speaks {PROTOCOL}",
                info.protocol
            )));
        }
        Ok(info)
    }

    pub(crate) async fn sign_in(&self, request: &SignIn) -> Result<Session> {
        answer(self.client.post(self.url("/api/auth/sign-in")).json(request)).await
    }

    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// [`DeviceError::SessionExpired`] when the server does not take it any more.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Session> {
        let body = Refresh { refresh_token: token.to_owned() };
        match answer(self.client.post(self.url("/api/auth/refresh")).json(&body)).await {
            Err(DeviceError::Refused(problem))
                if matches!(problem.code, ProblemCode::SessionRevoked | ProblemCode::Unauthenticated) =>
            {
                Err(DeviceError::SessionExpired)
            }
            other => other,
        }
    }

    pub(crate) async fn sign_out(&self, token: &str) -> Result<()> {
        let body = Refresh { refresh_token: token.to_owned() };
        checked(self.client.post(self.url("/api/auth/sign-out")).json(&body)).await?;
        Ok(())
    }

    pub(crate) async fn head(&self, token: &str) -> Result<ChainHead> {
        answer(self.client.get(self.url("/api/sync/head")).bearer_auth(token)).await
    }

    /// What of the user's is set aside now, latest first, and whether that is all of it.
    pub(crate) async fn quarantined(&self, token: &str) -> Result<(Vec<Quarantined>, bool)> {
        let url = self.url(&format!("/api/sync/quarantined?limit={MAX_PULL_CHANGES}"));
        let list: Vec<Quarantined> = answer(self.client.get(url).bearer_auth(token)).await?;
        let all = list.len() < MAX_PULL_CHANGES as usize;
        Ok((list, all))
    }

    /// The branch's devices, for its manager.
    pub(crate) async fn devices(&self, token: &str) -> Result<Vec<Device>> {
        answer(self.client.get(self.url("/api/devices")).bearer_auth(token)).await
    }

    pub(crate) async fn push(&self, token: &str, push: &Push) -> Result<Pushed> {
        let plain = serde_json::to_vec(push)?;
        let packed = zstd::bulk::compress(&plain, 3)
            .map_err(|error| DeviceError::Internal(format!("a push cannot be packed: {error}")))?;
        let request = self
            .client
            .post(self.url("/api/sync/push"))
            .bearer_auth(token)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "zstd")
            .body(packed);
        read(checked_within(request, UPLOAD).await?).await
    }

    pub(crate) async fn pull(&self, token: &str, cursor: u64, limit: u32, count: bool) -> Result<Page> {
        let count = if count { "&count=true" } else { "" };
        let url = self.url(&format!("/api/sync/pull?cursor={cursor}&limit={limit}{count}"));
        answer(self.client.get(url).bearer_auth(token)).await
    }

    /// The server's clock, if nothing is new past these points; `None` when something is.
    pub(crate) async fn idle(
        &self,
        token: &str,
        seq: u64,
        cursor: u64,
        model: &str,
    ) -> Result<Option<Millis>> {
        let url = self.url(&format!("/api/sync/status?seq={seq}&cursor={cursor}&model={model}"));
        let response = checked(self.client.get(url).bearer_auth(token)).await?;
        if response.status() != StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let said = response.headers().get(SERVER_MS).and_then(|value| value.to_str().ok());
        Ok(said.and_then(|text| text.parse().ok()))
    }

    fn file_url(&self, client: ClientId, sha256: Hash) -> String {
        self.url(&format!("/api/clients/{client}/files/{sha256}"))
    }

    /// How much of a file it has.
    pub(crate) async fn file_status(
        &self,
        token: &str,
        client: ClientId,
        sha256: Hash,
    ) -> Result<FileStatus> {
        let url = format!("{}/status", self.file_url(client, sha256));
        answer(self.client.get(url).bearer_auth(token)).await
    }

    /// Sends a piece of a file; one that is not where the server goes on changes nothing there.
    pub(crate) async fn file_piece(
        &self,
        token: &str,
        client: ClientId,
        sha256: Hash,
        from: u64,
        piece: Vec<u8>,
    ) -> Result<FileStatus> {
        let url = format!("{}?from={from}", self.file_url(client, sha256));
        let request = self
            .client
            .post(url)
            .bearer_auth(token)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(piece);
        read(checked_within(request, UPLOAD).await?).await
    }

    /// All of a file.
    pub(crate) async fn file(&self, token: &str, client: ClientId, sha256: Hash) -> Result<Vec<u8>> {
        let response = checked(self.client.get(self.file_url(client, sha256)).bearer_auth(token)).await?;
        body(response, usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX)).await
    }

    /// A session under a new identity, for a device whose chain forked.
    pub(crate) async fn fork(&self, token: &str, device: &DeviceInfo) -> Result<Session> {
        answer(self.client.post(self.url("/api/sync/fork")).bearer_auth(token).json(device)).await
    }

    /// The newest published model; `None` when there is none.
    pub(crate) async fn current_model(&self, token: &str) -> Result<Option<ModelManifest>> {
        match answer(self.client.get(self.url("/api/models/current")).bearer_auth(token)).await {
            Err(DeviceError::Refused(problem))
                if matches!(problem.code, ProblemCode::NoModel | ProblemCode::NotFound) =>
            {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// The bytes of a published version.
    pub(crate) async fn bundle(&self, token: &str, version: u32) -> Result<Vec<u8>> {
        let url = self.url(&format!("/api/models/{version}/bundle"));
        let response = checked(self.client.get(url).bearer_auth(token)).await?;
        body(response, vereda_scoring::MAX_BYTES).await
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    read(checked(request).await?).await
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    let bytes = body(response, MAX_ANSWER).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        DeviceError::Server(format!("its answer cannot be read ({:?} error)", error.classify()))
    })
}

/// Sends, and turns every status but success into an error.
async fn checked(request: RequestBuilder) -> Result<Response> {
    checked_within(request, SILENCE).await
}

async fn checked_within(request: RequestBuilder, limit: Duration) -> Result<Response> {
    let response = within(limit, request.header(header::ACCEPT, "application/json").send()).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let told = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_s = told.and_then(|text| text.parse().ok());
    let bytes = body(response, 256 * 1024).await.unwrap_or_default();
    if let Ok(mut problem) = serde_json::from_slice::<Problem>(&bytes) {
        problem.detail = shown(&problem.detail, 300);
        problem.request_id = shown(&problem.request_id, 64);
        problem.retry_after_s = problem.retry_after_s.or(retry_after_s);
        return Err(DeviceError::Refused(Box::new(problem)));
    }
    match status {
        // A proxy that counts, too.
        StatusCode::TOO_MANY_REQUESTS => Err(DeviceError::Refused(Box::new(Problem {
            kind: "about:blank".into(),
            title: String::new(),
            status: status.as_u16(),
            detail: "Too many requests.".into(),
            code: ProblemCode::TooManyRequests,
            request_id: String::new(),
            fields: Vec::new(),
            resume: None,
            retry_after_s,
            error: None,
        }))),
        // A proxy in front of a server that is being started again.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Err(DeviceError::Unreachable(format!("status {}", status.as_u16())))
        }
        _ => Err(DeviceError::Server(format!("status {} without a reason", status.as_u16()))),
    }
}

async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    while let Some(chunk) = within(SILENCE, response.chunk()).await? {
        if begun.elapsed() > allowed(bytes.len() + chunk.len()) {
            return Err(DeviceError::Unreachable(format!("it answers slower than {SLOWEST} bytes a second")));
        }
        if bytes.len() + chunk.len() > limit {
            return Err(DeviceError::Server(format!("its answer is larger than {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// How long so much of an answer may take: a server that drips must not hold a run for ever.
fn allowed(bytes: usize) -> Duration {
    SILENCE + Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / SLOWEST)
}

/// A server's words, cut and without what a terminal or a log would obey.
fn shown(words: &str, most: usize) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

async fn within<T>(limit: Duration, work: impl Future<Output = reqwest::Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(DeviceError::Unreachable(format!("nothing came for {} s", limit.as_secs()))),
    }
}

fn failed(error: reqwest::Error) -> DeviceError {
    let error = error.without_url();
    if error.is_builder() {
        return DeviceError::Internal(whole(&error));
    }
    DeviceError::Unreachable(whole(&error))
}

/// An error with its causes: "error sending request" alone helps nobody.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_type_them() {
        for (typed, kept) in [
            ("https://vereda.example.org/", "https://vereda.example.org"),
            (" vereda.example.org ", "https://vereda.example.org"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:8080/", "http://localhost:8080"),
            ("http://[::1]:9", "http://[::1]:9"),
            ("https://host/under/a/path/", "https://host/under/a/path"),
        ] {
            assert_eq!(address(typed).unwrap(), kept, "{typed}");
            assert_eq!(address(kept).unwrap(), kept);
        }
        for typed in
            ["", "https://", "ftp://host", "https://user:word@host", "not an address", "https://h?x=1"]
        {
            assert!(matches!(address(typed), Err(DeviceError::BadAddress(_))), "{typed}");
        }
        for typed in ["http://vereda.example.org", "http://10.0.0.1", "http://127.0.0.1.example.org"] {
            assert!(matches!(address(typed), Err(DeviceError::InsecureAddress)), "{typed}");
        }
    }

    #[test]
    fn an_answer_that_drips_has_an_end_and_a_slow_one_has_time() {
        assert_eq!(allowed(0), SILENCE);
        assert!(allowed(100) < 2 * SILENCE, "a byte every now and then");
        // 50 kbit/s, half of it lost.
        assert!(allowed(1 << 20) > Duration::from_secs((1 << 20) / 3_000));
    }

    #[test]
    fn a_servers_words_are_cut_and_tamed() {
        let said = format!("no\r\n\u{1b}[31m{}", "x".repeat(10_000));
        let kept = shown(&said, 300);
        assert_eq!(kept.chars().count(), 300);
        assert!(!kept.chars().any(char::is_control));
    }

    #[tokio::test]
    async fn a_server_that_takes_everything_and_answers_nothing_is_left() {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut taken = Vec::new();
            stream.read_to_end(&mut taken).await.unwrap();
            taken.len()
        });
        let request = client("test").unwrap().post(url).body(vec![b'x'; 100_000]);
        let answer = checked_within(request, Duration::from_millis(200)).await;
        assert!(matches!(answer, Err(DeviceError::Unreachable(_))), "{answer:?}");
        // The connection is given up, not kept waiting.
        assert!(silent.await.unwrap() > 100_000);
    }

    #[tokio::test]
    async fn a_proxy_that_counts_is_understood_without_a_document() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            let answer = "HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nBusy";
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let answer = checked(client("test").unwrap().get(url)).await;
        let Err(DeviceError::Refused(problem)) = answer else { panic!("{answer:?}") };
        assert_eq!((problem.code, problem.retry_after_s), (ProblemCode::TooManyRequests, Some(7)));
    }

    #[test]
    fn a_full_push_fits_what_the_server_takes() {
        use vereda_domain::api::MAX_PUSH_BYTES;
        let push = Push { events: Vec::new(), device_ms: i64::MIN };
        assert!(serde_json::to_vec(&push).unwrap().len() < 256 && MAX_PUSH_BYTES > 256);
    }
}
