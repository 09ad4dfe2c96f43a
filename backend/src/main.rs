//! The server's command line.

mod cli;

use age::secrecy::ExposeSecret;
use clap::{Parser, Subcommand};
use cli::clients::ClientCommand;
use cli::first_line;
use cli::people::{BranchCommand, DeviceCommand, UserCommand};
use cli::services::{AuditCommand, ServiceCommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use vereda_server::backup::backup;
use vereda_server::clock::{now_ms, rfc3339};
use vereda_server::config::LogFormat;
use vereda_server::identity::keys;
use vereda_server::identity::people::People;
use vereda_server::import::{Key, import, new_key};
use vereda_server::server::Signals;
use vereda_server::{Config, ServerError, demo, logging, server};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Vereda's central backend.
#[derive(Parser)]
#[command(name = "vereda-server", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or Ctrl-C.
    Serve(ConfigFile),
    /// Add, change and list people.
    User {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Add, rename and list branches.
    Branch {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: BranchCommand,
    },
    /// Publish models from this machine.
    Model {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// List and revoke devices.
    Device {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: DeviceCommand,
    },
    /// Add other systems, and see to their secrets and what they may do.
    Service {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Print a token with which the first administrator is made: `POST /api/setup`. It works once, for an hour.
    SetupToken(ConfigFile),
    /// Bring out, or erase, what is kept about a client.
    Client {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: ClientCommand,
    },
    /// Check and read the record of who did what.
    Audit {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Make another key that signs access tokens. Servers take it up by themselves, make it known at once, and sign
    /// with it when its time comes; keys that nothing is verified with any more are taken away.
    RotateKeys {
        #[command(flatten)]
        file: ConfigFile,
        /// In how many minutes it begins to sign: as long as others may keep the public keys.
        #[arg(long, default_value_t = 15)]
        in_minutes: u32,
    },
    /// Take in what a device could not send: a file that its app or `vereda-device export` wrote.
    ImportEvents {
        #[command(flatten)]
        file: ConfigFile,
        /// The file.
        export: PathBuf,
        /// The institution's private key, as `recovery-key` printed it; without, the passphrase is
        /// read from standard input.
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// Copy the embedded database and the keys to a new folder, while the server runs or not. To restore,
    /// stop the server and put the copy in the place of its data folder.
    Backup {
        #[command(flatten)]
        file: ConfigFile,
        /// The folder to make.
        #[arg(long)]
        to: PathBuf,
    },
    /// Print the description of the API: OpenAPI 3.1.
    Openapi,
    /// Make a key for exports and print it: keep the private part offline, give the public to devices.
    RecoveryKey,
    /// Serve sample branches, people and portfolios. One line of JSON on standard output says where
    /// and with which sign-ins, as soon as it is ready.
    Demo {
        /// The folder of the sample database; filled if it is empty.
        #[arg(long)]
        data: PathBuf,
        /// Where the API listens; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:8787")]
        listen: SocketAddr,
        /// Where metrics and health listen; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        metrics_listen: SocketAddr,
        /// Clients per officer.
        #[arg(long, default_value_t = 400)]
        clients: usize,
    },
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The settings; without it, the defaults and the environment.
    #[arg(long, env = "VEREDA_CONFIG", global = true)]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Publish a bundle.
    Publish {
        /// The bundle.
        bundle: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vereda-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(file) => {
            let config = Config::load(file.config.as_deref())?;
            logging::init(&config.log)?;
            let signals = Signals::listen()?;
            let running = server::start(config).await?;
            cli::services::look_for_admin(&running.people()).await?;
            running.until(signals).await?;
        }
        Command::User { file, command } => cli::people::user(&people(&file).await?, command).await?,
        Command::Branch { file, command } => cli::people::branch(&people(&file).await?, command).await?,
        Command::Device { file, command } => cli::people::device(&people(&file).await?, command).await?,
        Command::Service { file, command } => cli::services::service(&people(&file).await?, command).await?,
        Command::SetupToken(file) => cli::services::setup_token(&people(&file).await?).await?,
        Command::Client { file, command } => {
            let app = server::open(Config::load(file.config.as_deref())?).await?;
            cli::clients::client(app.store.as_ref(), command).await?;
        }
        Command::Audit { file, command } => {
            let app = server::open(Config::load(file.config.as_deref())?).await?;
            cli::services::audit(app.store.as_ref(), command).await?;
        }
        Command::Model { file, command: ModelCommand::Publish { bundle } } => {
            let app = server::open(Config::load(file.config.as_deref())?).await?;
            let bytes = std::fs::read(&bundle).map_err(|source| ServerError::File {
                doing: "read the bundle",
                path: bundle,
                source,
            })?;
            let (manifest, new) =
                app.models.publish(bytes, "command line").await.map_err(ServerError::from)?;
            let what = if new { "published" } else { "already there" };
            println!("{what}: {} version {} ({})", manifest.id, manifest.version, manifest.sha256);
        }
        Command::ImportEvents { file, export, key } => {
            let read = |path: PathBuf| {
                std::fs::read(&path).map_err(|source| ServerError::File { doing: "read", path, source })
            };
            let sealed = read(export)?;
            let key = match key {
                Some(path) => Key::Identity(String::from_utf8(read(path)?)?),
                None => Key::Passphrase(first_line()?),
            };
            let app = server::open(Config::load(file.config.as_deref())?).await?;
            let imported = import(&app, sealed, key).await?;
            println!("stored: {}, kept aside: {}", imported.stored, imported.quarantined.len());
            println!("pictures: {}, not named by any event: {}", imported.files, imported.files_aside);
            for (seq, why) in imported.quarantined {
                println!("  event {seq}: {why}");
            }
            if let Some(receipt) = imported.receipt {
                println!("the server holds device {} up to event {}", receipt.device, receipt.seq);
            }
        }
        Command::RotateKeys { file, in_minutes } => {
            let config = Config::load(file.config.as_deref())?;
            let from = now_ms().saturating_add(i64::from(in_minutes) * 60_000);
            let taken = keys::rotate(&config.data_dir, from)?;
            println!("a new key signs from {} on; {taken} old ones were taken away", rfc3339(from));
        }
        Command::Backup { file, to } => {
            let made = backup(&Config::load(file.config.as_deref())?, &to)?;
            println!("{}: {} bytes of database, {} keys", to.display(), made.database_bytes, made.keys);
        }
        Command::Openapi => {
            println!("{}", serde_json::to_string_pretty(&vereda_server::http::document(&Config::default()))?);
        }
        Command::RecoveryKey => {
            let (private, public) = new_key();
            println!("# public key: {public}\n{}", private.expose_secret());
        }
        Command::Demo { data, listen, metrics_listen, clients } => {
            let mut config = Config { data_dir: data, listen, metrics_listen, ..Config::default() };
            config.log.format = LogFormat::Json;
            logging::init(&config.log)?;
            let signals = Signals::listen()?;
            let (running, sample) = demo::start(config, clients).await?;
            println!("{}", serde_json::to_string(&sample)?);
            running.until(signals).await?;
        }
    }
    Ok(())
}

async fn people(file: &ConfigFile) -> Result<People, ServerError> {
    let app = server::open(Config::load(file.config.as_deref())?).await?;
    Ok(app.people())
}
