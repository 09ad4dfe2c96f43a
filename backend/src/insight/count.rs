//! What scores and outcomes add to the sums.

use super::{DAY_MS, month_of};
use crate::store::{CaseKey, CaseSums, Counts, DriftKey, Placed, Uncounted, UncountedEntry};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::HistoryEntry;
use vereda_scoring::drift::{self, Tallies};
use vereda_scoring::{Inputs, Model, ModelRef};

/// Bins of the PD per unit of log-odds.
const BINS: f64 = 64.0;
/// Beyond so much log-odds all PDs share a bin.
const EDGE: f64 = 16.0;

/// The bin of a PD: 1/64 of log-odds wide, so that an AUC of bins is a few hundred-thousandths off at
/// most where PDs are spread as they usually are. The answer says how far it can be.
pub fn bin(pd: f64) -> i32 {
    let odds = (pd / (1.0 - pd)).ln().clamp(-EDGE, EDGE);
    // Within the clamp there are but 2 x 16 x 64 of them.
    #[allow(clippy::cast_possible_truncation)]
    let bin = (odds * BINS).floor() as i32;
    bin
}

/// In units of 1e-9.
fn nano(value: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation)]
    let units = (value * 1e9).round() as i64;
    units
}

/// Where a score by this model of these answers is counted for drift, for [`NewScore::places`].
///
/// [`NewScore::places`]: crate::store::NewScore::places
pub fn places(model: &Model, inputs: &Inputs, pd: f64) -> Option<Vec<u8>> {
    let row = model.encode(inputs).ok()?;
    // 0 is missing.
    let place = |place: Option<u16>| place.map_or(0, |bin| bin.saturating_add(1)).to_le_bytes();
    Some(drift::places(model.bundle(), &row, pd).into_iter().flat_map(place).collect())
}

/// Back from [`places`].
fn unpack(places: &[u8]) -> Vec<Option<u16>> {
    places.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes).checked_sub(1)).collect()
}

/// Counts entries; the version of a model that was not looked up is the error.
pub fn count(uncounted: Vec<Uncounted>, models: &HashMap<u32, Option<Arc<Model>>>) -> Result<Counts, u32> {
    let mut counts = Counts::default();
    let mut days: BTreeMap<(u32, i64), Day<'_>> = BTreeMap::new();
    for one in &uncounted {
        let entry = match one {
            Uncounted::Entry(entry) => entry,
            Uncounted::Placed(Placed { model_version, scored_ms, places }) => {
                if let Some(model) = models.get(model_version).ok_or(*model_version)? {
                    let day = (*model_version, scored_ms.div_euclid(DAY_MS));
                    days.entry(day).or_insert_with(|| Day::new(model)).tallies.count_places(&unpack(places));
                }
                continue;
            }
        };
        if entry.fresh {
            let version = entry.entry.model.version;
            if let Some(model) = models.get(&version).ok_or(version)? {
                let day = (version, entry.scored_ms.div_euclid(DAY_MS));
                days.entry(day).or_insert_with(|| Day::new(model)).count(&entry.entry);
            }
        }
        let before: Vec<(CaseKey, CaseSums)> = entry
            .adds
            .as_deref()
            .map(|text| serde_json::from_str(text).unwrap_or_default())
            .unwrap_or_default();
        let now = cases(entry);
        if before == now {
            continue;
        }
        for (sign, cases) in [(-1, &before), (1, &now)] {
            for (key, sums) in cases {
                let sum = counts.cases.entry(key.clone()).or_default();
                sum.scores += sign * sums.scores;
                sum.pd += sign * sums.pd;
                sum.error += sign * sums.error;
            }
        }
        // Numbers and short texts always become JSON.
        counts.cases_of.push((entry.entry.id, serde_json::to_string(&now).unwrap_or_default()));
    }
    for ((model_version, day), scores) in days {
        let tallies = scores.tallies.score.iter().map(|tally| ("", tally));
        let features = scores.tallies.features.iter().map(|(_, name, tally)| (*name, tally));
        for (feature, tally) in tallies.chain(features) {
            for (place, count) in tally.counts() {
                let bin = place.and_then(|place| i32::try_from(place).ok()).unwrap_or(-1);
                let key = DriftKey { model_version, day, feature: feature.to_owned(), bin };
                *counts.drift.entry(key).or_default() += i64::try_from(count).unwrap_or(i64::MAX);
            }
        }
    }
    Ok(counts)
}

/// The scores of one day by one model, in the bins of its reference.
struct Day<'a> {
    model: &'a Model,
    made_by: ModelRef,
    tallies: Tallies<'a>,
}

impl<'a> Day<'a> {
    fn new(model: &'a Model) -> Day<'a> {
        Day { model, made_by: model.reference(), tallies: Tallies::new(model.bundle()) }
    }

    /// Counts a score, if the model that is published here is the one that made it.
    fn count(&mut self, entry: &HistoryEntry) {
        if self.made_by == entry.model
            && let Ok(row) = self.model.encode(&entry.inputs)
        {
            self.tallies.count(&row, entry.probability);
        }
    }
}

/// What an entry adds to the counts of cases: once as decided, once for each outcome.
fn cases(uncounted: &UncountedEntry) -> Vec<(CaseKey, CaseSums)> {
    let entry = &uncounted.entry;
    let key = CaseKey {
        model_version: entry.model.version,
        horizon_months: 0,
        month: month_of(uncounted.scored_ms),
        branch: entry.branch.map_or(Uuid::nil(), |branch| branch.0),
        group: u8::try_from(entry.group.index()).unwrap_or_default(),
        bin: 0,
        decision: entry.decision.map_or_else(String::new, |d| d.as_str().to_owned()),
        overridden: entry.overridden,
        defaulted: false,
    };
    let pd = entry.probability;
    let decided = entry.decision.map(|_| (key.clone(), CaseSums { scores: 1, pd: nano(pd), error: 0 }));
    let outcomes = uncounted.outcomes.iter().map(|outcome| {
        let error = if outcome.defaulted { 1.0 - pd } else { pd };
        let key = CaseKey {
            horizon_months: outcome.horizon_months,
            bin: bin(pd),
            defaulted: outcome.defaulted,
            ..key.clone()
        };
        (key, CaseSums { scores: 1, pd: nano(pd), error: nano(error * error) })
    });
    decided.into_iter().chain(outcomes).collect()
}
