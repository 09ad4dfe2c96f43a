//! Tree ensembles, compiled: evaluation and exact SHAP values.

use crate::bundle::{Node, Tree, TreeArithmetic};

/// Marks a leaf in [`FlatNode::feature`], and a comparison in [`FlatNode::set`].
const NONE: u32 = u32::MAX;

/// A node of any tree of the ensemble; children are indices into the same array.
#[derive(Debug, Clone)]
struct FlatNode {
    /// Index of the feature, or [`NONE`] in a leaf.
    feature: u32,
    /// Index of the set of codes that go right, or [`NONE`] in a comparison.
    set: u32,
    left: u32,
    right: u32,
    /// A leaf's value; in a comparison, `x < threshold` goes left.
    threshold: f64,
    /// Share of the training weight that went left; the rest went right.
    left_share: f64,
    right_share: f64,
    default_left: bool,
}

/// An ensemble, ready to evaluate. Built only from a checked estimator, so every index is in range
/// and every child stands after its parent.
#[derive(Debug, Clone)]
pub(crate) struct Forest {
    nodes: Vec<FlatNode>,
    roots: Vec<u32>,
    /// Bit sets over category codes.
    sets: Vec<Vec<u64>>,
    /// Whether margins are summed, and inputs compared, in f32.
    single: bool,
    base: f64,
    /// Gauss-Legendre nodes and weights on (0, 1), by the number of points less one.
    quadrature: Vec<Vec<(f64, f64)>>,
}

/// One feature of a path in the computation of SHAP values.
#[derive(Debug, Clone, Copy)]
struct Step {
    feature: u32,
    /// Share of the training weight that takes the path's turns on this feature.
    zero: f64,
    /// 1 if the row takes all of them, 0 otherwise.
    one: f64,
}

impl Forest {
    /// Compiles checked trees.
    pub(crate) fn compile(arithmetic: TreeArithmetic, base: f64, trees: &[Tree]) -> Self {
        let single = arithmetic == TreeArithmetic::Xgboost;
        let mut forest = Forest {
            nodes: Vec::with_capacity(trees.iter().map(|tree| tree.nodes.len()).sum()),
            roots: Vec::with_capacity(trees.len()),
            sets: Vec::new(),
            single,
            base,
            quadrature: Vec::new(),
        };
        for tree in trees {
            let offset = forest.nodes.len() as u32;
            forest.roots.push(offset);
            for node in &tree.nodes {
                let flat = forest.flatten(tree, node, offset);
                forest.nodes.push(flat);
            }
        }
        let deepest = forest.roots.iter().map(|&root| forest.depth(root)).max().unwrap_or(0);
        // A path with d features needs a polynomial of degree d - 1, which (d + 1) / 2 points
        // integrate exactly.
        forest.quadrature = (1..=deepest.div_ceil(2).max(1)).map(gauss_legendre).collect();
        forest
    }

    fn flatten(&mut self, tree: &Tree, node: &Node, offset: u32) -> FlatNode {
        let cover = |index: u32| tree.nodes.get(index as usize).map_or(f64::NAN, Node::cover);
        match node {
            Node::Leaf { value, .. } => FlatNode {
                feature: NONE,
                set: NONE,
                left: 0,
                right: 0,
                threshold: if self.single {
                    f64::from(*value as f32 * tree.weight as f32)
                } else {
                    value * tree.weight
                },
                left_share: 0.0,
                right_share: 0.0,
                default_left: false,
            },
            Node::Split { feature, threshold, default_left, left, right, cover: own } => FlatNode {
                feature: *feature,
                set: NONE,
                left: left + offset,
                right: right + offset,
                // One comparison for both libraries: x <= t is x < the number after t.
                threshold: if self.single { *threshold } else { threshold.next_up() },
                left_share: cover(*left) / own,
                right_share: cover(*right) / own,
                default_left: *default_left,
            },
            Node::Categories { feature, right_codes, default_left, left, right, cover: own } => {
                let words = right_codes.last().map_or(0, |last| *last as usize / 64 + 1);
                let mut set = vec![0u64; words];
                for &code in right_codes {
                    if let Some(word) = set.get_mut(code as usize / 64) {
                        *word |= 1 << (code % 64);
                    }
                }
                self.sets.push(set);
                FlatNode {
                    feature: *feature,
                    set: self.sets.len() as u32 - 1,
                    left: left + offset,
                    right: right + offset,
                    threshold: 0.0,
                    left_share: cover(*left) / own,
                    right_share: cover(*right) / own,
                    default_left: *default_left,
                }
            }
        }
    }

