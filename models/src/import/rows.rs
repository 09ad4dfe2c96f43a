//! Rows that come with a model: what they say about its reference, its groups and its golden vectors.

use super::calibrate::Observed;
use crate::Error;
use crate::applicants::{self, BadCell, Reject};
use crate::table::{Line, Table};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vereda_scoring::bundle::{
    Bundle, CalibrationRow, Distribution, Estimator, Feature, Golden, Group, Kind, Metric, TreeArithmetic,
};
use vereda_scoring::figures::{Outcome, figures, jeffreys};
use vereda_scoring::import::{Agreement, Placement};
use vereda_scoring::{Inputs, Model};

/// How many golden vectors are kept of those that agree.
const GOLDEN: usize = 100;

/// A table of applicants, read whole.
pub struct Rows {
    path: PathBuf,
    /// One per row.
    inputs: Vec<Inputs>,
    /// One f64 per feature and row, as the estimator sees them.
    encoded: Vec<f64>,
    /// The text of the column that was asked for beside the features, by row.
    beside: Vec<String>,
}

impl Rows {
    /// Reads a table whose columns are named as the bundle's features or as the model's columns, and
    /// one more column if it is named.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Csv`], [`Error::Columns`], [`Error::RepeatedColumn`],
    /// [`Error::NoColumn`], and [`Error::Row`] for a row that the schema does not accept.
    pub fn read(
        model: &Model,
        placements: &[Placement],
        path: &Path,
        beside: Option<&str>,
    ) -> Result<Rows, Error> {
        let mut table = Table::open(path)?;
        let columns = columns(model, placements, &table)?;
        let extra = beside.map(|name| table.column(name)).transpose()?;
        let mut rows =
            Rows { path: path.to_owned(), inputs: Vec::new(), encoded: Vec::new(), beside: Vec::new() };
        while let Some(chunk) = table.chunk()? {
            for line in &chunk.lines {
                let reject = |cells| Error::Row {
                    path: path.to_owned(),
                    reject: Reject { row: line.row, line: line.line, cells },
                };
                let (inputs, encoded) = row(model, &columns, line).map_err(reject)?;
                rows.inputs.push(inputs);
                rows.encoded.extend(encoded);
                if let Some(extra) = extra {
                    rows.beside.push(applicants::text(line, extra).into_owned());
                }
            }
        }
        if rows.inputs.is_empty() {
            return Err(rows.refuse("it has no rows".to_owned()));
        }
        Ok(rows)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    fn refuse(&self, problem: String) -> Error {
        Error::Rows { path: self.path.clone(), problem }
    }

    fn margins(&self, model: &Model) -> Result<Vec<f64>, Error> {
        model.margins(&self.encoded).map_err(|error| self.refuse(error.to_string()))
    }

    /// The margins with what happened, as the column that was read says.
    ///
    /// # Errors
    /// [`Error::Row`] for a cell that is neither yes nor no.
    pub fn observed(&self, model: &Model, target: &str) -> Result<Vec<Observed>, Error> {
        let margins = self.margins(model)?;
        let mut observed = Vec::with_capacity(margins.len());
        for (i, (margin, cell)) in margins.into_iter().zip(&self.beside).enumerate() {
            let bad = applicants::yes_or_no(cell)
                .ok_or_else(|| self.bad_cell(i, target, cell, "must be 1 for a default or 0 for none"))?;
            observed.push(Observed { margin, bad });
        }
        Ok(observed)
    }

    fn bad_cell(&self, index: usize, column: &str, value: &str, problem: &str) -> Error {
        let cell =
            BadCell { column: column.to_owned(), value: value.to_owned(), problem: problem.to_owned() };
        let row = index as u64 + 1;
        Error::Row { path: self.path.clone(), reject: Reject { row, line: row + 1, cells: vec![cell] } }
    }

    /// Seven PDs that cut the rows into eight groups as even as their ties allow; none if there are
    /// fewer than eight different PDs.
    pub fn cuts(&self, model: &Model) -> Result<Option<Vec<f64>>, Error> {
        let mut pds: Vec<f64> =
            self.margins(model)?.into_iter().map(|margin| model.probability(margin)).collect();
        pds.sort_by(f64::total_cmp);
        let mut distinct = pds.clone();
        distinct.dedup();
        if distinct.len() < 8 {
            return Ok(None);
        }
        let mut cuts: Vec<f64> = Vec::with_capacity(7);
        for k in 1..8usize {
            // A PD equal to a cut is in the riskier group, so a cut above the smallest PD leaves no
            // group empty, as long as cuts differ and enough PDs are left for those to come.
            let wanted = pds.get(k * pds.len() / 8).copied().unwrap_or(1.0);
            let place = distinct.partition_point(|pd| *pd < wanted);
            let least = cuts.last().map_or(1, |last| distinct.partition_point(|pd| pd <= last));
            let most = distinct.len() - (8 - k);
            cuts.extend(distinct.get(place.clamp(least, most)));
        }
        Ok(Some(cuts))
    }

    /// Puts what the rows say into the bundle's reference. `model` is a draft of the same bundle
    /// with its final calibration and groups, and mean parts of 0.
    pub fn reference(&self, model: &Model, bundle: &mut Bundle) -> Result<(), Error> {
        let rows = self.count();
        let width = bundle.schema.features.len();
        let column = |i: usize| -> Vec<f64> { self.encoded.iter().skip(i).step_by(width).copied().collect() };
        let pds: Vec<f64> =
            self.margins(model)?.into_iter().map(|margin| model.probability(margin)).collect();
        let mut counts = [0usize; 8];
        for pd in &pds {
            if let Some(count) = counts.get_mut(model.group(*pd).index()) {
                *count += 1;
            }
        }
        let reference = &mut bundle.reference;
        reference.rows = rows as u64;
        reference.features = bundle
            .schema
            .features
            .iter()
            .enumerate()
            .map(|(i, feature)| (feature.name.clone(), distribution(feature, &column(i))))
            .collect();
        reference.score = numeric(&pds);
        reference.group_shares = counts.iter().map(|count| *count as f64 / rows as f64).collect();
        if !reference.mean_parts.is_empty() {
            let contributions =
                model.contributions(&self.encoded).map_err(|error| self.refuse(error.to_string()))?;
            for (i, feature) in bundle.schema.features.iter().enumerate() {
                if let Some(mean) = reference.mean_parts.get_mut(&feature.name) {
                    let parts = contributions.iter().skip(i).step_by(width + 1);
                    *mean = parts.sum::<f64>() / rows as f64;
                }
            }
        }
        Ok(())
    }

    /// Golden vectors of the library's own margins, which stand in the column that was read. Every row
    /// is compared; some are kept. Returns how many were compared.
    ///
    /// # Errors
    /// [`Error::Row`] at the first row where this evaluation and the library disagree.
    pub fn golden(
        &self,
        model: &Model,
        agreement: Agreement,
        column: &str,
    ) -> Result<(Vec<Golden>, usize), Error> {
        let single = match &model.bundle().estimator {
            Estimator::TreeEnsemble(ensemble) => ensemble.arithmetic == TreeArithmetic::Xgboost,
            Estimator::Linear { .. } => true,
            Estimator::Logistic { .. } => false,
        };
        let margins = self.margins(model)?;
        for (i, (&ours, cell)) in margins.iter().zip(&self.beside).enumerate() {
            // An f32 that was written with few digits is the f32 nearest to them.
            let theirs = if single { cell.parse().map(|x: f32| f64::from(x)) } else { cell.parse::<f64>() };
            let theirs = theirs.map_err(|_| self.bad_cell(i, column, cell, "must be a number"))?;
            let same = match agreement {
                Agreement::Bits => ours == theirs,
                Agreement::Rounding => (ours - theirs).abs() <= 1e-9 * ours.abs().max(1.0),
            };
            if !same {
                let problem = format!(
                    "the training library's margin differs from this evaluation's, {ours}: export the model \
                     and its margins (output_margin=True, all digits) from the same training"
                );
                return Err(self.bad_cell(i, column, cell, &problem));
            }
        }
        let step = self.count().div_ceil(GOLDEN);
        let kept = self.inputs.iter().zip(&margins).step_by(step.max(1));
        Ok((kept.map(|(inputs, margin)| vector(model, inputs, *margin)).collect(), self.count()))
    }

    /// Golden vectors of this evaluation's own margins over rows spread over the table.
    pub fn own_golden(&self, model: &Model) -> Result<Vec<Golden>, Error> {
        let margins = self.margins(model)?;
        let step = self.count().div_ceil(GOLDEN);
        let kept = self.inputs.iter().zip(&margins).step_by(step.max(1));
        Ok(kept.map(|(inputs, margin)| vector(model, inputs, *margin)).collect())
    }
}

/// Figures and calibration per group, for the card.
pub fn card(model: &Model, observed: &[Observed], method: &str) -> (Vec<Metric>, Vec<CalibrationRow>) {
    let outcomes: Vec<Outcome> =
        observed.iter().map(|row| Outcome { pd: model.probability(row.margin), bad: row.bad }).collect();
    let metrics = figures(&outcomes).map_or(Vec::new(), |figures| {
        [
            ("auc", figures.auc),
            ("ks", figures.ks),
            ("gini", figures.gini),
            ("brier", figures.brier),
            ("log_loss", figures.log_loss),
        ]
        .map(|(name, value)| Metric {
            name: name.to_owned(),
            value,
            deviation: None,
            method: method.to_owned(),
        })
        .to_vec()
    });
    let mut rows = Vec::new();
    for group in Group::ALL {
        let within: Vec<&Outcome> = outcomes.iter().filter(|o| model.group(o.pd) == group).collect();
        if within.is_empty() {
            continue;
        }
        let bads = within.iter().filter(|outcome| outcome.bad).count() as u64;
        let count = within.len() as u64;
        rows.push(CalibrationRow {
            group,
            rows: count,
            bads,
            predicted: within.iter().map(|outcome| outcome.pd).sum::<f64>() / count as f64,
            observed: bads as f64 / count as f64,
            interval: jeffreys(bads, count),
        });
    }
    (metrics, rows)
}

/// Golden vectors where there are no rows: every feature at its ends, in its middle and missing, and
/// mixtures of these, all computed here.
pub fn made_up(model: &Model) -> Vec<Golden> {
    let features = &model.bundle().schema.features;
    let mut state = 1u64;
    let mut golden = Vec::new();
    for turn in 0..24usize {
        let mut inputs = Inputs::new();
        for feature in features {
            // Knuth's MMIX constants: the same rows on every run.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = if turn < 4 { turn } else { (state >> 33) as usize % 4 };
            inputs.insert(feature.name.clone(), at(feature, choice));
        }
        if let Ok(margin) = model.margin(&inputs) {
            golden.push(vector(model, &inputs, margin));
        }
    }
    golden
}

/// The lowest answer, the highest, one between, or none.
fn at(feature: &Feature, choice: usize) -> vereda_scoring::Value {
    use vereda_scoring::Value;
    match (choice, &feature.kind) {
        (3, _) if feature.missing_allowed => Value::Missing,
        (0 | 3, Kind::Number { min, .. }) => Value::Number(*min),
        (1, Kind::Number { max, .. }) => Value::Number(*max),
        (_, Kind::Number { min, max, .. }) => Value::Number(min / 2.0 + max / 2.0),
        (0 | 3, Kind::Integer { min, .. }) => Value::Number(*min as f64),
        (1, Kind::Integer { max, .. }) => Value::Number(*max as f64),
        (_, Kind::Integer { min, max, .. }) => Value::Number((min / 2 + max / 2) as f64),
        (choice, Kind::Boolean) => Value::Boolean(choice == 1),
        (choice, Kind::Category { options, .. }) => {
            let index = if choice == 1 { options.len() - 1 } else { options.len() / 2 * (choice / 2) };
            options.get(index).map_or(Value::Missing, |option| Value::Category(option.code.clone()))
        }
    }
}

fn vector(model: &Model, inputs: &Inputs, margin: f64) -> Golden {
    let probability = model.probability(margin);
    Golden {
        inputs: inputs.clone(),
        margin_bits: format!("{:016x}", margin.to_bits()),
        probability,
        group: model.group(probability),
    }
}

/// Each feature's column, under its own name or the model's.
fn columns(model: &Model, placements: &[Placement], table: &Table) -> Result<Vec<usize>, Error> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for feature in &model.bundle().schema.features {
        let placed = placements.iter().find(|placement| placement.feature == feature.name);
        let mut place = table.find(&feature.name)?;
        if let (None, Some(placement)) = (place, placed) {
            place = table.find(&placement.column)?;
        }
        match place {
            Some(column) => found.push(column),
            None => absent.push(feature.name.clone()),
        }
    }
    if absent.is_empty() {
        return Ok(found);
    }
    let expected = model.bundle().schema.features.iter().map(|feature| feature.name.clone()).collect();
    Err(Error::Columns { path: table.path().to_owned(), columns: absent, expected })
}

