//! Training of the reference models, in a Python environment of its own.

use crate::run::{command, root, step, succeed, target};
use crate::{deps, deps::Need};
use anyhow::Result;

/// Trains the models in `models/` from the data beside them.
///
/// # Errors
/// When Python, its packages or the training fail.
pub fn run() -> Result<()> {
    deps::ensure(Need::TRAIN)?;
    let environment = target().join("train-venv");
    let python = environment.join("bin/python");
    if !python.exists() {
        step("Making a Python environment");
        succeed(command("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    step("Installing the training's Python packages");
    let requirements = root().join("models/train/requirements.txt");
    succeed(command(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
    step("Training");
    succeed(
        command(&python)
            .args(["models/train/train.py", "--data", "models/data/es-credit-4k/CreditScoring.csv"])
            .args(["--out", "models"]),
    )
}
