//! What a model says about one applicant.

use crate::bundle::{Group, Text};
use serde::{Deserialize, Serialize};

/// Which model, to the byte: what an assessment records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ModelRef {
    /// [`crate::Bundle::id`].
    pub id: String,
    /// [`crate::Bundle::version`].
    pub version: u32,
    /// SHA-256 of the bundle's bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// The answer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Log-odds of default before calibration.
    pub margin: f64,
    /// Probability of default, strictly inside (0, 1).
    pub probability: f64,
    /// T1 (lowest PD) to T8.
    pub group: Group,
    /// The margin that the contributions are measured against: the mean over the training data. With
    /// the contributions it adds up to the margin; for f32 models it takes in the rounding of their
    /// sums, so it may differ between applicants in the sixth decimal.
    pub bias: f64,
    /// One per scored feature, in the order of the schema.
    pub contributions: Vec<Contribution>,
    /// The main contributions in words, by the bundle's policy: those that raise the risk against its
    /// baseline first, largest first, as many as it allows; then, up to its maximum, those that lower
    /// it, largest first.
    pub reasons: Vec<Reason>,
}

/// How far one feature moves the margin away from the bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Contribution {
    /// The feature's name.
    pub feature: String,
    /// Log-odds; above 0 raises the risk.
    pub value: f64,
}

/// The points of a scorecard that one feature cost an applicant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsLost {
    /// The feature's name.
    pub feature: String,
    /// Points that the best answer would have had more, 0 or above.
    pub against_best: f64,
    /// Points that the reference population has more on average; below 0 if it has fewer.
    pub against_mean: f64,
}

/// One of the main contributions, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Reason {
    /// The feature's name.
    pub feature: String,
    /// Log-odds against the bundle's baseline; above 0 raises the risk.
    pub contribution: f64,
    /// The bundle's sentence for this feature and this sign.
    pub text: Text,
}

/// What can be said about a form that is still being filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Estimate {
    /// Nothing yet.
    Incomplete {
        /// The features, in the order of the schema, that have no acceptable answer yet.
        missing: Vec<String>,
    },
    /// The score of what has been answered so far.
    Ready(Score),
}
