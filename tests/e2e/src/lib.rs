//! Drives the real program in a real window against the real server.
//!
//! [`Desktop`] is a screen, a session bus and a key store of its own, so that tests neither see nor
//! touch the developer's. [`Server`] is the `vereda-server` program with sample data. [`Window`] is
//! the `vereda` program, driven through WebDriver. Every wait is for a condition, with a limit, and
//! a wait that fails leaves a picture and the page's text in `target/e2e`.

pub mod desktop;
pub mod gate;
pub mod process;
pub mod server;
pub mod steps;
pub mod texts;
pub mod window;

pub use desktop::Desktop;
pub use gate::Gate;
pub use server::{Server, SignIn};
pub use window::{Shape, Window};

use std::path::PathBuf;
use std::time::Duration;

/// How long a wait may take before it counts as failed. Generous, since it costs nothing when the
/// condition holds: a debug build on two busy cores is slow.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition that cannot announce itself is looked at.
const POLL: Duration = Duration::from_millis(50);

/// The root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the checkout's build folder.
///
/// # Errors
/// When it is not there: `cargo xtask test` builds what the tests drive.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let profile = if std::env::var_os("VEREDA_E2E_RELEASE").is_some() { "release" } else { "debug" };
    let path = target.join(profile).join(name);
    anyhow::ensure!(path.exists(), "{} is not built: run `cargo xtask test`", path.display());
    Ok(path)
}

/// Looks again and again until there is something.
///
/// # Errors
/// After [`LIMIT`], with the last thing that `look` complained of.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let complaint = match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if tokio::time::Instant::now() > end {
            let complaint = complaint.map(|error| format!(": {error:#}")).unwrap_or_default();
            anyhow::bail!("waited {} s for {what}{complaint}", LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}
