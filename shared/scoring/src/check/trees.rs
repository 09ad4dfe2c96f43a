//! The rules of tree ensembles.

use super::estimator::single;
use super::{Checked, LARGEST_PART, invalid, part, shown};
use crate::bundle::{Direction, Kind, Node, Schema, Tree, TreeArithmetic};
use std::collections::BTreeMap;

const MAX_TREES: usize = 5000;
const MAX_NODES: usize = 1 << 16;
/// Bounds the recursion over a tree, and the work of an explanation.
const MAX_DEPTH: u32 = 64;

pub(super) fn check(
    schema: &Schema,
    arithmetic: TreeArithmetic,
    base_margin: f64,
    trees: &[Tree],
    monotone: &BTreeMap<String, Direction>,
) -> Checked {
    let f32_only = arithmetic == TreeArithmetic::Xgboost;
    if f32_only {
        single(base_margin, || "estimator.base_margin".to_owned())?;
    }
    if trees.is_empty() || trees.len() > MAX_TREES {
        return Err(invalid(
            "estimator.trees",
            format!("has {} trees", trees.len()),
            "an ensemble has 1 to 5000",
        ));
    }
    let claims = claims(schema, monotone)?;
    for (t, tree) in trees.iter().enumerate() {
        let place = format!("estimator.trees[{t}]");
        if !(tree.weight > 0.0 && tree.weight <= LARGEST_PART) {
            return Err(invalid(
                format!("{place}.weight"),
                format!("{} is not above 0", tree.weight),
                "leave out a tree that counts for nothing; trees without DART have weight 1",
            ));
        }
        if f32_only {
            single(tree.weight, || format!("{place}.weight"))?;
        }
        if tree.nodes.is_empty() || tree.nodes.len() > MAX_NODES {
            return Err(invalid(
                format!("{place}.nodes"),
                format!("has {} nodes", tree.nodes.len()),
                "a tree has 1 to 65536",
            ));
        }
        structure(&tree.nodes, &place)?;
        for (n, node) in tree.nodes.iter().enumerate() {
            values(schema, tree, node, f32_only, &|| format!("{place}.nodes[{n}]"))?;
        }
        if !claims.is_empty() {
            monotone_tree(&tree.nodes, &claims, &place)?;
        }
    }
    Ok(())
}

/// The children of a split.
fn children(node: &Node) -> Option<(u32, u32)> {
    match node {
        Node::Leaf { .. } => None,
        Node::Split { left, right, .. } | Node::Categories { left, right, .. } => Some((*left, *right)),
    }
}

/// Every node but the root is the child of exactly one node before it, so the nodes form one tree
/// without cycles; and it is not deeper than allowed.
fn structure(nodes: &[Node], place: &str) -> Checked {
    // Depth of each node that some parent has named; the root's is known.
    let mut depths: Vec<Option<u32>> = vec![None; nodes.len()];
    if let Some(root) = depths.first_mut() {
        *root = Some(0);
    }
    for (n, node) in nodes.iter().enumerate() {
        let here = || format!("{place}.nodes[{n}]");
        let Some(depth) = depths.get(n).copied().flatten() else {
            return Err(invalid(
                here(),
                "is no node's child",
                "every node but the first is reached exactly once",
            ));
        };
        let Some((left, right)) = children(node) else { continue };
        if depth >= MAX_DEPTH {
            return Err(invalid(here(), "is deeper than 64 splits", "train with a smaller max_depth"));
        }
        for (child, side) in [(left, "left"), (right, "right")] {
            if child as usize <= n {
                return Err(invalid(
                    format!("{}.{side}", here()),
                    format!("{child} does not stand after its parent: the tree would have a cycle"),
                    "number the nodes so that children come after their parents",
                ));
            }
            match depths.get_mut(child as usize) {
                None => {
                    return Err(invalid(
                        format!("{}.{side}", here()),
                        format!("{child} is out of range: the tree has {} nodes", nodes.len()),
                        "export the tree again",
                    ));
                }
                Some(Some(_)) => {
                    return Err(invalid(
                        format!("{}.{side}", here()),
                        format!("{child} is another node's child already"),
                        "every node but the first is reached exactly once",
                    ));
                }
                Some(slot) => *slot = Some(depth + 1),
            }
        }
        let cover = |i: u32| nodes.get(i as usize).map_or(f64::NAN, Node::cover);
        let (own, sum) = (node.cover(), cover(left) + cover(right));
        if (own - sum).abs() > 1e-3 * own.abs() {
            return Err(invalid(
                format!("{}.cover", here()),
                format!("{own} is not the sum of its children's, {sum}"),
                "export the training weight (XGBoost's sum_hessian) of every node",
            ));
        }
    }
    Ok(())
}

