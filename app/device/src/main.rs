//! `vereda-device`: looks after the stores of a device without the app.

use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use vereda_device::doctor::Doctor;
use vereda_device::{DeviceError, KeyStore, WallClock};
use vereda_domain::gateway::SealedFor;

/// Looks after the stores of a device. Never changes one.
#[derive(Parser)]
#[command(name = "vereda-device", version, about)]
struct Cli {
    /// The app's data folder.
    #[arg(long)]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is wrong with the stores. Ends with 1 when something is.
    Doctor {
        /// Only this user's, which is opened with their PIN too.
        #[arg(long)]
        user: Option<String>,
    },
    /// Write the events that were not sent into an encrypted file for `vereda-server import-events`.
    Export {
        /// Whose.
        #[arg(long)]
        user: String,
        /// The institution's key (`age1...`); a passphrase is asked for otherwise.
        #[arg(long)]
        key: Option<String>,
        /// The file to write; it must not be there yet.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let Cli { data, command } = Cli::parse();
    let doctor = Doctor { data_dir: data, keystore: KeyStore::platform(), clock: WallClock::system() };
    let done = match command {
        Command::Doctor { user } => examine(&doctor, user.as_deref()),
        Command::Export { user, key, out } => export(&doctor, &user, key, &out),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{}: {error}", error.code().as_str());
        ExitCode::FAILURE
    })
}

fn examine(doctor: &Doctor, user: Option<&str>) -> Result<ExitCode, DeviceError> {
    let pin = user.map(|_| secret("PIN: ")).transpose()?;
    let reports = doctor.examine(user, pin.as_deref());
    let mut well = true;
    for report in &reports {
        let name = report.user.as_ref().map_or("(unknown)", |user| user.username.as_str());
        println!("{name}\t{}", report.folder.display());
        for finding in &report.findings {
            well = false;
            println!("  {}: {finding}", finding.code().as_str());
        }
        match &report.inside {
            Some(inside) => println!(
                "  {} events, {} not acknowledged, {} put aside",
                inside.head.seq, inside.waiting, inside.quarantined
            ),
            None => println!("  not opened: name the user to open theirs with the PIN"),
        }
    }
    if reports.is_empty() {
        println!("there is no store");
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn export(doctor: &Doctor, user: &str, key: Option<String>, out: &PathBuf) -> Result<ExitCode, DeviceError> {
    let pin = secret("PIN: ")?;
    let sealed_for = match key {
        Some(key) => SealedFor::Key { key },
        None => SealedFor::Passphrase { passphrase: secret("Passphrase: ")? },
    };
    let file = doctor.export(user, &pin, &sealed_for)?;
    let mut written = std::fs::File::create_new(out)?;
    std::io::Write::write_all(&mut written, file.text.as_bytes())?;
    written.sync_all()?;
    println!("{} events and {} pictures are in {}", file.events, file.files, out.display());
    Ok(ExitCode::SUCCESS)
}

/// A secret, typed unseen, or a line of standard input when that is no terminal.
fn secret(prompt: &str) -> Result<String, DeviceError> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(prompt)?);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
