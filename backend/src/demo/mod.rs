//! `vereda-server demo`: a server with sample branches, people and portfolios, to try the product
//! with. Everything goes in through the same doors as in real use: people through
//! [`crate::identity::people`], the model through [`crate::models`], and the portfolios as chains of
//! events that are judged, folded and scored again like any device's.

mod applicants;
mod portfolio;

use crate::clock::now_ms;
use crate::config::Config;
use crate::error::ServerError;
use crate::http::Shared;
use crate::identity::keys;
use crate::server::{self, Running};
use crate::store::{NewSession, Opened};
use crate::sync::{PushError, Pusher};
use serde::Serialize;
use vereda_domain::api::{
    AddService, AddUser, DeviceInfo, IssuedSecret, MAX_PUSH_EVENTS, Person, Push, Role, Scope,
};
use vereda_domain::event::{Hash, Sealed};
use vereda_domain::{BranchId, DeviceId};
use vereda_scoring::Model;

/// The first model. Version 2 is for the analyst to publish, as part of the story.
const SCORECARD: &[u8] = include_bytes!("../../../models/bundles/reference-scorecard-1.json");

/// There while the sample data is being written: found at a start, the last one was interrupted.
const UNFINISHED: &str = "demo-unfinished";

/// What the demonstration prints when it is ready.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Always true.
    pub ready: bool,
    /// The API's address.
    pub api: String,
    /// The address of metrics and health.
    pub metrics: String,
    /// The sample sign-ins.
    pub users: Vec<SampleUser>,
    /// What the sample system signs in with: another secret at each start, for only its hash is kept.
    pub service: SampleService,
}

/// What the sample system signs in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleService {
    /// Its name.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// One sample sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleUser {
    /// What they sign in with.
    pub username: &'static str,
    /// No secret: it opens invented data on this machine.
    pub password: &'static str,
    /// What they may do.
    pub role: Role,
    /// Their branch's name.
    pub branch: Option<&'static str>,
    /// What people call them.
    #[serde(skip)]
    name: &'static str,
}

const NORTH: &str = "Sucursal Norte";
const SOUTH: &str = "Sucursal Sur";

const fn user(
    username: &'static str,
    password: &'static str,
    role: Role,
    branch: Option<&'static str>,
    name: &'static str,
) -> SampleUser {
    SampleUser { username, password, role, branch, name }
}

/// Who is there. The names are as invented as the clients'.
const USERS: [SampleUser; 8] = [
    user("oficial1", "demo-oficial1", Role::Officer, Some(NORTH), "Ana Ejemplo"),
    user("oficial2", "demo-oficial2", Role::Officer, Some(NORTH), "Benito Muestra"),
    user("gerente1", "demo-gerente1", Role::Manager, Some(NORTH), "Carmen Modelo"),
    user("oficial3", "demo-oficial3", Role::Officer, Some(SOUTH), "Darío Ensayo"),
    user("oficial4", "demo-oficial4", Role::Officer, Some(SOUTH), "Elvira Maqueta"),
    user("gerente2", "demo-gerente2", Role::Manager, Some(SOUTH), "Fabián Boceto"),
    user("analista", "demo-analista", Role::Analyst, None, "Gloria Prueba"),
    user("admin", "demo-admin-1", Role::Admin, None, "Hugo Simulacro"),
];

/// The sample system.
const SERVICE: &str = "servicio";

/// Opens the sample database, filling it if it is empty, and serves it.
///
/// # Errors
/// See [`ServerError`].
pub async fn start(config: Config, clients: usize) -> Result<(Running, Sample), ServerError> {
    let unfinished = config.data_dir.join(UNFINISHED);
    if unfinished.exists() {
        forget(&config)?;
    }
    let app = server::open(config).await?;
    if app.store.users().await?.is_empty() {
        let failed =
            |source| ServerError::File { doing: "mark the start in", path: unfinished.clone(), source };
        std::fs::write(&unfinished, b"").map_err(failed)?;
        fill(&app, clients).await?;
        std::fs::remove_file(&unfinished).map_err(failed)?;
        // If it came back, all would be forgotten.
        unfinished.parent().map_or(Ok(()), keys::sync_folder).map_err(failed)?;
    }
    let service = secret(&app).await?;
    let running = server::serve(app).await?;
    let (api, metrics) = (running.api_url(), running.metrics_url());
    let sample = Sample { ready: true, api, metrics, users: USERS.to_vec(), service };
    Ok((running, sample))
}

/// A new secret for the sample system, in the place of those of before.
async fn secret(app: &Shared) -> Result<SampleService, ServerError> {
    let people = app.people();
    let id = people.named(SERVICE).await?.id;
    for account in people.services().await?.into_iter().filter(|account| account.id == id) {
        for secret in account.secrets {
            people.revoke_secret(id, secret.id).await?;
        }
    }
    let IssuedSecret { client_id, client_secret, .. } = people.issue_secret(id).await?;
    Ok(SampleService { client_id, client_secret })
}