    /// Splits on the longest path below.
    fn depth(&self, index: u32) -> usize {
        match self.nodes.get(index as usize) {
            Some(node) if node.feature != NONE => 1 + self.depth(node.left).max(self.depth(node.right)),
            _ => 0,
        }
    }

    /// Rounds a row to what the training library saw. Missing is NaN.
    pub(crate) fn prepare(&self, row: &mut [f64]) {
        if self.single {
            for x in row {
                *x = f64::from(*x as f32);
            }
        }
    }

    fn goes_left(&self, node: &FlatNode, row: &[f64]) -> bool {
        let x = row.get(node.feature as usize).copied().unwrap_or(f64::NAN);
        if x.is_nan() {
            node.default_left
        } else if node.set == NONE {
            x < node.threshold
        } else {
            let code = x as usize;
            let word = self.sets.get(node.set as usize).and_then(|set| set.get(code / 64));
            word.is_none_or(|word| word >> (code % 64) & 1 == 0)
        }
    }

    /// The leaf that a prepared row reaches. Terminates because children stand after parents.
    fn leaf(&self, root: u32, row: &[f64]) -> f64 {
        let mut index = root;
        while let Some(node) = self.nodes.get(index as usize) {
            if node.feature == NONE {
                return node.threshold;
            }
            index = if self.goes_left(node, row) { node.left } else { node.right };
        }
        // Not reachable in a checked ensemble; NaN would fail the golden vectors.
        f64::NAN
    }

    /// The margin of a prepared row, with the additions in tree order and in the trained precision.
    pub(crate) fn margin(&self, row: &[f64]) -> f64 {
        if self.single {
            let mut sum = self.base as f32;
            for &root in &self.roots {
                sum += self.leaf(root, row) as f32;
            }
            f64::from(sum)
        } else {
            let mut sum = self.base;
            for &root in &self.roots {
                sum += self.leaf(root, row);
            }
            sum
        }
    }

    /// Adds each feature's SHAP value (log-odds) to `values`.
    ///
    /// These are the path-dependent values of Lundberg et al., "Consistent individualized feature
    /// attribution for tree ensembles" (2018). A leaf is a product game: v(S) = value x the product
    /// of `one` over S and of `zero` over the rest. Its Shapley value for feature i is
    /// value x (one_i - zero_i) x integral over t in (0, 1) of the product over j != i of
    /// (zero_j (1 - t) + one_j t), because k! (d - 1 - k)! / d! = integral of t^k (1 - t)^(d-1-k).
    /// The integrand is a polynomial, so a few Gauss-Legendre points give it exactly; all terms are
    /// positive, so nothing cancels.
    pub(crate) fn contributions(&self, row: &[f64], values: &mut [f64]) {
        let mut path = Vec::with_capacity(16);
        for &root in &self.roots {
            self.explain(root, row, &mut path, values);
        }
    }

    fn explain(&self, index: u32, row: &[f64], path: &mut Vec<Step>, values: &mut [f64]) {
        let Some(node) = self.nodes.get(index as usize) else { return };
        if node.feature == NONE {
            self.explain_leaf(node.threshold, path, values);
            return;
        }
        let left = self.goes_left(node, row);
        for (child, share, taken) in
            [(node.left, node.left_share, left), (node.right, node.right_share, !left)]
        {
            let one = if taken { 1.0 } else { 0.0 };
            // A feature met again on the path stays one player of the game.
            let known = path.iter_mut().enumerate().find(|(_, step)| step.feature == node.feature);
            if let Some((at, step)) = known {
                let before = *step;
                step.zero *= share;
                step.one *= one;
                self.explain(child, row, path, values);
                if let Some(step) = path.get_mut(at) {
                    *step = before;
                }
            } else {
                path.push(Step { feature: node.feature, zero: share, one });
                self.explain(child, row, path, values);
                path.pop();
            }
        }
    }

    fn explain_leaf(&self, value: f64, path: &[Step], values: &mut [f64]) {
        if path.is_empty() {
            return;
        }
        let Some(points) = self.quadrature.get((path.len() - 1) / 2) else { return };
        for &(t, weight) in points {
            let factor = |step: &Step| step.zero * (1.0 - t) + step.one * t;
            let product: f64 = path.iter().map(factor).product();
            for step in path {
                if let Some(sum) = values.get_mut(step.feature as usize) {
                    *sum += weight * value * (step.one - step.zero) * (product / factor(step));
                }
            }
        }
    }
}

