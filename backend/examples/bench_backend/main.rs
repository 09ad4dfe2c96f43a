//! How fast the server is, and how little it takes: `cargo xtask bench backend` runs it,
//! docs/BENCHMARKS-BACKEND.md holds what it prints. A real server process, the loopback.

#[path = "../../../app/device/examples/bench_sync/chain.rs"]
mod chain;
mod constant;
mod field;
mod growth;
mod idle;
mod insight;
// The same invented people as in `bench sync`.
#[allow(dead_code)]
#[path = "../../../app/device/examples/bench_sync/people.rs"]
mod people;
mod predict;
mod process;
mod program;
mod wrk;

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Anything ends the measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything.
    All,
    /// Scores over HTTP, beside FastAPI with XGBoost.
    Predict,
    /// Events stored in a second, pushes and pulls by how many there are, memory and start.
    Store,
    /// What is asked about a model, by how many assessments there are.
    Insight,
}

/// What is measured, and with what.
#[derive(Parser)]
struct Options {
    /// The server's program.
    #[arg(long)]
    server: PathBuf,
    /// The program `gunicorn` of an environment with models/peers/fastapi/requirements.txt.
    #[arg(long)]
    gunicorn: PathBuf,
    /// The booster behind the reference bundle, as XGBoost saved it.
    #[arg(long)]
    booster: PathBuf,
    /// A folder for data, which must be empty.
    #[arg(long)]
    work: PathBuf,
    /// One part alone.
    #[arg(long, value_enum, default_value = "all")]
    part: Part,
    /// How often each contestant has its turn.
    #[arg(long, default_value_t = 5)]
    turns: u32,
    /// How long a turn is, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// How many connections ask at once.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// For how long devices push as fast as they can, in seconds.
    #[arg(long, default_value_t = 300)]
    push_seconds: u64,
    /// How many events the larger store has; 10,000,000 are some 30 GB.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// How long making them may take, in seconds; then the larger store is as large as it is.
    #[arg(long, default_value_t = 7200)]
    grow_seconds: u64,
}

/// The boosted model.
fn bundle() -> Result<Vec<u8>, Failure> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(std::fs::read(path.join("../models/bundles/reference-boosted-2.json"))?)
}

/// A table's rows, printed as they come.
struct Table;

impl Table {
    fn new(columns: &[&str]) -> Table {
        println!("\n| {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len()));
        Table
    }

    fn row(&self, cells: &[&str]) {
        println!("| {} |", cells.join(" | "));
    }
}

/// What lies in the middle, of an odd number of values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    if let Ok(listen) = std::env::var(constant::LISTEN) {
        return constant::serve(&listen).await;
    }
    let options = Options::parse();
    std::fs::create_dir_all(&options.work)?;
    let is = |part| options.part == Part::All || options.part == part;
    if is(Part::Predict) {
        predict::measure(&options).await?;
    }
    if is(Part::Store) {
        let full = growth::measure(&options).await?;
        idle::measure(&options, &full)?;
    }
    if is(Part::Insight) {
        insight::measure(&options).await?;
    }
    Ok(())
}
