//! What scores and outcomes add to the sums.

use super::{DAY_MS, month_of};
use crate::store::{CaseKey, CaseSums, Counts, DriftKey, Uncounted};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::HistoryEntry;
use vereda_scoring::Model;
use vereda_scoring::drift::Tallies;

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

/// Counts entries; the version of a model that was not looked up is the error.
pub fn count(uncounted: Vec<Uncounted>, models: &HashMap<u32, Option<Arc<Model>>>) -> Result<Counts, u32> {
    let mut counts = Counts::default();
    for entry in &uncounted {
        if entry.fresh {
            let version = entry.entry.model.version;
            if let Some(model) = models.get(&version).ok_or(version)? {
                drift(entry, model, &mut counts.drift);
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
    Ok(counts)
}

/// The bins of one score, if the model that is published here is the one that made it.
fn drift(uncounted: &Uncounted, model: &Model, counts: &mut BTreeMap<DriftKey, i64>) {
    let HistoryEntry { model: made_by, inputs, probability, .. } = &uncounted.entry;
    if model.reference() != *made_by {
        return;
    }
    let Ok(row) = model.encode(inputs) else { return };
    let tallies = Tallies::new(model.bundle());
    let mut add = |feature: &str, place: Option<usize>| {
        let key = DriftKey {
            model_version: made_by.version,
            day: uncounted.scored_ms.div_euclid(DAY_MS),
            feature: feature.to_owned(),
            bin: place.and_then(|place| i32::try_from(place).ok()).unwrap_or(-1),
        };
        *counts.entry(key).or_default() += 1;
    };
    if let Some(score) = &tallies.score {
        add("", score.place(*probability));
    }
    for (index, name, tally) in &tallies.features {
        add(name, tally.place(row.get(*index).copied().unwrap_or(f64::NAN)));
    }
}

/// What an entry adds to the counts of cases: once as decided, once for each outcome.
fn cases(uncounted: &Uncounted) -> Vec<(CaseKey, CaseSums)> {
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
