//! Disks that are really full, and file systems that really are read-only.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Device, Server, answers, files_under, now};
use std::path::Path;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::gateway::*;
use vereda_services::disk::{SmallDisk, again_as_root};

/// A device whose disk is small.
struct Small {
    disk: SmallDisk,
    keys: KeyStore,
}

impl Small {
    fn new(kib: u32) -> Small {
        // In memory: the key store's place is not the disk that is full.
        let keys = KeyStore::given(keyring_core::mock::Store::new().unwrap());
        Small { disk: SmallDisk::new(kib).unwrap(), keys }
    }

    fn open(&self) -> App {
        App::open(AppConfig {
            data_dir: self.disk.path().to_owned(),
            keystore: self.keys.clone(),
            device_name: "small".into(),
            platform: "linux".into(),
            version: "0.0.0".into(),
            clock: WallClock::system(),
        })
    }

    /// Enrolled as ana, and synced as far as there is room.
    async fn enrolled(&self, server: &Server) -> (App, SyncView) {
        let app = self.open();
        app.enrol(common::enrol(&server.url(), "ana")).await.unwrap();
        let view = app.sync_now().await.unwrap();
        (app, view)
    }

    async fn unlocked(&self) -> App {
        let app = self.open();
        unlock(&app).await.unwrap();
        app
    }
}

/// Every catalogue has words for this code.
fn named(code: ErrorCode) {
    for language in ["es", "en"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/i18n").join(language).join("errors.ftl");
        let words = std::fs::read_to_string(path).unwrap();
        for end in ["", "-do", "-short"] {
            let key = format!("\nerror-{}{end} = ", code.as_str());
            assert!(words.contains(&key), "{key} is not in {language}");
        }
    }
}

fn client(n: usize) -> CreateClientRequest {
    CreateClientRequest {
        fields: [
            (ClientField::Name, format!("Persona {n}")),
            (ClientField::Document, format!("{}", 1_000_000 + n)),
            (ClientField::Phone, format!("300 {}", 1_000_000 + n)),
            (ClientField::Place, "Vereda El Salado ".repeat(10)),
        ]
        .into(),
        consent: Consent { at: now(), text_version: CONSENT_TEXT_VERSION.into() },
    }
}

async fn names(app: &App) -> Vec<String> {
    let page = PortfolioRequest { limit: 10_000, ..PortfolioRequest::default() };
    app.portfolio(page).await.unwrap().rows.into_iter().map(|row| row.name).collect()
}

