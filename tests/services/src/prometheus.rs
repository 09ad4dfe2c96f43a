//! A Prometheus that reads what it is told to.

use crate::{free_port, wait_until_ready};
use anyhow::{Context as _, Result};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

/// A Prometheus that runs until it is dropped, and forgets everything then.
pub struct Prometheus {
    child: Child,
    port: u16,
    // Goes after the program.
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one with this configuration and waits until it is ready.
    ///
    /// # Errors
    /// When Prometheus is not installed, or does not start; the message holds its log.
    pub fn start(configuration: &str) -> Result<Prometheus> {
        let dir = tempfile::Builder::new().prefix("vereda-prometheus-").tempdir()?;
        let (file, log, port) = (dir.path().join("prometheus.yml"), dir.path().join("log"), free_port()?);
        std::fs::write(&file, configuration)?;
        let output = std::fs::File::create(&log)?;
        let mut server = Command::new("setpriv");
        server.args(["--pdeathsig=TERM", "prometheus"]);
        server.arg(format!("--config.file={}", file.display()));
        server.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        server.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        server.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut child = server.spawn().context("starting Prometheus (Debian: prometheus)")?;
        wait_until_ready("Prometheus", Some(&mut child), &log, || Ok(ready(port).unwrap_or(false)))?;
        Ok(Prometheus { child, port, _dir: dir })
    }

    /// Where its API is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1", self.port)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(1)))?;
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.0 200"))
}
