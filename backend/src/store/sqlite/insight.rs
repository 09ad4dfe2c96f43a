//! Outcomes, and sums over scores and outcomes.

use super::rows::{all, first, from_json, run, to_u64};
use super::{SqliteStore, database};
use crate::store::insight::split_columns;
use crate::store::*;
use rusqlite::{Row, Transaction, params};
use std::collections::BTreeMap;
use uuid::Uuid;

#[async_trait]
impl InsightStore for SqliteStore {
    async fn find_scores(
        &self,
        scope: HistoryScope,
        names: Vec<ScoreName>,
    ) -> Result<Vec<Option<FoundScore>>> {
        self.read("find scores", move |t| names.iter().map(|name| find(t, scope, name)).collect()).await
    }

    async fn add_outcomes(
        &self,
        by: UserId,
        outcomes: Vec<OutcomeRow>,
        now: Millis,
    ) -> Result<Vec<OutcomeAdded>> {
        self.write("store outcomes", move |t| outcomes.iter().map(|o| add_outcome(t, by, o, now)).collect())
            .await
    }

    async fn count(&self, limit: u32, counter: Counter) -> Result<Counted> {
        // Counting is most of the work, and is done where nobody who writes waits for it. Until its sums are
        // written, nobody else counts; what changes in an entry meanwhile is noted anew, and counted then.
        // Whoever asked may go away before: the turn goes along, and is over when what it wrote is committed.
        let turn = self.counting.clone().lock_owned().await;
        let (places, counts) = self
            .read("count scores", move |t| {
                let (places, uncounted) = take(t, limit)?;
                Ok((places, counter(uncounted)))
            })
            .await?;
        let counts = match counts {
            Err(version) => return Ok(Counted::NeedsModel(version)),
            Ok(_) if places.is_empty() => return Ok(Counted::Rows(0)),
            Ok(counts) => counts,
        };
        self.write_apart("count scores", move |t| {
            for place in &places {
                run(t, "count scores", "DELETE FROM uncounted WHERE place = ?1", [place])?;
            }
            add_counts(t, &counts)?;
            Ok((Counted::Rows(places.len()), turn))
        })
        .await
        .map(|(counted, _)| counted)
    }

    async fn uncounted(&self) -> Result<u64> {
        let doing = "see what waits to be counted";
        self.read(doing, move |t| {
            let count = first(t, doing, "SELECT count(*) FROM uncounted", [], |row| {
                row.get(0).map_err(|e| database(doing, e))
            })?;
            Ok(to_u64(count.unwrap_or_default()))
        })
        .await
    }

    async fn drift_counts(&self, model_version: u32, from: i64, to: i64) -> Result<Vec<(DriftKey, u64)>> {
        let doing = "read the drift of a model";
        let get = move |e| database(doing, e);
        self.read(doing, move |t| {
            let sql = "SELECT day, feature, bin, scores FROM drift_counts \
                       WHERE model_version = ?1 AND day >= ?2 AND day < ?3 ORDER BY day, feature, bin";
            all(t, doing, sql, params![model_version, from, to], |row| {
                let key = DriftKey {
                    model_version,
                    day: row.get(0).map_err(get)?,
                    feature: row.get(1).map_err(get)?,
                    bin: row.get(2).map_err(get)?,
                };
                Ok((key, to_u64(row.get(3).map_err(get)?)))
            })
        })
        .await
    }

    async fn case_counts(&self, query: CaseQuery, split: CaseSplit) -> Result<Vec<CaseSum>> {
        let doing = "sum decisions and outcomes";
        self.read(doing, move |t| {
            let (selected, columns) = split_columns(split);
            let sql = format!(
                "SELECT {selected}, sum(scores), sum(pd_sum), sum(error_sum) FROM case_counts \
                 WHERE model_version = ?1 AND horizon_months = ?2 AND month BETWEEN ?3 AND ?4 \
                 AND (?5 IS NULL OR branch = ?5) GROUP BY {columns} HAVING sum(scores) <> 0 ORDER BY {columns}"
            );
            let values = params![
                query.model_version,
                query.horizon_months,
                query.from_month,
                query.to_month,
                query.branch
            ];
            all(t, doing, &sql, values, |row| sum(query, row).map_err(|e| database(doing, e)))
        })
        .await
    }
}

