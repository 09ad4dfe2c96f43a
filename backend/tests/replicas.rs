//! Two replicas behind a plain proxy, over a PostgreSQL and a Redis of their own, under load: one is
//! killed, the database and Redis are restarted, one is stopped in order. What was acknowledged is
//! there, requests fail only while something is down, and nobody has to help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/proxy.rs"]
mod proxy;

use proxy::Proxy;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;
use vereda_domain::api::{
    AddService, AddUser, DeviceInfo, HistoryPage, IssuedToken, Prediction, Pushed, Role, Scope, Session,
    SignIn,
};
use vereda_domain::client::{ClientField, Consent};
use vereda_domain::event::{ChainHead, Event, EventBody, Sealed};
use vereda_domain::hlc::Clock;
use vereda_domain::{AssessmentId, ClientId, DeviceId};
use vereda_prover::Prover;
use vereda_server::clock::now_ms;
use vereda_server::identity::people::People;
use vereda_server::{Config, server};
use vereda_services::{Postgres, Redis, free_port};

const SCORECARD: &[u8] = include_bytes!("../../models/bundles/reference-scorecard-1.json");
const PASSWORD: &str = "una clave de prueba";

/// A server in a process of its own.
struct Replica {
    child: Option<Child>,
    api: SocketAddr,
    metrics: SocketAddr,
    settings: Vec<(&'static str, String)>,
}

impl Replica {
    fn new(data: &Path, postgres: &str, redis: &str) -> Replica {
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let (api, metrics) = (address(), address());
        let settings = vec![
            ("VEREDA_LISTEN", api.to_string()),
            ("VEREDA_METRICS_LISTEN", metrics.to_string()),
            ("VEREDA_DATA_DIR", data.display().to_string()),
            ("VEREDA_DATABASE_URL", postgres.to_owned()),
            ("VEREDA_REDIS_URL", redis.to_owned()),
            ("VEREDA_LOG_FILTER", "error".to_owned()),
        ];
        Replica { child: None, api, metrics, settings }
    }

    async fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vereda-server"));
        command.arg("serve").envs(self.settings.iter().map(|(name, value)| (name, value)));
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        self.until_ready().await;
    }

