//! The device: the app itself, as the screens drive it.

use crate::Failure;
use crate::people::{FAMILY, GIVEN, PASSWORD};
use std::path::Path;
use std::time::{Duration, Instant};
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::gateway::*;
use vereda_domain::{ClientId, DraftId};
use vereda_scoring::Value;

/// See the module.
pub struct Device {
    /// The app.
    pub app: App,
    folder: tempfile::TempDir,
    keys: KeyStore,
}

const PIN: &str = "274913";

fn said(error: GatewayError) -> Failure {
    format!("{:?}: {}", error.code, error.message).into()
}

impl Device {
    /// A new device of this officer.
    pub async fn enrolled(url: &str, username: &str) -> Result<Device, Failure> {
        // Asked at enrolment and unlocking alone, which are not measured: a machine without a desktop has none.
        let keys = KeyStore::given(keyring_core::mock::Store::new()?);
        let device = Device::open(tempfile::tempdir()?, keys);
        let request = EnrolRequest {
            server: url.into(),
            username: username.into(),
            password: PASSWORD.into(),
            pin: PIN.into(),
        };
        device.app.enrol(request).await.map_err(said)?;
        Ok(device)
    }

    fn open(folder: tempfile::TempDir, keys: KeyStore) -> Device {
        let app = App::open(AppConfig {
            data_dir: folder.path().to_owned(),
            keystore: keys.clone(),
            device_name: "bench".into(),
            platform: "linux".into(),
            version: "0.0.0".into(),
            clock: WallClock::system(),
        });
        Device { app, folder, keys }
    }

    /// Closes its store: nothing of it goes on until it is awake.
    pub async fn asleep(&self) -> Result<(), Failure> {
        self.app.lock().await.map(drop).map_err(said)
    }

    /// The same machine at another time, as a copy of its files; both are asleep.
    pub fn copied(&self) -> Result<Device, Failure> {
        let folder = tempfile::tempdir()?;
        copy(self.folder.path(), folder.path())?;
        Ok(Device::open(folder, self.keys.clone()))
    }

    /// Opens its store again.
    pub async fn awake(&self) -> Result<(), Failure> {
        let user = self.app.status().await.map_err(said)?.user.ok_or("nobody is enrolled")?.id;
        self.app.unlock(UnlockRequest { user, pin: PIN.into() }).await.map(drop).map_err(said)
    }

    /// Syncs until all is well.
    pub async fn synced(&self) -> Result<(), Failure> {
        for _ in 0..40 {
            let view = self.app.sync_now().await.map_err(said)?;
            if view.line.state == SyncState::Idle && view.line.waiting == 0 {
                return Ok(());
            }
        }
        Err(format!("it does not become idle: {:?}", self.app.sync().await).into())
    }

    /// Syncs until everybody is here with their last assessment, as a first pull brings them, and goes on beside that
    /// until all is well.
    pub async fn portfolio(&self) -> Result<(), Failure> {
        let app = self.app.clone();
        let run = tokio::spawn(async move { app.sync_now().await });
        let mut since = 0;
        while !run.is_finished() {
            let wait = Duration::from_millis(100);
            let seen = tokio::time::timeout(wait, self.app.watch(WatchRequest { since })).await;
            let Ok(seen) = seen else { continue };
            let seen = seen.map_err(said)?;
            if matches!(seen.sync.state, SyncState::ReceivingEarlier { .. }) {
                return Ok(());
            }
            since = seen.revision;
        }
        run.await?.map_err(said)?;
        Ok(())
    }

    /// From now until everything is acknowledged, and until the run is over.
    pub async fn delivered(&self) -> Result<(Duration, Duration), Failure> {
        let begun = Instant::now();
        let run = tokio::spawn({
            let app = self.app.clone();
            async move { app.sync_now().await }
        });
        let mut since = 0;
        let acknowledged = loop {
            let seen = self.app.watch(WatchRequest { since }).await.map_err(said)?;
            if seen.sync.waiting == 0 {
                break begun.elapsed();
            }
            since = seen.revision;
        };
        run.await?.map_err(said)?;
        Ok((acknowledged, begun.elapsed()))
    }

