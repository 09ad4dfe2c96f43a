//! Sign-in, tokens and sessions, under attack.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Caller, PASSWORD, Server, problem, refused};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};
use uuid::Uuid;
use vereda_domain::DeviceId;
use vereda_domain::api::{ProblemCode, Role, Session};
use vereda_server::clock::now_ms;
use vereda_server::identity::keys;

#[tokio::test]
async fn a_session_says_who_where_and_with_whom() {
    let server = Server::start().await;
    let session = server.session("Officer ", None).await;
    let officer = &server.users["officer"];
    assert_eq!((session.user.id, &session.user.name), (officer.id, &officer.name));
    assert_eq!((&session.user.username, session.user.role), (&officer.username, officer.role));
    assert_eq!(session.user.branch, Some(server.north.clone()));
    assert_eq!(session.expires_in_s, 600);
    let mut names: Vec<_> = session.colleagues.iter().map(|c| (c.name.as_str(), c.role)).collect();
    names.sort_by_key(|(name, _)| *name);
    assert_eq!(
        names,
        [
            ("Persona manager", Role::Manager),
            ("Persona officer", Role::Officer),
            ("Persona officer2", Role::Officer)
        ]
    );
    assert!(server.session("analyst", None).await.colleagues.is_empty());
    assert!(!format!("{session:?}").contains(&session.refresh_token));
}

/// The signing key and the parts of a good token, to make bad ones with.
struct Forge {
    key: EncodingKey,
    header: Header,
    claims: Json,
    public: Vec<u8>,
}

impl Forge {
    async fn new(server: &Server) -> Forge {
        let token = server.session("officer", None).await.access_token;
        let part = |n: usize| URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap();
        let folder = server.config.data_dir.join("keys");
        let key = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let key = key.into_iter().find(|p| p.extension().unwrap() == "ed25519").unwrap();
        let jwks: Json = server.anonymous().get("/.well-known/jwks.json").await.json().await.unwrap();
        Forge {
            key: EncodingKey::from_ed_der(&std::fs::read(key).unwrap()),
            header: serde_json::from_slice(&part(0)).unwrap(),
            claims: serde_json::from_slice(&part(1)).unwrap(),
            public: URL_SAFE_NO_PAD.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap(),
        }
    }

    fn sign(&self, claims: &Json) -> String {
        jsonwebtoken::encode(&self.header, claims, &self.key).unwrap()
    }

    fn with(&self, name: &str, value: Json) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.sign(&claims)
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.sign(&claims)
    }
}

