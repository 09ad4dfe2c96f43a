//! Models of other libraries, read into estimators.
//!
//! An importer takes the bytes of a model file and gives an [`Imported`]: the estimator, numbered by
//! the model's own columns, and what the model knows about those columns. [`Imported::schema`]
//! derives a schema from that, with marked placeholders for what no model knows (questions, help,
//! sections); [`Imported::bind`] puts the estimator under a schema that a person has written.
//!
//! Importers are pure and bounded: no bytes make them panic, loop, or take memory out of proportion
//! to the file. What they do not know to be the same model they refuse by name.

mod derive;
mod draft;
mod error;
pub mod lightgbm;
pub mod scorecard;
pub mod sklearn;
pub mod xgboost;

pub use derive::{Mark, PLACEHOLDER, Placement};
pub use draft::DEFAULT_CUTS;
pub use error::ImportError;

use crate::bundle::{Calibration, Estimator, Unseen};
use std::collections::BTreeMap;

/// The most bytes a model file may have.
pub const MAX_MODEL_BYTES: usize = 256 * 1024 * 1024;

/// What an importer is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Which iterations of an early-stopped model count.
    pub iterations: Iterations,
    /// By the model's column name, the options of a category in the order of the model's codes
    /// (option 0 is code 0). For models that number their categories without naming them.
    pub categories: BTreeMap<String, Vec<String>>,
}

/// Which iterations of an early-stopped model count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Iterations {
    /// Up to the best one, as the libraries' scikit-learn wrappers predict.
    #[default]
    Best,
    /// All that were saved, as `Booster.predict` does.
    All,
}

/// A model that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The library and its version, such as `XGBoost 3.2.0`.
    pub library: String,
    /// The estimator. Feature indices count [`Imported::columns`]; feature names are
    /// [`Column::name`].
    pub estimator: Estimator,
    /// What the model itself does to its margin ([`Calibration::None`] for most).
    pub calibration: Calibration,
    /// The model's columns, in the model's order.
    pub columns: Vec<Column>,
    /// How closely the library's margins and the bundle's agree.
    pub agreement: Agreement,
    /// What was decided while reading, each a sentence for a person (in English, for the terminal
    /// and the notes of whoever imports).
    pub notes: Vec<String>,
}

/// How closely a library's margins and a bundle's agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// To the bit: both add the same numbers in the same order.
    Bits,
    /// Within the rounding of the sum: the library adds in an order of its own (BLAS).
    Rounding,
}

/// One input of a model, as far as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What the model calls it: a column of the training data.
    pub column: String,
    /// The name that it has in a bundle, made from `column` (see [`Column::named`]).
    pub name: String,
    /// What kind of answer it takes.
    pub kind: ColumnKind,
    /// Whether the model says what a missing value means. Libraries of trees always do.
    pub missing: bool,
}

/// What a model knows about the values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnKind {
    /// A number. The numbers that the model compares with lie in this range, if it compares at all.
    Number {
        /// Smallest and largest number that the model tells apart.
        compared: Option<(f64, f64)>,
    },
    /// A whole number.
    Integer {
        /// As for [`ColumnKind::Number`].
        compared: Option<(f64, f64)>,
    },
    /// 0 or 1.
    Boolean,
    /// One of some options; the option's index is the code that the estimator sees.
    Category {
        /// In the order of the codes.
        options: Vec<String>,
        /// Whether the model names them. Otherwise they are numbered from 0, as many as the model
        /// mentions, and a schema may name them and add more at the end.
        named: bool,
        /// What a text that is none of them means to the model.
        unseen: Unseen,
    },
}

impl Column {
    /// A column with the bundle name made from its own: lower-case words joined by `_`, at most 64
    /// bytes. [`columns`] makes the names unique.
    pub(crate) fn named(column: &str, kind: ColumnKind, missing: bool) -> Column {
        Column { column: column.to_owned(), name: derive::name(column), kind, missing }
    }
}

/// Columns whose bundle names differ: a repeated name gets a number.
pub(crate) fn unique(mut columns: Vec<Column>) -> Vec<Column> {
    let mut seen = BTreeMap::new();
    for column in &mut columns {
        let base = column.name.clone();
        let mut number = 1;
        while seen.insert(column.name.clone(), ()).is_some() {
            number += 1;
            let suffix = format!("_{number}");
            let room = 64usize.saturating_sub(suffix.len());
            column.name = base.chars().take(room).collect::<String>().trim_end_matches('_').to_owned();
            column.name.push_str(&suffix);
        }
    }
    columns
}
