//! Tokens of devices open nothing without the device's key (DPoP, RFC 9449): lines 10 and 11 of docs/CASES.md.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use reqwest::{Method, Response};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;
use vereda_domain::DeviceId;
use vereda_domain::api::{Device as Known, DeviceInfo, PROOF, PROOF_NONCE, ProblemCode, Session, TokenType};
use vereda_prover::Prover;

const HEAD: &str = "/api/sync/head";

/// A question with this token, and these proofs.
async fn ask(server: &Server, scheme: &str, token: &str, proofs: &[&str]) -> Response {
    let request = server.http.get(server.url(HEAD)).header("authorization", format!("{scheme} {token}"));
    proofs.iter().fold(request, |request, proof| request.header(PROOF, *proof)).send().await.unwrap()
}

async fn refused_as(response: Response, code: ProblemCode, challenge: &str) {
    let said = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    refused(response, 401, code).await;
    assert!(said.starts_with(challenge), "{said}");
}

#[tokio::test]
async fn a_stolen_token_opens_nothing_without_the_key() {
    let server = Server::with_model().await;
    let device = server.device("officer").await;
    let (token, url) = (&device.session.access_token, server.url(HEAD));
    assert_eq!(device.session.token_type, TokenType::DPoP);
    assert_eq!(device.caller.get(HEAD).await.status(), 200);
    // As it is, in a proof's place, and with the proof of another key.
    refused_as(
        ask(&server, "Bearer", token, &[]).await,
        ProblemCode::Unauthenticated,
        "DPoP error=\"invalid_token\"",
    )
    .await;
    refused_as(ask(&server, "DPoP", token, &[]).await, ProblemCode::InvalidDpopProof, "DPoP").await;
    let thief = Prover::new().unwrap();
    let proof = thief.proof("GET", &url, Some(token)).unwrap();
    refused(ask(&server, "DPoP", token, &[&proof]).await, 401, ProblemCode::Unauthenticated).await;
    refused(ask(&server, "Bearer", token, &[&proof]).await, 401, ProblemCode::Unauthenticated).await;
    // A token that needs no proof does not become one that has it.
    let manager = server.caller("manager").await;
    let token = manager.token.as_deref().unwrap();
    let proof = thief.proof("GET", &url, Some(token)).unwrap();
    refused(ask(&server, "DPoP", token, &[&proof]).await, 401, ProblemCode::Unauthenticated).await;

    // Nor does the refresh token: and whoever tries ends nothing for the device.
    let (url, body) =
        (server.url("/api/auth/refresh"), json!({"refresh_token": device.session.refresh_token}));
    let exchange = async |proof: Option<String>| {
        let request = server.http.post(&url).json(&body);
        let request = proof.into_iter().fold(request, |request, proof| request.header(PROOF, proof));
        request.send().await.unwrap()
    };
    refused_as(exchange(None).await, ProblemCode::Unauthenticated, "DPoP").await;
    let proof = thief.proof("POST", &url, None).unwrap();
    refused_as(exchange(Some(proof)).await, ProblemCode::Unauthenticated, "DPoP").await;
    let next: Session = server.refresh(&device.session.refresh_token).await.json().await.unwrap();
    assert!(is_bound(&next.access_token));

    // Nor can the device be enrolled again by somebody who knows the password alone.
    let info = DeviceInfo { id: device.id, name: "prueba".into(), platform: "linux".into() };
    let (url, body) = (
        server.url("/api/auth/sign-in"),
        json!({"username": "officer", "password": PASSWORD, "device": info}),
    );
    let proof = thief.proof("POST", &url, None).unwrap();
    let again = server.http.post(&url).header(PROOF, proof).json(&body).send().await.unwrap();
    refused(again, 409, ProblemCode::Conflict).await;

    // Whoever watches sees it: a token with the proof of another key, a refresh token twice without the right one;
    // and a token without any, as behind a proxy that drops the header.
    let counted = async |reason: &str| {
        server.counted(&format!(r#"vereda_proofs_refused_total{{reason="{reason}"}}"#)).await
    };
    assert_eq!((counted("other_key").await, counted("wrong").await), (3, 1));
}

#[tokio::test]
async fn a_new_device_has_a_key_and_it_may_be_of_a_phones_hardware() {
    let server = Server::with_model().await;
    let info = DeviceInfo { id: DeviceId(Uuid::now_v7()), name: "prueba".into(), platform: "ios".into() };
    let (url, body) = (
        server.url("/api/auth/sign-in"),
        json!({"username": "officer", "password": PASSWORD, "device": info}),
    );
    let without = server.http.post(&url).json(&body).send().await.unwrap();
    refused_as(without, ProblemCode::InvalidDpopProof, "DPoP").await;
    let hardware = Prover::p256().unwrap();
    let proof = hardware.proof("POST", &url, None).unwrap();
    let session = server.http.post(&url).header(PROOF, proof).json(&body).send().await.unwrap();
    let session: Session = session.json().await.unwrap();
    let proof = hardware.proof("GET", &server.url(HEAD), Some(&session.access_token)).unwrap();
    assert_eq!(ask(&server, "DPoP", &session.access_token, &[&proof]).await.status(), 200);
}

#[tokio::test]
async fn a_proof_is_of_one_request_and_holds_once() {
    let server = Server::with_model().await;
    let device = server.device("officer").await;
    let (token, url) = (device.session.access_token.as_str(), server.url(HEAD));
    let (prover, header) = (&server.prover, server.prover.header().unwrap());
    let proof = prover.proof("GET", &url, Some(token)).unwrap();
    assert_eq!(ask(&server, "DPoP", token, &[&proof]).await.status(), 200);
    // Again, on whichever replica.
    for _ in 0..2 {
        let again = ask(&server, "DPoP", token, &[&proof]).await;
        refused_as(again, ProblemCode::InvalidDpopProof, "DPoP error=\"invalid_dpop_proof\"").await;
    }
    assert_eq!(server.counted(r#"vereda_proofs_refused_total{reason="replayed"}"#).await, 2);
    let (one, two) =
        (prover.proof("GET", &url, Some(token)).unwrap(), prover.proof("GET", &url, Some(token)).unwrap());
    refused(ask(&server, "DPoP", token, &[&one, &two]).await, 401, ProblemCode::InvalidDpopProof).await;

    let claims = |change: fn(&mut Json)| {
        let mut claims = Prover::claims("GET", &url, Some(token)).unwrap();
        change(&mut claims);
        prover.sign(&header, &claims).unwrap()
    };
    let gone = |claims: &mut Json, name: &str| drop(claims.as_object_mut().unwrap().remove(name));
    let mut wrong = vec![
        prover.proof("POST", &url, Some(token)).unwrap(),
        prover.proof("GET", &server.url("/api/sync/pull"), Some(token)).unwrap(),
        prover.proof("GET", &format!("http://other.example.org{HEAD}"), Some(token)).unwrap(),
        prover.proof("GET", &url, Some("another")).unwrap(),
        prover.proof("GET", &url, None).unwrap(),
        claims(|claims| claims["jti"] = "".into()),
        claims(|claims| claims["jti"] = "x".repeat(1000).into()),
        claims(|claims| claims["iat"] = "1".into()),
        "x".repeat(5000),
        "x.y.z".into(),
        token.to_owned(),
    ];
    for name in ["jti", "htm", "htu", "iat"] {
        let mut claims = Prover::claims("GET", &url, Some(token)).unwrap();
        gone(&mut claims, name);
        wrong.push(prover.sign(&header, &claims).unwrap());
    }
    let good = Prover::claims("GET", &url, Some(token)).unwrap();
    let mut other = header.clone();
    other.typ = Some("JWT".into());
    wrong.push(prover.sign(&other, &good).unwrap());
    let mut other = header.clone();
    other.jwk = None;
    wrong.push(prover.sign(&other, &good).unwrap());
    // The key of the device, and the signature of another.
    wrong.push(Prover::new().unwrap().sign(&header, &good).unwrap());
    let counted = async || server.counted(r#"vereda_proofs_refused_total{reason="wrong"}"#).await;
    let before = counted().await;
    for proof in &wrong {
        let answer = ask(&server, "DPoP", token, &[proof]).await;
        refused_as(answer, ProblemCode::InvalidDpopProof, "DPoP error=\"invalid_dpop_proof\"").await;
    }
    assert_eq!(counted().await - before, wrong.len() as u64);
    assert_eq!(device.caller.get(HEAD).await.status(), 200);
}

#[tokio::test]
async fn a_device_whose_clock_is_wrong_is_told_a_nonce() {
    let server = Server::with_model().await;
    let device = server.device("officer").await;
    let (token, url) = (device.session.access_token.as_str(), server.url(HEAD));
    let prover = &server.prover;
    let at = |iat: i64, nonce: Option<&str>| {
        let mut claims = Prover::claims_at(iat, "GET", &url, Some(token));
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        prover.sign(&prover.header().unwrap(), &claims).unwrap()
    };
    let now = vereda_server::clock::now_ms() / 1000;
    for wrong in [0, now - 3 * 24 * 3600, now - 100, now + 100, now + 400 * 24 * 3600] {
        let challenge = ask(&server, "DPoP", token, &[&at(wrong, None)]).await;
        let nonce = challenge.headers()[PROOF_NONCE].to_str().unwrap().to_owned();
        refused_as(challenge, ProblemCode::UseDpopNonce, "DPoP error=\"use_dpop_nonce\"").await;
        // As long as it holds, for any number of requests.
        for _ in 0..2 {
            assert_eq!(ask(&server, "DPoP", token, &[&at(wrong, Some(&nonce))]).await.status(), 200);
        }
        let proof = at(wrong, Some(&nonce));
        assert_eq!(ask(&server, "DPoP", token, &[&proof]).await.status(), 200);
        refused(ask(&server, "DPoP", token, &[&proof]).await, 401, ProblemCode::InvalidDpopProof).await;
        // One that the server has not made says nothing, even with the right time.
        let mut forged = nonce.into_bytes();
        forged[12] = if forged[12] == b'A' { b'B' } else { b'A' };
        for forged in [std::str::from_utf8(&forged).unwrap(), "", "x"] {
            let answer = ask(&server, "DPoP", token, &[&at(now, Some(forged))]).await;
            refused_as(answer, ProblemCode::UseDpopNonce, "DPoP").await;
        }
    }
    for right in [now - 30, now, now + 30] {
        assert_eq!(ask(&server, "DPoP", token, &[&at(right, None)]).await.status(), 200);
    }
}

#[tokio::test]
async fn a_ticket_says_whether_anything_is_new_and_nothing_else() {
    let server = Server::with_model().await;
    let device = server.device("officer").await;
    let ticket = device.session.ticket.clone().unwrap();
    let ask = async |path: &str, ticket: &str| {
        let request = server.http.get(server.url(path)).header("authorization", format!("Ticket {ticket}"));
        request.send().await.unwrap()
    };
    assert_eq!(ask("/api/sync/status", &ticket).await.status(), 200);
    for path in [HEAD, "/api/sync/pull", "/api/devices", "/api/history"] {
        refused(ask(path, &ticket).await, 401, ProblemCode::Unauthenticated).await;
    }
    for place in [0, 17, 30, 40] {
        let mut forged = ticket.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        refused(ask("/api/sync/status", &forged).await, 401, ProblemCode::Unauthenticated).await;
    }
    // Nobody without a device has one.
    assert_eq!(server.session("officer", None).await.ticket, None);
    // Whoever may not sync any more is told so.
    let admin = server.caller("admin").await;
    let path = format!("/api/devices/{}/revoke", device.id);
    assert!(admin.request(Method::POST, &path).send().await.unwrap().status().is_success());
    refused(ask("/api/sync/status", &ticket).await, 401, ProblemCode::DeviceRevoked).await;
}

/// A device with nothing to say shows its ticket and nothing else for a day: that it is there is known all the same.
#[tokio::test]
async fn a_device_that_only_asks_is_heard_of_and_asks_whole_once_a_day() {
    let later = Arc::new(AtomicI64::new(0));
    let server = Server::start().await;
    let device = server.device("officer").await;
    let ticket = device.session.ticket.clone().unwrap();
    let ask = async || {
        let request = server.http.get(server.url("/api/sync/status"));
        request.header("authorization", format!("Ticket {ticket}")).send().await.unwrap()
    };
    let seen = async || {
        let admin = server.caller("admin").await;
        let devices: Vec<Known> = admin.get("/api/devices").await.json().await.unwrap();
        devices.into_iter().find(|found| found.id == device.id).unwrap().seen_at
    };
    let enrolled = seen().await;
    // The server's tasks run on this thread.
    let clock = later.clone();
    let now = move || enrolled + clock.load(Ordering::SeqCst);
    vereda_server::clock::simulated::set(Arc::new(now));
    later.store(minutes(2), Ordering::SeqCst);
    assert_eq!(ask().await.status(), 200);
    assert_eq!(seen().await, enrolled, "not noted each time");
    later.store(minutes(23 * 60), Ordering::SeqCst);
    assert_eq!(ask().await.status(), 200);
    assert_eq!(seen().await, enrolled + minutes(23 * 60));
    later.store(minutes(25 * 60), Ordering::SeqCst);
    refused(ask().await, 401, ProblemCode::Unauthenticated).await;
}