async fn calls_with(server: &Server, token: &str) -> StatusCode {
    let url = server.url("/api/models");
    let response = server.http.get(url).bearer_auth(token).send().await.unwrap();
    let status = response.status();
    if status != 200 {
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(problem(response).await.code, ProblemCode::Unauthenticated);
    }
    status
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let server = Server::start().await;
    let forge = Forge::new(&server).await;
    let now = now_ms() / 1000;
    assert_eq!(calls_with(&server, &forge.sign(&forge.claims)).await, 200, "the forge itself works");

    let mut forged: Vec<(&str, String)> = Vec::new();
    let encode = |json: &Json| URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).unwrap());
    let unsigned = format!("{}.{}.", encode(&json!({"alg":"none","typ":"at+jwt"})), encode(&forge.claims));
    forged.push(("alg none", unsigned));
    let mut header = forge.header.clone();
    header.alg = Algorithm::HS256;
    let public = EncodingKey::from_secret(&forge.public);
    forged
        .push(("HS256 with the public key", jsonwebtoken::encode(&header, &forge.claims, &public).unwrap()));
    for kid in ["../../etc/passwd", "' OR 1=1 --", "", "0"] {
        let mut header = forge.header.clone();
        header.kid = Some(kid.into());
        forged.push(("kid", jsonwebtoken::encode(&header, &forge.claims, &forge.key).unwrap()));
    }
    let mut own_key =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    own_key.extend([7; 32]);
    let own_key = EncodingKey::from_ed_der(&own_key);
    for (jku, jwk) in [(true, false), (false, true), (true, true)] {
        let mut header = forge.header.clone();
        if jku {
            header.jku = Some(format!("{}/.well-known/jwks.json", server.running.api_url()));
            header.x5u = Some("http://127.0.0.1:1/x.pem".into());
        }
        if jwk {
            header.jwk = Some(jsonwebtoken::jwk::Jwk::from_encoding_key(&own_key, Algorithm::EdDSA).unwrap());
        }
        forged
            .push(("a key of the caller's", jsonwebtoken::encode(&header, &forge.claims, &own_key).unwrap()));
    }
    let mut header = forge.header.clone();
    header.typ = Some("JWT".into());
    forged.push(("another type", jsonwebtoken::encode(&header, &forge.claims, &forge.key).unwrap()));
    forged.push(("expired", forge.with("exp", json!(now - 60))));
    forged.push(("not yet", forge.with("nbf", json!(now + 300))));
    forged.push(("exp as a string", forge.with("exp", json!((now + 300).to_string()))));
    forged.push(("nbf as a string", forge.with("nbf", json!(now.to_string()))));
    forged.push(("nbf as a negative number", forge.with("nbf", json!(-1))));
    forged.push(("for a year", forge.with("exp", json!(now + 365 * 86_400))));
    forged.push(("another aud", forge.with("aud", json!("another-api"))));
    forged.push(("another iss", forge.with("iss", json!("https://elsewhere"))));
    forged.push(("a role that it has not", forge.with("role", json!("analyst"))));
    forged.push(("a branch that it has not", forge.with("branch", json!(server.south.id))));
    forged.push(("nobody", forge.with("sub", json!(Uuid::now_v7()))));
    for claim in ["iss", "aud", "sub", "role", "jti", "nbf", "exp", "iat"] {
        forged.push((claim, forge.without(claim)));
    }
    let good = forge.sign(&forge.claims);
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let mut bits = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bits[0] ^= 1;
    forged.push(("a flipped bit", format!("{rest}.{}", URL_SAFE_NO_PAD.encode(bits))));
    forged.push(("nothing", String::new()));
    forged.push(("noise", "a.b.c.d".into()));
    let refresh = server.session("officer", None).await.refresh_token;
    forged.push(("a refresh token", refresh));
    for (what, token) in forged {
        assert_eq!(calls_with(&server, &token).await, 401, "{what}");
    }
}

