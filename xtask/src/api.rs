//! Another program's judgement on the API: schemathesis reads its description and holds a live server
//! against it.

use crate::run::{cargo, succeed};
use crate::{deps, deps::Need, venv};
use anyhow::Result;
use std::process::Command;

/// What `api` takes.
#[derive(clap::Args)]
pub struct Options {
    /// Requests that are made up for each operation; the suite takes 25.
    #[arg(long, default_value_t = 400)]
    examples: u32,
    /// What the drawing starts from: the same seed gives the same requests.
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Tells a command where schemathesis is, which is installed on demand.
///
/// # Errors
/// When it cannot be installed.
pub fn tell(command: &mut Command) -> Result<&mut Command> {
    let programs = venv::programs("api-venv", "backend/tests/schemathesis/requirements.txt")?;
    Ok(command.env("VEREDA_TEST_SCHEMATHESIS", programs.join("schemathesis")))
}

/// Runs all of its checks.
///
/// # Errors
/// When the server does not build, or anything is found.
pub fn run(options: &Options) -> Result<()> {
    deps::ensure(Need::BUILD)?;
    let mut test =
        cargo(&["test", "--package", "vereda-server", "--test", "conformance", "--", "--nocapture"]);
    test.env("VEREDA_TEST_EXAMPLES", options.examples.to_string());
    test.env("VEREDA_TEST_SEED", options.seed.to_string());
    succeed(tell(&mut test)?)
}
