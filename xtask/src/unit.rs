//! The Debian package under a systemd that runs: a Debian 12 of its own, with Debian's kernel, booted in an emulated
//! machine, so that it needs nothing of the kernel that it is built on and leaves nothing there.

use crate::run::{command, output, step, succeed, target};
use crate::{deb, deps, deps::Need};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What `unit` takes.
#[derive(clap::Args)]
pub struct Options {
    /// Of this package, in the place of one that is built for it.
    #[arg(long, value_name = "PATH")]
    package: Option<PathBuf>,
    /// From the unoptimised program, to see that it works.
    #[arg(long, conflicts_with = "package")]
    dev: bool,
    /// How many seconds the machine may take, with its two boots.
    #[arg(long, default_value_t = 1200)]
    limit: u64,
    /// With the processor's own virtualisation, where there is one that works: much quicker.
    #[arg(long)]
    kvm: bool,
}

/// What a small Debian that boots has, what the package depends on, and a client to ask with.
const PACKAGES: &str =
    "ca-certificates,curl,dbus,init-system-helpers,linux-image-cloud-amd64,systemd,systemd-sysv";
const DISK: &str = "1500M";

/// Beside multi-user.target and not before it: the package starts its unit while this runs.
const SERVICE: &str = "\
[Unit]
After=multi-user.target

[Service]
Type=exec
ExecStart=/bin/sh /opt/trial/trial.sh
";

/// Builds the package, boots a machine for it, and tells what it sees there.
///
/// # Errors
/// When something does not build, the machine does not come to its end in time, or something is not as it should be.
pub fn run(options: &Options) -> Result<()> {
    deps::ensure(Need::BUILD | Need::DEB | Need::MACHINE)?;
    ensure!(rustix::process::geteuid().is_root(), "only root can make a Debian's files");
    let architecture = output(command("dpkg").arg("--print-architecture"))?;
    ensure!(architecture.trim() == "amd64", "the emulated machine is an amd64 one, this is {architecture}");
    let package = match &options.package {
        Some(package) => {
            fs::canonicalize(package).with_context(|| format!("finding {}", package.display()))?
        }
        None => deb::make(!options.dev)?,
    };
    let folder = target().join("unit");
    let debian = debian(&folder)?;
    let work = tempfile::Builder::new().prefix("machine-").tempdir_in(&folder)?;
    let disk = disk(&debian, &package, work.path())?;
    boot(options, &debian, &disk, work.path())
}

/// A Debian 12 with a kernel, unpacked; made once.
fn debian(folder: &Path) -> Result<PathBuf> {
    let (tree, stamp) = (folder.join("debian"), folder.join("debian.txt"));
    if fs::read_to_string(&stamp).ok().as_deref() == Some(PACKAGES) {
        return Ok(tree);
    }
    step("Making a Debian 12");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("removing {}", tree.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut make = command("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}"), "bookworm"]);
    succeed(make.arg(&tree))?;
    fs::write(stamp, PACKAGES)?;
    Ok(tree)
}

/// That Debian with the package and what tries it, as a disk.
fn disk(debian: &Path, package: &Path, work: &Path) -> Result<PathBuf> {
    let tree = work.join("root");
    succeed(command("cp").args(["-a", "--reflink=auto"]).arg(debian).arg(&tree))?;
    let trial = tree.join("opt/trial");
    fs::create_dir_all(&trial)?;
    fs::write(trial.join("trial.sh"), include_str!("unit/trial.sh"))?;
    fs::write(trial.join("inside.sh"), include_str!("unit/inside.sh"))?;
    fs::copy(package, trial.join("vereda-server.deb")).context("copying the package")?;
    fs::write(tree.join("etc/systemd/system/trial.service"), SERVICE)?;
    // Where no mode of a file is in the way, and a journal that outlives a boot.
    succeed(command("install").args(["-d", "-m", "0777"]).arg(tree.join("opt/open")))?;
    fs::create_dir_all(tree.join("var/log/journal"))?;
    // They would hold apt's lock while they wait for a network.
    for timer in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
        let mask = tree.join("etc/systemd/system").join(timer);
        succeed(command("ln").args(["-sf", "/dev/null"]).arg(mask))?;
    }
    let disk = work.join("disk");
    output(command("mkfs.ext4").args(["-q", "-F", "-d"]).arg(&tree).arg(&disk).arg(DISK))?;
    Ok(disk)
}

/// The only file of /boot whose name begins so.
fn kernel(debian: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(debian.join("boot"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!("{} has no /boot/{prefix}*", debian.display())
}

/// An emulated machine that ends with this value.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots it, and prints what it tells until it is done.
fn boot(options: &Options, debian: &Path, disk: &Path, work: &Path) -> Result<()> {
    step("Booting it, in an emulated machine");
    let (console, told) = (work.join("console"), work.join("told"));
    let mut qemu = command("qemu-system-x86_64");
    // Emulated all through: a /dev/kvm that can be opened is not always one that works.
    qemu.args(if options.kvm { ["-accel", "kvm", "-cpu", "host"] } else { ["-accel", "tcg", "-cpu", "max"] });
    qemu.args(["-smp", "2", "-m", "1024", "-nodefaults", "-display", "none", "-nic", "none"]);
    for serial in [&console, &told] {
        qemu.arg("-serial").arg(format!("file:{}", serial.display()));
    }
    qemu.arg("-kernel").arg(kernel(debian, "vmlinuz-")?).arg("-initrd").arg(kernel(debian, "initrd.img-")?);
    qemu.args(["-append", "root=/dev/vda rw quiet console=ttyS0 panic=-1 systemd.wants=trial.service"]);
    qemu.arg("-drive").arg(format!("file={},if=virtio,format=raw,cache=unsafe", disk.display()));
    let begun = Instant::now();
    let limit = Duration::from_secs(options.limit);
    let mut machine = Machine(qemu.stdin(Stdio::null()).spawn().context("starting qemu-system-x86_64")?);
    let mut seen = 0;
    let mut over = None;
    loop {
        let ended = machine.0.try_wait()?;
        let text = fs::read(&told).unwrap_or_default();
        // A line may be half there.
        while let Some(length) = text[seen..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&text[seen..seen + length]);
            let line = line.trim_end();
            println!("{line}");
            seen += length + 1;
            if line == "DONE" || line.starts_with("FAILED") {
                over = Some(line.to_owned());
            }
        }
        if let Some(status) = ended {
            let said =
                over.with_context(|| format!("the machine ended early ({status}): {}", tail(&console)))?;
            ensure!(said == "DONE", "{said}");
            println!("two boots and all between took {:.0?}", begun.elapsed());
            return Ok(());
        }
        ensure!(begun.elapsed() < limit, "no end after {limit:.0?}: {}", tail(&console));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The last of what the machine wrote on its console.
fn tail(console: &Path) -> String {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
    if text.is_empty() { "nothing on its console".to_owned() } else { text }
}
