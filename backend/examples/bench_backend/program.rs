//! The programs that are measured: started, asked whether they are ready, stopped.

use crate::Failure;
use crate::constant::LISTEN;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Any number of requests: all of them come from one account and one address here.
const RATES: &str = "[rates.account]\nread = 0\nwrite = 0\nscore = 0\nsync = 0\n[rates.address]\npublic = 0\n\
    sign_in = 0\nsession = 0\nread = 0\nwrite = 0\nscore = 0\nsync = 0\n";

/// A program that runs until it is dropped.
pub struct Program {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
    /// From its start until it was ready.
    pub started: Duration,
}

impl Program {
    /// Our server over a data folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn server(program: &Path, data: &Path) -> Result<Program, Failure> {
        Program::server_on(program, data, "")
    }

    /// The same on a PostgreSQL; empty for the SQLite in the data folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn server_on(program: &Path, data: &Path, database: &str) -> Result<Program, Failure> {
        let settings = data.join("bench.toml");
        std::fs::write(&settings, RATES)?;
        let (address, metrics) = (free()?, free()?);
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(settings);
        command.env("VEREDA_DATA_DIR", data).env("VEREDA_DATABASE_URL", database);
        command.env("VEREDA_LISTEN", address.to_string());
        command.env("VEREDA_METRICS_LISTEN", metrics.to_string());
        // No line for each request, as gunicorn writes none.
        command.env("VEREDA_LOG_FILTER", "warn");
        Program::start(command, address, metrics, "/readyz")
    }

    /// FastAPI under gunicorn, with a worker for each of two cores.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn fastapi(gunicorn: &Path, booster: &Path) -> Result<Program, Failure> {
        let address = free()?;
        let mut command = Command::new(gunicorn);
        command.args(["--chdir", concat!(env!("CARGO_MANIFEST_DIR"), "/../models/peers/fastapi")]);
        command.args(["--workers", "2", "--worker-class", "uvicorn_worker.UvicornWorker"]);
        command.args(["--log-level", "warning", "--bind"]).arg(address.to_string()).arg("app:app");
        command.env("MODEL", std::path::absolute(booster)?);
        for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            command.env(variable, "1");
        }
        // It refuses to read, but it answers.
        Program::start(command, address, address, "/api/predict")
    }

    /// The same answer to everybody.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn constant() -> Result<Program, Failure> {
        let address = free()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(LISTEN, address.to_string());
        // It refuses to read, but it answers.
        Program::start(command, address, address, "/api/predict")
    }

    fn start(
        mut command: Command,
        address: SocketAddr,
        health: SocketAddr,
        path: &str,
    ) -> Result<Program, Failure> {
        let begun = Instant::now();
        let child = command.stdout(Stdio::null()).spawn()?;
        let mut program = Program { child, address, started: Duration::ZERO };
        while !answers(health, path).unwrap_or(false) {
            if begun.elapsed() > PATIENCE || program.child.try_wait()?.is_some() {
                return Err(format!("{command:?} does not become ready").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        program.started = begun.elapsed();
        Ok(program)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A path as a URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGTERM: what was written goes to its place, and gunicorn's workers end with it.
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Whether it answers, and does not say that it is not ready.
fn answers(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 ") && !answer.starts_with("HTTP/1.1 5"))
}

/// An address where nobody listens.
fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