    /// So many times, each timed; sorted.
    pub async fn times(
        &self,
        count: u64,
        work: impl AsyncFn(u64) -> Result<(), Failure>,
    ) -> Result<Vec<Duration>, Failure> {
        let mut times = Vec::new();
        for n in 0..count {
            let begun = Instant::now();
            work(n).await?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times)
    }

    /// The first so many of the portfolio.
    pub async fn clients(&self, count: u32) -> Result<Vec<ClientId>, Failure> {
        let mut found = Vec::new();
        while found.len() < count as usize {
            let offset = u32::try_from(found.len())?;
            let request = PortfolioRequest { limit: 200, offset, ..PortfolioRequest::default() };
            let page = self.app.portfolio(request).await.map_err(said)?;
            if page.rows.is_empty() {
                break;
            }
            found.extend(page.rows.into_iter().map(|row| row.id));
        }
        Ok(found)
    }

    /// Somebody.
    pub async fn first_client(&self) -> Result<ClientId, Failure> {
        self.clients(1).await?.first().copied().ok_or_else(|| "there is no client".into())
    }

    /// An interview with them.
    pub async fn draft(&self, client: ClientId) -> Result<DraftId, Failure> {
        Ok(self.app.start_interview(ClientRequest { client }).await.map_err(said)?.id)
    }

    /// Keeps the n-th answer.
    pub async fn save(&self, draft: DraftId, n: u64) -> Result<(), Failure> {
        let value = Some(Value::Number(500.0 + n as f64));
        let request = SaveFieldRequest { draft, field: "amount".into(), value };
        self.app.save_field(request).await.map(drop).map_err(said)
    }

    /// Throws the interview away.
    pub async fn discard(&self, draft: DraftId) -> Result<(), Failure> {
        self.app.discard_draft(DraftRequest { draft }).await.map_err(said)
    }

    /// Looks for somebody as people type: beginnings of one letter to whole names, with and without
    /// accents, and numbers.
    pub async fn search(&self, n: u64) -> Result<(), Failure> {
        let i = usize::try_from(n)?;
        let (given, family) = (GIVEN[i % GIVEN.len()], FAMILY[i / 3 % FAMILY.len()]);
        let query = match n % 5 {
            0 => given.chars().take(1 + i / 5 % 4).collect(),
            1 => family.to_lowercase(),
            2 => format!("{given} {}", family.chars().take(3).collect::<String>()),
            3 => format!("{}", 100 + n % 900),
            _ => format!("{} {}", FAMILY[(i + 7) % FAMILY.len()], given),
        };
        let request = PortfolioRequest { query, limit: 50, ..PortfolioRequest::default() };
        self.app.portfolio(request).await.map(drop).map_err(said)
    }

    /// In words.
    pub async fn size(&self) -> Result<String, Failure> {
        let page = self.app.portfolio(PortfolioRequest { limit: 1, ..PortfolioRequest::default() });
        let clients = page.await.map_err(said)?.total;
        Ok(format!("{clients} clients and {} events of its own", self.app.chain_size().await?.1))
    }
}

/// Copies all that is in a folder.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            std::fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// A process's memory in MB, by a line of `/proc`.
pub fn memory(pid: &str, line: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib: u64 = found.ok_or("no such line")?.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}

/// What a process has used of the processors, in seconds: on a machine that others use too, the
/// time that passed says less.
pub fn cpu(pid: &str) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).ok_or("no such field");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// What was needed before now does not count: signing in takes 64 MiB for a moment, by design.
pub fn forget_peak() {
    // Where that is not allowed, the peak is higher than what is measured, never lower.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
