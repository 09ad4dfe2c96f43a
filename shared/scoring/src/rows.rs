//! Rows of numbers: scoring tables without a map per row.
//!
//! A row has one f64 for every feature of the schema, in its order: the number; for a category the
//! option's index from 0; 1 or 0 for a boolean; NaN for a missing answer. [`Model::encode_cell`] makes
//! one from text and validates it; the functions over rows do not validate. They take any f64, the
//! infinities and denormal numbers too, and give what the training library gives.

use crate::bundle::{Feature, Kind, Unseen};
use crate::error::{ExpectedType, FieldProblem, RowsError};
use crate::model::{Model, encode_value};
use crate::value::Value;

impl Model {
    /// How many numbers a row has.
    pub fn width(&self) -> usize {
        self.bundle().schema.features.len()
    }

    /// The margin of each row; `rows` has [`Model::width`] numbers per row, row after row. The same
    /// bits as one by one, much faster from some hundred rows on.
    ///
    /// ```
    /// # use vereda_scoring::Model;
    /// # let bytes = include_bytes!("../../../models/bundles/reference-boosted-2.json");
    /// let model = Model::load(bytes)?;
    /// let mut rows = vec![0.0; 3 * model.width()];
    /// rows[0] = 1000.0; // amount, of the first row
    /// rows[3] = f64::NAN; // job, missing
    /// let margins = model.margins(&rows)?;
    /// assert_eq!(margins.len(), 3);
    /// let probability = model.probability(margins[0]);
    /// assert!(probability > 0.0 && probability < 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RowsError`] if the numbers do not make whole rows.
    pub fn margins(&self, rows: &[f64]) -> Result<Vec<f64>, RowsError> {
        let mut out = Vec::new();
        self.margins_into(rows, &mut out)?;
        Ok(out)
    }

    /// As [`Model::margins`], added to the end of `out`.
    ///
    /// # Errors
    /// [`RowsError`] if the numbers do not make whole rows; nothing is added.
    pub fn margins_into(&self, rows: &[f64], out: &mut Vec<f64>) -> Result<(), RowsError> {
        let width = self.whole(rows)?;
        out.reserve(rows.len() / width);
        match rows.len() / width {
            // Not worth a block.
            1 => out.push(self.plan().margin(rows)),
            _ => self.plan().margins(rows, width, out),
        }
        Ok(())
    }

    /// How far each feature moves the margin of each row, in log-odds: [`Model::width`] numbers and
    /// then the bias, which makes the sum the margin, row after row.
    ///
    /// # Errors
    /// [`RowsError`] if the numbers do not make whole rows.
    pub fn contributions(&self, rows: &[f64]) -> Result<Vec<f64>, RowsError> {
        let width = self.whole(rows)?;
        let margins = self.margins(rows)?;
        let mut out = vec![0.0; margins.len() * (width + 1)];
        for ((row, margin), out) in rows.chunks_exact(width).zip(margins).zip(out.chunks_exact_mut(width + 1))
        {
            if let Some((bias, values)) = out.split_last_mut() {
                self.plan().contributions(row, values);
                *bias = margin - values.iter().sum::<f64>();
            }
        }
        Ok(out)
    }

    /// One cell of a table, validated as the schema says. Empty, `NA` and `NaN` are missing, in any
    /// case of letters; a boolean is `1`, `0`, `true` or `false`; a category is an option's code.
    ///
    /// # Errors
    /// What is wrong with it and what would be accepted.
    pub fn encode_cell(&self, feature: usize, text: &str) -> Result<f64, FieldProblem> {
        let Some(feature) = self.bundle().schema.features.get(feature) else {
            return Err(FieldProblem::Unknown);
        };
        if ["", "na", "nan"].iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
            return encode_value(feature, &Value::Missing);
        }
        let wrong = |expected| FieldProblem::WrongType { expected };
        match &feature.kind {
            Kind::Number { .. } => {
                let number = text.parse().map_err(|_| wrong(ExpectedType::Number))?;
                encode_value(feature, &Value::Number(number))
            }
            Kind::Integer { .. } => {
                let number = text.parse().map_err(|_| wrong(ExpectedType::Integer))?;
                encode_value(feature, &Value::Number(number))
            }
            Kind::Boolean => match text {
                "1" => Ok(1.0),
                "0" => Ok(0.0),
                _ if text.eq_ignore_ascii_case("true") => Ok(1.0),
                _ if text.eq_ignore_ascii_case("false") => Ok(0.0),
                _ => Err(wrong(ExpectedType::Boolean)),
            },
            Kind::Category { .. } => encode_option(feature, text),
        }
    }

    /// The width, if the numbers make whole rows.
    fn whole(&self, rows: &[f64]) -> Result<usize, RowsError> {
        let width = self.width();
        if rows.len().is_multiple_of(width) {
            Ok(width)
        } else {
            Err(RowsError { numbers: rows.len(), width })
        }
    }
}

/// The index of an option's code; NaN where the schema takes an unknown one for a missing answer.
pub(crate) fn encode_option(feature: &Feature, code: &str) -> Result<f64, FieldProblem> {
    let Kind::Category { options, unseen } = &feature.kind else {
        return Err(FieldProblem::WrongType { expected: ExpectedType::Category });
    };
    match (options.iter().position(|option| option.code == code), unseen) {
        (Some(index), _) => Ok(index as f64),
        (None, Unseen::Missing) => Ok(f64::NAN),
        (None, Unseen::Last) => Ok(options.len().saturating_sub(1) as f64),
        (None, Unseen::Refuse) => Err(FieldProblem::NotAnOption {
            allowed: options.iter().map(|option| option.code.clone()).collect(),
        }),
    }
}
