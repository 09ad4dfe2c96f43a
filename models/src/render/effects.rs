//! How far each answer moves the margin.

use super::html::{escape, number, words};
use super::words::{ABOVE, MISSING, NO, UP_TO, YES, unit};
use crate::verify::Random;
use vereda_scoring::bundle::{
    BinRange, Bundle, Closed, Distribution, Estimator, Feature, Kind, Points, Transform, WoeBin,
};
use vereda_scoring::{Inputs, Model, Value};

/// How many applications are simulated for a partial dependence.
const SIMULATED: usize = 300;
/// Bins over the range of a number of which no distribution is known.
const EQUAL_BINS: u32 = 8;

/// One answer or range of answers.
pub struct Answer {
    /// What it is, as HTML.
    pub label: String,
    /// Log-odds against the mean.
    pub effect: f64,
    /// If the model is a scorecard with points.
    pub points: Option<f64>,
    /// Share of the training data, if it is known for this very range.
    pub share: Option<f64>,
}

/// The answers to every scored feature, in the order of the schema.
pub fn effects(model: &Model) -> Vec<(&Feature, Vec<Answer>)> {
    match &model.bundle().estimator {
        Estimator::TreeEnsemble { .. } => partial(model),
        Estimator::Logistic { .. } | Estimator::Linear { .. } => exact(model),
    }
}

/// A range of answers, with one that stands for it.
struct Range {
    label: String,
    value: Value,
    share: Option<f64>,
}

/// Parts of an additive margin, less their mean.
fn exact(model: &Model) -> Vec<(&Feature, Vec<Answer>)> {
    let bundle = model.bundle();
    let scored = model.scored_features().count().max(1) as f64;
    model
        .scored_features()
        .map(|feature| {
            let mean = bundle.reference.mean_parts.get(&feature.name).copied().unwrap_or(0.0);
            let answers = ranges(bundle, feature).into_iter().filter_map(|range| {
                let part = part(bundle, feature, &range.value)?;
                Some(Answer {
                    label: range.label,
                    effect: part - mean,
                    points: points(bundle, scored, part),
                    share: range.share,
                })
            });
            (feature, answers.collect())
        })
        .collect()
}

/// The offset is spread evenly over the features, so that the points of all answers add up to the
/// score (Siddiqi, Credit Risk Scorecards, 2006).
fn points(bundle: &Bundle, scored: f64, part: f64) -> Option<f64> {
    let Estimator::Logistic { intercept, points: Some(points), .. } = &bundle.estimator else { return None };
    let Points { base_points, base_odds, pdo } = points;
    let factor = pdo / std::f64::consts::LN_2;
    let offset = base_points - factor * (intercept + base_odds.ln());
    Some(offset / scored - factor * part)
}

/// What one answer adds to an additive margin.
fn part(bundle: &Bundle, feature: &Feature, value: &Value) -> Option<f64> {
    match &bundle.estimator {
        Estimator::Logistic { terms, .. } => {
            let term = terms.iter().find(|term| term.feature == feature.name)?;
            match (&term.transform, value) {
                (Transform::Woe { coefficient, missing_woe, .. }, Value::Missing) => {
                    Some(coefficient * (*missing_woe)?)
                }
                (Transform::Woe { coefficient, bins, closed, .. }, value) => {
                    let bin = bins.iter().find(|bin| holds(bin, *closed, value))?;
                    Some(coefficient * bin.woe)
                }
                (Transform::Standardised { coefficient, mean, scale, missing_value }, value) => {
                    let x = number_of(feature, value).or(*missing_value)?;
                    Some(coefficient * ((x - mean) / scale))
                }
                (Transform::OneHot { missing_weight, .. }, Value::Missing) => *missing_weight,
                (Transform::OneHot { weights, .. }, value) => weights.get(code(value)?).copied(),
            }
        }
        Estimator::Linear { weights, .. } => {
            let weight = weights.get(&feature.name)?;
            Some(number_of(feature, value).map_or(0.0, |x| x * weight))
        }
        Estimator::TreeEnsemble { .. } => None,
    }
}

fn holds(bin: &WoeBin, closed: Closed, value: &Value) -> bool {
    match (&bin.of, value) {
        (BinRange::Interval { lower, upper }, Value::Number(x)) => match closed {
            Closed::Right => lower.is_none_or(|lower| lower < *x) && upper.is_none_or(|upper| *x <= upper),
            Closed::Left => lower.is_none_or(|lower| lower <= *x) && upper.is_none_or(|upper| *x < upper),
        },
        (BinRange::Values { values }, Value::Number(x)) => values.contains(x),
        (BinRange::Codes { codes }, value) => code(value).is_some_and(|code| codes.iter().any(|c| c == code)),
        _ => false,
    }
}

