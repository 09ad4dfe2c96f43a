//! Tree ensembles, in the two forms that they have.
//!
//! [`Tree`] is how importers build a tree: nodes that name their children. [`TreeEnsemble`] is how a
//! document has it: the questions that its trees ask stand once, sorted, and a tree is the list of
//! its nodes level by level, with the number of a question for a split and 0 for a leaf. The shape of
//! a tree follows from that list alone, so cycles, orphans and children out of range cannot be
//! written down, and a thousand trees are a few megabytes that load in milliseconds.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Gradient-boosted trees or a random forest, evaluated as the library that trained it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TreeEnsemble {
    /// Which library's arithmetic and comparison rules hold.
    pub arithmetic: TreeArithmetic,
    /// The margin before any tree.
    pub base_margin: f64,
    /// Whether the sum of the trees is divided by their number (random forests).
    pub average: bool,
    /// The questions that nodes ask, numbered from 1 through all of the list.
    pub tests: Vec<Tests>,
    /// The trees, in the order in which leaves are added.
    pub trees: Vec<PackedTree>,
    /// Features whose effect on the PD is claimed to be monotone.
    pub monotone: BTreeMap<String, Direction>,
}

/// Questions about one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tests {
    /// Whether a number is below one of these (or at most it: see [`TreeArithmetic`]); then left.
    Thresholds {
        /// Index into [`super::Schema::features`].
        feature: u32,
        /// Whether |x| <= 1e-35 (as an f32) counts as missing: LightGBM's missing type zero.
        zero_missing: bool,
        /// Strictly ascending.
        thresholds: Vec<f64>,
    },
    /// Whether a category's index is in one of these sets; then right.
    Categories {
        /// Index into [`super::Schema::features`].
        feature: u32,
        /// Option indices, ascending; the sets strictly ascending as lists.
        right_codes: Vec<Vec<u32>>,
    },
}

impl Tests {
    /// How many questions these are.
    pub fn len(&self) -> usize {
        match self {
            Tests::Thresholds { thresholds, .. } => thresholds.len(),
            Tests::Categories { right_codes, .. } => right_codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The feature that they are about, by index.
    pub fn feature(&self) -> u32 {
        match self {
            Tests::Thresholds { feature, .. } | Tests::Categories { feature, .. } => *feature,
        }
    }
}

/// One tree, its nodes from the root down, level by level and from left to right.
///
/// The children of the first split are the next two nodes, those of the second split the two after
/// them, and so on: with k splits before it in the list, a split has its children at 2k + 1 and
/// 2k + 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedTree {
    /// What its leaves are multiplied by (DART); 1 otherwise.
    pub weight: f64,
    /// 0 for a leaf. For a split the number of its test, negative if a missing value goes right.
    pub nodes: Vec<i32>,
    /// What each leaf adds to the margin, in the order of the leaves among the nodes.
    pub values: Vec<f64>,
    /// Training weight that reached each leaf (for TreeSHAP); a split's is the sum below it.
    pub covers: Vec<f64>,
    /// The leaves that compute their value, ascending; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linear: Vec<PackedLinear>,
}

/// A leaf that computes its value (LightGBM's linear trees).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedLinear {
    /// Which of the tree's leaves.
    pub leaf: u32,
    /// See [`LinearLeaf::constant`].
    pub constant: f64,
    /// See [`LinearLeaf::terms`].
    pub terms: Vec<(u32, f64)>,
}

/// Whose arithmetic a tree ensemble follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeArithmetic {
    /// f32 throughout, `x < threshold` goes left, leaves added in f32 in tree order. Thresholds and
    /// leaf values are the f32 nearest to what is written.
    Xgboost,
    /// f64 throughout, `x <= threshold` goes left.
    Lightgbm,
}

/// Which way the PD moves as a feature grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More of it, more risk.
    Rises,
    /// More of it, less risk.
    Falls,
}

