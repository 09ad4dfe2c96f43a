//! One tree of the file.

use super::super::ImportError;
use super::text::Block;
use crate::bundle::{LinearLeaf, Node, Tree};

/// LightGBM's `kZeroThreshold`, 1e-35 as an f32: what is not farther from 0 is 0.
const ZERO: f64 = 1e-35_f32 as f64;
/// What a bundle may have: see docs/BUNDLE.md.
const MOST_NODES: usize = 1 << 16;
const DEEPEST: u32 = 64;

/// Words of a bit set over the codes that a category may have.
const MOST_WORDS: usize = 32;

/// Bits of `decision_type`.
const CATEGORICAL: i64 = 1;
const DEFAULT_LEFT: i64 = 2;

/// A tree as the file has it; the options of its categories are not known yet.
pub(super) struct RawTree {
    /// In the bundle's order: children after their parents.
    pub(super) nodes: Vec<RawNode>,
}

pub(super) enum RawNode {
    /// As it will be.
    Ready(Node),
    /// A category: which codes go left.
    Set {
        feature: u32,
        /// Bit c of word c / 32 is code c.
        left_codes: Vec<u32>,
        left: u32,
        right: u32,
        cover: f64,
    },
}

/// Whether the bit set holds a code.
fn holds(set: &[u32], code: usize) -> bool {
    set.get(code / 32).is_some_and(|word| word >> (code % 32) & 1 == 1)
}

/// The largest code of a bit set.
pub(super) fn largest(set: &[u32]) -> Option<usize> {
    let word = set.iter().rposition(|word| *word != 0)?;
    let bits = set.get(word).copied().unwrap_or(0);
    Some(word * 32 + 31 - bits.leading_zeros() as usize)
}

/// Where LightGBM's rule divides the numbers. Its predictor takes every |x| <= 1e-35f as 0 before any
/// tree sees it, so a threshold inside that band lets the whole band go one way: the side of 0.
///
/// A threshold of infinity parts missing values from all others. A bundle's thresholds are finite, so it
/// becomes the largest number: only an infinite answer, which no schema accepts, would go another way.
fn threshold(given: f64) -> f64 {
    if given == f64::INFINITY {
        f64::MAX
    } else if (-ZERO..0.0).contains(&given) {
        (-ZERO).next_down()
    } else if (0.0..ZERO).contains(&given) {
        ZERO
    } else {
        given
    }
}

/// The arrays of one tree block, each as long as it must be.
struct Arrays {
    features: Vec<u32>,
    thresholds: Vec<f64>,
    decisions: Vec<i64>,
    left: Vec<i64>,
    right: Vec<i64>,
    counts: Vec<f64>,
    leaf_values: Vec<f64>,
    leaf_counts: Vec<f64>,
    cat_boundaries: Vec<usize>,
    cat_words: Vec<u32>,
}

/// Reads a tree over `columns` columns.
pub(super) fn read(block: &Block<'_>, columns: usize) -> Result<RawTree, ImportError> {
    let leaves: usize = block.number("num_leaves")?;
    if leaves == 0 {
        return Err(block.wrong("num_leaves", "is 0"));
    }
    if leaves > MOST_NODES / 2 {
        return Err(ImportError::TooLarge {
            place: block.place.clone(),
            what: "leaves",
            found: leaves,
            limit: MOST_NODES / 2,
            mend: "train with fewer num_leaves",
        });
    }
    let linear = linear_leaves(block, leaves, columns)?;
    if leaves == 1 {
        let value = block.reals("leaf_value", 1)?;
        let node = Node::Leaf {
            value: value.first().copied().unwrap_or_default(),
            // A tree that divides nothing explains nothing: any weight will do.
            cover: 1.0,
            linear: None,
        };
        return Ok(RawTree { nodes: vec![RawNode::Ready(node)] });
    }
    let splits = leaves - 1;
    let sets: usize = block.number("num_cat")?;
    let cat_boundaries = if sets == 0 {
        Vec::new()
    } else if sets > splits {
        return Err(block.wrong("num_cat", "is more than there are splits"));
    } else {
        block.numbers("cat_boundaries", sets + 1)?
    };
    let arrays = Arrays {
        features: block.numbers("split_feature", splits)?,
        thresholds: thresholds(block, splits)?,
        decisions: block.numbers("decision_type", splits)?,
        left: block.numbers("left_child", splits)?,
        right: block.numbers("right_child", splits)?,
        counts: block.reals("internal_count", splits)?,
        leaf_values: block.reals("leaf_value", leaves)?,
        leaf_counts: block.reals("leaf_count", leaves)?,
        cat_words: match cat_boundaries.last() {
            Some(words) => block.numbers("cat_threshold", *words)?,
            None => Vec::new(),
        },
        cat_boundaries,
    };
    if let Some(leaf) = arrays.leaf_counts.iter().position(|count| *count <= 0.0) {
        return Err(ImportError::unsupported(
            format!("{} with its leaf {leaf}, which no training row reached,", block.place),
            "the contributions of its features cannot be computed without training counts",
            "train with min_data_in_leaf = 1 or more",
        ));
    }
    let tree = assemble(block, &arrays, linear, columns)?;
    counts_add_up(block, &tree)?;
    Ok(tree)
}

