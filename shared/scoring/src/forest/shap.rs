//! Exact SHAP values: how far each feature moves the margin of a row.
//!
//! These are the path-dependent values of Lundberg et al., "Consistent individualized feature
//! attribution for tree ensembles" (2018). A leaf is a product game: v(S) = value x the product of
//! `one` over the features in S and of `zero` over the others on its path, where `one` is 1 if the row
//! takes all of the path's turns on the feature, else 0, and `zero` is the share of the training
//! weight that takes them. Its Shapley value for feature i is
//!
//! value x (one_i - zero_i) x integral over t in (0, 1) of the product over j != i of f_j(t),
//! f_j(t) = one_j t + zero_j (1 - t),
//!
//! because k! (d - 1 - k)! / d! is the integral of t^k (1 - t)^(d-1-k). The integrand is a polynomial of
//! degree d - 1, which (d + 1) / 2 Gauss-Legendre points integrate exactly; all its terms are
//! positive, so nothing cancels.
//!
//! As in Linear TreeSHAP (Yu et al., 2022), the leaves share the work: the products are made on the
//! way down, and on the way up the sums of value x product over all leaves below a node are enough
//! for the node's feature. A feature met again on a path stays one player: its factor takes the
//! place of the earlier one.

// Loops over 0..K index arrays of K numbers: the compiler proves each of them.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop)]

use super::real::Real;
use super::tests::{Answers, Questions};
use super::{Ensemble, Place, TreeSpan};

/// What explanations need to know about paths, for all trees one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    /// By place: `zero` of the feature that the turn into this place is about, over the whole path.
    zero: Vec<f64>,
    turns: Vec<Turn>,
    /// By leaf of a split that a split follows, in the order of places: that split.
    parents: Vec<u16>,
    spans: Vec<PathSpan>,
    most_places: usize,
    rules: Rules,
}

/// What is known of a tree.
#[derive(Debug, Clone, Copy)]
struct PathSpan {
    first_parent: u32,
    /// How many leaves have no leaf beside them.
    single: u16,
    /// How many points integrate its polynomials.
    points: u8,
}

/// What is known of a split.
#[derive(Debug, Clone, Copy)]
struct Turn {
    feature: u16,
    /// The place that the last turn on the same feature led to; 0, the root, if there was none.
    above: u16,
}

/// What is computed for a place, at each of the points.
#[derive(Clone, Copy)]
struct Known<const K: usize> {
    /// The product of the factors of all features so far, times the weight of the point.
    product: [f64; K],
    /// The factor of the last turn's feature, and its inverse.
    factor: [f64; K],
    inverse: [f64; K],
    /// (one - zero) / factor of the last turn's feature.
    gain: [f64; K],
    /// The product without the feature that the split here asks about.
    others: [f64; K],
    /// The sum of value x product over the leaves below, and that times `gain`.
    sum: [f64; K],
    gained: [f64; K],
    one: f64,
}

impl<const K: usize> Known<K> {
    const ROOT: Self = Known {
        product: [0.0; K],
        factor: [1.0; K],
        inverse: [1.0; K],
        gain: [0.0; K],
        others: [0.0; K],
        sum: [0.0; K],
        gained: [0.0; K],
        one: 1.0,
    };
}

impl Paths {
    pub(super) fn with_capacity(nodes: usize, trees: usize) -> Self {
        Paths {
            zero: Vec::with_capacity(nodes),
            turns: Vec::with_capacity(nodes / 2),
            parents: Vec::new(),
            spans: Vec::with_capacity(trees),
            most_places: 0,
            rules: Rules::default(),
        }
    }