fn code(value: &Value) -> Option<&str> {
    match value {
        Value::Category(code) => Some(code),
        Value::Boolean(true) => Some("true"),
        Value::Boolean(false) => Some("false"),
        Value::Missing | Value::Number(_) => None,
    }
}

fn number_of(feature: &Feature, value: &Value) -> Option<f64> {
    match (value, &feature.kind) {
        (Value::Number(x), _) => Some(*x),
        (Value::Boolean(yes), _) => Some(if *yes { 1.0 } else { 0.0 }),
        (Value::Category(code), Kind::Category { options, .. }) => {
            options.iter().position(|option| option.code == *code).map(|index| index as f64)
        }
        _ => None,
    }
}

/// Mean margins over simulated applications in which one answer is set, less their mean.
fn partial(model: &Model) -> Vec<(&Feature, Vec<Answer>)> {
    let bundle = model.bundle();
    let mut random = Random::new(1);
    let mut rows: Vec<Inputs> = (0..SIMULATED).map(|_| simulate(bundle, &mut random)).collect();
    model
        .scored_features()
        .map(|feature| {
            let ranges = ranges(bundle, feature);
            let mut means = Vec::with_capacity(ranges.len());
            for range in &ranges {
                let mut sum = 0.0;
                for row in &mut rows {
                    let before = row.insert(feature.name.clone(), range.value.clone());
                    // The value is within the schema, so that this does not fail.
                    sum += model.margin(row).unwrap_or(f64::NAN);
                    if let Some(before) = before {
                        row.insert(feature.name.clone(), before);
                    }
                }
                means.push(sum / SIMULATED as f64);
            }
            let weight = |range: &Range| range.share.unwrap_or(1.0);
            let total: f64 = ranges.iter().map(weight).sum();
            let mean: f64 =
                ranges.iter().zip(&means).map(|(range, mean)| weight(range) * mean).sum::<f64>() / total;
            let answers = ranges.into_iter().zip(&means).map(|(range, own)| Answer {
                label: range.label,
                effect: own - mean,
                points: None,
                share: range.share,
            });
            (feature, answers.collect())
        })
        .collect()
}

/// An application whose answers are drawn from the reference distributions, each by itself.
fn simulate(bundle: &Bundle, random: &mut Random) -> Inputs {
    let draw = |feature: &Feature, random: &mut Random| {
        let ranges = ranges(bundle, feature);
        let total: f64 = ranges.iter().map(|range| range.share.unwrap_or(1.0)).sum();
        let mut left = random.share() * total;
        for range in &ranges {
            left -= range.share.unwrap_or(1.0);
            if left < 0.0 {
                return range.value.clone();
            }
        }
        ranges.last().map_or(Value::Missing, |range| range.value.clone())
    };
    bundle.schema.features.iter().map(|feature| (feature.name.clone(), draw(feature, random))).collect()
}

/// The ranges in which answers to a feature are shown: the scorecard's bins, else the bins of the
/// reference distribution.
fn ranges(bundle: &Bundle, feature: &Feature) -> Vec<Range> {
    let reference = bundle.reference.features.get(&feature.name);
    let mut out = match (&feature.kind, woe_bins(bundle, feature)) {
        (Kind::Number { min, max, .. }, bins) => numbers(feature, *min, *max, false, bins, reference),
        (Kind::Integer { min, max, .. }, bins) => {
            numbers(feature, *min as f64, *max as f64, true, bins, reference)
        }
        (Kind::Category { options, .. }, _) => options
            .iter()
            .map(|option| Range {
                label: super::html::text(&option.label),
                value: Value::Category(option.code.clone()),
                share: share_of(reference, &option.code),
            })
            .collect(),
        (Kind::Boolean, _) => [(NO, false), (YES, true)]
            .into_iter()
            .map(|(label, yes)| Range {
                label: words(label),
                value: Value::Boolean(yes),
                share: share_of(reference, if yes { "true" } else { "false" }),
            })
            .collect(),
    };
    if feature.missing_allowed {
        let share = reference.map(|reference| match reference {
            Distribution::Numeric { missing, .. } | Distribution::Categorical { missing, .. } => *missing,
        });
        out.push(Range { label: words(MISSING), value: Value::Missing, share });
    }
    out
}

