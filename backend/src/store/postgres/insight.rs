//! Outcomes, and sums over scores and outcomes.

use super::{Parameters, PostgresStore, all, database, first, get, reading, run, write};
use crate::store::codec::{from_json, to_u64};
use crate::store::insight::split_columns;
use crate::store::*;
use deadpool_postgres::Transaction;
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// The key of the advisory lock under which one server counts: "counts".
const COUNT_LOCK: i64 = 0x636f_756e_7473;

#[async_trait]
impl InsightStore for PostgresStore {
    async fn find_scores(
        &self,
        scope: HistoryScope,
        names: Vec<ScoreName>,
    ) -> Result<Vec<Option<FoundScore>>> {
        let doing = "find scores";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let (condition, id) = match scope {
            HistoryScope::All => ("($4::uuid IS NULL)", None),
            HistoryScope::Branch(branch) => ("h.branch = $4", Some(branch.0)),
            HistoryScope::Officer(officer) => ("h.officer = $4", Some(officer.0)),
        };
        let ids: Vec<Option<Uuid>> =
            names.iter().map(|name| if let ScoreName::Id(id) = name { Some(id.0) } else { None }).collect();
        let (references, befores): (Vec<_>, Vec<_>) = names
            .iter()
            .map(|name| match name {
                ScoreName::Id(_) => (None, Millis::MAX),
                ScoreName::ClientRef(reference, before) => (Some(reference.as_str()), *before),
            })
            .unzip();
        let sql = format!(
            "SELECT f.id, f.scored_ms FROM unnest($1::uuid[], $2::text[], $3::bigint[]) \
             WITH ORDINALITY AS n(id, client_ref, before, place) LEFT JOIN LATERAL ( \
               (SELECT h.id, h.scored_ms FROM history h WHERE h.id = n.id AND {condition}) UNION ALL \
               (SELECT h.id, h.scored_ms FROM history h WHERE h.client_ref = n.client_ref \
                AND h.scored_ms < n.before AND {condition} ORDER BY h.scored_ms DESC, h.id DESC LIMIT 1) \
             ) f ON true ORDER BY n.place"
        );
        let rows = all(&t, doing, &sql, &[&ids, &references, &befores, &id]).await?;
        rows.iter()
            .map(|row| {
                let (id, scored_ms): (Option<Uuid>, Option<Millis>) = (get(row, 0)?, get(row, 1)?);
                Ok(id.zip(scored_ms).map(|(id, scored_ms)| FoundScore { id: AssessmentId(id), scored_ms }))
            })
            .collect()
    }

    async fn add_outcomes(
        &self,
        by: UserId,
        outcomes: Vec<OutcomeRow>,
        now: Millis,
    ) -> Result<Vec<OutcomeAdded>> {
        Ok(write!(self, "store outcomes", |t| add_outcomes(t, by, &outcomes, now).await?))
    }

    async fn count(&self, limit: u32, counter: Counter) -> Result<Counted> {
        let doing = "count scores";
        let failed = |e| database(doing, e);
        let mut client = self.client().await?;
        let t = client.transaction().await.map_err(failed)?;
        run(&t, doing, "SELECT pg_advisory_xact_lock($1)", &[&COUNT_LOCK]).await?;
        let (taken, uncounted) = take(&t, limit).await?;
        match counter(uncounted) {
            Err(version) => Ok(Counted::NeedsModel(version)),
            Ok(counts) => {
                add_counts(&t, &counts).await?;
                t.commit().await.map_err(failed)?;
                Ok(Counted::Rows(taken))
            }
        }
    }

    async fn uncounted(&self) -> Result<u64> {
        let doing = "see what waits to be counted";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let row = first(&t, doing, "SELECT count(*) FROM uncounted", &[]).await?;
        row.as_ref().map_or(Ok(0), |row| get(row, 0)).map(to_u64)
    }

