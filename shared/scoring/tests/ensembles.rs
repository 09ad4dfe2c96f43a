//! Made-up ensembles of every kind against an evaluation written from the rules alone: margins to the
//! bit, one by one and in blocks, and contributions against the definition of Shapley values.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use vereda_scoring::Model;
use vereda_scoring::bundle::{
    Calibration, Direction, Estimator, LinearLeaf, Node, Tree, TreeArithmetic, TreeEnsemble,
};
use vereda_scoring::import::{Agreement, Column, ColumnKind, Imported};

const NUMBERS: u32 = 4;
const FEATURES: u32 = 6;
const OPTIONS: [u64; 2] = [3, 130];

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// A few values, so that rows meet thresholds exactly; some of them awkward.
    fn number(&mut self) -> f64 {
        match self.below(10) {
            0 => 0.0,
            1 => 1e-36,
            2 => -1e-35,
            3 => f64::from(f32::MIN_POSITIVE) / 8.0,
            _ => f64::from((self.share() * 8.0 - 4.0) as f32 * 0.25).round() / 4.0 + 0.1,
        }
    }
}

struct Shape {
    arithmetic: TreeArithmetic,
    zero_missing: bool,
    linear: bool,
    leaves: usize,
    skewed: bool,
}

fn tree(random: &mut Random, shape: &Shape) -> Tree {
    let exact = |x: f64| if shape.arithmetic == TreeArithmetic::Xgboost { f64::from(x as f32) } else { x };
    let leaf = |random: &mut Random| {
        let terms = (0..random.below(3)).map(|i| (i as u32, random.share() - 0.5)).collect();
        let linear =
            (shape.linear && random.below(2) == 0).then(|| LinearLeaf { constant: random.share(), terms });
        Node::Leaf { value: exact(random.share() - 0.5), cover: exact(1.0 + 9.0 * random.share()), linear }
    };
    let mut nodes = vec![leaf(random)];
    let mut open = vec![(0usize, 0)];
    while nodes.len() + 1 < 2 * shape.leaves && !open.is_empty() {
        let pick = if shape.skewed { open.len() - 1 } else { random.below(open.len() as u64) as usize };
        let (at, depth) = open.swap_remove(pick);
        if depth >= 60 {
            continue;
        }
        let (left, right) = (nodes.len() as u32, nodes.len() as u32 + 1);
        nodes.push(leaf(random));
        nodes.push(leaf(random));
        open.push((left as usize, depth + 1));
        open.push((right as usize, depth + 1));
        let feature = random.below(FEATURES.into()) as u32;
        let (default_left, cover) = (random.below(2) == 0, 0.0);
        nodes[at] = if feature < NUMBERS {
            let zero_missing = shape.zero_missing && random.below(2) == 0;
            let threshold = exact(random.number());
            Node::Split { feature, threshold, zero_missing, default_left, left, right, cover }
        } else {
            let options = OPTIONS[(feature - NUMBERS) as usize];
            let right_codes = (0..options as u32).filter(|_| random.below(2) == 0).collect();
            Node::Categories { feature, right_codes, default_left, left, right, cover }
        };
    }
    for n in (0..nodes.len()).rev() {
        if let Some((left, right)) = nodes[n].children() {
            let sum = nodes[left as usize].cover() + nodes[right as usize].cover();
            if let Node::Split { cover, .. } | Node::Categories { cover, .. } = &mut nodes[n] {
                *cover = sum;
            }
        }
    }
    let weight = if random.below(3) == 0 { 0.75 } else { 1.0 };
    Tree { weight, nodes }
}

fn model(ensemble: TreeEnsemble) -> Model {
    let column = |i: u32| Column {
        column: format!("f{i}"),
        name: format!("f{i}"),
        kind: if i < NUMBERS {
            ColumnKind::Number { compared: None }
        } else {
            let options = OPTIONS[(i - NUMBERS) as usize];
            ColumnKind::Category {
                options: (0..options).map(|o| format!("o{o}")).collect(),
                named: true,
                unseen: Default::default(),
            }
        },
        missing: true,
    };
    let imported = Imported {
        library: "made up".into(),
        estimator: Estimator::TreeEnsemble(ensemble),
        calibration: Calibration::None,
        columns: (0..FEATURES).map(column).collect(),
        agreement: Agreement::Bits,
        notes: Vec::new(),
    };
    let mut bundle = imported.draft(imported.schema(), &imported.placements()).unwrap();
    for feature in &mut bundle.schema.features {
        // Linear leaves have bounded parts.
        if let vereda_scoring::bundle::Kind::Number { min, max, .. } = &mut feature.kind {
            (*min, *max) = (-1000.0, 1000.0);
        }
    }
    Model::draft(bundle).unwrap()
}

