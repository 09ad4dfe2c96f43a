//! Another program reads the description of the API and holds a live server against it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use reqwest::Client;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;
use vereda_domain::api::{Device, DeviceInfo, IssuedToken, Role, Session};
use vereda_server::http::document;
use vereda_server::{Config, demo};

/// A number that the environment may give, for longer runs.
fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Long lines are requests; their beginning says which.
fn shortened(text: &str) -> String {
    text.lines().map(|line| line.chars().take(1500).collect::<String>() + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_with_all_its_checks() {
    let program = std::env::var("VEREDA_TEST_SCHEMATHESIS").expect(
        "VEREDA_TEST_SCHEMATHESIS must be the path of schemathesis; `cargo xtask test` and `cargo xtask api` install \
         it and set it, `cargo xtask services` does so for a command of your own",
    );
    let (seed, examples) = (number("VEREDA_TEST_SEED", 1), number("VEREDA_TEST_EXAMPLES", 25));
    println!("seed {seed}, {examples} examples");
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        metrics_listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: dir.path().join("data"),
        ..Config::default()
    };
    let operations: usize = document(&config)["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    let (running, sample) = demo::start(config, 3).await.unwrap();
    let mut tokens = BTreeMap::new();
    // Schemathesis makes no proofs: its officer and its manager sign in on devices that have shown no key yet,
    // those of the sample data.
    let devices = running.people().devices().await.unwrap();
    let users = running.people().users().await.unwrap();
    for user in &sample.users {
        let id = users.iter().find(|row| row.username == user.username).unwrap().id;
        let device = devices.iter().find(|device| device.user == id);
        let mut body = json!({"username": user.username, "password": user.password});
        if let Some(Device { id, name, platform, .. }) = device {
            body["device"] = json!(DeviceInfo { id: *id, name: name.clone(), platform: platform.clone() });
        }
        let request = Client::new().post(format!("{}/api/auth/sign-in", sample.api)).json(&body);
        let session: Session = request.send().await.unwrap().json().await.unwrap();
        tokens.entry(user.role.as_str()).or_insert(session.access_token);
    }
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sample.service.client_id),
        ("client_secret", &sample.service.client_secret),
    ];
    let request = Client::new().post(format!("{}/api/auth/token", sample.api)).form(&form);
    let token: IssuedToken = request.send().await.unwrap().json().await.unwrap();
    tokens.insert(Role::Service.as_str(), token.access_token);
    let mut schemathesis = Command::new(program);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis");
    schemathesis.current_dir(folder).env("VEREDA_TOKENS", json!(tokens).to_string());
    schemathesis.env("PYTHONDONTWRITEBYTECODE", "1").env("HYPOTHESIS_STORAGE_DIRECTORY", dir.path());
    schemathesis.args(["--config-file", "schemathesis.toml", "run", "--checks", "all", "--no-color"]);
    schemathesis.args(["--seed", &seed.to_string(), "--max-examples", &examples.to_string()]);
    // As a file: given an address, it leaves out the operation that brings the description.
    let served =
        reqwest::get(format!("{}/api/openapi.json", sample.api)).await.unwrap().bytes().await.unwrap();
    let description = dir.path().join("openapi.json");
    std::fs::write(&description, &served).unwrap();
    schemathesis.args(["--url", &sample.api]).arg(description);
    let ended = tokio::task::spawn_blocking(move || schemathesis.output().unwrap()).await.unwrap();
    let said = shortened(&String::from_utf8_lossy(&ended.stdout));
    let complained = shortened(&String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}\n{complained}\nseed {seed}: see what it reproduces with above");
    let summary = said.split("= SUMMARY =").nth(1).unwrap_or_else(|| panic!("no summary: {said}"));
    println!("{summary}");
    assert!(summary.contains(&format!("Tested: {operations}\n")), "not all {operations} operations: {said}");
    assert!(!said.contains("= WARNINGS ="), "{said}");
    running.shutdown().await;
}
