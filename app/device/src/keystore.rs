//! The platform's key store: one random secret per vault, which never leaves it but to open that
//! vault.

use crate::error::{DeviceError, Result};
use keyring_core::{CredentialStore, Entry, Error};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The name under which secrets stand in the platform's key store.
const SERVICE: &str = "vereda";

/// Where the secrets of this device's vaults are kept.
///
/// Opened at each use and not at start: a key store that is locked or not there yet must not keep
/// the app from showing why it cannot go on.
#[derive(Clone)]
pub struct KeyStore(Kind);

#[derive(Clone)]
enum Kind {
    Platform,
    Given(Arc<CredentialStore>),
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Platform => "KeyStore(platform)",
            Kind::Given(_) => "KeyStore(given)",
        })
    }
}

impl KeyStore {
    /// The operating system's: Secret Service on Linux, Keystore on Android, Keychain on Apple's
    /// systems, Credential Manager on Windows.
    pub fn platform() -> Self {
        KeyStore(Kind::Platform)
    }

    /// Another one that `keyring-core` can drive.
    pub fn given(store: Arc<CredentialStore>) -> Self {
        KeyStore(Kind::Given(store))
    }

    fn entry(&self, vault: &str) -> Result<Entry> {
        let store = match &self.0 {
            Kind::Platform => platform_store().map_err(unavailable)?,
            Kind::Given(store) => store.clone(),
        };
        store.build(SERVICE, vault, None).map_err(unavailable)
    }

    /// Keeps a vault's secret. Blocks; not to be called on an async thread.
    ///
    /// # Errors
    /// [`DeviceError::KeyStoreUnavailable`], also when it does not give back what it was given or
    /// when there is a secret of that name already.
    pub(crate) fn put(&self, vault: &str, secret: &[u8]) -> Result<()> {
        let entry = self.entry(vault)?;
        match entry.get_secret() {
            Err(Error::NoEntry) => {}
            Ok(_) => return Err(DeviceError::KeyStoreUnavailable("the name is taken".into())),
            Err(error) => return Err(unavailable(error)),
        }
        entry.set_secret(secret).map_err(unavailable)?;
        let back = Zeroizing::new(entry.get_secret().map_err(unavailable)?);
        if back.as_slice() != secret {
            return Err(DeviceError::KeyStoreUnavailable("it does not give back what was kept".into()));
        }
        Ok(())
    }

    /// A vault's secret. Blocks; not to be called on an async thread.
    ///
    /// # Errors
    /// [`DeviceError::KeyMissing`] when the key store answers and has none,
    /// [`DeviceError::KeyStoreUnavailable`] when it does not answer.
    pub(crate) fn get(&self, vault: &str) -> Result<Zeroizing<Vec<u8>>> {
        match self.entry(vault)?.get_secret() {
            Ok(secret) => Ok(Zeroizing::new(secret)),
            Err(Error::NoEntry) => Err(DeviceError::KeyMissing),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Forgets the secret of a vault that was never finished. Failing to is harmless.
    pub(crate) fn forget(&self, vault: &str) {
        let forgotten = self.entry(vault).map(|entry| entry.delete_credential());
        if !matches!(forgotten, Ok(Ok(()))) {
            tracing::debug!("the secret of an unfinished vault stays in the key store");
        }
    }
}

fn unavailable(error: Error) -> DeviceError {
    // Some variants carry the secret's bytes: say only which it was.
    let why = match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "it holds something else".to_owned(),
        other => other.to_string(),
    };
    DeviceError::KeyStoreUnavailable(why)
}

#[cfg(target_os = "linux")]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "android")]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(android_native_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(all(target_vendor = "apple", not(target_os = "macos")))]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::protected::Store::new()?)
}

#[cfg(windows)]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}