fn values(schema: &Schema, tree: &Tree, node: &Node, f32_only: bool, place: &dyn Fn() -> String) -> Checked {
    if !(node.cover() > 0.0 && node.cover().is_finite()) {
        return Err(invalid(
            format!("{}.cover", place()),
            format!("{} is not above 0", node.cover()),
            "export the training weight (XGBoost's sum_hessian) of every node",
        ));
    }
    let kind_of = |feature: u32| match schema.features.get(feature as usize) {
        Some(feature) => Ok(&feature.kind),
        None => Err(invalid(
            format!("{}.feature", place()),
            format!("{feature} is out of range: the schema has {} features", schema.features.len()),
            "features are numbered from 0 in the order of the schema",
        )),
    };
    match node {
        Node::Leaf { value, .. } => {
            if f32_only {
                single(*value, || format!("{}.value", place()))?;
            }
            part(*value, || format!("{}.value", place()))?;
            part(value * tree.weight, || format!("{}.value", place()))
        }
        Node::Split { feature, threshold, .. } => {
            if let Kind::Category { .. } = kind_of(*feature)? {
                return Err(invalid(
                    place(),
                    "compares a category with a number",
                    "use a categories node: a category's code has no order",
                ));
            }
            if f32_only {
                return single(*threshold, || format!("{}.threshold", place()));
            }
            super::finite(*threshold, || format!("{}.threshold", place()))
        }
        Node::Categories { feature, right_codes, .. } => {
            let Kind::Category { options } = kind_of(*feature)? else {
                return Err(invalid(
                    place(),
                    "looks up codes of a feature that is not a category",
                    "use a split node",
                ));
            };
            let mut previous = None;
            for (i, &code) in right_codes.iter().enumerate() {
                let here = || format!("{}.right_codes[{i}]", place());
                if code as usize >= options.len() {
                    return Err(invalid(
                        here(),
                        format!("{code} is out of range: the feature has {} options", options.len()),
                        "options are numbered from 0 in the order of the schema",
                    ));
                }
                if previous.is_some_and(|previous| previous >= code) {
                    return Err(invalid(
                        here(),
                        "is not above the one before",
                        "list each code once, ascending",
                    ));
                }
                previous = Some(code);
            }
            Ok(())
        }
    }
}

/// The claimed direction by feature index.
fn claims(
    schema: &Schema,
    monotone: &BTreeMap<String, Direction>,
) -> Result<BTreeMap<u32, Direction>, crate::error::LoadError> {
    let mut claims = BTreeMap::new();
    for (name, direction) in monotone {
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
/// beyond any leaf on the other. XGBoost's and LightGBM's constraints give exactly that. It is
/// sufficient, and a model that is monotone in a subtler way is refused rather than believed.
fn monotone_tree(nodes: &[Node], claims: &BTreeMap<u32, Direction>, place: &str) -> Checked {
    // Smallest and largest leaf below each node; children come later, so backwards.
    let mut spans = vec![(0.0f64, 0.0f64); nodes.len()];
    for (n, node) in nodes.iter().enumerate().rev() {
        let span = match (node, children(node)) {
            (Node::Leaf { value, .. }, _) => (*value, *value),
            (_, None) => continue,
            (_, Some((left, right))) => {
                let of = |i: u32| spans.get(i as usize).copied().unwrap_or_default();
                let (low, high) = (of(left), of(right));
                let claim = match node {
                    Node::Split { feature, .. } => claims.get(feature),
                    _ => None,
                };
                let broken = match claim {
                    Some(Direction::Rises) => low.1 > high.0,
                    Some(Direction::Falls) => low.0 < high.1,
                    None => false,
                };
                if broken {
                    return Err(invalid(
                        format!("{place}.nodes[{n}]"),
                        "breaks a claim of estimator.monotone: leaves on its two sides are in the wrong order",
                        "train with that monotone constraint, or remove the claim",
                    ));
                }
                (low.0.min(high.0), low.1.max(high.1))
            }
        };
        if let Some(slot) = spans.get_mut(n) {
            *slot = span;
        }
    }
    Ok(())
}
