//! Administrators over the API: people, branches, other systems with secrets and scopes, the first
//! administrator, and the record of who did what.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::process::Command;
use uuid::Uuid;
use vereda_domain::DeviceId;
use vereda_domain::api::{
    AuditEntry, AuditPage, BranchInfo, Deed, Doer, IssuedSecret, IssuedToken, Person, ProblemCode, Scope,
    ServiceAccount,
};
use vereda_domain::event::Hash;

/// The record of who did what, proven as a stranger would: from what the API shows alone.
async fn entries(admin: &Caller<'_>) -> Vec<AuditEntry> {
    let (mut found, mut head) = (Vec::new(), Hash::ZERO);
    loop {
        let path = format!("/api/audit?limit=7&after={}", found.len());
        let page: AuditPage = admin.get(&path).await.json().await.unwrap();
        for line in page.entries {
            assert_eq!(Hash::of(line.entry.get().as_bytes()), line.hash);
            let entry: AuditEntry = serde_json::from_str(line.entry.get()).unwrap();
            assert_eq!((entry.seq, entry.prev), (found.len() as u64 + 1, head));
            head = line.hash;
            found.push(entry);
        }
        if !page.more {
            return found;
        }
    }
}

async fn json<T: serde::de::DeserializeOwned>(response: reqwest::Response, status: u16) -> T {
    let (got, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn people_and_branches_are_seen_to_and_every_change_is_written_down() {
    let server = Server::start().await;
    let admin = server.caller("admin").await;
    let before = entries(&admin).await.len();
    let branch: BranchInfo = json(admin.post("/api/branches", &json!({"name": "Este"})).await, 201).await;
    let taken = admin.post("/api/branches", &json!({"name": "Norte"})).await;
    refused(taken, 409, ProblemCode::Conflict).await;
    let path = format!("/api/branches/{}", branch.id);
    let renamed: BranchInfo = json(admin.post(&path, &json!({"name": "Oriente"})).await, 200).await;
    assert_eq!((renamed.id, renamed.name.as_str()), (branch.id, "Oriente"));
    let new = json!({"username": "Luz", "name": "Luz Ejemplo", "password": "la primera clave", "role": "officer",
        "branch": branch.id});
    let luz: Person = json(admin.post("/api/users", &new).await, 201).await;
    assert_eq!(luz.branch.as_ref(), Some(&renamed));
    refused(admin.post("/api/users", &new).await, 409, ProblemCode::Conflict).await;
    for (field, value) in [
        ("role", json!("service")),
        ("branch", json!(null)),
        ("branch", json!(Uuid::now_v7())),
        ("password", json!("corta")),
        ("username", json!("con espacio")),
        ("name", json!("\u{7}")),
    ] {
        let mut wrong = new.clone();
        wrong["username"] = json!("otra");
        wrong[field] = value;
        let refusal = refused(admin.post("/api/users", &wrong).await, 422, ProblemCode::InvalidInput).await;
        assert_eq!(refusal.fields[0].field, field);
        assert!(refusal.detail.starts_with(&format!("`{field}` must be ")), "{}", refusal.detail);
    }
    assert_eq!(server.sign_in("luz", "la primera clave", None).await.status(), 200);

    let change = async |id: &dyn std::fmt::Display, change: Json| {
        admin.post(&format!("/api/users/{id}"), &change).await
    };
    let renamed: Person =
        json(change(&luz.id, json!({"change": "rename", "name": "Luz Nueva"})).await, 200).await;
    assert_eq!(renamed.name, "Luz Nueva");
    let disabled: Person = json(change(&luz.id, json!({"change": "disable"})).await, 200).await;
    assert!(disabled.disabled);
    let closed = server.sign_in("luz", "la primera clave", None).await;
    refused(closed, 401, ProblemCode::UserDisabled).await;
    let enabled: Person = json(change(&luz.id, json!({"change": "enable"})).await, 200).await;
    assert!(!enabled.disabled);
    let session = server.session("officer", Some(DeviceId(Uuid::now_v7()))).await;
    let officer = server.users["officer"].id;
    let set = json!({"change": "set_password", "password": "una clave muy nueva"});
    let _: Person = json(change(&officer, set).await, 200).await;
    refused(server.refresh(&session.refresh_token).await, 401, ProblemCode::SessionRevoked).await;
    assert_eq!(server.sign_in("officer", "una clave muy nueva", None).await.status(), 200);
    let missing = change(&Uuid::now_v7(), json!({"change": "enable"})).await;
    refused(missing, 404, ProblemCode::NotFound).await;
    let me = server.users["admin"].id;
    refused(change(&me, json!({"change": "disable"})).await, 409, ProblemCode::Conflict).await;
    let people: Vec<Person> = json(admin.get("/api/users").await, 200).await;
    assert!(people.contains(&enabled));
    assert!(people.iter().all(|person| person.role.as_str() != "service"));

    let written = entries(&admin).await.split_off(before);
    let by_admin: Vec<&Deed> =
        written.iter().filter(|entry| entry.by == Doer::User(me)).map(|entry| &entry.deed).collect();
    assert!(
        matches!(
            by_admin.as_slice(),
            [
                Deed::BranchAdded { .. },
                Deed::BranchRenamed { .. },
                Deed::UserAdded { .. },
                Deed::UserRenamed { .. },
                Deed::UserDisabled { .. },
                Deed::UserEnabled { .. },
                Deed::PasswordSet { .. },
            ]
        ),
        "{by_admin:?}"
    );
    let signed_in = |entry: &AuditEntry| matches!(entry.deed, Deed::SignedIn { user, .. } if user == luz.id);
    assert_eq!(written.iter().filter(|entry| signed_in(entry)).count(), 1, "and not what was refused");
}

#[tokio::test]
async fn people_change_their_own_password_and_nobody_elses() {
    let server = Server::with(|config| config.sign_in.free_attempts = 1).await;
    let officer = server.caller("officer").await;
    let change = async |old: &str, new: &str| {
        officer.post("/api/auth/password", &json!({"old": old, "new": new})).await
    };
    refused(change("no es esta clave", "una clave muy nueva").await, 401, ProblemCode::WrongCredentials)
        .await;
    refused(change(PASSWORD, "corta").await, 422, ProblemCode::InvalidInput).await;
    refused(change(PASSWORD, PASSWORD).await, 409, ProblemCode::Conflict).await;
    assert_eq!(change(PASSWORD, "una clave muy nueva").await.status(), 204);
    refused(server.sign_in("officer", PASSWORD, None).await, 401, ProblemCode::WrongCredentials).await;
    assert_eq!(server.sign_in("officer", "una clave muy nueva", None).await.status(), 200);
    // Guessing at it with a stolen token takes longer and longer, as at a sign-in.
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(change("no es esta clave", "una clave muy nueva 2").await.status().as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_system_gets_tokens_for_its_secret_and_changes_it_without_a_gap() {
    let server = Server::with_model().await;
    let admin = server.caller("admin").await;
    let new = json!({"username": "core-banking", "name": "Core", "scopes": ["history:read", "predict"]});
    let account: ServiceAccount = json(admin.post("/api/services", &new).await, 201).await;
    assert_eq!(account.scopes, [Scope::Predict, Scope::HistoryRead]);
    let base = format!("/api/services/{}", account.id);
    let issue = async || admin.post(&format!("{base}/secrets"), &json!({})).await;
    let first: IssuedSecret = json(issue().await, 201).await;
    let ask = async |secret: &IssuedSecret| {
        server.token(&[("client_id", "Core-Banking"), ("client_secret", &secret.client_secret)]).await
    };
    let token: IssuedToken = json(ask(&first).await, 200).await;
    assert_eq!((token.token_type.as_str(), token.scope.as_str()), ("Bearer", "predict history:read"));
    let system = Caller { server: &server, token: Some(token.access_token.clone()) };
    let predict = json!({"features": inputs()});
    assert_eq!(system.post("/api/predict", &predict).await.status(), 200);
    assert_eq!(system.get("/api/history").await.status(), 200);
    let outcome =
        json!({"client_ref": "x", "defaulted": true, "observed_on": "2026-01-01", "horizon_months": 12});
    let response = system.post("/api/outcomes", &outcome).await;
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert_eq!(challenge, r#"Bearer error="insufficient_scope", scope="outcomes:write""#);
    refused(response, 403, ProblemCode::Forbidden).await;

    // Another secret holds before the first one ends; a third one does not.
    let second: IssuedSecret = json(issue().await, 201).await;
    refused(issue().await, 409, ProblemCode::Conflict).await;
    assert_eq!(ask(&first).await.status(), 200);
    let revoke = format!("{base}/secrets/{}/revoke", first.id);
    assert_eq!(admin.post(&revoke, &json!({})).await.status(), 204);
    let refusal = refused(ask(&first).await, 401, ProblemCode::WrongCredentials).await;
    assert_eq!(refusal.error.as_deref(), Some("invalid_client"));
    assert_eq!(ask(&second).await.status(), 200);
    let listed: Vec<ServiceAccount> = json(admin.get("/api/services").await, 200).await;
    let listed = listed.iter().find(|listed| listed.id == account.id).unwrap();
    assert_eq!(listed.secrets.iter().map(|secret| secret.id).collect::<Vec<_>>(), [second.id]);
    assert!(listed.secrets[0].used_at.is_some());

    // What is taken away is gone at once, for tokens of before, too.
    let granted = admin.post(&format!("{base}/scopes"), &json!({"scopes": ["history:read"]})).await;
    assert_eq!(granted.status(), 200);
    refused(system.post("/api/predict", &predict).await, 403, ProblemCode::Forbidden).await;
    assert_eq!(system.get("/api/history").await.status(), 200);
    let disable = admin.post(&format!("/api/users/{}", account.id), &json!({"change": "disable"})).await;
    assert_eq!(disable.status(), 200);
    refused(system.get("/api/history").await, 401, ProblemCode::UserDisabled).await;
    refused(ask(&second).await, 401, ProblemCode::WrongCredentials).await;
    let set = json!({"change": "set_password", "password": "una clave de sistema"});
    let set = admin.post(&format!("/api/users/{}", account.id), &set).await;
    refused(set, 409, ProblemCode::Conflict).await;
    let not_a_service = format!("/api/services/{}/secrets", server.users["officer"].id);
    refused(admin.post(&not_a_service, &json!({})).await, 404, ProblemCode::NotFound).await;
}

#[tokio::test]
async fn tokens_are_asked_for_as_rfc_6749_says() {
    let server = Server::start().await;
    let secret = server.running.people().issue_secret(server.services["service"]).await.unwrap();
    let url = server.url("/api/auth/token");
    let post = |form: &[(&str, &str)]| server.http.post(&url).form(form);
    let grant = ("grant_type", "client_credentials");
    let (id, password) = (("client_id", "service"), ("client_secret", secret.client_secret.as_str()));

    let narrow = post(&[grant, id, password, ("scope", "predict"), ("audience", "x")]).send().await.unwrap();
    assert_eq!(narrow.headers()["cache-control"], "no-store");
    let narrow: IssuedToken = json(narrow, 200).await;
    assert_eq!(narrow.scope, "predict");
    let system = Caller { server: &server, token: Some(narrow.access_token) };
    refused(system.get("/api/history").await, 403, ProblemCode::Forbidden).await;
    assert_eq!(system.get("/api/models").await.status(), 200, "what needs no scope");
    let basic = post(&[grant]).basic_auth("service", Some(&secret.client_secret)).send().await.unwrap();
    let basic: IssuedToken = json(basic, 200).await;
    assert_eq!(basic.scope, Scope::write_list(&Scope::ALL));

    let wrong = "vereda_secret_0000000000000000000000000000000000000000000000000000000000000000";
    let refusals: [(reqwest::RequestBuilder, u16, &str); 9] = [
        (post(&[grant, id, ("client_secret", wrong)]), 401, "invalid_client"),
        (post(&[grant, ("client_id", "service-south"), password]), 401, "invalid_client"),
        (post(&[grant]).basic_auth("service", Some(wrong)), 401, "invalid_client"),
        (post(&[grant, id, password, ("scope", "predict admin")]), 400, "invalid_scope"),
        (post(&[grant, id, password, ("scope", "")]), 400, "invalid_scope"),
        (post(&[("grant_type", "password"), id, password]), 400, "unsupported_grant_type"),
        (post(&[id, password]), 400, "invalid_request"),
        (post(&[grant, id]), 400, "invalid_request"),
        (post(&[grant, id, password]).basic_auth("service", Some("x")), 400, "invalid_request"),
    ];
    for (request, status, error) in refusals {
        let response = request.send().await.unwrap();
        if status == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"vereda\"");
        }
        let problem = problem(response).await;
        assert_eq!((problem.status, problem.error.as_deref()), (status, Some(error)), "{problem:?}");
    }
    let json_body = server.anonymous().post("/api/auth/token", &json!({})).await;
    refused(json_body, 415, ProblemCode::UnsupportedMedia).await;
    // A system has no password, whatever one tries.
    for password in ["", PASSWORD, &secret.client_secret] {
        let tried = server.sign_in("service", password, None).await;
        refused(tried, 401, ProblemCode::WrongCredentials).await;
    }
    let grown = entries(&server.caller("admin").await).await;
    let text = serde_json::to_string(&grown).unwrap();
    assert!(!text.contains(&secret.client_secret) && !text.contains("vereda_secret_"));
}

#[tokio::test]
async fn the_first_administrator_is_made_with_a_token_that_works_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = on_free_ports(&dir);
    let data = config.data_dir.clone();
    let command = move |arguments: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_vereda-server"))
            .args(arguments)
            .env("VEREDA_DATA_DIR", &data)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (ran.status.success(), text(&ran.stdout), text(&ran.stderr))
    };
    let running = vereda_server::start(config).await.unwrap();
    let (made, token, _) = command(&["setup-token"]);
    assert!(made && token.starts_with("vereda_setup_"), "{token}");
    let http = reqwest::Client::new();
    let set_up = async |token: &str, password: &str| {
        let body = json!({"token": token, "username": "jefa", "name": "Jefa", "password": password});
        http.post(format!("{}/api/setup", running.api_url())).json(&body).send().await.unwrap()
    };
    let wrong = set_up("vereda_setup_00", "una clave larga").await;
    refused(wrong, 401, ProblemCode::WrongCredentials).await;
    refused(set_up(&token, "corta").await, 422, ProblemCode::InvalidInput).await;
    let admin: Person = json(set_up(&token, "una clave larga").await, 201).await;
    assert_eq!((admin.username.as_str(), admin.role.as_str()), ("jefa", "admin"));
    refused(set_up(&token, "una clave larga").await, 409, ProblemCode::Conflict).await;
    let (made, _, why) = command(&["setup-token"]);
    assert!(!made && why.contains("administrator"), "{why}");

    // The operator's own hand is written down as such, and the end of the log can be kept elsewhere.
    let (added, shown, why) =
        command(&["service", "add", "core", "--name", "Core", "--scopes", "predict,history:read"]);
    assert!(added && shown.contains("vereda_secret_"), "{shown} {why}");
    assert!(!command(&["service", "add", "x", "--name", "X", "--scopes", "everything"]).0);
    let (whole, head, why) = command(&["audit", "verify"]);
    assert!(whole && head.starts_with("4:"), "{head} {why}");
    assert!(command(&["service", "grant", "core", "--scopes", "predict"]).0);
    assert!(command(&["audit", "verify", "--known", &head]).0);
    let (_, listed, _) = command(&["audit", "list"]);
    let lines: Vec<&str> = listed.lines().collect();
    let said = ["setup_token_issued", "user_added", "user_added", "secret_issued", "scopes_granted"];
    assert_eq!(lines.len(), said.len(), "{listed}");
    assert!(lines.iter().zip(said).all(|(line, deed)| line.contains(deed)), "{listed}");
    assert!(lines[1].contains(r#""setup""#) && lines[2].contains(r#""command_line""#), "{listed}");
    running.shutdown().await;

    // Whoever writes to the file itself is found out; through SQL alone, nobody gets that far.
    let database = rusqlite::Connection::open(dir.path().join("data/vereda.db")).unwrap();
    for sql in ["UPDATE audit SET text = '{}' WHERE seq = 2", "DELETE FROM audit WHERE seq = 5"] {
        let refused = database.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("only added to"), "{refused}");
    }
    database.execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_removed").unwrap();
    let broken = |sql: &str, entry: &str| {
        database.execute_batch(&format!("SAVEPOINT try; {sql}; RELEASE try")).unwrap();
        let (whole, _, why) = command(&["audit", "verify", "--known", &head]);
        assert!(!whole && why.contains(entry), "{sql}: {why}");
    };
    broken("CREATE TABLE kept AS SELECT * FROM audit; DELETE FROM audit WHERE seq > 3", "entry 4");
    broken("INSERT INTO audit SELECT * FROM kept WHERE seq > 3; DELETE FROM audit WHERE seq = 2", "entry 2");
    broken(
        "INSERT INTO audit SELECT * FROM kept WHERE seq = 2; \
         UPDATE audit SET text = replace(text, 'jefa', 'otra') WHERE seq = 2",
        "entry 2",
    );
}

#[tokio::test]
async fn a_model_names_who_published_it() {
    let server = Server::with_model().await;
    let analyst = server.caller("analyst").await;
    assert_eq!(analyst.post_bytes("/api/models", BOOSTED).await.status(), 201);
    let export = analyst.request(Method::GET, "/api/history/export?format=csv").send().await.unwrap();
    assert_eq!(export.status(), 200);
    export.bytes().await.unwrap();
    let entries = entries(&server.caller("admin").await).await;
    let by = |wanted: fn(&Deed) -> bool| -> Vec<Doer> {
        entries.iter().filter(|entry| wanted(&entry.deed)).map(|entry| entry.by).collect()
    };
    let analyst = Doer::User(server.users["analyst"].id);
    assert_eq!(by(|deed| matches!(deed, Deed::ModelPublished { .. })), [Doer::CommandLine, analyst]);
    assert_eq!(by(|deed| matches!(deed, Deed::HistoryExported { .. })), [analyst]);
}
