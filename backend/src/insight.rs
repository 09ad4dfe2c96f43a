//! How models do in use: outcomes as they are observed, and performance, drift and overrides.
//!
//! None of it is computed from the history when it is asked for. Whoever writes a score or an outcome
//! notes it as uncounted, in the same transaction; [`Insight::catch_up`] turns such notes into sums,
//! each exactly once, and the answers are read from the sums. So their cost grows with months,
//! branches and bins, and not with the number of scores. Writers wait for no counter but,
//! on SQLite, where one thread writes, while it adds a batch to the sums.

mod count;
mod report;

use crate::clock::now_ms;
use crate::error::ServerError;
use crate::models::Models;
use crate::store::{Counted, HistoryScope, OutcomeAdded, OutcomeRow, ScoreName, Store};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::{Date, Month, OffsetDateTime};
use vereda_domain::{AssessmentId, Millis, UserId};
use vereda_scoring::Model;

pub use count::places;
pub use report::{Span, Window, day_number};

/// Rows counted in one transaction.
const BATCH: u32 = 1000;
/// How long an answer waits for what is not counted yet.
const PATIENCE: Duration = Duration::from_millis(1000);
/// The longest horizon of an outcome, in months.
pub const MAX_HORIZON: u32 = 120;

/// A day in milliseconds.
const DAY_MS: Millis = 24 * 3600 * 1000;

/// Counts, and answers from what was counted.
pub struct Insight {
    store: Arc<dyn Store>,
    models: Arc<Models>,
}

/// An outcome as it was reported.
#[derive(Debug, Clone)]
pub struct Report {
    /// The score's id, or the caller's name for the client.
    pub score: Result<AssessmentId, String>,
    /// Whether it came to a default.
    pub defaulted: bool,
    /// The day it was observed.
    pub observed_on: Date,
    /// Over how many months.
    pub horizon_months: u32,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// See [`OutcomeAdded`].
    Taken(AssessmentId, OutcomeAdded),
    /// There is no such score, or it is not for this caller.
    UnknownScore,
    /// The day lies before the score.
    BeforeScore,
    /// No default can be told yet: the horizon ends on this day.
    NotBefore(Date),
    /// A default after the horizon is none within it: it ended on this day.
    NotAfter(Date),
    /// The day is in the future.
    InFuture,
}

impl Insight {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>, models: Arc<Models>) -> Insight {
        Insight { store, models }
    }

    /// Takes outcomes in; says what became of each, in order.
    ///
    /// # Errors
    /// When the store fails; then none was taken in.
    pub async fn report(
        &self,
        scope: HistoryScope,
        by: UserId,
        reports: Vec<Report>,
    ) -> Result<Vec<Reported>, ServerError> {
        let names = reports
            .iter()
            .map(|report| match &report.score {
                Ok(id) => ScoreName::Id(*id),
                Err(name) => ScoreName::ClientRef(name.clone(), start_of(report.observed_on) + DAY_MS),
            })
            .collect();
        let scores = self.store.find_scores(scope, names).await?;
        let now = now_ms();
        let mut refused = Vec::with_capacity(reports.len());
        let mut rows = Vec::with_capacity(reports.len());
        for (report, score) in reports.iter().zip(scores) {
            let Some(score) = score else {
                refused.push(Some(Reported::UnknownScore));
                continue;
            };
            let refusal = untimely(report, score.scored_ms, now);
            if refusal.is_none() {
                rows.push(OutcomeRow {
                    score,
                    horizon_months: report.horizon_months,
                    defaulted: report.defaulted,
                    observed_ms: start_of(report.observed_on),
                });
            }
            refused.push(refusal);
        }
        let ids: Vec<AssessmentId> = rows.iter().map(|row| row.score.id).collect();
        let added = if rows.is_empty() { Vec::new() } else { self.store.add_outcomes(by, rows, now).await? };
        let mut taken = ids.into_iter().zip(added);
        Ok(refused
            .into_iter()
            .map(|refusal| match refusal {
                Some(refusal) => refusal,
                None => taken.next().map_or(Reported::UnknownScore, |(id, added)| Reported::Taken(id, added)),
            })
            .collect())
    }

    /// Counts what is not counted yet, for at most as long as somebody would wait. Says how many rows
    /// are left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<u64, ServerError> {
        let until = Instant::now() + PATIENCE;
        let mut models: HashMap<u32, Option<Arc<Model>>> = HashMap::new();
        for manifest in self.store.models().await? {
            models.insert(manifest.version, self.models.find(manifest.version).await?.ok());
        }
        loop {
            let known = models.clone();
            let counter = Box::new(move |uncounted| count::count(uncounted, &known));
            match self.store.count(BATCH, counter).await? {
                Counted::Rows(rows) if rows < usize::try_from(BATCH).unwrap_or(usize::MAX) => return Ok(0),
                Counted::Rows(_) if Instant::now() >= until => return Ok(self.store.uncounted().await?),
                Counted::Rows(_) => {}
                Counted::NeedsModel(version) => {
                    models.insert(version, self.models.find(version).await?.ok());
                }
            }
        }
    }
}

