//! How an estimator is read: all fields of all kinds, then those of the kind it says it is.
//!
//! serde reads a tagged enum by first keeping all of it in memory as generic values, several times
//! as large as the file, and no longer knows where in the file an error was. So it is read as a
//! struct.

use super::{Direction, Estimator, PackedTree, Points, Term, Tests, TreeArithmetic, TreeEnsemble, strict};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    r#type: Type,
    intercept: Option<f64>,
    terms: Option<Vec<Term>>,
    points: Option<Points>,
    arithmetic: Option<TreeArithmetic>,
    base_margin: Option<f64>,
    average: Option<bool>,
    tests: Option<Vec<Tests>>,
    #[serde(default, deserialize_with = "strict::trees")]
    trees: Option<Vec<PackedTree>>,
    #[serde(default, deserialize_with = "strict::some_map")]
    monotone: Option<BTreeMap<String, Direction>>,
    #[serde(default, deserialize_with = "strict::some_map")]
    weights: Option<BTreeMap<String, f64>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Type {
    Logistic,
    TreeEnsemble,
    Linear,
}

impl TryFrom<Parts> for Estimator {
    type Error = String;

    fn try_from(parts: Parts) -> Result<Estimator, String> {
        use Type::{Linear, Logistic, TreeEnsemble as Trees};
        let own = |given: bool, name: &str, of: &[Type]| {
            let known = !given || of.contains(&parts.r#type);
            if known { Ok(()) } else { Err(format!("unknown field `{name}` for this type")) }
        };
        own(parts.intercept.is_some(), "intercept", &[Logistic])?;
        own(parts.terms.is_some(), "terms", &[Logistic])?;
        own(parts.points.is_some(), "points", &[Logistic])?;
        own(parts.arithmetic.is_some(), "arithmetic", &[Trees])?;
        own(parts.base_margin.is_some(), "base_margin", &[Trees, Linear])?;
        own(parts.average.is_some(), "average", &[Trees])?;
        own(parts.tests.is_some(), "tests", &[Trees])?;
        own(parts.trees.is_some(), "trees", &[Trees])?;
        own(parts.monotone.is_some(), "monotone", &[Trees])?;
        own(parts.weights.is_some(), "weights", &[Linear])?;
        Ok(match parts.r#type {
            Logistic => Estimator::Logistic {
                intercept: need(parts.intercept, "intercept")?,
                terms: need(parts.terms, "terms")?,
                points: parts.points,
            },
            Trees => Estimator::TreeEnsemble(TreeEnsemble {
                arithmetic: need(parts.arithmetic, "arithmetic")?,
                base_margin: need(parts.base_margin, "base_margin")?,
                average: need(parts.average, "average")?,
                tests: need(parts.tests, "tests")?,
                trees: need(parts.trees, "trees")?,
                monotone: need(parts.monotone, "monotone")?,
            }),
            Linear => Estimator::Linear {
                base_margin: need(parts.base_margin, "base_margin")?,
                weights: need(parts.weights, "weights")?,
            },
        })
    }
}

fn need<T>(given: Option<T>, name: &str) -> Result<T, String> {
    given.ok_or_else(|| format!("missing field `{name}`"))
}
