//! The rules of logistic and linear estimators; trees have a file of their own.

use super::{Checked, finite, invalid, part, shown, trees};
use crate::bundle::{BinRange, Bundle, Estimator, Feature, Kind, Points, Term, Transform, WoeBin};
use crate::plan::codes_of;
use std::collections::{BTreeMap, BTreeSet};

/// Special values of one feature.
const MAX_SPECIAL: usize = 1000;

pub(super) fn check(bundle: &Bundle) -> Checked {
    match &bundle.estimator {
        Estimator::Logistic { intercept, terms, points } => {
            part(*intercept, || "estimator.intercept".to_owned())?;
            logistic(bundle, terms)?;
            points.as_ref().map_or(Ok(()), points_rule)
        }
        Estimator::TreeEnsemble(ensemble) => trees::check(&bundle.schema, ensemble),
        Estimator::Linear { base_margin, weights } => {
            single(*base_margin, || "estimator.base_margin".to_owned())?;
            part(*base_margin, || "estimator.base_margin".to_owned())?;
            linear(bundle, weights)
        }
    }
}

/// A number that is exactly an f32, as the library that computes in f32 had it.
pub(super) fn single(x: f64, place: impl FnOnce() -> String) -> Checked {
    if x.is_finite() && f64::from(x as f32) == x {
        return Ok(());
    }
    Err(invalid(
        place(),
        format!("{x} is not the exact value of an f32"),
        "this library computes in f32: write the f32 with all its digits (float(numpy.float32(x)) in Python)",
    ))
}

fn points_rule(points: &Points) -> Checked {
    finite(points.base_points, || "estimator.points.base_points".to_owned())?;
    for (x, name) in [(points.base_odds, "base_odds"), (points.pdo, "pdo")] {
        if !(x > 0.0 && x.is_finite()) {
            return Err(invalid(
                format!("estimator.points.{name}"),
                format!("{x} is not above 0"),
                "correct it",
            ));
        }
    }
    Ok(())
}

/// The numbers at which a monotone part is largest in absolute value.
pub(super) fn range_of(kind: &Kind) -> Option<(f64, f64)> {
    match kind {
        Kind::Number { min, max, .. } => Some((*min, *max)),
        Kind::Integer { min, max, .. } => Some((*min as f64, *max as f64)),
        Kind::Boolean => Some((0.0, 1.0)),
        Kind::Category { .. } => None,
    }
}

fn linear(bundle: &Bundle, weights: &BTreeMap<String, f64>) -> Checked {
    for (name, weight) in weights {
        let place = || format!("estimator.weights.{}", shown(name));
        let Some(feature) = bundle.schema.features.iter().find(|f| f.name == *name) else {
            return Err(invalid(place(), "is not a feature of the schema", "correct the name"));
        };
        single(*weight, place)?;
        // gblinear sees category codes as numbers.
        let (low, high) = match &feature.kind {
            Kind::Category { options, .. } => (0.0, options.len() as f64),
            other => range_of(other).unwrap_or_default(),
        };
        part(weight * low, place)?;
        part(weight * high, place)?;
    }
    Ok(())
}

fn logistic(bundle: &Bundle, terms: &[Term]) -> Checked {
    if terms.is_empty() {
        return Err(invalid("estimator.terms", "is empty", "a model scores at least one feature"));
    }
    let mut seen = BTreeSet::new();
    for (i, term) in terms.iter().enumerate() {
        let place = format!("estimator.terms[{i}]");
        let Some(feature) = bundle.schema.features.iter().find(|f| f.name == term.feature) else {
            return Err(invalid(
                format!("{place}.feature"),
                format!("{:?} is not a feature of the schema", shown(&term.feature)),
                "correct the name",
            ));
        };
        if !seen.insert(term.feature.as_str()) {
            return Err(invalid(
                format!("{place}.feature"),
                format!("{} has a term already", term.feature),
                "a feature has at most one term",
            ));
        }
        transform(feature, &term.transform, &format!("{place}.transform"))?;
    }
    Ok(())
}

