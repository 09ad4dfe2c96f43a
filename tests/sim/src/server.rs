//! The server of a simulated world.

use crate::network::{Address, lock};
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use vereda_domain::BranchId;
use vereda_domain::api::{AddUser, Role};
use vereda_server::identity::passwords::PasswordCost;
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::{Config, Running};

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
    /// How often its disk was lost.
    disks: u32,
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
            data_dir: folder.path().join("0"),
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
        Ok(Server { running: Some(running), config, address, folder, disks: 0, branch })
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
        self.folder.path().join("backup")
    }

    /// Makes a backup in the place of the one before, while it serves.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn back_up(&self) -> Result<()> {
        let (config, to) = (self.config.clone(), self.backup());
        let copy = move || {
            if to.exists() {
                std::fs::remove_dir_all(&to)?;
            }
            vereda_server::backup::backup(&config, &to).context("a backup")
        };
        tokio::task::spawn_blocking(copy).await?.map(drop)
    }

    /// Its disk is lost, and it goes on with the backup on another one: connections that were cut may have the lost one's
    /// database open a moment longer.
    ///
    /// # Errors
    /// When there is no backup, or it cannot start.
    pub async fn restore(&mut self) -> Result<()> {
        self.stop().await;
        self.disks += 1;
        self.config.data_dir = self.folder.path().join(self.disks.to_string());
        copy_folder(&self.backup(), &self.config.data_dir).context("the backup")?;
        self.start_again().await
    }

    /// Its database, to read it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn database(&self) -> Result<rusqlite::Connection> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        Ok(rusqlite::Connection::open_with_flags(SqliteStore::file_in(&self.config.data_dir), flags)?)
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

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &copy)?;
        } else {
            std::fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}
