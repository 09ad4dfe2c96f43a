//! `vereda-model`: the analyst's command line for model bundles.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 what was
//! given is wrong (a bundle, a table, credentials); 2 wrong arguments; 3 the network or the server
//! failed, and the same command may work later.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use vereda_model::{Error, diff, evaluate, import, inspect, publish, render, score, verify};

/// Inspect, verify, score with, compare and publish model bundles.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "In tables, an empty cell, NA and NaN are missing answers.\n\
                  Exit codes: 0 done, 1 refused, 2 wrong arguments, 3 network or server."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say in words what a bundle is, asks, does and is worth.
    Inspect(inspect::Arguments),
    /// Check bundles as a device does before it uses one, golden vectors included, and that they
    /// keep what every model must keep.
    Verify(verify::Arguments),
    /// Score every row of a CSV file: margin, pd, group.
    Score(score::Arguments),
    /// Score every row of a CSV file and say what each feature contributes to the margin.
    Explain(score::Arguments),
    /// Measure a bundle on rows whose outcome is known: discrimination, calibration, drift.
    Evaluate(evaluate::Arguments),
    /// Compare two bundles on the same rows: who changes group, how many.
    Diff(diff::Arguments),
    /// Write a bundle's model card and scorecard as a page of HTML.
    Render(render::Arguments),
    /// Make a bundle of a model that XGBoost or LightGBM trained.
    Import(import::Arguments),
    /// Check a bundle and publish it, so that devices take it up at their next sync.
    Publish(publish::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Score(arguments) => score::run(arguments, score::Detail::Score),
        Command::Explain(arguments) => score::run(arguments, score::Detail::Explanation),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Render(arguments) => render::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Publish(arguments) => publish::run(arguments),
    }
}