    async fn drift_counts(&self, model_version: u32, from: i64, to: i64) -> Result<Vec<(DriftKey, u64)>> {
        let doing = "read the drift of a model";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = "SELECT day, feature, bin, scores FROM drift_counts \
                   WHERE model_version = $1 AND day >= $2 AND day < $3 ORDER BY day, feature, bin";
        let rows = all(&t, doing, sql, &[&i64::from(model_version), &from, &to]).await?;
        rows.iter()
            .map(|row| {
                let key =
                    DriftKey { model_version, day: get(row, 0)?, feature: get(row, 1)?, bin: get(row, 2)? };
                Ok((key, to_u64(get(row, 3)?)))
            })
            .collect()
    }

    async fn case_counts(&self, query: CaseQuery, split: CaseSplit) -> Result<Vec<CaseSum>> {
        let doing = "sum decisions and outcomes";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let (selected, columns) = split_columns(split);
        // NULL needs a type where nothing else gives it one.
        let types = ["bigint", "uuid", "integer", "integer", "text", "boolean", "boolean"];
        let selected: Vec<String> =
            selected.split(", ").zip(types).map(|(column, of)| format!("{column}::{of}")).collect();
        let selected = selected.join(", ");
        let sql = format!(
            "SELECT {selected}, sum(scores)::bigint, sum(pd_sum)::bigint, sum(error_sum)::bigint \
             FROM case_counts WHERE model_version = $1 AND horizon_months = $2 AND month BETWEEN $3 AND $4 \
             AND ($5::uuid IS NULL OR branch = $5) GROUP BY {columns} HAVING sum(scores) <> 0 \
             ORDER BY {columns}"
        );
        let horizon = i32::try_from(query.horizon_months).unwrap_or(i32::MAX);
        let version = i64::from(query.model_version);
        let values: Parameters<'_> = &[&version, &horizon, &query.from_month, &query.to_month, &query.branch];
        all(&t, doing, &sql, values).await?.iter().map(|row| sum(query, row)).collect()
    }
}

fn sum(query: CaseQuery, row: &Row) -> Result<CaseSum> {
    Ok(CaseSum {
        key: CaseKey {
            model_version: query.model_version,
            horizon_months: query.horizon_months,
            month: get::<Option<i64>>(row, 0)?.unwrap_or_default(),
            branch: get::<Option<Uuid>>(row, 1)?.unwrap_or_default(),
            group: u8::try_from(get::<Option<i32>>(row, 2)?.unwrap_or_default()).unwrap_or_default(),
            bin: get::<Option<i32>>(row, 3)?.unwrap_or_default(),
            decision: get::<Option<String>>(row, 4)?.unwrap_or_default(),
            overridden: get::<Option<bool>>(row, 5)?.unwrap_or_default(),
            defaulted: get(row, 6)?,
        },
        sums: CaseSums { scores: get(row, 7)?, pd: get(row, 8)?, error: get(row, 9)? },
    })
}

