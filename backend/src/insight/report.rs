//! Answers from what was counted.

use super::{DAY_MS, Insight, month_name, month_of};
use crate::clock::now_ms;
use crate::error::ServerError;
use crate::store::{CaseQuery, CaseSplit, CaseSum, CaseSums, DriftKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::{Date, Duration};
use uuid::Uuid;
use vereda_domain::BranchId;
use vereda_domain::Decision;
use vereda_domain::api::{
    BranchPerformed, Calibrated, DecisionOutcome, DriftWindow, FeatureDrift, GroupOverrides, GroupPerformed,
    ModelDrift, MonthPerformed, Overrides, Performance, Performed, RankingFigures,
};
use vereda_scoring::Model;
use vereda_scoring::bundle::Group;
use vereda_scoring::drift::{Tallies, Tally};
use vereda_scoring::figures::{jeffreys, ranking};

/// Which scores an answer is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Over how many months outcomes are counted.
    pub horizon_months: u32,
    /// Scored in this month or later, in months since the year 0.
    pub from_month: Option<i64>,
    /// Scored in this month or before.
    pub to_month: Option<i64>,
    /// Only of this branch.
    pub branch: Option<BranchId>,
}

/// How long the windows of drift are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A day.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

impl Window {
    /// The first day of the window that this day stands in, and the day after its last.
    fn around(self, day: i64) -> (i64, i64) {
        match self {
            Window::Day => (day, day + 1),
            // 1970 began on a Thursday.
            Window::Week => {
                let monday = (day + 3).div_euclid(7) * 7 - 3;
                (monday, monday + 7)
            }
            Window::Month => {
                let Some(date) = date_of(day) else { return (day, day + 1) };
                let first = day - i64::from(date.day()) + 1;
                (first, first + i64::from(date.month().length(date.year())))
            }
        }
    }
}

fn date_of(day: i64) -> Option<Date> {
    Date::from_calendar_date(1970, time::Month::January, 1).ok()?.checked_add(Duration::days(day))
}

fn day_name(day: i64) -> String {
    date_of(day).map_or_else(String::new, |date| date.to_string())
}

/// Counts that are never below 0 once everything is counted.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

impl Span {
    /// The last month whose horizon has passed as a whole.
    fn matured_to(&self) -> i64 {
        month_of(now_ms()) - 1 - i64::from(self.horizon_months)
    }

    fn query(&self, model_version: u32, horizon_months: u32) -> CaseQuery {
        let end = self.to_month.unwrap_or(i64::MAX);
        CaseQuery {
            model_version,
            horizon_months,
            from_month: self.from_month.unwrap_or(i64::MIN),
            to_month: if horizon_months == 0 { end } else { end.min(self.matured_to()) },
            branch: self.branch.map(|branch| branch.0),
        }
    }
}

impl Insight {
    /// How a model's PDs came true.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn performance(&self, model: &Model, span: Span) -> Result<Performance, ServerError> {
        let pending = self.catch_up().await?;
        let query = span.query(model.reference().version, span.horizon_months);
        let (groups, months, branches) = tokio::try_join!(
            self.store.case_counts(query, CaseSplit::Groups),
            self.store.case_counts(query, CaseSplit::Months),
            self.store.case_counts(query, CaseSplit::Branches),
        )?;
        let in_group =
            |group: Group| groups.iter().filter(move |s| usize::from(s.key.group) == group.index());
        Ok(Performance {
            model: model.reference(),
            horizon_months: span.horizon_months,
            matured_to: month_name(span.matured_to()),
            total: performed(groups.iter()),
            groups: Group::ALL
                .into_iter()
                .map(|group| GroupPerformed { group, calibration: calibrated(in_group(group)) })
                .collect(),
            months: split(&months, |sum| sum.key.month)
                .into_iter()
                .map(|(month, sums)| MonthPerformed {
                    month: month_name(month),
                    performed: performed(sums.into_iter()),
                })
                .collect(),
            branches: split(&branches, |sum| sum.key.branch)
                .into_iter()
                .map(|(branch, sums)| BranchPerformed {
                    branch: (branch != Uuid::nil()).then_some(BranchId(branch)),
                    performed: performed(sums.into_iter()),
                })
                .collect(),
            pending,
        })
    }

    /// How often people decided against the suggestion, and how that turned out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn overrides(&self, model: &Model, span: Span) -> Result<Overrides, ServerError> {
        let pending = self.catch_up().await?;
        let version = model.reference().version;
        let (decided, outcomes) = tokio::try_join!(
            self.store.case_counts(span.query(version, 0), CaseSplit::Decisions),
            self.store.case_counts(span.query(version, span.horizon_months), CaseSplit::Decisions),
        )?;
        let sum = |overridden: Option<bool>, group: Option<usize>| {
            decided
                .iter()
                .filter(|s| group.is_none_or(|group| usize::from(s.key.group) == group))
                .filter(|s| overridden.is_none_or(|overridden| s.key.overridden == overridden))
                .map(|s| unsigned(s.sums.scores))
                .sum::<u64>()
        };
        let rate = |overridden: u64, of: u64| (of > 0).then(|| overridden as f64 / of as f64);
        let groups = Group::ALL.into_iter().filter_map(|group| {
            let (all, overridden) = (sum(None, Some(group.index())), sum(Some(true), Some(group.index())));
            let decisions = decided.iter().filter(|s| usize::from(s.key.group) == group.index());
            (all > 0).then(|| GroupOverrides {
                group,
                decided: all,
                overridden,
                rate: rate(overridden, all),
                decisions: decisions
                    .filter_map(|s| {
                        let alike = outcomes.iter().filter(|o| {
                            (o.key.group, &o.key.decision, o.key.overridden)
                                == (s.key.group, &s.key.decision, s.key.overridden)
                        });
                        Some(DecisionOutcome {
                            decision: Decision::ALL.into_iter().find(|d| d.as_str() == s.key.decision)?,
                            overridden: s.key.overridden,
                            decided: unsigned(s.sums.scores),
                            outcomes: calibrated(alike),
                        })
                    })
                    .collect(),
            })
        });
        let (all, overridden) = (sum(None, None), sum(Some(true), None));
        Ok(Overrides {
            model: model.reference(),
            horizon_months: span.horizon_months,
            matured_to: month_name(span.matured_to()),
            decided: all,
            overridden,
            rate: rate(overridden, all),
            groups: groups.collect(),
            pending,
        })
    }

    /// How far those who are scored have moved from those that the model was trained on; `from` and
    /// `to` are days since 1970.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drift(
        &self,
        model: &Arc<Model>,
        window: Window,
        (from, to): (i64, i64),
    ) -> Result<ModelDrift, ServerError> {
        let pending = self.catch_up().await?;
        let counts = self.store.drift_counts(model.reference().version, from, to).await?;
        let mut windows: BTreeMap<(i64, i64), Vec<(DriftKey, u64)>> = BTreeMap::new();
        for (key, scores) in counts {
            windows.entry(window.around(key.day)).or_default().push((key, scores));
        }
        let windows = windows
            .into_iter()
            .map(|((from, to), counts)| {
                let mut tallies = Tallies::new(model.bundle());
                let mut scores = 0;
                for (key, count) in counts {
                    let place = usize::try_from(key.bin).ok();
                    if key.feature.is_empty() {
                        scores += count;
                        if let Some(score) = &mut tallies.score {
                            score.count_place(place, count);
                        }
                    } else if let Some((_, _, tally)) =
                        tallies.features.iter_mut().find(|(_, name, _)| *name == key.feature)
                    {
                        tally.count_place(place, count);
                    }
                }
                // A bundle without a reference of its scores still has those of features.
                let counted = tallies.features.iter().map(|(_, _, tally)| tally.rows()).max();
                DriftWindow {
                    from: day_name(from),
                    to: day_name(to),
                    scores: scores.max(counted.unwrap_or_default()),
                    score: tallies.score.as_ref().and_then(Tally::drift),
                    features: tallies
                        .features
                        .iter()
                        .filter_map(|(_, name, tally)| {
                            Some(FeatureDrift { feature: (*name).to_owned(), drift: tally.drift()? })
                        })
                        .collect(),
                }
            })
            .collect();
        Ok(ModelDrift {
            model: model.reference(),
            reference_rows: model.bundle().reference.rows,
            windows,
            pending,
        })
    }
}