/// Why an outcome cannot be one of this score, if so.
fn untimely(report: &Report, scored_ms: Millis, now: Millis) -> Option<Reported> {
    let observed = start_of(report.observed_on);
    let Some(scored) = day_of(scored_ms) else { return Some(Reported::UnknownScore) };
    let end = months_later(scored, report.horizon_months);
    if observed > now {
        Some(Reported::InFuture)
    } else if report.observed_on < scored {
        Some(Reported::BeforeScore)
    } else if report.defaulted && report.observed_on > end {
        Some(Reported::NotAfter(end))
    } else if !report.defaulted && report.observed_on < end {
        Some(Reported::NotBefore(end))
    } else {
        None
    }
}

/// The first millisecond of a day.
pub(crate) fn start_of(day: Date) -> Millis {
    day.midnight().assume_utc().unix_timestamp().saturating_mul(1000)
}

/// The day of a time, where the calendar has one.
fn day_of(at: Millis) -> Option<Date> {
    OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).ok().map(OffsetDateTime::date)
}

/// The month of a time, in months since the year 0.
fn month_of(at: Millis) -> i64 {
    day_of(at).map_or(0, |day| i64::from(day.year()) * 12 + i64::from(u8::from(day.month())) - 1)
}

/// `YYYY-MM` of months since the year 0.
fn month_name(month: i64) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// The same day so many months later, or that month's last.
fn months_later(day: Date, months: u32) -> Date {
    let month = i64::from(day.year()) * 12 + i64::from(u8::from(day.month())) - 1 + i64::from(months);
    let year = i32::try_from(month.div_euclid(12)).unwrap_or(i32::MAX);
    let name = u8::try_from(month.rem_euclid(12) + 1).ok().and_then(|m| Month::try_from(m).ok());
    let Some(name) = name else { return Date::MAX };
    (1..=day.day()).rev().find_map(|day| Date::from_calendar_date(year, name, day).ok()).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn months_are_those_of_the_calendar() {
        assert_eq!(months_later(date!(2025 - 01 - 31), 1), date!(2025 - 02 - 28));
        assert_eq!(months_later(date!(2023 - 11 - 30), 3), date!(2024 - 02 - 29));
        assert_eq!(months_later(date!(2025 - 11 - 23), 12), date!(2026 - 11 - 23));
        let at = start_of(date!(2026 - 11 - 23));
        assert_eq!(month_name(month_of(at)), "2026-11");
        assert_eq!(month_name(month_of(at) + 2), "2027-01");
    }

    #[test]
    fn an_outcome_must_be_possible_on_its_day() {
        let report = |defaulted, observed_on| Report {
            score: Err("x".into()),
            defaulted,
            observed_on,
            horizon_months: 12,
        };
        let scored = start_of(date!(2025 - 01 - 15)) + 1000;
        let now = start_of(date!(2026 - 06 - 01));
        let check = |defaulted, day| untimely(&report(defaulted, day), scored, now);
        assert_eq!(check(true, date!(2025 - 01 - 15)), None);
        assert_eq!(check(true, date!(2026 - 01 - 15)), None);
        assert_eq!(check(true, date!(2026 - 01 - 16)), Some(Reported::NotAfter(date!(2026 - 01 - 15))));
        assert_eq!(check(false, date!(2026 - 01 - 14)), Some(Reported::NotBefore(date!(2026 - 01 - 15))));
        assert_eq!(check(false, date!(2026 - 01 - 15)), None);
        assert_eq!(check(true, date!(2025 - 01 - 14)), Some(Reported::BeforeScore));
        assert_eq!(check(false, date!(2026 - 06 - 02)), Some(Reported::InFuture));
    }
}
