//! The services that tests of the backend need, each with its own data on a free port, stopped and
//! forgotten afterwards. They can be stopped and started again, with what they held. And a small
//! [`disk`].

pub mod disk;
mod prometheus;

pub use prometheus::Prometheus;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a service may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL that runs until it is dropped.
pub struct Postgres {
    child: Option<Child>,
    port: u16,
    programs: PathBuf,
    /// Goes after the server.
    dir: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster and waits until it answers.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not start; the message holds its log.
    pub fn start() -> Result<Postgres> {
        let programs = programs()?;
        let dir = tempfile::Builder::new().prefix("vereda-postgres-").tempdir()?;
        if is_root() {
            // PostgreSQL refuses to run as root.
            succeed(Command::new("chown").arg("postgres:").arg(dir.path()))?;
        }
        // Trust: only this machine reaches it, and there is nothing in it but inventions.
        let options =
            ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"];
        let data = dir.path().join("data");
        succeed(as_postgres(&programs.join("initdb")).args(options).arg(&data).stdout(Stdio::null()))?;
        let mut postgres = Postgres { child: None, port: free_port()?, programs, dir };
        postgres.begin()?;
        Ok(postgres)
    }

    /// Starts it again after [`Postgres::stop`], and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; the message holds its log.
    pub fn begin(&mut self) -> Result<()> {
        let log = self.dir.path().join("log");
        // Tests kill processes, not the power: what the kernel has is safe.
        let settings =
            ["fsync=off", "full_page_writes=off", "max_connections=400", "listen_addresses=127.0.0.1"];
        let mut server = as_postgres(&self.programs.join("postgres"));
        server.arg("-D").arg(self.dir.path().join("data")).arg("-p").arg(self.port.to_string());
        server.arg("-c").arg(format!("unix_socket_directories={}", self.dir.path().display()));
        for setting in settings {
            server.arg("-c").arg(setting);
        }
        let output = std::fs::File::create(&log)?;
        server.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.child = Some(server.spawn().context("starting PostgreSQL")?);
        let (programs, port) = (self.programs.clone(), self.port);
        wait_until_ready("PostgreSQL", self.child.as_mut(), &log, || {
            let ready = Command::new(programs.join("pg_isready"))
                .args(["-q", "-t", "1", "-h", "127.0.0.1", "-p"])
                .arg(port.to_string())
                .status()?;
            Ok(ready.success())
        })
    }

    /// Stops it: what is being done is broken off, what was committed stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A fast shutdown, its children and shared memory included.
            if kill_process(Pid::from_child(&child), Signal::INT).is_err() {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }

    /// Where to make databases.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A Redis that runs until it is dropped, and forgets everything then.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    dir: tempfile::TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When Redis is not installed, or does not start; the message holds its log.
    pub fn start() -> Result<Redis> {
        let dir = tempfile::Builder::new().prefix("vereda-redis-").tempdir()?;
        let mut redis = Redis { child: None, port: free_port()?, dir };
        redis.begin()?;
        Ok(redis)
    }

    /// Starts it again after [`Redis::kill`], empty, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; the message holds its log.
    pub fn begin(&mut self) -> Result<()> {
        let log = self.dir.path().join("log");
        let output = std::fs::File::create(&log)?;
        let mut server = Command::new("setpriv");
        server.args(["--pdeathsig=TERM", "redis-server", "--bind", "127.0.0.1", "--save", ""]);
        server.args(["--appendonly", "no", "--port"]).arg(self.port.to_string());
        server.arg("--dir").arg(self.dir.path());
        server.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.child = Some(server.spawn().context("starting Redis (Debian: redis-server)")?);
        let port = self.port;
        wait_until_ready("Redis", self.child.as_mut(), &log, || Ok(ping(port).unwrap_or(false)))
    }

    /// Kills it, with all that it held.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn ping(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}

fn wait_until_ready(
    name: &str,
    child: Option<&mut Child>,
    log: &Path,
    ready: impl Fn() -> Result<bool>,
) -> Result<()> {
    let child = child.context("it was not started")?;
    let patience = Instant::now() + PATIENCE;
    while !ready()? {
        let ended = child.try_wait()?;
        ensure!(
            ended.is_none() && Instant::now() < patience,
            "{name} did not start: {}",
            std::fs::read_to_string(log).unwrap_or_default().trim()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Debian keeps the server's programs out of the path, by version; the newest will do.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/postgres").exists().then(|| (version, path.join("bin")))
        })
        .collect();
    found.sort();
    let (_, path) = found.pop().context("PostgreSQL is not installed (Debian: postgresql)")?;
    Ok(path)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT"]).arg(program);
    // It must be able to stand in its folder.
    setpriv.current_dir("/");
    setpriv
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}

/// A port that nobody listens on.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}
