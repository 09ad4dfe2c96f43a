//! Everything that must hold in a bundle before it is used.
//!
//! The first violation is returned, with its place. What passes here is what `plan` and `forest`
//! rely on: indices in range, children after their parents, finite numbers of bounded size.

mod card;
mod estimator;
mod protected;
mod schema;
mod trees;

use crate::bundle::{Baseline, Bundle, Calibration, Estimator, Groups, Text};
use crate::error::LoadError;
use crate::model::Model;
use std::collections::{BTreeMap, BTreeSet};

/// No part of a margin may be larger than this: it keeps every sum finite, in f32 as well, and is
/// far beyond any log-odds that mean something.
pub(crate) const LARGEST_PART: f64 = 1e6;

const MAX_TEXT: usize = 4000;
const MAX_GOLDEN: usize = 1000;
const MAX_POINTS: usize = 10_000;

pub(crate) type Checked = Result<(), LoadError>;

/// A refusal at a place.
pub(crate) fn invalid(place: impl Into<String>, problem: impl Into<String>, mend: &'static str) -> LoadError {
    LoadError::Invalid { place: place.into(), problem: problem.into(), mend }
}

/// Checks all rules but the golden vectors, which need the compiled model.
pub(crate) fn bundle(bundle: &Bundle) -> Checked {
    if !is_name(&bundle.id, '-') {
        return Err(invalid(
            "id",
            "is not lower-case words joined by hyphens",
            "use 1 to 64 of a-z, 0-9 and -, such as reference-scorecard",
        ));
    }
    if bundle.version == 0 {
        return Err(invalid("version", "is 0", "versions start at 1 and rise with every publication"));
    }
    text(&bundle.name, "name", false)?;
    schema::check(&bundle.schema)?;
    estimator::check(bundle)?;
    calibration(&bundle.calibration)?;
    groups(&bundle.groups)?;
    let scored = scored_features(bundle);
    let scored: BTreeSet<&str> =
        scored.iter().filter_map(|&i| bundle.schema.features.get(i)).map(|f| f.name.as_str()).collect();
    reasons(bundle, &scored)?;
    protected::check(bundle, &scored)?;
    card::reference(bundle, &scored)?;
    card::card(&bundle.card)
}

/// Positions of the features that the estimator uses.
pub(crate) fn scored_features(bundle: &Bundle) -> BTreeSet<usize> {
    let positions: BTreeMap<&str, usize> =
        bundle.schema.features.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    match &bundle.estimator {
        Estimator::Logistic { terms, .. } => {
            terms.iter().filter_map(|term| positions.get(term.feature.as_str()).copied()).collect()
        }
        Estimator::TreeEnsemble(ensemble) => {
            ensemble.features().into_iter().map(|feature| feature as usize).collect()
        }
        Estimator::Linear { weights, .. } => {
            weights.keys().filter_map(|name| positions.get(name.as_str()).copied()).collect()
        }
    }
}

/// Scores the golden vectors: margin to the bit, PD to 1e-12, group.
pub(crate) fn golden(model: &Model) -> Checked {
    let count = model.bundle().golden.len();
    if count == 0 || count > MAX_GOLDEN {
        return Err(invalid(
            "golden",
            format!("has {count} vectors"),
            "give 1 to 1000 inputs with the answers of the training library",
        ));
    }
    for (i, golden) in model.bundle().golden.iter().enumerate() {
        let margin = model.margin(&golden.inputs).map_err(|error| {
            invalid(
                format!("golden[{i}].inputs"),
                error.to_string(),
                "golden inputs must be acceptable to the schema",
            )
        })?;
        let differs = |what: &str, expected: String, found: String| {
            Err(LoadError::Golden { place: format!("golden[{i}].{what}"), expected, found })
        };
        let bits = format!("{:016x}", margin.to_bits());
        if bits != golden.margin_bits {
            let expected: String = golden.margin_bits.chars().take(40).collect();
            return differs("margin_bits", expected, format!("{bits} ({margin})"));
        }
        let probability = model.probability(margin);
        let error = (probability - golden.probability).abs();
        if error.is_nan() || error > 1e-12 {
            return differs("probability", golden.probability.to_string(), probability.to_string());
        }
        let group = model.group(probability);
        if group != golden.group {
            return differs("group", golden.group.to_string(), group.to_string());
        }
    }
    Ok(())
}

fn calibration(calibration: &Calibration) -> Checked {
    match calibration {
        Calibration::None => Ok(()),
        Calibration::Platt { slope, intercept } => {
            part(*intercept, || "calibration.intercept".to_owned())?;
            if *slope > 0.0 && *slope <= LARGEST_PART {
                return Ok(());
            }
            Err(invalid(
                "calibration.slope",
                format!("{slope} is not above 0 (and at most 1e6)"),
                "PD must rise with the margin: calibrate again",
            ))
        }
        Calibration::Isotonic { margins, probabilities } => {
            if margins.len() < 2 || margins.len() > MAX_POINTS || margins.len() != probabilities.len() {
                return Err(invalid(
                    "calibration",
                    format!("has {} margins and {} probabilities", margins.len(), probabilities.len()),
                    "give 2 to 10000 points, one probability for each margin",
                ));
            }
            ascending(margins, "calibration.margins")?;
            for (i, p) in probabilities.iter().enumerate() {
                share_inside(*p, || format!("calibration.probabilities[{i}]"))?;
            }
            for (i, pair) in probabilities.windows(2).enumerate() {
                if let [a, b] = pair
                    && a > b
                {
                    return Err(invalid(
                        format!("calibration.probabilities[{}]", i + 1),
                        format!("{b} is below the one before, {a}"),
                        "PD must not fall as the margin rises",
                    ));
                }
            }
            Ok(())
        }
        Calibration::PriorShift { training, prior } => {
            share_inside(*training, || "calibration.training".to_owned())?;
            share_inside(*prior, || "calibration.prior".to_owned())
        }
    }
}

