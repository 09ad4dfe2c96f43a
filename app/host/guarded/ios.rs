//! iOS: an item in the keychain that the system gives only to a finger or face that is enrolled *now*. The
//! keychain itself is asked, since what `tauri-plugin-biometry` keeps there is given for the phone's code as
//! well and to whoever is enrolled later; of the plugin this takes what it says of the sensor.

use super::{name, refusal_of_keychain};
use security_framework::access_control::{ProtectionMode, SecAccessControl};
use security_framework::passwords::{
    AccessControlOptions, PasswordOptions, delete_generic_password_options, generic_password,
    set_generic_password_options,
};
use std::sync::Arc;
use tauri::Wry;
use tauri::plugin::TauriPlugin;
use tauri_plugin_biometry::BiometryExt as _;
use vereda_device::{GuardedError, GuardedStore};
use vereda_domain::gateway::Prompt;
use zeroize::Zeroizing;

/// What tells whether there is a sensor. No capability names its commands, so that no page calls them.
pub fn plugin() -> TauriPlugin<Wry> {
    tauri_plugin_biometry::init()
}

/// The phone's guarded storage.
pub fn store(app: &tauri::AppHandle) -> Arc<dyn GuardedStore> {
    Arc::new(Keychain(app.clone()))
}

struct Keychain(tauri::AppHandle);

impl std::fmt::Debug for Keychain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keychain")
    }
}

fn item(vault: &str) -> PasswordOptions {
    PasswordOptions::new_generic_password(&name(vault), vault)
}

fn refused(error: security_framework::base::Error) -> GuardedError {
    refusal_of_keychain(error.code())
}

impl GuardedStore for Keychain {
    fn available(&self) -> bool {
        self.0.biometry().status().is_ok_and(|status| status.is_available)
    }

    fn put(&self, vault: &str, secret: &[u8]) -> Result<(), GuardedError> {
        // An earlier one would have to be released before it could be changed.
        self.forget(vault)?;
        let mut new = item(vault);
        // Neither in a backup, nor on a phone that is open to whoever picks it up.
        let access = SecAccessControl::create_with_protection(
            Some(ProtectionMode::AccessibleWhenPasscodeSetThisDeviceOnly),
            AccessControlOptions::BIOMETRY_CURRENT_SET.bits(),
        )
        .map_err(refused)?;
        new.set_access_control(access);
        set_generic_password_options(secret, new).map_err(refused)
    }

    // The keychain has words of its own for its dialog, in the phone's language.
    fn get(&self, vault: &str, _: &Prompt) -> Result<Zeroizing<Vec<u8>>, GuardedError> {
        generic_password(item(vault)).map(Zeroizing::new).map_err(refused)
    }

    fn forget(&self, vault: &str) -> Result<(), GuardedError> {
        match delete_generic_password_options(item(vault)).map_err(refused) {
            // It was not there.
            Err(GuardedError::Invalidated) => Ok(()),
            forgotten => forgotten,
        }
    }
}