    /// Takes in the next tree: its places, the training weights of its leaves in the order of their
    /// places, and how many of its splits are followed by a split.
    pub(super) fn push<T: Real>(
        &mut self,
        places: &[Place],
        covers: &[f64],
        inner: usize,
        questions: &Questions<T>,
    ) {
        let (first_place, first_turn, first_parent) = (self.zero.len(), self.turns.len(), self.parents.len());
        let count = places.len() / 2;
        let splits = places.get(..count).unwrap_or_default();
        // Training weights, from the leaves up; then shares, from the root down.
        let mut cover = vec![0.0; count];
        cover.extend(covers);
        let at = |list: &[f64], place: u16| list.get(place as usize).copied().unwrap_or(f64::NAN);
        for (k, split) in splits.iter().enumerate().rev() {
            let sum = at(&cover, split.left) + at(&cover, split.right);
            if let Some(slot) = cover.get_mut(k) {
                *slot = sum;
            }
        }
        self.zero.resize(first_place + places.len(), 1.0);
        let zero = self.zero.get_mut(first_place..).unwrap_or_default();
        // By place: the split above it, and how many features its path has.
        let mut parents = vec![0u16; places.len()];
        let mut features = vec![0u8; places.len()];
        let mut most = 0;
        for (k, split) in splits.iter().enumerate() {
            let feature = questions.feature_of(split.test) as u16;
            let turns = self.turns.get(first_turn..).unwrap_or_default();
            let mut above = k as u16;
            while above != 0 {
                let parent = parents.get(above as usize).copied().unwrap_or(0);
                if turns.get(parent as usize).is_none_or(|turn| turn.feature == feature) {
                    break;
                }
                above = parent;
            }
            self.turns.push(Turn { feature, above });
            let so_far = features.get(k).copied().unwrap_or(0) + u8::from(above == 0);
            most = most.max(so_far);
            let before = zero.get(above as usize).copied().unwrap_or(1.0);
            for child in [split.left, split.right] {
                let share = at(&cover, child) / at(&cover, k as u16);
                if let (Some(zero), Some(parent), Some(features)) = (
                    zero.get_mut(child as usize),
                    parents.get_mut(child as usize),
                    features.get_mut(child as usize),
                ) {
                    (*zero, *parent, *features) = (before * share, k as u16, so_far);
                }
            }
        }
        // A tree with n splits, m of which end in two leaves, has n + 1 - 2 m other leaves.
        let single = count + 1 - 2 * (count - inner);
        self.parents.extend(parents.get(count..count + single).unwrap_or_default());
        let points = most.div_ceil(2).max(1);
        self.spans.push(PathSpan { first_parent: first_parent as u32, single: single as u16, points });
        self.most_places = self.most_places.max(places.len());
    }
}

impl<T: Real> Ensemble<T> {
    /// Adds each feature's SHAP value to `values`. A leaf that computes its value enters with the value
    /// that it has for this row.
    pub(super) fn contributions(&self, row: &[f64], values: &mut [f64]) {
        let answers = self.questions.answer(row);
        // The work is done for all points of a tree at once, so their number is known to the compiler.
        let Rules { one, two, three, four, eight, most } = &self.paths.rules;
        self.explain(0, one, row, &answers, values);
        self.explain(1, two, row, &answers, values);
        self.explain(2, three, row, &answers, values);
        self.explain(3, four, row, &answers, values);
        self.explain(4, eight, row, &answers, values);
        self.explain(8, most, row, &answers, values);
    }

