//! Tree ensembles, compiled.
//!
//! Trees ask few different questions (a histogram-trained model has at most some hundred thresholds
//! per feature), so each question is answered once per row ([`Tests`]) and a split only looks the
//! answer up. Two evaluators share that form:
//!
//! - [`Forest::margin`] walks one row through each tree;
//! - [`sweep`] takes 256 rows through a tree at once, with one bit per row: a split is an AND.
//!
//! docs/BENCHMARKS.md says what was considered, why this was chosen, and what it reaches.

mod real;
mod shap;
mod sweep;
mod tests;

use crate::bundle::{Feature, TreeArithmetic, TreeEnsemble};
use real::Real;
use shap::Paths;
use tests::{Answers, Questions};

/// An ensemble, ready to evaluate. Built only from a checked estimator.
#[derive(Debug, Clone)]
pub(crate) enum Forest {
    /// XGBoost: inputs, comparisons and sums in f32.
    Single(Ensemble<f32>),
    /// LightGBM: in f64.
    Double(Ensemble<f64>),
}

/// The trees, in one precision.
#[derive(Debug, Clone)]
pub(crate) struct Ensemble<T> {
    questions: Questions<T>,
    trees: Vec<TreeSpan>,
    /// The splits of all trees.
    splits: Vec<Split>,
    /// The leaves of all trees, times their tree's weight.
    leaves: Vec<T>,
    /// The leaves that compute their value, by index into `leaves`, ascending.
    linear: Vec<Linear>,
    base: T,
    /// What the sum of the trees is divided by, for random forests.
    divisor: Option<T>,
    paths: Paths,
}

/// Where the parts of a tree are. A tree with n splits has n + 1 leaves.
#[derive(Debug, Clone, Copy)]
struct TreeSpan {
    first_split: u32,
    first_leaf: u32,
    splits: u16,
    /// Splits on the longest path.
    depth: u16,
    /// Whether some leaf of it computes its value.
    linear: bool,
}

/// A split: which answer it needs, and where to go. Places are numbered within the tree: splits from
/// 0, level by level, then leaves.
#[derive(Debug, Clone, Copy)]
struct Split {
    test: u32,
    left: u16,
    right: u16,
}

#[derive(Debug, Clone)]
struct Linear {
    leaf: u32,
    weight: f64,
    constant: f64,
    terms: Vec<(u32, f64)>,
}

impl Forest {
    /// Compiles a checked ensemble.
    pub(crate) fn compile(ensemble: &TreeEnsemble, features: &[Feature]) -> Forest {
        match ensemble.arithmetic {
            TreeArithmetic::Xgboost => Forest::Single(Ensemble::compile(ensemble, features)),
            TreeArithmetic::Lightgbm => Forest::Double(Ensemble::compile(ensemble, features)),
        }
    }

    /// The margin of one row (one f64 per feature), with the additions in tree order and in the
    /// trained precision.
    pub(crate) fn margin(&self, row: &[f64]) -> f64 {
        match self {
            Forest::Single(ensemble) => ensemble.margin(row),
            Forest::Double(ensemble) => ensemble.margin(row),
        }
    }

    /// The margins of many rows of `width` numbers; the same bits as [`Forest::margin`] gives.
    pub(crate) fn margins(&self, rows: &[f64], width: usize, out: &mut Vec<f64>) {
        match self {
            Forest::Single(ensemble) => ensemble.margins(rows, width, out),
            Forest::Double(ensemble) => ensemble.margins(rows, width, out),
        }
    }

    /// Adds each feature's SHAP value (log-odds) to `values`.
    pub(crate) fn contributions(&self, row: &[f64], values: &mut [f64]) {
        match self {
            Forest::Single(ensemble) => ensemble.contributions(row, values),
            Forest::Double(ensemble) => ensemble.contributions(row, values),
        }
    }
}

