//! The server's process.

use crate::Failure;
use crate::device::copy;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Any number of requests.
const RATES: &str = "[rates.account]\nread = 0\nwrite = 0\nscore = 0\nsync = 0\n[rates.address]\npublic = 0\n\
    sign_in = 0\nsession = 0\nread = 0\nwrite = 0\nscore = 0\nsync = 0\n";

/// See the module.
pub struct Server {
    program: PathBuf,
    data: PathBuf,
    listen: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts it over a data folder.
    pub async fn start(program: PathBuf, data: &Path) -> Result<Server, Failure> {
        let listen = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut server = Server { program, data: data.to_owned(), listen, child: None };
        server.go_on().await?;
        Ok(server)
    }

    /// Starts it again, at the same address.
    pub async fn go_on(&mut self) -> Result<(), Failure> {
        // A crowd is one user here, and one address.
        let rates = self.data.join("bench.toml");
        std::fs::write(&rates, RATES)?;
        let child = Command::new(&self.program)
            .args(["serve", "--config"])
            .arg(rates)
            .env("VEREDA_DATA_DIR", &self.data)
            .env("VEREDA_LISTEN", self.listen.to_string())
            .env("VEREDA_METRICS_LISTEN", "127.0.0.1:0")
            .env("VEREDA_LOG_FILTER", "error")
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        let patience = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect(self.listen).await.is_err() {
            if Instant::now() > patience {
                return Err("the server does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            Command::new("kill").arg(pid.to_string()).status().await?;
        }
        child.wait().await?;
        Ok(())
    }

    /// Another one over a copy of its data, to be at the same address in turn. It must be stopped.
    pub fn copied(&self, data: &Path) -> Result<Server, Failure> {
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        copy(&self.data, data)?;
        Ok(self.over(data))
    }

    /// Another one over other data, to be at the same address in turn. It must be stopped.
    pub fn over(&self, data: &Path) -> Server {
        Server { program: self.program.clone(), data: data.to_owned(), listen: self.listen, child: None }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// As a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Its process.
    pub fn pid(&self) -> Result<String, Failure> {
        Ok(self.child.as_ref().and_then(Child::id).ok_or("the server does not run")?.to_string())
    }
}
