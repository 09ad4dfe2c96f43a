//! scikit-learn's logistic regression, as `models/python/vereda_sklearn.py` writes it from a fitted
//! pipeline; that file describes the document.
//!
//! scikit-learn multiplies and adds through BLAS, in an order of its own and with fused operations:
//! its margins and ours, from the same numbers, differ by at most (n + 2) x 2^-52 x the sum of the
//! absolute parts, where n is the number of columns of the regression.

use super::{Agreement, Column, ColumnKind, ImportError, Imported, MAX_MODEL_BYTES, Options, unique};
use crate::bundle::{Calibration, Estimator, Term, Transform, Unseen};
use serde::Deserialize;
use std::collections::BTreeMap;

const FORMAT: &str = "the JSON of vereda_sklearn.py";
const MEND: &str = "write it with models/python/vereda_sklearn.py";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    format_version: u32,
    library: String,
    intercept: f64,
    columns: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Part {
    Number {
        column: String,
        coefficient: f64,
        mean: f64,
        scale: f64,
        missing: Option<f64>,
    },
    Category {
        column: String,
        options: Vec<String>,
        weights: Vec<f64>,
        missing: Option<f64>,
        unseen: Option<f64>,
    },
}

/// Reads the document of a fitted pipeline.
///
/// # Errors
/// [`ImportError`]: what the file is not, or what of it contradicts itself.
pub fn read(bytes: &[u8], _: &Options) -> Result<Imported, ImportError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(ImportError::TooLarge {
            place: String::new(),
            what: "bytes",
            found: bytes.len(),
            limit: MAX_MODEL_BYTES,
            mend: MEND,
        });
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| ImportError::Syntax {
        format: FORMAT,
        problem: super::error::printable(&error.to_string()),
        mend: MEND,
    })?;
    if document.format != "vereda-sklearn" || document.format_version != 1 {
        return Err(ImportError::unsupported(
            format!("the format {} {}", document.format, document.format_version),
            "vereda-sklearn 1 is known",
            MEND,
        ));
    }
    if document.columns.is_empty() {
        return Err(ImportError::shape("columns", "is empty"));
    }
    let mut notes = Vec::new();
    let mut columns = Vec::with_capacity(document.columns.len());
    let mut transforms = Vec::with_capacity(document.columns.len());
    for (i, part) in document.columns.into_iter().enumerate() {
        let (column, transform) = one(part, &format!("columns[{i}]"), &mut notes)?;
        columns.push(column);
        transforms.push(transform);
    }
    let columns = unique(columns);
    let terms = columns
        .iter()
        .zip(transforms)
        .map(|(column, transform)| Term { feature: column.name.clone(), transform })
        .collect();
    Ok(Imported {
        library: super::error::printable(&document.library),
        estimator: Estimator::Logistic { intercept: document.intercept, terms, points: None },
        calibration: Calibration::None,
        columns,
        agreement: Agreement::Rounding,
        notes,
    })
}

fn one(part: Part, place: &str, notes: &mut Vec<String>) -> Result<(Column, Transform), ImportError> {
    match part {
        Part::Number { column, coefficient, mean, scale, missing } => {
            if scale.is_nan() || scale <= 0.0 {
                return Err(ImportError::shape(format!("{place}.scale"), format!("{scale} is not above 0")));
            }
            let reach = Some((mean - 10.0 * scale, mean + 10.0 * scale));
            let kind = ColumnKind::Number { compared: reach };
            let transform = Transform::Standardised { coefficient, mean, scale, missing_value: missing };
            Ok((Column::named(&column, kind, missing.is_some()), transform))
        }
        Part::Category { column, mut options, weights, missing, unseen } => {
            if options.len() != weights.len() {
                return Err(ImportError::shape(
                    format!("{place}.weights"),
                    format!("has {} for {} options", weights.len(), options.len()),
                ));
            }
            let mut by_code = BTreeMap::new();
            for (option, weight) in options.iter().zip(weights) {
                if by_code.insert(option.clone(), weight).is_some() {
                    return Err(ImportError::shape(
                        format!("{place}.options"),
                        format!("{option:?} is an option a second time"),
                    ));
                }
            }
            let rule = match (unseen, missing) {
                (None, _) => Unseen::Refuse,
                (Some(unseen), Some(missing)) if unseen == missing => Unseen::Missing,
                (Some(unseen), _) => {
                    let mut other = "other".to_owned();
                    while by_code.contains_key(&other) {
                        other.push('_');
                    }
                    notes.push(format!(
                        "{}: the option {other:?} stands for every text that is none of the others",
                        super::error::printable(&column)
                    ));
                    by_code.insert(other.clone(), unseen);
                    options.push(other);
                    Unseen::Last
                }
            };
            let kind = ColumnKind::Category { options, named: true, unseen: rule };
            let transform = Transform::OneHot { weights: by_code, missing_weight: missing };
            Ok((Column::named(&column, kind, missing.is_some()), transform))
        }
    }
}
