//! The folders on this device: who has a store here, who was last, and what each chose.

use crate::error::{DeviceError, Result};
use crate::vault::{Vault, make_folder, sync_folder, write_durably};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use uuid::Uuid;
use vereda_domain::UserId;
use vereda_domain::gateway::Settings;

const DEVICE_FILE: &str = "device.json";
const SETTINGS_FILE: &str = "settings.json";
/// Begins the name of a folder that is not finished yet.
const UNFINISHED: &str = ".new-";

/// `device.json`: what concerns the device and nobody's work.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct DeviceFile {
    last_user: Option<UserId>,
    /// Before anybody has signed in, and for whoever signs in next.
    settings: Settings,
}

/// The app's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folders(PathBuf);

impl Folders {
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Folders(data_dir)
    }

    fn users(&self) -> PathBuf {
        self.0.join("users")
    }

    pub(crate) fn user(&self, user: UserId) -> PathBuf {
        self.users().join(user.to_string())
    }

    /// The folder of everybody who has one, readable or not.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.users()) else { return Vec::new() };
        let mut folders: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with(UNFINISHED))
            .map(|entry| entry.path())
            .collect();
        folders.sort();
        folders
    }

    /// Every readable vault, by the user's name. One that cannot be read is left alone and out.
    pub(crate) fn vaults(&self) -> Vec<Vault> {
        let mut vaults = Vec::new();
        for folder in self.all() {
            match Vault::read(&folder) {
                Ok(Some(vault)) => vaults.push(vault),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "a vault cannot be read"),
            }
        }
        vaults.sort_by(|a, b| (&a.user().name, a.user().id).cmp(&(&b.user().name, b.user().id)));
        vaults
    }

    /// The vault of a user; `None` when the user has no folder.
    ///
    /// # Errors
    /// [`DeviceError::StoreDamaged`] also for a folder without a vault: what is in it may be work.
    pub(crate) fn vault(&self, user: UserId) -> Result<Option<Vault>> {
        let folder = self.user(user);
        match Vault::read(&folder)? {
            None if folder.exists() => Err(DeviceError::StoreDamaged("vault.json is not there".into())),
            vault => Ok(vault),
        }
    }

    /// A folder to build a new user's store in.
    pub(crate) fn begin(&self) -> Result<PathBuf> {
        let folder = self.users().join(format!("{UNFINISHED}{}", Uuid::now_v7()));
        make_folder(&folder)?;
        restrict(&self.0);
        Ok(folder)
    }

    /// Makes a finished folder the user's, at once and for good.
    pub(crate) fn finish(&self, unfinished: &Path, user: UserId) -> Result<PathBuf> {
        let folder = self.user(user);
        if folder.exists() {
            return Err(DeviceError::Internal("the user has a folder already".into()));
        }
        sync_folder(unfinished)?;
        std::fs::rename(unfinished, &folder)?;
        sync_folder(&self.users())?;
        Ok(folder)
    }

    /// Removes what enrolments left that never finished; nobody has worked in them.
    pub(crate) fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(self.users()) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                self.abandon(&entry.path());
            }
        }
    }

    /// Removes one of those.
    pub(crate) fn abandon(&self, unfinished: &Path) {
        if let Err(error) = std::fs::remove_dir_all(unfinished) {
            tracing::warn!(%error, "an unfinished folder stays");
        }
    }

    fn device(&self) -> DeviceFile {
        read_or_default(&self.0.join(DEVICE_FILE))
    }

    fn set_device(&self, device: &DeviceFile) -> Result<()> {
        make_folder(&self.0)?;
        restrict(&self.0);
        write_durably(&self.0, DEVICE_FILE, &serde_json::to_vec_pretty(device)?)
    }

    /// Who had the app open last.
    pub(crate) fn last_user(&self) -> Option<UserId> {
        self.device().last_user
    }

    pub(crate) fn set_last_user(&self, user: UserId) -> Result<()> {
        let device = self.device();
        if device.last_user == Some(user) {
            return Ok(());
        }
        self.set_device(&DeviceFile { last_user: Some(user), ..device })
    }

    /// What a user chose; what was chosen on this device before anybody signed in otherwise.
    pub(crate) fn settings(&self, user: Option<UserId>) -> Settings {
        let of_user = user.map(|user| self.user(user).join(SETTINGS_FILE)).filter(|path| path.exists());
        of_user.map_or_else(|| self.device().settings, |path| read_or_default(&path))
    }

    pub(crate) fn set_settings(&self, user: Option<UserId>, settings: &Settings) -> Result<()> {
        match user {
            Some(user) => {
                write_durably(&self.user(user), SETTINGS_FILE, &serde_json::to_vec_pretty(settings)?)
            }
            None => {
                let device = self.device();
                self.set_device(&DeviceFile { settings: settings.clone(), ..device })
            }
        }
    }
}

/// Settings are not worth refusing to start for.
fn read_or_default<T: serde::de::DeserializeOwned + Default>(path: &Path) -> T {
    let Ok(text) = std::fs::read(path) else { return T::default() };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(line = error.line(), "a settings file cannot be read; its defaults hold");
        T::default()
    })
}

/// Nobody else of this machine reads the folder, encrypted as it is.
fn restrict(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Err(error) = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)) {
            tracing::warn!(%error, "the data folder's permissions stay as they are");
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}
