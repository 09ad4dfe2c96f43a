//! The committed bundles and the training libraries' answers.
#![allow(dead_code, missing_docs)]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use vereda_scoring::{Inputs, Model};

pub fn bytes(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn scorecard() -> Model {
    Model::load(&bytes("bundles/reference-scorecard-1.json")).unwrap()
}

pub fn boosted() -> Model {
    Model::load(&bytes("bundles/reference-boosted-2.json")).unwrap()
}

pub fn trap() -> Model {
    Model::load(&bytes("tests/data/trap-bundle.json")).unwrap()
}

/// A row with what the library says about it.
#[derive(Deserialize)]
pub struct Row {
    pub inputs: Inputs,
    #[serde(default)]
    pub margin_bits: String,
    pub contributions: BTreeMap<String, f64>,
    pub bias: f64,
}

pub fn rows(file: &str) -> Vec<Row> {
    serde_json::from_slice(&bytes(&format!("tests/data/{file}"))).unwrap()
}
