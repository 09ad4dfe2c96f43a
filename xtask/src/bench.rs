//! Measurements that docs/ reports.

use crate::run::{cargo, command, step, succeed, target};
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
}

/// Measures, and prints what the page holds.
///
/// # Errors
/// When something cannot be built, installed or run.
pub fn run(what: What) -> Result<()> {
    match what {
        What::App => pictures::bench(),
        What::Scoring => scoring(),
    }
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
