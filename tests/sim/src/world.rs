//! The people, their devices, and what they do.

use crate::Report;
use crate::intruder::{self, Intruder};
use crate::network::{Network, Weather};
use crate::server::{PASSWORD, PEOPLE, Server};
use anyhow::{Context as _, Result, bail, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::event::{Hash, OverrideCode, OverrideReason};
use vereda_domain::gateway::*;
use vereda_domain::{AssessmentId, ClientId, Decision, Millis};
use vereda_scoring::{Inputs, Model};

const SCORECARD: &[u8] = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
const BOOSTED: &[u8] = include_bytes!("../../../models/bundles/reference-boosted-2.json");
const PIN: &str = "274913";
/// Things that people do under one seed.
const STEPS: u32 = 40;
const HOUR: Millis = 3_600_000;

/// The true time.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// One machine with its way to the server.
pub struct Device {
    /// Who uses it.
    pub username: &'static str,
    /// The core, as the window has it.
    pub app: App,
    /// Its way to the server.
    pub network: Network,
    /// Events that were captured on it: every command that was answered well.
    pub captured: u64,
    /// Receipts that were shown to its user.
    pub receipts: Vec<(u64, Hash)>,
    folder: tempfile::TempDir,
    keys: KeyStore,
    offset: Arc<AtomicI64>,
}

impl Device {
    /// Enrols, over a network that is fair.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn enrol(server: &Server, username: &'static str, seed: u64) -> Result<Device> {
        let network = Network::to(server.address(), seed).await?;
        let folder = crate::folder()?;
        let keys = KeyStore::given(keyring_core::mock::Store::new().context("a key store")?);
        let offset = Arc::new(AtomicI64::new(0));
        let app = open(folder.path(), &keys, &offset);
        let request = EnrolRequest {
            server: network.url(),
            username: username.into(),
            password: PASSWORD.into(),
            pin: PIN.into(),
        };
        app.enrol(request).await.map_err(told)?;
        let (captured, receipts) = (0, Vec::new());
        let device = Device { username, app, network, captured, receipts, folder, keys, offset };
        device.app.sync_now().await.map_err(told)?;
        Ok(device)
    }

    /// The process dies without a word and starts again.
    async fn kill(&mut self) -> Result<()> {
        let stand_in = open(std::path::Path::new("/nonexistent"), &self.keys, &self.offset);
        drop(std::mem::replace(&mut self.app, stand_in));
        self.app = open(self.folder.path(), &self.keys, &self.offset);
        self.unlock().await
    }

    async fn unlock(&self) -> Result<()> {
        let user = self.app.status().await.map_err(told)?.user.context("nobody is enrolled")?.id;
        self.app.unlock(UnlockRequest { user, pin: PIN.into() }).await.map_err(told)?;
        Ok(())
    }

    /// Its clock minus the true one.
    pub fn set_clock(&self, offset: Millis) {
        self.offset.store(offset, Ordering::SeqCst);
    }

    /// The device's own time.
    fn time(&self) -> Millis {
        now().saturating_add(self.offset.load(Ordering::SeqCst))
    }

    /// Unlocks if a jump of the clock has locked it, and asks for the password if the session ended.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn awake(&self) -> Result<()> {
        if self.app.status().await.map_err(told)?.phase != Phase::Open {
            self.unlock().await?;
        }
        Ok(())
    }

    /// Signs in again, as the sync page asks for.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn sign_in_again(&self) -> Result<()> {
        self.app.sign_in_again(SignInAgainRequest { password: PASSWORD.into() }).await.map_err(told)?;
        Ok(())
    }

    /// Syncs once, and keeps the receipt.
    ///
    /// # Errors
    /// When the app itself fails; that the network does is no error.
    pub async fn sync(&mut self) -> Result<SyncView> {
        self.awake().await?;
        let view = self.app.sync_now().await.map_err(told)?;
        if let Some(receipt) = &view.receipt {
            self.receipts.push((receipt.seq, receipt.hash));
        }
        Ok(view)
    }

    /// Everything that its user sees, without what is the device's alone.
    ///
    /// # Errors
    /// When a screen cannot be drawn.
    pub async fn sees(&self) -> Result<serde_json::Value> {
        self.awake().await?;
        let page = PortfolioRequest { limit: 10_000, ..PortfolioRequest::default() };
        let mut clients = serde_json::Map::new();
        for row in self.app.portfolio(page).await.map_err(told)?.rows {
            let view = self.app.client(ClientRequest { client: row.id }).await.map_err(told)?;
            let mut shown = serde_json::to_value(&view)?;
            let mut scores = Vec::new();
            for score in &view.scores {
                let request = AssessmentRequest { assessment: score.assessment };
                let view = self.app.assessment(request).await.map_err(told)?;
                ensure!(
                    view.delivery == Delivery::Delivered,
                    "a score of {} is not delivered",
                    self.username
                );
                let mut shown = serde_json::to_value(&view)?;
                forget(&mut shown, &["may_decide", "schema", "groups", "delivery"]);
                scores.push(shown);
            }
            forget(&mut shown, &["draft", "editable"]);
            for (n, one) in view.attachments.iter().enumerate() {
                ensure!(!one.waiting, "a file of {} was not sent", self.username);
                let Some(file) = one.attachment.file() else { continue };
                let request = FileRequest { client: row.id, sha256: file.sha256 };
                let data = self.app.file(request).await.map_err(told)?.data;
                shown["attachments"][n]["data"] = data.into();
                forget(&mut shown["attachments"][n], &["here"]);
            }
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("assessments".into(), scores.into());
            }
            clients.insert(row.id.to_string(), shown);
        }
        Ok(clients.into())
    }
}

