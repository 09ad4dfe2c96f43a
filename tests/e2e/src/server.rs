//! The `vereda-server` program with sample data.

use crate::process::Program;
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// See the module.
pub struct Server {
    data: PathBuf,
    port: u16,
    clients: u32,
    program: Option<Program>,
    users: Vec<SignIn>,
    metrics: String,
}

/// A sample sign-in.
#[derive(Debug, Clone, Deserialize)]
pub struct SignIn {
    /// What to sign in with.
    pub username: String,
    /// And its password.
    pub password: String,
    /// `officer`, `manager`, ...
    pub role: String,
    /// Where, if anywhere.
    pub branch: Option<String>,
}

#[derive(Deserialize)]
struct Ready {
    ready: bool,
    metrics: String,
    users: Vec<SignIn>,
}

impl Server {
    /// Starts it on a free port with so many sample clients per officer.
    ///
    /// # Errors
    /// When it is not built or does not become ready.
    pub async fn start(data: &Path, clients: u32) -> anyhow::Result<Server> {
        let mut server = Server {
            data: data.to_owned(),
            port: crate::process::free_port()?,
            clients,
            program: None,
            users: Vec::new(),
            metrics: String::new(),
        };
        server.go_on().await?;
        Ok(server)
    }

    /// Starts it again after [`Server::stop`], at the same address with the same data.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn go_on(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(crate::built("vereda-server")?);
        command.arg("demo").arg("--data").arg(&self.data);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--clients", &self.clients.to_string()]);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.data.with_extension("log"))
            .context("opening the server's log")?;
        command.stderr(log);
        let mut program = Program::start(command)?;
        // The first start makes the sample data.
        let line = program.line_within(crate::LIMIT * (1 + self.clients / 5_000)).await?;
        let ready: Ready =
            serde_json::from_str(&line).with_context(|| format!("the server's first line was {line:?}"))?;
        anyhow::ensure!(ready.ready, "the server is not ready");
        program.drain();
        self.users = ready.users;
        self.metrics = ready.metrics;
        self.program = Some(program);
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.program.take() {
            Some(mut program) => program.terminate().await,
            None => Ok(()),
        }
    }

    /// Puts a bundle where the server keeps what it serves, past all of its checks, as a broken disk or
    /// a meddler would. `announced` is what the server says its SHA-256 is; its real one if not given.
    /// The server must be stopped.
    ///
    /// # Errors
    /// When the server has no version 1 yet, or one of this version already.
    pub fn serve_bundle(&self, version: u32, bytes: &[u8], announced: Option<&[u8]>) -> anyhow::Result<()> {
        let hash = Sha256::digest(announced.unwrap_or(bytes));
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let added = self.database()?.execute(
            "INSERT INTO models (version, id, sha256, bytes, published_ms, published_by)
             SELECT ?1, 'reference-boosted', ?2, ?3, published_ms + ?1, published_by
             FROM models WHERE version = 1",
            (version, hash, bytes),
        )?;
        anyhow::ensure!(added == 1, "the server had no version 1");
        Ok(())
    }

    /// Ends everybody's sessions: a device's next refresh is refused. The server must be stopped.
    ///
    /// # Errors
    /// When there is none.
    pub fn end_sessions(&self) -> anyhow::Result<()> {
        let ended = self.database()?.execute("UPDATE refresh_tokens SET expires_ms = 1", [])?;
        anyhow::ensure!(ended > 0, "there was no session to end");
        Ok(())
    }

    fn database(&self) -> anyhow::Result<rusqlite::Connection> {
        anyhow::ensure!(self.program.is_none(), "the server works on its database");
        Ok(rusqlite::Connection::open(self.data.join("vereda.db"))?)
    }

    /// The folder of its data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its metrics are.
    pub fn metrics_url(&self) -> &str {
        &self.metrics
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.program.as_ref().and_then(Program::pid)
    }

    /// The n-th sample sign-in with this role.
    ///
    /// # Errors
    /// When there is none.
    pub fn sign_in(&self, role: &str, n: usize) -> anyhow::Result<SignIn> {
        let found = self.users.iter().filter(|user| user.role == role).nth(n);
        found.cloned().with_context(|| format!("no sample sign-in {n} for {role}"))
    }

    /// Everybody of a branch with this role.
    pub fn of_branch(&self, role: &str, branch: Option<&str>) -> Vec<SignIn> {
        let fits = |user: &&SignIn| user.role == role && user.branch.as_deref() == branch;
        self.users.iter().filter(fits).cloned().collect()
    }

    /// An access token, as another system gets one.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn token(&self, user: &SignIn) -> anyhow::Result<String> {
        let body = json!({"username": user.username, "password": user.password});
        let answer = reqwest::Client::new()
            .post(format!("{}/api/auth/sign-in", self.url()))
            .json(&body)
            .send()
            .await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        anyhow::ensure!(status.is_success(), "sign-in answered {status}: {answer}");
        Ok(answer["access_token"].as_str().context("no token")?.to_owned())
    }

    /// A GET with a token.
    ///
    /// # Errors
    /// When the answer is not a success.
    pub async fn get(&self, token: &str, path: &str) -> anyhow::Result<Value> {
        let answer =
            reqwest::Client::new().get(format!("{}{path}", self.url())).bearer_auth(token).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        anyhow::ensure!(status.is_success(), "GET {path} answered {status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }
}
