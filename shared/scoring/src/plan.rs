//! The estimator, compiled once at load: from an encoded row to a margin and its parts.

use crate::bundle::{BinRange, Bundle, Closed, Estimator, Feature, Kind, Transform};
use crate::forest::Forest;

/// What evaluates rows. A row has one f64 per feature of the schema: the number, the option's index,
/// 1 or 0; NaN is missing.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Logistic { intercept: f64, terms: Vec<PlanTerm> },
    Forest(Box<Forest>),
    Linear { base: f32, weights: Vec<LinearWeight> },
}

/// A term with what it adds to the margin.
#[derive(Debug, Clone)]
pub(crate) struct PlanTerm {
    feature: usize,
    part: Part,
    /// Mean part over the reference rows.
    mean: f64,
    /// The smallest part of any answer that the schema accepts.
    best: f64,
}

/// coefficient x WoE is multiplied out here: the product is the same double at load and at score.
#[derive(Debug, Clone)]
enum Part {
    /// Bin i ends at uppers[i], which it holds if `right`; the last bin has no upper edge. A special
    /// value has a part of its own, whatever bin it lies in.
    Intervals {
        uppers: Vec<f64>,
        right: bool,
        parts: Vec<f64>,
        /// Value and part, ascending by value.
        special: Vec<(f64, f64)>,
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
        Kind::Category { options, .. } => options.iter().map(|option| option.code.as_str()).collect(),
        Kind::Boolean => vec!["false", "true"],
        Kind::Number { .. } | Kind::Integer { .. } => Vec::new(),
    }
}

impl Part {
    /// A value that no accepted answer reaches is NaN: the check before has refused such terms.
    fn compile(feature: &Feature, transform: &Transform) -> Part {
        match transform {
            Transform::Woe { coefficient, closed, bins, missing_woe } => {
                let missing = missing_woe.map_or(f64::NAN, |woe| coefficient * woe);
                match feature.kind {
                    Kind::Number { .. } | Kind::Integer { .. } => {
                        let (mut uppers, mut parts, mut special) = (Vec::new(), Vec::new(), Vec::new());
                        for bin in bins {
                            let part = coefficient * bin.woe;
                            match &bin.of {
                                BinRange::Interval { upper, .. } => {
                                    uppers.extend(upper);
                                    parts.push(part);
                                }
                                BinRange::Values { values } => {
                                    special.extend(values.iter().map(|value| (*value, part)));
                                }
                                BinRange::Codes { .. } => {}
                            }
                        }
                        special.sort_by(|a: &(f64, f64), b| a.0.total_cmp(&b.0));
                        Part::Intervals { uppers, right: *closed == Closed::Right, parts, special, missing }
                    }
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

    /// The smallest part of any answer that the schema accepts: nobody can lose less.
    fn best(&self, feature: &Feature) -> f64 {
        let range = match &feature.kind {
            Kind::Number { min, max, .. } => (*min, *max),
            Kind::Integer { min, max, .. } => (*min as f64, *max as f64),
            Kind::Boolean | Kind::Category { .. } => (0.0, codes_of(&feature.kind).len() as f64 - 1.0),
        };
        let accepted = |x: f64| x >= range.0 && x <= range.1;
        let mut best = if feature.missing_allowed { self.of(f64::NAN) } else { f64::INFINITY };
        // A part is constant or linear between these points, so one of them is the smallest.
        let mut probes = vec![range.0, range.1];
        match self {
            Part::Intervals { uppers, special, .. } => {
                probes.extend(uppers.iter().flat_map(|upper| [upper.next_down(), *upper, upper.next_up()]));
                probes.extend(special.iter().map(|(value, _)| *value));
            }
            Part::Codes { parts, .. } => probes.extend((0..parts.len()).map(|code| code as f64)),
            Part::Standardised { .. } => {}
        }
        if let Kind::Integer { .. } = feature.kind {
            probes = probes.into_iter().flat_map(|x| [libm::floor(x), libm::ceil(x)]).collect();
        }
        for x in probes.into_iter().filter(|x| accepted(*x)) {
            best = best.min(self.of(x));
        }
        best
    }

    fn of(&self, x: f64) -> f64 {
        match self {
            Part::Intervals { uppers, right, parts, special, missing } => {
                if x.is_nan() {
                    return *missing;
                }
                let at = special.partition_point(|(value, _)| *value < x);
                if let Some((value, part)) = special.get(at)
                    && *value == x
                {
                    return *part;
                }
                let below = |upper: &f64| if *right { *upper < x } else { *upper <= x };
                parts.get(uppers.partition_point(below)).copied().unwrap_or(f64::NAN)
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
                        let part = Part::compile(feature, &term.transform);
                        let best = part.best(feature);
                        Some(PlanTerm { feature: index, part, mean: mean_of(&term.feature), best })
                    })
                    .collect();
                Plan::Logistic { intercept: *intercept, terms }
            }
            Estimator::TreeEnsemble(ensemble) => {
                Plan::Forest(Box::new(Forest::compile(ensemble, &bundle.schema.features)))
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

    /// The margin (log-odds of default) of a row.
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

    /// Each scored feature with what its part is above the best part, in log-odds; empty for models
    /// whose features have no part of their own.
    pub(crate) fn losses(&self, row: &[f64]) -> Vec<(usize, f64)> {
        let x = |feature: usize| row.get(feature).copied().unwrap_or(f64::NAN);
        match self {
            Plan::Logistic { terms, .. } => {
                terms.iter().map(|term| (term.feature, term.part.of(x(term.feature)) - term.best)).collect()
            }
            Plan::Forest(_) | Plan::Linear { .. } => Vec::new(),
        }
    }

    /// The margins of many rows of `width` numbers.
    pub(crate) fn margins(&self, rows: &[f64], width: usize, out: &mut Vec<f64>) {
        match self {
            Plan::Forest(forest) => forest.margins(rows, width, out),
            Plan::Logistic { .. } | Plan::Linear { .. } => {
                out.extend(rows.chunks_exact(width).map(|row| self.margin(row)));
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