/// One tree as importers build it; node 0 is the root, children come after their parents.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// What its leaves are multiplied by (DART); 1 otherwise.
    pub weight: f64,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// One node of a [`Tree`].
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// The end of a path.
    Leaf {
        /// Added to the margin.
        value: f64,
        /// Training weight that reached it (for TreeSHAP).
        cover: f64,
        /// What takes the value's place when every feature of it is known.
        linear: Option<LinearLeaf>,
    },
    /// A comparison with a number.
    Split {
        /// Index into [`super::Schema::features`].
        feature: u32,
        /// Compared with by the rule of [`TreeArithmetic`].
        threshold: f64,
        /// Whether |x| <= 1e-35 (as an f32) counts as missing.
        zero_missing: bool,
        /// Where a missing value goes.
        default_left: bool,
        /// Index of the left child.
        left: u32,
        /// Index of the right child.
        right: u32,
        /// Training weight that reached it (for TreeSHAP).
        cover: f64,
    },
    /// A look-up among category codes.
    Categories {
        /// Index into [`super::Schema::features`].
        feature: u32,
        /// Option indices that go right, ascending.
        right_codes: Vec<u32>,
        /// Where a missing value goes.
        default_left: bool,
        /// Index of the left child.
        left: u32,
        /// Index of the right child.
        right: u32,
        /// Training weight that reached it (for TreeSHAP).
        cover: f64,
    },
}

/// A leaf that computes its value: constant + the sum of coefficient x feature in the order of the
/// terms, unless one of the features is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLeaf {
    /// Added first.
    pub constant: f64,
    /// Feature index and coefficient.
    pub terms: Vec<(u32, f64)>,
}

impl Node {
    /// Training weight that reached it.
    pub fn cover(&self) -> f64 {
        match self {
            Node::Leaf { cover, .. } | Node::Split { cover, .. } | Node::Categories { cover, .. } => *cover,
        }
    }

    /// The children of a split, left first.
    pub fn children(&self) -> Option<(u32, u32)> {
        match self {
            Node::Leaf { .. } => None,
            Node::Split { left, right, .. } | Node::Categories { left, right, .. } => Some((*left, *right)),
        }
    }
}

/// A question, as it is sorted: by feature, numbers before categories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Feature, zero counts as missing, and the threshold in an order of integers.
    Threshold(u32, bool, i64),
    /// Feature and the codes that go right.
    Categories(u32, Vec<u32>),
}

impl Key {
    fn of(node: &Node) -> Option<Key> {
        match node {
            Node::Leaf { .. } => None,
            Node::Split { feature, threshold, zero_missing, .. } => {
                Some(Key::Threshold(*feature, *zero_missing, ordered(*threshold)))
            }
            Node::Categories { feature, right_codes, .. } => {
                Some(Key::Categories(*feature, right_codes.clone()))
            }
        }
    }
}

/// An integer that is ordered as the double is ([`f64::total_cmp`]); its own inverse.
fn ordered(x: f64) -> i64 {
    // -0 and 0 are the same threshold.
    flip((x + 0.0).to_bits() as i64)
}