fn groups(groups: &Groups) -> Checked {
    if groups.cuts.len() != 7 {
        return Err(invalid(
            "groups.cuts",
            format!("has {} cuts", groups.cuts.len()),
            "seven cuts make the eight groups",
        ));
    }
    for (i, cut) in groups.cuts.iter().enumerate() {
        share_inside(*cut, || format!("groups.cuts[{i}]"))?;
    }
    ascending(&groups.cuts, "groups.cuts")?;
    if groups.groups.len() != 8 {
        return Err(invalid(
            "groups.groups",
            format!("has {} groups", groups.groups.len()),
            "describe all eight, T1 first",
        ));
    }
    for (i, group) in groups.groups.iter().enumerate() {
        text(&group.label, &format!("groups.groups[{i}].label"), false)?;
        text(&group.action, &format!("groups.groups[{i}].action"), false)?;
        let hex = group.colour.strip_prefix('#').unwrap_or_default();
        if hex.len() != 6 || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(invalid(
                format!("groups.groups[{i}].colour"),
                "is not a colour",
                "write it as #rrggbb",
            ));
        }
    }
    Ok(())
}

fn reasons(bundle: &Bundle, scored: &BTreeSet<&str>) -> Checked {
    let reasons = &bundle.reasons;
    if !(1..=8).contains(&reasons.max) {
        return Err(invalid("reasons.max", format!("is {}", reasons.max), "give 1 to 8 reasons"));
    }
    if !(1..=reasons.max).contains(&reasons.adverse) {
        return Err(invalid(
            "reasons.adverse",
            format!("is {}, with {} reasons in all", reasons.adverse, reasons.max),
            "let 1 to max of them be adverse",
        ));
    }
    if reasons.baseline == Baseline::Best && !matches!(bundle.estimator, Estimator::Logistic { .. }) {
        return Err(invalid(
            "reasons.baseline",
            "is best, but the estimator is not logistic: no answer is the best one whatever the others are",
            "measure against the mean",
        ));
    }
    if let Some(name) = scored.iter().find(|name| !reasons.texts.contains_key(**name)) {
        return Err(invalid(
            "reasons.texts",
            format!("has no sentences for {name}"),
            "every scored feature needs them",
        ));
    }
    for (name, texts) in &reasons.texts {
        let place = format!("reasons.texts.{}", shown(name));
        if !scored.contains(name.as_str()) {
            return Err(invalid(
                place,
                "is not a scored feature",
                "remove the sentences, or correct the name",
            ));
        }
        text(&texts.raises, &format!("{place}.raises"), false)?;
        text(&texts.lowers, &format!("{place}.lowers"), false)?;
    }
    Ok(())
}

/// A name from the bundle, short enough for a message and without control characters.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Lower-case words: `a-z`, digits, and a joiner that neither starts, ends nor repeats.
pub(crate) fn is_name(name: &str, joiner: char) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split(joiner).all(|word| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

/// Both languages present (unless it may be empty), of bounded length, without control characters.
pub(crate) fn text(text: &Text, place: &str, may_be_empty: bool) -> Checked {
    for (language, words) in [("es", &text.es), ("en", &text.en)] {
        plain(words, &format!("{place}.{language}"), may_be_empty)?;
    }
    if text.es.is_empty() != text.en.is_empty() {
        return Err(invalid(place, "is given in one language only", "write it in es and in en"));
    }
    Ok(())
}

pub(crate) fn plain(words: &str, place: &str, may_be_empty: bool) -> Checked {
    if words.trim().is_empty() && !(may_be_empty && words.is_empty()) {
        return Err(invalid(place, "is empty", "write it"));
    }
    if words.chars().count() > MAX_TEXT {
        return Err(invalid(place, "has more than 4000 characters", "shorten it"));
    }
    // Control characters and the marks that reorder what is shown after them have no place here.
    let forbidden = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if words.chars().any(forbidden) {
        return Err(invalid(place, "has control characters", "remove them"));
    }
    Ok(())
}

/// A number that may stand in a margin.
pub(crate) fn part(x: f64, place: impl FnOnce() -> String) -> Checked {
    if x.abs() <= LARGEST_PART {
        return Ok(());
    }
    Err(invalid(
        place(),
        format!("{x} is not within -1e6 and 1e6"),
        "no log-odds are that large: train again",
    ))
}

pub(crate) fn finite(x: f64, place: impl FnOnce() -> String) -> Checked {
    if x.is_finite() {
        return Ok(());
    }
    Err(invalid(place(), "is not a finite number", "correct it"))
}

/// Strictly inside (0, 1).
pub(crate) fn share_inside(x: f64, place: impl FnOnce() -> String) -> Checked {
    if x > 0.0 && x < 1.0 {
        return Ok(());
    }
    Err(invalid(place(), format!("{x} is not strictly between 0 and 1"), "correct it"))
}

/// Finite and strictly ascending.
pub(crate) fn ascending(values: &[f64], place: &str) -> Checked {
    let mut previous = f64::NEG_INFINITY;
    for (i, &x) in values.iter().enumerate() {
        finite(x, || format!("{place}[{i}]"))?;
        if x <= previous {
            return Err(invalid(
                format!("{place}[{i}]"),
                format!("{x} is not above the one before, {previous}"),
                "the values must be strictly ascending",
            ));
        }
        previous = x;
    }
    Ok(())
}
