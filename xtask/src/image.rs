//! The server's container image: built by podman from the Containerfile, and run as locked as compositions and
//! clusters run it.

use crate::containers::{LOCKED, fresh, inside, podman, privileges, put, read_only, runtime};
use crate::run::{built, cargo, command, output, step, succeed, target};
use crate::{deps, deps::Need};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What `image` takes.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    made: Made,
    /// Build it, and do not run it.
    #[arg(long)]
    no_run: bool,
}

/// What the image is made of.
#[derive(clap::Args)]
pub struct Made {
    /// Of this program, in the place of one that is built for it.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// From the unoptimised program, to see that it works.
    #[arg(long, conflicts_with = "program")]
    dev: bool,
    /// Build the program inside, as `podman build` alone does, on an image with Rust that is here or in a registry.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["program", "dev"])]
    toolchain: Option<String>,
    /// Build the program inside, on an image that is made here from Debian's packages and this machine's Rust.
    #[arg(long, conflicts_with_all = ["program", "dev", "toolchain"])]
    inside: bool,
    /// Put the program on this image, such as gcr.io/distroless/cc-debian12:nonroot. Without, on one that is made
    /// here from Debian's packages, so that no registry is needed.
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
}

/// What the image is called.
pub const NAME: &str = concat!("localhost/vereda-server:", env!("CARGO_PKG_VERSION"));
const BASE: &str = "localhost/vereda-base:debian";
const TOOLCHAIN: &str = "localhost/vereda-toolchain:debian";

/// What the public image of Rust has besides Rust, as far as the server needs it.
const COMPILER: &str = "--include=ca-certificates,g++,gcc,libc6-dev,make,pkg-config";

/// What the image that stands in for distroless's has: the C library, that of the compiler, names of zones and of
/// services. Certificates come beside them.
const LIBRARIES: &[&str] = &["base-files", "libc6", "libgcc-s1", "netbase", "tzdata"];

/// How long it may take until it can serve, and to stop: what deploy/compose gives it.
const START: Duration = Duration::from_secs(60);
const GRACE: u64 = 40;

/// Builds the image, and tries it.
///
/// # Errors
/// When something does not build, or the image is not what it should be.
pub fn run(options: &Options) -> Result<()> {
    build(&options.made)?;
    if options.no_run { Ok(()) } else { attempt() }
}

/// Builds the image.
///
/// # Errors
/// When something does not build.
pub fn build(made: &Made) -> Result<()> {
    deps::ensure(Need::BUILD | Need::IMAGE)?;
    ensure!(rustix::process::geteuid().is_root(), "only root sees what a container's process may do");
    let folder = target().join("dist-image");
    let mut build = podman(None);
    build.args(["build", "--tag", NAME, "--file", "deploy/container/Containerfile"]);
    if made.inside {
        compiler(&folder)?;
        build.args(["--build-arg", &format!("TOOLCHAIN={TOOLCHAIN}")]);
    } else if let Some(toolchain) = &made.toolchain {
        build.args(["--build-arg", &format!("TOOLCHAIN={toolchain}")]);
    } else {
        build.arg("--build-context").arg(format!("build={}", program(made, &folder)?.display()));
    }
    let base = match &made.base {
        Some(base) => base,
        None => {
            stand_in(&folder)?;
            BASE
        }
    };
    build.args(["--build-arg", &format!("BASE={base}")]);
    step("Building the image");
    succeed(build.arg("."))?;
    let size = |image: &str| -> Result<f64> {
        let bytes = output(podman(None).args(["image", "inspect", "--format", "{{.Size}}", image]))?;
        Ok(bytes.trim().parse::<f64>()? / 1e6)
    };
    println!("{NAME}: {:.1} MB, of which {base} {:.1} MB", size(NAME)?, size(base)?);
    Ok(())
}

/// A folder as the first stage of the Containerfile leaves one: everything below `/out`.
fn program(wanted: &Made, folder: &Path) -> Result<PathBuf> {
    let program = match &wanted.program {
        Some(program) => {
            fs::canonicalize(program).with_context(|| format!("finding {}", program.display()))?
        }
        None => {
            step("Building the server");
            let mut build =
                cargo(&["build", "--locked", "--package", "vereda-server", "--bin", "vereda-server"]);
            succeed(if wanted.dev { &mut build } else { build.arg("--release") })?;
            built("vereda-server", !wanted.dev)
        }
    };
    let made = fresh(&folder.join("build"))?;
    succeed(command("install").args(["-d", "-m", "0700"]).arg(made.join("out/var/lib/vereda")))?;
    let to = made.join("out/usr/bin/vereda-server");
    succeed(command("install").args(["-D", "-s", "-m", "0755"]).arg(program).arg(to))?;
    Ok(made)
}

