//! The file that all platforms score: the committed bundles, and small ones of every estimator with
//! every calibration, over rows with the values at which platforms could part.

use crate::{Case, Vectors};
use std::collections::BTreeMap;
use vereda_scoring::bundle::{
    Bundle, Calibration, Estimator, Golden, Kind, LinearLeaf, Node, Term, Transform, Tree, TreeArithmetic,
    TreeEnsemble,
};
use vereda_scoring::{Inputs, Model};

/// What the generator starts from.
const SEED: u64 = 20;
/// Rows per bundle.
const ROWS: usize = 60;
/// Golden inputs per bundle.
const INPUTS: usize = 8;
const SCORECARD: &str = include_str!("../../../models/bundles/reference-scorecard-1.json");
const BOOSTED: &str = include_str!("../../../models/bundles/reference-boosted-2.json");

/// All cases; the same on every run.
///
/// # Errors
/// In words, when a bundle is refused.
pub fn vectors() -> Result<Vectors, String> {
    let mut random = Random(SEED);
    let mut cases = Vec::new();
    for (name, text) in [("scorecard", SCORECARD), ("boosted", BOOSTED)] {
        let model = Model::load(text.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
        cases.push(case(name.to_owned(), text.to_owned(), &model, &mut random));
    }
    let base: Bundle = serde_json::from_str(SCORECARD).map_err(|error| error.to_string())?;
    for (estimator_name, estimator) in estimators(&base, &mut random) {
        for (calibration_name, calibration) in calibrations() {
            let name = format!("{estimator_name} {calibration_name}");
            let refused = |error: &dyn std::fmt::Display| format!("{name}: {error}");
            let bundle = bundle(&base, estimator.clone(), calibration).map_err(|error| refused(&error))?;
            let text = serde_json::to_string(&bundle).map_err(|error| refused(&error))?;
            let model = Model::load(text.as_bytes()).map_err(|error| refused(&error))?;
            cases.push(case(name, text, &model, &mut random));
        }
    }
    Ok(Vectors { cases })
}

/// The base's questions with another estimator, and golden vectors to go with it.
fn bundle(base: &Bundle, estimator: Estimator, calibration: Calibration) -> Result<Bundle, String> {
    let mut bundle = Bundle { estimator, calibration, ..base.clone() };
    bundle.id = "platforms".into();
    let used: Vec<String> = match &bundle.estimator {
        Estimator::Logistic { terms, .. } => terms.iter().map(|term| term.feature.clone()).collect(),
        Estimator::Linear { weights, .. } => weights.keys().cloned().collect(),
        Estimator::TreeEnsemble(ensemble) => {
            let names = bundle.schema.features.iter().map(|feature| feature.name.clone());
            let used = ensemble.features();
            names.enumerate().filter(|(i, _)| used.contains(&(*i as u32))).map(|(_, name)| name).collect()
        }
    };
    let trees = matches!(bundle.estimator, Estimator::TreeEnsemble(_));
    bundle.reference.mean_parts = used
        .iter()
        .filter(|_| !trees)
        .enumerate()
        .map(|(i, name)| (name.clone(), 0.013 * i as f64))
        .collect();
    let texts = base.reasons.texts.values().next().cloned().ok_or("the base has no reasons")?;
    bundle.reasons.texts = used.iter().map(|name| (name.clone(), texts.clone())).collect();
    let inputs: Vec<Inputs> = bundle.golden.drain(..).map(|golden| golden.inputs).collect();
    let draft = Model::draft(bundle.clone()).map_err(|error| error.to_string())?;
    for inputs in inputs {
        let score = draft.score(&inputs).map_err(|error| error.to_string())?;
        let margin_bits = format!("{:016x}", score.margin.to_bits());
        bundle.golden.push(Golden {
            inputs,
            margin_bits,
            probability: score.probability,
            group: score.group,
        });
    }
    Ok(bundle)
}

fn calibrations() -> Vec<(&'static str, Calibration)> {
    vec![
        ("uncalibrated", Calibration::None),
        ("platt", Calibration::Platt { slope: 1.37, intercept: -0.21 }),
        (
            "isotonic",
            Calibration::Isotonic {
                margins: vec![-4.0, -1.7, -0.3, 0.2, 2.9],
                probabilities: vec![0.01, 0.07, 0.29, 0.31, 0.93],
            },
        ),
        ("shifted", Calibration::PriorShift { training: 0.28, prior: 0.07 }),
    ]
}

fn estimators(base: &Bundle, random: &mut Random) -> Vec<(&'static str, Estimator)> {
    let mut out = Vec::new();
    if let Estimator::Logistic { terms, .. } = &base.estimator {
        // A term of each kind where it fits; the rest keep their WoE bins.
        let terms = base.schema.features.iter().enumerate().filter_map(|(index, feature)| {
            let woe = terms.iter().find(|term| term.feature == feature.name)?.transform.clone();
            let transform = match (&feature.kind, index % 3) {
                (Kind::Number { .. } | Kind::Integer { .. }, 0 | 1) => Transform::Standardised {
                    coefficient: random.between(-0.7, 0.7),
                    mean: random.between(0.0, 1000.0),
                    scale: random.between(0.1, 700.0),
                    missing_value: feature.missing_allowed.then(|| random.between(0.0, 500.0)),
                },
                (Kind::Category { options, .. }, _) => Transform::OneHot {
                    weights: options
                        .iter()
                        .map(|option| (option.code.clone(), random.between(-1.0, 1.0)))
                        .collect(),
                    missing_weight: feature.missing_allowed.then_some(0.1),
                },
                _ => woe,
            };
            Some(Term { feature: feature.name.clone(), transform })
        });
        let terms = terms.collect();
        out.push(("logistic", Estimator::Logistic { intercept: -1.1, terms, points: None }));
    }
    let kinds: Vec<Kind> = base.schema.features.iter().map(|feature| feature.kind.clone()).collect();
    let mut forest = |arithmetic, count, weigh: bool| -> Vec<Tree> {
        (0..count)
            .map(|_| {
                let mut nodes = Vec::new();
                grow(&mut nodes, &kinds, arithmetic, 4, 512.0, random);
                Tree { weight: if weigh { f64::from(random.between(0.1, 1.0) as f32) } else { 1.0 }, nodes }
            })
            .collect()
    };
    let xgboost = TreeArithmetic::Xgboost;
    let lightgbm = TreeArithmetic::Lightgbm;
    let base_margin = f64::from(-0.7f32);
    for (name, arithmetic, weigh, average) in [
        ("xgboost", xgboost, false, false),
        ("dart", xgboost, true, false),
        ("lightgbm", lightgbm, false, false),
        ("forest", lightgbm, false, true),
    ] {
        let mut ensemble = TreeEnsemble::new(arithmetic, base_margin, &forest(arithmetic, 12, weigh));
        ensemble.average = average;
        out.push((name, Estimator::TreeEnsemble(ensemble)));
    }
    let weights: BTreeMap<String, f64> = base
        .schema
        .features
        .iter()
        .map(|feature| (feature.name.clone(), f64::from(random.between(-0.001, 0.001) as f32)))
        .collect();
    out.push(("linear", Estimator::Linear { base_margin, weights }));
    out
}

/// Adds a tree below a node that `cover` reached; children after their parents.
fn grow(
    nodes: &mut Vec<Node>,
    kinds: &[Kind],
    arithmetic: TreeArithmetic,
    depth: u32,
    cover: f64,
    random: &mut Random,
) -> u32 {
    let single = arithmetic == TreeArithmetic::Xgboost;
    let round = |x: f64| if single { f64::from(x as f32) } else { x };
    let own = nodes.len();
    let value = round(random.between(-0.4, 0.4));
    nodes.push(Node::Leaf { value, cover, linear: None });
    if depth == 0 {
        if !single && random.bits().is_multiple_of(3) {
            // Numbers of any size, so that the order of operations shows.
            let terms = vec![(0, random.between(-1e-4, 1e-4)), (5, random.between(-1e-3, 1e-3))];
            let linear = Some(LinearLeaf { constant: random.between(-0.2, 0.2), terms });
            nodes[own] = Node::Leaf { value, cover, linear };
        }
        return own as u32;
    }
    let feature = (random.bits() % kinds.len() as u64) as u32;
    let default_left = random.bits().is_multiple_of(2);
    // Halves are exact, so that covers add up.
    let left = grow(nodes, kinds, arithmetic, depth - 1, cover / 2.0, random);
    let right = grow(nodes, kinds, arithmetic, depth - 1, cover / 2.0, random);
    nodes[own] = match &kinds[feature as usize] {
        Kind::Category { options, .. } => {
            let some = random.bits();
            let mut right_codes: Vec<u32> =
                (0..options.len() as u32).filter(|i| some >> i & 1 == 1).collect();
            if right_codes.is_empty() {
                right_codes.push(0);
            }
            Node::Categories { feature, right_codes, default_left, left, right, cover }
        }
        Kind::Boolean => {
            Node::Split { feature, threshold: 0.5, zero_missing: false, default_left, left, right, cover }
        }
        Kind::Number { .. } | Kind::Integer { .. } => Node::Split {
            feature,
            threshold: round(random.between(0.0, 1500.0)),
            zero_missing: !single && random.bits().is_multiple_of(3),
            default_left,
            left,
            right,
            cover,
        },
    };
    own as u32
}

/// The golden inputs, and rows of raw numbers.
fn case(name: String, bundle: String, model: &Model, random: &mut Random) -> Case {
    let mut edges = vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        -f64::from_bits(1),
        f64::from(f32::from_bits(1)),
        f64::MAX,
        f64::MIN,
        f64::from(f32::MAX),
        1e-35,
        1.000_000_1e-35,
        -1e-35,
        16_777_217.0,
        0.1,
        -1.0,
        0.5,
        1.0,
        2.0,
        1e9,
    ];
    if let Estimator::TreeEnsemble(ensemble) = &model.bundle().estimator {
        for tree in ensemble.trees().take(3) {
            for node in &tree.nodes {
                if let Node::Split { threshold, .. } = node {
                    let single = f64::from((*threshold as f32).next_down());
                    edges.extend([*threshold, threshold.next_up(), threshold.next_down(), single]);
                }
            }
        }
    }
    let rows = (0..ROWS).map(|row| {
        let share = if row % 2 == 0 { 8 } else { 2 };
        (0..model.width())
            .map(|_| {
                let x = match random.bits() % 8 {
                    pick if pick < share => edges[(random.bits() % edges.len() as u64) as usize],
                    _ => random.between(-10.0, 2000.0),
                };
                x.to_bits()
            })
            .collect()
    });
    let rows = rows.collect();
    let inputs = model.bundle().golden.iter().take(INPUTS).map(|golden| golden.inputs.clone()).collect();
    Case { name, bundle, inputs, rows }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }
}
