//! Compares imported models with the libraries that trained them: `parity FOLDER`, where
//! `models/peers/*_cases.py` have written cases. `cargo xtask parity` runs it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/common/cases.rs"]
mod cases;

use cases::{Case, Compared};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use vereda_scoring::import;

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).expect("usage: parity FOLDER");
    let mut by_library: BTreeMap<String, Compared> = BTreeMap::new();
    let mut failed = 0;
    for path in cases::in_folder(Path::new(&folder), "") {
        let case = Case::read(&path);
        let compared = catch_unwind(AssertUnwindSafe(|| {
            let imported = case.import(|bytes, options| {
                match case.header.format.as_str() {
                    "lightgbm" => import::lightgbm::read(bytes, options),
                    "xgboost" => import::xgboost::read(bytes, options),
                    other => panic!("unknown format {other}"),
                }
                .unwrap_or_else(|error| panic!("{error}"))
            });
            match imported {
                Ok((imported, model)) => case.compare(imported.agreement, &model),
                Err(error) => {
                    println!("{}: refused: {error}", path.display());
                    Compared { refused: 1, ..Compared::default() }
                }
            }
        }));
        let Ok(compared) = compared else {
            println!("{}: not imported", path.display());
            failed += 1;
            continue;
        };
        if compared.mismatches() > 0 {
            println!("{}: {}", path.display(), compared.first.as_deref().unwrap_or_default());
        }
        by_library.entry(case.header.library.clone()).or_default().add(compared);
    }
    println!(
        "{:<16} {:>7} {:>8} {:>9} {:>8} {:>5} {:>10} {:>14} {:>7} {:>8} {:>12} {:>12}",
        "library",
        "models",
        "refused",
        "rows",
        "margins",
        "PDs",
        "explained",
        "contributions",
        "missed",
        "sums",
        "worst",
        "worst sum"
    );
    for (library, c) in &by_library {
        println!(
            "{library:<16} {:>7} {:>8} {:>9} {:>8} {:>5} {:>10} {:>14} {:>7} {:>8} {:>12.1e} {:>12.1e}",
            c.models,
            c.refused,
            c.rows,
            c.margins,
            c.probabilities,
            c.explained,
            c.contributions,
            c.missed,
            c.sums,
            c.worst_contribution,
            c.worst_sum
        );
    }
    let wrong: usize = by_library.values().map(Compared::mismatches).sum::<usize>() + failed;
    if wrong == 0 && !by_library.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
