//! The program itself: its command line, its log, its signals, its demonstration.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine as _;
use reqwest::RequestBuilder;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use vereda_domain::api::{HistoryPage, IssuedToken, Pulled, Pushed, Session};
use vereda_domain::client::{ClientField, Consent};
use vereda_domain::event::{ChainHead, Event, EventBody, Sealed};
use vereda_domain::hlc::Hlc;
use vereda_domain::{ClientId, DeviceId};
use vereda_prover::Prover;

/// Holds the key of every device here.
static PROVER: LazyLock<Prover> = LazyLock::new(|| Prover::new().unwrap());

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vereda-server"));
    command.env("VEREDA_DATA_DIR", data).env("VEREDA_LISTEN", "127.0.0.1:0");
    command.env("VEREDA_METRICS_LISTEN", "127.0.0.1:0").env_remove("VEREDA_PASSWORD");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(data: &Path, arguments: &[&str], stdin: &str) -> Output {
    let mut child = program(data).args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
fn terminate(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

/// Ends the program if a test fails before it does.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn people_are_added_by_hand_and_the_log_is_json_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(run(&data, &["branch", "add", "Norte"], "").status.success());
    let add = ["user", "add", "ana", "--name", "Ana Secreta", "--role", "officer", "--branch", "Norte"];
    let short = run(&data, &add, "corta\n");
    assert!(!short.status.success());
    assert!(String::from_utf8_lossy(&short.stderr).contains("10 to 256 characters"));
    assert!(run(&data, &add, "una clave secreta\n").status.success());
    assert!(!run(&data, &add, "una clave secreta\n").status.success(), "the name is taken");
    let list = run(&data, &["user", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("ana\tofficer\tNorte\tactive"));

    let mut served = Served(program(&data).arg("serve").spawn().unwrap());
    let mut log = BufReader::new(served.0.stderr.take().unwrap());
    let mut lines = String::new();
    let api = loop {
        let before = lines.len();
        assert!(log.read_line(&mut lines).unwrap() > 0, "it ended: {lines}");
        let line: Json = serde_json::from_str(&lines[before..]).unwrap();
        if let Some(address) = line["api_addr"].as_str() {
            break format!("http://{address}");
        }
    };
    let client = reqwest::Client::new();
    let device = uuid::Uuid::now_v7();
    let sign_in = async |username: &str, password: &str| {
        let machine = json!({"id": device, "name": "Secreta", "platform": "linux"});
        let body = json!({"username": username, "password": password, "device": machine});
        let url = format!("{api}/api/auth/sign-in");
        let shown = PROVER.headers("POST", &url, None).unwrap();
        client.post(url).headers(shown).json(&body).send().await.unwrap()
    };
    let session: Session = sign_in("ana", "una clave secreta").await.json().await.unwrap();
    sign_in("evil\r\n{\"level\":\"FORGED\"}\u{1b}[31m", "otra clave secreta").await;
    let url = format!("{api}/api/history/x%0d%0aFORGED?x=Secreta");
    let request = as_device(client.get(&url), "GET", &url, &session);
    let request = request.header("user-agent", "Secreta").header("x-request-id", "mi-peticion-1");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.header("traceparent", trace).send().await.unwrap();
    terminate(&served.0);
    assert!(served.0.wait().unwrap().success(), "SIGTERM is a clean end");
    log.read_to_string(&mut lines).unwrap();
    let mut mine = Vec::new();
    for line in lines.lines() {
        let line: Json = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_ne!(line["level"], "FORGED");
        if line["span"]["request_id"] == "mi-peticion-1" {
            mine.push(line);
        }
    }
    // Every line of a request says which it is, in which trace, whose, and from which device.
    let ids =
        json!({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "user": session.user.id, "device": device});
    for line in &mine {
        for (name, id) in ids.as_object().unwrap() {
            assert_eq!(line["span"][name], *id, "{name} of {line}");
        }
    }
    assert!(!mine.is_empty() && lines.contains("stopped"));
    for secret in ["Secreta", "secreta", "FORGED", &session.access_token, &session.refresh_token] {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
    assert!(run(&data, &["user", "disable", "ana"], "").status.success());
    let list = run(&data, &["user", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("disabled"));
}

#[cfg(unix)]
#[test]
fn a_hang_up_makes_it_look_at_the_certificate_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
    };
    renew();
    let mut served = program(&dir.path().join("data"));
    served.env("VEREDA_TLS_CERTIFICATE", &certificate).env("VEREDA_TLS_KEY", &key);
    let mut served = Served(served.arg("serve").spawn().unwrap());
    let mut log = BufReader::new(served.0.stderr.take().unwrap());
    let mut until = |message: &str| {
        let mut line = String::new();
        while !line.contains(message) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it said: {message}");
        }
        line
    };
    assert!(until("listening").contains(r#""https":true"#));
    renew();
    let hang_up = ["-HUP", &served.0.id().to_string()];
    assert!(Command::new("kill").args(hang_up).status().unwrap().success());
    until("new connections get the new certificate");
    assert!(served.0.try_wait().unwrap().is_none(), "it goes on");
    terminate(&served.0);
    assert!(served.0.wait().unwrap().success());
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let output = program(dir.path()).arg("serve").env("VEREDA_LISTEN", "0.0.0.0:0").output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("trusted_proxies"), "{text}");
    let output = program(dir.path()).args(["serve", "--config", "nowhere.toml"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere.toml"));
}

fn demo(data: &Path, clients: &str) -> (Served, Json) {
    demo_by(Command::new(env!("CARGO_BIN_EXE_vereda-server")), data, clients)
}

fn demo_by(mut program: Command, data: &Path, clients: &str) -> (Served, Json) {
    let mut child = program
        .args(["demo", "--listen", "127.0.0.1:0", "--clients", clients, "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Served(child), serde_json::from_str(&line).unwrap())
}

async fn sign_in(ready: &Json, username: &str) -> Session {
    let users = ready["users"].as_array().unwrap();
    let user = users.iter().find(|u| u["username"] == username).unwrap();
    let device = json!({"id": uuid::Uuid::now_v7(), "name": "prueba", "platform": "linux"});
    let body = json!({"username": username, "password": user["password"], "device": device});
    let url = format!("{}/api/auth/sign-in", ready["api"].as_str().unwrap());
    let shown = PROVER.headers("POST", &url, None).unwrap();
    let request = reqwest::Client::new().post(url).headers(shown).json(&body);
    request.send().await.unwrap().json().await.unwrap()
}

/// A request of a device that has signed in.
fn as_device(request: RequestBuilder, method: &str, url: &str, session: &Session) -> RequestBuilder {
    request.headers(PROVER.headers(method, url, Some(&session.access_token)).unwrap())
}

async fn system(ready: &Json) -> IssuedToken {
    let (id, secret) = (&ready["service"]["client_id"], &ready["service"]["client_secret"]);
    let url = format!("{}/api/auth/token", ready["api"].as_str().unwrap());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str().unwrap()),
        ("client_secret", secret.as_str().unwrap()),
    ];
    reqwest::Client::new().post(url).form(&form).send().await.unwrap().json().await.unwrap()
}

async fn get<T: serde::de::DeserializeOwned>(ready: &Json, session: &Session, path: &str) -> T {
    let url = format!("{}{path}", ready["api"].as_str().unwrap());
    let request = as_device(reqwest::Client::new().get(&url), "GET", &url, session);
    request.send().await.unwrap().json().await.unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn the_demonstration_has_portfolios_and_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut served, ready) = demo(dir.path(), "40");
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["users"].as_array().unwrap().len(), 8);
    let officer = sign_in(&ready, "oficial1").await;
    let pulled: Pulled = get(&ready, &officer, "/api/sync/pull?limit=1000").await;
    let text = serde_json::to_value(&pulled).unwrap();
    let of_kind = |kind: &str| {
        let changes = text["changes"].as_array().unwrap().iter();
        changes.filter(|c| c["record"]["kind"] == kind).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of_kind("client").len(), 40);
    let assessments = of_kind("assessment");
    assert!((15..35).contains(&assessments.len()), "{}", assessments.len());
    assert!(assessments.iter().all(|a| a["record"]["rescore"]["outcome"] == "same"));
    let undecided = assessments.iter().filter(|a| a["record"]["decisions"].as_object().unwrap().is_empty());
    let undecided = undecided.count();
    assert!(undecided > 0 && undecided < assessments.len());
    let manager = sign_in(&ready, "gerente1").await;
    let page: HistoryPage = get(&ready, &manager, "/api/history?limit=500").await;
    assert!(page.entries.len() > assessments.len(), "two officers");
    assert!(page.entries.iter().all(|e| e.model.version == 1));
    terminate(&served.0);
    assert!(served.0.wait().unwrap().success());

    let (served, again) = demo(dir.path(), "40");
    assert_eq!(again["users"], ready["users"]);
    assert_ne!(again["service"]["client_secret"], ready["service"]["client_secret"]);
    let officer = sign_in(&again, "oficial1").await;
    let pulled: Pulled = get(&again, &officer, "/api/sync/pull?limit=1000").await;
    assert_eq!(serde_json::to_value(&pulled).unwrap()["changes"], text["changes"], "filled once");
    drop(served);
    // Killed while it was filling: the next start begins anew.
    std::fs::write(dir.path().join("demo-unfinished"), b"").unwrap();
    let (_served, fresh) = demo(dir.path(), "5");
    let officer = sign_in(&fresh, "oficial1").await;
    let pulled: Pulled = get(&fresh, &officer, "/api/sync/pull?limit=1000").await;
    assert!(pulled.changes.len() <= 10);
}

/// An officer's device that pushes one event after the other.
struct Pushing {
    session: Session,
    device: DeviceId,
    /// From the last one that a server was seen to have.
    sent: Vec<ChainHead>,
}

impl Pushing {
    async fn enrolled(ready: &Json) -> Pushing {
        let session = sign_in(ready, "oficial1").await;
        let claims = session.access_token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Json = serde_json::from_slice(&claims).unwrap();
        let device = claims["device"].as_str().unwrap().parse().unwrap();
        Pushing { session, device, sent: vec![ChainHead::EMPTY] }
    }

    /// The receipt for one more event, unless the server goes away meanwhile.
    async fn push(&mut self, ready: &Json) -> Option<ChainHead> {
        let (head, at) = (*self.sent.last().unwrap(), vereda_server::clock::now_ms());
        let fields = [(ClientField::Name, "Cliente Prueba"), (ClientField::Document, "DEMO-9")];
        let counter = u32::try_from(head.seq).unwrap();
        let next = Sealed::seal(Event {
            device: self.device,
            seq: head.seq + 1,
            prev: head.hash,
            hlc: Hlc { wall: at, counter, node: self.device },
            at,
            actor: self.session.user.id,
            branch: self.session.user.branch.as_ref().unwrap().id,
            body: EventBody::ClientCaptured {
                client: ClientId(uuid::Uuid::now_v7()),
                fields: fields.map(|(field, value)| (field, value.to_owned())).into(),
                consent: Consent { at, text_version: "1".into() },
            },
        })
        .unwrap();
        self.sent.push(ChainHead { seq: next.event.seq, hash: next.hash });
        let url = format!("{}/api/sync/push", ready["api"].as_str().unwrap());
        let body = format!(r#"{{"events":[{}],"device_ms":{at}}}"#, next.text);
        let request = as_device(reqwest::Client::new().post(&url), "POST", &url, &self.session);
        let request = request.header("content-type", "application/json").body(body);
        let pushed: Pushed = request.send().await.ok()?.json().await.ok()?;
        Some(ChainHead { seq: pushed.receipt.seq, hash: pushed.receipt.hash })
    }

    /// A server has what it gave a receipt for, and of what was sent nothing twice; where its chain ends.
    async fn look(&self, ready: &Json, receipted: ChainHead) -> ChainHead {
        let head: ChainHead = get(ready, &self.session, "/api/sync/head").await;
        assert!(head.seq >= receipted.seq, "{head:?} {receipted:?}");
        assert!(self.sent.contains(&head), "what is there is what was sent");
        let pulled: Pulled = get(ready, &self.session, "/api/sync/pull?limit=1000").await;
        let mine = u64::try_from(pulled.changes.len()).unwrap();
        assert!(mine >= head.seq && mine <= head.seq + 2, "each event once: {mine} {head:?}");
        head
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_receipted_survives_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (mut served, mut ready) = demo(dir.path(), "1");
    let mut device = Pushing::enrolled(&ready).await;
    let mut receipted = ChainHead::EMPTY;
    for round in 0..3 {
        // Killed while pushes follow each other without a pause.
        let id = served.0.id().to_string();
        let killer = std::thread::spawn(move || {
            std::thread::park_timeout(std::time::Duration::from_millis(60 + round * 45));
            Command::new("kill").args(["-KILL", &id]).status().unwrap()
        });
        while let Some(receipt) = device.push(&ready).await {
            receipted = receipt;
        }
        assert!(killer.join().unwrap().success());
        drop(served);
        (served, ready) = demo(dir.path(), "1");
        receipted = device.look(&ready, receipted).await;
        device.sent = vec![receipted];
    }
    assert!(receipted.seq > 3, "{receipted:?}");
}

/// Whatever a disk may lose that was not promised. `cargo xtask power` has it cut more often.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_receipted_survives_a_power_cut() {
    use std::time::{SystemTime, UNIX_EPOCH};
    use vereda_power::{Lost, Recording, record, recorded};

    let number =
        |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().expect(name));
    let (cuts, seed) = (number("VEREDA_POWER_CUTS", 12), number("VEREDA_POWER_SEED", 1));
    println!("{cuts} cuts, seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    // From its first start: keys and databases are made, too.
    let (root, before, log) =
        (dir.path().join("root"), dir.path().join("before"), dir.path().join("recording"));
    for folder in [&root, &before] {
        std::fs::create_dir(folder).unwrap();
    }
    let program = record(Path::new(env!("CARGO_BIN_EXE_vereda-server")), &log).unwrap();
    let (mut served, ready) = demo_by(program, &root.join("data"), "1");
    let token = system(&ready).await.access_token;
    let mut device = Pushing::enrolled(&ready).await;
    let features = json!({"amount": 800, "term_months": 60, "price": 846, "job": "freelance",
        "seniority_years": 9, "income": 129, "home": "rent", "expenses": 73, "assets": 0, "debt": 0,
        "records": false});
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (mut receipts, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let receipt = device.push(&ready).await.unwrap();
        receipts.push((now(), receipt));
        let url = format!("{}/api/predict", ready["api"].as_str().unwrap());
        let request = reqwest::Client::new().post(url).bearer_auth(&token);
        let answer = request.json(&json!({"features": features})).send().await.unwrap();
        let answer: Json = answer.error_for_status().unwrap().json().await.unwrap();
        scores.push((now(), answer));
    }
    // In order: its log of writes goes to its place before it ends.
    let process = recorded(served.0.id()).unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    served.0.wait().unwrap();
    let recording = Recording::read(&log, &root, &before).unwrap();

    let mut moments = recording.moments();
    moments.retain(|moment| recording.time(*moment) > receipts[0].0);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sum = Lost::default();
    for cut in 0..cuts {
        let moment = *random.choice(&moments).unwrap();
        let at = recording.time(moment);
        let folder = dir.path().join(format!("cut-{cut}"));
        let lost = recording.cut(moment, &mut random, &folder).unwrap();
        let (_, receipted) = receipts.iter().rfind(|(told, _)| *told < at).unwrap();
        println!("cut {cut} at {moment}, {receipted:?}: {lost:?}");
        sum.sectors += lost.sectors;
        sum.spared += lost.spared;
        sum.names += lost.names;
        let data = folder.join("data");
        let (served, ready) = demo(&data, "1");
        device.look(&ready, *receipted).await;
        for (_, score) in scores.iter().filter(|(told, _)| *told < at) {
            let url =
                format!("{}/api/history/{}", ready["api"].as_str().unwrap(), score["id"].as_str().unwrap());
            let kept = reqwest::Client::new().get(url).bearer_auth(&token).send().await.unwrap();
            let kept: Json = kept.error_for_status().unwrap().json().await.unwrap();
            assert_eq!(kept["probability"], score["probability"]);
        }
        drop(served);
        assert!(run(&data, &["audit", "verify"], "").status.success());
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!("of {} moments, {cuts} cuts: {sum:?}", moments.len());
    assert!(sum.sectors > 0 && sum.spared > 0, "no cut took anything: {sum:?}");
}

/// A backup that is taken while predictions are being stored: a server that is started on it holds
/// everything that was acknowledged before, knows the same sign-ins, and its tokens.
#[tokio::test]
async fn a_backup_taken_under_load_is_restored_whole() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (served, ready) = demo(&data, "2");
    let session = system(&ready).await;
    let (client, api) = (reqwest::Client::new(), ready["api"].as_str().unwrap().to_owned());
    let features = json!({"amount": 800, "term_months": 60, "price": 846, "job": "freelance",
        "seniority_years": 9, "income": 129, "home": "rent", "expenses": 73, "assets": 0, "debt": 0,
        "records": false});
    let predict = {
        let token = session.access_token.clone();
        async move |client_ref: String| -> String {
            let body = json!({"features": features, "client_ref": client_ref});
            let sent = client.post(format!("{api}/api/predict")).bearer_auth(&token).json(&body).send();
            let answer: Json = sent.await.unwrap().error_for_status().unwrap().json().await.unwrap();
            answer["id"].as_str().unwrap().to_owned()
        }
    };
    let mut before = Vec::new();
    for n in 0..20 {
        before.push(predict(format!("antes-{n}")).await);
    }
    let to = dir.path().join("copia");
    let mut backing = program(&data).args(["backup", "--to"]).arg(&to).spawn().unwrap();
    let mut during = 0;
    let status = loop {
        predict(format!("durante-{during}")).await;
        during += 1;
        if let Some(status) = backing.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success() && during > 0);
    let again = program(&data).args(["backup", "--to"]).arg(&to).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("make the backup"), "{said}");
    drop(served);
    // What came after the backup is lost with the folder; what came before is not.
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&to, &data).unwrap();

    let mut served = Served(program(&data).arg("serve").spawn().unwrap());
    let mut log = BufReader::new(served.0.stderr.take().unwrap());
    let api = loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
        let line: Json = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["api_addr"].as_str() {
            break format!("http://{address}");
        }
    };
    let client = reqwest::Client::new();
    for id in before {
        // The token of before: the keys were in the backup too.
        let get = client.get(format!("{api}/api/history/{id}")).bearer_auth(&session.access_token);
        assert_eq!(get.send().await.unwrap().status(), 200, "{id}");
    }
}
