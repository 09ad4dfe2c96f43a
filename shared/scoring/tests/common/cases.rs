//! Cases: models of other libraries with what those libraries say about rows.
//!
//! A case is one file: a line of JSON, the bytes of the model, then little-endian doubles: the rows
//! (NaN is missing, a category is its code), the margins, the PDs, and for the first rows the
//! contributions with the bias last. `models/peers/*_cases.py` write them.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vereda_scoring::import::{Agreement, Imported, Iterations, Options};
use vereda_scoring::{LoadError, Model};

#[derive(Debug, Deserialize)]
pub struct Header {
    pub name: String,
    pub library: String,
    pub format: String,
    pub iterations: String,
    pub model_bytes: usize,
    pub rows: usize,
    pub columns: usize,
    pub explained: usize,
    /// How many levels each category was trained with; 0 for other columns, and where the model
    /// knows them itself.
    pub levels: Vec<usize>,
    pub trees: usize,
}

pub struct Case {
    pub header: Header,
    pub model: Vec<u8>,
    pub rows: Vec<f64>,
    pub margins: Vec<f64>,
    pub probabilities: Vec<f64>,
    pub contributions: Vec<f64>,
}

impl Case {
    pub fn read(path: &Path) -> Case {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let end = bytes.iter().position(|&b| b == b'\n').unwrap();
        let header: Header = serde_json::from_slice(&bytes[..end]).unwrap();
        let mut at = end + 1;
        let model = bytes[at..at + header.model_bytes].to_vec();
        at += header.model_bytes;
        let mut doubles = |count: usize| -> Vec<f64> {
            let taken = &bytes[at..at + 8 * count];
            at += 8 * count;
            taken.chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()
        };
        let rows = doubles(header.rows * header.columns);
        let (margins, probabilities) = (doubles(header.rows), doubles(header.rows));
        let contributions = doubles(header.explained * (header.columns + 1));
        assert_eq!(at, bytes.len(), "{}", path.display());
        Case { header, model, rows, margins, probabilities, contributions }
    }

    pub fn options(&self) -> Options {
        let iterations = if self.header.iterations == "best" { Iterations::Best } else { Iterations::All };
        Options { iterations, categories: BTreeMap::new() }
    }

    /// The model as a draft under the schema that it implies. An error is a model with parts that no
    /// bundle accepts: log-odds of millions, which separable data and no regularisation give.
    pub fn import(
        &self,
        read: impl FnOnce(&[u8], &Options) -> Imported,
    ) -> Result<(Imported, Model), LoadError> {
        let imported = read(&self.model, &self.options());
        let bundle = imported.draft(imported.schema(), &imported.placements()).unwrap();
        match Model::draft(bundle) {
            Ok(model) => Ok((imported, model)),
            Err(error) if error.to_string().contains("is not within -1e6 and 1e6") => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// Compares everything with what the library said.
    pub fn compare(&self, agreement: Agreement, model: &Model) -> Compared {
        let mut compared = Compared { models: 1, rows: self.header.rows, ..Compared::default() };
        let margins = model.margins(&self.rows).unwrap();
        for (i, (&found, &expected)) in margins.iter().zip(&self.margins).enumerate() {
            let same = match agreement {
                Agreement::Bits => found.to_bits() == expected.to_bits(),
                Agreement::Rounding => (found - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
            };
            if !same {
                compared.margins += 1;
                compared.first.get_or_insert_with(|| format!("row {i}: margin {found} is not {expected}"));
            }
            let probability = model.probability(expected);
            if ulps(probability, self.probabilities[i]) > 1 && self.probabilities[i] < 1.0 {
                compared.probabilities += 1;
                let wanted = self.probabilities[i];
                compared.first.get_or_insert_with(|| format!("row {i}: PD {probability} is not {wanted}"));
            }
        }
        let width = self.header.columns;
        let explained = self.header.explained;
        let found = model.contributions(&self.rows[..explained * width]).unwrap();
        compared.explained = explained;
        for i in 0..explained {
            let (found, expected) = (
                &found[i * (width + 1)..(i + 1) * (width + 1)],
                &self.contributions[i * (width + 1)..(i + 1) * (width + 1)],
            );
            let size: f64 = expected.iter().map(|x| x.abs()).sum::<f64>().max(1.0);
            // XGBoost averages the trees in f32: its bias is not known better than by what its contributions
            // miss of its own margin. Those of features must agree all the same.
            let missed = (expected.iter().sum::<f64>() - self.margins[i]).abs() / size;
            compared.missed += usize::from(missed > 1e-5);
            for (feature, (a, b)) in found.iter().zip(expected).enumerate() {
                let error = (a - b).abs() / size;
                compared.worst_contribution = compared.worst_contribution.max(error);
                let allowed = if feature == width { 1e-5 + missed } else { 1e-5 };
                if error.is_nan() || error > allowed {
                    compared.contributions += 1;
                    compared.first.get_or_insert_with(|| {
                        format!("row {i}: the contribution of feature {feature} is {a}, not {b}")
                    });
                }
            }
            let sum: f64 = found.iter().sum();
            let error = (sum - margins[i]).abs() / margins[i].abs().max(1.0);
            compared.worst_sum = compared.worst_sum.max(error);
            if error.is_nan() || error > 1e-6 {
                compared.sums += 1;
                compared.first.get_or_insert_with(|| format!("row {i}: contributions add up to {sum}"));
            }
        }
        compared
    }
}

/// What was compared, and how much of it differed.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    pub models: usize,
    /// Models that no bundle accepts.
    pub refused: usize,
    pub rows: usize,
    pub explained: usize,
    pub margins: usize,
    pub probabilities: usize,
    pub contributions: usize,
    pub sums: usize,
    /// Rows whose contributions, as the library gives them, miss its own margin by more than 1e-5.
    pub missed: usize,
    /// Largest difference, as a share of the row's contributions (at least 1).
    pub worst_contribution: f64,
    pub worst_sum: f64,
    pub first: Option<String>,
}

impl Compared {
    pub fn mismatches(&self) -> usize {
        self.margins + self.probabilities + self.contributions + self.sums
    }

    pub fn add(&mut self, other: Compared) {
        self.models += other.models;
        self.refused += other.refused;
        self.rows += other.rows;
        self.explained += other.explained;
        self.missed += other.missed;
        self.margins += other.margins;
        self.probabilities += other.probabilities;
        self.contributions += other.contributions;
        self.sums += other.sums;
        self.worst_contribution = self.worst_contribution.max(other.worst_contribution);
        self.worst_sum = self.worst_sum.max(other.worst_sum);
        self.first = self.first.take().or(other.first);
    }
}

/// How many doubles lie between two positive ones.
fn ulps(a: f64, b: f64) -> u64 {
    a.to_bits().abs_diff(b.to_bits())
}

/// The cases in a folder whose names begin as given, in order.
pub fn in_folder(folder: &Path, begin: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "case"))
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begin))
        .collect();
    paths.sort();
    paths
}
