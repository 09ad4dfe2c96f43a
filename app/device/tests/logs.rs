//! What is logged, on the device and at the server, holds nothing about anybody and opens nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Device, SCORECARD, Server, answers, code, enrol, now};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::event::{OverrideCode, OverrideReason};
use vereda_domain::gateway::*;
use vereda_domain::{Decision, DeviceId};
use vereda_prover::Prover;

const NAME: &str = "Zoraida Quiñonez Plantada";
const DOCUMENT: &str = "7788990011";
const PHONE: &str = "399 7766554";
const PLACE: &str = "Vereda Rincón Plantado";
const NEW_PHONE: &str = "388 1122334";
const SEARCHED: &str = "Buscada Plantada";
const LATITUDE: f64 = 4.776_655_1;
const REASON: &str = "su cuñado plantado responde";
const WRONG_PASSWORD: &str = "clave plantada equivocada";
const WRONG_PIN: &str = "918273";
const TOLD_BY_A_STRANGER: &str = "Extraña Plantada";
const QUARANTINED: &str = "Apartada Plantada";

/// All that this process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A way to the server that remembers what it carried, and can answer in the server's place.
#[derive(Clone)]
struct Wire {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    stranger: Arc<Mutex<Option<String>>>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Wire { address, seen: Arc::default(), stranger: Arc::default() };
        let this = wire.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().carry(stream, server));
            }
        });
        wire
    }

    async fn carry(self, mut near: TcpStream, server: SocketAddr) {
        let answer = self.stranger.lock().unwrap().clone();
        if let Some(answer) = answer {
            let _ = near.read(&mut [0; 65536]).await;
            let _ = near.write_all(answer.as_bytes()).await;
            return;
        }
        let Ok(far) = TcpStream::connect(server).await else { return };
        let ((mut nr, mut nw), (mut fr, mut fw)) = (near.into_split(), far.into_split());
        let seen = self.seen.clone();
        tokio::spawn(async move { tokio::io::copy(&mut fr, &mut nw).await });
        let mut buffer = vec![0; 65536];
        while let Ok(length) = nr.read(&mut buffer).await {
            // A connection from before the stranger came is cut.
            if length == 0 || self.stranger.lock().unwrap().is_some() {
                return;
            }
            seen.lock().unwrap().extend_from_slice(&buffer[..length]);
            if fw.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, answer: Option<(&str, String)>) {
        *self.stranger.lock().unwrap() = answer.map(|(status, body)| {
            format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        });
    }

    /// Every token that went over it.
    fn tokens(&self) -> BTreeSet<String> {
        let seen = self.seen.lock().unwrap();
        let text = String::from_utf8_lossy(&seen);
        let after = |mark: &str, end: char| -> Vec<String> {
            text.split(mark).skip(1).filter_map(|rest| rest.split(end).next().map(str::to_owned)).collect()
        };
        let access = after("authorization: DPoP ", '\r');
        let refresh = after("\"refresh_token\":\"", '"');
        assert!(!access.is_empty() && !refresh.is_empty(), "no tokens went over the wire");
        access.into_iter().chain(refresh).collect()
    }
}

