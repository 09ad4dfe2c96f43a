//! The app without a network: everything that an officer does between two syncs.

mod cut;
mod damage;
mod flow;
mod guarded;
mod lasts;
mod packed;
mod pull;
mod saves;
mod search;
mod store;

use crate::app::{App, AppConfig};
use crate::keystore::KeyStore;
use crate::session::Session;
use crate::store::meta::Identity;
use crate::store::remote::Part;
use crate::store::{models, project};
use crate::sync::proof::DeviceKey;
use crate::vault::{StoreKey, Vault};
use crate::{DeviceError, WallClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;
use vereda_domain::api::{BranchInfo, Role, Session as ServerSession, TokenType, UserInfo};
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, ClientFields, Consent};
use vereda_domain::gateway::*;
use vereda_domain::{BranchId, DeviceId, Millis, UserId};
use vereda_scoring::{Inputs, Model};

pub const PIN: &str = "274913";
pub const START: Millis = 1_790_000_000_000;
/// A page as they come every day.
pub const CHANGES: Part = Part::Changes { cursor: 0 };

/// A device whose server is not there.
pub struct Device {
    pub app: App,
    pub folder: tempfile::TempDir,
    pub keys: KeyStore,
    pub now: Arc<AtomicI64>,
    pub sensor: Option<Arc<guarded::Sensor>>,
}

pub fn bundle(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/bundles").join(name);
    std::fs::read(path).unwrap()
}

pub fn scorecard() -> Vec<u8> {
    bundle("reference-scorecard-1.json")
}

pub fn user(n: u128, role: Role) -> UserInfo {
    UserInfo {
        id: UserId(Uuid::from_u128(n)),
        username: format!("user{n}"),
        name: format!("Person {n}"),
        role,
        branch: Some(BranchInfo { id: BranchId(Uuid::from_u128(1000)), name: "Norte".into() }),
    }
}

impl Device {
    pub fn new() -> Device {
        Device::with(None)
    }

    /// On a platform that recognises fingers, if there is a sensor.
    pub fn with(sensor: Option<Arc<guarded::Sensor>>) -> Device {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyStore::given(keyring_core::mock::Store::new().unwrap());
        let now = Arc::new(AtomicI64::new(START));
        let app = app(folder.path(), &keys, &now, sensor.as_ref());
        Device { app, folder, keys, now, sensor }
    }

    /// As after an enrolment, with a server that is switched off.
    pub fn add(&self, user: &UserInfo) -> (Vault, StoreKey) {
        let device = DeviceId(Uuid::now_v7());
        let identity = Identity::new(user.clone(), device, "http://127.0.0.1:9".into()).unwrap();
        let session = ServerSession {
            access_token: "a".into(),
            token_type: TokenType::Bearer,
            ticket: None,
            expires_in_s: 900,
            refresh_token: "r".into(),
            user: user.clone(),
            colleagues: Vec::new(),
            server_ms: START,
            escrow: None,
        };
        let key = DeviceKey::generate(WallClock::system()).unwrap();
        self.app.create(&identity, &session, &key, PIN).unwrap()
    }

    pub async fn unlock(&self, user: &UserInfo) -> Arc<Session> {
        let request = UnlockRequest { user: user.id, pin: PIN.into() };
        self.app.unlock(request).await.unwrap();
        self.app.session().unwrap()
    }

    /// An officer at work with the scorecard.
    pub async fn ready() -> (Device, Arc<Session>) {
        let device = Device::new();
        let officer = user(1, Role::Officer);
        device.add(&officer);
        let session = device.unlock(&officer).await;
        install(&session, &scorecard());
        (device, session)
    }

    /// The same folder and key store after the process was started again.
    pub fn restarted(&mut self) {
        self.app.0.close();
        self.app = app(self.folder.path(), &self.keys, &self.now, self.sensor.as_ref());
    }