/// A bundle takes the count of a split for the sum of its children's: so must the library have done,
/// or its contributions are others.
fn counts_add_up(block: &Block<'_>, tree: &RawTree) -> Result<(), ImportError> {
    let cover = |index: u32| tree.nodes.get(index as usize).map_or(f64::NAN, RawNode::cover);
    for node in &tree.nodes {
        let (RawNode::Ready(Node::Split { left, right, .. }) | RawNode::Set { left, right, .. }) = node
        else {
            continue;
        };
        let (own, sum) = (node.cover(), cover(*left) + cover(*right));
        if own != sum {
            return Err(block.wrong("internal_count", format!("{own} is not the {sum} of the two sides")));
        }
    }
    Ok(())
}

impl RawNode {
    /// Training rows that reached it.
    fn cover(&self) -> f64 {
        match self {
            RawNode::Ready(node) => node.cover(),
            RawNode::Set { cover, .. } => *cover,
        }
    }
}

/// Thresholds: finite, or infinity.
fn thresholds(block: &Block<'_>, splits: usize) -> Result<Vec<f64>, ImportError> {
    let numbers: Vec<f64> = block.numbers("threshold", splits)?;
    match numbers.iter().find(|x| x.is_nan() || **x == f64::NEG_INFINITY) {
        Some(number) => Err(block.wrong("threshold", format!("{number} divides nothing"))),
        None => Ok(numbers),
    }
}

/// From LightGBM's numbering (splits from 0, leaf i as !i) to the bundle's: breadth first, so that
/// children come after their parents. Every split and every leaf must be met exactly once.
fn assemble(
    block: &Block<'_>,
    arrays: &Arrays,
    mut linear: Vec<Option<LinearLeaf>>,
    columns: usize,
) -> Result<RawTree, ImportError> {
    let (splits, leaves) = (arrays.features.len(), arrays.leaf_values.len());
    let mut queue: Vec<(i64, u32)> = vec![(0, 0)];
    let mut seen_splits = vec![false; splits];
    let mut seen_leaves = vec![false; leaves];
    let mut nodes = Vec::with_capacity(splits + leaves);
    while let Some(&(child, depth)) = queue.get(nodes.len()) {
        let twice =
            || block.wrong("left_child, right_child", format!("{child} is reached twice or not a node"));
        if child < 0 {
            let leaf = usize::try_from(!child).map_err(|_| twice())?;
            match seen_leaves.get_mut(leaf) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(twice()),
            }
            nodes.push(RawNode::Ready(Node::Leaf {
                value: arrays.leaf_values.get(leaf).copied().unwrap_or_default(),
                cover: arrays.leaf_counts.get(leaf).copied().unwrap_or_default(),
                linear: linear.get_mut(leaf).and_then(Option::take),
            }));
            continue;
        }
        let split = usize::try_from(child).map_err(|_| twice())?;
        match seen_splits.get_mut(split) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(twice()),
        }
        if depth >= DEEPEST {
            return Err(ImportError::TooLarge {
                place: block.place.clone(),
                what: "splits on one path",
                found: depth as usize + 1,
                limit: DEEPEST as usize,
                mend: "train with max_depth = 64 or less",
            });
        }
        let (Some(&left_child), Some(&right_child)) = (arrays.left.get(split), arrays.right.get(split))
        else {
            return Err(twice());
        };
        let left = queue.len() as u32;
        queue.push((left_child, depth + 1));
        queue.push((right_child, depth + 1));
        nodes.push(node(block, arrays, split, left, columns)?);
    }
    // As many were met as there are splits: a full binary tree has one leaf more, so none is left.
    if seen_splits.iter().chain(&seen_leaves).any(|seen| !seen) {
        return Err(block.wrong("left_child, right_child", "do not reach every node"));
    }
    Ok(RawTree { nodes })
}