async fn add_outcomes(
    t: &Transaction<'_>,
    by: UserId,
    outcomes: &[OutcomeRow],
    now: Millis,
) -> Result<Vec<OutcomeAdded>> {
    let doing = "store outcomes";
    // In one order, whoever writes, so that two who store the same ones do not lock each other out.
    let mut sorted: Vec<&OutcomeRow> = outcomes.iter().collect();
    sorted.sort_by_key(|o| (o.score.id, o.horizon_months));
    let ids: Vec<_> = sorted.iter().map(|o| o.score.id.0).collect();
    let horizons: Vec<_> =
        sorted.iter().map(|o| i32::try_from(o.horizon_months).unwrap_or(i32::MAX)).collect();
    let scored: Vec<_> = sorted.iter().map(|o| o.score.scored_ms).collect();
    let defaulted: Vec<_> = sorted.iter().map(|o| o.defaulted).collect();
    let observed: Vec<_> = sorted.iter().map(|o| o.observed_ms).collect();
    let sql = "WITH added AS ( \
                 INSERT INTO outcomes(assessment, horizon_months, scored_ms, defaulted, observed_ms, reported_by, \
                 received_ms) SELECT *, $6::uuid, $7::bigint \
                 FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::boolean[], $5::bigint[]) \
                 ON CONFLICT DO NOTHING RETURNING assessment, horizon_months, scored_ms), \
               noted AS (INSERT INTO uncounted(id, scored_ms, fresh) SELECT assessment, scored_ms, false FROM added) \
               SELECT assessment, horizon_months FROM added";
    let rows = all(t, doing, sql, &[&ids, &horizons, &scored, &defaulted, &observed, &by.0, &now]).await?;
    let mut new = std::collections::BTreeSet::new();
    for row in &rows {
        new.insert((get::<Uuid>(row, 0)?, get::<i32>(row, 1)?));
    }
    // What others committed while the statement above waited is seen by this one.
    let sql =
        "SELECT assessment, horizon_months, defaulted, observed_ms FROM outcomes WHERE assessment = ANY($1)";
    let mut stored = HashMap::new();
    for row in &all(t, doing, sql, &[&ids]).await? {
        let key = (get::<Uuid>(row, 0)?, get::<i32>(row, 1)?);
        stored.insert(key, (get::<bool>(row, 2)?, get::<Millis>(row, 3)?));
    }
    Ok(outcomes
        .iter()
        .map(|o| {
            let key = (o.score.id.0, i32::try_from(o.horizon_months).unwrap_or(i32::MAX));
            match stored.get(&key) {
                Some(content) if *content != (o.defaulted, o.observed_ms) => OutcomeAdded::Conflict,
                // Of two equal ones in one batch, the first one is stored and the second was there.
                _ if new.remove(&key) => OutcomeAdded::Stored,
                _ => OutcomeAdded::Already,
            }
        })
        .collect())
}

/// Takes the next rows off the list, with all that is needed to count them.
async fn take(t: &Transaction<'_>, limit: u32) -> Result<(usize, Vec<Uncounted>)> {
    let doing = "count scores";
    let sql = "WITH taken AS (DELETE FROM uncounted WHERE place IN \
                 (SELECT place FROM uncounted ORDER BY place LIMIT $1) RETURNING id, scored_ms, fresh, \
                 model_version, places) \
               SELECT id, scored_ms, bool_or(fresh), count(*), model_version, places FROM taken \
               GROUP BY id, scored_ms, model_version, places";
    let rows = all(t, doing, sql, &[&i64::from(limit)]).await?;
    let (mut taken, mut fresh, mut uncounted) = (0, HashMap::new(), Vec::with_capacity(rows.len()));
    let (mut ids, mut times) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let (id, scored_ms): (Uuid, Millis) = (get(row, 0)?, get(row, 1)?);
        taken += usize::try_from(get::<i64>(row, 3)?).unwrap_or_default();
        if let (Some(version), Some(places)) = (get::<Option<i64>>(row, 4)?, get(row, 5)?) {
            let model_version = u32::try_from(version).unwrap_or_default();
            uncounted.push(Uncounted::Placed(Placed { model_version, scored_ms, places }));
            continue;
        }
        ids.push(id);
        times.push(scored_ms);
        fresh.insert(id, get::<bool>(row, 2)?);
    }
    let mut outcomes: HashMap<Uuid, Vec<KnownOutcome>> = HashMap::new();
    let sql = "SELECT assessment, horizon_months, defaulted FROM outcomes WHERE assessment = ANY($1)";
    for row in &all(t, doing, sql, &[&ids]).await? {
        let horizon_months = u32::try_from(get::<i32>(row, 1)?).unwrap_or_default();
        let outcome = KnownOutcome { horizon_months, defaulted: get(row, 2)? };
        outcomes.entry(get(row, 0)?).or_default().push(outcome);
    }
    let mut adds: HashMap<Uuid, String> = HashMap::new();
    for row in &all(t, doing, "SELECT id, adds FROM counted_cases WHERE id = ANY($1)", &[&ids]).await? {
        adds.insert(get(row, 0)?, get(row, 1)?);
    }
    let sql = "SELECT h.id, h.scored_ms, h.body FROM unnest($1::uuid[], $2::bigint[]) AS k(id, scored_ms) \
               JOIN history h ON h.id = k.id AND h.scored_ms = k.scored_ms";
    for row in &all(t, doing, sql, &[&ids, &times]).await? {
        let id: Uuid = get(row, 0)?;
        let entry = UncountedEntry {
            entry: from_json("history entry", get(row, 2)?)?,
            scored_ms: get(row, 1)?,
            fresh: fresh.get(&id).copied().unwrap_or_default(),
            outcomes: outcomes.remove(&id).unwrap_or_default(),
            adds: adds.remove(&id),
        };
        uncounted.push(Uncounted::Entry(Box::new(entry)));
    }
    Ok((taken, uncounted))
}

