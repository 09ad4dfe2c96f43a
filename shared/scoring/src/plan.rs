//! The estimator, compiled once at load: from an encoded row to a margin and its parts.

use crate::bundle::{BinRange, Bundle, Estimator, Feature, Kind, Transform};
use crate::forest::Forest;

/// What evaluates rows. A row has one f64 per feature of the schema: the number, the option's index,
/// 1 or 0; NaN is missing.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Logistic { intercept: f64, terms: Vec<PlanTerm> },
    Forest(Forest),
    Linear { base: f32, weights: Vec<LinearWeight> },
}

/// A term with what it adds to the margin.
#[derive(Debug, Clone)]
pub(crate) struct PlanTerm {
    feature: usize,
    part: Part,
    /// Mean part over the reference rows.
    mean: f64,
}

/// coefficient x WoE is multiplied out here: the product is the same double at load and at score.
#[derive(Debug, Clone)]
enum Part {
    /// Bin i holds x <= uppers[i] (and above the one before); the last bin has no upper edge.
    Intervals {
        uppers: Vec<f64>,
        parts: Vec<f64>,
        missing: f64,
    },
    Codes {
        parts: Vec<f64>,
        missing: f64,
    },
    Standardised {
        coefficient: f64,
        mean: f64,
        scale: f64,
        missing_value: f64,
    },
}

/// One weight of gblinear.
#[derive(Debug, Clone)]
pub(crate) struct LinearWeight {
    feature: usize,
    weight: f32,
    mean: f64,
}

/// The codes that a category or a boolean may have, by index.
pub(crate) fn codes_of(kind: &Kind) -> Vec<&str> {
    match kind {
        Kind::Category { options } => options.iter().map(|option| option.code.as_str()).collect(),
        Kind::Boolean => vec!["false", "true"],
        Kind::Number { .. } | Kind::Integer { .. } => Vec::new(),
    }
}

impl Part {
    /// A value that no accepted answer reaches is NaN: the check before has refused such terms.
    fn compile(feature: &Feature, transform: &Transform) -> Part {
        match transform {
            Transform::Woe { coefficient, bins, missing_woe } => {
                let missing = missing_woe.map_or(f64::NAN, |woe| coefficient * woe);
                match feature.kind {
                    Kind::Number { .. } | Kind::Integer { .. } => Part::Intervals {
                        uppers: bins
                            .iter()
                            .filter_map(|bin| match bin.of {
                                BinRange::Interval { upper, .. } => upper,
                                BinRange::Codes { .. } => None,
                            })
                            .collect(),
                        parts: bins.iter().map(|bin| coefficient * bin.woe).collect(),
                        missing,
                    },
                    Kind::Category { .. } | Kind::Boolean => {
                        let part_of = |code: &str| {
                            bins.iter()
                                .find(|bin| {
                                    matches!(&bin.of, BinRange::Codes { codes } if codes.iter().any(|c| c == code))
                                })
                                .map_or(f64::NAN, |bin| coefficient * bin.woe)
                        };
                        Part::Codes {
                            parts: codes_of(&feature.kind).into_iter().map(part_of).collect(),
                            missing,
                        }
                    }
                }
            }
            Transform::Standardised { coefficient, mean, scale, missing_value } => Part::Standardised {
                coefficient: *coefficient,
                mean: *mean,
                scale: *scale,
                missing_value: missing_value.unwrap_or(f64::NAN),
            },
            Transform::OneHot { weights, missing_weight } => Part::Codes {
                parts: codes_of(&feature.kind)
                    .into_iter()
                    .map(|code| weights.get(code).copied().unwrap_or(f64::NAN))
                    .collect(),
                missing: missing_weight.unwrap_or(f64::NAN),
            },
        }
    }