impl<T: Real> Ensemble<T> {
    fn compile(ensemble: &TreeEnsemble, features: &[Feature]) -> Self {
        let (questions, numbers) = Questions::compile(ensemble, features);
        let nodes = ensemble.node_count();
        let mut compiled = Ensemble {
            questions,
            trees: Vec::with_capacity(ensemble.trees.len()),
            splits: Vec::with_capacity(nodes / 2),
            leaves: Vec::with_capacity(nodes / 2 + ensemble.trees.len()),
            linear: Vec::new(),
            base: T::of(ensemble.base_margin),
            divisor: ensemble.average.then(|| T::of(ensemble.trees.len() as f64)),
            paths: Paths::with_capacity(nodes),
        };
        let mut depths = Vec::new();
        for tree in &ensemble.trees {
            let (first_split, first_leaf) = (compiled.splits.len() as u32, compiled.leaves.len() as u32);
            let count = tree.nodes.len() / 2;
            // The place of each node, and its depth, by its position in the list.
            depths.clear();
            depths.resize(tree.nodes.len(), 0u16);
            let mut place = Places::new(&tree.nodes);
            let mut depth = 0;
            for (n, &number) in tree.nodes.iter().enumerate().filter(|(_, number)| **number != 0) {
                let own = depths.get(n).copied().unwrap_or(0) + 1;
                depth = depth.max(own);
                let [left, right] = place.children();
                for child in [place.next - 2, place.next - 1] {
                    if let Some(slot) = depths.get_mut(child) {
                        *slot = own;
                    }
                }
                compiled.splits.push(Split { test: numbers.of(number), left, right });
            }
            let weight = T::of(tree.weight);
            compiled.leaves.extend(tree.values.iter().map(|&value| T::of(value) * weight));
            compiled.linear.extend(tree.linear.iter().map(|linear| Linear {
                leaf: first_leaf + linear.leaf,
                weight: tree.weight,
                constant: linear.constant,
                terms: linear.terms.clone(),
            }));
            let span =
                TreeSpan { first_split, first_leaf, splits: count as u16, depth, linear: !tree.linear.is_empty() };
            let splits = compiled.splits.get(first_split as usize..).unwrap_or_default();
            compiled.paths.push(splits, &tree.covers, &compiled.questions);
            compiled.trees.push(span);
        }
        compiled
    }

    fn splits_of(&self, tree: &TreeSpan) -> &[Split] {
        let first = tree.first_split as usize;
        self.splits.get(first..first + tree.splits as usize).unwrap_or_default()
    }

    fn leaves_of(&self, tree: &TreeSpan) -> &[T] {
        let first = tree.first_leaf as usize;
        self.leaves.get(first..=first + tree.splits as usize).unwrap_or_default()
    }

    /// What a leaf adds for a row.
    fn value(&self, tree: &TreeSpan, leaf: usize, row: &[f64]) -> T {
        // Within range in a checked ensemble; NaN would fail the golden vectors.
        let value = self.leaves_of(tree).get(leaf).copied().unwrap_or(T::NAN);
        if !tree.linear {
            return value;
        }
        let leaf = tree.first_leaf + leaf as u32;
        let Ok(at) = self.linear.binary_search_by_key(&leaf, |linear| linear.leaf) else { return value };
        let Some(linear) = self.linear.get(at) else { return value };
        let mut sum = linear.constant;
        for &(feature, coefficient) in &linear.terms {
            let x = row.get(feature as usize).copied().unwrap_or(f64::NAN);
            if x.is_nan() {
                return value;
            }
            sum += coefficient * x;
        }
        T::of(sum * linear.weight)
    }

    fn finish(&self, sum: T) -> f64 {
        match self.divisor {
            None => sum.wide(),
            Some(divisor) => (sum / divisor + self.base).wide(),
        }
    }

    /// What the sum of the trees begins with.
    fn begin(&self) -> T {
        if self.divisor.is_some() { T::of(0.0) } else { self.base }
    }

    fn margin(&self, row: &[f64]) -> f64 {
        let answers = self.questions.answer(row);
        let mut sum = self.begin();
        for tree in &self.trees {
            let leaf = self.walk(tree, &answers);
            sum = sum + self.value(tree, leaf, row);
        }
        self.finish(sum)
    }

    /// The leaf that a row reaches. Takes as many steps as the longest path has, whatever the row: an
    /// end that depends on the row would be a branch that no processor can predict.
    fn walk(&self, tree: &TreeSpan, answers: &impl Answers) -> usize {
        let splits = self.splits_of(tree);
        let mut at = 0;
        for _ in 0..tree.depth {
            // In a leaf there is no split, and the walk stays.
            let Some(split) = splits.get(at).or(splits.last()) else { break };
            let next = if answers.goes_left(split.test) { split.left } else { split.right };
            at = if at < splits.len() { next as usize } else { at };
        }
        at.saturating_sub(splits.len())
    }
}

/// Gives each split's children their places, in the order in which splits are met.
struct Places<'a> {
    nodes: &'a [i32],
    /// Position in the list of the next split's left child.
    next: usize,
    /// Splits and leaves among the nodes before `next`.
    splits: usize,
    leaves: usize,
    total_splits: usize,
}

impl<'a> Places<'a> {
    fn new(nodes: &'a [i32]) -> Self {
        // The root has its place already: 0.
        let root_is_split = nodes.first().is_some_and(|number| *number != 0);
        let splits = usize::from(root_is_split);
        Places { nodes, next: 1, splits, leaves: 1 - splits, total_splits: nodes.len() / 2 }
    }

    fn children(&mut self) -> [u16; 2] {
        [(); 2].map(|()| {
            let is_leaf = self.nodes.get(self.next).is_none_or(|number| *number == 0);
            self.next += 1;
            let count = if is_leaf { &mut self.leaves } else { &mut self.splits };
            *count += 1;
            let before = *count - 1;
            // At most 65,536 nodes, so that every place is a u16.
            (if is_leaf { self.total_splits + before } else { before }) as u16
        })
    }
}
