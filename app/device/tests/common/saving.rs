//! An officer's work that a program of its own does (`examples/save_fields.rs`), until something ends it.

use super::*;
use std::path::{Path, PathBuf};
use vereda_domain::{ClientId, UserId};
use vereda_scoring::Value;

/// What the program does it to, and with what it is looked at afterwards.
pub struct Saving {
    pub server: Server,
    pub folder: tempfile::TempDir,
    store: Arc<keyring_core::sample::Store>,
}

/// What was acknowledged, or what is there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The last answer that was typed.
    pub field: u32,
    /// The number of the last client, and how many there are.
    pub client: u32,
    pub clients: u32,
    /// Who works with whom, when the program enrolled by itself.
    pub enrolled: Option<UserId>,
    pub with: Option<ClientId>,
}

impl Told {
    /// One line of the program.
    pub fn note(&mut self, line: &str) {
        let (what, which) = line.split_once(' ').unwrap();
        match what {
            "field" => self.field = which.parse().unwrap(),
            "client" => (self.client, self.clients) = (which.parse().unwrap(), self.clients + 1),
            "user" => self.enrolled = Some(which.parse().unwrap()),
            "first" => (self.with, self.clients) = (Some(which.parse().unwrap()), 1),
            _ => panic!("{line}"),
        }
    }
}

impl Saving {
    /// An enrolled officer with a client and a model; the server is not there any more.
    pub async fn begin() -> (Saving, Told) {
        let mut saving = Saving::new().await;
        let app = open_with(&saving.data(), saving.keys());
        let user = app.enrol(enrol(&saving.server.url(), "ana")).await.unwrap().user.unwrap().id;
        saving.store.save().unwrap();
        app.sync_now().await.unwrap();
        let fields =
            [(ClientField::Name, "Persona".to_owned()), (ClientField::Document, "77777777".to_owned())];
        let consent = Consent { at: now(), text_version: CONSENT_TEXT_VERSION.into() };
        let client = app.create_client(CreateClientRequest { fields: fields.into(), consent }).await.unwrap();
        app.lock().await.unwrap();
        saving.server.stop().await;
        let told = Told { clients: 1, enrolled: Some(user), with: Some(client.row.id), ..Told::default() };
        (saving, told)
    }

    /// A device that nobody has used, and a server.
    pub async fn new() -> Saving {
        let server = Server::start().await;
        server.publish(SCORECARD).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let keys = folder.path().join("keys").to_str().unwrap().to_owned();
        let store = keyring_core::sample::Store::new_with_backing(&keys).unwrap();
        Saving { server, folder, store }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("root/data")
    }

    /// Cargo builds examples next to tests.
    pub fn program() -> PathBuf {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.join("examples").join(format!("save_fields{}", std::env::consts::EXE_SUFFIX))
    }

    /// What it is told: to go on from there, or to enrol.
    pub fn arguments(&self, told: Told) -> Vec<String> {
        let keys = self.folder.path().join("keys");
        let paths = [self.data(), keys].map(|path| path.to_str().unwrap().to_owned());
        let rest = match (told.enrolled, told.with) {
            (Some(user), Some(client)) => {
                [user.to_string(), client.to_string(), (told.field + 1).to_string()]
            }
            _ => [self.server.url(), "ana".to_owned(), PASSWORD.to_owned()],
        };
        paths.into_iter().chain(rest).collect()
    }

    /// The key store has what the program gave to it.
    pub fn read_keys(&mut self) {
        let keys = self.folder.path().join("keys").to_str().unwrap().to_owned();
        self.store = keyring_core::sample::Store::new_with_backing(&keys).unwrap();
    }

    /// The officer unlocks what is in a folder.
    pub async fn unlocked(&self, data: &Path, told: Told) -> App {
        let app = open_with(data, self.keys());
        app.unlock(UnlockRequest { user: told.enrolled.unwrap(), pin: PIN.into() }).await.unwrap();
        app
    }

    pub fn keys(&self) -> KeyStore {
        KeyStore::given(self.store.clone())
    }

    /// All that was acknowledged is there, and at most the one thing that was under way; says what is.
    pub async fn look(&self, app: &App, told: Told) -> Told {
        let draft = app.start_interview(ClientRequest { client: told.with.unwrap() }).await.unwrap();
        let field = match draft.inputs.get("amount") {
            Some(Value::Number(amount)) => *amount as u32,
            _ => 0,
        };
        assert!(field == told.field || field == told.field + 1, "{field} is kept, {told:?} acknowledged");
        assert_eq!(draft.focus.as_deref(), (field > 0).then_some("amount"));
        let clients = app.portfolio(PortfolioRequest { limit: 1, ..Default::default() }).await.unwrap().total;
        let all = clients == told.clients || clients == told.clients + 1;
        assert!(all, "{clients} are kept, {told:?} acknowledged");
        if told.client > 0 {
            let query = told.client.to_string();
            let request = PortfolioRequest { query: query.clone(), limit: 200, ..Default::default() };
            let found = app.portfolio(request).await.unwrap();
            assert!(found.rows.iter().any(|row| row.document == query), "client {query} is not found");
        }
        Told { field, clients, ..told }
    }

    /// The server is back, and takes the whole chain.
    pub async fn delivers(&mut self, app: &App, there: Told) {
        self.server.start_again().await;
        let view = app.sync_now().await.unwrap();
        assert_eq!((view.line.waiting, view.line.quarantined), (0, 0), "{view:#?}");
        assert_eq!(view.receipt.unwrap().seq, u64::from(there.clients));
    }
}

fn open_with(data: &Path, keystore: KeyStore) -> App {
    App::open(AppConfig {
        data_dir: data.to_owned(),
        keystore,
        device_name: "ended".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::system(),
    })
}
