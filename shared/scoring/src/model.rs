//! A bundle that has been checked, and what it says.

use crate::bundle::{Baseline, Bundle, Estimator, FORMAT, FORMAT_VERSION, Feature, Group, Kind};
use crate::calibrate;
use crate::check;
use crate::error::{ExpectedType, FieldError, FieldProblem, InputError, LoadError};
use crate::plan::Plan;
use crate::rows::encode_option;
use crate::score::{Contribution, Estimate, ModelRef, PointsLost, Reason, Score};
use crate::value::{Inputs, Value};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The most bytes a bundle may have.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A checked model. Evaluation cannot fail for inputs that [`Model::validate`] accepts.
#[derive(Debug, Clone)]
pub struct Model {
    bundle: Bundle,
    sha256: String,
    plan: Plan,
    /// Position of each feature in the schema.
    positions: BTreeMap<String, usize>,
    /// Positions of the features that the estimator uses, in the order of the schema.
    scored: Vec<usize>,
}

/// The two fields that say what the rest means; everything else is skipped.
#[derive(Deserialize)]
struct Header {
    format: Option<serde_json::Value>,
    format_version: Option<serde_json::Value>,
}

impl Model {
    /// Reads a bundle and checks all of it: size, shape, every rule of the format, and the golden
    /// vectors. Nothing in the bytes can make this panic, loop or take unbounded memory.
    ///
    /// # Errors
    /// [`LoadError`] names the first place that is wrong and what to do about it.
    pub fn load(bytes: &[u8]) -> Result<Model, LoadError> {
        if bytes.len() > MAX_BYTES {
            return Err(LoadError::TooLarge { bytes: bytes.len(), limit: MAX_BYTES });
        }
        let bundle = parse(bytes)?;
        check::bundle(&bundle)?;
        let model = Model::compile(bundle, hex::encode(Sha256::digest(bytes)));
        check::golden(&model)?;
        Ok(model)
    }

    /// A bundle that is still being made: checked but for its golden vectors, which need not be
    /// there yet. It has no hash, and no device takes it; [`crate::bundle::seal`] makes bytes of it
    /// once it has golden vectors.
    ///
    /// # Errors
    /// As [`Model::load`], but for the golden vectors.
    pub fn draft(bundle: Bundle) -> Result<Model, LoadError> {
        check::bundle(&bundle)?;
        Ok(Model::compile(bundle, String::new()))
    }

    fn compile(bundle: Bundle, sha256: String) -> Model {
        let features = &bundle.schema.features;
        let positions = features.iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect();
        let used = check::scored_features(&bundle);
        let scored = (0..features.len()).filter(|i| used.contains(i)).collect();
        let plan = Plan::compile(&bundle);
        Model { bundle, sha256, plan, positions, scored }
    }

    /// The document.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What machines call it.
    pub fn id(&self) -> &str {
        &self.bundle.id
    }

    /// Its version, which rises with every published bundle.
    pub fn version(&self) -> u32 {
        self.bundle.version
    }

