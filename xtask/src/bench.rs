//! Measurements that docs/ reports.

use crate::run::{built, cargo, command, step, succeed, target};
use crate::{deps, deps::Need, peers, pictures, venv};
use anyhow::{Result, ensure};
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
    /// The server, against FastAPI with XGBoost where that does the same (docs/BENCHMARKS-BACKEND.md).
    Backend,
}

/// Measures, and prints what the page holds.
///
/// # Errors
/// When something cannot be built, installed or run, or is given arguments that it does not take.
pub fn run(what: What, arguments: &[String]) -> Result<()> {
    ensure!(
        arguments.is_empty() || matches!(what, What::Backend),
        "only `bench backend` takes arguments; leave {} away",
        arguments.join(" ")
    );
    match what {
        What::App => pictures::bench(),
        What::Scoring => scoring(),
        What::Sync => sync(),
        What::Backend => backend(arguments),
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

fn backend(arguments: &[String]) -> Result<()> {
    deps::ensure(Need::BUILD | Need::BENCH | Need::SERVICES)?;
    let programs = venv::programs("fastapi-venv", "models/peers/fastapi/requirements.txt")?;
    step("Training the booster behind the reference bundle");
    let booster = target().join("booster.ubj");
    succeed(
        command(programs.join("python"))
            .args(["models/peers/fastapi/booster.py", "--data", "models/data/es-credit-4k/CreditScoring.csv"])
            .arg("--out")
            .arg(&booster),
    )?;
    step("Building, optimised");
    succeed(&mut cargo(&[
        "build",
        "--release",
        "--package=vereda-server",
        "--bin=vereda-server",
        "--example=bench_backend",
    ]))?;
    step("Measuring");
    let work = tempfile::tempdir_in(target())?;
    let mut measure = command(built("examples/bench_backend", true));
    measure.arg("--server").arg(built("vereda-server", true));
    measure.arg("--gunicorn").arg(programs.join("gunicorn"));
    measure.arg("--booster").arg(&booster).arg("--work").arg(work.path());
    succeed(measure.args(arguments))
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
