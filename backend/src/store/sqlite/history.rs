//! Every score.

use super::rows::{all, first, from_json, run, to_json};
use super::writer::Job;
use super::{Present, SqliteStore, database, guarded, lock, settled};
use crate::clock::rfc3339;
use crate::error::StoreError;
use crate::store::*;
use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params, params_from_iter};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;
use uuid::Uuid;
use vereda_scoring::bundle::Group;

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn add_history(&self, scores: &[NewScore], now: Millis) -> Result<()> {
        // Made where they come from, and not on the one thread that writes.
        let rows = scores.iter().map(Columns::of).collect::<Result<Vec<_>>>()?;
        let _present = Present::new(&self.writing);
        let (answer, answered) = oneshot::channel();
        if self.scores.add(Scores { rows, now, answer }) && !self.writer.take(Waiting::job(&self.scores)) {
            self.scores.take();
            return Err(StoreError::Closed);
        }
        answered.await.map_err(|_| StoreError::Closed)?
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

/// What is being done when scores are stored.
const STORING: &str = "store scores";

/// Scores that wait to be stored, of any number of requests. Whoever finds it empty gives the thread that writes one
/// job for all that will have come by its turn: a savepoint for each of them would cost more than the rows, which
/// touch the same pages.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<Vec<Scores>>);

/// Those of one request.
#[derive(Debug)]
struct Scores {
    rows: Vec<Columns>,
    now: Millis,
    answer: oneshot::Sender<Result<()>>,
}

impl Waiting {
    /// Whether these are the first.
    fn add(&self, scores: Scores) -> bool {
        let mut waiting = lock(&self.0);
        waiting.push(scores);
        waiting.len() == 1
    }

    fn take(&self) -> Vec<Scores> {
        std::mem::take(&mut lock(&self.0))
    }

    /// Stores all that wait, or none of them.
    fn job(waiting: &Arc<Waiting>) -> Job {
        let waiting = waiting.clone();
        Box::new(move |transaction| {
            let scores = waiting.take();
            let stored = guarded(STORING, transaction, |t| {
                scores.iter().try_for_each(|one| one.rows.iter().try_for_each(|row| row.put(t, one.now)))
            });
            Box::new(move |committed| {
                for one in scores {
                    // No row is at fault when one cannot be stored, so that it is the same for all.
                    let done = stored.as_ref().copied().map_err(again);
                    // Whoever asked may have gone away; the work is done all the same.
                    let _ = one.answer.send(settled(STORING, done, committed));
                }
            })
        })
    }
}

/// What kept scores from being stored, for another one who waited.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full { doing, source } => StoreError::Full { doing, source: source.to_string().into() },
        other => StoreError::Database { doing: STORING, source: other.to_string().into() },
    }
}

/// Adds an entry, or brings one up to date; when it was received stays as it was.
pub fn put(t: &Transaction<'_>, score: &NewScore, now: Millis) -> Result<()> {
    Columns::of(score)?.put(t, now)
}

/// An entry as the columns of its row.
#[derive(Debug)]
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
    places: Option<Vec<u8>>,
}

impl Columns {
    fn of(score: &NewScore) -> Result<Columns> {
        let NewScore { scored_ms, entry, places } = score;
        Ok(Columns {
            id: entry.id,
            scored_ms: *scored_ms,
            client: entry.client.map(|client| client.0),
            client_ref: entry.client_ref.clone(),
            officer: entry.officer.0,
            branch: entry.branch.map(|branch| branch.0),
            group: entry.group,
            model_version: entry.model.version,
            body: to_json("history entry", entry)?,
            places: places.clone(),
        })
    }

    fn put(&self, t: &Transaction<'_>, now: Millis) -> Result<()> {
        let doing = STORING;
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
        let places = self.places.as_deref().filter(|_| new).map(|places| (self.model_version, places));
        super::insight::note(t, self.id, self.scored_ms, new, places)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use vereda_domain::api::Source;
    use vereda_scoring::ModelRef;

    fn score(n: u128) -> NewScore {
        let entry = HistoryEntry {
            id: AssessmentId(Uuid::from_u128(n)),
            source: Source::Api,
            client: None,
            client_ref: None,
            officer: UserId(Uuid::nil()),
            branch: None,
            model: ModelRef { id: "m".into(), version: 1, sha256: "0".repeat(64) },
            inputs: Default::default(),
            margin: 0.0,
            margin_bits: String::new(),
            probability: 0.5,
            group: Group::T4,
            reasons: Vec::new(),
            decision: None,
            overridden: false,
            rescore: None,
            scored_at: String::new(),
            received_at: String::new(),
        };
        NewScore { scored_ms: 7, entry, places: None }
    }

    /// Stores one score each, all of which wait until the thread that writes has done something else.
    async fn store_at_once(store: &Arc<SqliteStore>, scores: u128) -> Vec<Result<()>> {
        let (go_on, held) = mpsc::channel::<()>();
        let other = store.clone();
        let busy = tokio::spawn(async move {
            other.write("test", move |_| held.recv().map_err(|_| StoreError::Closed)).await
        });
        let adding: Vec<_> = (1..=scores)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.add_history(&[score(n)], 7).await })
            })
            .collect();
        let all = usize::try_from(scores).unwrap();
        while lock(&store.scores.0).len() < all {
            tokio::task::yield_now().await;
        }
        go_on.send(()).unwrap();
        busy.await.unwrap().unwrap();
        let mut done = Vec::new();
        for one in adding {
            done.push(one.await.unwrap());
        }
        done
    }

    #[tokio::test]
    async fn scores_that_wait_together_are_stored_together_and_each_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&SqliteStore::file_in(dir.path()), 1).unwrap());
        let count = || {
            store.read("test", |t| {
                t.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, i64>(0))
                    .map_err(|e| database("test", e))
            })
        };
        assert!(store_at_once(&store, 20).await.iter().all(Result::is_ok));
        assert_eq!(count().await.unwrap(), 20);
        assert_eq!(store.writing.load(std::sync::atomic::Ordering::Relaxed), 0);
        // None is left behind, and none of those who wait is forgotten, when they cannot be stored.
        let broken = format!(
            "CREATE TRIGGER broken BEFORE INSERT ON history WHEN new.id = x'{:032x}' \
             BEGIN SELECT RAISE(FAIL, 'on purpose'); END",
            25
        );
        store
            .write("test", move |t| t.execute_batch(&broken).map_err(|e| database("test", e)))
            .await
            .unwrap();
        let done = store_at_once(&store, 30).await;
        assert!(done.iter().all(|one| one.as_ref().is_err_and(|why| why.to_string().contains("on purpose"))));
        assert_eq!(count().await.unwrap(), 20, "not in part");
        // A later one is not held up by them.
        assert!(store.add_history(&[score(50)], 7).await.is_ok());
        assert_eq!(count().await.unwrap(), 21);
    }
}
