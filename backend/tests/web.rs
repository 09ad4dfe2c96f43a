//! Sessions of web pages, as a browser would hold them, and as another site would like to use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Method, Response};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use vereda_domain::api::{ProblemCode, Session, WebSession};

const ACCESS: &str = "__Host-vereda-access";
const REFRESH: &str = "__Host-vereda-refresh";

/// A browser, of which only the jar is needed.
#[derive(Debug, Default, Clone)]
struct Browser {
    cookies: BTreeMap<String, String>,
    csrf: String,
}

impl Browser {
    /// Takes up what an answer sets.
    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once("; ").unwrap();
            let attributes: Vec<&str> = attributes.split("; ").collect();
            for expected in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
                assert!(attributes.contains(&expected), "{expected} of {cookie:?}");
            }
            assert!(!attributes.iter().any(|attribute| attribute.starts_with("Domain")));
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains(&"Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    async fn ask(
        &self,
        server: &Server,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: Json,
    ) -> Response {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request =
            server.http.request(method.clone(), server.url(path)).header("cookie", jar.join("; "));
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, server: &Server, path: &str) -> Response {
        self.ask(server, Method::GET, path, &[], json!(null)).await
    }

    /// As a page of the server's own origin does.
    async fn post(&self, server: &Server, path: &str, body: Json) -> Response {
        let own = [("sec-fetch-site", "same-origin"), ("x-csrf-token", self.csrf.as_str())];
        self.ask(server, Method::POST, path, &own, body).await
    }

    async fn signed_in(server: &Server, username: &str) -> Browser {
        let mut browser = Browser::default();
        let who = json!({"username": username, "password": PASSWORD});
        let answer = browser.post(server, "/api/web/sign-in", who).await;
        assert_eq!(answer.status(), 200);
        browser.keep(answer.headers());
        let text = answer.text().await.unwrap();
        for secret in browser.cookies.values() {
            assert!(!text.contains(secret.split('.').next().unwrap()), "a script could read it");
        }
        browser.csrf = serde_json::from_str::<WebSession>(&text).unwrap().csrf_token;
        browser
    }
}

#[tokio::test]
async fn a_page_has_a_session_that_no_script_can_read_and_that_goes_on() {
    let server = Server::start().await;
    let mut admin = Browser::signed_in(&server, "admin").await;
    assert_eq!(admin.cookies.keys().collect::<Vec<_>>(), [ACCESS, REFRESH]);
    assert_eq!(admin.get(&server, "/api/users").await.status(), 200);
    assert_eq!(admin.post(&server, "/api/branches", json!({"name": "Este"})).await.status(), 201);
    // Loaded anew, it is told again what to show.
    let again: WebSession = admin.get(&server, "/api/web/session").await.json().await.unwrap();
    assert_eq!((again.csrf_token.as_str(), again.user.username.as_str()), (admin.csrf.as_str(), "admin"));

    let before = admin.clone();
    let answer = admin.post(&server, "/api/web/refresh", json!(null)).await;
    assert_eq!(answer.status(), 200);
    admin.keep(answer.headers());
    assert_ne!(admin.cookies, before.cookies);
    assert_eq!(answer.json::<WebSession>().await.unwrap().csrf_token, admin.csrf, "other tabs go on");
    // Another tab with the cookie of before, within the grace time: the same answer.
    let tab = before.post(&server, "/api/web/refresh", json!(null)).await;
    assert_eq!(tab.status(), 200);
    // Once the next one was used, that of before is a thief's.
    let next = admin.post(&server, "/api/web/refresh", json!(null)).await;
    let mut last = admin.clone();
    last.keep(next.headers());
    refused(before.post(&server, "/api/web/refresh", json!(null)).await, 401, ProblemCode::SessionRevoked)
        .await;
    refused(last.post(&server, "/api/web/refresh", json!(null)).await, 401, ProblemCode::SessionRevoked)
        .await;

    let mut manager = Browser::signed_in(&server, "manager").await;
    let held = manager.clone();
    let answer = manager.post(&server, "/api/web/sign-out", json!(null)).await;
    assert_eq!(answer.status(), 204);
    manager.keep(answer.headers());
    assert!(manager.cookies.is_empty());
    refused(held.post(&server, "/api/web/refresh", json!(null)).await, 401, ProblemCode::SessionRevoked)
        .await;
    refused(manager.get(&server, "/api/history").await, 401, ProblemCode::Unauthenticated).await;
}

