//! Real devices against the real server, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

pub mod saving;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::api::{AddUser, Role};
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::gateway::*;
use vereda_domain::{BranchId, ClientId, Millis};
use vereda_scoring::{Inputs, Model};
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::{Config, Running};

pub const PIN: &str = "274913";
pub const PASSWORD: &str = "una palabra muy larga";

/// A server that can be stopped and started again at the same address.
pub struct Server {
    running: Option<Running>,
    config: Config,
    pub folder: tempfile::TempDir,
    pub branch: BranchId,
}

impl Server {
    /// With the officers ana and luis and the manager marta in one branch, and an analyst.
    pub async fn start() -> Server {
        Server::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config {
            listen: any,
            metrics_listen: any,
            data_dir: folder.path().join("data"),
            ..Config::default()
        };
        config.limits.drain_ms = 200;
        change(&mut config);
        let running = vereda_server::start(config.clone()).await.unwrap();
        config.listen = running.api_addr;
        let people = running.people();
        let branch = people.add_branch("Norte").await.unwrap().id;
        for (username, role) in [
            ("ana", Role::Officer),
            ("luis", Role::Officer),
            ("marta", Role::Manager),
            ("rita", Role::Analyst),
        ] {
            let branch = matches!(role, Role::Officer | Role::Manager).then_some(branch);
            let user = AddUser {
                username: username.into(),
                name: format!("{} de Prueba", username.to_uppercase()),
                password: PASSWORD.into(),
                role,
                branch,
            };
            people.add_user(user).await.unwrap();
        }
        Server { running: Some(running), config, folder, branch }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.config.listen)
    }

    pub async fn publish(&self, name: &str) {
        self.running().models().publish(bundle(name), "rita").await.unwrap();
    }

    /// The server's own database, to do to it what no request can. Stop the server first.
    pub fn database(&self) -> rusqlite::Connection {
        assert!(self.running.is_none());
        rusqlite::Connection::open(SqliteStore::file_in(&self.config.data_dir)).unwrap()
    }

    /// A folder with what it has now; it goes on meanwhile.
    pub async fn backup(&self) -> PathBuf {
        let (config, to) = (self.config.clone(), self.folder.path().join(uuid::Uuid::now_v7().to_string()));
        let copied =
            tokio::task::spawn_blocking(move || vereda_server::backup::backup(&config, &to).map(|_| to));
        copied.await.unwrap().unwrap()
    }

    /// Its disk is lost, and it goes on with a backup.
    pub async fn restore(&mut self, backup: PathBuf) {
        self.stop().await;
        self.config.data_dir = backup;
        self.start_again().await;
    }

    /// Goes on as a process of its own, which can be killed; this one only says where it is.
    pub async fn hand_over(&mut self) -> Config {
        self.stop().await;
        self.config.clone()
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().shutdown().await;
    }

    pub async fn move_to_another_port(&mut self) {
        // The old port stays taken, so that it cannot be given again.
        let _taken = std::net::TcpListener::bind(self.config.listen);
        let any = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..self.config.clone() };
        let running = vereda_server::start(any).await.unwrap();
        self.config.listen = running.api_addr;
        self.running = Some(running);
    }

    pub async fn start_again(&mut self) {
        // The port was free a moment ago; connections that linger may hold it for another.
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            match vereda_server::start(self.config.clone()).await {
                Ok(running) => {
                    self.running = Some(running);
                    return;
                }
                Err(error) if std::time::Instant::now() > patience => panic!("{error}"),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

pub fn bundle(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/bundles").join(name);
    std::fs::read(path).unwrap()
}

pub const SCORECARD: &str = "reference-scorecard-1.json";
pub const BOOSTED: &str = "reference-boosted-2.json";

/// One machine.
pub struct Device {
    pub app: App,
    pub folder: tempfile::TempDir,
    pub keys: KeyStore,
    /// The machine's clock minus the true one, in milliseconds.
    pub offset: Arc<AtomicI64>,
    /// Of the app; a restart takes up another one.
    pub version: &'static str,
}

impl Device {
    pub fn new() -> Device {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyStore::given(keyring_core::mock::Store::new().unwrap());
        let offset = Arc::new(AtomicI64::new(0));
        let version = "0.0.0";
        let app = open(folder.path().to_owned(), keys.clone(), offset.clone(), version);
        Device { app, folder, keys, offset, version }
    }

    /// Enrols and waits until portfolio and model are here.
    pub async fn enrolled(server: &Server, username: &str) -> Device {
        let device = Device::new();
        device.app.enrol(enrol(&server.url(), username)).await.unwrap();
        device.synced().await;
        device
    }

    /// The process was killed and started again.
    pub async fn restart(&mut self) {
        self.app.lock().await.unwrap();
        self.app = open(self.folder.path().to_owned(), self.keys.clone(), self.offset.clone(), self.version);
    }

    pub async fn unlock(&self) {
        let user = self.app.status().await.unwrap().user.unwrap().id;
        self.app.unlock(UnlockRequest { user, pin: PIN.into() }).await.unwrap();
    }

    /// Syncs, and expects that all is well.
    pub async fn synced(&self) -> SyncView {
        let view = self.app.sync_now().await.unwrap();
        assert_eq!(view.line.state, SyncState::Idle, "{view:#?}");
        assert_eq!(view.last_error, None);
        view
    }

    /// Syncs with a server that was set back to a backup: the session may be older than that knows, and then the
    /// password is asked for.
    pub async fn synced_anew(&self) -> SyncView {
        let view = self.app.sync_now().await.unwrap();
        if view.line.state == (SyncState::Blocked { code: ErrorCode::SessionExpired }) {
            self.app.sign_in_again(SignInAgainRequest { password: PASSWORD.into() }).await.unwrap();
        }
        self.synced().await
    }

    /// Waits, as the screens do, until the line is as expected.
    pub async fn until(&self, expected: impl Fn(&SyncLine) -> bool) -> SyncLine {
        let patience = tokio::time::Instant::now() + Duration::from_secs(60);
        let (mut since, mut last) = (0, None);
        loop {
            let watch = self.app.watch(WatchRequest { since });
            let Ok(seen) = tokio::time::timeout_at(patience, watch).await else {
                panic!("it never came; last seen: {last:#?}; {:#?}", self.app.sync().await);
            };
            let seen = seen.unwrap();
            if expected(&seen.sync) {
                return seen.sync;
            }
            (since, last) = (seen.revision, Some(seen.sync));
        }
    }

    pub async fn new_client(&self, name: &str, document: &str) -> ClientId {
        let request = CreateClientRequest {
            fields: [
                (ClientField::Name, name.to_owned()),
                (ClientField::Document, document.to_owned()),
                (ClientField::Phone, "300 123 4567".to_owned()),
                (ClientField::Place, "Vereda El Salado".to_owned()),
            ]
            .into(),
            consent: Consent { at: now(), text_version: CONSENT_TEXT_VERSION.into() },
        };
        self.app.create_client(request).await.unwrap().row.id
    }

    /// Interviews a client with answers that every reference model accepts, and scores.
    pub async fn assess(&self, client: ClientId) -> AssessmentView {
        let draft = self.app.start_interview(ClientRequest { client }).await.unwrap().id;
        for (field, value) in answers() {
            let saved = self.app.save_field(SaveFieldRequest { draft, field, value: Some(value) });
            assert_eq!(saved.await.unwrap().problem, None);
        }
        self.app.score(DraftRequest { draft }).await.unwrap()
    }

    pub async fn portfolio(&self) -> PortfolioPage {
        self.app.portfolio(PortfolioRequest { limit: 200, ..PortfolioRequest::default() }).await.unwrap()
    }
}

fn open(data_dir: PathBuf, keystore: KeyStore, offset: Arc<AtomicI64>, version: &str) -> App {
    App::open(AppConfig {
        data_dir,
        keystore,
        device_name: "test machine".into(),
        platform: "linux".into(),
        version: version.into(),
        clock: WallClock::new(move || now() + offset.load(Ordering::SeqCst)),
    })
}

pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Millis
}

pub fn enrol(server: &str, username: &str) -> EnrolRequest {
    EnrolRequest {
        server: server.into(),
        username: username.into(),
        password: PASSWORD.into(),
        pin: PIN.into(),
    }
}

/// Every file under a folder with what is in it, in order.
pub fn files_under(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

pub fn answers() -> Inputs {
    Model::load(&bundle(SCORECARD)).unwrap().bundle().golden[0].inputs.clone()
}

pub fn code<T: std::fmt::Debug>(result: Result<T, GatewayError>) -> ErrorCode {
    result.unwrap_err().code
}
