//! Scorecards and logistic regressions of other libraries, with what those say about rows.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// A model as a Python helper wrote it, with the library's margins; by `models/peers/logistic_cases.py`.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub format: String,
    pub model: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub margins: Vec<f64>,
}

/// A scorecard as a library printed it, with the library's points; by `models/peers/table_cases.py`.
#[derive(Deserialize)]
pub struct Printed {
    pub name: String,
    pub table: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub points: Vec<f64>,
    /// Half a unit of the last printed digit for each feature.
    pub tolerance: f64,
}

pub fn cases() -> Vec<Case> {
    read("logistic.json")
}

pub fn printed() -> Vec<Printed> {
    read("tables.json")
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    // This is compiled into the tests of two crates.
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap();
    serde_json::from_slice(&std::fs::read(root.join("shared/scoring/tests/data").join(name)).unwrap())
        .unwrap()
}
