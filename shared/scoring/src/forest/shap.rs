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

use super::real::Real;
use super::tests::{Answers, Questions};
use super::{Ensemble, Split, TreeSpan};

/// What explanations need to know about paths, for all trees one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    /// By place: `zero` of the feature that the turn into this place is about, over the whole path.
    zero: Vec<f64>,
    turns: Vec<Turn>,
    /// By tree: how many points integrate its polynomials.
    points: Vec<u8>,
    most_places: usize,
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
struct Place<const K: usize> {
    /// The product of the factors of all features so far, times the weight of the point.
    product: [f64; K],
    /// The factor of the last turn's feature, and its inverse.
    factor: [f64; K],
    inverse: [f64; K],
    /// (one - zero) / factor of the last turn's feature.
    gain: [f64; K],
    /// The sum of value x product over the leaves below, and that times `gain`.
    sum: [f64; K],
    gained: [f64; K],
    one: f64,
}

impl<const K: usize> Place<K> {
    const ROOT: Self = Place {
        product: [0.0; K],
        factor: [1.0; K],
        inverse: [1.0; K],
        gain: [0.0; K],
        sum: [0.0; K],
        gained: [0.0; K],
        one: 1.0,
    };
}

impl Paths {
    pub(super) fn with_capacity(nodes: usize) -> Self {
        Paths {
            zero: Vec::with_capacity(nodes),
            turns: Vec::with_capacity(nodes / 2),
            points: Vec::new(),
            most_places: 0,
        }
    }

    /// Takes in the next tree.
    pub(super) fn push<T: Real>(&mut self, splits: &[Split], covers: &[f64], questions: &Questions<T>) {
        let (first_place, first_turn) = (self.zero.len(), self.turns.len());
        let places = 2 * splits.len() + 1;
        // Training weights, from the leaves up; then shares, from the root down.
        let mut cover = vec![0.0; splits.len()];
        cover.extend(covers);
        let at = |list: &[f64], place: u16| list.get(place as usize).copied().unwrap_or(f64::NAN);
        for (k, split) in splits.iter().enumerate().rev() {
            let sum = at(&cover, split.left) + at(&cover, split.right);
            if let Some(slot) = cover.get_mut(k) {
                *slot = sum;
            }
        }
        self.zero.resize(first_place + places, 1.0);
        let zero = self.zero.get_mut(first_place..).unwrap_or_default();
        // By place: the split above it, and how many features its path has.
        let mut parents = vec![0u16; places];
        let mut features = vec![0u8; places];
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
        self.points.push(most.div_ceil(2).max(1));
        self.most_places = self.most_places.max(places);
    }
}

impl<T: Real> Ensemble<T> {
    /// Adds each feature's SHAP value to `values`. A leaf that computes its value enters with the value
    /// that it has for this row.
    pub(super) fn contributions(&self, row: &[f64], values: &mut [f64]) {
        let answers = self.questions.answer(row);
        // The work is done for all points of a tree at once, so their number is known to the compiler.
        self.explain::<1>(0, row, &answers, values);
        self.explain::<2>(1, row, &answers, values);
        self.explain::<3>(2, row, &answers, values);
        self.explain::<4>(3, row, &answers, values);
        self.explain::<8>(4, row, &answers, values);
        self.explain::<32>(8, row, &answers, values);
        // A random forest's margin is the mean of its trees.
        if let Some(divisor) = self.divisor {
            values.iter_mut().for_each(|value| *value /= divisor.wide());
        }
    }

    /// Does so for the trees that need more than `above` and up to K points.
    fn explain<const K: usize>(&self, above: u8, row: &[f64], answers: &impl Answers, values: &mut [f64]) {
        let mine = |points: u8| points > above && points as usize <= K;
        if !self.paths.points.iter().any(|points| mine(*points)) {
            return;
        }
        let rule = Rule::<K>::new();
        let mut places = vec![Place::<K>::ROOT; self.paths.most_places];
        let mut sums = vec![[0.0; K]; values.len()];
        if let Some(root) = places.first_mut() {
            root.product = rule.weights;
        }
        for (tree, points) in self.trees.iter().zip(&self.paths.points) {
            if mine(*points) && tree.splits > 0 {
                self.explain_tree(tree, row, answers, &rule, &mut places, &mut sums);
            }
        }
        for (value, sum) in values.iter_mut().zip(sums) {
            *value += sum.iter().sum::<f64>();
        }
    }

    fn explain_tree<const K: usize>(
        &self,
        tree: &TreeSpan,
        row: &[f64],
        answers: &impl Answers,
        rule: &Rule<K>,
        places: &mut [Place<K>],
        sums: &mut [[f64; K]],
    ) {
        let splits = self.splits_of(tree);
        let first = tree.first_split as usize;
        let turns = self.paths.turns.get(first..first + splits.len()).unwrap_or_default();
        let zero = self.paths.zero.get(first + tree.first_leaf as usize..).unwrap_or_default();
        let places = places.get_mut(..=2 * splits.len()).unwrap_or_default();
        for (k, (split, turn)) in splits.iter().zip(turns).enumerate() {
            let (Some(here), Some(own)) = (places.get(k).copied(), zero.get(k)) else { return };
            let mut here = here;
            for i in 0..K {
                here.inverse[i] = 1.0 / here.factor[i];
                here.gain[i] = (here.one - own) * here.inverse[i];
            }
            if let Some(place) = places.get_mut(k) {
                (place.inverse, place.gain) = (here.inverse, here.gain);
            }
            let Some(above) = places.get(turn.above as usize) else { return };
            let (before, one) = (above.inverse, above.one);
            let mut others = [0.0; K];
            for i in 0..K {
                others[i] = here.product[i] * before[i];
            }
            let left = if answers.goes_left(split.test) { one } else { 0.0 };
            for (child, one) in [(split.left as usize, left), (split.right as usize, one - left)] {
                let (Some(zero), Some(place)) = (zero.get(child), places.get_mut(child)) else { return };
                let mut factor = [0.0; K];
                for i in 0..K {
                    factor[i] = one * rule.points[i] + zero * rule.rest[i];
                }
                if child < splits.len() {
                    (place.factor, place.one) = (factor, one);
                    for i in 0..K {
                        place.product[i] = others[i] * factor[i];
                    }
                } else {
                    let value = self.value(tree, child - splits.len(), row).wide();
                    let gained = value * (one - zero);
                    for i in 0..K {
                        place.sum[i] = value * (others[i] * factor[i]);
                        place.gained[i] = gained * others[i];
                    }
                }
            }
        }
        for (k, (split, turn)) in splits.iter().zip(turns).enumerate().rev() {
            let (Some(left), Some(right), Some(above), Some(feature)) = (
                places.get(split.left as usize),
                places.get(split.right as usize),
                places.get(turn.above as usize),
                sums.get_mut(turn.feature as usize),
            ) else {
                return;
            };
            let mut sum = [0.0; K];
            for i in 0..K {
                sum[i] = left.sum[i] + right.sum[i];
                feature[i] += left.gained[i] + right.gained[i] - sum[i] * above.gain[i];
            }
            let Some(place) = places.get_mut(k) else { return };
            for i in 0..K {
                place.gained[i] = sum[i] * place.gain[i];
            }
            place.sum = sum;
        }
    }
}

/// The Gauss-Legendre rule on (0, 1).
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