/// Takes away what an interrupted start wrote: invented data, of which nothing is missed.
fn forget(config: &Config) -> Result<(), ServerError> {
    for name in ["vereda.db", "vereda.db-wal", "vereda.db-shm"] {
        let path = config.data_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(ServerError::File { doing: "take away the unfinished", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

async fn fill(app: &Shared, clients: usize) -> Result<(), ServerError> {
    let people = app.people();
    let north = people.add_branch(NORTH).await?.id;
    let south = people.add_branch(SOUTH).await?.id;
    let (manifest, _) = app.models.publish(SCORECARD.to_vec(), "Gloria Prueba").await?;
    let model = app.models.version(manifest.version).await?;
    let model = model.ok_or_else(|| ServerError::Bundle("the first model is not there".into()))?;
    let mut officers = Vec::new();
    let mut managers = Vec::new();
    for sample in USERS {
        let branch = sample.branch.map(|name| if name == NORTH { north } else { south });
        let new = AddUser {
            username: sample.username.into(),
            name: sample.name.into(),
            password: sample.password.into(),
            role: sample.role,
            branch,
        };
        let user = people.add_user(new).await?;
        match (sample.role, branch) {
            (Role::Officer, Some(branch)) => officers.push((user, branch)),
            (Role::Manager, Some(branch)) => managers.push((user, branch)),
            _ => {}
        }
    }
    let service = AddService {
        username: SERVICE.into(),
        name: "Sistema de ejemplo".into(),
        scopes: Scope::ALL.to_vec(),
        branch: None,
    };
    people.add_service(service).await?;
    fill_portfolios(app, &model, &officers, &managers, clients).await
}

async fn fill_portfolios(
    app: &Shared,
    model: &Model,
    officers: &[(Person, BranchId)],
    managers: &[(Person, BranchId)],
    clients: usize,
) -> Result<(), ServerError> {
    let now = now_ms();
    let mut referred = Vec::new();
    for (index, (user, branch)) in officers.iter().enumerate() {
        let device = enrol(app, user).await?;
        let author = portfolio::Author { user: user.id, branch: *branch, device };
        let applicants = applicants::of_officer(model, index, clients)?;
        let (events, open) = portfolio::of_officer(author, model, &applicants, index, now)?;
        push(app, author, Role::Officer, &events).await?;
        referred.extend(open);
        tracing::info!(
            officer = index + 1,
            clients = applicants.len(),
            events = events.len(),
            "portfolio filled"
        );
    }
    for (index, (user, branch)) in managers.iter().enumerate() {
        let device = enrol(app, user).await?;
        let author = portfolio::Author { user: user.id, branch: *branch, device };
        let events = portfolio::of_manager(author, &referred, index, now)?;
        push(app, author, Role::Manager, &events).await?;
    }
    Ok(())
}

/// Gives a user the device that the sample events come from.
async fn enrol(app: &Shared, user: &Person) -> Result<DeviceId, ServerError> {
    let id = DeviceId(uuid::Uuid::now_v7());
    let now = now_ms();
    let session = NewSession {
        family: uuid::Uuid::now_v7(),
        user: user.id,
        device: Some(DeviceInfo { id, name: "Datos de ejemplo".into(), platform: "linux".into() }),
        key: None,
        // Nobody knows a token with this hash: the session exists for the device alone.
        follows: None,
        token: Hash(crate::identity::keys::random()?),
        now,
        expires: now,
    };
    match app.store.open_session(session).await? {
        Opened::Opened => Ok(id),
        Opened::DeviceOfAnother | Opened::DeviceRevoked | Opened::OtherKey => {
            Err(ServerError::People("the sample device is another user's, or revoked".into()))
        }
    }
}

async fn push(
    app: &Shared,
    author: portfolio::Author,
    role: Role,
    events: &[Sealed],
) -> Result<(), ServerError> {
    let pusher = Pusher { user: author.user, role, branch: author.branch, device: author.device };
    let unreadable = |why: &dyn std::fmt::Display| ServerError::Bundle(format!("the sample events: {why}"));
    for chunk in events.chunks(MAX_PUSH_EVENTS) {
        let events = chunk
            .iter()
            .map(|event| serde_json::value::RawValue::from_string(event.text.clone()))
            .collect::<Result<_, _>>()
            .map_err(|e| unreadable(&e))?;
        let pushed = app.sync.push(pusher, Push { events, device_ms: now_ms() }).await;
        let pushed = pushed.map_err(|error| match error {
            PushError::Server(error) => error,
            other => unreadable(&format!("{other:?}")),
        })?;
        if let Some(kept) =
            pushed.results.iter().find(|r| r.outcome != vereda_domain::api::EventOutcome::Stored)
        {
            return Err(unreadable(&format!("{kept:?}")));
        }
    }
    Ok(())
}
