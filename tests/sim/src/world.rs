//! The people, their devices, and what they do.

use crate::Report;
use crate::intruder::{self, Intruder};
use crate::network::{Network, Weather};
use crate::server::{PASSWORD, PEOPLE, Server};
use crate::time::Time;
use crate::verdict;
use anyhow::{Context as _, Result, bail, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
/// Devices in the beginning: each person's, and an officer's second one.
const FIRST_DEVICES: usize = PEOPLE.len() + 1;
/// Devices that come later, at most.
const LATER_DEVICES: usize = 2;
const HOUR: Millis = 3_600_000;

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
    time: Time,
    offset: Arc<AtomicI64>,
    /// By how many pages its store can still grow, when its disk is full.
    room: Option<u32>,
}

impl Device {
    /// Enrols, over a network that is fair.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn enrol(server: &Server, time: &Time, username: &'static str, seed: u64) -> Result<Device> {
        let device = Device::begun(server, time, username, seed).await?;
        device.network.set(Weather::Fair);
        device.app.sync_now().await.map_err(told)?;
        Ok(device)
    }

    /// Enrols, and has pulled nothing yet.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn begun(server: &Server, time: &Time, username: &'static str, seed: u64) -> Result<Device> {
        let network = Network::to(server.address(), time, seed).await?;
        let folder = crate::folder()?;
        let keys = KeyStore::given(keyring_core::mock::Store::new().context("a key store")?);
        let offset = Arc::new(AtomicI64::new(0));
        let app = open(folder.path(), &keys, time, &offset);
        let request = EnrolRequest {
            server: network.url(),
            username: username.into(),
            password: PASSWORD.into(),
            pin: PIN.into(),
        };
        app.enrol(request).await.map_err(told)?;
        // From here on nothing comes through until the network is given.
        network.set(Weather::Down);
        let (captured, receipts) = (0, Vec::new());
        let time = time.clone();
        Ok(Device { username, app, network, captured, receipts, folder, keys, time, offset, room: None })
    }

    /// The process dies without a word and starts again.
    async fn kill(&mut self) -> Result<()> {
        let stand_in = open(std::path::Path::new("/nonexistent"), &self.keys, &self.time, &self.offset);
        drop(std::mem::replace(&mut self.app, stand_in));
        self.app = open(self.folder.path(), &self.keys, &self.time, &self.offset);
        self.unlock().await
    }

    async fn unlock(&self) -> Result<()> {
        let user = self.app.status().await.map_err(told)?.user.context("nobody is enrolled")?.id;
        self.app.unlock(UnlockRequest { user, pin: PIN.into() }).await.map_err(told)?;
        if self.room.is_some() {
            self.app.simulate_room(self.room).await?;
        }
        Ok(())
    }

    /// Its disk fills up.
    async fn fill(&mut self, room: u32) -> Result<()> {
        self.room = Some(room);
        Ok(self.app.simulate_room(self.room).await?)
    }

    /// Its disk has room, if it had none.
    ///
    /// # Errors
    /// When its store cannot be opened.
    pub async fn make_room(&mut self) -> Result<()> {
        if self.room.take().is_some() {
            self.awake().await?;
            self.app.simulate_room(None).await?;
        }
        Ok(())
    }

    /// Its clock minus the true one.
    pub fn set_clock(&self, offset: Millis) {
        self.offset.store(offset, Ordering::SeqCst);
    }

    /// The device's own time.
    fn time(&self) -> Millis {
        self.time.now().saturating_add(self.offset.load(Ordering::SeqCst))
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
        let mut view = self.app.sync_now().await;
        // On a slow link the time to lock may come while it waits, and once more while what is still on its way makes it
        // later; a store that locks itself again and again is a fault.
        for _ in 0..2 {
            if view.as_ref().is_err_and(|error| error.code == ErrorCode::Locked) {
                self.awake().await?;
                view = self.app.sync().await;
            }
        }
        let view = view.map_err(told)?;
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

fn open(folder: &std::path::Path, keys: &KeyStore, time: &Time, offset: &Arc<AtomicI64>) -> App {
    let (time, offset) = (time.clone(), offset.clone());
    App::open_simulated(AppConfig {
        data_dir: folder.to_owned(),
        keystore: keys.clone(),
        device_name: "simulated".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::new(move || time.now().saturating_add(offset.load(Ordering::SeqCst))),
    })
}

/// A refusal by the app.
#[derive(Debug)]
pub struct Refusal(GatewayError);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

impl std::error::Error for Refusal {}

/// A refusal of the app as an error.
pub fn told(error: GatewayError) -> anyhow::Error {
    Refusal(error).into()
}

/// Everything under one seed.
pub struct World {
    /// Decides what people do.
    pub rng: fastrand::Rng,
    /// Everybody's.
    pub time: Time,
    /// The server.
    pub server: Server,
    /// Officers' devices, and last the manager's.
    pub devices: Vec<Device>,
    /// Sends what must be quarantined.
    pub intruder: Intruder,
    inputs: Vec<Inputs>,
    report: Report,
    published: bool,
    /// The end of the intruder's chain when the last backup was made.
    backed_up: (u64, Hash),
}

impl World {
    /// A server with a model, and everybody enrolled.
    ///
    /// # Errors
    /// When that fails.
    pub async fn new(seed: u64, time: Time) -> Result<World> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let server = Server::start().await?;
        server.publish(SCORECARD).await?;
        let mut devices = Vec::new();
        for (username, _) in PEOPLE {
            devices.push(Device::enrol(&server, &time, username, rng.u64(..)).await?);
        }
        // One officer has a second device.
        devices.insert(1, Device::enrol(&server, &time, PEOPLE[0].0, rng.u64(..)).await?);
        let model = Model::load(SCORECARD)?;
        let inputs = model.bundle().golden.iter().map(|golden| golden.inputs.clone()).collect();
        let intruder = Intruder::enrol(&server).await?;
        server.back_up().await?;
        Ok(World {
            rng,
            time,
            server,
            devices,
            backed_up: intruder.end(),
            intruder,
            inputs,
            report: Report::default(),
            published: false,
        })
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        let (requests, harmed) = self
            .devices
            .iter()
            .map(|device| device.network.counts())
            .fold((0, 0), |(all, harmed), (more, worse)| (all + more, harmed + worse));
        let events = self.devices.iter().map(|device| device.captured).sum();
        let slow = self.devices.iter().map(|device| device.network.slow()).sum();
        Report { requests, harmed, slow, events, ..self.report }
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
        // Somebody deletes videos.
        if self.devices[which].room.is_some() && self.rng.u8(0..40) == 0 {
            self.devices[which].make_room().await?;
        }
        let done = self.act(which, what).await;
        let full = self.devices[which].room.is_some();
        match done {
            // What was not answered well did not happen: the verdict counts.
            Err(error) if full && refused_for_room(&error) => {
                self.report.refused += 1;
                Ok(())
            }
            done => done,
        }
    }

    async fn act(&mut self, which: usize, what: u32) -> Result<()> {
        match what {
            0..13 => self.capture(which).await,
            13..20 => self.edit(which).await,
            20..21 => self.back_up().await,
            21..24 => self.another_device(which).await,
            24..27 => self.attach(which).await,
            27..39 => self.assess(which).await,
            39..49 => self.decide(which).await,
            49..62 => self.sync(which, Weather::Foul).await,
            62..69 => {
                let bits_per_s = [300, 2_000, 9_600, 50_000][self.rng.usize(0..4)];
                self.sync(which, Weather::Slow { bits_per_s }).await
            }
            69..74 => self.sync(which, Weather::Fair).await,
            74..79 => self.sync_together().await,
            79..83 => self.die_in_sync(which).await,
            83..87 => {
                let hours = [-9000, -30, -1, 0, 1, 30, 9000];
                let jump = hours[self.rng.usize(0..hours.len())] * HOUR;
                self.devices[which].set_clock(jump);
                Ok(())
            }
            87..89 => {
                self.devices[which].network.deliver_late().await;
                Ok(())
            }
            89..90 => self.restart_server().await,
            90..91 => self.restore_server().await,
            91..93 => {
                self.report.jumps += 1;
                let hours = [-30, -1, 0, 1, 30];
                self.time.set_server(hours[self.rng.usize(0..hours.len())] * HOUR);
                Ok(())
            }
            93..97 => {
                self.report.full += 1;
                let room = self.rng.u32(0..3);
                self.devices[which].fill(room).await
            }
            97..99 => {
                let body = intruder::body(&mut self.rng);
                self.intruder.push(&self.server, body, self.time.now()).await
            }
            _ => self.publish().await,
        }
    }

    fn is_manager(&self, which: usize) -> bool {
        self.devices[which].username == self.devices[self.devices.len() - 1].username
    }

    /// Somebody signs in on one more device, and what is there already comes to it, or some of it.
    async fn another_device(&mut self, which: usize) -> Result<()> {
        if self.devices.len() == FIRST_DEVICES + LATER_DEVICES {
            return self.edit(which).await;
        }
        let (username, seed) = (self.devices[which].username, self.rng.u64(..));
        let device = Device::begun(&self.server, &self.time, username, seed).await?;
        // The manager's first one stays the last.
        let at = self.devices.len() - 1;
        self.devices.insert(at, device);
        self.sync(at, Weather::Foul).await
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
        let mut draft = match device.app.start_interview(ClientRequest { client }).await {
            // Clients came to a new device, and then the network broke.
            Err(error) if error.code == ErrorCode::NoModel => return Ok(()),
            draft => draft.map_err(told)?.id,
        };
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
        let view = view?;
        self.judge(which, &view)
    }

    /// What a network, a clock, a session that ended or a full disk explains may block a sync; nothing else.
    fn judge(&mut self, which: usize, view: &SyncView) -> Result<()> {
        match view.line.state {
            SyncState::Blocked {
                code:
                    ErrorCode::ClockOff
                    | ErrorCode::SessionExpired
                    | ErrorCode::ForeignServer
                    | ErrorCode::ServerError
                    | ErrorCode::TooManyAttempts,
            } => Ok(()),
            SyncState::Blocked { code: ErrorCode::StorageFull } if self.devices[which].room.is_some() => {
                self.report.refused += 1;
                Ok(())
            }
            SyncState::Blocked { code } => {
                bail!("sync is blocked: {} {:?}", code.as_str(), view.last_error)
            }
            _ => Ok(()),
        }
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
        for (which, sync) in syncs.into_iter().enumerate() {
            let view = sync.await?.map_err(told)?;
            let device = &mut self.devices[which];
            device.network.set(Weather::Down);
            if let Some(receipt) = &view.receipt {
                device.receipts.push((receipt.seq, receipt.hash));
            }
            self.judge(which, &view)?;
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

    async fn back_up(&mut self) -> Result<()> {
        self.backed_up = self.intruder.end();
        self.server.back_up().await
    }

    /// The server's disk is lost. What the last backup has is there again; the rest comes from the devices, and the
    /// model from whoever published it.
    async fn restore_server(&mut self) -> Result<()> {
        self.report.restores += 1;
        self.server.restore().await?;
        self.intruder.set_back(self.backed_up);
        verdict::quarantines(self).context("after a restore")?;
        if self.published {
            self.server.publish(BOOSTED).await?;
        }
        Ok(())
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

/// Whether the app said that there is no room.
fn refused_for_room(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.0.code == ErrorCode::StorageFull)
}