fn rows(random: &mut Random, count: usize) -> Vec<f64> {
    let mut rows = Vec::new();
    for _ in 0..count {
        for feature in 0..FEATURES {
            rows.push(match random.below(12) {
                0 => f64::NAN,
                1 if feature < NUMBERS => f64::INFINITY,
                2 if feature < NUMBERS => f64::NEG_INFINITY,
                3 if feature < NUMBERS => 1e300,
                4 if feature < NUMBERS => -5e-324,
                1 => -1.0,
                2 => -0.5,
                3 => 1e10,
                _ if feature < NUMBERS => random.number(),
                _ => random.below(OPTIONS[(feature - NUMBERS) as usize] + 1) as f64,
            });
        }
    }
    rows
}

/// Where a row goes, by the rules of docs/BUNDLE.md.
fn goes_left(arithmetic: TreeArithmetic, node: &Node, row: &[f64]) -> bool {
    let single = arithmetic == TreeArithmetic::Xgboost;
    let x = |feature: u32| {
        let x = row[feature as usize];
        if single { f64::from(x as f32) } else { x }
    };
    match node {
        Node::Leaf { .. } => unreachable!(),
        Node::Split { feature, threshold, zero_missing, default_left, .. } => {
            let x = x(*feature);
            if x.is_nan() || *zero_missing && x.abs() <= f64::from(1e-35f32) {
                *default_left
            } else if single {
                x < *threshold
            } else {
                x <= *threshold
            }
        }
        Node::Categories { feature, right_codes, default_left, .. } => {
            let x = x(*feature);
            let options = OPTIONS[(*feature - NUMBERS) as usize] as f64;
            if x.is_nan() {
                *default_left
            } else if x >= options || x <= -1.0 || (single && x < 0.0) {
                single
            } else {
                !right_codes.contains(&(x as u32))
            }
        }
    }
}

fn value(node: &Node, row: &[f64]) -> Option<f64> {
    let Node::Leaf { value, linear, .. } = node else { return None };
    Some(match linear {
        Some(LinearLeaf { constant, terms }) if terms.iter().all(|(f, _)| !row[*f as usize].is_nan()) => {
            terms.iter().fold(*constant, |sum, (f, coefficient)| sum + coefficient * row[*f as usize])
        }
        _ => *value,
    })
}

fn margin(ensemble: &TreeEnsemble, trees: &[Tree], row: &[f64]) -> f64 {
    let single = ensemble.arithmetic == TreeArithmetic::Xgboost;
    let mut sum = if ensemble.average { 0.0 } else { ensemble.base_margin };
    for tree in trees {
        let mut at = 0;
        let leaf = loop {
            if let Some(value) = value(&tree.nodes[at], row) {
                break value;
            }
            let (left, right) = tree.nodes[at].children().unwrap();
            at = if goes_left(ensemble.arithmetic, &tree.nodes[at], row) { left } else { right } as usize;
        };
        sum = if single {
            f64::from(sum as f32 + leaf as f32 * tree.weight as f32)
        } else {
            sum + leaf * tree.weight
        };
    }
    match (ensemble.average, single) {
        (false, _) => sum,
        (true, true) => f64::from(sum as f32 / trees.len() as f32 + ensemble.base_margin as f32),
        (true, false) => sum / trees.len() as f64 + ensemble.base_margin,
    }
}

/// v(S) of one tree: the average over both children, by cover, wherever the feature is not in S.
fn game(arithmetic: TreeArithmetic, tree: &Tree, at: usize, row: &[f64], set: u32) -> f64 {
    if let Some(value) = value(&tree.nodes[at], row) {
        return value * tree.weight;
    }
    let (Node::Split { feature, .. } | Node::Categories { feature, .. }) = &tree.nodes[at] else { panic!() };
    let (left, right) = tree.nodes[at].children().unwrap();
    let of = |child: u32| game(arithmetic, tree, child as usize, row, set);
    if set >> feature & 1 == 1 {
        return of(if goes_left(arithmetic, &tree.nodes[at], row) { left } else { right });
    }
    let cover = |child: u32| tree.nodes[child as usize].cover();
    (of(left) * cover(left) + of(right) * cover(right)) / tree.nodes[at].cover()
}

fn shapley(arithmetic: TreeArithmetic, tree: &Tree, row: &[f64]) -> Vec<f64> {
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let games: Vec<f64> = (0..1u32 << FEATURES).map(|set| game(arithmetic, tree, 0, row, set)).collect();
    let value = |player: u32| {
        (0..1u32 << FEATURES)
            .filter(|set| set >> player & 1 == 0)
            .map(|set| {
                let size = set.count_ones();
                let weight = factorial(size) * factorial(FEATURES - 1 - size) / factorial(FEATURES);
                weight * (games[(set | 1 << player) as usize] - games[set as usize])
            })
            .sum()
    };
    (0..FEATURES).map(value).collect()
}

