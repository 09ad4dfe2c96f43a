//! SIGKILL at any moment: everything that was acknowledged is there, and the chain goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::gateway::*;
use vereda_scoring::Value;

const ROUNDS: usize = 6;

/// Cargo builds examples next to tests.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(format!("save_fields{}", std::env::consts::EXE_SUFFIX))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_being_killed() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let keys = folder.path().join("keys").to_str().unwrap().to_owned();
    let store = keyring_core::sample::Store::new_with_backing(&keys).unwrap();
    let open = || {
        App::open(AppConfig {
            data_dir: data_dir.clone(),
            keystore: KeyStore::given(store.clone()),
            device_name: "killed".into(),
            platform: "linux".into(),
            version: "0.0.0".into(),
            clock: WallClock::system(),
        })
    };
    let app = open();
    let user = app.enrol(enrol(&server.url(), "ana")).await.unwrap().user.unwrap().id;
    store.save().unwrap();
    app.sync_now().await.unwrap();
    let fields = [
        (vereda_domain::client::ClientField::Name, "Persona".to_owned()),
        (vereda_domain::client::ClientField::Document, "77777777".to_owned()),
    ];
    let consent = vereda_domain::client::Consent { at: now(), text_version: "2026-01".into() };
    let client = app.create_client(CreateClientRequest { fields: fields.into(), consent }).await.unwrap();
    let client = client.row.id;
    app.lock().await.unwrap();
    server.stop().await;

    let (mut field, mut last_client, mut clients) = (0u32, 0u32, 1u32);
    for round in 0..ROUNDS {
        let mut child = Command::new(program())
            .arg(&data_dir)
            .args([&keys, &user.to_string(), &client.to_string(), &(field + 1).to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Another moment each round: after so many acknowledgements the next write is under way.
        let mut left = 5 + 7 * round;
        let mut note = |line: &str| {
            let (what, n) = line.split_once(' ').unwrap();
            let n: u32 = n.parse().unwrap();
            match what {
                "field" => field = n,
                _ => {
                    last_client = n;
                    clients += 1;
                }
            }
        };
        while left > 0 {
            note(&lines.next_line().await.unwrap().expect("the program ended by itself"));
            left -= 1;
        }
        child.start_kill().unwrap();
        // What it still said before it died counts too.
        while let Some(line) = lines.next_line().await.unwrap() {
            note(&line);
        }
        assert!(!child.wait().await.unwrap().success());

        let app = open();
        app.unlock(UnlockRequest { user, pin: PIN.into() }).await.unwrap();
        let draft = app.start_interview(ClientRequest { client }).await.unwrap();
        let Some(Value::Number(amount)) = draft.inputs.get("amount") else { panic!("no amount") };
        let amount = *amount as u32;
        assert!(amount == field || amount == field + 1, "{amount} is kept, {field} was acknowledged");
        assert_eq!(draft.focus.as_deref(), Some("amount"));
        let total = app.portfolio(PortfolioRequest { limit: 1, ..Default::default() }).await.unwrap().total;
        assert!(total == clients || total == clients + 1, "{total} are kept, {clients} were acknowledged");
        let query = last_client.to_string();
        if last_client > 0 {
            let found = app.portfolio(PortfolioRequest { query, limit: 200, ..Default::default() }).await;
            let wanted = last_client.to_string();
            assert!(found.unwrap().rows.iter().any(|row| row.document == wanted));
        }
        clients = total;
        field = amount;
        app.lock().await.unwrap();
    }

    // The server takes the whole chain.
    server.start_again().await;
    let app = open();
    app.unlock(UnlockRequest { user, pin: PIN.into() }).await.unwrap();
    let view = app.sync_now().await.unwrap();
    assert_eq!((view.line.waiting, view.line.quarantined), (0, 0), "{view:#?}");
    assert_eq!(view.receipt.unwrap().seq, u64::from(clients));
}
