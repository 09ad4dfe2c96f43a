//! `verify`: whether a bundle may be used.
//!
//! Loading checks the document and the golden vectors, as on a device. Beyond that, invariants that
//! hold for every sound model are tried on its golden inputs and on inputs drawn from its schema.

use crate::bundle::{self, Checked};
use crate::{Error, output};
use std::fmt::Write as _;
use std::path::PathBuf;
use vereda_scoring::bundle::{Direction, Estimator, Feature, Group, Kind, Node};
use vereda_scoring::{Inputs, Model, Score, Value};

/// How far contributions and bias may miss the margin, relative to the larger of 1 and the margin.
const ADDITIVE: f64 = 1e-6;
/// How far the bias may differ between applicants: f32 sums round differently.
const STEADY: f64 = 1e-4;
/// Steps over a feature's range when a claim to be monotone is tried.
const STEPS: u32 = 16;

/// What `verify` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundles.
    #[arg(required = true)]
    bundles: Vec<PathBuf>,
    /// How many inputs to draw for the invariants.
    #[arg(long, value_name = "N", default_value = "1000")]
    inputs: u32,
    /// What the drawing starts from: the same seed gives the same inputs.
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
}

/// Checks each bundle and prints a line about it.
///
/// # Errors
/// At the first bundle that is refused or breaks an invariant.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    for path in &arguments.bundles {
        let checked = bundle::read(path)?;
        let tried = invariants(&checked.model, arguments.inputs, arguments.seed)
            .map_err(|violation| Error::Invariant { path: path.clone(), violation })?;
        output::write(None, line(&checked, path, &tried).as_bytes())?;
    }
    Ok(())
}

fn line(checked: &Checked, path: &std::path::Path, tried: &Tried) -> String {
    let model = &checked.model;
    let mut line = format!(
        "ok  {} {}  {}  {} golden vectors equal to the bit, invariants hold for {} inputs",
        model.id(),
        model.version(),
        model.sha256(),
        model.bundle().golden.len(),
        tried.inputs
    );
    if tried.monotone > 0 {
        let _ = write!(line, ", monotone in {} features", tried.monotone);
    }
    let _ = writeln!(line, "  {}", path.display());
    line
}

/// How much was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Golden inputs and inputs drawn.
    pub inputs: usize,
    /// Features whose claim to be monotone was tried.
    pub monotone: usize,
}

/// Tries every invariant.
///
/// # Errors
/// In words, what does not hold and for which inputs.
pub fn invariants(model: &Model, inputs: u32, seed: u64) -> Result<Tried, String> {
    boundaries(model)?;
    let mut random = Random::new(seed);
    let golden = model.bundle().golden.iter().map(|golden| golden.inputs.clone());
    let drawn = (0..inputs).map(|_| draw(model, &mut random));
    let rows: Vec<Inputs> = golden.chain(drawn).collect();
    let steady = !has_linear_leaves(model);
    let mut scores = Vec::with_capacity(rows.len());
    for row in &rows {
        let score = model.score(row).map_err(|error| says(row, &error.to_string()))?;
        alone(model, row, &score).map_err(|problem| says(row, &problem))?;
        if steady
            && let Some(first) = scores.first().map(|first: &Score| first.bias)
            && (score.bias - first).abs() > STEADY * first.abs().max(1.0)
        {
            return Err(says(row, &format!("the bias is {} and elsewhere {first}", score.bias)));
        }
        scores.push(score);
    }
    scores.sort_by(|a, b| a.margin.total_cmp(&b.margin));
    for pair in scores.windows(2) {
        if let [low, high] = pair
            && (low.probability > high.probability || low.group > high.group)
        {
            return Err(format!(
                "the margin {} has PD {} and the larger margin {} has the smaller PD {}",
                low.margin, low.probability, high.margin, high.probability
            ));
        }
    }
    let monotone = monotone(model, &rows)?;
    Ok(Tried { inputs: rows.len(), monotone })
}

/// Leaves that compute their value give every applicant a mean of their own.
fn has_linear_leaves(model: &Model) -> bool {
    let Estimator::TreeEnsemble(ensemble) = &model.bundle().estimator else { return false };
    ensemble
        .trees()
        .any(|tree| tree.nodes.iter().any(|node| matches!(node, Node::Leaf { linear: Some(_), .. })))
}

