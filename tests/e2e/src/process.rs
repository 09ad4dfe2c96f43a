//! Child processes that never outlive the test.

use anyhow::Context as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running program, killed when dropped.
pub struct Program {
    name: String,
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Program {
    /// Starts it with its output kept for [`Program::line`]; its errors go to the test's.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> anyhow::Result<Program> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdout(Stdio::piped()).kill_on_drop(true).spawn().with_context(|| {
                format!("starting {name}: is it installed? `cargo xtask test` sees to it")
            })?;
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        Ok(Program { name, child, lines })
    }

    /// Starts it and gives it all of its input at once.
    ///
    /// # Errors
    /// When it cannot be started or does not read.
    pub async fn start_with_input(mut command: Command, input: &[u8]) -> anyhow::Result<Program> {
        command.stdin(Stdio::piped());
        let mut program = Program::start(command)?;
        let mut stdin = program.child.stdin.take().context("the program has no input")?;
        stdin.write_all(input).await?;
        stdin.shutdown().await?;
        Ok(program)
    }

    /// The next line it prints.
    ///
    /// # Errors
    /// When it ends, or says nothing within the limit.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        self.line_within(crate::LIMIT).await
    }

    /// The next line it prints, if that comes within this limit.
    ///
    /// # Errors
    /// When it ends, or says nothing within the limit.
    pub async fn line_within(&mut self, limit: Duration) -> anyhow::Result<String> {
        let lines = self.lines.as_mut().context("the output is read elsewhere")?;
        let line = tokio::time::timeout(limit, lines.next_line())
            .await
            .with_context(|| format!("{} said nothing", self.name))??;
        line.with_context(|| format!("{} ended without a word", self.name))
    }

    /// Reads on and throws away, so that the program never waits for a full pipe.
    pub fn drain(&mut self) {
        if let Some(mut lines) = self.lines.take() {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("killing {}", self.name))
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end within the limit.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.pid() {
            signal(pid, "TERM").await?;
            tokio::time::timeout(crate::LIMIT, self.child.wait())
                .await
                .with_context(|| format!("{} did not end after SIGTERM", self.name))??;
        }
        Ok(())
    }
}

/// Sends a signal by name, such as `KILL`.
///
/// # Errors
/// When there is no such process.
pub async fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().await?;
    anyhow::ensure!(status.success(), "no process {pid} to send SIG{name} to");
    Ok(())
}

/// A port that nobody listens at now.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
