//! Training of the reference models, in a Python environment of its own.

use crate::run::{command, step, succeed};
use crate::venv;
use anyhow::Result;

/// Trains the models in `models/` from the data beside them.
///
/// # Errors
/// When Python, its packages or the training fail.
pub fn run() -> Result<()> {
    let python = venv::programs("train-venv", "models/train/requirements.txt")?.join("python");
    step("Training");
    succeed(
        command(&python)
            .args(["models/train/train.py", "--data", "models/data/es-credit-4k/CreditScoring.csv"])
            .args(["--out", "models"]),
    )
}
