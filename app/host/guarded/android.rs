//! Android: a key in the Keystore that works only within a dialog in which a strong finger or face was
//! recognised (`BiometricPrompt` with a `CryptoObject`), once each time, and not after another one was
//! enrolled. It is the Kotlin of `tauri-plugin-biometry` that does this, called from here and from
//! nowhere else: its commands for pages are not registered.

use super::{name, refusal};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tauri::plugin::mobile::PluginInvokeError;
use tauri::plugin::{Builder, PluginHandle, TauriPlugin};
use tauri::{Manager as _, Wry};
use vereda_device::{GuardedError, GuardedStore};
use vereda_domain::gateway::Prompt;
use zeroize::{Zeroize as _, Zeroizing};

/// Makes the plugin's class for [`store`].
pub fn plugin() -> TauriPlugin<Wry> {
    Builder::<Wry>::new("guarded")
        .setup(|app, api| {
            let plugin = api.register_android_plugin("app.tauri.biometry", "BiometryPlugin")?;
            app.manage(Keystore(plugin));
            Ok(())
        })
        .build()
}

/// The phone's guarded storage.
pub fn store(app: &tauri::AppHandle) -> Arc<dyn GuardedStore> {
    Arc::new(app.state::<Keystore>().inner().clone())
}

#[derive(Clone)]
struct Keystore(PluginHandle<Wry>);

impl std::fmt::Debug for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keystore")
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Availability {
    is_available: bool,
}

#[derive(serde::Deserialize)]
struct Kept {
    data: String,
}

impl Keystore {
    fn run<T: DeserializeOwned>(&self, command: &str, with: serde_json::Value) -> Result<T, GuardedError> {
        self.0.run_mobile_plugin(command, with).map_err(|error| match error {
            PluginInvokeError::InvokeRejected(answer) => {
                refusal(answer.code.as_deref(), answer.message.as_deref().unwrap_or_default())
            }
            other => GuardedError::Unavailable(other.to_string()),
        })
    }
}

impl GuardedStore for Keystore {
    fn available(&self) -> bool {
        self.run("status", serde_json::Value::Null).is_ok_and(|status: Availability| status.is_available)
    }

    // The Keystore's key is called as the domain and made anew for each secret: one of each per vault.
    fn put(&self, vault: &str, secret: &[u8]) -> Result<(), GuardedError> {
        let (name, mut data) = (name(vault), hex::encode(secret));
        let kept = self.run("setData", serde_json::json!({ "domain": name, "name": name, "data": data }));
        data.zeroize();
        kept
    }

    fn get(&self, vault: &str, prompt: &Prompt) -> Result<Zeroizing<Vec<u8>>, GuardedError> {
        let (name, Prompt { title, reason, cancel }) = (name(vault), prompt);
        let with = serde_json::json!({
            "domain": name, "name": name, "title": title, "reason": reason, "cancelTitle": cancel,
        });
        let mut kept: Kept = self.run("getData", with)?;
        // What is not what was kept is no secret, and opens nothing.
        let secret = Zeroizing::new(hex::decode(&kept.data).unwrap_or_default());
        kept.data.zeroize();
        Ok(secret)
    }

    fn forget(&self, vault: &str) -> Result<(), GuardedError> {
        let name = name(vault);
        self.run("removeData", serde_json::json!({ "domain": name, "name": name }))
    }
}
