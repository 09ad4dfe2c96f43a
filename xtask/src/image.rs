//! The server's container image: built by podman from the Containerfile, and run as locked as compositions and
//! clusters run it.

use crate::run::{built, cargo, command, output, step, succeed, target};
use crate::{deps, deps::Need};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What `image` takes.
#[derive(clap::Args)]
pub struct Options {
    /// Of this program, in the place of one that is built for it.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// From the unoptimised program, to see that it works.
    #[arg(long, conflicts_with = "program")]
    dev: bool,
    /// Build the program inside, as `podman build` alone does, on an image with Rust that is here or in a registry.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["program", "dev"])]
    toolchain: Option<String>,
    /// Put the program on this image, such as gcr.io/distroless/cc-debian12:nonroot. Without, on one that is made
    /// here from Debian's packages, so that no registry is needed.
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Build it, and do not run it.
    #[arg(long)]
    no_run: bool,
}

const NAME: &str = concat!("localhost/vereda-server:", env!("CARGO_PKG_VERSION"));
const BASE: &str = "localhost/vereda-base:debian";

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
    deps::ensure(Need::BUILD | Need::IMAGE)?;
    ensure!(rustix::process::geteuid().is_root(), "only root sees what a container's process may do");
    let folder = target().join("dist-image");
    let mut build = podman(None);
    build.args(["build", "--tag", NAME, "--file", "deploy/container/Containerfile"]);
    if let Some(toolchain) = &options.toolchain {
        build.args(["--build-arg", &format!("TOOLCHAIN={toolchain}")]);
    } else {
        build.arg("--build-context").arg(format!("build={}", program(options, &folder)?.display()));
    }
    let base = match &options.base {
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
    if options.no_run { Ok(()) } else { attempt() }
}

/// A folder as the first stage of the Containerfile leaves one: everything below `/out`.
fn program(options: &Options, folder: &Path) -> Result<PathBuf> {
    let program = match &options.program {
        Some(program) => {
            fs::canonicalize(program).with_context(|| format!("finding {}", program.display()))?
        }
        None => {
            step("Building the server");
            let mut build =
                cargo(&["build", "--locked", "--package", "vereda-server", "--bin", "vereda-server"]);
            succeed(if options.dev { &mut build } else { build.arg("--release") })?;
            built("vereda-server", !options.dev)
        }
    };
    let made = fresh(&folder.join("build"))?;
    succeed(command("install").args(["-d", "-m", "0700"]).arg(made.join("out/var/lib/vereda")))?;
    let to = made.join("out/usr/bin/vereda-server");
    succeed(command("install").args(["-D", "-s", "-m", "0755"]).arg(program).arg(to))?;
    Ok(made)
}

fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder.to_owned())
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

fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    let parent = file.parent().context("a file is in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
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

/// podman, with the runtime of its settings or with another.
fn podman(runtime: Option<&str>) -> Command {
    let mut podman = command("podman");
    podman.args(runtime.map(|name| format!("--runtime={name}")));
    podman
}

/// As deploy/compose and deploy/kubernetes lock it, and without the writable /tmp that podman alone adds.
const LOCKED: &[&str] = &[
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    // As in the composition; by itself podman asks for more than a machine may give.
    "--ulimit=nofile=16384:16384",
    "--ulimit=nproc=1024:1024",
];

/// The first runtime that starts a container here. crun of Debian 12 refuses where cgroups are of both versions.
fn runtime() -> Result<Option<&'static str>> {
    let mut complaints = Vec::new();
    for runtime in [None, Some("runc")] {
        let mut run = podman(runtime);
        run.args(["run", "--rm", "--network=none"]).args(LOCKED).args([NAME, "--version"]);
        match output(&mut run) {
            Ok(version) => {
                println!("started by {}: {}", runtime.unwrap_or("podman's own runtime"), version.trim());
                return Ok(runtime);
            }
            Err(error) => {
                println!("not started by {}: {error:#}", runtime.unwrap_or("podman's own runtime"));
                complaints.push(format!("{error:#}"));
            }
        }
    }
    bail!("podman runs no container on this machine:\n{}", complaints.join("\n"))
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
    let trial = Trial { runtime: runtime()?, name: format!("vereda-image-{}", std::process::id()) };
    let process = trial.start()?;
    privileges(&process)?;
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

/// Who the process is to the kernel.
fn privileges(process: &str) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = |key: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        found.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    let none = "0000000000000000";
    let wanted = [
        ("Uid", "65532 65532 65532 65532"),
        ("Gid", "65532 65532 65532 65532"),
        ("CapEff", none),
        ("CapPrm", none),
        ("CapBnd", none),
        ("NoNewPrivs", "1"),
        // A filter of system calls.
        ("Seccomp", "2"),
    ];
    for (key, value) in wanted {
        ensure!(line(key) == value, "the process's {key} is {}, not {value}", line(key));
    }
    println!("the process: uid and gid 65532, no capability, no new privileges, system calls filtered");
    Ok(())
}

/// What is there, and what can be written, seen through the process's own mounts.
fn contents(trial: &Trial, process: &str) -> Result<()> {
    let inside = PathBuf::from(format!("/proc/{process}/root"));
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
    // As root of this machine, whom no mode of a file stops: a mount does.
    for folder in ["", "etc", "usr/bin", "tmp", "var/lib"] {
        let file = inside.join(folder).join("trial");
        let refused = fs::write(&file, b"").err().map(|error| error.kind());
        ensure!(
            refused == Some(std::io::ErrorKind::ReadOnlyFilesystem),
            "/{folder} can be written: {refused:?}"
        );
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
