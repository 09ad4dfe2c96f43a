//! The rules of tree ensembles.

use super::estimator::{range_of, single};
use super::{Checked, LARGEST_PART, finite, invalid, part, shown};
use crate::bundle::strict::MAX_TREES;
use crate::bundle::{Direction, Kind, PackedTree, Schema, Tests, TreeArithmetic, TreeEnsemble};
use std::collections::BTreeMap;

/// Places within a tree are numbered in 16 bits.
const MAX_NODES: usize = 1 << 16;
/// Bounds the work of a walk and of an explanation.
const MAX_DEPTH: u8 = 64;

pub(super) fn check(schema: &Schema, ensemble: &TreeEnsemble) -> Checked {
    part(ensemble.base_margin, || "estimator.base_margin".to_owned())?;
    if ensemble.arithmetic == TreeArithmetic::Xgboost {
        single(ensemble.base_margin, || "estimator.base_margin".to_owned())?;
    }
    let count = ensemble.trees.len();
    if count == 0 || count > MAX_TREES {
        return Err(invalid("estimator.trees", format!("has {count} trees"), "an ensemble has 1 to 5000"));
    }
    let questions = tests(schema, ensemble)?;
    let claims = claims(schema, ensemble)?;
    let mut asked = vec![false; questions.len()];
    let mut scratch = Scratch::default();
    for (t, tree) in ensemble.trees.iter().enumerate() {
        let place = || format!("estimator.trees[{t}]");
        structure(tree, &mut asked, &mut scratch, &place)?;
        values(schema, ensemble, tree, &place)?;
        if !claims.is_empty() {
            monotone(ensemble, tree, &questions, &claims, &mut scratch, &place)?;
        }
    }
    if let Some(unused) = asked.iter().position(|asked| !asked) {
        return Err(invalid(
            "estimator.tests",
            format!("has the test {}, which no node asks", unused + 1),
            "leave out tests that are not asked",
        ));
    }
    Ok(())
}

/// A test, by its number less 1.
struct Question {
    feature: u32,
    /// The threshold, if it is one, and whether zero is missing there.
    threshold: Option<(f64, bool)>,
}

/// Every group of tests in its place, each threshold above the one before, codes in range.
fn tests(schema: &Schema, ensemble: &TreeEnsemble) -> Result<Vec<Question>, crate::error::LoadError> {
    let mut questions = Vec::new();
    let mut previous = None;
    for (g, group) in ensemble.tests.iter().enumerate() {
        let place = || format!("estimator.tests[{g}]");
        let feature = group.feature();
        let Some(kind) = schema.features.get(feature as usize).map(|feature| &feature.kind) else {
            return Err(invalid(
                format!("{}.feature", place()),
                format!("{feature} is out of range: the schema has {} features", schema.features.len()),
                "features are numbered from 0 in the order of the schema",
            ));
        };
        let zero_missing = matches!(group, Tests::Thresholds { zero_missing: true, .. });
        let key = (matches!(group, Tests::Categories { .. }), feature, zero_missing);
        if previous.is_some_and(|previous| previous >= key) || group.is_empty() {
            return Err(invalid(
                place(),
                "is empty, out of order, or about the same as another",
                "list thresholds before categories, each by feature, and what counts zero as missing last",
            ));
        }
        previous = Some(key);
        match group {
            Tests::Thresholds { thresholds, zero_missing, .. } => {
                if let Kind::Category { .. } = kind {
                    return Err(invalid(
                        place(),
                        "compares a category with a number",
                        "use right_codes: a category's code has no order",
                    ));
                }
                let mut below = f64::NEG_INFINITY;
                for (i, &written) in thresholds.iter().enumerate() {
                    let here = || format!("{}.thresholds[{i}]", place());
                    let threshold = ensemble.exact(written);
                    finite(threshold, here)?;
                    if threshold <= below {
                        return Err(invalid(
                            here(),
                            format!("{written} is not above the one before"),
                            "list each threshold once, ascending",
                        ));
                    }
                    below = threshold;
                    questions.push(Question { feature, threshold: Some((threshold, *zero_missing)) });
                }
            }
            Tests::Categories { right_codes, .. } => {
                let Kind::Category { options, .. } = kind else {
                    return Err(invalid(
                        place(),
                        "looks up codes of a feature that is not a category",
                        "use thresholds",
                    ));
                };
                for (i, codes) in right_codes.iter().enumerate() {
                    let here = || format!("{}.right_codes[{i}]", place());
                    if codes.last().is_some_and(|last| *last as usize >= options.len()) {
                        return Err(invalid(
                            here(),
                            format!("has a code out of range: the feature has {} options", options.len()),
                            "codes are the options' positions, from 0",
                        ));
                    }
                    let before = i.checked_sub(1).and_then(|before| right_codes.get(before));
                    if !codes.is_sorted_by(|a, b| a < b) || before.is_some_and(|before| before >= codes) {
                        return Err(invalid(
                            here(),
                            "is not in order",
                            "list each code once, ascending, and each set once, ascending",
                        ));
                    }
                    questions.push(Question { feature, threshold: None });
                }
            }
        }
    }
    Ok(questions)
}