/// What the public image of Rust is to the Containerfile: Debian 12 with a C compiler, and Rust in /usr/local.
fn compiler(folder: &Path) -> Result<()> {
    step("Making an image to build it on, from Debian's packages and this machine's Rust");
    deps::ensure(Need::COMPOSITION)?;
    let made = fresh(&folder.join("toolchain"))?;
    let (tree, tar) = (made.join("root"), made.join("root.tar"));
    let mut make = command("mmdebstrap");
    succeed(make.args(["--quiet", "--variant=minbase", COMPILER, "bookworm"]).arg(&tree))?;
    let rust = output(command("rustc").args(["--print", "sysroot"]))?;
    for part in ["bin", "lib"] {
        let from = Path::new(rust.trim()).join(part);
        succeed(command("cp").arg("-a").arg(from).arg(tree.join("usr/local")))?;
    }
    // Where registries are reached through an authority of one's own, what trusts it here has to trust it there.
    let authorities = "etc/ssl/certs/ca-certificates.crt";
    fs::copy(Path::new("/").join(authorities), tree.join(authorities)).context("copying authorities")?;
    succeed(command("tar").arg("-C").arg(&tree).arg("-cf").arg(&tar).arg("."))?;
    let home = ["--change", "ENV CARGO_HOME=/usr/local/cargo"];
    output(podman(None).arg("import").args(home).arg(&tar).arg(TOOLCHAIN))?;
    fs::remove_dir_all(&made).with_context(|| format!("removing {}", made.display()))
}

/// What distroless's `cc` is to a program that needs nothing but the C library: unpacked, never installed, so that
/// neither a shell nor dpkg comes along.
fn stand_in(folder: &Path) -> Result<()> {
    step("Making an image to put it on, from Debian's packages");
    let made = fresh(&folder.join("base"))?;
    let (packages, tree) = (fresh(&made.join("packages"))?, fresh(&made.join("root"))?);
    let mut download = command("apt-get");
    download.current_dir(&packages).args(["-q", "download", "ca-certificates"]).args(LIBRARIES);
    output(&mut download)?;
    let mut certificates = Vec::new();
    for entry in fs::read_dir(&packages)? {
        let package = entry?.path();
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("ca-certificates_") {
            let apart = made.join("certificates");
            succeed(command("dpkg").arg("-x").arg(&package).arg(&apart))?;
            for file in files(&apart.join("usr/share/ca-certificates"))? {
                certificates.extend(fs::read(&file).with_context(|| format!("reading {}", file.display()))?);
            }
        } else {
            succeed(command("dpkg").arg("-x").arg(&package).arg(&tree))?;
        }
    }
    ensure!(!certificates.is_empty(), "Debian's package of certificates has none");
    put(&tree.join("etc/ssl/certs/ca-certificates.crt"), &certificates)?;
    let people =
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
    put(&tree.join("etc/passwd"), people.as_bytes())?;
    put(&tree.join("etc/group"), b"root:x:0:\nnonroot:x:65532:\n")?;
    put(&tree.join("etc/nsswitch.conf"), b"hosts: files dns\n")?;
    put(&made.join("Containerfile"), b"FROM scratch\nCOPY root/ /\nUSER 65532\n")?;
    output(podman(None).args(["build", "--tag", BASE]).arg(&made))?;
    Ok(())
}

/// The files below a folder, links left out; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Links lead out: seen from here, they begin at this machine's root.
        if !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let (path, kind) = {
                let entry = entry?;
                (entry.path(), entry.file_type()?)
            };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A volume and the containers on it, gone with this value.
struct Trial {
    runtime: Option<&'static str>,
    name: String,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.podman(&["rm", "--force", "--ignore", "--time=0", &self.name]);
        let _ = self.podman(&["volume", "rm", "--force", &self.name]);
    }
}

impl Trial {
    fn podman(&self, arguments: &[&str]) -> Result<String> {
        output(podman(self.runtime).args(arguments))
    }

    fn inspect(&self, what: &str) -> Result<String> {
        Ok(self.podman(&["inspect", "--format", what, &self.name])?.trim().to_owned())
    }

    /// A command of the program in the running container, as an operator gives it.
    fn exec(&self, arguments: &[&str]) -> Result<String> {
        let mut line = vec!["exec", &self.name, "/usr/bin/vereda-server"];
        line.extend(arguments);
        self.podman(&line)
    }