/// Points and weights of the Gauss-Legendre rule on (0, 1), by Newton's method on the Legendre
/// polynomial (Press et al., Numerical Recipes, 4.6).
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let n = points as f64;
    let mut rule = Vec::with_capacity(points);
    for i in 0..points {
        let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5));
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut previous, mut value) = (0.0, 1.0);
            for j in 0..points {
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
        rule.push(((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope)));
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauss_legendre_integrates_powers_exactly() {
        for points in 1..=32 {
            let rule = gauss_legendre(points);
            for power in 0..2 * points {
                let integral: f64 = rule.iter().map(|(t, w)| w * t.powi(power as i32)).sum();
                let exact = 1.0 / (power as f64 + 1.0);
                assert!((integral - exact).abs() < 1e-13, "{points} points, power {power}: {integral}");
            }
        }
    }

    /// Shapley values from the definition, over all subsets: what the quadrature must equal.
    #[test]
    fn shap_equals_the_definition() {
        let nodes = vec![
            Node::Split { feature: 0, threshold: 1.0, default_left: true, left: 1, right: 2, cover: 10.0 },
            Node::Split { feature: 1, threshold: 2.0, default_left: true, left: 3, right: 4, cover: 6.0 },
            Node::Split { feature: 2, threshold: 0.5, default_left: false, left: 5, right: 6, cover: 4.0 },
            Node::Split { feature: 0, threshold: -1.0, default_left: true, left: 7, right: 8, cover: 4.0 },
            Node::Leaf { value: 0.75, cover: 2.0 },
            Node::Leaf { value: -2.0, cover: 1.0 },
            Node::Categories {
                feature: 3,
                right_codes: vec![1, 70],
                default_left: true,
                left: 9,
                right: 10,
                cover: 3.0,
            },
            Node::Leaf { value: 1.5, cover: 1.0 },
            Node::Leaf { value: -0.5, cover: 3.0 },
            Node::Leaf { value: 3.0, cover: 1.0 },
            Node::Leaf { value: -1.0, cover: 2.0 },
        ];
        let trees = vec![Tree { weight: 1.0, nodes }];
        let forest = Forest::compile(TreeArithmetic::Lightgbm, 0.25, &trees);
        // v(S): average over both children, by cover, wherever the feature is not in S.
        fn game(nodes: &[Node], at: usize, row: &[f64], set: u32) -> f64 {
            let (feature, left_taken, left, right) = match &nodes[at] {
                Node::Leaf { value, .. } => return *value,
                Node::Split { feature, threshold, default_left, left, right, .. } => {
                    let x = row[*feature as usize];
                    (*feature, if x.is_nan() { *default_left } else { x <= *threshold }, *left, *right)
                }
                Node::Categories { feature, right_codes, default_left, left, right, .. } => {
                    let x = row[*feature as usize];
                    let in_set = right_codes.contains(&(x as u32));
                    (*feature, if x.is_nan() { *default_left } else { !in_set }, *left, *right)
                }
            };
            let (left, right) = (left as usize, right as usize);
            if set >> feature & 1 == 1 {
                return game(nodes, if left_taken { left } else { right }, row, set);
            }
            (game(nodes, left, row, set) * nodes[left].cover()
                + game(nodes, right, row, set) * nodes[right].cover())
                / nodes[at].cover()
        }
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        for row in [
            [0.0, 1.0, 0.0, 1.0],
            [2.0, 3.0, 0.5, 70.0],
            [-3.0, f64::NAN, 1.0, 0.0],
            [f64::NAN, 2.0, f64::NAN, f64::NAN],
            [1.0, 2.0, 0.75, 69.0],
        ] {
            let mut found = [0.0; 4];
            forest.contributions(&row, &mut found);
            let nodes = &trees[0].nodes;
            for player in 0..4u32 {
                let mut expected = 0.0;
                for set in (0..16u32).filter(|set| set >> player & 1 == 0) {
                    let size = set.count_ones();
                    let weight = factorial(size) * factorial(3 - size) / factorial(4);
                    expected +=
                        weight * (game(nodes, 0, &row, set | 1 << player) - game(nodes, 0, &row, set));
                }
                assert!((found[player as usize] - expected).abs() < 1e-12, "{row:?} {player}");
            }
            let bias = 0.25 + game(nodes, 0, &row, 0);
            let sum = bias + found.iter().sum::<f64>();
            assert!((sum - forest.margin(&row)).abs() < 1e-12, "{row:?}");
        }
    }
}
