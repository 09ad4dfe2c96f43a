//! `cargo xtask kill`: ends devices at named points and at random moments, and their server at random
//! moments, many times, and looks after
//! each at what is left. The points exist only in unoptimised builds.

use crate::run::{cargo, step, succeed};
use crate::{deps, deps::Need};
use anyhow::Result;

/// How long the campaign is, and which.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How many times a device is killed; in every third round or so the server is, too.
    #[arg(long, default_value_t = 1000)]
    rounds: u64,
    /// The same seed gives the same campaign.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the campaign.
///
/// # Errors
/// When something acknowledged is lost or is there twice, or the tests do not build.
pub fn run(options: &Options) -> Result<()> {
    deps::ensure(Need::BUILD)?;
    // The programs that are killed.
    succeed(&mut cargo(&["build", "--package", "vereda-device", "--examples"]))?;
    succeed(&mut cargo(&["build", "--package", "vereda-server", "--bin", "vereda-server"]))?;
    step("Killing devices and their server");
    let mut test = cargo(&["test", "--package", "vereda-device", "--test", "kill_points"]);
    test.args(["--", "--ignored", "--exact", "campaign", "--nocapture"])
        .env("VEREDA_KILL_ROUNDS", options.rounds.to_string())
        .env("VEREDA_KILL_SEED", options.seed.to_string());
    succeed(&mut test)
}