    pub fn pass(&self, ms: Millis) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn store_file(&self, user: &UserInfo) -> PathBuf {
        self.folder.path().join("users").join(user.id.to_string()).join("store.db")
    }

    /// Locks the app, and gives the folder of a user's store when that is closed: whoever was at work in the
    /// background may hold it open for a moment, and the last to close takes its log away.
    pub async fn closed(&self, user: &UserInfo) -> PathBuf {
        self.app.lock().await.unwrap();
        let folder = self.store_file(user).parent().unwrap().to_owned();
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while folder.join("store.db-wal").exists() {
            assert!(std::time::Instant::now() < patience, "the store is still open");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        folder
    }
}

fn app(folder: &Path, keys: &KeyStore, now: &Arc<AtomicI64>, sensor: Option<&Arc<guarded::Sensor>>) -> App {
    let now = now.clone();
    let config = AppConfig {
        data_dir: folder.to_owned(),
        keystore: keys.clone(),
        device_name: "test".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::new({
            let now = now.clone();
            move || now.load(Ordering::SeqCst)
        })
        .with_uptime(move || now.load(Ordering::SeqCst)),
    };
    match sensor {
        Some(sensor) => App::open_guarded(config, sensor.clone()),
        None => App::open(config),
    }
}

/// Activates a bundle as sync does.
pub fn install(session: &Session, bytes: &[u8]) {
    let model = Model::load(bytes).unwrap();
    session.store.write(|db| models::activate(db, &model, bytes, START)).unwrap();
}

pub fn fields(name: &str, document: &str, phone: &str, place: &str) -> ClientFields {
    [
        (ClientField::Name, name.to_owned()),
        (ClientField::Document, document.to_owned()),
        (ClientField::Phone, phone.to_owned()),
        (ClientField::Place, place.to_owned()),
    ]
    .into()
}

pub fn new_client(name: &str, document: &str) -> CreateClientRequest {
    CreateClientRequest {
        fields: fields(name, document, "300 123 4567", "Vereda El Salado"),
        consent: Consent { at: START, text_version: CONSENT_TEXT_VERSION.into() },
    }
}

/// A page as it comes from the wire.
pub fn page_of(pulled: vereda_domain::api::Pulled) -> crate::store::remote::Page {
    serde_json::from_str(&serde_json::to_string(&pulled).unwrap()).unwrap()
}

/// Answers that the model accepts: its own first golden vector.
pub fn answers(bytes: &[u8]) -> Inputs {
    Model::load(bytes).unwrap().bundle().golden[0].inputs.clone()
}

/// Fills an interview in, field by field.
pub async fn fill(app: &App, draft: vereda_domain::DraftId, inputs: &Inputs) {
    for (field, value) in inputs {
        let request = SaveFieldRequest { draft, field: field.clone(), value: Some(value.clone()) };
        assert_eq!(app.save_field(request).await.unwrap().problem, None);
    }
}

pub fn code<T: std::fmt::Debug>(result: Result<T, GatewayError>) -> ErrorCode {
    result.unwrap_err().code
}

pub fn is_damaged<T>(result: Result<T, DeviceError>) -> bool {
    matches!(result, Err(DeviceError::StoreDamaged(_)))
}

/// A client and an assessment, as an app makes them.
pub async fn made(
    device: &Device,
    session: &Session,
) -> (vereda_domain::record::ClientRecord, vereda_domain::record::AssessmentRecord) {
    let client = device.app.create_client(new_client("José Ñandú", "7")).await.unwrap().row.id;
    let draft = device.app.start_interview(ClientRequest { client }).await.unwrap().id;
    fill(&device.app, draft, &answers(&scorecard())).await;
    let scored = device.app.score(DraftRequest { draft }).await.unwrap().assessment.id;
    let read = |db: &rusqlite::Connection| {
        Ok((project::client(db, client)?.unwrap(), project::assessment(db, scored)?.unwrap()))
    };
    session.store.read(read).unwrap()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to below this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
