//! A real server on a free port, real clients over HTTP, and devices that keep a chain.
//!
//! The store is SQLite, or PostgreSQL when `VEREDA_TEST_STORE` says `postgres`. When it says `replicas`,
//! two servers share a PostgreSQL and a Redis, and every connection goes to the next one in turn.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod postgres;
pub mod proxy;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tempfile::TempDir;
use uuid::Uuid;
use vereda_domain::api::{
    AddService, AddUser, BranchInfo, Change, DeviceInfo, EventOutcome, HistoryPage, IssuedToken, Person,
    Problem, ProblemCode, Pulled, Pushed, QuarantineReason, Role, Scope, Session, SignIn,
};
use vereda_domain::client::{ClientField, ClientFields, Consent};
use vereda_domain::event::{
    Assessment, ChainHead, Edit, Event, EventBody, OverrideReason, RecordedScore, Sealed,
};
use vereda_domain::hlc::{Clock, Hlc};
use vereda_domain::record::{Record, RecordKey};
use vereda_domain::{AssessmentId, ClientId, Decision, DeviceId, Millis, UserId};
use vereda_prover::Prover;
use vereda_scoring::{Inputs, Model};
use vereda_server::clock::now_ms;
use vereda_server::{Config, Running};

pub const SCORECARD: &[u8] = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
pub const BOOSTED: &[u8] = include_bytes!("../../../models/bundles/reference-boosted-2.json");
pub const PASSWORD: &str = "una clave de prueba";

/// A server with two branches and one user of each role in the first (an officer and a manager in
/// the second, too), all with [`PASSWORD`].
pub struct Server {
    pub running: Running,
    /// The other replica, with the proxy before both.
    pub replica: Option<(Running, proxy::Proxy)>,
    pub http: Client,
    pub north: BranchInfo,
    pub south: BranchInfo,
    pub users: BTreeMap<&'static str, Person>,
    pub services: BTreeMap<String, UserId>,
    pub config: Config,
    /// Holds the key of every device of this server.
    pub prover: Prover,
    // Last, so that the folder goes after the server.
    dir: TempDir,
}

pub const USERS: [(&str, Role, Option<&str>); 9] = [
    ("officer", Role::Officer, Some("Norte")),
    ("officer2", Role::Officer, Some("Norte")),
    ("manager", Role::Manager, Some("Norte")),
    ("analyst", Role::Analyst, None),
    ("admin", Role::Admin, None),
    ("service", Role::Service, None),
    ("service-south", Role::Service, Some("Sur")),
    ("officer-south", Role::Officer, Some("Sur")),
    ("manager-south", Role::Manager, Some("Sur")),
];

impl Server {
    pub async fn start() -> Server {
        Server::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut config = on_free_ports(&dir);
        match std::env::var("VEREDA_TEST_STORE").as_deref() {
            Ok("postgres") => config.database.url = postgres::fresh().await,
            Ok("replicas") => {
                config.database.url = postgres::fresh().await;
                config.redis.url = redis_url();
                config.redis.prefix = format!("{}:", Uuid::now_v7());
            }
            Ok("sqlite") | Err(_) => {}
            Ok(other) => panic!("VEREDA_TEST_STORE is {other:?}; it may be sqlite, postgres or replicas"),
        }
        change(&mut config);
        let running = vereda_server::start(config.clone()).await.unwrap();
        let (mut replica, mut http) = (None, Client::new());
        if !config.redis.url.is_empty() {
            let second = vereda_server::start(config.clone()).await.unwrap();
            let proxy = proxy::Proxy::start(vec![running.api_addr, second.api_addr]).await;
            replica = Some((second, proxy));
            // A connection for each request, so that they alternate.
            http = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        }
        let people = running.people();
        let north = people.add_branch("Norte").await.unwrap();
        let south = people.add_branch("Sur").await.unwrap();
        let (mut users, mut services) = (BTreeMap::new(), BTreeMap::new());
        for (username, role, branch) in USERS {
            let branch = branch.map(|name| if name == "Norte" { north.id } else { south.id });
            let name = format!("Persona {username}");
            if role == Role::Service {
                let (username, scopes) = (username.to_owned(), Scope::ALL.to_vec());
                let new = AddService { username: username.clone(), name, scopes, branch };
                services.insert(username, people.add_service(new).await.unwrap().id);
                continue;
            }
            let new = AddUser { username: username.into(), name, password: PASSWORD.into(), role, branch };
            users.insert(username, people.add_user(new).await.unwrap());
        }
        let prover = Prover::new().unwrap();
        Server { running, replica, http, north, south, users, services, config, prover, dir }
    }

