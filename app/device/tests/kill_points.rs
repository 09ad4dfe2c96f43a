//! SIGKILL at every named point of capture, push, pull and model activation, and at random moments:
//! nothing that was acknowledged is lost, and nothing is there twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use vereda_device::fail::POINTS;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::UserId;
use vereda_domain::gateway::*;
use vereda_server::identity::passwords::PasswordCost;

/// Cargo builds examples next to tests.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(format!("work_and_sync{}", std::env::consts::EXE_SUFFIX))
}

/// The server as a process of its own, on the folder and the port of one that ran in this process.
struct Serving {
    config: vereda_server::Config,
    child: tokio::process::Child,
}

impl Serving {
    async fn start(config: vereda_server::Config) -> Serving {
        let child = Serving::spawn(&config).await;
        Serving { config, child }
    }

    /// Returns when it answers.
    async fn spawn(config: &vereda_server::Config) -> tokio::process::Child {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        let path = path.join(format!("vereda-server{}", std::env::consts::EXE_SUFFIX));
        // The port was free a moment ago; connections that linger may hold it for another.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let mut child = Command::new(&path)
                .arg("serve")
                .env("VEREDA_DATA_DIR", &config.data_dir)
                .env("VEREDA_LISTEN", config.listen.to_string())
                .env("VEREDA_METRICS_LISTEN", "127.0.0.1:0")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap_or_else(|error| panic!("{}: {error}; cargo xtask kill builds it", path.display()));
            while child.try_wait().unwrap().is_none() {
                if tokio::net::TcpStream::connect(config.listen).await.is_ok() {
                    return child;
                }
                assert!(std::time::Instant::now() < patience, "the server does not answer");
                tokio::task::yield_now().await;
            }
            assert!(std::time::Instant::now() < patience, "the server does not start");
        }
    }

    /// SIGKILL, and a new one on what it left.
    async fn die(&mut self) {
        self.child.start_kill().unwrap();
        let status = self.child.wait().await.unwrap();
        #[cfg(unix)]
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "the server: {status}");
        self.child = Serving::spawn(&self.config).await;
    }
}

/// When a round's child is killed.
enum When {
    /// At this point, when it has been passed so often.
    At(&'static str, u32),
    /// By its parent, when it has acknowledged so many.
    After(u32),
}

struct World {
    server: Server,
    /// If it is not in this process.
    serving: Option<Serving>,
    /// When the server is killed in this round: after so many acknowledgements of the device.
    server_dies_after: Option<u32>,
    server_deaths: u32,
    folder: tempfile::TempDir,
    user: UserId,
    /// What was acknowledged, by number.
    acknowledged: BTreeSet<u32>,
    /// Those of them with a signature.
    signed: BTreeSet<u32>,
    next: u32,
}

impl World {
    async fn new() -> World {
        let server = Server::start_with(|config| config.password_cost = PasswordCost::Simulated).await;
        let folder = tempfile::tempdir().unwrap();
        let store =
            keyring_core::sample::Store::new_with_backing(folder.path().join("keys").to_str().unwrap())
                .unwrap();
        let app = open(&folder, KeyStore::given(store.clone()));
        let user = app.enrol(enrol(&server.url(), "ana")).await.unwrap().user.unwrap().id;
        store.save().unwrap();
        app.lock().await.unwrap();
        World {
            server,
            serving: None,
            server_dies_after: None,
            server_deaths: 0,
            folder,
            user,
            acknowledged: BTreeSet::new(),
            signed: BTreeSet::new(),
            next: 1,
        }
    }

    fn keys(&self) -> String {
        self.folder.path().join("keys").to_str().unwrap().to_owned()
    }

