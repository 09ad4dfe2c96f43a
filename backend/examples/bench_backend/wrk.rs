//! wrk, which asks as fast as it is answered.

use crate::process::{cpu, load};
use crate::program::Program;
use crate::{Failure, Options};
use serde::Deserialize;
use std::process::Command;

/// What wrk's script says in the end.
#[derive(Deserialize)]
struct Said {
    requests: u64,
    seconds: f64,
    p50_us: f64,
    p99_us: f64,
    refused: u64,
    failed: u64,
}

/// One turn.
pub struct Turn {
    /// Answers in a second.
    pub rate: f64,
    /// The median time of an answer, in milliseconds.
    pub p50: f64,
    /// 99 of 100 answers took no longer, in milliseconds.
    pub p99: f64,
    /// What the contestant used of the processors for a request, in microseconds.
    pub cpu: f64,
    /// How busy the machine was, by its load over the last minute.
    pub load: String,
}

/// Asks for scores of applicants that this seed draws.
pub fn turn(
    options: &Options,
    program: &Program,
    token: Option<&str>,
    seed: u32,
    seconds: u32,
) -> Result<Turn, Failure> {
    let before = cpu(program.pid())?;
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--connections", &options.connections.to_string()]);
    wrk.args(["--duration", &format!("{seconds}s"), "--timeout", "30s"]);
    wrk.args(["--script", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench_backend/predict.lua")]);
    wrk.arg(program.url("/api/predict")).env("BENCH_SEED", seed.to_string());
    if let Some(token) = token {
        wrk.env("VEREDA_TOKEN", token);
    }
    let output = wrk.output().map_err(|error| format!("wrk (Debian: wrk) could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text.lines().find_map(|line| line.strip_prefix("BENCH "));
    let said =
        said.ok_or_else(|| format!("wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let said: Said = serde_json::from_str(said)?;
    if said.refused + said.failed > 0 {
        return Err(format!("{} requests were refused and {} failed", said.refused, said.failed).into());
    }
    Ok(Turn {
        rate: said.requests as f64 / said.seconds,
        p50: said.p50_us / 1e3,
        p99: said.p99_us / 1e3,
        cpu: (cpu(program.pid())? - before) * 1e6 / said.requests as f64,
        load: load(),
    })
}
