//! Scorecards: points or WoE tables as CSV, and the JSON that `models/python/vereda_optbinning.py`
//! writes from an OptBinning Scorecard. `docs/models/scorecards.md` describes both.
//!
//! The truth is what adds up to the margin: coefficients and WoE where there are any, otherwise points
//! with their scaling (base points, base odds, points that double the odds), without which the same
//! table would score differently when it is read back.

mod bins;
mod csv;
mod optbinning;

use super::{Agreement, Column, ColumnKind, ImportError, Imported, Options, unique};
use crate::bundle::{BinRange, Calibration, Closed, Estimator, Points, Term, Transform, Unseen, WoeBin};

/// The most bytes a table may have.
const MAX_TABLE_BYTES: usize = 16 * 1024 * 1024;
/// What a bundle may have: see docs/BUNDLE.md.
const MOST_FEATURES: usize = 500;
/// What the option is called that stands for every text that is none of the others.
const OTHER: &str = "other";

/// Reads a scorecard; which of the two forms it has, its first character says.
///
/// ```
/// use vereda_scoring::import::{Options, scorecard};
/// use vereda_scoring::{Inputs, Model, Value};
/// let table = b"# pdo = 50
/// ## base_points = 600
/// ## base_odds = 20
/// feature,bin,points
/// basepoints,,450
/// income,\"(-inf, 1000)\",0
/// income,\"[1000, inf)\",31
/// ";
/// let imported = scorecard::read(table, &Options::default())?;
/// let model = Model::draft(imported.draft(imported.schema(), &imported.placements())?)?;
/// let inputs = Inputs::from([("income".to_owned(), Value::Number(1000.0))]);
/// let points = model.points(model.margin(&inputs)?).unwrap();
/// assert!((points - 481.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ImportError`]: what the file is not, or what of it has no exact counterpart.
pub fn read(bytes: &[u8], _: &Options) -> Result<Imported, ImportError> {
    if bytes.len() > MAX_TABLE_BYTES {
        return Err(ImportError::TooLarge {
            place: String::new(),
            what: "bytes",
            found: bytes.len(),
            limit: MAX_TABLE_BYTES,
            mend: "give the table of the scorecard, not the data",
        });
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => optbinning::read(bytes),
        _ => csv::read(bytes),
    }
}

/// The bins of one feature, however they were written down.
struct Bins {
    name: String,
    coefficient: f64,
    closed: Closed,
    /// Intervals in order, then special values; or codes.
    bins: Vec<WoeBin>,
    missing_woe: Option<f64>,
    /// What any other text is worth; only for codes.
    unseen_woe: Option<f64>,
}

impl Bins {
    /// The column and the term.
    fn finish(mut self, notes: &mut Vec<String>) -> (Column, Transform) {
        let mut options: Vec<String> = Vec::new();
        let (mut edges, mut numbers) = (Vec::new(), false);
        for bin in &self.bins {
            match &bin.of {
                BinRange::Codes { codes } => options.extend(codes.iter().cloned()),
                BinRange::Interval { upper, .. } => {
                    numbers = true;
                    edges.extend(upper);
                }
                BinRange::Values { values } => edges.extend(values),
            }
        }
        let kind = if numbers {
            let low = edges.iter().copied().reduce(f64::min);
            let high = edges.iter().copied().reduce(f64::max);
            ColumnKind::Number { compared: low.zip(high) }
        } else {
            let unseen = match (self.unseen_woe, self.missing_woe) {
                (None, _) => Unseen::Refuse,
                (Some(unseen), Some(missing)) if unseen == missing => Unseen::Missing,
                (Some(unseen), _) => {
                    let mut other = OTHER.to_owned();
                    while options.contains(&other) {
                        other.push('_');
                    }
                    notes.push(format!(
                        "{}: the option {other:?} stands for every text that is none of the others",
                        super::error::printable(&self.name)
                    ));
                    self.bins
                        .push(WoeBin { of: BinRange::Codes { codes: vec![other.clone()] }, woe: unseen });
                    options.push(other);
                    Unseen::Last
                }
            };
            ColumnKind::Category { options, named: true, unseen }
        };
        let column = Column::named(&self.name, kind, self.missing_woe.is_some());
        let transform = Transform::Woe {
            coefficient: self.coefficient,
            closed: self.closed,
            bins: self.bins,
            missing_woe: self.missing_woe,
        };
        (column, transform)
    }
}

/// The model: our WoE is ln(share of bads / share of goods), so that coefficients are positive. Where
/// all are negative, the table has the other sign, and both are turned: the products stay the same
/// doubles.
fn imported(
    library: String,
    intercept: f64,
    mut features: Vec<Bins>,
    points: Option<Points>,
    mut notes: Vec<String>,
) -> Result<Imported, ImportError> {
    if features.is_empty() {
        return Err(ImportError::shape("", "the scorecard has no features"));
    }
    if features.len() > MOST_FEATURES {
        return Err(ImportError::TooLarge {
            place: String::new(),
            what: "features",
            found: features.len(),
            limit: MOST_FEATURES,
            mend: "leave out those that weigh nothing",
        });
    }
    if features.iter().all(|feature| feature.coefficient < 0.0) {
        notes.push(
            "every coefficient is negative, so the WoE is ln(goods / bads): the signs of both were turned, as a \
             bundle's WoE is ln(bads / goods)"
                .to_owned(),
        );
        for feature in &mut features {
            feature.coefficient = -feature.coefficient;
            feature.bins.iter_mut().for_each(|bin| bin.woe = -bin.woe);
            feature.missing_woe = feature.missing_woe.map(|woe| -woe);
            feature.unseen_woe = feature.unseen_woe.map(|woe| -woe);
        }
    }
    let (columns, transforms): (Vec<_>, Vec<_>) =
        features.into_iter().map(|feature| feature.finish(&mut notes)).unzip();
    let columns = unique(columns);
    let terms = columns
        .iter()
        .zip(transforms)
        .map(|(column, transform)| Term { feature: column.name.clone(), transform })
        .collect();
    Ok(Imported {
        library,
        estimator: Estimator::Logistic { intercept, terms, points },
        calibration: Calibration::None,
        columns,
        agreement: Agreement::Rounding,
        notes,
    })
}
