//! What the app needs of a desktop, on a machine that may not have one.

use crate::run::{command, output, step};
use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whether a window can be opened.
pub fn has_screen() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
}

/// A key store that the app can use: the desktop's, or one started here.
pub struct KeyStore {
    bus: Option<String>,
    children: Vec<Child>,
    _run: Option<TempDir>,
}

impl KeyStore {
    /// Finds the desktop's key store, or starts one that keeps its secrets in `folder`.
    ///
    /// # Errors
    /// When D-Bus or the GNOME key ring does not start.
    pub fn find_or_start(folder: &Path) -> Result<KeyStore> {
        if std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some() && offered(None) {
            return Ok(KeyStore { bus: None, children: Vec::new(), _run: None });
        }
        step("Starting a key store, since this session has none");
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        // Short, since the paths of sockets are bounded.
        let run = tempfile::Builder::new().prefix("vereda-").tempdir()?;
        let mut bus = command("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            // It tells about every service that it starts.
            .stderr(Stdio::null())
            .spawn()
            .context("starting dbus-daemon")?;
        let mut address = String::new();
        BufReader::new(bus.stdout.take().context("dbus-daemon has no output")?).read_line(&mut address)?;
        let address = address.trim().to_owned();
        let mut store = KeyStore { bus: Some(address.clone()), children: vec![bus], _run: None };
        let mut keyring = command("gnome-keyring-daemon")
            .args(["--unlock", "--components=secrets", "--foreground"])
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .env("XDG_RUNTIME_DIR", run.path())
            .env("XDG_DATA_HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting gnome-keyring-daemon")?;
        // It protects sample data only; a real desktop asks its user.
        keyring.stdin.take().context("gnome-keyring-daemon has no input")?.write_all(b"demo")?;
        store.children.push(keyring);
        store._run = Some(run);
        let end = Instant::now() + Duration::from_secs(30);
        while !offered(Some(&address)) {
            ensure!(Instant::now() < end, "gnome-keyring-daemon did not offer a key store within 30 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(store)
    }

    /// Makes a program use it.
    pub fn adopt(&self, program: &mut Command) {
        if let Some(bus) = &self.bus {
            program.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        if !Path::new("/dev/dri").exists() {
            // Without a graphics card WebKit shows nothing unless it is told so.
            program.env("WEBKIT_DISABLE_COMPOSITING_MODE", "1").env("WEBKIT_DISABLE_DMABUF_RENDERER", "1");
        }
    }
}

impl Drop for KeyStore {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // They may have ended already, by the same Ctrl-C.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a key store answers, or would be started, on a session bus.
fn offered(bus: Option<&str>) -> bool {
    let lists: &[&str] = if bus.is_some() { &["ListNames"] } else { &["ListNames", "ListActivatableNames"] };
    lists.iter().any(|list| {
        let mut ask = command("dbus-send");
        ask.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
        ask.arg(format!("org.freedesktop.DBus.{list}"));
        if let Some(bus) = bus {
            ask.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        output(&mut ask).is_ok_and(|names| names.contains("\"org.freedesktop.secrets\""))
    })
}
