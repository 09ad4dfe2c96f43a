//! The libraries that bundles are compared with, in a Python environment of their own, and the
//! comparison with those that train models.

use crate::run::{cargo, command, root, step, succeed, target};
use crate::venv;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Versions of XGBoost whose models are compared beside the one in the environment, each with what it
/// needs in place of the environment's: those before 2.1 know no NumPy 2, and 3.1 no pandas 3.
const XGBOOST: [(&str, &[&str]); 5] = [
    ("1.7.6", &["xgboost==1.7.6", "numpy==1.26.4", "scipy==1.13.1"]),
    ("2.0.3", &["xgboost==2.0.3", "numpy==1.26.4", "scipy==1.13.1"]),
    ("2.1.4", &["xgboost-cpu==2.1.4"]),
    ("3.0.5", &["xgboost-cpu==3.0.5"]),
    ("3.1.3", &["xgboost-cpu==3.1.3", "pandas==2.2.3", "pytz", "six"]),
];

/// What `parity` takes.
#[derive(clap::Args)]
pub struct Options {
    /// How many models each version of each library trains.
    #[arg(long, default_value_t = 400)]
    models: u32,
    /// What the drawing starts from: the same seed gives the same models.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the small cases that the tests read, in place of the comparison.
    #[arg(long)]
    committed: bool,
}

/// Python with everything in `models/peers/requirements.txt`, made on demand.
///
/// # Errors
/// When Python or a package cannot be installed.
pub fn python() -> Result<PathBuf> {
    Ok(venv::programs("peers-venv", "models/peers/requirements.txt")?.join("python"))
}

/// The folder of a version of XGBoost, for PYTHONPATH, installed on demand.
fn xgboost(python: &Path, version: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = target().join("peers").join(format!("xgboost-{version}"));
    if !folder.join("xgboost").exists() {
        step(&format!("Installing XGBoost {version}"));
        let mut pip = command(python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&folder).args(packages);
        succeed(&mut pip)?;
    }
    Ok(folder)
}

/// The folder of LightGBM 3.3.5, which writes version 3 of its format, for PYTHONPATH.
fn lightgbm(python: &Path) -> Result<PathBuf> {
    let folder = target().join("peers/lightgbm-3.3.5");
    if !folder.join("lightgbm").exists() {
        step("Installing LightGBM 3.3.5");
        let mut pip = command(python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&folder)
            .arg("lightgbm==3.3.5");
        succeed(&mut pip)?;
    }
    Ok(folder)
}

/// Trains models with every version of the libraries, and compares what they say about rows with what
/// the imported models say: margins to the bit, PDs, contributions.
///
/// # Errors
/// When something cannot be installed or run, or when anything differs.
pub fn parity(options: &Options) -> Result<()> {
    let python = python()?;
    let folder = if options.committed {
        root().join("shared/scoring/tests/data")
    } else {
        let folder = target().join("parity");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        folder
    };
    if !options.committed {
        step("What the scikit-learn exporter refuses");
        succeed(command(&python).arg(root().join("models/peers/sklearn_refusals.py")))?;
    }
    let cases = |script: &str, path: Option<&Path>| -> Result<()> {
        let mut train = command(&python);
        train.arg(root().join("models/peers").join(script)).arg("--out").arg(&folder);
        if let Some(path) = path {
            train.env("PYTHONPATH", path);
        }
        if options.committed {
            train.arg("--committed");
        } else {
            train.args(["--models", &options.models.to_string(), "--seed", &options.seed.to_string()]);
        }
        succeed(&mut train)
    };
    for (version, packages) in XGBOOST {
        let path = xgboost(&python, version, packages)?;
        step(&format!("Training with XGBoost {version}"));
        cases("xgboost_cases.py", Some(&path))?;
    }
    step("Training with the XGBoost of the environment");
    cases("xgboost_cases.py", None)?;
    let path = lightgbm(&python)?;
    step("Training with LightGBM 3.3.5, and with that of the environment");
    cases("lightgbm_cases.py", Some(&path))?;
    cases("lightgbm_cases.py", None)?;
    if options.committed {
        return Ok(());
    }
    step("Comparing");
    let mut compare =
        cargo(&["run", "--quiet", "--release", "-p", "vereda-scoring", "--example", "parity", "--"]);
    succeed(compare.arg(&folder))
}
