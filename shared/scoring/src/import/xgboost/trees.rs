//! From XGBoost's parallel arrays to the nodes of a bundle.

use super::super::ImportError;
use super::document::{Flag, RawTree};
use crate::bundle::{Node, Tree};
use std::collections::BTreeMap;

/// What any bundle accepts.
const MAX_NODES: usize = 1 << 16;
const MAX_DEPTH: u32 = 64;

/// The share of its sibling's weight that a branch is given which no training row reached. XGBoost
/// gives it none, so that explanations differ by as little as this.
const NO_COVER: f64 = 1e-12;

/// What the splits of all trees say about a feature.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Smallest and largest threshold.
    pub(super) compared: Option<(f64, f64)>,
    /// The largest category code; -1 where a split lists none.
    pub(super) largest_code: Option<i32>,
}

/// One tree with children after their parents; `weight` is dart's. Nodes that pruning left behind are gone.
pub(super) fn tree(
    raw: &RawTree,
    weight: Option<f32>,
    place: &str,
    features: usize,
    seen: &mut BTreeMap<usize, Seen>,
    invented: &mut usize,
) -> Result<Tree, ImportError> {
    let count = raw.left_children.len();
    if !matches!(raw.tree_param.size_leaf_vector.as_str(), "" | "0" | "1") {
        return Err(ImportError::unsupported(
            format!("a tree with vector leaves (size_leaf_vector {})", raw.tree_param.size_leaf_vector),
            "a PD is one number per applicant",
            "train with multi_strategy=one_output_per_tree and one target",
        ));
    }
    let lengths = [
        (raw.right_children.len(), "right_children"),
        (raw.split_indices.len(), "split_indices"),
        (raw.split_conditions.len(), "split_conditions"),
        (raw.default_left.len(), "default_left"),
        (raw.sum_hessian.len(), "sum_hessian"),
    ];
    for (length, name) in lengths {
        if length != count {
            return Err(ImportError::shape(
                format!("{place}.{name}"),
                format!("it has {length} elements and left_children has {count}"),
            ));
        }
    }
    if !raw.split_type.is_empty() && raw.split_type.len() != count {
        return Err(ImportError::shape(
            format!("{place}.split_type"),
            format!("it has {} elements and left_children has {count}", raw.split_type.len()),
        ));
    }
    let sets = sets(raw, place)?;
    let mut nodes: Vec<Node> = Vec::new();
    // Breadth first: each entry is a node of the file and how deep it is.
    let mut order = vec![(0usize, 0u32)];
    let mut next = 0;
    while let Some(&(node, depth)) = order.get(next) {
        next += 1;
        let get = Raw::of(raw, node).ok_or_else(|| {
            ImportError::shape(format!("{place}.left_children"), format!("there is no node {node}"))
        })?;
        let cover = f64::from(get.cover);
        if get.left == -1 {
            // dart adds each tree to a fresh 0 before it multiplies, which makes a -0 a 0.
            let value = f64::from(if weight.is_some() { get.condition + 0.0 } else { get.condition });
            if !value.is_finite() {
                return Err(ImportError::shape(
                    format!("{place}.split_conditions[{node}]"),
                    "no finite leaf",
                ));
            }
            nodes.push(Node::Leaf { value, cover, linear: None });
            continue;
        }
        if depth >= MAX_DEPTH {
            return Err(ImportError::TooLarge {
                place: place.to_owned(),
                what: "splits on one path",
                found: depth as usize + 1,
                limit: MAX_DEPTH as usize,
                mend: "train with a smaller max_depth",
            });
        }
        let (left, right) = (order.len() as u32, order.len() as u32 + 1);
        for (child, name) in [(get.left, "left_children"), (get.right, "right_children")] {
            let child = usize::try_from(child).ok().filter(|&child| child != 0 && child < count).ok_or_else(
                || {
                    ImportError::shape(
                        format!("{place}.{name}[{node}]"),
                        format!("{child} is no node of {count} that may be a child"),
                    )
                },
            )?;
            order.push((child, depth + 1));
        }
        // A tree of n nodes is reached in n steps; more means that a node is reached twice.
        if order.len() > count {
            return Err(ImportError::shape(place, "its nodes form a cycle"));
        }
        if order.len() > MAX_NODES {
            return Err(ImportError::TooLarge {
                place: place.to_owned(),
                what: "nodes",
                found: count,
                limit: MAX_NODES,
                mend: "train with a smaller max_depth or max_leaves",
            });
        }
        let index = usize::try_from(get.feature).ok().filter(|&index| index < features).ok_or_else(|| {
            ImportError::shape(
                format!("{place}.split_indices[{node}]"),
                format!("{} is none of the {features} features", get.feature),
            )
        })?;
        let (feature, default_left) = (index as u32, get.default_left);
        let seen = seen.entry(index).or_default();
        if get.categorical {
            let right_codes = sets.get(&node).cloned().unwrap_or_default();
            let largest = right_codes.last().map_or(-1, |&code| code as i32);
            seen.largest_code = Some(seen.largest_code.map_or(largest, |before| before.max(largest)));
            nodes.push(Node::Categories { feature, right_codes, default_left, left, right, cover });
        } else {
            let threshold = f64::from(get.condition);
            if !threshold.is_finite() {
                return Err(ImportError::shape(
                    format!("{place}.split_conditions[{node}]"),
                    format!("{threshold} is no finite threshold"),
                ));
            }
            let (low, high) = seen.compared.unwrap_or((threshold, threshold));
            seen.compared = Some((low.min(threshold), high.max(threshold)));
            nodes.push(Node::Split {
                feature,
                threshold,
                zero_missing: false,
                default_left,
                left,
                right,
                cover,
            });
        }
    }
    if nodes.is_empty() {
        return Err(ImportError::shape(place, "it has no nodes"));
    }
    *invented += cover(&mut nodes, place)?;
    Ok(Tree { weight: f64::from(weight.unwrap_or(1.0)), nodes })
}

