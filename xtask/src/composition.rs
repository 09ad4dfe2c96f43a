//! The composition of deploy/compose, started as its readers start it, but by podman: the server's own image, and
//! Debian's PostgreSQL, Redis and Prometheus in the places of public images, so that no registry is needed. Debian has
//! neither Grafana nor Loki nor Fluent Bit: those three are left out.

use crate::containers::{fresh, podman, privileges, put, read_only, runtime};
use crate::run::{command, output, root, step, succeed, target};
use crate::{deps, deps::Need, image, venv};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What `composition` takes.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    image: image::Made,
}

/// What there are images of here, and as whom each runs; the server comes last.
const SERVICES: [(&str, u32); 4] =
    [("postgres", 999), ("redis", 999), ("prometheus", 65534), ("server", 65532)];
/// The packages of a small Debian, and a client that the composition's checks of health use.
const PACKAGES: &str = "postgresql-15,prometheus,redis-server,wget";
const DEBIAN: &str = "localhost/vereda-services:debian";
/// From the machine, as deploy/compose publishes it.
const API: &str = "https://localhost:8443";
/// How long anything may take that is waited for; Prometheus asks every 15 s.
const LIMIT: Duration = Duration::from_secs(90);

/// Starts the composition, uses it, disturbs it, and starts it again on what is left.
///
/// # Errors
/// When something does not build or start, or is not as it should be.
pub fn run(options: &Options) -> Result<()> {
    deps::ensure(Need::COMPOSITION)?;
    image::build(&options.image)?;
    let programs = venv::programs("compose", "deploy/compose/requirements.txt")?;
    stand_ins()?;
    let composition = Composition::lay(programs.join("podman-compose"))?;
    composition.up()?;
    let client = composition.used()?;
    composition.apart()?;
    composition.watched()?;
    composition.disturbed(&client)?;

    step("Stopping it, and starting it again on the same volumes");
    let begun = Instant::now();
    composition.compose(&["stop", "server"])?;
    let code = composition.inspect("server", "{{.State.ExitCode}}")?;
    ensure!(code == "0", "the server ended with {code} after {:.1?}", begun.elapsed());
    println!("stop: the server's exit code is 0 after {:.1?}", begun.elapsed());
    composition.compose(&["down"])?;
    composition.up()?;
    client.kept()?;
    println!("audit verify: {}", composition.program(&["audit", "verify"])?.trim());
    Ok(())
}

/// Images of what Debian has, made once for a list of packages.
fn stand_ins() -> Result<()> {
    let folder = target().join("composition");
    let stamp = folder.join("debian.txt");
    let here = output(podman(None).args(["image", "exists", DEBIAN])).is_ok();
    if !here || fs::read_to_string(&stamp).ok().as_deref() != Some(PACKAGES) {
        step("Making an image of Debian's PostgreSQL, Redis and Prometheus");
        fs::create_dir_all(&folder)?;
        let tar = folder.join("debian.tar");
        let mut make = command("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}"), "bookworm"]);
        succeed(make.arg(&tar))?;
        output(podman(None).arg("import").arg(&tar).arg(DEBIAN))?;
        fs::remove_file(&tar)?;
        fs::write(stamp, PACKAGES)?;
    }
    let context = root().join("xtask/src/composition");
    for (name, _) in SERVICES.iter().filter(|(name, _)| *name != "server") {
        // Nothing in it comes from a network.
        let mut build = podman(None);
        build.args(["build", "--quiet", "--network=none", "--target", name, "--tag", &stand_in(name)]);
        output(build.arg(&context))?;
    }
    Ok(())
}

fn stand_in(service: &str) -> String {
    format!("localhost/vereda-services:{service}")
}

/// The composition, gone with its volumes when this value is.
struct Composition {
    compose: PathBuf,
    /// A copy of deploy/: the secrets of a trial are not those of whoever uses the checkout.
    folder: PathBuf,
    settings: PathBuf,
}