    async fn until_ready(&self) {
        let url = format!("http://{}/readyz", self.metrics);
        until("a replica is not ready", async || {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    async fn metric(&self, line: &str) -> bool {
        let Ok(answer) = reqwest::get(format!("http://{}/metrics", self.metrics)).await else { return false };
        answer.text().await.is_ok_and(|text| text.lines().any(|found| found == line))
    }

    fn signal(&mut self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    async fn ended(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait().unwrap().success()).await.unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn until(what: &str, check: impl AsyncFn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !check().await {
        assert!(Instant::now() < patience, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the load saw.
#[derive(Default)]
struct Seen {
    scores: Mutex<Vec<(AssessmentId, String)>>,
    /// The last receipt of each device.
    heads: Mutex<Vec<(usize, ChainHead)>>,
    failures: Mutex<Vec<(Instant, Instant, String)>>,
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Seen {
    /// Waits until so many more were acknowledged.
    async fn more(&self, count: u64) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until("nothing more is acknowledged", async || {
            self.acknowledged.load(Ordering::Relaxed) >= before + count
        })
        .await;
    }

    fn failed(&self, began: Instant, why: String) {
        self.failures.lock().unwrap().push((began, Instant::now(), why));
    }
}

#[derive(Clone)]
struct World {
    http: reqwest::Client,
    url: String,
    seen: Arc<Seen>,
    prover: Arc<Prover>,
}

impl World {
    /// A question of a device.
    fn as_device(&self, url: String, token: &str) -> reqwest::RequestBuilder {
        let shown = self.prover.headers("GET", &url, Some(token)).unwrap();
        self.http.get(url).headers(shown)
    }

    async fn session(&self, username: &str, device: Option<DeviceId>) -> Session {
        let device = device.map(|id| DeviceInfo { id, name: "d".into(), platform: "linux".into() });
        let body = SignIn { username: username.into(), password: PASSWORD.into(), device };
        let url = format!("{}/api/auth/sign-in", self.url);
        let shown = self.prover.headers("POST", &url, None).unwrap();
        let answer = self.http.post(url).headers(shown).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Asks for scores, each once, whatever comes of it.
    async fn predict(self, token: String, features: Json, worker: usize) {
        let mut n = 0;
        while !self.seen.stop.load(Ordering::Relaxed) {
            n += 1;
            let name = format!("w{worker}-{n}");
            let began = Instant::now();
            let request = self.http.post(format!("{}/api/predict", self.url)).bearer_auth(&token);
            let answer = request.json(&json!({"features": features, "client_ref": name})).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => match answer.json::<Prediction>().await {
                    Ok(prediction) => {
                        self.seen.scores.lock().unwrap().push((prediction.id, name));
                        self.seen.acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => self.seen.failed(began, error.to_string()),
                },
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    self.seen.failed(began, format!("{status} {}", answer.text().await.unwrap_or_default()));
                }
                Err(error) => self.seen.failed(began, error.to_string()),
            }
        }
    }

    /// Captures clients and pushes each until it is receipted, as a device does.
    async fn push(self, session: Session, device: DeviceId, worker: usize) {
        let mut clock = Clock::new(device);
        let mut head = ChainHead::EMPTY;
        while !self.seen.stop.load(Ordering::Relaxed) {
            let at = now_ms();
            let fields = [
                (ClientField::Name, "Ana"),
                (ClientField::Document, "1"),
                (ClientField::Phone, "300 555 0001"),
            ];
            let event = Sealed::seal(Event {
                device,
                seq: head.seq + 1,
                prev: head.hash,
                hlc: clock.tick(at),
                at,
                actor: session.user.id,
                branch: session.user.branch.as_ref().unwrap().id,
                body: EventBody::ClientCaptured {
                    client: ClientId(Uuid::now_v7()),
                    fields: fields.map(|(field, value)| (field, value.to_owned())).into(),
                    consent: Consent { at, text_version: "1".into() },
                },
            })
            .unwrap();
            let body = format!(r#"{{"events":[{}],"device_ms":{at}}}"#, event.text);
            loop {
                let began = Instant::now();
                let (url, token) = (format!("{}/api/sync/push", self.url), &session.access_token);
                let shown = self.prover.headers("POST", &url, Some(token)).unwrap();
                let request = self.http.post(url).headers(shown).body(body.clone());
                let answer = request.header("content-type", "application/json").send().await;
                let why = match answer {
                    Ok(answer) if answer.status().is_success() => match answer.json::<Pushed>().await {
                        Ok(pushed) => {
                            assert_eq!(
                                (pushed.receipt.seq, pushed.receipt.hash),
                                (event.event.seq, event.hash)
                            );
                            head = ChainHead { seq: pushed.receipt.seq, hash: pushed.receipt.hash };
                            break;
                        }
                        Err(error) => error.to_string(),
                    },
                    Ok(answer) => format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
                    Err(error) => error.to_string(),
                };
                self.seen.failed(began, why);
                if self.seen.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            self.seen.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self.seen.heads.lock().unwrap().push((worker, head));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_whatever_is_killed_under_load() {
    let (mut postgres, mut redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = Config {
        data_dir: data.clone(),
        database: vereda_server::config::Database { url: postgres.url(), connections: 4 },
        ..Config::default()
    };
    let app = server::open(config).await.unwrap();
    let people = People::new(app.store.clone(), app.passwords.clone());
    let branch = people.add_branch("Norte").await.unwrap().id;
    for (username, role, branch) in
        [("officer0", Role::Officer, Some(branch)), ("officer1", Role::Officer, Some(branch))]
    {
        let new = AddUser {
            username: username.into(),
            name: username.into(),
            password: PASSWORD.into(),
            role,
            branch,
        };
        people.add_user(new).await.unwrap();
    }
    let (username, name) = ("service".to_owned(), "service".to_owned());
    let scopes = vec![Scope::Predict, Scope::HistoryRead];
    let service = people.add_service(AddService { username, name, scopes, branch: None }).await.unwrap();
    let secret = people.issue_secret(service.id).await.unwrap();
    app.models.publish(SCORECARD.to_vec(), "test").await.unwrap();
    let features = json!(app.models.current().await.unwrap().unwrap().bundle().golden[0].inputs);

    let new = || Replica::new(&data, &postgres.url(), &redis.url());
    let (mut one, mut two) = (new(), new());
    one.start().await;
    two.start().await;
    let proxy = Proxy::start(vec![one.api, two.api]).await;
    let http = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let prover = Arc::new(Prover::new().unwrap());
    let world = World { http, url: format!("http://{}", proxy.addr), seen: Arc::default(), prover };
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &secret.client_id),
        ("client_secret", &secret.client_secret),
    ];
    let asked = world.http.post(format!("{}/api/auth/token", world.url)).form(&form);
    let service: IssuedToken = asked.send().await.unwrap().json().await.unwrap();
    let mut load = Vec::new();
    for worker in 0..4 {
        let token = service.access_token.clone();
        load.push(tokio::spawn(world.clone().predict(token, features.clone(), worker)));
    }
    let mut devices = Vec::new();
    for worker in 0..2 {
        let device = DeviceId(Uuid::now_v7());
        let session = world.session(&format!("officer{worker}"), Some(device)).await;
        devices.push(session.clone());
        load.push(tokio::spawn(world.clone().push(session, device, worker)));
    }
    let seen = world.seen.clone();
    seen.more(60).await;

    // While something is down, requests may fail; before and after, none may.
    let mut windows = Vec::new();
    let began = Instant::now();
    one.signal("-KILL");
    assert!(!one.ended().await);
    seen.more(60).await;
    one.start().await;
    windows.push((began, Instant::now()));
    seen.more(60).await;

    let began = Instant::now();
    postgres.stop();
    postgres.begin().unwrap();
    one.until_ready().await;
    two.until_ready().await;
    seen.more(20).await;
    windows.push((began, Instant::now()));
    seen.more(60).await;

    // Nobody but the counters notices that Redis is gone: no request fails.
    redis.kill();
    seen.more(60).await;
    until("the loss of Redis is not told", async || one.metric("vereda_redis_up 0").await).await;
    redis.begin().unwrap();
    for replica in [&one, &two] {
        until("Redis is not found again", async || replica.metric("vereda_redis_up 1").await).await;
    }
    seen.more(60).await;

    // One is stopped in order: what is in flight is answered.
    two.signal("-TERM");
    assert!(two.ended().await, "it ends as it should");
    seen.more(60).await;
    seen.stop.store(true, Ordering::Relaxed);
    for worker in load {
        worker.await.unwrap();
    }

    for (from, to, why) in seen.failures.lock().unwrap().iter() {
        let excused = windows.iter().any(|(began, ended)| from <= ended && to >= began);
        assert!(excused, "a request failed while everything was up: {why}");
    }
    let scores = std::mem::take(&mut *seen.scores.lock().unwrap());
    assert!(scores.len() > 200, "{}", scores.len());
    for (id, name) in &scores {
        let path = format!("{}/api/history?client_ref={name}", world.url);
        let answer = world.http.get(path).bearer_auth(&service.access_token).send().await.unwrap();
        let page: HistoryPage = answer.json().await.unwrap();
        assert_eq!(page.entries.iter().map(|e| e.id).collect::<Vec<_>>(), [*id], "{name}");
    }
    let heads = seen.heads.lock().unwrap().clone();
    for (worker, head) in &heads {
        let path = format!("{}/api/sync/head", world.url);
        let token = devices[*worker].access_token.as_str();
        let stored: ChainHead = world.as_device(path, token).send().await.unwrap().json().await.unwrap();
        assert!(head.seq > 10, "{head:?}");
        // The last push may have been stored and its answer lost.
        assert!(stored == *head || stored.seq == head.seq + 1, "{stored:?} {head:?}");
    }
}