/// Events that a server puts aside, told by a device of another officer.
async fn quarantine(server: &Server) {
    let http = reqwest::Client::new();
    let device = DeviceId(Uuid::now_v7());
    let body = json!({
        "username": "luis", "password": common::PASSWORD,
        "device": {"id": device, "name": "otro", "platform": "linux"},
    });
    let url = format!("{}/api/auth/sign-in", server.url());
    let prover = Prover::new().unwrap();
    let shown = prover.headers("POST", &url, None).unwrap();
    let request = http.post(url).headers(shown).json(&body);
    let session: Json = request.send().await.unwrap().json().await.unwrap();
    let token = session["access_token"].as_str().unwrap();
    let bodies = [
        json!({"type": "client_praised", "client": Uuid::now_v7(), "name": QUARANTINED}),
        json!({"type": "client_captured", "client": Uuid::now_v7(), "fields": {"name": QUARANTINED}, "consent": 7}),
        json!({"type": "client_captured", "client": QUARANTINED, "fields": {}, "consent": 7}),
    ];
    let mut prev = vereda_domain::event::Hash::ZERO;
    for (n, body) in bodies.into_iter().enumerate() {
        let event = json!({
            "device": device, "seq": n + 1, "prev": prev,
            "hlc": vereda_domain::hlc::Clock::new(device).tick(now() + n as i64), "at": now(),
            "actor": session["user"]["id"], "branch": server.branch, "body": body,
        });
        let text = serde_json::to_string(&event).unwrap();
        prev = vereda_domain::event::Hash::of(text.as_bytes());
        let push = format!(r#"{{"events":[{text}],"device_ms":{}}}"#, now());
        let url = format!("{}/api/sync/push", server.url());
        let answer: Json = http
            .post(&url)
            .headers(prover.headers("POST", &url, Some(token)).unwrap())
            .header("content-type", "application/json")
            .body(push)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(answer["results"][0]["outcome"], "quarantined", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_a_name_a_number_a_token_or_a_pin() {
    let log = Log::default();
    let sink = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        // A time's digits may be anybody's number.
        .without_time()
        .with_writer(move || sink.clone())
        .init();

    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let wire = Wire::to(server.url().trim_start_matches("http://").parse().unwrap()).await;
    let url = format!("http://{}", wire.address);

    // The first start, with what people get wrong.
    let mut device = Device::new();
    let app = &device.app;
    let wrong = EnrolRequest { password: WRONG_PASSWORD.into(), ..enrol(&url, "ana") };
    assert_eq!(code(app.enrol(wrong).await), ErrorCode::WrongCredentials);
    app.enrol(enrol(&url, "ana")).await.unwrap();
    device.synced().await;

    // A day's work.
    let fields = [
        (ClientField::Name, NAME.to_owned()),
        (ClientField::Document, DOCUMENT.to_owned()),
        (ClientField::Phone, PHONE.to_owned()),
        (ClientField::Place, PLACE.to_owned()),
    ];
    let consent = Consent { at: now(), text_version: CONSENT_TEXT_VERSION.into() };
    let app = &device.app;
    let created = app.create_client(CreateClientRequest { fields: fields.into(), consent }).await.unwrap();
    let client = created.row.id;
    let edit = [(ClientField::Phone, NEW_PHONE.to_owned())].into();
    app.edit_client(EditClientRequest { client, fields: edit }).await.unwrap();
    for query in [NAME, SEARCHED] {
        let request = PortfolioRequest { query: query.into(), limit: 10, ..PortfolioRequest::default() };
        app.portfolio(request).await.unwrap();
    }
    let what = NewAttachment::Position { latitude: LATITUDE, longitude: -74.0, accuracy_m: 9.0 };
    device.app.attach(AttachRequest { client, what }).await.unwrap();
    let view = device.assess(client).await;
    let decision = if view.suggested == Decision::Approve { Decision::Refuse } else { Decision::Approve };
    let reason = OverrideReason { code: OverrideCode::Policy, words: REASON.into() };
    let assessment = view.assessment.id;
    let request = DecideRequest { assessment, decision, override_reason: Some(reason) };
    device.app.decide(request).await.unwrap();
    device.synced().await;
    let settings = device.app.status().await.unwrap().settings;
    device.app.set_settings(Settings { text_percent: 150, ..settings }).await.unwrap();

    // Syncs that fail in every way, also by words of somebody else's.
    let client_of_a_stranger = json!({"changes": [{"type": "state", "record": {"kind": "client", "id": TOLD_BY_A_STRANGER, "name": TOLD_BY_A_STRANGER}}], "cursor": TOLD_BY_A_STRANGER, "more": false});
    let problem = json!({
        "type": "about:blank", "title": TOLD_BY_A_STRANGER, "status": 500, "detail": TOLD_BY_A_STRANGER,
        "code": "internal", "request_id": "1", "fields": [],
    });
    for answer in [
        ("200 OK", format!("<html>{TOLD_BY_A_STRANGER}</html>")),
        ("200 OK", client_of_a_stranger.to_string()),
        ("500 Internal Server Error", problem.to_string()),
        ("418 I'm a teapot", TOLD_BY_A_STRANGER.to_owned()),
    ] {
        wire.answer(Some(answer));
        device.new_client(NAME, DOCUMENT).await;
        let view = device.app.sync_now().await.unwrap();
        assert!(view.last_error.is_some(), "{view:#?}");
    }
    wire.answer(None);
    server.stop().await;
    device.app.sync_now().await.unwrap();
    server.start_again().await;
    quarantine(&server).await;

    // Another day: a wrong PIN, and a session that is renewed.
    device.restart().await;
    let user = device.app.status().await.unwrap().user.unwrap().id;
    let wrong = UnlockRequest { user, pin: WRONG_PIN.into() };
    assert_eq!(code(device.app.unlock(wrong).await), ErrorCode::WrongPin);
    device.unlock().await;
    device.synced().await;
    let shared = device.app.sync_log().await.unwrap();
    assert!(shared.contains("sent="), "{shared}");
    server.stop().await;

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for part in ["vereda_device", "vereda_server", "DEBUG"] {
        assert!(logged.contains(part), "nothing of {part} was logged");
    }
    let mut planted: BTreeSet<String> = wire.tokens();
    let values = [
        NAME,
        DOCUMENT,
        PHONE,
        PLACE,
        NEW_PHONE,
        SEARCHED,
        REASON,
        WRONG_PASSWORD,
        WRONG_PIN,
        TOLD_BY_A_STRANGER,
        QUARANTINED,
        common::PASSWORD,
        common::PIN,
        // As they are stored and compared, and by their parts.
        "zoraida",
        "Zoraida",
        "quinonez",
        "Quiñonez",
        "3997766554",
        "3881122334",
        "ANA de Prueba",
        "47766551",
        "4.7766551",
        "LUIS de Prueba",
    ];
    planted.extend(values.map(str::to_owned));
    for (source, text) in [("the log", &logged), ("the log to be shared", &shared)] {
        for line in text.lines() {
            for value in &planted {
                assert!(!line.contains(value.as_str()), "{value:?} in {source}: {line}");
            }
            for (field, value) in answers() {
                assert!(
                    !line.contains(&format!("{field}={}", serde_json::to_string(&value).unwrap())),
                    "{field} in {source}: {line}"
                );
            }
        }
    }
    println!("{} lines, {} planted values", logged.lines().count() + shared.lines().count(), planted.len());
}