#[tokio::test]
async fn the_public_keys_hold_nothing_private() {
    let server = Server::start().await;
    let jwks: Json = server.anonymous().get("/.well-known/jwks.json").await.json().await.unwrap();
    let key = jwks["keys"][0].as_object().unwrap();
    assert_eq!(key["kty"], "OKP");
    assert_eq!(key["crv"], "Ed25519");
    assert_eq!(key["use"], "sig");
    assert!(key.contains_key("kid") && !key.contains_key("d"), "{key:?}");
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_once_and_its_reuse_ends_the_family() {
    let server = Server::with(|config| config.tokens.refresh_grace_s = 0).await;
    let device = DeviceId(Uuid::now_v7());
    let first = server.session("officer", Some(device)).await;
    let other = server.session("officer", Some(DeviceId(Uuid::now_v7()))).await;
    let second: Session = server.refresh(&first.refresh_token).await.json().await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_eq!(second.user, first.user);
    let third: Session = server.refresh(&second.refresh_token).await.json().await.unwrap();
    // Somebody else has the first one.
    refused(server.refresh(&first.refresh_token).await, 401, ProblemCode::SessionRevoked).await;
    refused(server.refresh(&third.refresh_token).await, 401, ProblemCode::SessionRevoked).await;
    assert_eq!(server.refresh(&other.refresh_token).await.status(), 200, "another session is not touched");
    assert!(server.metrics().await.contains("vereda_refresh_reuse_total 1"));
}

#[tokio::test]
async fn a_device_that_lost_the_answer_gets_the_same_one_again() {
    let server = Server::start().await;
    let first = server.session("officer", Some(DeviceId(Uuid::now_v7()))).await;
    let lost: Session = server.refresh(&first.refresh_token).await.json().await.unwrap();
    let again: Session = server.refresh(&first.refresh_token).await.json().await.unwrap();
    assert_eq!(lost.refresh_token, again.refresh_token);
    let next: Session = server.refresh(&again.refresh_token).await.json().await.unwrap();
    assert_ne!(next.refresh_token, again.refresh_token);
    // The successor was used since: now it is theft, grace time or not.
    refused(server.refresh(&first.refresh_token).await, 401, ProblemCode::SessionRevoked).await;
    refused(server.refresh(&next.refresh_token).await, 401, ProblemCode::SessionRevoked).await;
}

#[tokio::test]
async fn keys_are_changed_while_the_server_runs_and_old_tokens_go_on() {
    let server = Server::start().await;
    let first = server.caller("officer").await;
    let kid = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Json>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let known = async || {
        let keys: Json = server.anonymous().get("/.well-known/jwks.json").await.json().await.unwrap();
        let keys = keys["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let old = kid(first.token.as_ref().unwrap());
    assert_eq!(known().await, std::slice::from_ref(&old));
    // One that will sign is known before it does; one that cannot be read changes nothing.
    let folder = server.config.data_dir.clone();
    keys::rotate(&folder, now_ms() + common::minutes(15)).unwrap();
    let give_up = Instant::now() + Duration::from_secs(60);
    let wait = async || {
        assert!(Instant::now() < give_up, "the keys were not taken up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    while known().await.len() < 2 {
        wait().await;
    }
    assert_eq!(kid(&server.caller("officer").await.token.unwrap()), old);
    keys::rotate(&folder, now_ms()).unwrap();
    while kid(&server.session("manager", None).await.access_token) == old {
        wait().await;
    }
    assert_eq!(known().await.len(), 3);
    assert_eq!(first.get("/api/models").await.status(), 200, "what the old key signed holds");
}

#[tokio::test]
async fn two_refreshes_at_once_give_one_successor() {
    let server = Server::start().await;
    let first = server.session("officer", None).await;
    let (a, b) = tokio::join!(server.refresh(&first.refresh_token), server.refresh(&first.refresh_token));
    let (a, b): (Session, Session) = (a.json().await.unwrap(), b.json().await.unwrap());
    assert_eq!(a.refresh_token, b.refresh_token);
}

#[tokio::test]
async fn unknown_and_ended_refresh_tokens_are_refused() {
    let server = Server::start().await;
    let session = server.session("officer", None).await;
    refused(server.refresh("").await, 401, ProblemCode::Unauthenticated).await;
    refused(server.refresh(&session.access_token).await, 401, ProblemCode::Unauthenticated).await;
    let body = json!({ "refresh_token": session.refresh_token });
    let anonymous = server.anonymous();
    assert_eq!(anonymous.post("/api/auth/sign-out", &body).await.status(), 204);
    assert_eq!(anonymous.post("/api/auth/sign-out", &body).await.status(), 204);
    refused(server.refresh(&session.refresh_token).await, 401, ProblemCode::SessionRevoked).await;
}

#[tokio::test]
async fn guessing_takes_longer_and_longer() {
    let server = Server::with(|config| {
        config.sign_in.free_attempts = 2;
        config.sign_in.first_delay_s = 1;
    })
    .await;
    let wrong = async |name: &str| server.sign_in(name, "no es esta clave", None).await;
    for _ in 0..3 {
        refused(wrong("officer").await, 401, ProblemCode::WrongCredentials).await;
    }
    let response = wrong("officer").await;
    let header = response.headers()["retry-after"].to_str().unwrap().to_owned();
    let refusal = refused(response, 429, ProblemCode::TooManyRequests).await;
    assert_eq!(refusal.retry_after_s, Some(1));
    assert_eq!(header, "1");
    // Not even the right one, or the delay would be no delay; and not under a forged address.
    refused(server.sign_in("officer", PASSWORD, None).await, 429, ProblemCode::TooManyRequests).await;
    let body = json!({"username": "officer", "password": PASSWORD});
    let request = server.http.post(server.url("/api/auth/sign-in")).json(&body);
    let forged = request.header("x-forwarded-for", "203.0.113.9").send().await.unwrap();
    refused(forged, 429, ProblemCode::TooManyRequests).await;
    // Others are served meanwhile, and so is this one when the time is over.
    assert_eq!(server.sign_in("manager", PASSWORD, None).await.status(), 200);
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        let response = server.sign_in("officer", PASSWORD, None).await;
        if response.status() == 200 {
            break;
        }
        assert!(Instant::now() < give_up, "still refused");
    }
    let metrics = server.metrics().await;
    assert!(metrics.contains(r#"vereda_sign_in_failures_total{reason="wrong_credentials"} 3"#), "{metrics}");
}

#[tokio::test]
async fn behind_a_proxy_its_word_counts_and_not_the_callers() {
    let server = Server::with(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.sign_in.free_attempts = 0;
        config.sign_in.first_delay_s = 600;
    })
    .await;
    let attempt = async |forwarded: &str, password: &str| {
        let body = json!({"username": "officer", "password": password});
        let request = server.http.post(server.url("/api/auth/sign-in")).json(&body);
        request.header("x-forwarded-for", forwarded).send().await.unwrap().status()
    };
    assert_eq!(attempt("198.51.100.7", "no es esta clave").await, 401);
    assert_eq!(attempt("198.51.100.7", PASSWORD).await, 429);
    assert_eq!(
        attempt("203.0.113.9, 198.51.100.7", PASSWORD).await,
        429,
        "the first is the caller's invention"
    );
    assert_eq!(attempt("198.51.100.8", PASSWORD).await, 200);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_answered_like_one_that_does() {
    let server = Server::with(|config| {
        config.sign_in.free_attempts = 1000;
        config.sign_in.free_attempts_per_address = 1000;
    })
    .await;
    let mut times = [Vec::new(), Vec::new()];
    let mut answers = Vec::new();
    for _ in 0..7 {
        for (name, times) in ["officer", "nobody-at-all"].into_iter().zip(&mut times) {
            let started = Instant::now();
            let response = server.sign_in(name, "no es esta clave", None).await;
            times.push(started.elapsed());
            let mut refusal = refused(response, 401, ProblemCode::WrongCredentials).await;
            refusal.request_id.clear();
            answers.push(refusal);
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    // Without the hash an unknown name would be answered in a twentieth of the time.
    assert!(unknown > known * 0.4, "{known} {unknown}");
}

#[tokio::test]
async fn a_disabled_user_gets_in_nowhere() {
    let server = Server::start().await;
    let session = server.session("officer", Some(DeviceId(Uuid::now_v7()))).await;
    let caller = server.caller("officer").await;
    let elsewhere = server.session("officer", None).await;
    server.running.people().disable_user("officer").await.unwrap();
    refused(server.refresh(&elsewhere.refresh_token).await, 401, ProblemCode::UserDisabled).await;
    // An enrolled device gets a token, to deliver what it captured; it opens nothing else.
    let escrow: Session = server.refresh(&session.refresh_token).await.json().await.unwrap();
    let escrow = Caller { server: &server, token: Some(escrow.access_token) };
    assert_eq!(escrow.get("/api/sync/head").await.status(), 200);
    for path in ["/api/sync/pull", "/api/history", "/api/models/current"] {
        refused(escrow.get(path).await, 401, ProblemCode::UserDisabled).await;
    }
    refused(server.sign_in("officer", PASSWORD, None).await, 401, ProblemCode::UserDisabled).await;
    refused(server.sign_in("officer", "no es esta clave", None).await, 401, ProblemCode::WrongCredentials)
        .await;
    refused(caller.get("/api/history").await, 401, ProblemCode::UserDisabled).await;
    let manager = server.session("manager", None).await;
    assert!(!manager.colleagues.iter().any(|c| c.id == session.user.id));
}

#[tokio::test]
async fn a_device_belongs_to_one_user() {
    let server = Server::start().await;
    let device = DeviceId(Uuid::now_v7());
    server.session("officer", Some(device)).await;
    server.session("officer", Some(device)).await;
    refused(server.sign_in("officer2", PASSWORD, Some(device)).await, 409, ProblemCode::Conflict).await;
    let body = json!({"username": "officer", "password": PASSWORD,
        "device": {"id": Uuid::now_v7(), "name": "x", "platform": "toaster"}});
    let refusal =
        refused(server.anonymous().post("/api/auth/sign-in", &body).await, 422, ProblemCode::InvalidInput)
            .await;
    assert_eq!(refusal.fields[0].field, "device.platform");
}

#[tokio::test]
async fn tokens_hold_across_a_restart() {
    let server = Server::start().await;
    let session = server.session("officer", None).await;
    let config = server.config.clone();
    server.running.shutdown().await;
    let running = vereda_server::start(config).await.unwrap();
    let url = format!("{}/api/models", running.api_url());
    let client = reqwest::Client::new();
    assert_eq!(client.get(url).bearer_auth(&session.access_token).send().await.unwrap().status(), 200);
    let url = format!("{}/api/auth/refresh", running.api_url());
    let body = json!({ "refresh_token": session.refresh_token });
    assert_eq!(client.post(url).json(&body).send().await.unwrap().status(), 200);
    running.shutdown().await;
}
