//! What can be wrong with a bundle, and what can be wrong with an answer.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a bundle is refused. The message names the place in the document and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// More bytes than any bundle may have; nothing of it was read.
    #[error(
        "the bundle has {bytes} bytes and at most {limit} are accepted: fewer or shallower trees, or fewer golden vectors, make it smaller"
    )]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is accepted.
        limit: usize,
    },
    /// Not JSON at all, or JSON that ends too early or nests too deep.
    #[error(
        "the bundle cannot be read as JSON: {problem}; check that the whole file arrived (compare its SHA-256 with the publisher's)"
    )]
    Syntax {
        /// What the parser met, with line and column.
        problem: String,
    },
    /// JSON, but it does not say that it is a bundle.
    #[error("format: {found} is not \"vereda-bundle\"; give the file that the training script wrote")]
    NotABundle {
        /// What stands in `format`.
        found: String,
    },
    /// A bundle of a format that this version does not know.
    #[error(
        "format_version: the bundle has format {found} and this program reads format {supported}; update the program, or write the bundle again for format {supported}"
    )]
    FormatVersion {
        /// What stands in `format_version`.
        found: String,
        /// [`crate::bundle::FORMAT_VERSION`].
        supported: u32,
    },
    /// A field that is absent, unknown, or of the wrong type.
    #[error("{place}: {problem}; docs/BUNDLE.md says what belongs there")]
    Shape {
        /// Path of the field, such as `schema.features[3].kind`.
        place: String,
        /// What the parser met, with line and column.
        problem: String,
    },
    /// A value that contradicts the format's rules.
    #[error("{place}: {problem}; {mend}")]
    Invalid {
        /// Path of the value, such as `estimator.trees[12].nodes[4]`.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
    /// This evaluation and the training library disagree: the model would not be the one trained.
    #[error(
        "{place}: the training library gave {expected}, this evaluation gives {found}; export the model again, and do not use this file"
    )]
    Golden {
        /// Path of the expectation, such as `golden[0].margin_bits`.
        place: String,
        /// What the bundle says.
        expected: String,
        /// What came out.
        found: String,
    },
}

impl LoadError {
    /// A name for programs, which does not change with the wording.
    pub fn code(&self) -> &'static str {
        match self {
            LoadError::TooLarge { .. } => "bundle_too_large",
            LoadError::Syntax { .. } => "bundle_syntax",
            LoadError::NotABundle { .. } => "bundle_not_a_bundle",
            LoadError::FormatVersion { .. } => "bundle_format_version",
            LoadError::Shape { .. } => "bundle_shape",
            LoadError::Invalid { .. } => "bundle_invalid",
            LoadError::Golden { .. } => "bundle_golden",
        }
    }

    /// Where in the document; empty when the document as a whole is at fault.
    pub fn place(&self) -> &str {
        match self {
            LoadError::TooLarge { .. } | LoadError::Syntax { .. } => "",
            LoadError::NotABundle { .. } => "format",
            LoadError::FormatVersion { .. } => "format_version",
            LoadError::Shape { place, .. }
            | LoadError::Invalid { place, .. }
            | LoadError::Golden { place, .. } => place,
        }
    }
}

/// Numbers that do not make whole rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{numbers} numbers do not make whole rows of {width}; give one number for each feature of the schema"
)]
pub struct RowsError {
    /// How many were given.
    pub numbers: usize,
    /// How many a row has.
    pub width: usize,
}

/// One answer that the schema does not accept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The feature's name (or the unknown name that was given).
    pub field: String,
    /// What is wrong with the answer.
    pub problem: FieldProblem,
}

/// What is wrong with an answer, with what would be accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum FieldProblem {
    /// There is no answer and the model needs one.
    Required,
    /// An answer of another kind.
    WrongType {
        /// The kind that is asked for.
        expected: ExpectedType,
    },
    /// A number outside the range, whose ends are accepted.
    OutOfRange {
        /// Smallest accepted.
        min: f64,
        /// Largest accepted.
        max: f64,
    },
    /// A code that is none of the options.
    NotAnOption {
        /// The codes that are.
        allowed: Vec<String>,
    },
    /// Infinite or not a number.
    NotFinite,
    /// The model has no such feature.
    Unknown,
}

/// The kind of answer that a feature takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExpectedType {
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// The code of an option.
    Category,
    /// Yes or no.
    Boolean,
}

impl fmt::Display for ExpectedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExpectedType::Number => "a number",
            ExpectedType::Integer => "a whole number",
            ExpectedType::Category => "the code of an option",
            ExpectedType::Boolean => "true or false",
        })
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldProblem::Required => f.write_str("an answer is required"),
            FieldProblem::WrongType { expected } => write!(f, "must be {expected}"),
            FieldProblem::OutOfRange { min, max } => write!(f, "must be between {min} and {max}"),
            FieldProblem::NotAnOption { allowed } => write!(f, "must be one of {}", allowed.join(", ")),
            FieldProblem::NotFinite => f.write_str("must be a finite number"),
            FieldProblem::Unknown => f.write_str("is not a feature of this model"),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for FieldError {}

/// Inputs that a model cannot score: everything that is wrong with them, not only the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputError {
    /// In the order of the schema, unknown names last; never empty.
    pub errors: Vec<FieldError>,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the inputs cannot be scored: ")?;
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for InputError {}
