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
use tests::{Answers, Numbers, Questions};

/// How many trees a walk goes through side by side.
const TOGETHER: usize = 8;

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
    /// The places of all trees.
    places: Vec<Place>,
    /// The leaves of all trees, times their tree's weight.
    leaves: Vec<T>,
    /// The leaves that compute their value, by index into `leaves`, ascending.
    linear: Vec<Linear>,
    base: T,
    /// What the sum of the trees is divided by, for random forests.
    divisor: Option<T>,
    paths: Paths,
}

/// Where the parts of a tree are. A tree with n splits has n + 1 leaves and 2 n + 1 places.
///
/// Places are numbered within the tree: 0 for the root; then the splits that some split follows, level
/// by level; then the other splits, whose children are both leaves; then the leaves of the former,
/// then those of the latter in pairs. So parents stand before their children, and what is treated
/// alike stands together.
#[derive(Debug, Clone, Copy)]
struct TreeSpan {
    first_place: u32,
    first_leaf: u32,
    splits: u16,
    /// How many of the splits are followed by a split.
    inner: u16,
    /// Splits on the longest path.
    depth: u16,
    /// Whether some leaf of it computes its value.
    linear: bool,
}

/// For a split: which answer it needs, and where to go. A leaf leads to itself, whatever the answer.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
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
            places: Vec::with_capacity(nodes),
            leaves: Vec::with_capacity((nodes + ensemble.trees.len()) / 2),
            linear: Vec::new(),
            base: T::of(ensemble.base_margin),
            divisor: ensemble.average.then(|| T::of(ensemble.trees.len() as f64)),
            paths: Paths::with_capacity(nodes, ensemble.trees.len()),
        };
        let mut layout = Layout::default();
        for tree in &ensemble.trees {
            let (first_place, first_leaf) = (compiled.places.len() as u32, compiled.leaves.len() as u32);
            layout.arrange(&tree.nodes, &numbers);
            let weight = T::of(tree.weight);
            let place_of = |leaf: usize| layout.leaves.get(leaf).copied().unwrap_or_default() as usize;
            compiled.leaves.resize(first_leaf as usize + tree.values.len(), T::default());
            let mut covers = vec![0.0; tree.covers.len()];
            for (leaf, (value, cover)) in tree.values.iter().zip(&tree.covers).enumerate() {
                let at = place_of(leaf) - layout.splits;
                if let (Some(value_slot), Some(cover_slot)) =
                    (compiled.leaves.get_mut(first_leaf as usize + at), covers.get_mut(at))
                {
                    (*value_slot, *cover_slot) = (T::of(*value) * weight, *cover);
                }
            }
            compiled.linear.extend(tree.linear.iter().map(|linear| Linear {
                leaf: first_leaf + (place_of(linear.leaf as usize) - layout.splits) as u32,
                weight: tree.weight,
                constant: linear.constant,
                terms: linear.terms.clone(),
            }));
            compiled.paths.push(&layout.places, &covers, layout.inner, &compiled.questions);
            compiled.places.extend_from_slice(&layout.places);
            compiled.trees.push(TreeSpan {
                first_place,
                first_leaf,
                splits: layout.splits as u16,
                inner: layout.inner as u16,
                depth: layout.depth,
                linear: !tree.linear.is_empty(),
            });
        }
        // Trees keep their order, leaves within a tree need not.
        compiled.linear.sort_by_key(|linear| linear.leaf);
        compiled
    }

    fn places_of(&self, tree: &TreeSpan) -> &[Place] {
        let first = tree.first_place as usize;
        self.places.get(first..=first + 2 * tree.splits as usize).unwrap_or_default()
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
        for trees in self.trees.chunks(TOGETHER) {
            let leaves = self.walk(trees, &answers);
            for (tree, leaf) in trees.iter().zip(leaves) {
                sum = sum + self.value(tree, leaf, row);
            }
        }
        self.finish(sum)
    }

    /// The leaves that a row reaches in up to [`TOGETHER`] trees. Takes as many steps as the longest path
    /// has, whatever the row, and chooses without branches: none of them could be predicted, and a
    /// wrong guess costs more than a step. A step waits for the one before it in its tree, so several
    /// trees are walked at once.
    fn walk(&self, trees: &[TreeSpan], answers: &impl Answers) -> [usize; TOGETHER] {
        let mut places: [&[Place]; TOGETHER] = [&[]; TOGETHER];
        let mut steps = 0;
        for (slot, tree) in places.iter_mut().zip(trees) {
            *slot = self.places_of(tree);
            steps = steps.max(tree.depth);
        }
        let mut at = [0u16; TOGETHER];
        for _ in 0..steps {
            for (at, places) in at.iter_mut().zip(&places) {
                if let Some(place) = places.get(*at as usize) {
                    let both = u32::from(place.left) | u32::from(place.right) << 16;
                    *at = both.wrapping_shr(answers.shift(place.test)) as u16;
                }
            }
        }
        let mut leaves = [0; TOGETHER];
        for ((leaf, at), tree) in leaves.iter_mut().zip(at).zip(trees) {
            *leaf = (at as usize).saturating_sub(tree.splits as usize);
        }
        leaves
    }
}

