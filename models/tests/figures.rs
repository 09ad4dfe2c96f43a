//! The figures of `evaluate`, against scikit-learn and SciPy.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde::Deserialize;
use vereda_scoring::drift::psi;
use vereda_scoring::figures::{Outcome, figures, jeffreys};

#[derive(Deserialize)]
struct Expected {
    tables: Vec<Table>,
    intervals: Vec<(u64, u64, f64, f64)>,
    psi: Vec<(Vec<f64>, Vec<f64>, f64)>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    pd: Vec<f64>,
    bad: Vec<bool>,
    auc: f64,
    ks: f64,
    gini: f64,
    brier: f64,
    log_loss: f64,
}

fn expected() -> Expected {
    serde_json::from_str(include_str!("data/figures.json")).unwrap()
}

#[test]
fn discrimination_and_error_equal_scikit_learn() {
    let tables = expected().tables;
    assert_eq!(tables.len(), 7);
    for table in tables {
        let outcomes: Vec<Outcome> =
            table.pd.iter().zip(&table.bad).map(|(pd, bad)| Outcome { pd: *pd, bad: *bad }).collect();
        let found = figures(&outcomes).unwrap();
        for (name, found, expected) in [
            ("auc", found.auc, table.auc),
            ("ks", found.ks, table.ks),
            ("gini", found.gini, table.gini),
            ("brier", found.brier, table.brier),
            ("log_loss", found.log_loss, table.log_loss),
        ] {
            let near = (found - expected).abs() <= 1e-12 * expected.abs().max(1.0);
            assert!(near, "{} of {}: {found} and scikit-learn {expected}", name, table.name);
        }
    }
}

#[test]
fn jeffreys_intervals_equal_scipy() {
    for (bads, rows, lower, upper) in expected().intervals {
        let (low, high) = jeffreys(bads, rows);
        for (found, expected) in [(low, lower), (high, upper)] {
            // The logarithms of the gamma function lose digits as counts grow.
            let near = (found - expected).abs() <= 1e-9 * expected.max(1e-300);
            assert!(near, "{bads} of {rows}: {found} and SciPy {expected}");
        }
    }
}

#[test]
fn psi_equals_numpy() {
    for (then, now, expected) in expected().psi {
        let found = psi(then.into_iter().zip(now));
        assert!((found - expected).abs() < 1e-14, "{found} and NumPy {expected}");
    }
}
