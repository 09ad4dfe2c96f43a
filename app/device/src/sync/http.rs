//! The server, as HTTP: addresses, requests, and what its answers mean.

use crate::error::{DeviceError, Result};
use crate::session::blocking;
use crate::store::chain::BATCH_BYTES;
use crate::store::remote::{Page, Part};
use crate::sync::proof::DeviceKey;
use reqwest::header::{self, HeaderValue};
use reqwest::{Client, Request, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vereda_domain::api::{
    Device, DeviceInfo, FileStatus, MAX_PULL_CHANGES, ModelManifest, PRODUCT, PROOF, PROOF_NONCE, PROTOCOL,
    Problem, ProblemCode, Push, Pushed, Quarantined, Refresh, SERVER_MS, ServerInfo, Session, SignIn, TICKET,
    TokenType,
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

/// One server, as one device speaks to it.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    base: String,
    key: Arc<DeviceKey>,
}

/// Who a request says it is from.
#[derive(Clone, Copy)]
enum As<'a> {
    /// It does not say.
    Anybody,
    /// From the device that has the key: for sessions, whose tokens are bound to it.
    Device,
    /// From whoever has this token.
    Holder(&'a AccessToken),
    /// From a device that only asks whether anything is new.
    Ticket(&'a str),
}

/// A token as a request sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessToken {
    kind: TokenType,
    token: String,
}

impl From<&Session> for AccessToken {
    fn from(session: &Session) -> AccessToken {
        AccessToken { kind: session.token_type, token: session.access_token.clone() }
    }
}

/// How often a request is sent whose proof the server does not take: with the first one, with one for its time, and with
/// one more should somebody on the way have sent that already.
const ATTEMPTS: u32 = 3;

/// Which page of changes to bring.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub part: Part,
    /// The furthest place that the server told of; 0 if none.
    pub seen: u64,
    /// So many changes at most.
    pub limit: u32,
    /// With how many follow it.
    pub count: bool,
}

impl Server {
    /// The server at an address as [`address`] gives it.
    pub(crate) fn new(client: Client, base: &str, key: Arc<DeviceKey>) -> Result<Server> {
        Ok(Server { client, base: address(base)?, key })
    }

    /// The same, with another key.
    pub(crate) fn with_key(self, key: Arc<DeviceKey>) -> Server {
        Server { key, ..self }
    }

