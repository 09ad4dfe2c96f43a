//! The server's command line.

use age::secrecy::ExposeSecret;
use clap::{Parser, Subcommand, ValueEnum};
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use vereda_domain::api::Role;
use vereda_server::backup::backup;
use vereda_server::config::LogFormat;
use vereda_server::identity::people::{NewUser, People};
use vereda_server::import::{Key, import, new_key};
use vereda_server::server::Signals;
use vereda_server::{Config, ServerError, demo, logging, server};

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
    /// Add, disable and list people.
    User {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Add and list branches.
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
enum UserCommand {
    /// Add somebody. The password comes from VEREDA_PASSWORD or the first line of standard input.
    Add {
        /// What they sign in with.
        username: String,
        /// What people call them.
        #[arg(long)]
        name: String,
        /// What they may do.
        #[arg(long)]
        role: RoleName,
        /// The name of their branch; officers and managers need one.
        #[arg(long)]
        branch: Option<String>,
        /// The password; better given by environment or standard input than here.
        #[arg(long, env = "VEREDA_PASSWORD", hide_env_values = true)]
        password: Option<String>,
    },
    /// Disable somebody and end their sessions.
    Disable {
        /// What they sign in with.
        username: String,
    },
    /// List everybody.
    List,
}

#[derive(Subcommand)]
enum DeviceCommand {
    /// List every device: id, owner, name, last seen, clock drift, state.
    List,
    /// End a device's access. What was captured on it is still taken in.
    Revoke {
        /// Its id, as `device list` prints it.
        id: String,
    },
}

#[derive(Subcommand)]
enum BranchCommand {
    /// Add a branch.
    Add {
        /// Its name.
        name: String,
    },
    /// List branches.
    List,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Publish a bundle.
    Publish {
        /// The bundle.
        bundle: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Officer,
    Manager,
    Analyst,
    Admin,
    Service,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Role {
        match role {
            RoleName::Officer => Role::Officer,
            RoleName::Manager => Role::Manager,
            RoleName::Analyst => Role::Analyst,
            RoleName::Admin => Role::Admin,
            RoleName::Service => Role::Service,
        }
    }
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
            server::start(config).await?.until(signals).await?;
        }
        Command::User { file, command } => user(&people(&file).await?, command).await?,
        Command::Branch { file, command } => branch(&people(&file).await?, command).await?,
        Command::Device { file, command } => device(&people(&file).await?, command).await?,
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
    Ok(People::new(app.store.clone(), app.passwords.clone()))
}

async fn user(people: &People, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { username, name, role, branch, password } => {
            let branch = match branch {
                None => None,
                Some(name) => {
                    let found = people.branches().await?.into_iter().find(|b| b.name == name);
                    let missing = || anyhow::anyhow!("there is no branch {name:?}; add it with `branch add`");
                    Some(found.ok_or_else(missing)?.id)
                }
            };
            let password = match password {
                Some(password) => password,
                None => first_line()?,
            };
            let user =
                people.add_user(NewUser { username, name, password, role: role.into(), branch }).await?;
            println!("added {} {} ({})", user.id, user.username, user.role.as_str());
        }
        UserCommand::Disable { username } => {
            people.disable_user(&username).await?;
            println!("disabled {username}");
        }
        UserCommand::List => {
            for user in people.users().await? {
                let branch = user.branch.map_or("-".to_owned(), |b| b.name);
                let state = if user.disabled { "disabled" } else { "active" };
                println!(
                    "{}\t{}\t{}\t{branch}\t{state}\t{}",
                    user.id,
                    user.username,
                    user.role.as_str(),
                    user.name
                );
            }
        }
    }
    Ok(())
}

/// A secret from standard input.
fn first_line() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn device(people: &People, command: DeviceCommand) -> anyhow::Result<()> {
    match command {
        DeviceCommand::List => {
            for device in people.devices().await? {
                let drift = device.drift_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
                let state = if device.revoked_at.is_some() { "revoked" } else { "active" };
                println!(
                    "{}\t{}\t{:?}\t{}\t{drift}\t{state}",
                    device.id, device.user, device.name, device.seen_at
                );
            }
        }
        DeviceCommand::Revoke { id } => {
            let id = id.parse().map_err(|_| anyhow::anyhow!("{id:?} is no device id; see `device list`"))?;
            people.revoke_device(id).await?;
            println!("revoked {id}");
        }
    }
    Ok(())
}

async fn branch(people: &People, command: BranchCommand) -> anyhow::Result<()> {
    match command {
        BranchCommand::Add { name } => {
            let branch = people.add_branch(&name).await?;
            println!("added {} {}", branch.id, branch.name);
        }
        BranchCommand::List => {
            for branch in people.branches().await? {
                println!("{}\t{}", branch.id, branch.name);
            }
        }
    }
    Ok(())
}