    /// With the scorecard published.
    pub async fn with_model() -> Server {
        let server = Server::start().await;
        server.running.models().publish(SCORECARD.to_vec(), "test").await.unwrap();
        server
    }

    /// Stops it, and gives the folder with its data once the embedded database is closed.
    pub async fn stopped(self) -> TempDir {
        self.running.shutdown().await;
        if let Some((second, _)) = self.replica {
            second.shutdown().await;
        }
        let log = self.config.data_dir.join("vereda.db-wal");
        let closed = async {
            while log.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), closed).await.expect("it is still open");
        self.dir
    }

    pub fn url(&self, path: &str) -> String {
        match &self.replica {
            Some((_, proxy)) => format!("http://{}{path}", proxy.addr),
            None => format!("{}{path}", self.running.api_url()),
        }
    }

    pub fn anonymous(&self) -> Caller<'_> {
        Caller { server: self, token: None }
    }

    /// Somebody who signed in, a person with [`PASSWORD`], a system with a secret.
    pub async fn caller(&self, username: &str) -> Caller<'_> {
        if let Some(service) = self.services.get(username) {
            let people = self.running.people();
            let issued = people.issue_secret(*service).await.unwrap();
            let form = [("client_id", username), ("client_secret", &issued.client_secret)];
            let response = self.token(&form).await;
            assert_eq!(response.status(), 200);
            let token: IssuedToken = response.json().await.unwrap();
            // Any number of them may be made, one after the other.
            people.revoke_secret(*service, issued.id).await.unwrap();
            return Caller { server: self, token: Some(token.access_token) };
        }
        let session = self.session(username, None).await;
        Caller { server: self, token: Some(session.access_token) }
    }

    pub async fn session(&self, username: &str, device: Option<DeviceId>) -> Session {
        let response = self.sign_in(username, PASSWORD, device).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    pub async fn sign_in(&self, username: &str, password: &str, device: Option<DeviceId>) -> Response {
        let device = device.map(|id| DeviceInfo { id, name: "prueba".into(), platform: "linux".into() });
        let (url, is_device) = (self.url("/api/auth/sign-in"), device.is_some());
        let body = SignIn { username: username.into(), password: password.into(), device };
        let mut request = self.http.post(&url);
        if is_device {
            request = request.headers(self.prover.headers("POST", &url, None).unwrap());
        }
        request.json(&body).send().await.unwrap()
    }

    /// Asks for a token as another system does.
    pub async fn token(&self, form: &[(&str, &str)]) -> Response {
        let mut form = form.to_vec();
        form.push(("grant_type", "client_credentials"));
        self.http.post(self.url("/api/auth/token")).form(&form).send().await.unwrap()
    }

    pub async fn refresh(&self, token: &str) -> Response {
        let body = json!({ "refresh_token": token });
        let url = self.url("/api/auth/refresh");
        let request = self.http.post(&url).headers(self.prover.headers("POST", &url, None).unwrap());
        request.json(&body).send().await.unwrap()
    }

    pub async fn metrics(&self) -> String {
        let mut text = String::new();
        for running in [Some(&self.running), self.replica.as_ref().map(|(running, _)| running)] {
            let Some(running) = running else { continue };
            let url = format!("{}/metrics", running.metrics_url());
            text.push_str(&self.http.get(url).send().await.unwrap().text().await.unwrap());
        }
        text
    }

    /// What a counter, named with its labels, stands at: on all replicas together.
    pub async fn counted(&self, counter: &str) -> u64 {
        let text = self.metrics().await;
        let values = text.lines().filter_map(|line| line.strip_prefix(counter)?.trim().parse::<u64>().ok());
        values.sum()
    }

    pub async fn device(&self, username: &'static str) -> Device<'_> {
        let id = DeviceId(Uuid::now_v7());
        let session = self.session(username, Some(id)).await;
        Device {
            caller: Caller { server: self, token: Some(session.access_token.clone()) },
            session,
            id,
            head: ChainHead::EMPTY,
            clock: Clock::new(id),
            cursor: 0,
        }
    }
}

/// The settings of a server on this machine alone, which keeps what it has in this folder.
pub fn on_free_ports(dir: &TempDir) -> Config {
    let free = "127.0.0.1:0".parse().unwrap();
    Config { listen: free, metrics_listen: free, data_dir: dir.path().join("data"), ..Config::default() }
}

/// The Redis that `VEREDA_TEST_REDIS` names.
pub fn redis_url() -> String {
    std::env::var("VEREDA_TEST_REDIS").expect(
        "VEREDA_TEST_REDIS must be the URL of a Redis; `cargo xtask test` starts one and sets it, \
         `cargo xtask services` does so for a command of your own",
    )
}

/// Whether a token opens nothing without its key.
pub fn is_bound(token: &str) -> bool {
    let said = token.split('.').nth(1).unwrap_or_default();
    let said = BASE64_URL_SAFE_NO_PAD.decode(said).unwrap_or_default();
    serde_json::from_slice::<Json>(&said).is_ok_and(|claims| claims["cnf"]["jkt"].is_string())
}

/// Somebody who calls the API.
pub struct Caller<'s> {
    pub server: &'s Server,
    pub token: Option<String>,
}

