//! The server of a simulated world.

use crate::network::{Address, lock};
use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vereda_domain::BranchId;
use vereda_domain::api::{AddUser, Role};
use vereda_server::identity::passwords::PasswordCost;
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::{Config, Running};

/// How long a server that was stopped may have its database open.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everybody's password.
pub const PASSWORD: &str = "una palabra muy larga";
/// Who works in the branch: officers, and last the manager.
pub const PEOPLE: [(&str, Role); 4] =
    [("ana", Role::Officer), ("luis", Role::Officer), ("eva", Role::Officer), ("marta", Role::Manager)];

/// A server that can be stopped and started again with what it stored.
pub struct Server {
    running: Option<Running>,
    config: Config,
    address: Address,
    folder: tempfile::TempDir,
    /// The branch of everybody.
    pub branch: BranchId,
}

impl Server {
    /// With everybody and the first model.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn start() -> Result<Server> {
        let folder = crate::folder()?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config {
            listen: any,
            metrics_listen: any,
            data_dir: folder.path().to_owned(),
            password_cost: PasswordCost::Simulated,
            ..Config::default()
        };
        config.limits.drain_ms = 100;
        let running = vereda_server::start(config.clone()).await?;
        let address = Address::new(running.api_addr.into());
        let people = running.people();
        let branch = people.add_branch("Norte").await?.id;
        for (username, role) in PEOPLE.iter().copied().chain([("intruso", Role::Officer)]) {
            let user = AddUser {
                username: username.into(),
                name: format!("{username} de Prueba"),
                password: PASSWORD.into(),
                role,
                branch: Some(branch),
            };
            people.add_user(user).await?;
        }
        Ok(Server { running: Some(running), config, address, folder, branch })
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// A place on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", *lock(&self.address))
    }

    /// Publishes a reference bundle.
    ///
    /// # Errors
    /// When it is not running, or refuses it.
    pub async fn publish(&self, bundle: &'static [u8]) -> Result<()> {
        let running = self.running.as_ref().context("the server is stopped")?;
        running
            .models()
            .publish(bundle.to_vec(), "rita")
            .await
            .map_err(vereda_server::error::ServerError::from)?;
        Ok(())
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }

    /// Makes a backup in the place of the one before, as `vereda-server backup` does while it serves.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn back_up(&self) -> Result<()> {
        let (from, to) = (SqliteStore::file_in(self.folder.path()), self.backup());
        let copy = move || {
            if to.exists() {
                std::fs::remove_file(&to)?;
            }
            SqliteStore::copy(&from, &to).context("a backup")
        };
        tokio::task::spawn_blocking(copy).await?
    }

    /// Sets it back to the backup.
    ///
    /// # Errors
    /// When there is none, or it cannot start.
    pub async fn restore(&mut self) -> Result<()> {
        self.stop().await;
        self.closed().await?;
        std::fs::copy(self.backup(), SqliteStore::file_in(self.folder.path()))?;
        self.start_again().await
    }

    /// Waits until nothing of a server that was stopped has its database open, and leaves it without a log. A process that
    /// ended has nothing open; in this one connections that were cut end a moment later.
    async fn closed(&self) -> Result<()> {
        let database = rusqlite::Connection::open(SqliteStore::file_in(self.folder.path()))?;
        // Whoever changes this must be alone.
        let alone = || database.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0));
        let patience = Instant::now() + PATIENCE;
        while alone().ok() != Some("delete".to_owned()) {
            ensure!(Instant::now() < patience, "the server that was stopped has its database open");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Its database, to read it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn database(&self) -> Result<rusqlite::Connection> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        Ok(rusqlite::Connection::open_with_flags(self.folder.path().join("vereda.db"), flags)?)
    }

    /// Stops it.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    /// Starts it on what it stored, at an address of its own: another program may have taken the old one.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn start_again(&mut self) -> Result<()> {
        let running = vereda_server::start(self.config.clone()).await?;
        *lock(&self.address) = running.api_addr;
        self.running = Some(running);
        Ok(())
    }
}
