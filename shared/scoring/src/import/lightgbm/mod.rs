//! LightGBM's text format, versions 3 and 4 (`Booster.save_model`).
//!
//! Rules read from LightGBM's source (`src/io/tree.cpp`, `include/LightGBM/tree.h`,
//! `src/boosting/gbdt_model_text.cpp`) and compared with its predictions. All arithmetic is f64; leaves are
//! added in the order of the trees, beginning with 0. DART's and shrinkage's factors are in the leaves
//! already; only a random forest divides, by the number of its trees (`average_output`).

mod columns;
mod text;
mod tree;

use super::{Agreement, ImportError, Imported, MAX_MODEL_BYTES, Options};
use crate::bundle::{Calibration, Estimator, TreeArithmetic, TreeEnsemble};
use text::Document;

/// What a bundle may have: see docs/BUNDLE.md.
const MOST_TREES: usize = 5000;
/// More listed codes than this do not fit into the bytes that a bundle may have.
const MOST_CODES: usize = 1 << 24;

/// Reads a LightGBM text model.
///
/// [`Options::categories`] names the codes of columns that were trained as whole numbers;
/// [`Options::iterations`] does not matter: `save_model` writes the iterations up to the best one
/// unless it is told otherwise, and says nowhere which was the best.
///
/// # Errors
/// [`ImportError`]: what the file is not, or what of it has no exact counterpart.
pub fn read(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(ImportError::TooLarge {
            place: String::new(),
            what: "bytes",
            found: bytes.len(),
            limit: MAX_MODEL_BYTES,
            mend: "train fewer or smaller trees",
        });
    }
    let document = text::document(bytes, MOST_TREES)?;
    let header = &document.header;
    let version = header.need("version")?;
    if !matches!(version, "v3" | "v4") {
        return Err(ImportError::unsupported(
            format!("format version {version}"),
            "versions v3 and v4 are known, which LightGBM 2.3 and later write",
            "save the model again with LightGBM 3.3 or later",
        ));
    }
    for key in ["num_class", "num_tree_per_iteration"] {
        let classes: usize = header.number(key)?;
        if classes != 1 {
            return Err(ImportError::unsupported(
                format!("{key}={classes}"),
                "a probability of default has one margin per applicant",
                "train with objective=binary",
            ));
        }
    }
    let mut notes = Vec::new();
    let calibration = objective(&document)?;
    if let Calibration::Platt { slope, .. } = calibration {
        notes.push(format!(
            "sigmoid:{slope} became a Platt calibration of slope {slope}: the PD is the model's"
        ));
    }
    let count = header.number::<usize>("max_feature_idx")?.saturating_add(1);
    let trees = document.trees.iter().map(|block| tree::read(block, count)).collect::<Result<Vec<_>, _>>()?;
    let columns = columns::read(&document, &trees, count, options, &mut notes)?;
    let sizes = columns::option_counts(&columns);
    let listed = trees.iter().fold(0usize, |sum, tree| sum.saturating_add(tree.listed(&sizes)));
    if listed > MOST_CODES {
        return Err(ImportError::TooLarge {
            place: String::new(),
            what: "codes in the splits on categories",
            found: listed,
            limit: MOST_CODES,
            mend: "train fewer or smaller trees, or group the categories",
        });
    }
    let average = header.get("average_output").is_some();
    if average {
        notes.push(
            "a random forest: the margin is the mean of the trees, as in predict(); predict(raw_score=True) gives \
             their sum"
                .to_owned(),
        );
    }
    if trees.iter().any(tree::RawTree::is_linear) {
        notes.push(
            "linear trees: where a number of a leaf's model is missing, the leaf's constant holds".to_owned(),
        );
    }
    if document.parameters.get("early_stopping_round").is_some_and(|rounds| *rounds != "0") {
        notes.push(format!(
            "trained with early stopping: the file has {} trees and all count (save_model stops at the best \
             iteration unless num_iteration says otherwise)",
            trees.len()
        ));
    }
    let mut trees: Vec<_> = trees.into_iter().map(|tree| tree.finish(&sizes)).collect();
    if trees.is_empty() {
        trees.push(tree::nothing());
    }
    let mut ensemble = TreeEnsemble::new(TreeArithmetic::Lightgbm, 0.0, &trees);
    ensemble.average = average;
    Ok(Imported {
        library: format!("LightGBM, text format {version}"),
        estimator: Estimator::TreeEnsemble(ensemble),
        agreement: Agreement::Bits,
        calibration,
        columns,
        notes,
    })
}

/// What the objective makes of the margin.
fn objective(document: &Document<'_>) -> Result<Calibration, ImportError> {
    const MEND: &str = "train with objective=binary or objective=cross_entropy";
    let Some(objective) = document.header.get("objective") else {
        return Err(ImportError::unsupported(
            "a model without an objective",
            "it was trained with a function of your own, and nothing says how its margin becomes a probability",
            MEND,
        ));
    };
    let mut words = objective.split_ascii_whitespace();
    match words.next() {
        Some("binary") => {
            let mut slope = 1.0;
            for word in words {
                let sigmoid = word.strip_prefix("sigmoid:").and_then(|k| k.parse::<f64>().ok());
                match sigmoid {
                    Some(k) if k > 0.0 && k.is_finite() => slope = k,
                    _ => {
                        return Err(document.header.wrong("objective", format!("{word:?} is not known")));
                    }
                }
            }
            Ok(if slope == 1.0 { Calibration::None } else { Calibration::Platt { slope, intercept: 0.0 } })
        }
        Some("cross_entropy" | "xentropy") => Ok(Calibration::None),
        _ => Err(ImportError::unsupported(
            format!("objective {objective}"),
            "it does not give a probability by the logistic function",
            MEND,
        )),
    }
}
