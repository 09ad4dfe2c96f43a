//! Every input that fuzzing has kept, through the very functions that it calls.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::path::PathBuf;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut inputs: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 4, "{} inputs of {name}", inputs.len());
    for input in inputs {
        println!("{}", input.display());
        target(&std::fs::read(&input).unwrap());
    }
}

#[test]
fn bundles() {
    replay("bundle", targets::bundle);
}

#[test]
fn rows() {
    replay("rows", targets::rows);
}

#[test]
fn xgboost_models() {
    replay("xgboost", targets::xgboost);
}

#[test]
fn lightgbm_models() {
    replay("lightgbm", targets::lightgbm);
}

#[test]
fn scorecards() {
    replay("scorecard", targets::scorecard);
}

#[test]
fn pipelines() {
    replay("sklearn", targets::sklearn);
}

#[test]
fn schema_files() {
    replay("schema", targets::schema);
}