fn node(
    block: &Block<'_>,
    arrays: &Arrays,
    split: usize,
    left: u32,
    columns: usize,
) -> Result<RawNode, ImportError> {
    let absent = || block.wrong("split_feature", "has too few numbers");
    let feature = *arrays.features.get(split).ok_or_else(absent)?;
    let given = *arrays.thresholds.get(split).ok_or_else(absent)?;
    let decision = *arrays.decisions.get(split).ok_or_else(absent)?;
    let cover = *arrays.counts.get(split).ok_or_else(absent)?;
    if feature as usize >= columns {
        return Err(block.wrong("split_feature", format!("{feature} is not one of {columns} columns")));
    }
    let right = left + 1;
    if decision & CATEGORICAL != 0 {
        // A category's missing values go right whatever the other bits say.
        let wrong = || block.wrong("threshold", format!("{given} is not the number of a bit set"));
        // The comparison with the rounded number also refuses what does not fit.
        let set = given as usize;
        if set as f64 != given {
            return Err(wrong());
        }
        let begin = *arrays.cat_boundaries.get(set).ok_or_else(wrong)?;
        let end = *arrays.cat_boundaries.get(set + 1).ok_or_else(wrong)?;
        let left_codes = arrays.cat_words.get(begin..end).ok_or_else(wrong)?;
        if left_codes.len() > MOST_WORDS {
            return Err(ImportError::TooLarge {
                place: block.place.clone(),
                what: "codes of a category",
                found: left_codes.len() * 32,
                limit: MOST_WORDS * 32,
                mend: "number the categories from 0, without gaps",
            });
        }
        let left_codes = left_codes.to_vec();
        return Ok(RawNode::Set { feature, left_codes, left, right, cover });
    }
    let threshold = threshold(given);
    let default_left = decision & DEFAULT_LEFT != 0;
    let (zero_missing, default_left) = match decision >> 2 {
        // No missing values in training: a missing one becomes 0.
        0 => (false, 0.0 <= threshold),
        1 => (true, default_left),
        2 => (false, default_left),
        _ => return Err(block.wrong("decision_type", format!("{decision} is not known"))),
    };
    Ok(RawNode::Ready(Node::Split { feature, threshold, zero_missing, default_left, left, right, cover }))
}

/// The linear models in the leaves, `None` for each leaf that is a constant.
fn linear_leaves(
    block: &Block<'_>,
    leaves: usize,
    columns: usize,
) -> Result<Vec<Option<LinearLeaf>>, ImportError> {
    if block.get("is_linear").unwrap_or("0") == "0" || leaves == 1 {
        return Ok(Vec::new());
    }
    let constants = block.reals("leaf_const", leaves)?;
    let sizes: Vec<usize> = block.numbers("num_features", leaves)?;
    // A sum that overflows is certainly not the number of words in the file.
    let total = sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size));
    let features: Vec<u32> = block.numbers("leaf_features", total)?;
    let coefficients = block.reals("leaf_coeff", total)?;
    if let Some(feature) = features.iter().find(|feature| **feature as usize >= columns) {
        return Err(block.wrong("leaf_features", format!("{feature} is not one of {columns} columns")));
    }
    let mut terms = features.into_iter().zip(coefficients);
    Ok(constants
        .into_iter()
        .zip(sizes)
        .map(|(constant, size)| Some(LinearLeaf { constant, terms: terms.by_ref().take(size).collect() }))
        .collect())
}

impl RawTree {
    /// Codes that [`RawTree::finish`] will list.
    pub(super) fn listed(&self, options: &[Option<usize>]) -> usize {
        let of = |node: &RawNode| match node {
            RawNode::Ready(_) => 0,
            RawNode::Set { feature, .. } => options.get(*feature as usize).copied().flatten().unwrap_or(0),
        };
        self.nodes.iter().map(of).sum()
    }

    /// The tree under columns whose category `c` has `options[c]` options.
    pub(super) fn finish(self, options: &[Option<usize>]) -> Tree {
        let nodes = self
            .nodes
            .into_iter()
            .map(|node| match node {
                RawNode::Ready(node) => node,
                RawNode::Set { feature, left_codes, left, right, cover } => {
                    let count = options.get(feature as usize).copied().flatten().unwrap_or(0);
                    let right_codes = (0..count)
                        .filter(|code| !holds(&left_codes, *code))
                        .map(|code| code as u32)
                        .collect();
                    Node::Categories { feature, right_codes, default_left: false, left, right, cover }
                }
            })
            .collect();
        Tree { weight: 1.0, nodes }
    }
}

impl RawTree {
    /// Whether some leaf holds a linear model.
    pub(super) fn is_linear(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node, RawNode::Ready(Node::Leaf { linear: Some(_), .. })))
    }
}

/// A tree that adds nothing, for a model without trees.
pub(super) fn nothing() -> Tree {
    Tree { weight: 1.0, nodes: vec![Node::Leaf { value: 0.0, cover: 1.0, linear: None }] }
}
