//! OptBinning's Scorecard, as `models/python/vereda_optbinning.py` writes it: each variable's own JSON
//! (`OptimalBinning.to_dict`), with its coefficient and the WoE that its transform gives.

use super::super::{ImportError, Imported};
use super::{Bins, imported};
use crate::bundle::{BinRange, Closed, Points, WoeBin};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FORMAT: &str = "the JSON of vereda_optbinning.py";
const MEND: &str = "write it with models/python/vereda_optbinning.py";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    format_version: u32,
    library: String,
    intercept: f64,
    points: Option<Points>,
    variables: Vec<Variable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    coefficient: f64,
    binning: Binning,
    /// The categories of each bin; absent for numbers.
    groups: Option<Vec<Vec<Value>>>,
    /// One per bin.
    woe: Vec<f64>,
    /// Special codes that share a bin, with their WoE.
    special_woe: Vec<(Vec<Value>, f64)>,
    missing_woe: f64,
    unknown_woe: Option<f64>,
}

/// What is needed of OptBinning's own document.
#[derive(Deserialize)]
struct Binning {
    dtype: String,
    splits: Vec<f64>,
    n_nonevent: Vec<f64>,
    n_event: Vec<f64>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Imported, ImportError> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| ImportError::Syntax {
        format: FORMAT,
        problem: super::super::error::printable(&error.to_string()),
        mend: MEND,
    })?;
    if document.format != "vereda-optbinning" || document.format_version != 1 {
        return Err(ImportError::unsupported(
            format!("the format {} {}", document.format, document.format_version),
            "vereda-optbinning 1 is known",
            MEND,
        ));
    }
    if let Some(points) = &document.points
        && !(points.pdo > 0.0 && points.base_odds > 0.0)
    {
        return Err(ImportError::shape("points", "pdo and base_odds are not above 0"));
    }
    let features = document.variables.into_iter().map(feature).collect::<Result<Vec<_>, _>>()?;
    imported(
        super::super::error::printable(&document.library),
        document.intercept,
        features,
        document.points,
        Vec::new(),
    )
}

fn feature(variable: Variable) -> Result<Bins, ImportError> {
    let wrong = |problem: String| ImportError::shape(format!("variable {}", variable.name), problem);
    agrees(&variable).map_err(wrong)?;
    let mut bins = match variable.binning.dtype.as_str() {
        "numerical" => intervals(&variable).map_err(wrong)?,
        "categorical" => codes(&variable).map_err(wrong)?,
        other => return Err(wrong(format!("its dtype is {other:?}"))),
    };
    let numeric = variable.groups.is_none();
    // A code that is given twice has the last bin, as in OptBinning's transform.
    let mut seen = BTreeSet::new();
    let mut special = Vec::new();
    for (codes, woe) in variable.special_woe.iter().rev() {
        let texts: Vec<String> = codes
            .iter()
            .map(|code| option(code).ok_or_else(|| wrong(format!("{code} is no special code"))))
            .collect::<Result<_, _>>()?;
        let fresh: Vec<String> = texts.into_iter().filter(|code| seen.insert(code.clone())).collect();
        if fresh.is_empty() {
            continue;
        }
        let of = if numeric {
            let values = fresh.iter().map(|code| code.parse().ok()).collect::<Option<Vec<f64>>>();
            BinRange::Values {
                values: values.ok_or_else(|| wrong("a special code is no number".to_owned()))?,
            }
        } else {
            BinRange::Codes { codes: fresh }
        };
        special.push(WoeBin { of, woe: *woe });
    }
    bins.extend(special.into_iter().rev());
    Ok(Bins {
        coefficient: variable.coefficient,
        closed: Closed::Left,
        bins,
        missing_woe: Some(variable.missing_woe),
        unseen_woe: variable.unknown_woe,
        name: variable.name,
    })
}

/// The WoE must be the one of the counts: OptBinning's is ln(share of non-events / share of events),
/// and 0 for a bin that lacks either.
fn agrees(variable: &Variable) -> Result<(), String> {
    let binning = &variable.binning;
    let (events, others): (f64, f64) = (binning.n_event.iter().sum(), binning.n_nonevent.iter().sum());
    for (i, woe) in variable.woe.iter().enumerate() {
        let (Some(&event), Some(&other)) = (binning.n_event.get(i), binning.n_nonevent.get(i)) else {
            return Err(format!("it has {} WoE and counts for {i} bins", variable.woe.len()));
        };
        if event > 0.0 && other > 0.0 {
            let expected = libm::log((other / others) / (event / events));
            // Without a bin for missing and special answers, OptBinning leaves their counts out.
            if (expected - woe).abs() > 1e-6 && !partial(variable, i, *woe) {
                return Err(format!("bin {i} has the WoE {woe} and its counts make it {expected}"));
            }
        }
    }
    Ok(())
}

/// Whether the WoE is that of the counts of the ordinary bins alone.
fn partial(variable: &Variable, i: usize, woe: f64) -> bool {
    let binning = &variable.binning;
    let bins = variable.woe.len();
    let sum = |counts: &[f64]| counts.iter().take(bins).sum::<f64>();
    let share = |counts: &[f64]| counts.get(i).copied().unwrap_or(f64::NAN) / sum(counts);
    (libm::log(share(&binning.n_nonevent) / share(&binning.n_event)) - woe).abs() <= 1e-6
}

fn intervals(variable: &Variable) -> Result<Vec<WoeBin>, String> {
    let splits = &variable.binning.splits;
    if variable.woe.len() != splits.len() + 1 {
        return Err(format!("it has {} splits and {} WoE", splits.len(), variable.woe.len()));
    }
    let edges: Vec<Option<f64>> =
        [None].into_iter().chain(splits.iter().copied().map(Some)).chain([None]).collect();
    Ok(edges
        .windows(2)
        .zip(&variable.woe)
        .filter_map(|(edges, woe)| {
            let [lower, upper] = edges else { return None };
            Some(WoeBin { of: BinRange::Interval { lower: *lower, upper: *upper }, woe: *woe })
        })
        .collect())
}

fn codes(variable: &Variable) -> Result<Vec<WoeBin>, String> {
    let groups = variable.groups.as_deref().unwrap_or_default();
    if groups.len() != variable.woe.len() {
        return Err(format!("it has {} groups and {} WoE", groups.len(), variable.woe.len()));
    }
    let special: BTreeMap<String, ()> = variable
        .special_woe
        .iter()
        .flat_map(|(codes, _)| codes)
        .filter_map(|code| Some((option(code)?, ())))
        .collect();
    let mut bins = Vec::with_capacity(groups.len());
    for (group, woe) in groups.iter().zip(&variable.woe) {
        let mut codes = Vec::with_capacity(group.len());
        for category in group {
            let code = option(category).ok_or_else(|| format!("{category} is no category"))?;
            // Special codes win over groups.
            if !special.contains_key(&code) {
                codes.push(code);
            }
        }
        bins.push(WoeBin { of: BinRange::Codes { codes }, woe: *woe });
    }
    Ok(bins)
}

fn option(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
