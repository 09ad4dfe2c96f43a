//! The Tauri host of Vereda, for desktops and phones alike: a window, and thin commands over
//! [`vereda_device::App`], which does everything. Desktops start it from `app/host/main.rs`; Android
//! and iOS load this library.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[path = "../app/host/commands.rs"]
mod commands;
#[cfg(any(mobile, test))]
#[path = "../app/host/guarded/mod.rs"]
mod guarded;
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
#[path = "../app/host/revive.rs"]
mod revive;
#[path = "../app/host/window.rs"]
mod window;

use std::path::PathBuf;
use tauri::Manager as _;
use vereda_device::{App, AppConfig, KeyStore, WallClock};

/// Opens the window and serves the page's commands until the program ends.
///
/// Settings from the environment, for tests, pictures and demos: `VEREDA_DATA_DIR` says where
/// everything is kept instead of the system's place for it, `VEREDA_WINDOW` (such as `360x800`) how
/// large the window is at first, `RUST_LOG` what is logged to standard error.
///
/// # Errors
/// When the window system, or the folder for the program's data, cannot be used.
pub fn run() -> Result<(), tauri::Error> {
    log();
    let builder = tauri::Builder::default();
    #[cfg(target_vendor = "apple")]
    let builder = revive::watching(builder);
    #[cfg(mobile)]
    let builder = builder.plugin(guarded::plugin());
    builder
        .invoke_handler(commands::handler())
        .setup(|app| {
            app.manage(open(app.handle())?);
            window::open(app)?;
            Ok(())
        })
        .run(tauri::generate_context!())
}

/// What Android and iOS call. The macro adds public functions without documentation.
#[cfg(mobile)]
#[allow(missing_docs)]
mod entry {
    #[tauri::mobile_entry_point]
    fn start() {
        if let Err(error) = crate::run() {
            tracing::error!(%error, "the app could not start");
        }
    }
}

#[cfg(mobile)]
fn open(app: &tauri::AppHandle) -> Result<App, tauri::Error> {
    Ok(App::open_guarded(config(app)?, guarded::store(app)))
}

#[cfg(not(mobile))]
fn open(app: &tauri::AppHandle) -> Result<App, tauri::Error> {
    Ok(App::open(config(app)?))
}

fn config(app: &tauri::AppHandle) -> Result<AppConfig, tauri::Error> {
    let data_dir = match std::env::var_os("VEREDA_DATA_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => app.path().app_data_dir()?,
    };
    Ok(AppConfig {
        data_dir,
        keystore: KeyStore::platform(),
        device_name: gethostname::gethostname().to_string_lossy().into_owned(),
        platform: std::env::consts::OS.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: WallClock::system(),
    })
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    if let Err(error) = started {
        eprintln!("vereda: nothing will be logged: {error}");
    }
}