    fn of(&self, x: f64) -> f64 {
        match self {
            Part::Intervals { uppers, parts, missing } => {
                if x.is_nan() {
                    return *missing;
                }
                let bin = uppers.partition_point(|upper| *upper < x);
                parts.get(bin).copied().unwrap_or(f64::NAN)
            }
            Part::Codes { parts, missing } => {
                if x.is_nan() {
                    return *missing;
                }
                parts.get(x as usize).copied().unwrap_or(f64::NAN)
            }
            Part::Standardised { coefficient, mean, scale, missing_value } => {
                let x = if x.is_nan() { *missing_value } else { x };
                coefficient * ((x - mean) / scale)
            }
        }
    }
}

impl Plan {
    /// Compiles a checked bundle.
    pub(crate) fn compile(bundle: &Bundle) -> Plan {
        let position = |name: &str| bundle.schema.features.iter().position(|feature| feature.name == name);
        let mean_of = |name: &str| bundle.reference.mean_parts.get(name).copied().unwrap_or(f64::NAN);
        match &bundle.estimator {
            Estimator::Logistic { intercept, terms, .. } => {
                let terms: Vec<PlanTerm> = terms
                    .iter()
                    .filter_map(|term| {
                        let index = position(&term.feature)?;
                        let feature = bundle.schema.features.get(index)?;
                        Some(PlanTerm {
                            feature: index,
                            part: Part::compile(feature, &term.transform),
                            mean: mean_of(&term.feature),
                        })
                    })
                    .collect();
                Plan::Logistic { intercept: *intercept, terms }
            }
            Estimator::TreeEnsemble { arithmetic, base_margin, trees, .. } => {
                Plan::Forest(Forest::compile(*arithmetic, *base_margin, trees))
            }
            Estimator::Linear { base_margin, weights } => {
                let mut weights: Vec<LinearWeight> = weights
                    .iter()
                    .filter_map(|(name, weight)| {
                        Some(LinearWeight {
                            feature: position(name)?,
                            weight: *weight as f32,
                            mean: mean_of(name),
                        })
                    })
                    .collect();
                // The library adds in the order of the columns.
                weights.sort_by_key(|weight| weight.feature);
                Plan::Linear { base: *base_margin as f32, weights }
            }
        }
    }

    /// Rounds a row to what the training library saw.
    pub(crate) fn prepare(&self, row: &mut [f64]) {
        match self {
            Plan::Forest(forest) => forest.prepare(row),
            Plan::Logistic { .. } | Plan::Linear { .. } => {}
        }
    }

    /// The margin (log-odds of default) of a prepared row.
    pub(crate) fn margin(&self, row: &[f64]) -> f64 {
        let x = |feature: usize| row.get(feature).copied().unwrap_or(f64::NAN);
        match self {
            Plan::Logistic { intercept, terms, .. } => {
                terms.iter().fold(*intercept, |sum, term| sum + term.part.of(x(term.feature)))
            }
            Plan::Forest(forest) => forest.margin(row),
            Plan::Linear { base, weights, .. } => {
                let mut sum = *base;
                for weight in weights {
                    let x = x(weight.feature);
                    if !x.is_nan() {
                        sum += x as f32 * weight.weight;
                    }
                }
                f64::from(sum)
            }
        }
    }

    /// Adds each feature's part of the margin, less its mean, to `values`.
    pub(crate) fn contributions(&self, row: &[f64], values: &mut [f64]) {
        let x = |feature: usize| row.get(feature).copied().unwrap_or(f64::NAN);
        match self {
            Plan::Logistic { terms, .. } => {
                for term in terms {
                    if let Some(value) = values.get_mut(term.feature) {
                        *value += term.part.of(x(term.feature)) - term.mean;
                    }
                }
            }
            Plan::Forest(forest) => forest.contributions(row, values),
            Plan::Linear { weights, .. } => {
                for weight in weights {
                    let x = x(weight.feature);
                    let part = if x.is_nan() { 0.0 } else { f64::from(x as f32 * weight.weight) };
                    if let Some(value) = values.get_mut(weight.feature) {
                        *value += part - weight.mean;
                    }
                }
            }
        }
    }
}