#[tokio::test]
async fn another_site_changes_nothing_with_the_cookies_of_a_page() {
    let server = Server::start().await;
    let admin = Browser::signed_in(&server, "admin").await;
    let analyst = Browser::signed_in(&server, "analyst").await;
    let host = server.url("").split_once("://").unwrap().1.to_owned();
    let (own, elsewhere) = (format!("http://{host}"), "https://evil.example");
    let (csrf, other) = (admin.csrf.as_str(), analyst.csrf.as_str());
    let forged: [&[(&str, &str)]; 9] = [
        &[],
        &[("x-csrf-token", csrf)],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "same-origin"), ("x-csrf-token", other)],
        &[("sec-fetch-site", "cross-site"), ("x-csrf-token", csrf)],
        &[("sec-fetch-site", "same-site"), ("origin", &own), ("x-csrf-token", csrf)],
        &[("origin", elsewhere), ("x-csrf-token", csrf)],
        &[("origin", "null"), ("x-csrf-token", csrf)],
        &[("origin", &own), ("x-csrf-token", "")],
    ];
    for headers in forged {
        let answer =
            admin.ask(&server, Method::POST, "/api/branches", headers, json!({"name": "Ajena"})).await;
        refused(answer, 403, ProblemCode::Forbidden).await;
    }
    let fine = [("origin", own.as_str()), ("x-csrf-token", csrf)];
    let made = admin.ask(&server, Method::POST, "/api/branches", &fine, json!({"name": "Propia"})).await;
    assert_eq!(made.status(), 201, "a browser without Fetch Metadata");
    let branches = admin.get(&server, "/api/branches").await.text().await.unwrap();
    assert!(branches.contains("Propia") && !branches.contains("Ajena"));
    // Nor does it sign anybody in, on or out.
    for path in ["/api/web/sign-in", "/api/web/refresh", "/api/web/sign-out"] {
        for headers in
            [&[][..], &[("origin", elsewhere)], &[("sec-fetch-site", "cross-site"), ("origin", &own)]]
        {
            let who = json!({"username": "admin", "password": PASSWORD});
            let answer = admin.ask(&server, Method::POST, path, headers, who).await;
            assert!(answer.headers().get(SET_COOKIE).is_none());
            refused(answer, 400, ProblemCode::BadRequest).await;
        }
    }
}

#[tokio::test]
async fn cookies_and_tokens_do_not_pass_for_each_other() {
    let server = Server::start().await;
    let admin = Browser::signed_in(&server, "admin").await;
    let access = admin.cookies[ACCESS].clone();
    let bearer = |token: &str| [("authorization".to_owned(), format!("Bearer {token}"))];
    // The token of a page, taken out of its cookie.
    let nobody = Browser::default();
    let [(name, value)] = bearer(&access);
    let answer = nobody.ask(&server, Method::GET, "/api/users", &[(&name, &value)], json!(null)).await;
    refused(answer, 401, ProblemCode::Unauthenticated).await;
    // The token of a program, put into a cookie: it would need no proof of the page.
    let session: Session = server.sign_in("admin", PASSWORD, None).await.json().await.unwrap();
    let planted =
        Browser { cookies: [(ACCESS.to_owned(), session.access_token.clone())].into(), csrf: String::new() };
    refused(planted.get(&server, "/api/users").await, 401, ProblemCode::Unauthenticated).await;
    let planted = Browser {
        cookies: [(REFRESH.to_owned(), format!("{}.x", session.refresh_token))].into(),
        csrf: String::new(),
    };
    assert_eq!(planted.post(&server, "/api/web/refresh", json!(null)).await.status(), 200, "a person's own");
    let device = server.session("officer", Some(vereda_domain::DeviceId(uuid::Uuid::now_v7()))).await;
    let planted = Browser {
        cookies: [(REFRESH.to_owned(), format!("{}.x", device.refresh_token))].into(),
        csrf: String::new(),
    };
    refused(planted.post(&server, "/api/web/refresh", json!(null)).await, 401, ProblemCode::Unauthenticated)
        .await;
    // Who says in a header who calls is judged by that alone.
    let analyst: Session = server.sign_in("analyst", PASSWORD, None).await.json().await.unwrap();
    let [(name, value)] = bearer(&analyst.access_token);
    let answer = admin.ask(&server, Method::GET, "/api/users", &[(&name, &value)], json!(null)).await;
    refused(answer, 403, ProblemCode::Forbidden).await;
    let session = admin.ask(&server, Method::GET, "/api/web/session", &[(&name, &value)], json!(null)).await;
    refused(session, 404, ProblemCode::NotFound).await;
    let answer =
        admin.ask(&server, Method::GET, "/api/users", &[("authorization", "Basic eDp5")], json!(null)).await;
    refused(answer, 401, ProblemCode::Unauthenticated).await;
    // A disabled user's page ends at once, as everything of theirs.
    let officer = Browser::signed_in(&server, "officer").await;
    let change = format!("/api/users/{}", server.users["officer"].id);
    assert_eq!(admin.post(&server, &change, json!({"change": "disable"})).await.status(), 200);
    refused(officer.get(&server, "/api/history").await, 401, ProblemCode::UserDisabled).await;
    refused(officer.post(&server, "/api/web/refresh", json!(null)).await, 401, ProblemCode::UserDisabled)
        .await;
    // Systems have no pages.
    let who = json!({"username": "service", "password": PASSWORD});
    let answer = Browser::default().post(&server, "/api/web/sign-in", who).await;
    refused(answer, 401, ProblemCode::WrongCredentials).await;
}