    /// The key that its sessions are bound to.
    pub(crate) fn key(&self) -> Arc<DeviceKey> {
        self.key.clone()
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
        let info: ServerInfo = match self.answer(request, As::Anybody).await {
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
        self.answer(self.client.post(self.url("/api/auth/sign-in")).json(request), As::Device).await
    }

    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// [`DeviceError::SessionExpired`] when the server does not take it any more.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Session> {
        let body = Refresh { refresh_token: token.to_owned() };
        match self.answer(self.client.post(self.url("/api/auth/refresh")).json(&body), As::Device).await {
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
        self.checked(self.client.post(self.url("/api/auth/sign-out")).json(&body), As::Anybody).await?;
        Ok(())
    }

    pub(crate) async fn head(&self, token: &AccessToken) -> Result<ChainHead> {
        self.answer(self.client.get(self.url("/api/sync/head")), As::Holder(token)).await
    }

    /// What of the user's is set aside now, latest first, and whether that is all of it.
    pub(crate) async fn quarantined(&self, token: &AccessToken) -> Result<(Vec<Quarantined>, bool)> {
        let url = self.url(&format!("/api/sync/quarantined?limit={MAX_PULL_CHANGES}"));
        let list: Vec<Quarantined> = self.answer(self.client.get(url), As::Holder(token)).await?;
        let all = list.len() < MAX_PULL_CHANGES as usize;
        Ok((list, all))
    }

    /// The branch's devices, for its manager.
    pub(crate) async fn devices(&self, token: &AccessToken) -> Result<Vec<Device>> {
        self.answer(self.client.get(self.url("/api/devices")), As::Holder(token)).await
    }

    pub(crate) async fn push(&self, token: &AccessToken, push: &Push) -> Result<Pushed> {
        let plain = serde_json::to_vec(push)?;
        let packed = zstd::bulk::compress(&plain, 3)
            .map_err(|error| DeviceError::Internal(format!("a push cannot be packed: {error}")))?;
        let request = self
            .client
            .post(self.url("/api/sync/push"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "zstd")
            .body(packed);
        read(self.checked_within(request, As::Holder(token), UPLOAD).await?).await
    }

    pub(crate) async fn pull(&self, token: &AccessToken, wanted: &Wanted) -> Result<Page> {
        let Wanted { part, seen, limit, count } = wanted;
        let count = if *count { "&count=true" } else { "" };
        let seen = if *seen > 0 { format!("&seen={seen}") } else { String::new() };
        let part = match part {
            Part::Changes { cursor } => format!("cursor={cursor}"),
            Part::Portfolio { after: None, .. } => "assessments=last".to_owned(),
            Part::Portfolio { after: Some(after), .. } => format!("assessments=last&after={after}"),
            Part::Earlier { cursor, until } => format!("assessments=earlier&cursor={cursor}&until={until}"),
        };
        let url = self.url(&format!("/api/sync/pull?{part}{seen}&limit={limit}{count}"));
        let response = self.checked(self.client.get(url), As::Holder(token)).await?;
        let bytes = body(response, MAX_ANSWER).await?;
        // A large page takes a while, for which other things here need not wait.
        blocking(move || parsed(&bytes)).await
    }

    /// The server's clock, if nothing is new past these points; `None` when something is.
    pub(crate) async fn idle(
        &self,
        ticket: &str,
        seq: u64,
        cursor: u64,
        model: &str,
    ) -> Result<Option<Millis>> {
        let url = self.url(&format!("/api/sync/status?seq={seq}&cursor={cursor}&model={model}"));
        let response = self.checked(self.client.get(url), As::Ticket(ticket)).await?;
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
        token: &AccessToken,
        client: ClientId,
        sha256: Hash,
    ) -> Result<FileStatus> {
        let url = format!("{}/status", self.file_url(client, sha256));
        self.answer(self.client.get(url), As::Holder(token)).await
    }

    /// Sends a piece of a file; one that is not where the server goes on changes nothing there.
    pub(crate) async fn file_piece(
        &self,
        token: &AccessToken,
        client: ClientId,
        sha256: Hash,
        from: u64,
        piece: Vec<u8>,
    ) -> Result<FileStatus> {
        let url = format!("{}?from={from}", self.file_url(client, sha256));
        let request =
            self.client.post(url).header(header::CONTENT_TYPE, "application/octet-stream").body(piece);
        read(self.checked_within(request, As::Holder(token), UPLOAD).await?).await
    }

    /// All of a file.
    pub(crate) async fn file(&self, token: &AccessToken, client: ClientId, sha256: Hash) -> Result<Vec<u8>> {
        let response =
            self.checked(self.client.get(self.file_url(client, sha256)), As::Holder(token)).await?;
        body(response, usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX)).await
    }

    /// A session under a new identity, for a device whose chain forked.
    pub(crate) async fn fork(&self, token: &AccessToken, device: &DeviceInfo) -> Result<Session> {
        self.answer(self.client.post(self.url("/api/sync/fork")).json(device), As::Holder(token)).await
    }

    /// The newest published model; `None` when there is none.
    pub(crate) async fn current_model(&self, token: &AccessToken) -> Result<Option<ModelManifest>> {
        match self.answer(self.client.get(self.url("/api/models/current")), As::Holder(token)).await {
            Err(DeviceError::Refused(problem))
                if matches!(problem.code, ProblemCode::NoModel | ProblemCode::NotFound) =>
            {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// The bytes of a published version.
    ///
    /// # Errors
    /// [`DeviceError::Server`] for what is no bundle at all, such as the page of a hotel's network, which answers whatever
    /// it is asked: a bundle that was damaged is refused for an hour, this only until the network is well.
    pub(crate) async fn bundle(&self, token: &AccessToken, version: u32) -> Result<Vec<u8>> {
        let url = self.url(&format!("/api/models/{version}/bundle"));
        let response = self.checked(self.client.get(url), As::Holder(token)).await?;
        let kind = response.headers().get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        // A proxy may have added a charset.
        if !kind.starts_with(b"application/json") {
            return Err(DeviceError::Server("something else came in the place of a model".into()));
        }
        body(response, vereda_scoring::MAX_BYTES).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder, who: As<'_>) -> Result<T> {
        read(self.checked(request, who).await?).await
    }

    /// Sends, and turns every status but success into an error.
    async fn checked(&self, request: RequestBuilder, who: As<'_>) -> Result<Response> {
        self.checked_within(request, who, SILENCE).await
    }

    async fn checked_within(
        &self,
        request: RequestBuilder,
        who: As<'_>,
        limit: Duration,
    ) -> Result<Response> {
        let request = request.header(header::ACCEPT, "application/json").build().map_err(failed)?;
        let mut left = ATTEMPTS;
        loop {
            let again = || DeviceError::Internal("a request that cannot be sent twice".into());
            let mut attempt = request.try_clone().ok_or_else(again)?;
            self.sign(&mut attempt, who)?;
            let response = within(limit, self.client.execute(attempt)).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let said = response.headers().get(PROOF_NONCE).and_then(|value| value.to_str().ok());
            self.key.repeat(said.map(str::to_owned));
            left -= 1;
            match refusal(response).await {
                DeviceError::Refused(problem) if left > 0 && is_of_proof(problem.code) => {}
                other => return Err(other),
            }
        }
    }

    /// Says who a request is from.
    fn sign(&self, request: &mut Request, who: As<'_>) -> Result<()> {
        let (authorization, proves) = match who {
            As::Anybody => (None, false),
            As::Device => (None, true),
            As::Holder(AccessToken { kind, token }) => {
                (Some((kind.as_str(), token.as_str())), *kind == TokenType::DPoP)
            }
            As::Ticket(ticket) => (Some((TICKET, ticket)), false),
        };
        if proves {
            let token = authorization.map(|(_, token)| token);
            let proof = self.key.proof(request.method(), request.url(), token)?;
            request.headers_mut().insert(PROOF, secret(proof)?);
        }
        if let Some((scheme, token)) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, secret(format!("{scheme} {token}"))?);
        }
        Ok(())
    }
}

/// A header that is not to be shown.
fn secret(text: String) -> Result<HeaderValue> {
    let unsendable = |_| DeviceError::Server("its token cannot be sent".into());
    let mut value = HeaderValue::try_from(text).map_err(unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_of_proof(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::UseDpopNonce | ProblemCode::InvalidDpopProof)
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    parsed(&body(response, MAX_ANSWER).await?)
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        DeviceError::Server(format!("its answer cannot be read ({:?} error)", error.classify()))
    })
}

/// What an answer that is no success means.
async fn refusal(response: Response) -> DeviceError {
    let status = response.status();
    let told = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_s = told.and_then(|text| text.parse().ok());
    let bytes = body(response, 256 * 1024).await.unwrap_or_default();
    if let Ok(mut problem) = serde_json::from_slice::<Problem>(&bytes) {
        problem.detail = shown(&problem.detail, 300);
        problem.request_id = shown(&problem.request_id, 64);
        problem.retry_after_s = problem.retry_after_s.or(retry_after_s);
        return DeviceError::Refused(Box::new(problem));
    }
    match status {
        // A proxy that counts, too.
        StatusCode::TOO_MANY_REQUESTS => DeviceError::Refused(Box::new(Problem {
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
        })),
        // A proxy in front of a server that is being started again.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            DeviceError::Unreachable(format!("status {}", status.as_u16()))
        }
        _ => DeviceError::Server(format!("status {} without a reason", status.as_u16())),
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

    fn server(url: &str) -> Server {
        let key = DeviceKey::generate(crate::WallClock::system()).unwrap();
        Server::new(client("test").unwrap(), url, Arc::new(key)).unwrap()
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
        let server = server(&url);
        let request = server.client.post(url).body(vec![b'x'; 100_000]);
        let answer = server.checked_within(request, As::Anybody, Duration::from_millis(200)).await;
        assert!(matches!(answer, Err(DeviceError::Unreachable(_))), "{answer:?}");
        // The connection is given up, not kept waiting.
        assert!(silent.await.unwrap() > 100_000);
    }

    /// Where this is answered, once, whatever is asked.
    async fn answering(answer: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn the_page_of_a_hotels_network_is_no_damaged_model() {
        let token = AccessToken { kind: TokenType::Bearer, token: "t".into() };
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
        let answer = server(&answering(page).await).bundle(&token, 1).await;
        assert!(matches!(answer, Err(DeviceError::Server(_))), "{answer:?}");
        let bundle =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(server(&answering(bundle).await).bundle(&token, 1).await.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn a_proxy_that_counts_is_understood_without_a_document() {
        let url = answering("HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nBusy").await;
        let server = server(&url);
        let answer = server.checked(server.client.get(url), As::Anybody).await;
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
