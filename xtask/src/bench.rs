//! Measurements that docs/ reports.

use crate::run::{built, cargo, command, step, succeed, target};
use crate::{peers, pictures};
use anyhow::Result;
use clap::ValueEnum;

/// What is measured.
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    /// The app and the server, through the real window (docs/BENCHMARKS.md).
    App,
    /// Scoring, against the libraries that others use (docs/BENCHMARKS-SCORING.md).
    Scoring,
    /// Store and sync: a real server, the app without its window (docs/BENCHMARKS-SYNC.md).
    Sync,
}

/// Measures, and prints what the page holds.
///
/// # Errors
/// When something cannot be built, installed or run.
pub fn run(what: What) -> Result<()> {
    match what {
        What::App => pictures::bench(),
        What::Scoring => scoring(),
        What::Sync => sync(),
    }
}

/// Clients in the portfolio, and events of its own that the device has in the end.
const PORTFOLIO: &str = "100000";
const EVENTS: &str = "1000000";

fn sync() -> Result<()> {
    step("Building, optimised");
    // Together, so that both are built from the same parts.
    succeed(&mut cargo(&[
        "build",
        "--release",
        "--package=vereda-server",
        "--package=vereda-device",
        "--features=vereda-device/bench",
        "--bin=vereda-server",
        "--example=bench_sync",
    ]))?;
    step("Measuring: minutes, and some GB of disk while it runs");
    let work = tempfile::tempdir_in(target())?;
    succeed(
        command(built("examples/bench_sync", true))
            .arg(built("vereda-server", true))
            .arg(work.path())
            .args([PORTFOLIO, EVENTS]),
    )
}

fn scoring() -> Result<()> {
    let python = peers::python()?;
    step("Building, optimised");
    succeed(&mut cargo(&["build", "--release", "--package", "vereda-scoring", "--example", "speed"]))?;
    step("Training, exporting and measuring");
    succeed(
        command(python)
            .args(["models/peers/bench_scoring.py", "--data", "models/data/es-credit-4k/CreditScoring.csv"])
            .arg("--ours")
            .arg(target().join("release/examples/speed"))
            .arg("--work")
            .arg(target().join("bench-scoring")),
    )
}