    /// Does so for the trees that need more than `above` and up to K points.
    fn explain<const K: usize>(
        &self,
        above: u8,
        rule: &Rule<K>,
        row: &[f64],
        answers: &impl Answers,
        values: &mut [f64],
    ) {
        let mine = |points: u8| points > above && points as usize <= K;
        if !self.paths.spans.iter().any(|span| mine(span.points)) {
            return;
        }
        let mut places = vec![Known::<K>::ROOT; self.paths.most_places];
        let mut sums = vec![[0.0; K]; values.len()];
        if let Some(root) = places.first_mut() {
            root.product = rule.weights;
        }
        for (tree, span) in self.trees.iter().zip(&self.paths.spans) {
            if mine(span.points) && tree.splits > 0 {
                self.explain_tree(tree, span, row, answers, rule, &mut places, &mut sums);
            }
        }
        for (value, sum) in values.iter_mut().zip(sums) {
            let sum: f64 = sum.iter().sum();
            *value += self.divisor.map_or(sum, |divisor| sum / divisor.wide());
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn explain_tree<const K: usize>(
        &self,
        tree: &TreeSpan,
        span: &PathSpan,
        row: &[f64],
        answers: &impl Answers,
        rule: &Rule<K>,
        known: &mut [Known<K>],
        sums: &mut [[f64; K]],
    ) {
        let (count, inner) = (tree.splits as usize, tree.inner as usize);
        let first_turn = (tree.first_place - tree.first_leaf) as usize;
        let turns = self.paths.turns.get(first_turn..first_turn + count).unwrap_or_default();
        let splits = self.places_of(tree);
        let zero = self.paths.zero.get(tree.first_place as usize..).unwrap_or_default();
        let known = known.get_mut(..=2 * count).unwrap_or_default();
        // Down through the splits that a split follows. Leaves are treated like splits, which costs
        // less than to tell them apart.
        for (k, (split, turn)) in splits.iter().zip(turns).enumerate().take(inner) {
            let Some((others, above)) = arrive(known, zero, k, turn) else { return };
            if let Some(here) = known.get_mut(k) {
                here.others = others;
            }
            let left = above.one * answers.left(split.test);
            for (child, one) in [(split.left as usize, left), (split.right as usize, above.one - left)] {
                let (Some(zero), Some(child)) = (zero.get(child), known.get_mut(child)) else { return };
                child.one = one;
                for i in 0..K {
                    child.factor[i] = one * rule.points[i] + zero * rule.rest[i];
                    child.product[i] = others[i] * child.factor[i];
                }
            }
        }
        // The other splits, with both of their leaves at once: the leaves' terms in t and 1 - t.
        let single = span.single as usize;
        let pairs = zero.get(count + single..).unwrap_or_default().chunks_exact(2);
        for (j, ((split, turn), pair)) in
            splits.iter().zip(turns).take(count).skip(inner).zip(pairs).enumerate()
        {
            let k = inner + j;
            let Some((others, above)) = arrive(known, zero, k, turn) else { return };
            let left = above.one * answers.left(split.test);
            let [zero_left, zero_right] = pair else { return };
            let value_left = self.value(tree, single + 2 * j, row).wide();
            let value_right = self.value(tree, single + 2 * j + 1, row).wide();
            let taken = value_left * left + value_right * (above.one - left);
            let mean = value_left * zero_left + value_right * zero_right;
            let (Some(here), Some(feature)) = (known.get_mut(k), sums.get_mut(turn.feature as usize)) else {
                return;
            };
            let gained = taken - mean;
            for i in 0..K {
                let sum = others[i] * (taken * rule.points[i] + mean * rule.rest[i]);
                here.sum[i] = sum;
                here.gained[i] = sum * here.gain[i];
                feature[i] += others[i] * gained - sum * above.gain[i];
            }
        }
        // The leaves that stand alone.
        let first_parent = span.first_parent as usize;
        let parents = self.paths.parents.get(first_parent..first_parent + single).unwrap_or_default();
        for (leaf, (parent, zero)) in parents.iter().zip(zero.get(count..).unwrap_or_default()).enumerate() {
            let value = self.value(tree, leaf, row).wide();
            let Some(others) = known.get(*parent as usize).map(|parent| parent.others) else { return };
            let Some(here) = known.get_mut(count + leaf) else { return };
            let gained = value * (here.one - zero);
            for i in 0..K {
                here.sum[i] = value * here.product[i];
                here.gained[i] = gained * others[i];
            }
        }
        // Up again.
        for (k, (split, turn)) in splits.iter().zip(turns).enumerate().take(inner).rev() {
            let (Some(left), Some(right), Some(above), Some(feature)) = (
                known.get(split.left as usize),
                known.get(split.right as usize),
                known.get(turn.above as usize),
                sums.get_mut(turn.feature as usize),
            ) else {
                return;
            };
            let mut sum = [0.0; K];
            for i in 0..K {
                sum[i] = left.sum[i] + right.sum[i];
                feature[i] += left.gained[i] + right.gained[i] - sum[i] * above.gain[i];
            }
            let Some(here) = known.get_mut(k) else { return };
            for i in 0..K {
                here.gained[i] = sum[i] * here.gain[i];
            }
            here.sum = sum;
        }
    }
}

/// What a split needs of the last turn on its own feature.
struct Above<const K: usize> {
    one: f64,
    gain: [f64; K],
}

/// Completes what is known of a split's place. Gives the product there without the feature that the
/// split asks about, and what is known of that feature's last turn.
#[inline(always)]
fn arrive<const K: usize>(
    known: &mut [Known<K>],
    zero: &[f64],
    k: usize,
    turn: &Turn,
) -> Option<([f64; K], Above<K>)> {
    let here = known.get_mut(k)?;
    let missed = here.one - zero.get(k)?;
    for i in 0..K {
        here.inverse[i] = 1.0 / here.factor[i];
        here.gain[i] = missed * here.inverse[i];
    }
    let mut others = here.product;
    let above = known.get(turn.above as usize)?;
    for i in 0..K {
        others[i] *= above.inverse[i];
    }
    Some((others, Above { one: above.one, gain: above.gain }))
}

/// The rules for as many points as trees may need, made once.
#[derive(Debug, Clone)]
struct Rules {
    one: Rule<1>,
    two: Rule<2>,
    three: Rule<3>,
    four: Rule<4>,
    eight: Rule<8>,
    most: Rule<32>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            one: Rule::new(),
            two: Rule::new(),
            three: Rule::new(),
            four: Rule::new(),
            eight: Rule::new(),
            most: Rule::new(),
        }
    }
}

/// The Gauss-Legendre rule on (0, 1).
#[derive(Debug, Clone)]
struct Rule<const K: usize> {
    points: [f64; K],
    /// 1 - t.
    rest: [f64; K],
    weights: [f64; K],
}

impl<const K: usize> Rule<K> {
    /// By Newton's method on the Legendre polynomial (Press et al., Numerical Recipes, 4.6).
    fn new() -> Self {
        let mut rule = Rule { points: [0.0; K], rest: [0.0; K], weights: [0.0; K] };
        let n = K as f64;
        for i in 0..K {
            let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5));
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut previous, mut value) = (0.0, 1.0);
                for j in 0..K {
                    let j = j as f64;
                    let next = ((2.0 * j + 1.0) * x * value - j * previous) / (j + 1.0);
                    previous = value;
                    value = next;
                }
                slope = n * (x * value - previous) / (x * x - 1.0);
                let step = value / slope;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            rule.points[i] = (1.0 - x) / 2.0;
            rule.rest[i] = (1.0 + x) / 2.0;
            rule.weights[i] = 1.0 / ((1.0 - x * x) * slope * slope);
        }
        rule
    }
}
