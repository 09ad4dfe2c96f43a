//! `cargo xtask power`: cuts the power of a device and of a server many times, and looks after each at what is left.

use crate::run::{cargo, step, succeed};
use crate::{deps, deps::Need};
use anyhow::Result;

/// How long the campaign is, and which.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How many times each of them loses its power.
    #[arg(long, default_value_t = 1000)]
    cuts: u64,
    /// The same seed cuts a recording in the same way; no two recordings are the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the campaign.
///
/// # Errors
/// When something acknowledged is lost, or the tests do not build.
pub fn run(options: &Options) -> Result<()> {
    deps::ensure(Need::BUILD | Need::SERVICES)?;
    // The program whose writing is recorded; the server's is built with its test.
    succeed(&mut cargo(&["build", "--package", "vereda-device", "--examples"]))?;
    for (package, target, name) in [
        ("vereda-device", "power", "what_was_acknowledged_survives_a_power_cut"),
        ("vereda-server", "program", "what_was_receipted_survives_a_power_cut"),
    ] {
        step(&format!("Cutting the power of {package}"));
        let mut test = cargo(&["test", "--package", package, "--test", target]);
        test.args(["--", "--exact", name, "--nocapture"])
            .env("VEREDA_POWER_CUTS", options.cuts.to_string())
            .env("VEREDA_POWER_SEED", options.seed.to_string());
        succeed(&mut test)?;
    }
    Ok(())
}