    /// SHA-256 of the bytes it was loaded from, 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What an assessment records about it.
    pub fn reference(&self) -> ModelRef {
        ModelRef { id: self.bundle.id.clone(), version: self.bundle.version, sha256: self.sha256.clone() }
    }

    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.positions.get(name).and_then(|&i| self.bundle.schema.features.get(i))
    }

    /// The features that the estimator uses, in the order of the schema; others are asked only.
    pub fn scored_features(&self) -> impl Iterator<Item = &Feature> {
        self.scored.iter().filter_map(|&i| self.bundle.schema.features.get(i))
    }

    /// Everything that is wrong with these inputs; empty when they can be scored.
    pub fn validate(&self, inputs: &Inputs) -> Vec<FieldError> {
        match self.encode(inputs) {
            Ok(_) => Vec::new(),
            Err(error) => error.errors,
        }
    }

    /// Whether one answer is acceptable.
    ///
    /// # Errors
    /// What is wrong with it and what would be accepted.
    pub fn check_field(&self, name: &str, value: &Value) -> Result<(), FieldError> {
        let result = match self.feature(name) {
            Some(feature) => encode_value(feature, value).map(|_| ()),
            None => Err(FieldProblem::Unknown),
        };
        result.map_err(|problem| FieldError { field: name.to_owned(), problem })
    }

    /// The margin alone, without explanation: for batches.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub fn margin(&self, inputs: &Inputs) -> Result<f64, InputError> {
        let row = self.encode(inputs)?;
        Ok(self.plan.margin(&row))
    }

    /// PD of a margin.
    pub fn probability(&self, margin: f64) -> f64 {
        calibrate::probability(&self.bundle.calibration, margin)
    }

    /// Group of a PD; a PD equal to a cut belongs to the riskier group. What is no number, which no
    /// finite row gives, belongs to the riskiest.
    pub fn group(&self, probability: f64) -> Group {
        let below = |cut: &&f64| **cut <= probability || probability.is_nan();
        let cuts = self.bundle.groups.cuts.iter().filter(below).count();
        Group::ALL.get(cuts).copied().unwrap_or(Group::T8)
    }

    /// Points of a margin, unrounded, if the model is used as a scorecard: points =
    /// base_points - pdo / ln 2 x (margin + ln(base_odds)), where odds are good : bad.
    pub fn points(&self, margin: f64) -> Option<f64> {
        let Estimator::Logistic { points: Some(points), .. } = &self.bundle.estimator else { return None };
        let factor = points.pdo / std::f64::consts::LN_2;
        Some(points.base_points - factor * (margin + libm::log(points.base_odds)))
    }

    /// The points that each scored feature cost this applicant, in the order of the schema; `None`
    /// unless the model is used as a scorecard ([`crate::bundle::Points`]).
    ///
    /// A feature's points are -pdo / ln 2 x its part of the margin, so that the differences here do
    /// not depend on how base points are spread over the features.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub fn points_lost(&self, inputs: &Inputs) -> Result<Option<Vec<PointsLost>>, InputError> {
        let Estimator::Logistic { points: Some(points), .. } = &self.bundle.estimator else {
            return Ok(None);
        };
        let factor = points.pdo / std::f64::consts::LN_2;
        let row = self.encode(inputs)?;
        let mut means = vec![0.0; row.len()];
        self.plan.contributions(&row, &mut means);
        let lost = |loss: Contribution| {
            let against_mean = self.positions.get(&loss.feature).and_then(|&i| means.get(i))?;
            Some(PointsLost {
                against_best: factor * loss.value,
                against_mean: factor * against_mean,
                feature: loss.feature,
            })
        };
        Ok(Some(self.losses(&row).into_iter().filter_map(lost).collect()))
    }

    /// The score of one applicant, with its reasons.
    ///
    /// ```
    /// # use vereda_scoring::Model;
    /// # let bytes = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
    /// let model = Model::load(bytes)?;
    /// // An applicant that the bundle itself brings along, as proof of how it scores.
    /// let golden = &model.bundle().golden[0];
    /// let score = model.score(&golden.inputs)?;
    /// assert_eq!(format!("{:016x}", score.margin.to_bits()), golden.margin_bits);
    /// assert_eq!(score.group, golden.group);
    /// // The contributions and the bias add up to the margin: nothing is left unexplained.
    /// let sum: f64 = score.contributions.iter().map(|part| part.value).sum();
    /// assert!((score.bias + sum - score.margin).abs() < 1e-9);
    /// for reason in &score.reasons {
    ///     println!("{}: {}", reason.feature, reason.text.es);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub fn score(&self, inputs: &Inputs) -> Result<Score, InputError> {
        let row = self.encode(inputs)?;
        Ok(self.score_row(&row))
    }

    /// The score as it would be now, for a form that is still being filled in: unknown names are
    /// ignored, and answers that are not acceptable yet count as missing.
    ///
    /// ```
    /// # use vereda_scoring::{Estimate, Inputs, Model, Value};
    /// # let bytes = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
    /// let model = Model::load(bytes)?;
    /// let mut inputs = Inputs::new();
    /// inputs.insert("amount".into(), Value::Number(1000.0));
    /// let Estimate::Incomplete { missing } = model.estimate(&inputs) else { panic!() };
    /// assert!(missing.contains(&"term_months".to_owned()) && !missing.contains(&"amount".to_owned()));
    /// # Ok::<(), vereda_scoring::LoadError>(())
    /// ```
    pub fn estimate(&self, inputs: &Inputs) -> Estimate {
        let mut missing = Vec::new();
        let mut row = Vec::with_capacity(self.bundle.schema.features.len());
        for feature in &self.bundle.schema.features {
            match encode_value(feature, inputs.get(&feature.name).unwrap_or(&Value::Missing)) {
                Ok(x) => row.push(x),
                Err(_) => missing.push(feature.name.clone()),
            }
        }
        if !missing.is_empty() {
            return Estimate::Incomplete { missing };
        }
        Estimate::Ready(self.score_row(&row))
    }

    /// The row of these inputs, as [`Model::margins`] takes it.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub fn encode(&self, inputs: &Inputs) -> Result<Vec<f64>, InputError> {
        let mut errors = Vec::new();
        let mut row = Vec::with_capacity(self.bundle.schema.features.len());
        let mut known = 0;
        for feature in &self.bundle.schema.features {
            let value = inputs.get(&feature.name);
            known += usize::from(value.is_some());
            match encode_value(feature, value.unwrap_or(&Value::Missing)) {
                Ok(x) => row.push(x),
                Err(problem) => errors.push(FieldError { field: feature.name.clone(), problem }),
            }
        }
        if known < inputs.len() {
            let unknown = inputs.keys().filter(|name| !self.positions.contains_key(*name));
            errors.extend(
                unknown.map(|name| FieldError { field: name.clone(), problem: FieldProblem::Unknown }),
            );
        }
        if !errors.is_empty() {
            return Err(InputError { errors });
        }
        Ok(row)
    }

    /// The score whose margin and contributions, those of the scored features in the order of the schema, are known
    /// from before: the same to the bit, at a fraction of the work. `None` when there are not as many
    /// contributions as scored features.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub fn explained(
        &self,
        inputs: &Inputs,
        margin: f64,
        contributions: &[f64],
    ) -> Result<Option<Score>, InputError> {
        let row = self.encode(inputs)?;
        if contributions.len() != self.scored.len() {
            return Ok(None);
        }
        let mut values = vec![0.0; row.len()];
        for (&i, value) in self.scored.iter().zip(contributions) {
            if let Some(slot) = values.get_mut(i) {
                *slot = *value;
            }
        }
        Ok(Some(self.score_of(&row, margin, &values)))
    }

    fn score_row(&self, row: &[f64]) -> Score {
        let mut values = vec![0.0; row.len()];
        self.plan.contributions(row, &mut values);
        self.score_of(row, self.plan.margin(row), &values)
    }

    /// What follows from the margin and each feature's contribution to it.
    fn score_of(&self, row: &[f64], margin: f64, values: &[f64]) -> Score {
        let probability = self.probability(margin);
        // The expectation of the training data. Taken as the rest, it absorbs the rounding of f32
        // sums, so that what a person adds up is the margin.
        let bias = margin - values.iter().sum::<f64>();
        let contributions: Vec<Contribution> = self
            .scored
            .iter()
            .filter_map(|&i| {
                let feature = self.bundle.schema.features.get(i)?;
                Some(Contribution { feature: feature.name.clone(), value: values.get(i).copied()? })
            })
            .collect();
        let reasons = match self.bundle.reasons.baseline {
            Baseline::Mean => self.reasons(&contributions),
            Baseline::Best => self.reasons(&self.losses(row)),
        };
        Score { margin, probability, group: self.group(probability), bias, contributions, reasons }
    }

    /// What each scored feature's part is above its best part, in the order of the schema.
    fn losses(&self, row: &[f64]) -> Vec<Contribution> {
        let mut losses = self.plan.losses(row);
        losses.sort_by_key(|(feature, _)| *feature);
        let named = |(feature, value): (usize, f64)| {
            let feature = self.bundle.schema.features.get(feature)?;
            Some(Contribution { feature: feature.name.clone(), value })
        };
        losses.into_iter().filter_map(named).collect()
    }

    /// The largest that raise the risk, as many as the bundle's policy allows; then, while there is
    /// room, the largest that lower it.
    fn reasons(&self, contributions: &[Contribution]) -> Vec<Reason> {
        let policy = &self.bundle.reasons;
        let ranked = |sign: f64| {
            let mut ranked: Vec<&Contribution> =
                contributions.iter().filter(|c| c.value * sign > 0.0).collect();
            // Stable, so that equal contributions stay in the order of the schema.
            ranked.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
            ranked
        };
        let adverse = ranked(1.0).into_iter().take(policy.adverse as usize);
        adverse
            .chain(ranked(-1.0))
            .filter_map(|contribution| {
                let texts = policy.texts.get(&contribution.feature)?;
                let text = if contribution.value > 0.0 { &texts.raises } else { &texts.lowers };
                Some(Reason {
                    feature: contribution.feature.clone(),
                    contribution: contribution.value,
                    text: text.clone(),
                })
            })
            .take(policy.max as usize)
            .collect()
    }
}