fn sum(query: CaseQuery, row: &Row<'_>) -> rusqlite::Result<CaseSum> {
    Ok(CaseSum {
        key: CaseKey {
            model_version: query.model_version,
            horizon_months: query.horizon_months,
            month: row.get::<_, Option<i64>>(0)?.unwrap_or_default(),
            branch: row.get::<_, Option<Uuid>>(1)?.unwrap_or_default(),
            group: row.get::<_, Option<u8>>(2)?.unwrap_or_default(),
            bin: row.get::<_, Option<i32>>(3)?.unwrap_or_default(),
            decision: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
            overridden: row.get::<_, Option<bool>>(5)?.unwrap_or_default(),
            defaulted: row.get(6)?,
        },
        sums: CaseSums { scores: row.get(7)?, pd: row.get(8)?, error: row.get(9)? },
    })
}

fn find(t: &Transaction<'_>, scope: HistoryScope, name: &ScoreName) -> Result<Option<FoundScore>> {
    let doing = "find scores";
    let get = |e| database(doing, e);
    let (condition, id) = match scope {
        HistoryScope::All => ("?2 IS NULL", None),
        HistoryScope::Branch(branch) => ("branch = ?2", Some(branch.0)),
        HistoryScope::Officer(officer) => ("officer = ?2", Some(officer.0)),
    };
    let found = |row: &Row<'_>| {
        let id = AssessmentId(row.get(0).map_err(get)?);
        Ok(FoundScore { id, scored_ms: row.get(1).map_err(get)? })
    };
    match name {
        ScoreName::Id(score) => {
            let sql = format!("SELECT id, scored_ms FROM history WHERE id = ?1 AND {condition}");
            first(t, doing, &sql, params![score.0, id], found)
        }
        ScoreName::ClientRef(reference, before) => {
            let sql = format!(
                "SELECT id, scored_ms FROM history WHERE client_ref = ?1 AND scored_ms < ?3 AND {condition} \
                 ORDER BY scored_ms DESC, id DESC LIMIT 1"
            );
            first(t, doing, &sql, params![reference, id, before], found)
        }
    }
}

fn add_outcome(t: &Transaction<'_>, by: UserId, outcome: &OutcomeRow, now: Millis) -> Result<OutcomeAdded> {
    let doing = "store an outcome";
    let FoundScore { id, scored_ms } = outcome.score;
    let sql = "INSERT INTO outcomes(assessment, horizon_months, scored_ms, defaulted, observed_ms, reported_by, \
               received_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    let values =
        params![id.0, outcome.horizon_months, scored_ms, outcome.defaulted, outcome.observed_ms, by.0, now];
    if run(t, doing, sql, values)? == 1 {
        note(t, id, scored_ms, false, None)?;
        return Ok(OutcomeAdded::Stored);
    }
    let sql = "SELECT defaulted, observed_ms FROM outcomes WHERE assessment = ?1 AND horizon_months = ?2";
    let get = |e| database(doing, e);
    let stored: Option<(bool, Millis)> =
        first(t, doing, sql, params![id.0, outcome.horizon_months], |row| {
            Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?))
        })?;
    let same = stored == Some((outcome.defaulted, outcome.observed_ms));
    Ok(if same { OutcomeAdded::Already } else { OutcomeAdded::Conflict })
}