/// The day that a time stands in, since 1970.
pub fn day_number(at: vereda_domain::Millis) -> i64 {
    at.div_euclid(DAY_MS)
}

fn split<K: Ord>(sums: &[CaseSum], by: impl Fn(&CaseSum) -> K) -> BTreeMap<K, Vec<&CaseSum>> {
    let mut parts: BTreeMap<K, Vec<&CaseSum>> = BTreeMap::new();
    for sum in sums {
        parts.entry(by(sum)).or_default().push(sum);
    }
    parts
}

fn add<'a>(sums: impl Iterator<Item = &'a CaseSum>) -> (CaseSums, u64) {
    sums.fold((CaseSums::default(), 0), |(mut all, defaults), sum| {
        all.scores += sum.sums.scores;
        all.pd += sum.sums.pd;
        all.error += sum.sums.error;
        (all, defaults + if sum.key.defaulted { unsigned(sum.sums.scores) } else { 0 })
    })
}

/// A mean of sums in units of 1e-9.
fn mean(sum: i64, of: u64) -> Option<f64> {
    (of > 0).then(|| sum as f64 / 1e9 / of as f64)
}

fn performed<'a>(sums: impl Iterator<Item = &'a CaseSum> + Clone) -> Performed {
    let (all, defaults) = add(sums.clone());
    let scores = unsigned(all.scores);
    let mut bins: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
    for sum in sums {
        let (goods, bads) = bins.entry(sum.key.bin).or_default();
        *(if sum.key.defaulted { bads } else { goods }) += unsigned(sum.sums.scores);
    }
    let places: Vec<(u64, u64)> = bins.into_values().collect();
    let ranking = ranking(&places).map(|ranking| RankingFigures {
        auc: ranking.auc,
        auc_within: ranking.tied,
        gini: 2.0 * ranking.auc - 1.0,
        ks: ranking.ks,
    });
    Performed { scores, defaults, ranking, brier: mean(all.error, scores) }
}

fn calibrated<'a>(sums: impl Iterator<Item = &'a CaseSum>) -> Calibrated {
    let (all, defaults) = add(sums);
    let scores = unsigned(all.scores);
    let interval = jeffreys(defaults, scores);
    let predicted = mean(all.pd, scores);
    Calibrated {
        scores,
        defaults,
        predicted,
        observed: (scores > 0).then(|| defaults as f64 / scores as f64),
        interval,
        calibrated: predicted.map(|pd| interval.0 <= pd && pd <= interval.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_days_weeks_and_months() {
        // 2026-11-23, a Monday.
        let monday = 20_780;
        assert_eq!(day_name(monday), "2026-11-23");
        assert_eq!(Window::Day.around(monday), (monday, monday + 1));
        assert_eq!(Window::Week.around(monday), (monday, monday + 7));
        assert_eq!(Window::Week.around(monday + 6), (monday, monday + 7));
        let (from, to) = Window::Month.around(monday);
        assert_eq!((day_name(from).as_str(), day_name(to).as_str()), ("2026-11-01", "2026-12-01"));
        assert_eq!(Window::Week.around(-1), (-3, 4), "the week of 1969-12-31");
    }
}