/// The places of a tree, from its list of nodes.
#[derive(Default)]
struct Layout {
    places: Vec<Place>,
    /// By leaf in the order of the document: its place.
    leaves: Vec<u16>,
    splits: usize,
    inner: usize,
    depth: u16,
    /// By node in the order of the document: its place and depth.
    nodes: Vec<(u16, u16)>,
}

impl Layout {
    /// At most 65,536 nodes, so that every place is a u16.
    fn arrange(&mut self, nodes: &[i32], numbers: &Numbers) {
        let is_leaf = |node: usize| nodes.get(node).is_none_or(|number| *number == 0);
        self.splits = nodes.len() / 2;
        self.inner = (0..self.splits).filter(|k| !(is_leaf(2 * k + 1) && is_leaf(2 * k + 2))).count();
        self.depth = 0;
        self.leaves.clear();
        self.places.clear();
        self.places.extend((0..nodes.len()).map(|at| Place { test: 0, left: at as u16, right: at as u16 }));
        self.nodes.clear();
        self.nodes.resize(nodes.len(), (0, 0));
        // Which split of the document a node is, from the numbers of splits before it.
        let ends = |k: usize| is_leaf(2 * k + 1) && is_leaf(2 * k + 2);
        // What has its place: the root has.
        let mut inner = usize::from(!ends(0));
        let mut outer = self.inner + usize::from(ends(0));
        let mut leaf = self.splits;
        let mut next_split = 1;
        let pairs = self.splits + (self.splits + 1) - 2 * (self.splits - self.inner);
        let mut k = 0;
        for (node, &number) in nodes.iter().enumerate() {
            let Some(&(own, depth)) = self.nodes.get(node) else { return };
            if number == 0 {
                self.leaves.push(own);
                continue;
            }
            self.depth = self.depth.max(depth + 1);
            let children = [0, 1].map(|side| {
                let child = 2 * k + 1 + side;
                let place = if !is_leaf(child) {
                    let split = next_split;
                    next_split += 1;
                    let counter = if ends(split) { &mut outer } else { &mut inner };
                    *counter += 1;
                    *counter - 1
                } else if ends(k) {
                    pairs + 2 * (own as usize - self.inner) + side
                } else {
                    leaf += 1;
                    leaf - 1
                };
                if let Some(slot) = self.nodes.get_mut(child) {
                    *slot = (place as u16, depth + 1);
                }
                place as u16
            });
            if let Some(place) = self.places.get_mut(own as usize) {
                *place = Place { test: numbers.of(number), left: children[0], right: children[1] };
            }
            k += 1;
        }
    }
}