impl Caller<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.server.url(path);
        let request = self.server.http.request(method.clone(), &url);
        match &self.token {
            Some(token) if is_bound(token) => {
                request.headers(self.server.prover.headers(method.as_str(), &url, Some(token)).unwrap())
            }
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    pub async fn post_bytes(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, path)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
    }
}

/// A refusal, with everything checked that holds of every refusal.
pub async fn problem(response: Response) -> Problem {
    let status = response.status();
    assert!(status.is_client_error() || status.is_server_error(), "{status}");
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    let request_id = header("x-request-id").unwrap();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(problem.status, status.as_u16());
    assert_eq!(problem.request_id, request_id);
    assert_ne!(problem.code, ProblemCode::Unknown);
    problem
}

pub async fn refused(response: Response, status: u16, code: ProblemCode) -> Problem {
    let problem = problem(response).await;
    assert_eq!((problem.status, problem.code), (status, code), "{problem:?}");
    problem
}

/// A device with a chain of its own.
pub struct Device<'s> {
    pub caller: Caller<'s>,
    pub session: Session,
    pub id: DeviceId,
    pub head: ChainHead,
    pub clock: Clock,
    pub cursor: u64,
}

impl Device<'_> {
    /// The next event of the chain.
    pub fn event(&mut self, body: EventBody) -> Sealed {
        let branch = self.session.user.branch.as_ref().unwrap().id;
        let (at, actor) = (now_ms(), self.session.user.id);
        let event = Event {
            device: self.id,
            seq: self.head.seq + 1,
            prev: self.head.hash,
            hlc: self.clock.tick(at),
            at,
            actor,
            branch,
            body,
        };
        self.seal(event)
    }

    /// An event as it is, at the end of the chain.
    pub fn seal(&mut self, event: Event) -> Sealed {
        let sealed = Sealed::seal(event).unwrap();
        self.head = ChainHead { seq: sealed.event.seq, hash: sealed.hash };
        sealed
    }

    /// The next event of the chain, as any text.
    pub fn raw(&mut self, body: Json) -> String {
        let sealed =
            self.event(decided(AssessmentId(Uuid::nil()), ClientId(Uuid::nil()), Decision::Refer, None));
        let mut event: Json = serde_json::from_str(&sealed.text).unwrap();
        event["body"] = body;
        let text = serde_json::to_string(&event).unwrap();
        self.head.hash = vereda_domain::event::Hash::of(text.as_bytes());
        text
    }

    pub async fn send(&self, texts: &[&str]) -> Response {
        let body = format!(r#"{{"events":[{}],"device_ms":{}}}"#, texts.join(","), now_ms());
        self.caller.post_bytes("/api/sync/push", body).await
    }

    pub async fn push(&self, events: &[&Sealed]) -> Pushed {
        let texts: Vec<&str> = events.iter().map(|e| e.text.as_str()).collect();
        let response = self.send(&texts).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn pull_page(&mut self, limit: u32) -> Pulled {
        let path = format!("/api/sync/pull?cursor={}&limit={limit}", self.cursor);
        let response = self.caller.get(&path).await;
        assert_eq!(response.status(), 200);
        let pulled: Pulled = response.json().await.unwrap();
        self.cursor = pulled.cursor;
        pulled
    }

    pub async fn pull(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            let page = self.pull_page(100).await;
            changes.extend(page.changes);
            if !page.more {
                return changes;
            }
        }
    }
}

