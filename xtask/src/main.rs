//! `cargo xtask`: every developer command. Each installs what it needs, says what it does while it
//! does it, and leaves everything it makes under `target/` or `dist/`.

mod check;
mod demo;
mod deps;
mod desktop;
mod kill;
mod page;
mod pictures;
mod run;
mod services;
mod test;
mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Every developer command of Vereda")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a server with sample data and open the app against it.
    Demo(demo::Options),
    /// Run the whole test suite, the real window included.
    Test,
    /// Formatting, clippy, and type checks for wasm32, Android and iOS.
    Check,
    /// Build the page that the app embeds into dist/.
    Page {
        /// Quicker to build, slower and larger to load.
        #[arg(long)]
        dev: bool,
    },
    /// Train the reference models from the data.
    Train,
    /// Take the pictures in docs/screenshots from the real app.
    Screenshots,
    /// Measure what docs/BENCHMARKS.md reports, on optimised builds.
    Bench,
    /// Kill devices at every step of their work, and look at what is left.
    Kill(kill::Options),
    /// Start a PostgreSQL for tests, run a command with its address in VEREDA_TEST_POSTGRES, stop it.
    Services {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Install what the other commands need, and do nothing else.
    Deps,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test => test::run(),
        Command::Check => check::run(),
        Command::Page { dev } => deps::ensure(deps::Need::PAGE)
            .and_then(|()| page::build(if dev { page::Profile::Dev } else { page::Profile::Release })),
        Command::Train => train::run(),
        Command::Screenshots => pictures::screenshots(),
        Command::Bench => pictures::bench(),
        Command::Kill(options) => kill::run(&options),
        Command::Services { command } => services::run(&command),
        Command::Deps => deps::ensure(deps::Need::ALL),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
