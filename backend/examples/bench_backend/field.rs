//! Officers' devices without the devices: their chains, pushed over HTTP.

use crate::chain::Chain;
use crate::people::{Applicants, PASSWORD};
use crate::{Failure, bundle};
use reqwest::Client;
use serde_json::value::RawValue;
use std::path::Path;
use uuid::Uuid;
use vereda_domain::api::{AddUser, DeviceInfo, EventOutcome, Push, Pushed, Role};
use vereda_domain::event::{EventBody, Hash};
use vereda_domain::hlc::Hlc;
use vereda_domain::{BranchId, ClientId, DeviceId, UserId};
use vereda_server::clock::now_ms;
use vereda_server::identity::keys;
use vereda_server::identity::people::People;
use vereda_server::identity::tokens::{Grant, Tokens};
use vereda_server::store::NewSession;
use vereda_server::{Config, server};

/// Branches, each with one officer who works; pushes of one branch take turns.
const BRANCHES: u64 = 8;
/// Of so many events one is a new client and one an assessment; the others are edits.
const EACH_CLIENT: usize = 5;
/// A session that outlives the measurement.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// One officer's device.
#[derive(Clone)]
pub struct Device {
    chain: Chain,
    grant: Whose,
    /// The clients of the portfolio, with when their telephone number was written.
    clients: Vec<(ClientId, Hlc)>,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Whose {
    user: UserId,
    branch: BranchId,
    device: DeviceId,
}

/// A data folder with the model, branches, officers and their devices: those at work, and one in a branch
/// of the others for comparisons.
pub async fn fill(folder: &Path) -> Result<(Vec<Device>, Device), Failure> {
    std::fs::create_dir_all(folder)?;
    let app = server::open(Config { data_dir: folder.to_owned(), ..Config::default() }).await?;
    app.models.publish(bundle()?, "bench").await.map_err(|error| format!("{error:?}"))?;
    let people = People::new(app.store.clone(), app.passwords.clone());
    let (mut devices, mut branches) = (Vec::new(), Vec::new());
    for seed in 0..=BRANCHES {
        let branch = match branches.get(usize::try_from(seed)? % usize::try_from(BRANCHES)?) {
            Some(branch) => *branch,
            None => people.add_branch(&format!("Sucursal {seed}")).await?.id,
        };
        branches.push(branch);
        let officer = AddUser {
            username: format!("officer-{seed}"),
            name: format!("Officer {seed}"),
            password: PASSWORD.into(),
            role: Role::Officer,
            branch: Some(branch),
        };
        let user = people.add_user(officer).await?.id;
        let device = DeviceId(Uuid::now_v7());
        let session = NewSession {
            family: Uuid::now_v7(),
            user,
            device: Some(DeviceInfo { id: device, name: "bench".into(), platform: "linux".into() }),
            key: None,
            follows: None,
            token: Hash::of(device.0.as_bytes()),
            now: now_ms(),
            expires: now_ms() + DAY_MS,
        };
        app.store.open_session(session).await?;
        let chain = Chain::new(device, user, branch);
        devices.push(Device { chain, grant: Whose { user, branch, device }, clients: Vec::new(), seed });
    }
    let compared = devices.pop().ok_or("no device")?;
    Ok((devices, compared))
}

/// A device at work.
pub struct Worker {
    device: Device,
    applicants: Applicants,
    http: Client,
    tokens: Tokens,
    made: usize,
}

impl Worker {
    /// Goes on where the device is; it signs its own tokens, with the keys of this data folder.
    pub fn new(device: Device, data: &Path) -> Result<Worker, Failure> {
        let applicants = Applicants::new(1000 * device.chain.len() + device.seed)?;
        let config = Config::default();
        let (signing, refresh) = (keys::signing_keys(data)?, keys::refresh_secret(data)?);
        let tokens = Tokens::new(config.tokens, signing, refresh)?;
        Ok(Worker { device, applicants, http: Client::new(), tokens, made: 0 })
    }

    /// As it is now.
    pub fn device(self) -> Device {
        self.device
    }

    fn token(&self) -> Result<String, Failure> {
        let Whose { user, branch, device } = self.device.grant;
        let grant = Grant { device: Some(device), ..Grant::new(user, Role::Officer, Some(branch)) };
        Ok(self.tokens.issue(grant)?)
    }

    /// The next events of the chain, sealed: captures, assessments, and edits all over the portfolio.
    pub fn events(&mut self, count: usize) -> Result<Vec<Box<RawValue>>, Failure> {
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            let at = now_ms();
            let place = self.made % EACH_CLIENT;
            self.made += 1;
            let clients = &self.device.clients;
            let some = usize::try_from(self.applicants.random.below(clients.len().max(1) as u64))?;
            let (body, written) = match (place, clients.last(), clients.get(some)) {
                (1, Some((newest, _)), _) => (self.applicants.assessed(*newest)?, None),
                (2.., _, Some((client, before))) => {
                    (edited(&mut self.applicants, *client, *before), Some(some))
                }
                _ => {
                    let client = ClientId(self.applicants.id(at));
                    self.device.clients.push((client, self.device.chain.last()));
                    (self.applicants.captured(client, at), Some(self.device.clients.len() - 1))
                }
            };
            events.push(self.device.chain.next(at, body)?);
            if let Some((_, last)) = written.and_then(|place| self.device.clients.get_mut(place)) {
                *last = self.device.chain.last();
            }
        }
        Ok(events)
    }

    /// Pushes them; every one must be stored, and is on the disk then.
    pub async fn push(&self, server: &str, events: Vec<Box<RawValue>>) -> Result<usize, Failure> {
        let push = Push { events, device_ms: now_ms() };
        let request =
            self.http.post(format!("{server}/api/sync/push")).bearer_auth(self.token()?).json(&push);
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let pushed: Pushed = serde_json::from_slice(&body)?;
        match pushed.results.iter().find(|result| result.outcome != EventOutcome::Stored) {
            Some(held) => Err(format!("an event was not stored: {held:?}").into()),
            None => Ok(pushed.results.len()),
        }
    }

    /// Pulls the first changes of the portfolio; how many bytes came.
    pub async fn pull(&self, server: &str, limit: u32) -> Result<usize, Failure> {
        let url = format!("{server}/api/sync/pull?cursor=0&limit={limit}");
        let answer = self.http.get(url).bearer_auth(self.token()?).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.len())
    }
}

/// A new telephone number in place of the one before.
fn edited(applicants: &mut Applicants, client: ClientId, before: Hlc) -> EventBody {
    let mut body = applicants.edited(client);
    if let EventBody::ClientEdited { edits, .. } = &mut body {
        edits.values_mut().for_each(|edit| edit.replaces = vec![before]);
    }
    body
}
