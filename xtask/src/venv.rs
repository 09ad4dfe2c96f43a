//! Python environments under the target folder, one for each list of packages.

use crate::run::{command, root, step, succeed, target};
use crate::{deps, deps::Need};
use anyhow::Result;
use std::path::PathBuf;

/// The folder of the programs of an environment with everything in `requirements`, made on demand.
///
/// # Errors
/// When Python or a package cannot be installed.
pub fn programs(name: &str, requirements: &str) -> Result<PathBuf> {
    deps::ensure(Need::TRAIN)?;
    let environment = target().join(name);
    let programs = environment.join("bin");
    let requirements = root().join(requirements);
    // With its place: an environment's programs name it, and do not run after a checkout was moved.
    let mut wanted = format!("{}\n", environment.display()).into_bytes();
    wanted.extend(std::fs::read(&requirements)?);
    let installed = environment.join("installed.txt");
    if std::fs::read(&installed).ok().as_ref() != Some(&wanted) {
        step("Making a Python environment");
        succeed(command("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        step("Installing Python packages");
        let mut pip = command(programs.join("python"));
        succeed(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
        std::fs::write(installed, wanted)?;
    }
    Ok(programs)
}
