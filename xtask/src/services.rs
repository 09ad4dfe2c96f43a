//! The services that tests of the backend need, each with its own data on a free port, stopped and
//! forgotten afterwards.

use crate::deps::{self, Need};
use crate::run::{clean, command, output, step, succeed, target};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A PostgreSQL that runs until it is dropped.
pub struct Postgres {
    child: Child,
    port: u16,
    /// Goes after the server.
    _dir: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster and waits until it answers.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not start; the message holds its log.
    pub fn start() -> Result<Postgres> {
        let programs = programs()?;
        std::fs::create_dir_all(target())?;
        let dir = tempfile::Builder::new().prefix("vereda-postgres-").tempdir()?;
        let data = dir.path().join("data");
        if is_root() {
            // PostgreSQL refuses to run as root.
            succeed(command("chown").arg("postgres:").arg(dir.path()))?;
        }
        // Trust: only this machine reaches it, and there is nothing in it but inventions.
        output(
            as_postgres(&programs.join("initdb"))
                .args([
                    "--auth=trust",
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    "-D",
                ])
                .arg(&data),
        )?;
        let port = free_port()?;
        let log = dir.path().join("log");
        // Tests kill processes, not the power: what the kernel has is safe.
        let settings =
            ["fsync=off", "full_page_writes=off", "max_connections=400", "listen_addresses=127.0.0.1"];
        let mut server = as_postgres(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        server.arg("-c").arg(format!("unix_socket_directories={}", dir.path().display()));
        for setting in settings {
            server.arg("-c").arg(setting);
        }
        let output = std::fs::File::create(&log)?;
        server.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = server.spawn().context("starting PostgreSQL")?;
        let mut postgres = Postgres { child, port, _dir: dir };
        postgres.wait_until_ready(&programs, &log)?;
        Ok(postgres)
    }

    /// Where to make databases.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_until_ready(&mut self, programs: &Path, log: &Path) -> Result<()> {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let ready = command(programs.join("pg_isready"))
                .args(["-q", "-t", "1", "-h", "127.0.0.1", "-p"])
                .arg(self.port.to_string())
                .status()?;
            if ready.success() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < patience,
                "PostgreSQL did not start: {}",
                std::fs::read_to_string(log).unwrap_or_default().trim()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown, its children and shared memory included.
        if kill_process(Pid::from_child(&self.child), Signal::INT).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Runs a command with a PostgreSQL of its own.
///
/// # Errors
/// When the service does not start, or the command fails.
pub fn run(words: &[String]) -> Result<()> {
    deps::ensure(Need::SERVICES)?;
    step("Starting PostgreSQL");
    let postgres = Postgres::start()?;
    let (program, arguments) = words.split_first().context("a command is needed")?;
    succeed(clean(&mut command(program)).args(arguments).env("VEREDA_TEST_POSTGRES", postgres.url()))
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
        return command(program);
    }
    let mut runuser = command("setpriv");
    runuser.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT"]).arg(program);
    // It must be able to stand in its folder.
    runuser.current_dir("/");
    runuser
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}