fn flip(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl TreeEnsemble {
    /// Packs trees. With [`TreeArithmetic::Xgboost`], thresholds and leaf values become the shortest
    /// decimals that give the same f32.
    ///
    /// Nodes that the root does not lead to are left out, and a tree whose nodes do not form one (a
    /// child before its parent, out of range or shared) becomes one that loading refuses.
    pub fn new(arithmetic: TreeArithmetic, base_margin: f64, trees: &[Tree]) -> TreeEnsemble {
        let shortest = |x: f64| match arithmetic {
            // Reading back what was just written cannot fail; the number itself stands in.
            TreeArithmetic::Xgboost => format!("{}", x as f32).parse().unwrap_or(x),
            TreeArithmetic::Lightgbm => x,
        };
        let short_threshold = |node: &Node| match node {
            Node::Split { feature, threshold, zero_missing, .. } => {
                Some(Key::Threshold(*feature, *zero_missing, ordered(shortest(*threshold))))
            }
            other => Key::of(other),
        };
        let orders: Vec<Vec<&Node>> = trees.iter().map(level_order).collect();
        let mut numbers: BTreeMap<Key, i32> =
            orders.iter().flatten().filter_map(|node| Some((short_threshold(node)?, 0))).collect();
        for (number, slot) in (1..).zip(numbers.values_mut()) {
            *slot = number;
        }
        let pack = |(tree, order): (&Tree, &Vec<&Node>)| {
            let mut packed = PackedTree {
                weight: tree.weight,
                nodes: Vec::with_capacity(order.len()),
                values: Vec::with_capacity(order.len() / 2 + 1),
                covers: Vec::with_capacity(order.len() / 2 + 1),
                linear: Vec::new(),
            };
            for &node in order {
                match node {
                    Node::Leaf { value, cover, linear } => {
                        if let Some(LinearLeaf { constant, terms }) = linear {
                            let leaf = packed.values.len() as u32;
                            packed.linear.push(PackedLinear {
                                leaf,
                                constant: *constant,
                                terms: terms.clone(),
                            });
                        }
                        packed.nodes.push(0);
                        packed.values.push(shortest(*value));
                        packed.covers.push(*cover);
                    }
                    Node::Split { default_left, .. } | Node::Categories { default_left, .. } => {
                        let number = short_threshold(node).and_then(|key| numbers.get(&key)).copied();
                        let number = number.unwrap_or(0);
                        packed.nodes.push(if *default_left { number } else { -number });
                    }
                }
            }
            packed
        };
        let packed = trees.iter().zip(&orders).map(pack).collect();
        TreeEnsemble {
            arithmetic,
            base_margin,
            average: false,
            tests: tests(numbers.into_keys()),
            trees: packed,
            monotone: BTreeMap::new(),
        }
    }

    /// The trees, unpacked, with their nodes level by level. The cover of a split is the sum of its
    /// children's. A tree that loading would refuse may come out cut short.
    pub fn trees(&self) -> impl Iterator<Item = Tree> + '_ {
        let questions = self.questions();
        self.trees.iter().map(move |packed| self.unpack(packed, &questions))
    }

    /// Every feature that a test or a leaf uses, by index.
    pub fn features(&self) -> BTreeSet<u32> {
        let tested = self.tests.iter().map(Tests::feature);
        let linear = self.trees.iter().flat_map(|tree| &tree.linear).flat_map(|leaf| &leaf.terms);
        tested.chain(linear.map(|(feature, _)| *feature)).collect()
    }

    /// How many nodes all trees have.
    pub fn node_count(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len()).sum()
    }

    /// The same ensemble with other feature indices, for a schema in another order.
    pub fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        let mut trees: Vec<Tree> = self.trees().collect();
        for node in trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
            match node {
                Node::Split { feature, .. } | Node::Categories { feature, .. } => *feature = number(*feature),
                Node::Leaf { linear, .. } => {
                    for (feature, _) in linear.iter_mut().flat_map(|leaf| &mut leaf.terms) {
                        *feature = number(*feature);
                    }
                }
            }
        }
        let packed = TreeEnsemble::new(self.arithmetic, self.base_margin, &trees);
        (self.tests, self.trees) = (packed.tests, packed.trees);
    }

    /// A split for each test, in the order of their numbers; children and covers are blank.
    fn questions(&self) -> Vec<Node> {
        let mut questions = Vec::new();
        let (default_left, left, right, cover) = (true, 0, 0, 0.0);
        for tests in &self.tests {
            match tests {
                Tests::Thresholds { feature, zero_missing, thresholds } => {
                    questions.extend(thresholds.iter().map(|&threshold| Node::Split {
                        feature: *feature,
                        threshold: self.exact(threshold),
                        zero_missing: *zero_missing,
                        default_left,
                        left,
                        right,
                        cover,
                    }));
                }
                Tests::Categories { feature, right_codes } => {
                    questions.extend(right_codes.iter().map(|codes| Node::Categories {
                        feature: *feature,
                        right_codes: codes.clone(),
                        default_left,
                        left,
                        right,
                        cover,
                    }));
                }
            }
        }
        questions
    }

    /// The number that the library had, from what is written.
    pub(crate) fn exact(&self, written: f64) -> f64 {
        match self.arithmetic {
            TreeArithmetic::Xgboost => f64::from(written as f32),
            TreeArithmetic::Lightgbm => written,
        }
    }

    fn unpack(&self, packed: &PackedTree, questions: &[Node]) -> Tree {
        let mut nodes: Vec<Node> = Vec::with_capacity(packed.nodes.len());
        let mut leaves = packed.values.iter().zip(&packed.covers);
        let mut linear = packed.linear.iter().peekable();
        let mut leaf = 0;
        let mut child = 1;
        for &number in &packed.nodes {
            let question = (number.unsigned_abs() as usize).checked_sub(1).map(|i| questions.get(i));
            match question {
                None => {
                    let Some((&value, &cover)) = leaves.next() else { break };
                    let linear = linear
                        .next_if(|linear| linear.leaf == leaf)
                        .map(|linear| LinearLeaf { constant: linear.constant, terms: linear.terms.clone() });
                    nodes.push(Node::Leaf { value: self.exact(value), cover, linear });
                    leaf += 1;
                }
                Some(None) => break,
                Some(Some(question)) => {
                    let mut node = question.clone();
                    if let Node::Split { default_left, left, right, .. }
                    | Node::Categories { default_left, left, right, .. } = &mut node
                    {
                        (*default_left, *left, *right) = (number > 0, child, child + 1);
                    }
                    child += 2;
                    nodes.push(node);
                }
            }
        }
        for n in (0..nodes.len()).rev() {
            let below = |child: u32| nodes.get(child as usize).map_or(0.0, Node::cover);
            let sum = nodes.get(n).and_then(Node::children).map(|(left, right)| below(left) + below(right));
            if let (Some(sum), Some(Node::Split { cover, .. } | Node::Categories { cover, .. })) =
                (sum, nodes.get_mut(n))
            {
                *cover = sum;
            }
        }
        Tree { weight: packed.weight, nodes }
    }
}

