//! The rules of the reference distributions and of the model card.

use super::{Checked, ascending, finite, invalid, part, plain, shown, text};
use crate::bundle::{Bundle, Card, Distribution, Estimator, Kind};
use crate::plan::codes_of;
use std::collections::BTreeSet;

const METRICS: [&str; 5] = ["auc", "ks", "gini", "brier", "log_loss"];
/// Shares are written with few digits; this much rounding is accepted in their sum.
const SUM_TOLERANCE: f64 = 1e-6;

/// What drift and contributions are measured against.
pub(super) fn reference(bundle: &Bundle, scored: &BTreeSet<&str>) -> Checked {
    let reference = &bundle.reference;
    // An imported model comes without the rows it was trained on, and says so: no drift is measured
    // against it.
    let unknown = reference.rows == 0;
    if unknown && !(reference.features.is_empty() && reference.group_shares.is_empty()) {
        return Err(invalid(
            "reference.rows",
            "is 0, and there are distributions",
            "say how many rows the shares come from, or leave features and group_shares empty",
        ));
    }
    let absent = scored.iter().find(|name| !reference.features.contains_key(**name));
    if let Some(name) = absent
        && !unknown
    {
        return Err(invalid(
            "reference.features",
            format!("has no distribution of {name}"),
            "every scored feature needs one, or its drift would go unseen",
        ));
    }
    for (name, distribution) in &reference.features {
        let place = format!("reference.features.{}", shown(name));
        let Some(feature) = bundle.schema.features.iter().find(|feature| feature.name == *name) else {
            return Err(invalid(place, "is not a feature of the schema", "correct the name"));
        };
        match (&feature.kind, distribution) {
            (Kind::Number { .. } | Kind::Integer { .. }, Distribution::Numeric { .. }) => {}
            (Kind::Category { .. } | Kind::Boolean, Distribution::Categorical { shares, .. }) => {
                let codes: BTreeSet<&str> = codes_of(&feature.kind).into_iter().collect();
                if shares.keys().map(String::as_str).collect::<BTreeSet<_>>() != codes {
                    return Err(invalid(
                        format!("{place}.shares"),
                        "does not list exactly the feature's options",
                        "give a share for each option, 0 if there were none",
                    ));
                }
            }
            _ => {
                return Err(invalid(
                    place,
                    "is not a distribution of this kind of feature",
                    "numbers take numeric shares, categories and booleans take categorical ones",
                ));
            }
        }
        distribution_rule(distribution, &place)?;
    }
    match &reference.score {
        Distribution::Numeric { .. } => distribution_rule(&reference.score, "reference.score")?,
        Distribution::Categorical { .. } => {
            return Err(invalid("reference.score", "is categorical", "PDs are numbers"));
        }
    }
    if !unknown && reference.group_shares.len() != 8 {
        return Err(invalid(
            "reference.group_shares",
            format!("has {} shares", reference.group_shares.len()),
            "give one for each of T1 to T8",
        ));
    }
    if !unknown {
        shares(&reference.group_shares, 0.0, "reference.group_shares")?;
    }
    let needs_means = !matches!(bundle.estimator, Estimator::TreeEnsemble(_));
    for (name, mean) in &reference.mean_parts {
        let place = || format!("reference.mean_parts.{}", shown(name));
        if !needs_means || !scored.contains(name.as_str()) {
            return Err(invalid(
                place(),
                "is not needed",
                "only the scored features of logistic and linear models have a mean part",
            ));
        }
        part(*mean, place)?;
    }
    if needs_means && let Some(name) = scored.iter().find(|name| !reference.mean_parts.contains_key(**name)) {
        return Err(invalid(
            "reference.mean_parts",
            format!("has none for {name}"),
            "reasons are measured against the mean part of every scored feature",
        ));
    }
    Ok(())
}