async fn unlock(app: &App) -> Result<Status, GatewayError> {
    let user = app.status().await.unwrap().users.first().unwrap().id;
    app.unlock(UnlockRequest { user, pin: common::PIN.into() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_by_name_loses_nothing_and_goes_on_when_there_is_room() {
    if again_as_root("a_full_disk_refuses_by_name_loses_nothing_and_goes_on_when_there_is_room").unwrap() {
        return;
    }
    named(ErrorCode::StorageFull);
    let mut server = Server::start().await;
    server.publish(common::SCORECARD).await;
    let small = Small::new(6 * 1024);
    let (app, _) = small.enrolled(&server).await;
    server.stop().await;

    // Work goes on until there is no byte left, and every kind of it is refused by the same name.
    let mut kept = Vec::new();
    let mut n = 0;
    let first = app.create_client(client(n)).await.unwrap();
    kept.push(first.row.name);
    let interview = app.start_interview(ClientRequest { client: first.row.id }).await.unwrap().id;
    let videos = small.disk.fill().unwrap();
    let refused = loop {
        n += 1;
        assert!(n < 5000, "it never fills up");
        match app.create_client(client(n)).await {
            Ok(view) => kept.push(view.row.name),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code, ErrorCode::StorageFull, "{refused:?}");
    let mut answered = Vec::new();
    for (field, value) in answers() {
        let saved = app
            .save_field(SaveFieldRequest {
                draft: interview,
                field: field.clone(),
                value: Some(value.clone()),
            })
            .await;
        match saved {
            Ok(_) => answered.push((field, value)),
            Err(error) => assert_eq!(error.code, ErrorCode::StorageFull, "{error:?}"),
        }
    }
    let settings = app.status().await.unwrap().settings;
    let chosen = Settings { text_percent: 150, ..settings.clone() };
    let error = app.set_settings(chosen).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StorageFull, "{error:?}");
    assert_eq!(app.status().await.unwrap().settings, settings, "what could not be kept is not shown");

    // It is all there to be read, and a restart without room either opens or says why not.
    kept.sort();
    let mut seen = names(&app).await;
    seen.sort();
    assert_eq!(seen, kept);
    app.lock().await.unwrap();
    drop(app);
    let app = small.open();
    if let Err(error) = unlock(&app).await {
        assert_eq!(error.code, ErrorCode::StorageFull, "{error:?}");
    }
    drop(app);

    // Room again: nothing that was acknowledged is missing, and the rest can be done now.
    std::fs::remove_file(videos).unwrap();
    let app = small.unlocked().await;
    let mut seen = names(&app).await;
    seen.sort();
    assert_eq!(seen, kept);
    let open_draft = app.start_interview(ClientRequest { client: first.row.id }).await.unwrap();
    for (field, value) in &answered {
        assert_eq!(open_draft.inputs.get(field), Some(value), "{field} was acknowledged");
    }
    kept.push(app.create_client(client(n)).await.unwrap().row.name);
    for (field, value) in answers() {
        app.save_field(SaveFieldRequest { draft: interview, field, value: Some(value) }).await.unwrap();
    }
    app.score(DraftRequest { draft: interview }).await.unwrap();
    server.start_again().await;
    let view = app.sync_now().await.unwrap();
    assert_eq!((view.line.state, view.line.waiting), (SyncState::Idle, 0), "{:?}", view.last_error);
    let events = kept.len() as u64 + 1;
    assert_eq!(view.receipt.unwrap().seq, events, "each exactly once");
    // Another device of hers gets all of it.
    let other = Device::enrolled(&server, "ana").await;
    let mut seen = names(&other.app).await;
    seen.sort();
    kept.sort();
    assert_eq!(seen, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portfolio_that_does_not_fit_arrives_when_there_is_room() {
    if again_as_root("a_portfolio_that_does_not_fit_arrives_when_there_is_room").unwrap() {
        return;
    }
    let server = Server::start().await;
    server.publish(common::SCORECARD).await;
    let source = Device::enrolled(&server, "ana").await;
    // More than fit into a megabyte, packed as they are.
    for n in 0..1200 {
        source.app.create_client(client(n)).await.unwrap();
    }
    source.synced().await;
    let small = Small::new(1024);
    let (app, view) = small.enrolled(&server).await;
    assert_eq!(view.line.state, SyncState::Blocked { code: ErrorCode::StorageFull }, "{view:#?}");
    small.disk.resize(32 * 1024).unwrap();
    let view = app.sync_now().await.unwrap();
    assert_eq!(view.line.state, SyncState::Idle, "{:?}", view.last_error);
    assert_eq!(app.portfolio(PortfolioRequest::default()).await.unwrap().total, 1200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_system_is_named_untouched_and_gone_on_with_when_it_is_writable() {
    if again_as_root("a_read_only_file_system_is_named_untouched_and_gone_on_with_when_it_is_writable")
        .unwrap()
    {
        return;
    }
    named(ErrorCode::StorageReadOnly);
    let server = Server::start().await;
    server.publish(common::SCORECARD).await;
    let small = Small::new(16 * 1024);
    let (app, _) = small.enrolled(&server).await;
    for n in 0..3 {
        app.create_client(client(n)).await.unwrap();
    }
    app.lock().await.unwrap();
    drop(app);
    let before = names(&small.unlocked().await).await;
    until_released(&small.disk);
    let held = files_under(small.disk.path());

    let app = small.open();
    let error = unlock(&app).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StorageReadOnly, "{error:?}");
    let error = app.enrol(common::enrol(&server.url(), "luis")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StorageReadOnly, "{error:?}");
    drop(app);
    assert!(files_under(small.disk.path()) == held, "something was written");

    small.disk.read_only(false).unwrap();
    let app = small.unlocked().await;
    assert_eq!(names(&app).await, before);
    app.create_client(client(3)).await.unwrap();
    let view = app.sync_now().await.unwrap();
    assert_eq!((view.line.state, view.line.waiting), (SyncState::Idle, 0), "{:?}", view.last_error);
    assert_eq!(view.receipt.unwrap().seq, 4);
}

/// Read-only as soon as the last file that is open for writing is closed.
fn until_released(disk: &SmallDisk) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while let Err(error) = disk.read_only(true) {
        assert!(std::time::Instant::now() < patience, "{error:#}");
        std::thread::yield_now();
    }
}