/// One node of the file.
struct Raw {
    left: i32,
    right: i32,
    feature: i64,
    condition: f32,
    default_left: bool,
    categorical: bool,
    cover: f32,
}

impl Raw {
    fn of(raw: &RawTree, node: usize) -> Option<Raw> {
        let Flag(default_left) = *raw.default_left.get(node)?;
        Some(Raw {
            left: *raw.left_children.get(node)?,
            right: *raw.right_children.get(node)?,
            feature: *raw.split_indices.get(node)?,
            condition: raw.split_conditions.get(node)?.value(),
            default_left,
            categorical: raw.split_type.get(node).is_some_and(|&kind| kind == 1),
            cover: *raw.sum_hessian.get(node)?,
        })
    }
}

/// The codes that go right, ascending, by node.
fn sets(raw: &RawTree, place: &str) -> Result<BTreeMap<usize, Vec<u32>>, ImportError> {
    let (nodes, starts, sizes) = (&raw.categories_nodes, &raw.categories_segments, &raw.categories_sizes);
    if nodes.len() != starts.len() || nodes.len() != sizes.len() {
        return Err(ImportError::shape(
            format!("{place}.categories_nodes"),
            "it has another length than categories_segments or categories_sizes",
        ));
    }
    let mut sets = BTreeMap::new();
    let mut total = 0usize;
    for (i, ((&node, &start), &size)) in nodes.iter().zip(starts).zip(sizes).enumerate() {
        let range = || {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            raw.categories.get(start..end)
        };
        let wrong = |name: &str, problem: &str| ImportError::shape(format!("{place}.{name}[{i}]"), problem);
        let codes = range().ok_or_else(|| wrong("categories_segments", "it reaches beyond categories"))?;
        // Segments that overlap would make a small file claim any amount of memory.
        total += codes.len();
        if total > raw.categories.len() {
            return Err(wrong("categories_sizes", "the segments overlap"));
        }
        let mut set = Vec::with_capacity(codes.len());
        for &code in codes {
            set.push(u32::try_from(code).map_err(|_| wrong("categories", "a category code is negative"))?);
        }
        set.sort_unstable();
        set.dedup();
        let node = usize::try_from(node).map_err(|_| wrong("categories_nodes", "it is negative"))?;
        if sets.insert(node, set).is_some() {
            return Err(wrong("categories_nodes", "the node has a set already"));
        }
    }
    Ok(sets)
}

/// Gives every node some cover: explanations divide by it. Where the file has none (no training row
/// came there), it is a vanishing share of the sibling's. Returns how many nodes were given theirs.
fn cover(nodes: &mut [Node], place: &str) -> Result<usize, ImportError> {
    if let Some(at) = nodes.iter().position(|node| !(node.cover() >= 0.0 && node.cover().is_finite())) {
        return Err(ImportError::shape(format!("{place}.sum_hessian"), format!("node {at} has no weight")));
    }
    if nodes.iter().all(|node| node.cover() > 0.0) {
        return Ok(0);
    }
    let mut invented = 0;
    let mut set = |nodes: &mut [Node], at: usize, value: f64| {
        if let Some(Node::Leaf { cover, .. } | Node::Split { cover, .. } | Node::Categories { cover, .. }) =
            nodes.get_mut(at)
        {
            *cover = value;
            invented += 1;
        }
    };
    // From the root down: a branch without weight takes its share of its parent's.
    if nodes.first().is_some_and(|root| root.cover() == 0.0) {
        set(nodes, 0, 1.0);
    }
    for at in 0..nodes.len() {
        let Some(node) = nodes.get(at) else { continue };
        let own = node.cover();
        let (Node::Split { left, right, .. } | Node::Categories { left, right, .. }) = *node else {
            continue;
        };
        let weight = |nodes: &[Node], child: u32| nodes.get(child as usize).map_or(0.0, Node::cover);
        let (before_left, before_right) = (weight(nodes, left), weight(nodes, right));
        if before_left == 0.0 && before_right == 0.0 {
            set(nodes, left as usize, own / 2.0);
            set(nodes, right as usize, own / 2.0);
        } else if before_left == 0.0 {
            set(nodes, left as usize, own * NO_COVER);
        } else if before_right == 0.0 {
            set(nodes, right as usize, own * NO_COVER);
        }
    }
    Ok(invented)
}