/// A PD equal to a cut belongs to the riskier group, the double before it to the safer one.
fn boundaries(model: &Model) -> Result<(), String> {
    for (index, cut) in model.bundle().groups.cuts.iter().enumerate() {
        let (below, at) = (model.group(cut.next_down()).index(), model.group(*cut).index());
        if (below, at) != (index, index + 1) {
            return Err(format!("groups.cuts[{index}]: a PD of {cut} falls into T{}", at + 1));
        }
    }
    if (model.group(0.0), model.group(1.0)) != (Group::T1, Group::T8) {
        return Err("groups: the ends are not T1 and T8".into());
    }
    Ok(())
}

/// What must hold for one score.
fn alone(model: &Model, row: &Inputs, score: &Score) -> Result<(), String> {
    let (margin, pd) = (score.margin, score.probability);
    if !(margin.is_finite() && pd > 0.0 && pd < 1.0) {
        return Err(format!("margin {margin} and PD {pd}"));
    }
    if model.group(pd) != score.group {
        return Err(format!("PD {pd} is in {} and the score says {}", model.group(pd), score.group));
    }
    let again = model.margin(row).map_err(|error| error.to_string())?;
    if again.to_bits() != margin.to_bits() {
        return Err(format!("the margin is {margin} with explanation and {again} without"));
    }
    let sum = score.bias + score.contributions.iter().map(|part| part.value).sum::<f64>();
    if (sum - margin).abs() > ADDITIVE * margin.abs().max(1.0) {
        return Err(format!("bias and contributions add up to {sum}, the margin is {margin}"));
    }
    for reason in &score.reasons {
        let part = score.contributions.iter().find(|part| part.feature == reason.feature);
        if part.map(|part| part.value) != Some(reason.contribution) {
            return Err(format!("{} is given as a reason with another contribution", reason.feature));
        }
    }
    Ok(())
}

/// Where the bundle claims that the PD rises or falls with a feature, it does so from step to step
/// over the feature's range, everything else being equal.
fn monotone(model: &Model, rows: &[Inputs]) -> Result<usize, String> {
    let Estimator::TreeEnsemble(ensemble) = &model.bundle().estimator else { return Ok(0) };
    for (name, direction) in &ensemble.monotone {
        let Some(feature) = model.feature(name) else { continue };
        // A few applicants are enough for each feature: the check at load is exhaustive per tree.
        for row in rows.iter().take(50) {
            let mut row = row.clone();
            let mut before = None;
            for step in 0..=STEPS {
                row.insert(name.clone(), at(feature, f64::from(step) / f64::from(STEPS)));
                let margin = model.margin(&row).map_err(|error| says(&row, &error.to_string()))?;
                let broken = before.is_some_and(|before: f64| match direction {
                    Direction::Rises => margin < before,
                    Direction::Falls => margin > before,
                });
                if broken {
                    return Err(says(&row, &format!("the claim that {name} is monotone does not hold")));
                }
                before = Some(margin);
            }
        }
    }
    Ok(ensemble.monotone.len())
}

fn says(row: &Inputs, problem: &str) -> String {
    format!("{problem}, for {}", serde_json::to_string(row).unwrap_or_default())
}

/// The value at a share of the way through a feature's range.
fn at(feature: &Feature, share: f64) -> Value {
    match &feature.kind {
        Kind::Number { min, max, .. } => Value::Number((min + (max - min) * share).clamp(*min, *max)),
        Kind::Integer { min, max, .. } => {
            let (low, high) = (*min as f64, *max as f64);
            Value::Number((low + (high - low) * share).round().clamp(low, high))
        }
        Kind::Boolean => Value::Boolean(share >= 0.5),
        Kind::Category { options, .. } => {
            let index = (share * options.len() as f64) as usize;
            let option = options.get(index).or(options.last());
            option.map_or(Value::Missing, |option| Value::Category(option.code.clone()))
        }
    }
}

/// Inputs anywhere in the schema: most near the start of wide ranges, where people are, some at the
/// ends, some missing.
fn draw(model: &Model, random: &mut Random) -> Inputs {
    let features = &model.bundle().schema.features;
    features
        .iter()
        .map(|feature| {
            let share = random.share();
            let value = match random.bits() % 8 {
                0 if feature.missing_allowed => Value::Missing,
                1 => at(feature, 0.0),
                2 => at(feature, 1.0),
                3 | 4 => at(feature, share.powi(4)),
                _ => at(feature, share),
            };
            (feature.name.clone(), value)
        })
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers for the same seed.
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}