fn woe_bins<'a>(bundle: &'a Bundle, feature: &Feature) -> Option<(&'a [WoeBin], Closed)> {
    let Estimator::Logistic { terms, .. } = &bundle.estimator else { return None };
    let term = terms.iter().find(|term| term.feature == feature.name)?;
    match &term.transform {
        Transform::Woe { bins, closed, .. } => Some((bins, *closed)),
        _ => None,
    }
}

fn share_of(reference: Option<&Distribution>, code: &str) -> Option<f64> {
    match reference {
        Some(Distribution::Categorical { shares, .. }) => shares.get(code).copied(),
        _ => None,
    }
}

fn numbers(
    feature: &Feature,
    min: f64,
    max: f64,
    whole: bool,
    bins: Option<(&[WoeBin], Closed)>,
    reference: Option<&Distribution>,
) -> Vec<Range> {
    let range = |lower: Option<f64>, upper: Option<f64>, closed: Closed, share| {
        let value = inside(lower, upper, closed, min, max, whole)?;
        Some(Range { label: between(feature, lower, upper, closed), value: Value::Number(value), share })
    };
    if let Some((bins, closed)) = bins {
        return bins
            .iter()
            .filter_map(|bin| match &bin.of {
                BinRange::Interval { lower, upper } => range(*lower, *upper, closed, None),
                BinRange::Values { values } => Some(Range {
                    label: escape(&values.iter().map(|x| number(*x)).collect::<Vec<_>>().join(", ")),
                    value: Value::Number(*values.iter().find(|x| (min..=max).contains(x))?),
                    share: None,
                }),
                BinRange::Codes { .. } => None,
            })
            .collect();
    }
    let (edges, shares) = match reference {
        Some(Distribution::Numeric { edges, shares, .. }) => {
            (edges.clone(), shares.iter().copied().map(Some).collect())
        }
        _ => {
            let step = (max - min) / f64::from(EQUAL_BINS);
            let edges = (1..EQUAL_BINS).map(|i| min + step * f64::from(i)).collect();
            (edges, vec![None; EQUAL_BINS as usize])
        }
    };
    let lowers = std::iter::once(None).chain(edges.iter().copied().map(Some));
    let uppers = edges.iter().copied().map(Some).chain(std::iter::once(None));
    lowers
        .zip(uppers)
        .zip(shares)
        .filter_map(|((lower, upper), share)| range(lower, upper, Closed::Right, share))
        .collect()
}

/// A value of the schema that lies in the interval, about its middle.
fn inside(
    lower: Option<f64>,
    upper: Option<f64>,
    closed: Closed,
    min: f64,
    max: f64,
    whole: bool,
) -> Option<f64> {
    let (from, to) = (lower.map_or(min, |x| x.max(min)), upper.map_or(max, |x| x.min(max)));
    let within = |x: &f64| {
        (min..=max).contains(x)
            && match closed {
                Closed::Right => {
                    lower.is_none_or(|lower| lower < *x) && upper.is_none_or(|upper| *x <= upper)
                }
                Closed::Left => lower.is_none_or(|lower| lower <= *x) && upper.is_none_or(|upper| *x < upper),
            }
    };
    let middle = from + (to - from) / 2.0;
    let candidates = if whole {
        [middle.floor(), middle.ceil(), to.floor(), from.ceil()]
    } else {
        [middle, to, from, middle]
    };
    candidates.into_iter().find(within)
}

/// An interval in words.
fn between(feature: &Feature, lower: Option<f64>, upper: Option<f64>, closed: Closed) -> String {
    let after = match &feature.kind {
        Kind::Number { unit: of, .. } | Kind::Integer { unit: of, .. } => words(unit(*of)),
        _ => String::new(),
    };
    let after = if after.is_empty() { after } else { format!(" {after}") };
    let shown = |x: f64| number(x);
    match (lower, upper, closed) {
        (None, Some(upper), Closed::Right) => format!("{} {}{after}", words(UP_TO), shown(upper)),
        (None, Some(upper), Closed::Left) => format!("&lt; {}{after}", shown(upper)),
        (Some(lower), None, Closed::Right) => format!("{} {}{after}", words(ABOVE), shown(lower)),
        (Some(lower), None, Closed::Left) => format!("≥ {}{after}", shown(lower)),
        (Some(lower), Some(upper), Closed::Right) => format!("({}, {}]{after}", shown(lower), shown(upper)),
        (Some(lower), Some(upper), Closed::Left) => format!("[{}, {}){after}", shown(lower), shown(upper)),
        (None, None, _) => "—".into(),
    }
}