async fn add_counts(t: &Transaction<'_>, counts: &Counts) -> Result<()> {
    let doing = "count scores";
    let drift = || counts.drift.iter();
    let versions: Vec<_> = drift().map(|(k, _)| i64::from(k.model_version)).collect();
    let days: Vec<_> = drift().map(|(k, _)| k.day).collect();
    let features: Vec<_> = drift().map(|(k, _)| k.feature.as_str()).collect();
    let bins: Vec<_> = drift().map(|(k, _)| k.bin).collect();
    let scores: Vec<_> = drift().map(|(_, n)| *n).collect();
    let sql = "INSERT INTO drift_counts AS d SELECT * \
               FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::integer[], $5::bigint[]) \
               ON CONFLICT (model_version, day, feature, bin) DO UPDATE SET scores = d.scores + excluded.scores";
    run(t, doing, sql, &[&versions, &days, &features, &bins, &scores]).await?;

    let cases = || counts.cases.iter();
    let integer = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let versions: Vec<_> = cases().map(|(k, _)| i64::from(k.model_version)).collect();
    let horizons: Vec<_> = cases().map(|(k, _)| integer(k.horizon_months)).collect();
    let months: Vec<_> = cases().map(|(k, _)| k.month).collect();
    let branches: Vec<_> = cases().map(|(k, _)| k.branch).collect();
    let groups: Vec<_> = cases().map(|(k, _)| i32::from(k.group)).collect();
    let bins: Vec<_> = cases().map(|(k, _)| k.bin).collect();
    let decisions: Vec<_> = cases().map(|(k, _)| k.decision.as_str()).collect();
    let overridden: Vec<_> = cases().map(|(k, _)| k.overridden).collect();
    let defaulted: Vec<_> = cases().map(|(k, _)| k.defaulted).collect();
    let scores: Vec<_> = cases().map(|(_, s)| s.scores).collect();
    let pds: Vec<_> = cases().map(|(_, s)| s.pd).collect();
    let errors: Vec<_> = cases().map(|(_, s)| s.error).collect();
    let sql = "INSERT INTO case_counts AS c SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], \
               $4::uuid[], $5::integer[], $6::integer[], $7::text[], $8::boolean[], $9::boolean[], $10::bigint[], \
               $11::bigint[], $12::bigint[]) \
               ON CONFLICT (model_version, horizon_months, month, branch, risk_group, bin, decision, overridden, defaulted) \
               DO UPDATE SET scores = c.scores + excluded.scores, pd_sum = c.pd_sum + excluded.pd_sum, \
               error_sum = c.error_sum + excluded.error_sum";
    let values: Parameters<'_> = &[
        &versions,
        &horizons,
        &months,
        &branches,
        &groups,
        &bins,
        &decisions,
        &overridden,
        &defaulted,
        &scores,
        &pds,
        &errors,
    ];
    run(t, doing, sql, values).await?;

    let (ids, adds): (Vec<Uuid>, Vec<&str>) =
        counts.cases_of.iter().map(|(id, adds)| (id.0, adds.as_str())).unzip();
    let sql = "INSERT INTO counted_cases SELECT * FROM unnest($1::uuid[], $2::text[]) \
               ON CONFLICT (id) DO UPDATE SET adds = excluded.adds";
    run(t, doing, sql, &[&ids, &adds]).await.map(|_| ())
}