/// The number that the estimator sees; NaN is missing.
pub(crate) fn encode_value(feature: &Feature, value: &Value) -> Result<f64, FieldProblem> {
    let wrong = |expected| Err(FieldProblem::WrongType { expected });
    let in_range = |x: f64, min: f64, max: f64| {
        if x >= min && x <= max { Ok(x) } else { Err(FieldProblem::OutOfRange { min, max }) }
    };
    match (&feature.kind, value) {
        (_, Value::Missing) if feature.missing_allowed => Ok(f64::NAN),
        (_, Value::Missing) => Err(FieldProblem::Required),
        (Kind::Number { .. } | Kind::Integer { .. }, Value::Number(x)) if !x.is_finite() => {
            Err(FieldProblem::NotFinite)
        }
        (Kind::Number { min, max, .. }, Value::Number(x)) => in_range(*x, *min, *max),
        (Kind::Number { .. }, _) => wrong(ExpectedType::Number),
        (Kind::Integer { min, max, .. }, Value::Number(x)) if libm::trunc(*x) == *x => {
            in_range(*x, *min as f64, *max as f64)
        }
        (Kind::Integer { .. }, _) => wrong(ExpectedType::Integer),
        (Kind::Category { .. }, Value::Category(code)) => encode_option(feature, code),
        (Kind::Category { .. }, _) => wrong(ExpectedType::Category),
        (Kind::Boolean, Value::Boolean(yes)) => Ok(if *yes { 1.0 } else { 0.0 }),
        (Kind::Boolean, _) => wrong(ExpectedType::Boolean),
    }
}