    /// Starts a container on the volume; the id of its process.
    fn start(&self) -> Result<String> {
        let begun = Instant::now();
        let mut run = podman(self.runtime);
        run.args(["run", "--detach", "--name", &self.name]).args(LOCKED);
        run.arg(format!("--volume={}:/var/lib/vereda", self.name));
        run.args(["--publish=127.0.0.1::8787", "--publish=127.0.0.1::8788"]);
        // Beyond loopback it wants TLS, or to be told who ends it: here whoever comes over podman's network.
        run.args(["--env=VEREDA_LISTEN=0.0.0.0:8787", "--env=VEREDA_METRICS_LISTEN=0.0.0.0:8788"]);
        run.args(["--env=VEREDA_TRUSTED_PROXIES=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16", NAME]);
        output(&mut run)?;
        let metrics = self.address(8788)?;
        while !get(&metrics, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            let running = self.inspect("{{.State.Running}}")? == "true";
            if !running || begun.elapsed() > START {
                let mut logs = podman(self.runtime);
                succeed(logs.args(["logs", "--tail=20", &self.name]))?;
                bail!("/readyz does not answer 200 after {:.0?}", begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("/readyz answers 200 after {:.1?}", begun.elapsed());
        for (port, path) in [(8788, "/healthz"), (8787, "/api/openapi.json")] {
            let answer = get(&self.address(port)?, path)?;
            let status = answer.lines().next().unwrap_or_default();
            ensure!(status.contains(" 200"), "{path}: {answer}");
            println!("{path} on port {port}: {status}");
        }
        self.inspect("{{.State.Pid}}")
    }

    /// Where a port of the container is to be reached.
    fn address(&self, port: u16) -> Result<String> {
        Ok(self.podman(&["port", &self.name, &port.to_string()])?.trim().to_owned())
    }

    /// Ends the container as an orchestrator does.
    fn stop(&self) -> Result<()> {
        let begun = Instant::now();
        self.podman(&["stop", &format!("--time={GRACE}"), &self.name])?;
        let took = begun.elapsed();
        let code = self.inspect("{{.State.ExitCode}}")?;
        ensure!(code == "0" && took < Duration::from_secs(GRACE), "exit code {code} after {took:.1?}");
        println!("SIGTERM: exit code 0 after {took:.1?}");
        self.podman(&["rm", &self.name])?;
        Ok(())
    }
}

/// The head and body of an answer.
fn get(address: &str, path: &str) -> Result<String> {
    let wait = Duration::from_secs(5);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Runs it twice on one volume, and looks at it from outside: nothing inside could.
fn attempt() -> Result<()> {
    step("Running it: read-only root, no capabilities, a volume for its data");
    let trial = Trial { runtime: runtime(NAME)?, name: format!("vereda-image-{}", std::process::id()) };
    let process = trial.start()?;
    privileges(&process, 65532)?;
    println!("the process: uid and gid 65532, no capability, no new privileges, system calls filtered");
    contents(&trial, &process)?;
    let branch = "Sucursal Norte";
    trial.exec(&["branch", "add", branch])?;
    trial.stop()?;
    step("A second container on the same volume");
    trial.start()?;
    let kept = trial.exec(&["branch", "list"])?;
    ensure!(kept.contains(branch), "the first container's branch is gone: {kept}");
    println!("the first container's data is there: {}", kept.trim());
    println!("audit verify: {}", trial.exec(&["audit", "verify"])?.trim());
    trial.stop()
}

/// What is there, and what can be written, seen through the process's own mounts.
fn contents(trial: &Trial, process: &str) -> Result<()> {
    let inside = inside(process);
    let folders = ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"];
    let mut programs = Vec::new();
    for folder in folders {
        programs.extend(files(&inside.join(folder))?);
    }
    ensure!(programs == [inside.join("usr/bin/vereda-server")], "there is more to run: {programs:?}");
    for shell in ["/bin/sh", "/bin/bash", "/busybox/sh"] {
        let attempt = trial.podman(&["exec", &trial.name, shell, "-c", "true"]);
        ensure!(attempt.is_err(), "{shell} runs in the container");
    }
    println!("to run: /usr/bin/vereda-server and nothing else; podman exec /bin/sh fails");
    for folder in ["", "etc", "usr/bin", "tmp", "var/lib"] {
        read_only(process, folder)?;
    }
    println!("read-only: /, /etc, /usr/bin, /tmp, /var/lib");
    let data = inside.join("var/lib/vereda");
    let owner = output(command("stat").args(["-c", "%u:%g %a"]).arg(&data))?;
    ensure!(owner.trim() == "65532:65532 700", "the data folder is {}", owner.trim());
    let mut names = Vec::new();
    for entry in fs::read_dir(&data)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    println!("/var/lib/vereda, 0700, of 65532: {}", names.join(" "));
    Ok(())
}