pub fn fields(name: &str) -> ClientFields {
    [
        (ClientField::Name, name.to_owned()),
        (ClientField::Document, "DEMO-000001-1".into()),
        (ClientField::Phone, "300 555 0001".into()),
        (ClientField::Place, "Vereda La Prueba".into()),
    ]
    .into()
}

pub fn captured(client: ClientId, name: &str) -> EventBody {
    let consent = Consent { at: now_ms(), text_version: "2026-01".into() };
    EventBody::ClientCaptured { client, fields: fields(name), consent }
}

pub fn edited(client: ClientId, field: ClientField, value: &str, replaces: Vec<Hlc>) -> EventBody {
    EventBody::ClientEdited { client, edits: [(field, Edit { value: value.into(), replaces })].into() }
}

pub fn decided(
    assessment: AssessmentId,
    client: ClientId,
    decision: Decision,
    override_reason: Option<OverrideReason>,
) -> EventBody {
    EventBody::Decided { assessment, client, decision, override_reason, replaces: Vec::new() }
}

pub fn model() -> Model {
    Model::load(SCORECARD).unwrap()
}

pub fn inputs() -> Inputs {
    model().bundle().golden[0].inputs.clone()
}

pub fn assessment(client: ClientId) -> Assessment {
    let model = model();
    let score: RecordedScore = model.score(&inputs()).unwrap().into();
    let id = AssessmentId(Uuid::now_v7());
    Assessment { id, client, model: model.reference(), inputs: inputs(), score }
}

pub fn new_client() -> ClientId {
    ClientId(Uuid::now_v7())
}

pub fn minutes(n: i64) -> Millis {
    n * 60_000
}

pub fn stored(pushed: &Pushed) -> bool {
    pushed.results.iter().all(|r| r.outcome == EventOutcome::Stored)
}

pub fn reason(pushed: &Pushed, index: usize) -> QuarantineReason {
    match &pushed.results[index].outcome {
        EventOutcome::Quarantined { reason, detail } => {
            assert!(!detail.is_empty());
            *reason
        }
        EventOutcome::Stored => panic!("event {index} was stored: {pushed:?}"),
    }
}

pub fn records(changes: Vec<Change>) -> BTreeMap<RecordKey, Record> {
    let mut records = BTreeMap::new();
    for change in changes {
        match change {
            Change::State { record } => {
                let key = match &record {
                    Record::Client(c) => RecordKey::Client(c.id),
                    Record::Assessment(a) => RecordKey::Assessment(a.assessment.id),
                };
                records.insert(key, record);
            }
            Change::Purge { key, .. } => {
                records.remove(&key);
            }
        }
    }
    records
}

pub async fn history(caller: &Caller<'_>) -> HistoryPage {
    caller.get("/api/history").await.json().await.unwrap()
}
