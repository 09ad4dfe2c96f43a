//! A screen, a session bus and a key store that belong to one test.

use crate::process::Program;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// A session bus that starts no service by itself. The key ring is started by hand. There is no bus for
/// assistive technology, so WebKitGTK leaves that part of itself alone: with it, its page process was
/// once seen to end in a trap of its own when a focused element went away under automation.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=HOME</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// See the module.
pub struct Desktop {
    home: TempDir,
    steady: bool,
    display: String,
    bus: String,
    // In the order in which they are to end.
    keyring: tokio::sync::Mutex<Option<Program>>,
    _bus: Program,
    _screen: Program,
}

impl Desktop {
    /// Starts a screen of this size.
    ///
    /// # Errors
    /// When Xvfb, D-Bus or the GNOME key ring is not installed or does not start.
    pub async fn start(width: u32, height: u32) -> anyhow::Result<Desktop> {
        let home = tempfile::Builder::new().prefix("vereda-e2e-").tempdir()?;

        let mut screen = Command::new("Xvfb");
        screen.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp"]);
        screen.stderr(Stdio::null());
        let mut screen = Program::start(screen)?;
        let display = format!(":{}", screen.line().await?.trim());
        screen.drain();

        let config = home.path().join("bus.conf");
        std::fs::write(&config, BUS.replace("HOME", &home.path().to_string_lossy()))?;
        let mut bus = Command::new("dbus-daemon");
        bus.arg("--config-file")
            .arg(&config)
            .args(["--nofork", "--print-address=1"])
            .env("HOME", home.path());
        let mut bus = Program::start(bus)?;
        let address = bus.line().await?.trim().to_owned();
        bus.drain();

        let desktop = Desktop {
            home,
            steady: false,
            display,
            bus: address,
            keyring: tokio::sync::Mutex::new(None),
            _bus: bus,
            _screen: screen,
        };
        desktop.key_ring(Some("data")).await?;
        Ok(desktop)
    }

    /// Has pages interpret their WebAssembly and never compile it.
    ///
    /// For each function that it compiles WebKit stops the thread that draws by a signal, a thousand times in the first ten
    /// seconds of this app (`strace -f -e trace=tgkill`), and the handler leaves `errno` changed
    /// (`Source/WTF/wtf/posix/ThreadingPOSIX.cpp`). Skia takes that for a failure of its own: it could once not read
    /// the number 2 in its own sources, and ended the page's process. The app comes back from that by itself; a
    /// WebDriver session does not. Without the compiler no such signal is sent. Nothing that is measured runs so.
    pub fn steady(mut self) -> Desktop {
        self.steady = true;
        self
    }

    /// Ends the key ring, and starts it again with what it keeps in this folder; the first one is
    /// `data`. Without a folder there is none from then on.
    ///
    /// # Errors
    /// When it does not end, or does not start.
    pub async fn key_ring(&self, folder: Option<&str>) -> anyhow::Result<()> {
        let mut running = self.keyring.lock().await;
        if let Some(mut keyring) = running.take() {
            keyring.terminate().await?;
        }
        if let Some(folder) = folder {
            let mut keyring = Command::new("gnome-keyring-daemon");
            keyring.args(["--unlock", "--components=secrets", "--foreground"]);
            keyring.stderr(Stdio::null());
            personal(&mut keyring, self.home.path(), &self.display, &self.bus);
            keyring.env("XDG_DATA_HOME", self.home.path().join(folder));
            *running = Some(Program::start_with_input(keyring, b"e2e").await?);
        }
        let wanted = format!("boolean {}", folder.is_some());
        crate::until("the key ring to answer on the bus, or not to", || async {
            let mut ask = Command::new("dbus-send");
            ask.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
            ask.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
            personal(&mut ask, self.home.path(), &self.display, &self.bus);
            let answer = ask.output().await?;
            Ok(String::from_utf8_lossy(&answer.stdout).contains(&wanted).then_some(()))
        })
        .await
    }

    /// Makes a program run on this desktop.
    pub fn adopt(&self, command: &mut Command) {
        personal(command, self.home.path(), &self.display, &self.bus);
        // There is no graphics card behind this screen.
        command.env("WEBKIT_DISABLE_COMPOSITING_MODE", "1").env("WEBKIT_DISABLE_DMABUF_RENDERER", "1");
        if self.steady {
            command.env("JSC_useBBQJIT", "0");
        }
        command.env("LIBGL_ALWAYS_SOFTWARE", "1").env("NO_AT_BRIDGE", "1").env("GTK_THEME", "Adwaita");
    }

    /// A folder for this test's files, gone with it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes what the screen shows to a PNG file.
    ///
    /// # Errors
    /// When ImageMagick is missing or the file cannot be written.
    pub async fn picture(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut import = Command::new("import");
        // 256 colours are enough for flat surfaces, and a third of the bytes.
        import.args(["-window", "root", "+dither", "-colors", "256", "-strip"]);
        import.arg(format!("png8:{}", file.display()));
        self.adopt(&mut import);
        anyhow::ensure!(import.status().await?.success(), "taking a picture to {}", file.display());
        Ok(())
    }
}

fn personal(command: &mut Command, home: &Path, display: &str, bus: &str) {
    command.env("HOME", home).env("DISPLAY", display).env("DBUS_SESSION_BUS_ADDRESS", bus);
    command.env("XDG_RUNTIME_DIR", home).env("XDG_DATA_HOME", home.join("data"));
    command.env("XDG_CONFIG_HOME", home.join("config")).env("XDG_CACHE_HOME", home.join("cache"));
    command.env_remove("WAYLAND_DISPLAY");
    // A locale that every Debian has; tests choose the app's language in the app.
    command.env("LANG", "C.UTF-8").env_remove("LANGUAGE").env_remove("LC_ALL");
}
