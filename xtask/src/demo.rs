//! A server with sample data, and the app against it.

use crate::run::{built, cargo, command, step, succeed, target};
use crate::{deps, desktop, page};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use deps::Need;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How the demo is started.
#[derive(Args)]
pub struct Options {
    /// Start only the server, and print the addresses and the sample sign-ins.
    #[arg(long)]
    headless: bool,
    /// Use optimised builds: much longer to build, quicker to use.
    #[arg(long)]
    release: bool,
    /// Throw away what earlier demos kept, on the server and in the app.
    #[arg(long)]
    fresh: bool,
}

/// What the server says once it answers.
#[derive(Deserialize)]
struct Ready {
    api: String,
    metrics: String,
    users: Vec<User>,
    service: Service,
}

/// What the sample system gets its tokens with.
#[derive(Deserialize)]
struct Service {
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
    password: String,
    role: String,
    branch: Option<String>,
}

enum Event {
    Interrupted,
    ServerSaid(String),
    ServerEnded(ExitStatus),
    AppEnded(ExitStatus),
}

/// The address that documents and scripts name; another one is taken when it is in use.
const PORT: u16 = 8787;

/// Runs the demo until Ctrl-C, or until the app's window is closed.
///
/// # Errors
/// When something does not build, or the server does not start.
pub fn run(options: &Options) -> Result<()> {
    let folder = target().join("demo");
    let with_app = !options.headless && screen_or_note();
    prepare(options, with_app)?;
    if options.fresh && folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;

    let (send, receive) = channel();
    let interrupted = send.clone();
    // Nobody listens any more once the demo is ending anyway.
    ctrlc::set_handler(move || drop(interrupted.send(Event::Interrupted)))?;

    step("Starting the server (the first start makes the sample data)");
    let log = folder.join("server.log");
    let server = Running::start(
        command(built("vereda-server", options.release))
            .args(["demo", "--data"])
            .arg(folder.join("server"))
            .args(["--listen", &format!("127.0.0.1:{}", port())])
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("making {}", log.display()))?),
        send.clone(),
        Event::ServerEnded,
    )?;
    let Some(ready) = wait_until_ready(&receive, &log)? else { return server.stop(&receive) };
    print(&ready, &log);

    if !with_app {
        println!("\nCtrl-C stops the server.");
        let ended = receive.recv()?;
        return finish(ended, server, None, &receive, &log);
    }

    let keys = desktop::KeyStore::find_or_start(&folder.join("keys"))?;
    step("Opening the app; closing its window, or Ctrl-C, stops everything");
    let mut app = command(built("vereda", options.release));
    app.env("VEREDA_DATA_DIR", folder.join("app"));
    keys.adopt(&mut app);
    let app = Running::start(&mut app, send, Event::AppEnded)?;
    let ended = receive.recv()?;
    finish(ended, server, Some(app), &receive, &log)
}

fn screen_or_note() -> bool {
    let there = desktop::has_screen();
    if !there {
        eprintln!(
            "note: no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set): starting the server only"
        );
    }
    there
}

fn prepare(options: &Options, with_app: bool) -> Result<()> {
    deps::ensure(if with_app { Need::PAGE | Need::BUILD | Need::KEYS } else { Need::BUILD })?;
    let mut build = cargo(&["build", "--package", "vereda-server"]);
    if options.release {
        build.arg("--release");
    }
    if with_app {
        page::build(page::Profile::Release)?;
        build.args(["--package", "vereda"]);
    }
    step(if with_app { "Building the server and the app" } else { "Building the server" });
    succeed(&mut build)
}

fn port() -> u16 {
    if TcpListener::bind(("127.0.0.1", PORT)).is_ok() {
        PORT
    } else {
        eprintln!("note: port {PORT} is in use; taking a free one");
        0
    }
}

/// Nothing when the demo was interrupted before.
fn wait_until_ready(events: &Receiver<Event>, log: &Path) -> Result<Option<Ready>> {
    loop {
        match events.recv()? {
            Event::ServerSaid(line) => {
                let said = serde_json::from_str(&line);
                return Ok(Some(said.with_context(|| format!("the server said {line:?}"))?));
            }
            Event::ServerEnded(status) => bail!("the server ended ({status}):\n{}", tail(log)),
            Event::Interrupted => return Ok(None),
            Event::AppEnded(_) => {}
        }
    }
}

fn print(ready: &Ready, log: &Path) {
    println!("\nServer:  {}", ready.api);
    println!("Metrics: {}", ready.metrics);
    println!("Log:     {}", log.display());
    println!("\nSample sign-ins (all data is fictional):\n");
    let cell = |text: &str, width: usize| format!("{text:<width$}");
    println!("  {}{}{}branch", cell("user", 24), cell("password", 28), cell("role", 18));
    for user in &ready.users {
        let branch = user.branch.as_deref().unwrap_or("-");
        println!(
            "  {}{}{}{branch}",
            cell(&user.username, 24),
            cell(&user.password, 28),
            cell(&user.role, 18)
        );
    }
    let Service { client_id, client_secret } = &ready.service;
    println!("\nSample system (POST /api/auth/token; another secret at each start):\n");
    println!("  client_id {client_id}\n  client_secret {client_secret}");
}

fn finish(
    ended: Event,
    server: Running,
    app: Option<Running>,
    events: &Receiver<Event>,
    log: &Path,
) -> Result<()> {
    match ended {
        Event::ServerEnded(status) => {
            if let Some(app) = app {
                app.stop(events)?;
            }
            // After Ctrl-C, which reaches both at once, either may be the first to end.
            ensure!(status.success(), "the server ended ({status}):\n{}", tail(log));
            return Ok(());
        }
        Event::AppEnded(status) => {
            if !status.success() && !interrupted(status) {
                eprintln!("note: the app ended ({status})");
            }
        }
        Event::Interrupted | Event::ServerSaid(_) => {
            if let Some(app) = app {
                app.stop(events)?;
            }
        }
    }
    eprintln!("\nStopping the server");
    server.stop(events)
}

#[cfg(unix)]
fn interrupted(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(Signal::INT.as_raw())
}

#[cfg(not(unix))]
fn interrupted(_: ExitStatus) -> bool {
    false
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A program that runs beside this one and says when it ends.
struct Running {
    pid: Option<Pid>,
}

impl Running {
    fn start(
        command: &mut std::process::Command,
        events: Sender<Event>,
        ended: fn(ExitStatus) -> Event,
    ) -> Result<Running> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        std::thread::spawn(move || watch(&mut child, &events, ended));
        Ok(Running { pid })
    }

    /// SIGTERM, and the time to end in good order.
    fn stop(self, events: &Receiver<Event>) -> Result<()> {
        let Some(pid) = self.pid else { return Ok(()) };
        // It may have ended already, by the same Ctrl-C.
        if kill_process(pid, Signal::TERM).is_err() {
            return Ok(());
        }
        loop {
            match events.recv_timeout(Duration::from_secs(20)) {
                Ok(Event::ServerEnded(_) | Event::AppEnded(_)) => return Ok(()),
                Ok(_) => {}
                Err(_) => {
                    let _ = kill_process(pid, Signal::KILL);
                    bail!("a program did not end within 20 s of SIGTERM and was killed");
                }
            }
        }
    }
}

fn watch(child: &mut Child, events: &Sender<Event>, ended: fn(ExitStatus) -> Event) {
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = events.send(Event::ServerSaid(line));
        }
    }
    if let Ok(status) = child.wait() {
        let _ = events.send(ended(status));
    }
}