    /// One child's life and death, then a look at what it left.
    async fn round(&mut self, when: When) {
        let mut command = Command::new(program());
        command
            .arg(self.folder.path().join("data"))
            .args([self.keys(), self.user.to_string(), self.next.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let what = match &when {
            When::At(point, passes) => {
                command.env("VEREDA_KILL_AT", format!("{point}:{passes}"));
                format!("{point} after {passes}")
            }
            When::After(lines) => format!("after {lines} acknowledgements"),
        };
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut told, mut signed) = (0, BTreeSet::new());
        while let Some(line) = lines.next_line().await.unwrap() {
            match line.strip_prefix("file ") {
                Some(number) => signed.insert(number.parse().unwrap()),
                None => self.acknowledged.insert(line.parse().unwrap()),
            };
            told += 1;
            if self.server_dies_after.take_if(|after| *after == told).is_some()
                && let Some(serving) = &mut self.serving
            {
                serving.die().await;
                self.server_deaths += 1;
            }
            if matches!(when, When::After(most) if told == most) {
                child.start_kill().unwrap();
            }
            assert!(told < 500, "{what}: the point was never reached");
        }
        let status = child.wait().await.unwrap();
        #[cfg(unix)]
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{what}: {status}");
        let here = self.documents(&signed, &what).await;
        self.signed.append(&mut signed);
        for number in &self.acknowledged {
            assert!(here.contains(&format!("5{number:07}")), "{what}: {number} was acknowledged and is lost");
        }
        // One more may have been kept than its child lived to say.
        assert!(here.len() <= self.acknowledged.len() + 1, "{what}: {here:?}");
        self.acknowledged = here.iter().map(|document| document[1..].parse().unwrap()).collect();
        self.next = self.acknowledged.last().copied().unwrap_or_default() + 1;
    }

    /// Every client's document, none twice; and the signatures of these are here.
    async fn documents(&self, signed: &BTreeSet<u32>, what: &str) -> BTreeSet<String> {
        let app = self.app();
        app.unlock(UnlockRequest { user: self.user, pin: PIN.into() }).await.unwrap();
        let here = documents(&app).await;
        for number in signed {
            assert_eq!(signatures(&app, *number).await.len(), 1, "{what}: the signature of {number} is lost");
        }
        app.lock().await.unwrap();
        here
    }

    fn app(&self) -> App {
        let store = keyring_core::sample::Store::new_with_backing(&self.keys()).unwrap();
        open(&self.folder, KeyStore::given(store))
    }

    /// The server holds every event once, and another device sees every client once.
    async fn settled(self) {
        let app = self.app();
        app.unlock(UnlockRequest { user: self.user, pin: PIN.into() }).await.unwrap();
        let view = app.sync_now().await.unwrap();
        assert_eq!((view.line.waiting, view.line.quarantined), (0, 0), "{view:#?}");
        assert_eq!(view.line.files, 0, "{view:#?}");
        let manager = Device::enrolled(&self.server, "marta").await;
        let mut attached = 0;
        for number in &self.acknowledged {
            let here = signatures(&app, *number).await;
            // One may have been kept whose child did not live to say so.
            assert!(here.len() == 1 || (here.is_empty() && !self.signed.contains(number)), "{number}");
            assert_eq!(signatures(&manager.app, *number).await, here, "{number}");
            attached += here.len() as u64;
        }
        assert!(attached > 0);
        assert_eq!(view.receipt.unwrap().seq, self.acknowledged.len() as u64 + attached);
        assert!(app.model().await.unwrap().active.is_some(), "the model is active after all");
        assert_eq!(documents(&manager.app).await, documents(&app).await);
        drop(self.serving);
    }
}

/// The signatures of a client, as they can be seen.
async fn signatures(app: &App, number: u32) -> Vec<FileView> {
    let query = format!("5{number:07}");
    let page = app.portfolio(PortfolioRequest { query, offset: 0, limit: 2 }).await.unwrap();
    assert_eq!(page.rows.len(), 1, "{number}");
    let client = page.rows[0].id;
    let mut seen = Vec::new();
    for one in app.client(ClientRequest { client }).await.unwrap().attachments {
        let sha256 = one.attachment.file().unwrap().sha256;
        seen.push(app.file(FileRequest { client, sha256 }).await.unwrap());
    }
    seen
}

async fn documents(app: &App) -> BTreeSet<String> {
    let mut here = BTreeSet::new();
    loop {
        let offset = u32::try_from(here.len()).unwrap();
        let page =
            app.portfolio(PortfolioRequest { query: String::new(), offset, limit: 200 }).await.unwrap();
        for row in &page.rows {
            assert!(here.insert(row.document.clone()), "{} is there twice", row.document);
        }
        if page.rows.is_empty() {
            assert_eq!(page.total as usize, here.len());
            return here;
        }
    }
}

fn open(folder: &tempfile::TempDir, keystore: KeyStore) -> App {
    App::open_simulated(AppConfig {
        data_dir: folder.path().join("data"),
        keystore,
        device_name: "killed".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::system(),
    })
}

/// A small generator of numbers: the same seed gives the same campaign.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(n)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_named_point_loses_nothing_and_doubles_nothing() {
    let mut world = World::new().await;
    world.server.publish(SCORECARD).await;
    for point in POINTS {
        // A model is activated once: its points are met only before it is.
        if !point.starts_with("model.") {
            continue;
        }
        world.round(When::At(point, 0)).await;
    }
    for point in POINTS.iter().filter(|point| !point.starts_with("model.")) {
        world.round(When::At(point, 0)).await;
    }
    for lines in [1, 4, 10] {
        world.round(When::After(lines)).await;
    }
    world.settled().await;
}

/// `cargo xtask kill` runs this with the number of rounds and the seed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a campaign: cargo xtask kill"]
async fn campaign() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (rounds, seed) = (number("VEREDA_KILL_ROUNDS", 1000), number("VEREDA_KILL_SEED", 1));
    println!("seed {seed}, {rounds} rounds");
    let mut dice = Dice(seed);
    let often: Vec<&'static str> = POINTS
        .iter()
        .copied()
        .filter(|point| !point.starts_with("model.") && *point != "session.renewed")
        .collect();
    let mut world = World::new().await;
    world.server.publish(SCORECARD).await;
    world.serving = Some(Serving::start(world.server.hand_over().await).await);
    world.round(When::At("model.fetched", 0)).await;
    world.round(When::At("model.activating", 0)).await;
    for done in 2..rounds {
        let when = if dice.below(3) == 0 {
            When::After(1 + dice.below(12))
        } else {
            let point = often[dice.below(u32::try_from(often.len()).unwrap()) as usize];
            When::At(point, dice.below(4))
        };
        // Every third round the server dies as well, while the device is at work.
        world.server_dies_after = (dice.below(3) == 0).then(|| 1 + dice.below(6));
        world.round(when).await;
        if done % 50 == 0 {
            println!(
                "{done} rounds, {} events, {} kills of the server",
                world.acknowledged.len(),
                world.server_deaths
            );
        }
    }
    let (events, deaths) = (world.acknowledged.len(), world.server_deaths);
    world.settled().await;
    println!(
        "{rounds} kills of the device and {deaths} of the server: {events} events, none lost, none twice"
    );
}