/// Notes that an entry is to be counted; for drift alone if its places are known, of this model version.
pub fn note(
    t: &Transaction<'_>,
    id: AssessmentId,
    scored_ms: Millis,
    fresh: bool,
    places: Option<(u32, &[u8])>,
) -> Result<()> {
    let sql =
        "INSERT INTO uncounted(id, scored_ms, fresh, model_version, places) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (version, places) = places.unzip();
    run(t, "note a score to be counted", sql, params![id.0, scored_ms, fresh, version, places]).map(|_| ())
}

/// The next rows of the list, with all that is needed to count them.
fn take(t: &Transaction<'_>, limit: u32) -> Result<(Vec<i64>, Vec<Uncounted>)> {
    let doing = "count scores";
    let get = |e| database(doing, e);
    let sql =
        "SELECT place, id, scored_ms, fresh, model_version, places FROM uncounted ORDER BY place LIMIT ?1";
    let mut uncounted = Vec::new();
    // When it was scored, whether it was ever counted, and how often it was noted.
    let mut entries: BTreeMap<Uuid, (Millis, bool, u32)> = BTreeMap::new();
    let taken: Vec<i64> = all(t, doing, sql, [limit], |row| {
        let scored_ms = row.get(2).map_err(get)?;
        let model_version: Option<u32> = row.get(4).map_err(get)?;
        if let (Some(model_version), Some(places)) = (model_version, row.get(5).map_err(get)?) {
            uncounted.push(Uncounted::Placed(Placed { model_version, scored_ms, places }));
        } else {
            let entry = entries.entry(row.get(1).map_err(get)?).or_insert((scored_ms, false, 0));
            entry.1 |= row.get::<_, bool>(3).map_err(get)?;
            entry.2 += 1;
        }
        row.get(0).map_err(get)
    })?;
    for (id, (scored_ms, fresh, notes)) in entries {
        let text = |sql: &str| -> Result<Option<String>> {
            first(t, doing, sql, [id], |row| row.get(0).map_err(get))
        };
        let Some(body) = text("SELECT body FROM history WHERE id = ?1")? else { continue };
        let sql = "SELECT horizon_months, defaulted FROM outcomes WHERE assessment = ?1";
        let known = |row: &Row<'_>| {
            Ok(KnownOutcome { horizon_months: row.get(0).map_err(get)?, defaulted: row.get(1).map_err(get)? })
        };
        // Most were never counted, and nothing came of them: an outcome leaves a note of its own.
        let (outcomes, adds) = match (fresh, notes) {
            (true, 1) => (Vec::new(), None),
            _ => (all(t, doing, sql, [id], known)?, text("SELECT adds FROM counted_cases WHERE id = ?1")?),
        };
        let entry = from_json("history entry", &body)?;
        let entry = UncountedEntry { entry, scored_ms, fresh, outcomes, adds };
        uncounted.push(Uncounted::Entry(Box::new(entry)));
    }
    Ok((taken, uncounted))
}

fn add_counts(t: &Transaction<'_>, counts: &Counts) -> Result<()> {
    let doing = "count scores";
    for (key, scores) in &counts.drift {
        let sql = "INSERT INTO drift_counts VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET scores = scores + excluded.scores";
        run(t, doing, sql, params![key.model_version, key.day, key.feature, key.bin, scores])?;
    }
    for (key, sums) in &counts.cases {
        let sql = "INSERT INTO case_counts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
                   ON CONFLICT DO UPDATE SET scores = scores + excluded.scores, \
                   pd_sum = pd_sum + excluded.pd_sum, error_sum = error_sum + excluded.error_sum";
        let values = params![
            key.model_version,
            key.horizon_months,
            key.month,
            key.branch,
            key.group,
            key.bin,
            key.decision,
            key.overridden,
            key.defaulted,
            sums.scores,
            sums.pd,
            sums.error
        ];
        run(t, doing, sql, values)?;
    }
    for (id, adds) in &counts.cases_of {
        let sql = "INSERT INTO counted_cases VALUES (?1, ?2) ON CONFLICT DO UPDATE SET adds = excluded.adds";
        run(t, doing, sql, params![id.0, adds])?;
    }
    Ok(())
}
