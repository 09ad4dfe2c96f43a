//! How many requests are answered: of an account, from an address, by class of route, on one server or two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use reqwest::Response;
use serde_json::json;
use std::time::{Duration, Instant};
use vereda_domain::api::ProblemCode;
use vereda_server::Config;
use vereda_server::config::Rates;
use vereda_server::http::document;

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_that_asks_too_much_is_told_when_to_go_on_and_others_are_served() {
    let server = Server::with(|config| {
        (config.rates.window_s, config.rates.account.read) = (3600, 3);
    })
    .await;
    let (manager, south) = (server.caller("manager").await, server.caller("manager-south").await);
    for left in [2, 1, 0] {
        let response = manager.get("/api/history").await;
        assert_eq!(response.status(), 200);
        let policy = header(&response, "ratelimit-policy");
        assert_eq!(policy, r#""account.read";q=3;w=3600, "address.read";q=120000;w=3600"#);
        let standing = header(&response, "ratelimit");
        assert!(standing.starts_with(&format!(r#""account.read";r={left};t="#)), "{standing}");
    }
    let response = manager.get("/api/devices").await;
    let wait: u64 = header(&response, "retry-after").parse().unwrap();
    assert!((1..=1200).contains(&wait), "{wait}");
    assert!(header(&response, "ratelimit").starts_with(r#""account.read";r=0;t="#));
    let problem = refused(response, 429, ProblemCode::TooManyRequests).await;
    assert_eq!(problem.retry_after_s, Some(wait));
    // Another class, another account, and what needs no account.
    let fine = [manager.get("/api/models/current").await, south.get("/api/history").await];
    assert!(fine.iter().all(|response| response.status() != 429));
    assert_eq!(server.anonymous().get("/api/server").await.status(), 200);
    // A second session of the same account has nothing of its own.
    let again = server.caller("manager").await;
    refused(again.get("/api/history").await, 429, ProblemCode::TooManyRequests).await;
    assert_eq!(server.counted(r#"vereda_rate_limited_total{class="read",by="account"}"#).await, 2);
}

#[tokio::test]
async fn an_address_is_limited_whoever_calls_and_tokens_that_do_not_hold_count() {
    let server = Server::with(|config| {
        config.rates.window_s = 3600;
        config.rates.address.read = 4;
        config.rates.address.sign_in = 3;
    })
    .await;
    let manager = server.caller("manager").await;
    let forger = Caller { server: &server, token: Some("e30.e30.AAAA".into()) };
    for _ in 0..3 {
        refused(forger.get("/api/history").await, 401, ProblemCode::Unauthenticated).await;
    }
    assert_eq!(manager.get("/api/history").await.status(), 200);
    for caller in [&manager, &forger, &server.anonymous()] {
        refused(caller.get("/api/history").await, 429, ProblemCode::TooManyRequests).await;
    }
    // Right or wrong, a password costs the server the same.
    assert_eq!(server.sign_in("admin", PASSWORD, None).await.status(), 200);
    refused(server.sign_in("admin", "no es esta clave", None).await, 401, ProblemCode::WrongCredentials)
        .await;
    refused(server.sign_in("analyst", PASSWORD, None).await, 429, ProblemCode::TooManyRequests).await;
}

#[tokio::test]
async fn after_the_time_that_was_said_it_goes_on() {
    let server = Server::with(|config| (config.rates.window_s, config.rates.account.score) = (2, 2)).await;
    server.running.models().publish(SCORECARD.to_vec(), "test").await.unwrap();
    let service = server.caller("service").await;
    let body = json!({ "features": inputs() });
    let give_up = Instant::now() + Duration::from_secs(30);
    let (mut scored, mut refusals) = (0, 0);
    while scored < 5 {
        assert!(Instant::now() < give_up, "{scored} of 5");
        let response = service.post("/api/predict", &body).await;
        if response.status() == 200 {
            scored += 1;
            continue;
        }
        let problem = refused(response, 429, ProblemCode::TooManyRequests).await;
        refusals += 1;
        // What a client does that was told to wait.
        tokio::time::sleep(Duration::from_secs(problem.retry_after_s.unwrap())).await;
    }
    assert!((1..=4).contains(&refusals), "{refusals}: whoever waits as told is not refused again");
}

#[tokio::test]
async fn of_a_push_too_many_nothing_is_done() {
    let server = Server::with(|config| (config.rates.window_s, config.rates.account.sync) = (3600, 1)).await;
    let mut device = server.device("officer").await;
    let one = device.event(captured(new_client(), "Ana"));
    assert!(stored(&device.push(&[&one]).await));
    let two = device.event(captured(new_client(), "Eva"));
    refused(device.send(&[&two.text]).await, 429, ProblemCode::TooManyRequests).await;
    let history = server.counted(r#"vereda_events_total{outcome="stored"}"#).await;
    assert_eq!(history, 1);
}

/// A branch of 2,000 devices behind one address whose network is back: each signs in again, and syncs.
#[tokio::test]
async fn the_defaults_let_a_whole_branch_catch_up_at_once() {
    use std::net::IpAddr;
    use std::sync::Arc;
    use vereda_domain::UserId;
    use vereda_server::commons::Memory;
    use vereda_server::rates::{MAX_ENTRIES, RouteClass};
    // A tenth of the branch with a tenth of what its address may.
    let mut limits = Rates::default();
    let at = &mut limits.address;
    for quota in [&mut at.public, &mut at.sign_in, &mut at.session, &mut at.sync] {
        *quota /= 10;
    }
    let rates = vereda_server::rates::Rates::new(limits, Arc::new(Memory::new(MAX_ENTRIES)));
    let address = IpAddr::from([192, 0, 2, 1]);
    for _ in 0..200 {
        let account = Some(UserId(uuid::Uuid::now_v7()));
        for (class, account, requests) in [
            (RouteClass::Public, None, 10),
            (RouteClass::SignIn, None, 1),
            (RouteClass::Session, None, 3),
            (RouteClass::Sync, account, 200),
        ] {
            for _ in 0..requests {
                let exceeded = rates.charge(class, account, address).await.exceeded();
                assert_eq!(exceeded, None);
            }
        }
    }
}

#[test]
fn every_route_says_its_class_and_that_there_may_be_too_many() {
    let document = document(&Config::default());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["x-rate-class"].is_string(), "{method} {path}");
            assert_eq!(
                operation["responses"]["429"]["$ref"], "#/components/responses/429",
                "{method} {path}"
            );
            let class = operation["x-rate-class"].as_str().unwrap();
            if path.starts_with("/api/sync/") {
                assert_eq!(class, "sync", "{path}");
            }
            if path.starts_with("/api/predict") {
                assert_eq!(class, "score", "{path}");
            }
        }
    }
    let headers = document["components"]["responses"]["429"]["headers"].as_object().unwrap();
    assert!(["Retry-After", "RateLimit", "RateLimit-Policy"].iter().all(|name| headers.contains_key(*name)));
}
