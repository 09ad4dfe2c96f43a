//! Every score.

use super::rows::{all, first, from_json, run, to_json};
use super::{SqliteStore, database};
use crate::clock::rfc3339;
use crate::store::*;
use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params, params_from_iter};
use uuid::Uuid;
use vereda_scoring::bundle::Group;

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn add_history(&self, entries: Vec<(Millis, HistoryEntry)>, now: Millis) -> Result<()> {
        // Made where they come from, and not on the one thread that writes.
        let rows = entries.iter().map(|(scored_ms, entry)| Columns::of(*scored_ms, entry));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        self.write_apart("store scores", move |t| rows.iter().try_for_each(|row| row.put(t, now))).await
    }

    async fn history(&self, filter: HistoryFilter) -> Result<Vec<HistoryRow>> {
        self.read("search the history", move |t| {
            let (sql, parameters) = search(&filter);
            all(t, "search the history", &sql, params_from_iter(parameters), |r| row(filter.sort, r))
        })
        .await
    }

    async fn history_entry(&self, id: AssessmentId, scope: HistoryScope) -> Result<Option<HistoryEntry>> {
        self.read("find a score", move |t| {
            let mut conditions = Conditions::default();
            conditions.add("id = ?", blob(id.0));
            conditions.scope(scope);
            let sql = format!("SELECT scored_ms, received_ms, body FROM history{}", conditions.sql());
            let read = |r: &Row<'_>| row(HistorySort::default(), r);
            Ok(first(t, "find a score", &sql, params_from_iter(conditions.values), read)?
                .map(|row| row.entry))
        })
        .await
    }
}

/// Adds an entry, or brings one up to date; when it was received stays as it was.
pub fn put(t: &Transaction<'_>, scored_ms: Millis, entry: &HistoryEntry, now: Millis) -> Result<()> {
    Columns::of(scored_ms, entry)?.put(t, now)
}

/// An entry as the columns of its row.
struct Columns {
    id: AssessmentId,
    scored_ms: Millis,
    client: Option<Uuid>,
    client_ref: Option<String>,
    officer: Uuid,
    branch: Option<Uuid>,
    group: Group,
    model_version: u32,
    body: String,
}

impl Columns {
    fn of(scored_ms: Millis, entry: &HistoryEntry) -> Result<Columns> {
        Ok(Columns {
            id: entry.id,
            scored_ms,
            client: entry.client.map(|client| client.0),
            client_ref: entry.client_ref.clone(),
            officer: entry.officer.0,
            branch: entry.branch.map(|branch| branch.0),
            group: entry.group,
            model_version: entry.model.version,
            body: to_json("history entry", entry)?,
        })
    }

    fn put(&self, t: &Transaction<'_>, now: Millis) -> Result<()> {
        let doing = "store a score";
        let sql = "INSERT INTO history(id, scored_ms, received_ms, client, client_ref, officer, branch, risk_group, \
                   model_version, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT(id) DO NOTHING";
        let id = self.id.0;
        let parameters = params![
            id,
            self.scored_ms,
            now,
            self.client,
            self.client_ref,
            self.officer,
            self.branch,
            self.group.as_str(),
            self.model_version,
            self.body
        ];
        // Whether it is new decides whether it is counted for the first time.
        let new = run(t, doing, sql, parameters)? == 1;
        if !new {
            run(t, doing, "UPDATE history SET body = ?2 WHERE id = ?1", params![id, self.body])?;
        }
        super::insight::note(t, self.id, self.scored_ms, new)
    }
}

fn row(sort: HistorySort, row: &Row<'_>) -> Result<HistoryRow> {
    let get = |e| database("read a history entry", e);
    let scored_ms: Millis = row.get(0).map_err(get)?;
    let received_ms: Millis = row.get(1).map_err(get)?;
    let body: String = row.get(2).map_err(get)?;
    let mut entry: HistoryEntry = from_json("history entry", &body)?;
    entry.received_at = rfc3339(received_ms);
    Ok(HistoryRow { key: sort.key(scored_ms, received_ms, entry.id), entry })
}

#[derive(Default)]
struct Conditions {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, clause: impl Into<String>, value: Value) {
        self.clauses.push(clause.into());
        self.values.push(value);
    }

    fn scope(&mut self, scope: HistoryScope) {
        match scope {
            HistoryScope::All => {}
            HistoryScope::Branch(branch) => self.add("branch = ?", blob(branch.0)),
            HistoryScope::Officer(officer) => self.add("officer = ?", blob(officer.0)),
        }
    }

    fn sql(&self) -> String {
        if self.clauses.is_empty() { String::new() } else { format!(" WHERE {}", self.clauses.join(" AND ")) }
    }
}

fn blob(id: uuid::Uuid) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

fn search(filter: &HistoryFilter) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    conditions.scope(filter.scope);
    if let Some(client) = filter.client {
        conditions.add("client = ?", blob(client.0));
    }
    if let Some(client_ref) = &filter.client_ref {
        conditions.add("client_ref = ?", Value::Text(client_ref.clone()));
    }
    if let Some(officer) = filter.officer {
        conditions.add("officer = ?", blob(officer.0));
    }
    if let Some(branch) = filter.branch {
        conditions.add("branch = ?", blob(branch.0));
    }
    if let Some(group) = filter.group {
        conditions.add("risk_group = ?", Value::Text(group.as_str().to_owned()));
    }
    if let Some(version) = filter.model_version {
        conditions.add("model_version = ?", Value::Integer(i64::from(version)));
    }
    if let Some(from) = filter.from {
        conditions.add("scored_ms >= ?", Value::Integer(from));
    }
    if let Some(to) = filter.to {
        conditions.add("scored_ms < ?", Value::Integer(to));
    }
    if let Some(after) = filter.after {
        let (column, _, follows) = filter.sort.parts();
        let clause = format!("({column}, id) {follows} (?, ?)");
        conditions.add(clause, Value::Integer(after.at_ms));
        conditions.values.push(blob(after.id.0));
    }
    let (column, falls, _) = filter.sort.parts();
    let sql = format!(
        "SELECT scored_ms, received_ms, body FROM history{} ORDER BY {column} {falls}, id {falls} LIMIT {}",
        conditions.sql(),
        filter.limit
    );
    (sql, conditions.values)
}
