//! `cargo xtask`: every developer command. Each installs what it needs, says what it does while it
//! does it, and leaves everything it makes under `target/` or `dist/`.

mod check;
mod demo;
mod deps;
mod desktop;
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
    /// Start a PostgreSQL for tests, run a command with its address in VEREDA_TEST_POSTGRES, stop it.
    Services {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Live through weeks in the field by seed, real devices and a real server under a hostile network.
    Sim {
        /// Such as `--seeds 10000`, or `--seed 7` to see one again.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
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
        Command::Services { command } => services::run(&command),
        Command::Sim { arguments } => sim(&arguments),
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

/// Optimised: a campaign has thousands of seeds.
fn sim(arguments: &[String]) -> anyhow::Result<()> {
    deps::ensure(deps::Need::BUILD)?;
    let mut sim = run::cargo(&["run", "--release", "--quiet", "--package", "vereda-sim", "--"]);
    run::succeed(sim.args(arguments))
}