/// What is computed for each node of a tree, kept from tree to tree.
#[derive(Default)]
struct Scratch {
    depths: Vec<u8>,
    spans: Vec<(f64, f64)>,
}

/// The list of nodes is one whole tree: each split's children are there, and nothing is left over.
fn structure(
    tree: &PackedTree,
    asked: &mut [bool],
    scratch: &mut Scratch,
    place: &dyn Fn() -> String,
) -> Checked {
    let nodes = tree.nodes.len();
    if nodes == 0 || nodes > MAX_NODES {
        return Err(invalid(
            format!("{}.nodes", place()),
            format!("has {nodes} nodes"),
            "a tree has 1 to 65535",
        ));
    }
    let depths = &mut scratch.depths;
    depths.clear();
    // The depths of the nodes that are the root or some split's child.
    depths.push(0);
    for (n, &number) in tree.nodes.iter().enumerate() {
        let here = || format!("{}.nodes[{n}]", place());
        let Some(&depth) = depths.get(n) else {
            return Err(invalid(
                here(),
                "is no node's child: the tree was whole before it",
                "list the nodes level by level, two for every split",
            ));
        };
        if number == 0 {
            continue;
        }
        if depth >= MAX_DEPTH {
            return Err(invalid(here(), "is deeper than 64 splits", "train with a smaller max_depth"));
        }
        let tests = asked.len();
        match asked.get_mut(number.unsigned_abs() as usize - 1) {
            Some(asked) => *asked = true,
            None => {
                return Err(invalid(
                    here(),
                    format!("{number} is out of range: there are {tests} tests"),
                    "tests are numbered from 1 through all of estimator.tests",
                ));
            }
        }
        depths.extend([depth + 1; 2]);
    }
    if depths.len() > nodes {
        return Err(invalid(
            format!("{}.nodes", place()),
            format!("ends after {nodes} nodes, and its splits have {} more", depths.len() - nodes),
            "list the nodes level by level, two for every split",
        ));
    }
    let leaves = nodes / 2 + 1;
    for (found, name) in [(tree.values.len(), "values"), (tree.covers.len(), "covers")] {
        if found != leaves {
            return Err(invalid(
                format!("{}.{name}", place()),
                format!("has {found} numbers, and the tree has {leaves} leaves"),
                "give one for each leaf, in the order of the leaves",
            ));
        }
    }
    Ok(())
}

/// Weight, leaves and covers are numbers that may stand in a margin.
fn values(
    schema: &Schema,
    ensemble: &TreeEnsemble,
    tree: &PackedTree,
    place: &dyn Fn() -> String,
) -> Checked {
    if !(tree.weight > 0.0 && tree.weight <= LARGEST_PART) {
        return Err(invalid(
            format!("{}.weight", place()),
            format!("{} is not above 0", tree.weight),
            "leave out a tree that counts for nothing; trees without DART have weight 1",
        ));
    }
    if ensemble.arithmetic == TreeArithmetic::Xgboost {
        single(tree.weight, || format!("{}.weight", place()))?;
    }
    for (i, (value, cover)) in tree.values.iter().zip(&tree.covers).enumerate() {
        part(*value, || format!("{}.values[{i}]", place()))?;
        part(value * tree.weight, || format!("{}.values[{i}]", place()))?;
        if !(*cover > 0.0 && *cover <= f64::MAX / 1e6) {
            return Err(invalid(
                format!("{}.covers[{i}]", place()),
                format!("{cover} is not above 0"),
                "export the training weight (XGBoost's sum_hessian) of every leaf",
            ));
        }
    }
    let mut previous = None;
    for (i, leaf) in tree.linear.iter().enumerate() {
        let here = || format!("{}.linear[{i}]", place());
        if leaf.leaf as usize >= tree.values.len() || previous.is_some_and(|previous| previous >= leaf.leaf) {
            return Err(invalid(
                format!("{}.leaf", here()),
                format!("{} is out of range or out of order", leaf.leaf),
                "leaves are numbered from 0 in the order of the nodes; list each once, ascending",
            ));
        }
        previous = Some(leaf.leaf);
        let mut largest = leaf.constant.abs();
        for (feature, coefficient) in &leaf.terms {
            let range = schema.features.get(*feature as usize).and_then(|feature| range_of(&feature.kind));
            let Some((low, high)) = range else {
                return Err(invalid(
                    format!("{}.terms", here()),
                    format!("{feature} is no feature that is a number"),
                    "features are numbered from 0 in the order of the schema",
                ));
            };
            largest += coefficient.abs() * low.abs().max(high.abs());
        }
        part(largest * tree.weight.max(1.0), here)?;
    }
    Ok(())
}

