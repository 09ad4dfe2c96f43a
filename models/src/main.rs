//! `vereda-model`: the analyst's command line for model bundles.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 what was
//! given is wrong (a bundle, a table, credentials); 2 wrong arguments; 3 the network or the server
//! failed, and the same command may work later.

use clap::{Parser, Subcommand, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use vereda_model::inspect::Language;
use vereda_model::{Error, bundle, inspect, publish, rows};

/// Inspect, verify, score with, and publish model bundles.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 done, 1 refused, 2 wrong arguments, 3 network or server."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say in words what a bundle is, asks, does and is worth.
    Inspect {
        /// The bundle.
        bundle: PathBuf,
        /// Which of the bundle's languages to show.
        #[arg(long, value_enum, default_value = "en")]
        language: LanguageArgument,
    },
    /// Check bundles as a device does before it uses one, golden vectors included.
    Verify {
        /// The bundles.
        #[arg(required = true)]
        bundles: Vec<PathBuf>,
    },
    /// Score every row of a CSV file; empty, NA and NaN are missing answers.
    Score {
        /// The bundle.
        bundle: PathBuf,
        /// One applicant per row; the first line names the features.
        rows: PathBuf,
        /// Where to write margin, pd and group; standard output if absent.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Check a bundle and publish it, so that devices take it up at their next sync.
    Publish {
        /// The bundle.
        bundle: PathBuf,
        /// The server's address, such as https://vereda.example.
        #[arg(long)]
        server: String,
        /// The risk analyst who publishes. The password comes from the environment variable
        /// VEREDA_PASSWORD, from --password-file, or is asked for.
        #[arg(long)]
        user: String,
        /// A file whose first line is the password.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LanguageArgument {
    Es,
    En,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Inspect { bundle, language } => {
            let language = match language {
                LanguageArgument::Es => Language::Es,
                LanguageArgument::En => Language::En,
            };
            print(inspect::describe(&bundle::read(&bundle)?, language).as_bytes())
        }
        Command::Verify { bundles } => bundles.iter().try_for_each(|path| verify(path)),
        Command::Score { bundle, rows, out } => score(&bundle, &rows, out.as_deref()),
        Command::Publish { bundle, server, user, password_file } => {
            publish_bundle(&bundle, &server, user, password_file.as_deref())
        }
    }
}

fn verify(path: &Path) -> Result<(), Error> {
    let checked = bundle::read(path)?;
    let model = &checked.model;
    let line = format!(
        "ok  {} {}  {}  {} golden vectors equal to the bit  {}\n",
        model.id(),
        model.version(),
        model.sha256(),
        model.bundle().golden.len(),
        path.display()
    );
    print(line.as_bytes())
}

fn score(bundle: &Path, rows: &Path, out: Option<&Path>) -> Result<(), Error> {
    let checked = bundle::read(bundle)?;
    let start = Instant::now();
    let scored = rows::score(&checked.model, rows)?;
    let took = start.elapsed();
    match out {
        Some(path) => std::fs::write(path, &scored.csv).map_err(|source| Error::File {
            action: "write",
            path: path.to_owned(),
            source,
        })?,
        None => print(&scored.csv)?,
    }
    if !scored.unused.is_empty() {
        eprintln!("columns that the model does not ask for: {}", scored.unused.join(", "));
    }
    let groups: Vec<String> =
        scored.groups.iter().enumerate().map(|(i, count)| format!("T{} {count}", i + 1)).collect();
    eprintln!(
        "{} rows scored with {} {} in {:.0?}: {}",
        scored.rows,
        checked.model.id(),
        checked.model.version(),
        took,
        groups.join(", ")
    );
    Ok(())
}

fn publish_bundle(
    path: &Path,
    server: &str,
    user: String,
    password_file: Option<&Path>,
) -> Result<(), Error> {
    let server = publish::address(server)?;
    let checked = bundle::read(path)?;
    let model = &checked.model;
    eprintln!("{} {} is sound: {}", model.id(), model.version(), model.sha256());
    let password = password(&user, password_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Network { action: "starting", cause: error.to_string() })?;
    let progress = |line: &str| eprintln!("{line}");
    let manifest = runtime.block_on(publish::publish(&server, user, password, &checked, progress))?;
    let line = format!("published  {} {}  {}\n", manifest.id, manifest.version, manifest.sha256);
    print(line.as_bytes())?;
    eprintln!("devices take it up at their next sync");
    Ok(())
}

/// From the environment, a file, or the keyboard; never from the arguments, which every user of the
/// machine can read.
fn password(user: &str, file: Option<&Path>) -> Result<String, Error> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        return text
            .lines()
            .next()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| Error::Password(format!("the first line of {} is empty", path.display())));
    }
    if let Ok(password) = std::env::var("VEREDA_PASSWORD") {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::Password("there is no terminal to ask on".into()));
    }
    rpassword::prompt_password(format!("Password of {user}: "))
        .map_err(|error| Error::Password(error.to_string()))
}

/// To standard output; a reader who has had enough (`| head`) is no error.
fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::File { action: "write", path: "standard output".into(), source: error })
        }
        _ => Ok(()),
    }
}