fn syntax(error: &serde_json::Error) -> LoadError {
    LoadError::Syntax { problem: one_line(&error.to_string()) }
}

/// A parser's message may quote the document: nothing of it may move a terminal or forge a log line.
fn one_line(message: &str) -> String {
    message.chars().take(500).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    let header: Header = serde_json::from_slice(bytes).map_err(|e| syntax(&e))?;
    // Quoted in a message: a hostile value must not fill the screen.
    let show = |value: Option<&serde_json::Value>| match value {
        None => "absent".to_owned(),
        Some(value) => one_line(&value.to_string()).chars().take(40).collect(),
    };
    if header.format.as_ref().and_then(|f| f.as_str()) != Some(FORMAT) {
        return Err(LoadError::NotABundle { found: show(header.format.as_ref()) });
    }
    if header.format_version.as_ref().and_then(|v| v.as_u64()) != Some(u64::from(FORMAT_VERSION)) {
        return Err(LoadError::FormatVersion {
            found: show(header.format_version.as_ref()),
            supported: FORMAT_VERSION,
        });
    }
    Ok(())
}

/// Reads a document. To know the place of an error costs time, so it is looked for only when there is
/// one.
fn parse(bytes: &[u8]) -> Result<Bundle, LoadError> {
    let quick: Result<Bundle, _> = serde_json::from_slice(bytes);
    match quick {
        Ok(bundle) if bundle.format == FORMAT && bundle.format_version == FORMAT_VERSION => Ok(bundle),
        _ => {
            drop(quick);
            check_header(bytes)?;
            parse_with_places(bytes)
        }
    }
}

fn parse_with_places(bytes: &[u8]) -> Result<Bundle, LoadError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let bundle = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = one_line(&error.path().to_string());
        let inner = error.into_inner();
        if inner.is_data() {
            LoadError::Shape { place, problem: one_line(&inner.to_string()) }
        } else if place == "." {
            syntax(&inner)
        } else {
            LoadError::Syntax { problem: one_line(&format!("in {place}: {inner}")) }
        }
    })?;
    reader.end().map_err(|e| syntax(&e))?;
    Ok(bundle)
}