fn distribution_rule(distribution: &Distribution, place: &str) -> Checked {
    match distribution {
        Distribution::Numeric { edges, shares: of, missing } => {
            if edges.len() + 1 != of.len() {
                return Err(invalid(
                    place,
                    format!("has {} edges and {} shares", edges.len(), of.len()),
                    "there is one share more than edges",
                ));
            }
            ascending(edges, &format!("{place}.edges"))?;
            shares(of, *missing, place)
        }
        Distribution::Categorical { shares: of, missing } => {
            shares(&of.values().copied().collect::<Vec<_>>(), *missing, place)
        }
    }
}

/// Each within [0, 1], and together 1.
fn shares(values: &[f64], missing: f64, place: &str) -> Checked {
    let all = || values.iter().copied().chain([missing]);
    if let Some(share) = all().find(|share| !(0.0..=1.0).contains(share)) {
        return Err(invalid(place, format!("the share {share} is not between 0 and 1"), "correct it"));
    }
    let sum: f64 = all().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(invalid(place, format!("the shares add up to {sum}, not 1"), "count the rows again"));
    }
    Ok(())
}

/// What a person must know.
pub(super) fn card(card: &Card) -> Checked {
    text(&card.purpose, "card.purpose", false)?;
    if card.limits.is_empty() || card.limits.len() > 100 {
        return Err(invalid(
            "card.limits",
            format!("has {} sentences", card.limits.len()),
            "say what the model must not be used for, in 1 to 100 sentences",
        ));
    }
    for (i, limit) in card.limits.iter().enumerate() {
        text(limit, &format!("card.limits[{i}]"), false)?;
    }
    text(&card.fairness, "card.fairness", false)?;
    plain(&card.author, "card.author", false)?;
    plain(&card.data.name, "card.data.name", false)?;
    text(&card.data.source, "card.data.source", false)?;
    let hash = &card.data.sha256;
    if hash.len() != 64 || !hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        return Err(invalid(
            "card.data.sha256",
            "is not a SHA-256",
            "write 64 lower-case hexadecimal digits",
        ));
    }
    if !is_date(&card.created) {
        return Err(invalid("card.created", "is not a date", "write it as YYYY-MM-DD"));
    }
    for (i, metric) in card.metrics.iter().enumerate() {
        let place = format!("card.metrics[{i}]");
        if !METRICS.contains(&metric.name.as_str()) {
            return Err(invalid(
                format!("{place}.name"),
                format!("{:?} is not known", shown(&metric.name)),
                "use auc, ks, gini, brier or log_loss",
            ));
        }
        finite(metric.value, || format!("{place}.value"))?;
        if let Some(deviation) = metric.deviation {
            finite(deviation, || format!("{place}.deviation"))?;
        }
        plain(&metric.method, &format!("{place}.method"), false)?;
    }
    let mut previous = None;
    for (i, row) in card.calibration.iter().enumerate() {
        let place = format!("card.calibration[{i}]");
        if previous.is_some_and(|group| group >= row.group) {
            return Err(invalid(
                format!("{place}.group"),
                "is out of order",
                "list each group once, T1 first",
            ));
        }
        previous = Some(row.group);
        if row.bads > row.rows {
            return Err(invalid(format!("{place}.bads"), "is more than its rows", "count again"));
        }
        let figures = [row.predicted, row.observed, row.interval.0, row.interval.1];
        if figures.iter().any(|p| !(0.0..=1.0).contains(p)) || row.interval.0 > row.interval.1 {
            return Err(invalid(
                place,
                "has a probability outside 0 and 1, or an inverted interval",
                "compute it again",
            ));
        }
    }
    Ok(())
}

/// `YYYY-MM-DD`, RFC 3339's full-date.
fn is_date(date: &str) -> bool {
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, digits: usize| {
        (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())
            .flatten()
    };
    number(year, 4).is_some()
        && number(month, 2).is_some_and(|m| (1..=12).contains(&m))
        && number(day, 2).is_some_and(|d| (1..=31).contains(&d))
}