/// The nodes from the root down. Ends for any input: a node has at most two children, each after it.
fn level_order(tree: &Tree) -> Vec<&Node> {
    let mut order: Vec<(usize, &Node)> = tree.nodes.first().map(|root| (0, root)).into_iter().collect();
    let mut next = 0;
    while let Some(&(at, node)) = order.get(next) {
        next += 1;
        if let Some((left, right)) = node.children() {
            for child in [left as usize, right as usize] {
                // More nodes than there are: some are shared, and the tree is not one.
                if child > at
                    && order.len() <= tree.nodes.len()
                    && let Some(node) = tree.nodes.get(child)
                {
                    order.push((child, node));
                }
            }
        }
    }
    order.into_iter().map(|(_, node)| node).collect()
}

/// Sorted questions, grouped by feature.
fn tests(keys: impl Iterator<Item = Key>) -> Vec<Tests> {
    let mut groups: Vec<Tests> = Vec::new();
    for key in keys {
        match (key, groups.last_mut()) {
            (
                Key::Threshold(feature, zero, at),
                Some(Tests::Thresholds { feature: f, zero_missing, thresholds }),
            ) if (*f, *zero_missing) == (feature, zero) => thresholds.push(f64::from_bits(flip(at) as u64)),
            (Key::Threshold(feature, zero_missing, at), _) => {
                let thresholds = vec![f64::from_bits(flip(at) as u64)];
                groups.push(Tests::Thresholds { feature, zero_missing, thresholds });
            }
            (Key::Categories(feature, codes), Some(Tests::Categories { feature: f, right_codes }))
                if *f == feature =>
            {
                right_codes.push(codes);
            }
            (Key::Categories(feature, codes), _) => {
                groups.push(Tests::Categories { feature, right_codes: vec![codes] });
            }
        }
    }
    groups
}