type Row = (Inputs, Vec<f64>);

fn row(model: &Model, columns: &[usize], line: &Line) -> Result<Row, Vec<BadCell>> {
    let mut inputs = Inputs::new();
    for (feature, &column) in model.bundle().schema.features.iter().zip(columns) {
        inputs.insert(feature.name.clone(), applicants::value(feature, &applicants::text(line, column)));
    }
    let encoded = model.encode(&inputs).map_err(|error| {
        let cell = |error: vereda_scoring::FieldError| {
            let place = model.bundle().schema.features.iter().position(|f| f.name == error.field);
            let column = place.and_then(|place| columns.get(place)).copied();
            BadCell {
                value: column.map_or(String::new(), |column| applicants::text(line, column).into_owned()),
                column: error.field,
                problem: error.problem.to_string(),
            }
        };
        error.errors.into_iter().map(cell).collect::<Vec<_>>()
    })?;
    Ok((inputs, encoded))
}

fn distribution(feature: &Feature, values: &[f64]) -> Distribution {
    let codes: Vec<&str> = match &feature.kind {
        Kind::Number { .. } | Kind::Integer { .. } => return numeric(values),
        Kind::Category { options, .. } => options.iter().map(|option| option.code.as_str()).collect(),
        Kind::Boolean => vec!["false", "true"],
    };
    let rows = values.len() as f64;
    let share = |index: usize| values.iter().filter(|x| **x == index as f64).count() as f64 / rows;
    let shares: BTreeMap<String, f64> =
        codes.iter().enumerate().map(|(index, code)| ((*code).to_owned(), share(index))).collect();
    Distribution::Categorical { shares, missing: values.iter().filter(|x| x.is_nan()).count() as f64 / rows }
}

/// Deciles, as far as they differ.
fn numeric(values: &[f64]) -> Distribution {
    let rows = values.len() as f64;
    let mut known: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    known.sort_by(f64::total_cmp);
    let largest = known.last().copied().unwrap_or_default();
    let mut edges: Vec<f64> = (1..10)
        .filter_map(|k| known.get(k * known.len() / 10).copied())
        .filter(|edge| *edge < largest)
        .collect();
    edges.dedup();
    let mut shares = vec![0.0; edges.len() + 1];
    for x in &known {
        if let Some(share) = shares.get_mut(edges.partition_point(|edge| edge < x)) {
            *share += 1.0;
        }
    }
    for share in &mut shares {
        *share /= rows;
    }
    Distribution::Numeric { edges, shares, missing: (values.len() - known.len()) as f64 / rows }
}
