//! Observed outcomes, batches of predictions, and how a model does in use.

use crate::{AssessmentId, BranchId, Decision};
use serde::{Deserialize, Serialize};
use vereda_scoring::bundle::Group;
use vereda_scoring::drift::Drift;
use vereda_scoring::{FieldError, ModelRef};

use super::{Prediction, ProblemCode};

/// What came of a score, as another system observed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ObservedOutcome {
    /// The score's id in the history; this or `client_ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessment: Option<AssessmentId>,
    /// The caller's name for the client: the newest score under it up to that day is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")
    )]
    pub client_ref: Option<String>,
    /// Whether it came to a default within the horizon.
    pub defaulted: bool,
    /// The day it was observed, `YYYY-MM-DD` (UTC): of a default, a day within the horizon; else a day at its
    /// end or later.
    #[cfg_attr(feature = "schema", schema(format = Date))]
    pub observed_on: String,
    /// Over how many months after the score, 1 to 120.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 120))]
    pub horizon_months: u32,
}

/// What became of one reported outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutcomeTaken {
    /// The score that it is about.
    pub assessment: AssessmentId,
    /// What was done.
    pub result: OutcomeResult,
}

/// What was done with a reported outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutcomeResult {
    /// It is stored now.
    Stored,
    /// The same was stored before.
    Already,
}

/// One line of the answer to a stream of rows: `row` and either what became of it or `error`; the
/// last line is `done`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowResult<T> {
    /// Its number in the request, from 1; a CSV's header is not counted.
    pub row: u64,
    /// What became of it.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub taken: Option<T>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RowError>,
}

/// Why one row was refused: a [`super::Problem`] without what concerns the whole request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RowError {
    /// Stable, for programs.
    pub code: ProblemCode,
    /// What to do about it.
    pub detail: String,
    /// Which fields are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}

/// The last line of a stream that was taken in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RowsDone {
    /// Always `true`; a stream without this line broke off.
    pub done: bool,
    /// How many rows there were.
    pub rows: u64,
    /// How many of them were refused.
    pub refused: u64,
}

/// A line of the answer to `POST /api/predict/batch`.
pub type PredictedRow = RowResult<Prediction>;

/// How a model's PDs came true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Performance {
    /// Which model.
    pub model: ModelRef,
    /// Over how many months.
    pub horizon_months: u32,
    /// The last month of scoring whose horizon has passed as a whole, `YYYY-MM`; later ones would show
    /// only their early defaults.
    pub matured_to: String,
    /// Of all that matured.
    pub total: Performed,
    /// T1 first.
    pub groups: Vec<GroupPerformed>,
    /// By month of scoring, oldest first.
    pub months: Vec<MonthPerformed>,
    /// By branch.
    pub branches: Vec<BranchPerformed>,
    /// Scores whose change was not yet counted; 0 unless very many came at once.
    pub pending: u64,
}

/// Figures of some scores with their outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Performed {
    /// Scores with a matured outcome.
    pub scores: u64,
    /// Defaults among them.
    pub defaults: u64,
    /// Absent unless there are both defaults and non-defaults.
    pub ranking: Option<RankingFigures>,
    /// Mean squared error of the PD; absent if there are no scores.
    pub brier: Option<f64>,
}

/// How well PDs tell defaults apart. PDs are ranked in bins of 1/64 of log-odds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RankingFigures {
    /// Area under the ROC curve, ties counting half.
    pub auc: f64,
    /// How far the AUC of the unbinned PDs may lie from `auc` at most.
    pub auc_within: f64,
    /// 2 x AUC - 1.
    pub gini: f64,
    /// Kolmogorov-Smirnov, over the bins: never above that of the unbinned PDs.
    pub ks: f64,
}

/// How one group turned out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GroupPerformed {
    /// Which.
    pub group: Group,
    /// Scores with a matured outcome, and what was predicted and observed.
    #[serde(flatten)]
    pub calibration: Calibrated,
}

/// Predicted and observed shares of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Calibrated {
    /// Scores with a matured outcome.
    pub scores: u64,
    /// Defaults among them.
    pub defaults: u64,
    /// Mean PD; absent if there are no scores.
    pub predicted: Option<f64>,
    /// Share of defaults; absent if there are no scores.
    pub observed: Option<f64>,
    /// Jeffreys 95 % interval of the observed share.
    #[cfg_attr(feature = "schema", schema(value_type = [f64; 2]))]
    pub interval: (f64, f64),
    /// Whether the mean PD lies inside it.
    pub calibrated: Option<bool>,
}

/// Figures of the scores of one month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MonthPerformed {
    /// `YYYY-MM`.
    pub month: String,
    /// The figures.
    #[serde(flatten)]
    pub performed: Performed,
}

/// Figures of the scores of one branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BranchPerformed {
    /// Which; absent for scores that belong to none.
    pub branch: Option<BranchId>,
    /// The figures.
    #[serde(flatten)]
    pub performed: Performed,
}

/// How far those who are scored have moved from those that the model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ModelDrift {
    /// Which model.
    pub model: ModelRef,
    /// Rows of the reference distribution; 0 if the bundle has none.
    pub reference_rows: u64,
    /// Oldest first; windows without scores are left out.
    pub windows: Vec<DriftWindow>,
    /// As in [`Performance::pending`].
    pub pending: u64,
}

/// The drift of the scores of one window of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DriftWindow {
    /// Its first day, `YYYY-MM-DD`.
    pub from: String,
    /// The day after its last.
    pub to: String,
    /// How many were scored.
    pub scores: u64,
    /// PSI of the PD; absent if the bundle does not know how it was spread.
    pub score: Option<Drift>,
    /// CSI of each feature, in the order of the schema.
    pub features: Vec<FeatureDrift>,
}

/// The drift of a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FeatureDrift {
    /// Its name.
    pub feature: String,
    /// How far it moved.
    #[serde(flatten)]
    pub drift: Drift,
}

/// How often people decided against the suggestion, and how that turned out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Overrides {
    /// Which model.
    pub model: ModelRef,
    /// Over how many months outcomes are counted.
    pub horizon_months: u32,
    /// As in [`Performance::matured_to`].
    pub matured_to: String,
    /// Assessments with a decision.
    pub decided: u64,
    /// Of them, decided against the suggestion.
    pub overridden: u64,
    /// `overridden` of `decided`; absent if nothing was decided.
    pub rate: Option<f64>,
    /// T1 first, only those with decisions.
    pub groups: Vec<GroupOverrides>,
    /// As in [`Performance::pending`].
    pub pending: u64,
}

/// The decisions on one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GroupOverrides {
    /// Which.
    pub group: Group,
    /// Assessments with a decision.
    pub decided: u64,
    /// Of them, decided against the suggestion.
    pub overridden: u64,
    /// `overridden` of `decided`.
    pub rate: Option<f64>,
    /// By decision, overridden or not.
    pub decisions: Vec<DecisionOutcome>,
}

/// One kind of decision on one group, and how it turned out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecisionOutcome {
    /// What was decided.
    pub decision: Decision,
    /// Whether that was against the suggestion.
    pub overridden: bool,
    /// How many.
    pub decided: u64,
    /// Those among them with a matured outcome.
    pub outcomes: Calibrated,
}