fn forget(value: &mut serde_json::Value, names: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        for name in names {
            object.remove(*name);
        }
    }
}

fn open(folder: &std::path::Path, keys: &KeyStore, offset: &Arc<AtomicI64>) -> App {
    let offset = offset.clone();
    App::open_simulated(AppConfig {
        data_dir: folder.to_owned(),
        keystore: keys.clone(),
        device_name: "simulated".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::new(move || now().saturating_add(offset.load(Ordering::SeqCst))),
    })
}

/// A refusal of the app as an error.
pub fn told(error: GatewayError) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", error.code.as_str(), error.message)
}

/// Everything under one seed.
pub struct World {
    /// Decides what people do.
    pub rng: fastrand::Rng,
    /// The server.
    pub server: Server,
    /// Officers' devices, and last the manager's.
    pub devices: Vec<Device>,
    /// Sends what must be quarantined.
    pub intruder: Intruder,
    inputs: Vec<Inputs>,
    report: Report,
    published: bool,
}

impl World {
    /// A server with a model, and everybody enrolled.
    ///
    /// # Errors
    /// When that fails.
    pub async fn new(seed: u64) -> Result<World> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let server = Server::start().await?;
        server.publish(SCORECARD).await?;
        let mut devices = Vec::new();
        for (username, _) in PEOPLE {
            devices.push(Device::enrol(&server, username, rng.u64(..)).await?);
        }
        // One officer has a second device.
        devices.insert(1, Device::enrol(&server, PEOPLE[0].0, rng.u64(..)).await?);
        let model = Model::load(SCORECARD)?;
        let inputs = model.bundle().golden.iter().map(|golden| golden.inputs.clone()).collect();
        let intruder = Intruder::enrol(&server).await?;
        Ok(World { rng, server, devices, intruder, inputs, report: Report::default(), published: false })
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        let (requests, harmed) = self
            .devices
            .iter()
            .map(|device| device.network.counts())
            .fold((0, 0), |(all, harmed), (more, worse)| (all + more, harmed + worse));
        let events = self.devices.iter().map(|device| device.captured).sum();
        Report { requests, harmed, events, ..self.report }
    }

    /// Lets people do things.
    ///
    /// # Errors
    /// When something fails that no weather explains.
    pub async fn live(&mut self) -> Result<()> {
        for device in &self.devices {
            device.network.set(Weather::Down);
        }
        for step in 0..STEPS {
            let which = self.rng.usize(0..self.devices.len());
            let what = self.rng.u32(0..100);
            self.step(which, what).await.with_context(|| {
                format!("step {step}: action {what} on device {which} ({})", self.devices[which].username)
            })?;
        }
        Ok(())
    }

    async fn step(&mut self, which: usize, what: u32) -> Result<()> {
        self.report.actions += 1;
        self.devices[which].awake().await?;
        match what {
            0..15 => self.capture(which).await,
            15..27 => self.edit(which).await,
            27..30 => self.attach(which).await,
            30..45 => self.assess(which).await,
            45..57 => self.decide(which).await,
            57..75 => self.sync(which, Weather::Foul).await,
            75..80 => self.sync(which, Weather::Fair).await,
            80..85 => self.sync_together().await,
            85..89 => self.die_in_sync(which).await,
            89..93 => {
                let hours = [-9000, -30, -1, 0, 1, 30, 9000];
                let jump = hours[self.rng.usize(0..hours.len())] * HOUR;
                self.devices[which].set_clock(jump);
                Ok(())
            }
            93..95 => {
                self.devices[which].network.deliver_late().await;
                Ok(())
            }
            95..97 => self.restart_server().await,
            97..99 => {
                let body = intruder::body(&mut self.rng);
                self.intruder.push(&self.server, body, now()).await
            }
            _ => self.publish().await,
        }
    }

    fn is_manager(&self, which: usize) -> bool {
        which + 1 == self.devices.len()
    }

    async fn capture(&mut self, which: usize) -> Result<()> {
        if self.is_manager(which) {
            return self.decide(which).await;
        }
        let device = &mut self.devices[which];
        let number = self.rng.u32(1_000_000..2_000_000);
        let request = CreateClientRequest {
            fields: [
                (ClientField::Name, format!("Persona {number}")),
                (ClientField::Document, number.to_string()),
                (ClientField::Phone, format!("300 {number}")),
                (ClientField::Place, "Vereda El Salado".to_owned()),
            ]
            .into(),
            consent: Consent { at: device.time(), text_version: CONSENT_TEXT_VERSION.into() },
        };
        device.app.create_client(request).await.map_err(told)?;
        device.captured += 1;
        Ok(())
    }

    async fn any_client(&mut self, which: usize) -> Result<Option<ClientId>> {
        let page = PortfolioRequest { limit: 1000, ..PortfolioRequest::default() };
        let mut rows = self.devices[which].app.portfolio(page).await.map_err(told)?.rows;
        // In an order that the seed alone decides: ids hold random bits.
        rows.sort_by(|a, b| a.document.cmp(&b.document));
        let at = self.rng.usize(..);
        Ok((!rows.is_empty()).then(|| rows[at % rows.len()].id))
    }

    async fn attach(&mut self, which: usize) -> Result<()> {
        let Some(client) = self.any_client(which).await? else { return self.capture(which).await };
        let (x, y) = (self.rng.f32(), self.rng.f32() * PAD_HEIGHT);
        let what = NewAttachment::Signature { strokes: vec![vec![(0.0, 0.0), (x, y), (1.0, 0.1)]] };
        let device = &mut self.devices[which];
        device.app.attach(AttachRequest { client, what }).await.map_err(told)?;
        device.captured += 1;
        Ok(())
    }

    async fn edit(&mut self, which: usize) -> Result<()> {
        let Some(client) = self.any_client(which).await? else { return self.capture(which).await };
        let value = format!("301 {}", self.rng.u32(1_000_000..2_000_000));
        let fields = [(ClientField::Phone, value)].into();
        let device = &mut self.devices[which];
        device.app.edit_client(EditClientRequest { client, fields }).await.map_err(told)?;
        device.captured += 1;
        Ok(())
    }

    async fn assess(&mut self, which: usize) -> Result<()> {
        let Some(client) = self.any_client(which).await? else { return self.capture(which).await };
        if self.is_manager(which) {
            return self.decide(which).await;
        }
        let inputs = self.inputs[self.rng.usize(0..self.inputs.len())].clone();
        let device = &mut self.devices[which];
        let mut draft = device.app.start_interview(ClientRequest { client }).await.map_err(told)?.id;
        let fields: Vec<_> = inputs.into_iter().collect();
        // Sometimes the phone dies in the middle; what was typed is there afterwards.
        let dies_at = if self.rng.u8(0..8) == 0 { self.rng.usize(0..fields.len()) } else { usize::MAX };
        for (at, (field, value)) in fields.iter().enumerate() {
            if at == dies_at {
                self.report.kills += 1;
                device.kill().await?;
                let open = device.app.start_interview(ClientRequest { client }).await.map_err(told)?;
                draft = open.id;
                for (field, value) in &fields[..at] {
                    ensure!(open.inputs.get(field) == Some(value), "{field} of a draft was lost in a kill");
                }
            }
            let request = SaveFieldRequest { draft, field: field.clone(), value: Some(value.clone()) };
            let saved = device.app.save_field(request).await.map_err(told)?;
            ensure!(saved.problem.is_none(), "{field} was not accepted: {:?}", saved.problem);
        }
        let scored = device.app.score(DraftRequest { draft }).await.map_err(told)?;
        device.captured += 1;
        if self.rng.bool() {
            self.decide_on(which, scored.assessment.id).await?;
        }
        Ok(())
    }

    async fn decide(&mut self, which: usize) -> Result<()> {
        let Some(client) = self.any_client(which).await? else { return Ok(()) };
        let app = &self.devices[which].app;
        let scores = app.client(ClientRequest { client }).await.map_err(told)?.scores;
        let Some(score) = scores.first() else { return Ok(()) };
        let assessment = score.assessment;
        self.decide_on(which, assessment).await
    }

    async fn decide_on(&mut self, which: usize, assessment: AssessmentId) -> Result<()> {
        let device = &mut self.devices[which];
        let view = match device.app.assessment(AssessmentRequest { assessment }).await {
            // It was pulled, and the network broke before the model came that it was scored with.
            Err(error) if error.code == ErrorCode::NoModel => return Ok(()),
            other => other.map_err(told)?,
        };
        if !view.may_decide {
            return Ok(());
        }
        let decision = [Decision::Approve, Decision::Refer, Decision::Refuse][self.rng.usize(0..3)];
        let override_reason = (decision != view.suggested)
            .then(|| OverrideReason { code: OverrideCode::Policy, words: "va a comité".into() });
        let request = DecideRequest { assessment, decision, override_reason };
        device.app.decide(request).await.map_err(told)?;
        device.captured += 1;
        Ok(())
    }

    async fn sync(&mut self, which: usize, weather: Weather) -> Result<()> {
        let device = &mut self.devices[which];
        device.network.set(weather);
        let view = device.sync().await;
        device.network.set(Weather::Down);
        refuse_the_unexplained(&view?)
    }

    /// Everybody at once, as when a branch's network returns.
    async fn sync_together(&mut self) -> Result<()> {
        for device in &self.devices {
            device.awake().await?;
            device.network.set(Weather::Foul);
        }
        let syncs: Vec<_> = self
            .devices
            .iter()
            .map(|device| {
                let app = device.app.clone();
                tokio::spawn(async move { app.sync_now().await })
            })
            .collect();
        for (sync, device) in syncs.into_iter().zip(&mut self.devices) {
            let view = sync.await?.map_err(told)?;
            device.network.set(Weather::Down);
            if let Some(receipt) = &view.receipt {
                device.receipts.push((receipt.seq, receipt.hash));
            }
            refuse_the_unexplained(&view)?;
        }
        Ok(())
    }

    /// The process dies after any of the requests of a sync.
    async fn die_in_sync(&mut self, which: usize) -> Result<()> {
        self.report.kills += 1;
        let requests = self.rng.u64(1..8);
        let device = &mut self.devices[which];
        device.network.set(Weather::Foul);
        let app = device.app.clone();
        let network = device.network.clone();
        tokio::select! {
            _ = app.sync_now() => {}
            () = network.after(requests) => {}
        }
        drop(app);
        device.network.set(Weather::Down);
        device.kill().await
    }

    async fn restart_server(&mut self) -> Result<()> {
        self.report.restarts += 1;
        self.server.stop().await;
        self.server.start_again().await
    }

    async fn publish(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.published, true) {
            self.server.publish(BOOSTED).await?;
        }
        Ok(())
    }

    /// Stops everything.
    pub async fn end(mut self) {
        for device in &self.devices {
            device.network.close();
        }
        self.devices.clear();
        self.server.stop().await;
    }
}

/// What a network, a clock or a session that ended explains may block a sync; nothing else may.
fn refuse_the_unexplained(view: &SyncView) -> Result<()> {
    match view.line.state {
        SyncState::Blocked {
            code:
                ErrorCode::ClockOff
                | ErrorCode::SessionExpired
                | ErrorCode::ForeignServer
                | ErrorCode::ServerError
                | ErrorCode::TooManyAttempts,
        } => Ok(()),
        SyncState::Blocked { code } => bail!("sync is blocked: {} {:?}", code.as_str(), view.last_error),
        _ => Ok(()),
    }
}