impl Drop for Composition {
    fn drop(&mut self) {
        if let Err(error) = self.compose(&["down", "--volumes"]) {
            eprintln!("the composition cannot be taken away: {error:#}");
        }
    }
}

impl Composition {
    fn lay(compose: PathBuf) -> Result<Composition> {
        let folder = fresh(&target().join("composition/trial"))?;
        succeed(command("cp").arg("-a").arg(root().join("deploy")).arg(&folder))?;
        let secrets = folder.join("deploy/compose/secrets");
        if secrets.exists() {
            fs::remove_dir_all(&secrets)?;
        }
        succeed(command("sh").arg(folder.join("deploy/compose/secrets.sh")))?;
        // podman has no driver that sends logs on, and by itself asks for more files and processes than a machine may
        // give, whatever is asked of one of the two.
        let mut services = format!(
            "services:\n  server:\n    image: {}\n    logging: !override {{ driver: k8s-file }}\n    \
             ulimits: {{ nproc: 4096 }}\n",
            image::NAME
        );
        for (name, _) in SERVICES.iter().filter(|(name, _)| *name != "server") {
            services.push_str(&format!("  {name}: {{ image: {} }}\n", stand_in(name)));
        }
        put(&folder.join("override.yaml"), services.as_bytes())?;
        let mut text = "[containers]\ndefault_ulimits = [\"nofile=16384:16384\", \"nproc=4096:4096\"]\n\
                        [network]\nnetwork_backend = \"netavark\"\n"
            .to_owned();
        if let Some(runtime) = runtime(image::NAME)? {
            text.push_str(&format!("[engine]\nruntime = \"{runtime}\"\n"));
        }
        let settings = folder.join("containers.conf");
        put(&settings, text.as_bytes())?;
        let composition = Composition { compose, folder, settings };
        // What an earlier trial left that was killed.
        composition.compose(&["down", "--volumes"])?;
        Ok(composition)
    }

    fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("CONTAINERS_CONF", &self.settings).stdin(Stdio::null())
    }

    /// What the readers of deploy/compose give to `docker compose`.
    fn compose(&self, arguments: &[&str]) -> Result<String> {
        let mut compose = command(&self.compose);
        compose.args(["--project-name", "vereda-trial", "--file"]);
        compose.arg(self.folder.join("deploy/compose/compose.yaml"));
        compose.arg("--file").arg(self.folder.join("override.yaml"));
        output(self.tell(&mut compose).args(arguments))
    }

    fn podman(&self, arguments: &[&str]) -> Result<String> {
        output(self.tell(&mut podman(None)).args(arguments))
    }

    fn inspect(&self, service: &str, what: &str) -> Result<String> {
        Ok(self.podman(&["inspect", "--format", what, &container(service)])?.trim().to_owned())
    }

    fn exec(&self, service: &str, arguments: &[&str]) -> Result<String> {
        self.podman(&[&["exec", &container(service)], arguments].concat())
    }

    /// A command of the server's program, as docs/DEPLOY.md gives it.
    fn program(&self, arguments: &[&str]) -> Result<String> {
        let settings = ["--config", "/run/secrets/server.toml"];
        self.exec("server", &[&["/usr/bin/vereda-server"], arguments, &settings].concat())
    }

    /// Starts what the server waits for until its own checks of health are content, then the server. Docker runs these
    /// checks by itself; podman leaves that to a systemd, which is not everywhere.
    fn up(&self) -> Result<()> {
        step("Starting the composition");
        let (server, before) = SERVICES.split_last().context("there are services")?;
        for (name, _) in before {
            self.compose(&["up", "--no-build", "--no-deps", "--detach", name])?;
        }
        for (name, _) in before {
            let took = wait(&format!("{name} is healthy"), || {
                self.podman(&["healthcheck", "run", &container(name)]).map(drop)
            })?;
            println!("{name}: healthy after {took:.1?}");
        }
        self.compose(&["up", "--no-build", "--no-deps", "--detach", server.0])?;
        let took = wait("the server answers", || ask(&self.client(None), "/api/server", None).map(drop));
        let took = took.inspect_err(|_| {
            let _ = succeed(podman(None).args(["logs", "--tail=20", &container("server")]));
        })?;
        println!("server: answers over TLS after {took:.1?}");
        for (name, user) in SERVICES {
            let process = self.inspect(name, "{{.State.Pid}}")?;
            privileges(&process, user).with_context(|| format!("{name} is not as it should be"))?;
            read_only(&process, "usr").with_context(|| format!("{name} is not as it should be"))?;
            println!("{name}: user {user}, no capability, no new privileges, a root that is read-only");
        }
        Ok(())
    }

    fn client(&self, token: Option<String>) -> Client {
        let authority = self.folder.join("deploy/compose/secrets/tls.crt");
        Client { authority, token, score: Value::Null }
    }

    /// Publishes a model as an analyst, and asks for a score as another system.
    fn used(&self) -> Result<Client> {
        step("Using it");
        let (name, password) = ("trial-analyst", "a phrase for one trial");
        self.program(&["user", "add", name, "--name", "Trial", "--role", "analyst", "--password", password])?;
        let signed = ask(
            &self.client(None),
            "/api/auth/sign-in",
            Some(&json!({"username": name, "password": password}).to_string()),
        )?;
        let analyst = self.client(Some(text(&signed, "access_token")?));
        let bundle = fs::read_to_string(root().join("models/bundles/reference-scorecard-1.json"))?;
        let model = ask(&analyst, "/api/models", Some(&bundle))?;
        println!("published: {model}");
        let made = self.program(&[
            "service",
            "add",
            "trial",
            "--name",
            "Trial",
            "--scopes",
            "predict,history:read",
        ])?;
        let secret = made.lines().last().context("a secret is printed")?;
        let grant = format!("grant_type=client_credentials&client_id=trial&client_secret={secret}");
        let granted = ask(&self.client(None), "/api/auth/token", Some(&grant))?;
        let mut client = self.client(Some(text(&granted, "access_token")?));
        client.score = client.predict()?;
        println!("a score: {} {}", client.score["group"], client.score["probability"]);
        client.kept()?;
        let rows =
            self.exec("postgres", &["psql", "--username=vereda", "-tAc", "SELECT count(*) FROM history"])?;
        ensure!(rows.trim() == "1", "PostgreSQL has {rows} rows of history");
        let password = fs::read_to_string(self.folder.join("deploy/compose/secrets/redis_password"))?;
        let keys = self.exec("redis", &["redis-cli", "--no-auth-warning", "-a", &password, "DBSIZE"])?;
        ensure!(keys.trim().parse::<u64>().is_ok_and(|keys| keys > 0), "Redis has {keys} keys");
        println!("PostgreSQL has its row, Redis {} keys", keys.trim());
        Ok(client)
    }

    /// Who shares no network does not find each other, and the machine's neighbours find the API alone.
    fn apart(&self) -> Result<()> {
        let find = |from: &str, whom: &str| self.exec(from, &["getent", "hosts", whom]).is_ok();
        for (from, whom, found) in [
            ("prometheus", "server", true),
            ("prometheus", "postgres", false),
            ("prometheus", "redis", false),
            ("redis", "prometheus", false),
        ] {
            ensure!(find(from, whom) == found, "{from} finding {whom}: {}", !found);
        }
        for (name, _) in SERVICES {
            let ports = self.podman(&["port", &container(name)])?;
            let wanted = if name == "server" { "8787/tcp -> 0.0.0.0:8443" } else { "" };
            ensure!(ports.trim() == wanted, "{name} is published at {ports}");
        }
        println!("published: 8443 alone; Prometheus finds the server, and neither PostgreSQL nor Redis");
        Ok(())
    }

    /// Prometheus asks the server, and has read the rules.
    fn watched(&self) -> Result<()> {
        let ask = |path: &str| -> Result<Value> {
            let url = format!("http://127.0.0.1:9090/api/v1/{path}");
            Ok(serde_json::from_str(&self.exec("prometheus", &["wget", "-q", "-O", "-", &url])?)?)
        };
        let took = wait("Prometheus sees the server", || {
            let up = ask("query?query=up%7Bjob%3D%22vereda%22%7D")?;
            let value = &up["data"]["result"][0]["value"][1];
            ensure!(*value == "1", "{up}");
            Ok(())
        })?;
        let rules = ask("rules")?;
        let groups = rules["data"]["groups"].as_array().context("rules")?;
        let sound = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let sound = sound.filter(|rule| rule["health"] != "err").count();
        ensure!(sound > 0, "no rule: {rules}");
        println!("Prometheus sees the server after {took:.1?}, and has {sound} rules");
        Ok(())
    }

    /// Takes Redis away, then PostgreSQL, and gives them back.
    fn disturbed(&self, client: &Client) -> Result<()> {
        step("Taking Redis away, then PostgreSQL");
        self.podman(&["kill", &container("redis")])?;
        // The first may wait for a connection that is dead.
        let took = wait("scores without Redis", || client.predict().map(drop))?;
        println!("without Redis: a score after {took:.1?}");
        self.podman(&["start", &container("redis")])?;
        self.podman(&["kill", &container("postgres")])?;
        let refused = client.predict().err().context("a score without a database")?;
        println!("without PostgreSQL: {refused:#}");
        self.podman(&["start", &container("postgres")])?;
        let took = wait("scores with PostgreSQL again", || client.predict().map(drop))?;
        println!("with PostgreSQL again: a score after {took:.1?}");
        client.kept()
    }
}