fn transform(feature: &Feature, transform: &Transform, place: &str) -> Checked {
    let missing = |given: Option<f64>, name: &str| {
        if feature.missing_allowed && given.is_none() {
            return Err(invalid(
                format!("{place}.{name}"),
                format!("is absent, but {} may be missing", feature.name),
                "say what a missing answer is worth",
            ));
        }
        Ok(())
    };
    match transform {
        Transform::Woe { coefficient, bins, missing_woe, closed: _ } => {
            missing(*missing_woe, "missing_woe")?;
            part(*coefficient, || format!("{place}.coefficient"))?;
            for (i, bin) in bins.iter().enumerate() {
                part(bin.woe, || format!("{place}.bins[{i}].woe"))?;
                part(coefficient * bin.woe, || format!("{place}.bins[{i}].woe"))?;
            }
            if let Some(woe) = missing_woe {
                part(*woe, || format!("{place}.missing_woe"))?;
                part(coefficient * woe, || format!("{place}.missing_woe"))?;
            }
            match feature.kind {
                Kind::Number { .. } | Kind::Integer { .. } => intervals(bins, place),
                Kind::Category { .. } | Kind::Boolean => code_bins(feature, bins, place),
            }
        }
        Transform::Standardised { coefficient, mean, scale, missing_value } => {
            missing(*missing_value, "missing_value")?;
            finite(*mean, || format!("{place}.mean"))?;
            if !(*scale > 0.0 && scale.is_finite()) {
                return Err(invalid(
                    format!("{place}.scale"),
                    format!("{scale} is not above 0"),
                    "it is the standard deviation",
                ));
            }
            let Some((low, high)) = range_of(&feature.kind) else {
                return Err(invalid(place, "cannot standardise a category", "use woe or one_hot"));
            };
            for x in [Some(low), Some(high), *missing_value].into_iter().flatten() {
                part(coefficient * ((x - mean) / scale), || format!("{place}.coefficient"))?;
            }
            Ok(())
        }
        Transform::OneHot { weights, missing_weight } => {
            missing(*missing_weight, "missing_weight")?;
            if let Some(weight) = missing_weight {
                part(*weight, || format!("{place}.missing_weight"))?;
            }
            let codes = codes_of(&feature.kind);
            if codes.is_empty() {
                return Err(invalid(
                    place,
                    "one_hot needs a category or a boolean",
                    "use woe or standardised",
                ));
            }
            if let Some(code) = codes.iter().find(|code| !weights.contains_key(**code)) {
                return Err(invalid(
                    format!("{place}.weights"),
                    format!("has none for the option {:?}", shown(code)),
                    "every option has a weight",
                ));
            }
            for (code, weight) in weights {
                let place = || format!("{place}.weights.{}", shown(code));
                if !codes.contains(&code.as_str()) {
                    return Err(invalid(place(), "is not an option", "remove it, or correct the code"));
                }
                part(*weight, place)?;
            }
            Ok(())
        }
    }
}

fn intervals(bins: &[WoeBin], place: &str) -> Checked {
    if bins.is_empty() {
        return Err(invalid(format!("{place}.bins"), "is empty", "the bins must tile the line"));
    }
    let tiles = bins.iter().take_while(|bin| matches!(bin.of, BinRange::Interval { .. })).count();
    special_values(bins, tiles, place)?;
    let mut edge = None;
    for (i, bin) in bins.iter().take(tiles).enumerate() {
        let place = format!("{place}.bins[{i}].of");
        let BinRange::Interval { lower, upper } = &bin.of else { continue };
        if *lower != edge {
            return Err(invalid(
                place,
                "does not begin where the bin before ends (the first begins open)",
                "the bins must tile the line in order, each lower the upper before it",
            ));
        }
        let last = i + 1 == tiles;
        if last != upper.is_none() {
            return Err(invalid(
                place,
                "is open above, or the last bin is not",
                "only the last bin is open above",
            ));
        }
        if let Some(upper) = upper {
            finite(*upper, || format!("{place}.upper"))?;
            if lower.is_some_and(|lower| lower >= *upper) {
                return Err(invalid(
                    place,
                    "holds nothing: its lower edge is not below its upper",
                    "correct the edges",
                ));
            }
        }
        edge = *upper;
    }
    Ok(())
}

/// After the intervals, numbers with a bin of their own.
fn special_values(bins: &[WoeBin], tiles: usize, place: &str) -> Checked {
    if tiles == 0 {
        return Err(invalid(
            format!("{place}.bins[0].of"),
            "is no interval, but the feature is a number",
            "begin with intervals that tile the line; special values come after them",
        ));
    }
    let mut seen: Vec<f64> = Vec::new();
    for (i, bin) in bins.iter().enumerate().skip(tiles) {
        let place = format!("{place}.bins[{i}].of");
        let BinRange::Values { values } = &bin.of else {
            return Err(invalid(
                place,
                "is not a list of values, but stands after one or after the intervals",
                "a number's bins are intervals first, then special values; codes are for categories",
            ));
        };
        if values.is_empty() {
            return Err(invalid(format!("{place}.values"), "is empty", "remove the bin"));
        }
        for (j, value) in values.iter().enumerate() {
            let place = || format!("{place}.values[{j}]");
            finite(*value, place)?;
            if seen.len() == MAX_SPECIAL {
                return Err(invalid(place(), "is the 1001st special value", "give 1000 at most"));
            }
            if seen.contains(value) {
                return Err(invalid(
                    place(),
                    format!("{value} stands in a bin already"),
                    "each value stands in one bin",
                ));
            }
            seen.push(*value);
        }
    }
    Ok(())
}

fn code_bins(feature: &Feature, bins: &[WoeBin], place: &str) -> Checked {
    let known = codes_of(&feature.kind);
    let mut placed = BTreeSet::new();
    for (i, bin) in bins.iter().enumerate() {
        let place = format!("{place}.bins[{i}].of");
        let BinRange::Codes { codes } = &bin.of else {
            return Err(invalid(place, "is of numbers, but the feature has codes", "list the codes"));
        };
        for (j, code) in codes.iter().enumerate() {
            if !known.contains(&code.as_str()) {
                return Err(invalid(
                    format!("{place}.codes[{j}]"),
                    format!("{:?} is not an option of {}", shown(code), feature.name),
                    "remove it, or correct the code",
                ));
            }
            if !placed.insert(code.as_str()) {
                return Err(invalid(
                    format!("{place}.codes[{j}]"),
                    format!("{:?} stands in a bin already", shown(code)),
                    "each option stands in exactly one bin",
                ));
            }
        }
    }
    if let Some(code) = known.iter().find(|code| !placed.contains(**code)) {
        return Err(invalid(
            format!("{place}.bins"),
            format!("the option {:?} stands in none", shown(code)),
            "each option stands in exactly one bin",
        ));
    }
    Ok(())
}
