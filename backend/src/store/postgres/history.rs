//! Every score.

use super::{Parameters, PostgresStore, all, first, get, reading, run, write};
use crate::clock::rfc3339;
use crate::store::codec::{from_json, to_json};
use crate::store::*;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

#[async_trait]
impl HistoryStore for PostgresStore {
    async fn add_history(&self, scores: &[NewScore], now: Millis) -> Result<()> {
        self.ensure_months(scores.iter().map(|score| score.scored_ms), now).await?;
        write!(self, "store scores", |t| put(t, scores, now).await?);
        Ok(())
    }

    async fn history(&self, filter: HistoryFilter) -> Result<Vec<HistoryRow>> {
        let doing = "search the history";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let found = search(&filter);
        let (column, falls, _) = filter.sort.parts();
        let order = format!("ORDER BY {column} {falls}, id {falls}");
        let sql = format!("{SELECT}{} {order} LIMIT {}", found.sql(), filter.limit);
        let rows = all(&t, doing, &sql, &found.parameters()).await?;
        rows.iter().map(|r| row(filter.sort, r)).collect()
    }

    async fn history_entry(&self, id: AssessmentId, scope: HistoryScope) -> Result<Option<HistoryEntry>> {
        let doing = "find a score";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let mut conditions = Conditions::default();
        conditions.add("id = $", id.0);
        conditions.scope(scope);
        let sql = format!("{SELECT}{}", conditions.sql());
        let found = first(&t, doing, &sql, &conditions.parameters()).await?;
        Ok(found.as_ref().map(|r| row(HistorySort::default(), r)).transpose()?.map(|row| row.entry))
    }
}

const SELECT: &str = "SELECT scored_ms, received_ms, body FROM history";

/// Adds entries, or brings them up to date; when they were received stays as it was. Their months
/// have been made.
pub(super) async fn put(t: &Transaction<'_>, scores: &[NewScore], now: Millis) -> Result<()> {
    if scores.is_empty() {
        return Ok(());
    }
    // What was there before decides whether an entry is counted for the first time.
    let sql = "WITH e AS ( \
                 SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], \
                 $8::text[], $9::bigint[], $10::text[], $11::bytea[]) \
                 AS e(id, scored_ms, client, client_ref, officer, branch, risk_group, model_version, body, places)), \
               known AS (SELECT e.id FROM e JOIN history h ON h.id = e.id AND h.scored_ms = e.scored_ms), \
               put AS ( \
                 INSERT INTO history(id, scored_ms, received_ms, client, client_ref, officer, branch, risk_group, \
                 model_version, body) \
                 SELECT id, scored_ms, $1, client, client_ref, officer, branch, risk_group, model_version, body FROM e \
                 ON CONFLICT (id, scored_ms) DO UPDATE SET body = excluded.body) \
               INSERT INTO uncounted(id, scored_ms, fresh, model_version, places) \
               SELECT id, scored_ms, fresh, CASE WHEN fresh AND places IS NOT NULL THEN model_version END, \
               CASE WHEN fresh THEN places END \
               FROM (SELECT *, id NOT IN (SELECT id FROM known) AS fresh FROM e) AS e";
    let entries = || scores.iter().map(|score| &score.entry);
    let column =
        |entry: fn(&HistoryEntry) -> Option<uuid::Uuid>| -> Vec<_> { entries().map(entry).collect() };
    let ids: Vec<_> = entries().map(|e| e.id.0).collect();
    let scored: Vec<_> = scores.iter().map(|score| score.scored_ms).collect();
    let clients = column(|e| e.client.map(|c| c.0));
    let references: Vec<_> = entries().map(|e| e.client_ref.as_deref()).collect();
    let officers: Vec<_> = entries().map(|e| e.officer.0).collect();
    let branches = column(|e| e.branch.map(|b| b.0));
    let groups: Vec<_> = entries().map(|e| e.group.as_str()).collect();
    let versions: Vec<_> = entries().map(|e| i64::from(e.model.version)).collect();
    let bodies = entries().map(|e| to_json("history entry", e)).collect::<Result<Vec<_>>>()?;
    let places: Vec<_> = scores.iter().map(|score| score.places.as_deref()).collect();
    let values: Parameters<'_> = &[
        &now,
        &ids,
        &scored,
        &clients,
        &references,
        &officers,
        &branches,
        &groups,
        &versions,
        &bodies,
        &places,
    ];
    run(t, "store a score", sql, values).await.map(|_| ())
}

fn row(sort: HistorySort, row: &Row) -> Result<HistoryRow> {
    let (scored_ms, received_ms) = (get(row, 0)?, get(row, 1)?);
    let mut entry: HistoryEntry = from_json("history entry", get(row, 2)?)?;
    entry.received_at = rfc3339(received_ms);
    Ok(HistoryRow { key: sort.key(scored_ms, received_ms, entry.id), entry })
}

/// What to look for: `$` in a clause is the place of the next value.
#[derive(Default)]
struct Conditions {
    clauses: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> usize {
        self.values.push(Box::new(value));
        self.values.len()
    }

    fn add(&mut self, clause: &str, value: impl ToSql + Sync + Send + 'static) {
        let place = self.value(value);
        self.clauses.push(clause.replace('$', &format!("${place}")));
    }

    fn scope(&mut self, scope: HistoryScope) {
        match scope {
            HistoryScope::All => {}
            HistoryScope::Branch(branch) => self.add("branch = $", branch.0),
            HistoryScope::Officer(officer) => self.add("officer = $", officer.0),
        }
    }

    fn sql(&self) -> String {
        if self.clauses.is_empty() { String::new() } else { format!(" WHERE {}", self.clauses.join(" AND ")) }
    }

    fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}

fn search(filter: &HistoryFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.scope(filter.scope);
    if let Some(client) = filter.client {
        conditions.add("client = $", client.0);
    }
    if let Some(client_ref) = &filter.client_ref {
        conditions.add("client_ref = $", client_ref.clone());
    }
    if let Some(officer) = filter.officer {
        conditions.add("officer = $", officer.0);
    }
    if let Some(branch) = filter.branch {
        conditions.add("branch = $", branch.0);
    }
    if let Some(group) = filter.group {
        conditions.add("risk_group = $", group.as_str());
    }
    if let Some(version) = filter.model_version {
        conditions.add("model_version = $", i64::from(version));
    }
    if let Some(from) = filter.from {
        conditions.add("scored_ms >= $", from);
    }
    if let Some(to) = filter.to {
        conditions.add("scored_ms < $", to);
    }
    if let Some(after) = filter.after {
        let (column, _, follows) = filter.sort.parts();
        let (at, id) = (conditions.value(after.at_ms), conditions.value(after.id.0));
        conditions.clauses.push(format!("({column}, id) {follows} (${at}, ${id})"));
        // Said once more alone, so that partitions of other months are left out.
        conditions.clauses.push(format!("{column} {follows}= ${at}"));
    }
    conditions
}