#[test]
fn margins_and_contributions_follow_the_rules() {
    for seed in 0..48u64 {
        let mut random = Random(seed);
        let arithmetic = if seed % 2 == 0 { TreeArithmetic::Xgboost } else { TreeArithmetic::Lightgbm };
        let shape = |leaves| Shape {
            arithmetic,
            zero_missing: seed % 3 == 0,
            linear: seed % 4 == 1,
            leaves,
            skewed: seed % 5 == 0,
        };
        // Stumps, single leaves, the largest that are swept, some that are walked.
        let sizes = [1, 2, 3, 8, 31, 32, 33, 200, 256, 257, 400];
        let mut trees = Vec::new();
        for _ in 0..7 {
            let size = sizes[random.below(11) as usize];
            trees.push(tree(&mut random, &shape(size)));
        }
        let base = f64::from((random.share() - 0.5) as f32);
        let mut ensemble = TreeEnsemble::new(arithmetic, base, &trees);
        ensemble.average = seed % 7 == 0;
        assert_eq!(
            TreeEnsemble::new(arithmetic, base, &ensemble.trees().collect::<Vec<_>>()).trees,
            ensemble.trees
        );
        let model = model(ensemble.clone());
        let rows = rows(&mut random, 300);
        let together = model.margins(&rows).unwrap();
        let contributions = model.contributions(&rows[..20 * 6]).unwrap();
        for (r, row) in rows.chunks_exact(6).enumerate() {
            let expected = margin(&ensemble, &trees, row);
            let alone = model.margins(row).unwrap()[0];
            for found in [together[r], alone] {
                let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
                assert!(same, "seed {seed}, row {r} {row:?}: {found} instead of {expected}");
            }
            // What a linear leaf makes of such numbers drowns everything else.
            let vast = seed % 4 == 1 && row.iter().any(|x| x.abs() > 1e100);
            if r >= 20 || vast {
                continue;
            }
            let mut expected = [0.0; FEATURES as usize];
            for tree in &trees {
                for (sum, value) in expected.iter_mut().zip(shapley(arithmetic, tree, row)) {
                    *sum += value;
                }
            }
            let found = &contributions[r * 7..r * 7 + 7];
            let parts = if ensemble.average { 7.0 } else { 1.0 };
            for (feature, (found, expected)) in found.iter().zip(expected).enumerate() {
                let expected = expected / parts;
                let scale = 1.0 + expected.abs();
                // Leaves of f32 models are multiplied by their weight in f32.
                let tolerance = if arithmetic == TreeArithmetic::Xgboost { 1e-6 } else { 1e-9 };
                assert!(
                    (found - expected).abs() < tolerance * scale,
                    "seed {seed}, row {r}, feature {feature}: {found} instead of {expected}"
                );
            }
            let sum: f64 = found.iter().sum();
            assert!((sum - alone).abs() <= 1e-9 * (1.0 + alone.abs()), "seed {seed}, row {r}: {sum} {alone}");
        }
    }
}

/// What the bundle claims is checked for the ensemble as a whole: see `check::trees::monotone`.
#[test]
fn a_claim_that_does_not_hold_is_refused() {
    let split = |threshold, zero_missing, default_left, left: f64, right: f64| Tree {
        weight: 1.0,
        nodes: vec![
            Node::Split { feature: 0, threshold, zero_missing, default_left, left: 1, right: 2, cover: 2.0 },
            Node::Leaf { value: left, cover: 1.0, linear: None },
            Node::Leaf { value: right, cover: 1.0, linear: None },
        ],
    };
    let linear = Tree {
        weight: 1.0,
        nodes: vec![Node::Leaf {
            value: 0.0,
            cover: 1.0,
            linear: Some(LinearLeaf { constant: 0.0, terms: vec![(1, 0.5)] }),
        }],
    };
    let rises = split(1.0, false, true, -0.5, 0.5);
    let falls = split(2.0, false, true, 0.1, -0.1);
    for (trees, direction, place) in [
        (vec![rises.clone()], Direction::Rises, None),
        (vec![rises.clone()], Direction::Falls, Some("estimator.trees[0].nodes[0]")),
        // The sum falls from 1 to 2, although the first tree rises by more.
        (vec![rises.clone(), falls.clone()], Direction::Rises, Some("estimator.trees[1].nodes[0]")),
        (vec![rises.clone(), linear], Direction::Rises, Some("estimator.trees[1].linear")),
        // Zero as missing: with its neighbours, and against them.
        (vec![split(1.0, true, true, -0.5, 0.5)], Direction::Rises, None),
        (vec![split(1.0, true, false, -0.5, 0.5)], Direction::Rises, Some("estimator.trees[0].nodes[0]")),
    ] {
        let mut ensemble = TreeEnsemble::new(TreeArithmetic::Lightgbm, 0.0, &trees);
        ensemble.monotone = BTreeMap::from([("f0".to_owned(), direction)]);
        let draft = std::panic::catch_unwind(|| model(ensemble.clone()));
        assert_eq!(draft.is_err(), place.is_some(), "{place:?}");
        if let Some(place) = place {
            let bundle = {
                let mut claimless = ensemble.clone();
                claimless.monotone.clear();
                let mut bundle = model(claimless).bundle().clone();
                bundle.estimator = Estimator::TreeEnsemble(ensemble);
                bundle
            };
            assert_eq!(Model::draft(bundle).unwrap_err().place(), place);
        }
    }
}