fn container(service: &str) -> String {
    format!("vereda-trial_{service}_1")
}

/// Somebody outside, who trusts the certificate that the trial was given.
struct Client {
    authority: PathBuf,
    token: Option<String>,
    /// The first score that it got.
    score: Value,
}

impl Client {
    fn predict(&self) -> Result<Value> {
        let asked = json!({
            "features": {"amount": 800, "term_months": 60, "price": 846, "job": "freelance", "seniority_years": 9,
                         "income": 129, "home": "rent", "expenses": 73, "assets": 0, "debt": 0, "records": false},
            "client_ref": "trial",
        });
        ask(self, "/api/predict", Some(&asked.to_string()))
    }

    /// The history has the first score as it was given.
    fn kept(&self) -> Result<()> {
        let entry = ask(self, &format!("/api/history/{}", text(&self.score, "id")?), None)?;
        let (kept, given) = (&entry["probability"], &self.score["probability"]);
        ensure!(given.is_number() && kept == given, "the history has {entry}, and {} was given", self.score);
        println!("the history has the first score: {kept}");
        Ok(())
    }
}

/// Asks, by GET or, with a body, by POST.
fn ask(client: &Client, path: &str, body: Option<&str>) -> Result<Value> {
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "20", "--cacert"]);
    curl.arg(&client.authority).arg(format!("{API}{path}"));
    if let Some(token) = &client.token {
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    // Not as an argument, which has a limit and which others can see.
    let file = tempfile::NamedTempFile::new()?;
    if let Some(body) = body {
        fs::write(file.path(), body)?;
        curl.arg("--data-binary").arg(format!("@{}", file.path().display()));
        if serde_json::from_str::<Value>(body).is_ok() {
            curl.args(["--header", "Content-Type: application/json"]);
        }
    }
    let output = curl.output().context("starting curl")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{path}: {} {said}", complaint.trim());
    serde_json::from_str(&said).with_context(|| format!("{path} answers {said}"))
}

fn text(answer: &Value, key: &str) -> Result<String> {
    Ok(answer[key].as_str().with_context(|| format!("no {key} in {answer}"))?.to_owned())
}

/// Waits until something succeeds; how long that took.
fn wait(what: &str, mut tried: impl FnMut() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        match tried() {
            Ok(()) => return Ok(begun.elapsed()),
            Err(error) if begun.elapsed() > LIMIT => bail!("{what}: not after {LIMIT:.0?}: {error:#}"),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
