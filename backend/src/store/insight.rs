//! Observed outcomes, and the sums from which performance, drift and overrides are read.

use super::{HistoryScope, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;
use vereda_domain::api::HistoryEntry;
use vereda_domain::{AssessmentId, Millis, UserId};

/// Which score an outcome is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScoreName {
    /// By its id.
    Id(AssessmentId),
    /// The newest under a caller's name for the client, scored before this time.
    ClientRef(String, Millis),
}

/// A score that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundScore {
    /// Its id.
    pub id: AssessmentId,
    /// When it was made.
    pub scored_ms: Millis,
}

/// An observed outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeRow {
    /// Of which score.
    pub score: FoundScore,
    /// Over how many months.
    pub horizon_months: u32,
    /// Whether it came to a default.
    pub defaulted: bool,
    /// The first millisecond of the day it was observed.
    pub observed_ms: Millis,
}

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeAdded {
    /// It is stored now.
    Stored,
    /// The same was stored before.
    Already,
    /// Another one is stored for this score and horizon; it stays.
    Conflict,
}

/// What is to be counted.
#[derive(Debug, Clone)]
pub enum Uncounted {
    /// A new score, for drift alone.
    Placed(Placed),
    /// An entry, as a whole or anew.
    Entry(Box<UncountedEntry>),
}

/// Where a new score is counted for drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// By which version it was made.
    pub model_version: u32,
    /// When.
    pub scored_ms: Millis,
    /// Its bins, packed by whoever counts.
    pub places: Vec<u8>,
}

/// A history entry that is to be counted, or counted anew.
#[derive(Debug, Clone)]
pub struct UncountedEntry {
    /// As it is now.
    pub entry: HistoryEntry,
    /// When it was scored.
    pub scored_ms: Millis,
    /// Whether it was never counted before.
    pub fresh: bool,
    /// What is known of what came of it.
    pub outcomes: Vec<KnownOutcome>,
    /// What it adds to the sums of cases now, as [`Counts::cases_of`] had it.
    pub adds: Option<String>,
}

/// An outcome as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownOutcome {
    /// Over how many months.
    pub horizon_months: u32,
    /// Whether it came to a default.
    pub defaulted: bool,
}

/// Where a score is counted for drift.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriftKey {
    /// By which version.
    pub model_version: u32,
    /// The day of scoring, in days since 1970.
    pub day: i64,
    /// The feature; empty for the PD.
    pub feature: String,
    /// The reference's bin; -1 for missing.
    pub bin: i32,
}

/// Where a decision or an outcome is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CaseKey {
    /// By which version.
    pub model_version: u32,
    /// Over how many months; 0 for a decision, whatever came of it.
    pub horizon_months: u32,
    /// The month of scoring, in months since the year 0.
    pub month: i64,
    /// The branch that it belongs to; the nil UUID for none, as a key's column is never NULL.
    pub branch: Uuid,
    /// 0 for T1.
    pub group: u8,
    /// Of the PD's log-odds.
    pub bin: i32,
    /// As in JSON; empty for none.
    pub decision: String,
    /// Whether that was against the suggestion.
    pub overridden: bool,
    /// Whether it came to a default.
    pub defaulted: bool,
}

/// What is counted there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSums {
    /// How many.
    pub scores: i64,
    /// Of their PDs, in units of 1e-9.
    pub pd: i64,
    /// Of the squared differences of PD and outcome, in units of 1e-9.
    pub error: i64,
}

/// What counting adds to the sums.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// To the counts of drift.
    pub drift: BTreeMap<DriftKey, i64>,
    /// To the counts of cases; below 0 where an entry moved away.
    pub cases: BTreeMap<CaseKey, CaseSums>,
    /// What each entry adds to the counts of cases now.
    pub cases_of: Vec<(AssessmentId, String)>,
}

/// Says what entries add to the sums, or which model version it has to see first.
pub type Counter = Box<dyn FnOnce(Vec<Uncounted>) -> std::result::Result<Counts, u32> + Send>;

/// How far counting came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// So many rows were taken; fewer than asked for when there are no more.
    Rows(usize),
    /// Nothing was done: the counter has to see this model version first.
    NeedsModel(u32),
}

/// Which cases to sum.
#[derive(Debug, Clone, Copy)]
pub struct CaseQuery {
    /// By which version.
    pub model_version: u32,
    /// Over how many months; 0 for decisions.
    pub horizon_months: u32,
    /// The first month of scoring.
    pub from_month: i64,
    /// The last month of scoring.
    pub to_month: i64,
    /// Only of this branch, as [`CaseKey::branch`] has it.
    pub branch: Option<Uuid>,
}

/// By what cases are told apart in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseSplit {
    /// By group, bin and outcome.
    Groups,
    /// By month, bin and outcome.
    Months,
    /// By branch, bin and outcome.
    Branches,
    /// By group, decision and outcome, over all bins.
    Decisions,
}

/// One sum of an answer. What the answer is not split by is 0, nil or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseSum {
    /// Where.
    pub key: CaseKey,
    /// What.
    pub sums: CaseSums,
}

/// Observed outcomes, and what scores and outcomes add up to.
#[async_trait]
pub trait InsightStore: Send + Sync {
    /// The scores of these names that may be seen, each in its place.
    async fn find_scores(
        &self,
        scope: HistoryScope,
        names: Vec<ScoreName>,
    ) -> Result<Vec<Option<FoundScore>>>;
    /// Adds outcomes of scores that exist; says what became of each, in order.
    async fn add_outcomes(
        &self,
        by: UserId,
        outcomes: Vec<OutcomeRow>,
        now: Millis,
    ) -> Result<Vec<OutcomeAdded>>;
    /// Counts at most so many rows of what changed, each exactly once, whoever else counts.
    async fn count(&self, limit: u32, counter: Counter) -> Result<Counted>;
    /// How many rows wait to be counted.
    async fn uncounted(&self) -> Result<u64>;
    /// The counts of drift of a version, on days from the first to before the last.
    async fn drift_counts(&self, model_version: u32, from: i64, to: i64) -> Result<Vec<(DriftKey, u64)>>;
    /// Sums of cases, in the order of their keys.
    async fn case_counts(&self, query: CaseQuery, split: CaseSplit) -> Result<Vec<CaseSum>>;
}

/// The columns of `case_counts` that tell the sums of an answer apart, and those that stand in for them
/// in the others.
pub(super) fn split_columns(split: CaseSplit) -> (String, &'static str) {
    let columns = match split {
        CaseSplit::Groups => "risk_group, bin, defaulted",
        CaseSplit::Months => "month, bin, defaulted",
        CaseSplit::Branches => "branch, bin, defaulted",
        CaseSplit::Decisions => "risk_group, decision, overridden, defaulted",
    };
    let is = |column: &str| columns.split(", ").any(|one| one == column);
    let or = |column: &'static str, other: &'static str| if is(column) { column } else { other };
    let selected = [
        or("month", "NULL"),
        or("branch", "NULL"),
        or("risk_group", "NULL"),
        or("bin", "NULL"),
        or("decision", "NULL"),
        or("overridden", "NULL"),
        "defaulted",
    ];
    (selected.join(", "), columns)
}
