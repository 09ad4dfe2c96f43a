//! What the other commands need and a bare Debian 12 lacks: Debian packages, Rust targets and
//! components, and tauri-driver. Only what a command needs is asked for, and only when missing.

use crate::run::{cargo, command, output, root, step, succeed, target};
use anyhow::{Context as _, Result, bail};
use std::ops::BitOr;

/// What a command is going to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Need(u16);

impl Need {
    /// Build the page (wasm).
    pub const PAGE: Need = Need(1);
    /// Build the server, the app and the tests.
    pub const BUILD: Need = Need(2);
    /// Bring up a session bus with a key store.
    pub const KEYS: Need = Need(4);
    /// Drive the window without a screen, and take pictures of it.
    pub const WINDOW: Need = Need(8);
    /// Check for the phones and for style.
    pub const CHECK: Need = Need(16);
    /// Train models.
    pub const TRAIN: Need = Need(32);
    /// Start the services that tests of the backend need.
    pub const SERVICES: Need = Need(64);
    /// Run the scorer as on other processors.
    pub const PLATFORMS: Need = Need(128);
    /// Make a Debian package.
    pub const DEB: Need = Need(256);
    /// Ask a server as fast as it answers.
    pub const BENCH: Need = Need(512);
    /// Build a container image, and run it.
    pub const IMAGE: Need = Need(1024);
    /// Boot a Debian of its own.
    pub const MACHINE: Need = Need(2048);
    /// Start the composition of containers, or make an image with Rust.
    pub const COMPOSITION: Need = Need(4096);
    /// Everything.
    pub const ALL: Need = Need(8191);

    fn has(self, other: Need) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Need {
    type Output = Need;
    fn bitor(self, other: Need) -> Need {
        Need(self.0 | other.0)
    }
}

const PACKAGES: &[(Need, &[&str])] = &[
    (Need::PAGE, &["build-essential"]),
    (
        Need::BUILD,
        &[
            "build-essential",
            "libayatana-appindicator3-dev",
            "libdbus-1-dev",
            "librsvg2-dev",
            "libssl-dev",
            "libwebkit2gtk-4.1-dev",
            "libxdo-dev",
            "perl",
            "pkg-config",
        ],
    ),
    (Need::KEYS, &["dbus-bin", "dbus-daemon", "gnome-keyring"]),
    (
        Need::WINDOW,
        &[
            "faketime",
            "fonts-dejavu-core",
            "fonts-noto-core",
            "imagemagick",
            "procps",
            "webkit2gtk-driver",
            "xvfb",
        ],
    ),
    (Need::CHECK, &["g++-aarch64-linux-gnu", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
    (Need::TRAIN, &["python3-venv"]),
    (Need::SERVICES, &["postgresql", "prometheus", "redis-server", "strace", "util-linux"]),
    (Need::DEB, &["binutils", "dpkg-dev"]),
    (Need::BENCH, &["wrk"]),
    (Need::IMAGE, &["binutils", "containernetworking-plugins", "podman", "runc"]),
    (Need::COMPOSITION, &["aardvark-dns", "curl", "iptables", "mmdebstrap", "netavark", "openssl"]),
    (Need::MACHINE, &["e2fsprogs", "mmdebstrap", "qemu-system-x86"]),
    (Need::PLATFORMS, &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "nodejs", "qemu-user"]),
];

const TARGETS: &[(Need, &[&str])] = &[
    (Need::PAGE, &["wasm32-unknown-unknown"]),
    (Need::CHECK, &["wasm32-unknown-unknown", "aarch64-linux-android", "aarch64-apple-ios"]),
    (Need::PLATFORMS, &["wasm32-unknown-unknown", "aarch64-unknown-linux-gnu"]),
];

const COMPONENTS: &[(Need, &[&str])] = &[(Need::CHECK, &["rustfmt", "clippy"])];

const TAURI_DRIVER: &str = "2.0.6";

/// Installs what is missing.
///
/// # Errors
/// When something is missing and cannot be installed from here; the message is the command to run.
pub fn ensure(need: Need) -> Result<()> {
    packages(&pick(PACKAGES, need))?;
    rustup("target", &pick(TARGETS, need))?;
    rustup("component", &pick(COMPONENTS, need))?;
    if need.has(Need::WINDOW) {
        tauri_driver()?;
    }
    Ok(())
}

fn pick(table: &[(Need, &'static [&'static str])], need: Need) -> Vec<&'static str> {
    let fits = table.iter().filter(|(for_what, _)| need.has(*for_what));
    let mut names: Vec<_> = fits.flat_map(|(_, names)| names.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn packages(wanted: &[&str]) -> Result<()> {
    let ask =
        command("dpkg-query").args(["-W", "-f", "${Package} ${db:Status-Status}\n"]).args(wanted).output();
    let Ok(answer) = ask else {
        // Not Debian. The build itself will say what it lacks.
        eprintln!(
            "note: no dpkg here; these packages (by their Debian names) are needed: {}",
            wanted.join(" ")
        );
        return Ok(());
    };
    let listed = String::from_utf8_lossy(&answer.stdout);
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !listed.lines().any(|l| l == format!("{name} installed")))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() {
        bail!(
            "these Debian packages are missing; install them with\n\n    sudo {install}\n\nand run this again"
        );
    }
    step(&format!("Installing Debian packages: {}", missing.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get");
        apt.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
        succeed(&mut apt)
    };
    apt(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)
}

fn rustup(what: &str, wanted: &[&str]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let listed = output(command("rustup").args([what, "list", "--installed"]))
        .with_context(|| format!("rustup is needed to add the {what}s {}", wanted.join(" ")))?;
    // Components are listed with the target that they are for.
    let is_there = |name: &&&str| listed.lines().any(|l| l == **name || l.starts_with(&format!("{name}-")));
    let missing: Vec<_> = wanted.iter().filter(|name| !is_there(name)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(&format!("Adding Rust {what}s: {}", missing.join(" ")));
    succeed(command("rustup").args([what, "add"]).args(&missing))
}

fn tauri_driver() -> Result<()> {
    let tools = root().join("target/tools");
    let installed = command(tools.join("bin/tauri-driver")).arg("--help").output();
    if installed.is_ok_and(|answer| answer.status.success()) {
        return Ok(());
    }
    step("Installing tauri-driver");
    // Without --locked: a registry mirror may lack the very versions of its lock file.
    let mut install = cargo(&["install", "tauri-driver", "--version", TAURI_DRIVER, "--root"]);
    install.arg(&tools).arg("--target-dir").arg(target().join("tools-build"));
    succeed(&mut install)
}