/// The claimed direction by feature index.
fn claims(
    schema: &Schema,
    ensemble: &TreeEnsemble,
) -> Result<BTreeMap<u32, Direction>, crate::error::LoadError> {
    let mut claims = BTreeMap::new();
    for (name, direction) in &ensemble.monotone {
        let place = || format!("estimator.monotone.{}", shown(name));
        let Some(index) = schema.features.iter().position(|feature| feature.name == *name) else {
            return Err(invalid(place(), "is not a feature of the schema", "correct the name"));
        };
        if let Some(Kind::Category { .. }) = schema.features.get(index).map(|feature| &feature.kind) {
            return Err(invalid(place(), "is a category, which has no order", "remove the claim"));
        }
        claims.insert(index as u32, *direction);
    }
    Ok(claims)
}

/// Shows that a tree moves as claimed: at every split on a claimed feature, no leaf on one side is
/// beyond any leaf on the other.
///
/// Then the whole model does. As the feature grows and nothing else changes, a row's path first
/// differs at a split on that feature, where it turns from left to right, so no tree moves the wrong
/// way. A sum of such trees, with weights above 0, rounded or not, does not either: adding and
/// rounding keep order. Nor does the calibration, which never falls. The condition is sufficient:
/// a model whose trees make up for each other is refused rather than believed, since to decide that
/// case is NP-hard. XGBoost's and LightGBM's constraints give exactly this condition.
///
/// The claim is about known values: a missing one has no place in an order.
fn monotone(
    ensemble: &TreeEnsemble,
    tree: &PackedTree,
    questions: &[Question],
    claims: &BTreeMap<u32, Direction>,
    scratch: &mut Scratch,
    place: &dyn Fn() -> String,
) -> Checked {
    if !tree.linear.is_empty() {
        return Err(invalid(
            format!("{}.linear", place()),
            "cannot be shown to keep a claim of estimator.monotone: its leaves have no largest value",
            "remove the claims, or train without linear_tree",
        ));
    }
    let nodes = &tree.nodes;
    // Smallest and largest leaf below each node; children come later, so backwards.
    let spans = &mut scratch.spans;
    spans.clear();
    spans.resize(nodes.len(), (0.0, 0.0));
    let mut leaf = tree.values.iter().rev();
    let mut right = nodes.len() - 1;
    for (n, &number) in nodes.iter().enumerate().rev() {
        let span = if number == 0 {
            leaf.next().map(|&value| (value, value)).unwrap_or_default()
        } else {
            let of = |child: usize| spans.get(child).copied().unwrap_or_default();
            let (low, high) = (of(right - 1), of(right));
            right -= 2;
            let question = questions.get(number.unsigned_abs() as usize - 1);
            let claim = question.and_then(|question| claims.get(&question.feature));
            let broken = match claim {
                Some(Direction::Rises) => low.1 > high.0,
                Some(Direction::Falls) => low.0 < high.1,
                None => false,
            };
            if broken {
                return Err(invalid(
                    format!("{}.nodes[{n}]", place()),
                    "breaks a claim of estimator.monotone: leaves on its two sides are in the wrong order",
                    "train with that monotone constraint, or remove the claim",
                ));
            }
            if claim.is_some()
                && let Some(Question { threshold: Some((threshold, true)), .. }) = question
                && (number > 0) != zero_goes_left(ensemble, *threshold)
            {
                return Err(invalid(
                    format!("{}.nodes[{n}]", place()),
                    "breaks a claim of estimator.monotone: zero counts as missing and goes the other way \
                     than its neighbours",
                    "train with zero_as_missing = false, or remove the claim",
                ));
            }
            (low.0.min(high.0), low.1.max(high.1))
        };
        if let Some(slot) = spans.get_mut(n) {
            *slot = span;
        }
    }
    Ok(())
}

/// Where 0 would go if it were a number like others.
fn zero_goes_left(ensemble: &TreeEnsemble, threshold: f64) -> bool {
    match ensemble.arithmetic {
        TreeArithmetic::Xgboost => 0.0 < threshold,
        TreeArithmetic::Lightgbm => 0.0 <= threshold,
    }
}
