//! The last score of each client, for lists. In the index of all scores they lie further apart with every year, and each
//! is on a page of its own, to be read, checked and decrypted; here they are as many as the clients.
//!
//! Scores do not come in the order of clients. So the table is not there while a first pull goes on, as the
//! indexes are not (`project::unindex_empty`), and lists go through all scores meanwhile.

use super::id;
use super::portfolio::{decision, group};
use crate::error::Result;
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use vereda_domain::gateway::LastScore;
use vereda_domain::{AssessmentId, ClientId};

/// A score as its client's last.
#[derive(Debug)]
pub(crate) struct Last {
    pub client: String,
    pub hlc: String,
    pub id: String,
    pub risk_group: i64,
    pub probability: f64,
    pub at: i64,
    pub decision: Option<String>,
}

impl Last {
    /// Notes it, unless a later one is there; the table must be.
    pub(crate) fn write(&self, db: &Connection) -> Result<()> {
        db.prepare_cached(
            "INSERT INTO last_scores (client, hlc, id, risk_group, probability, at, decision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (client) DO UPDATE SET hlc = excluded.hlc, id = excluded.id,
             risk_group = excluded.risk_group, probability = excluded.probability, at = excluded.at,
             decision = excluded.decision WHERE (excluded.hlc, excluded.id) >= (hlc, id)",
        )?
        .execute((
            &self.client,
            &self.hlc,
            &self.id,
            self.risk_group,
            self.probability,
            self.at,
            &self.decision,
        ))?;
        Ok(())
    }
}

/// Whether the table is there.
pub(crate) fn kept(db: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'last_scores')";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Makes the table, with what there is; within a transaction.
pub(crate) fn keep(db: &Connection) -> Result<()> {
    if kept(db)? {
        return Ok(());
    }
    // In the order of the index of scores, so that each client's last comes last.
    Ok(db.execute_batch(
        "CREATE TABLE last_scores (
             client      TEXT PRIMARY KEY,
             hlc         TEXT NOT NULL,
             id          TEXT NOT NULL,
             risk_group  INTEGER NOT NULL,
             probability REAL NOT NULL,
             at          INTEGER NOT NULL,
             decision    TEXT
         ) STRICT, WITHOUT ROWID;
         INSERT INTO last_scores
         SELECT client, hlc, id, risk_group, probability, at, decision FROM assessments
         WHERE true ORDER BY client, hlc, id
         ON CONFLICT (client) DO UPDATE SET hlc = excluded.hlc, id = excluded.id,
         risk_group = excluded.risk_group, probability = excluded.probability, at = excluded.at,
         decision = excluded.decision;",
    )?)
}

/// Leaves the table out.
pub(crate) fn leave_out(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DROP TABLE IF EXISTS last_scores")?)
}

/// An assessment is not here any more: the one before it is the last, if there is one.
pub(crate) fn forget(db: &Connection, client: &str, assessment: &str) -> Result<()> {
    let was_last = db
        .prepare_cached("DELETE FROM last_scores WHERE client = ?1 AND id = ?2")?
        .execute((client, assessment))?;
    if was_last > 0 {
        db.prepare_cached(
            "INSERT INTO last_scores
             SELECT client, hlc, id, risk_group, probability, at, decision FROM assessments
             WHERE client = ?1 ORDER BY hlc DESC, id DESC LIMIT 1",
        )?
        .execute([client])?;
    }
    Ok(())
}

/// The last score of each of these who has one.
pub(crate) fn of(db: &Connection, clients: &[ClientId]) -> Result<HashMap<ClientId, LastScore>> {
    // Of all at once, since without the table all scores are gone through. Of a group SQLite gives the row that has
    // the `max`: <https://sqlite.org/lang_select.html#bareagg>.
    let mut statement = db.prepare_cached(if kept(db)? {
        "SELECT id, risk_group, probability, at, decision, client FROM last_scores
         WHERE client IN (SELECT value FROM json_each(?1))"
    } else {
        "SELECT id, risk_group, probability, at, decision, client, max(hlc) FROM assessments
         WHERE client IN (SELECT value FROM json_each(?1)) GROUP BY client"
    })?;
    let mut found = statement.query([serde_json::to_string(clients)?])?;
    let mut last = HashMap::new();
    while let Some(row) = found.next()? {
        last.insert(id(&row.get::<_, String>(5)?)?, score(row)?);
    }
    Ok(last)
}

/// The scores of a client, latest first.
pub(crate) fn all_of(db: &Connection, client: &str, limit: u32) -> Result<Vec<LastScore>> {
    let mut statement = db.prepare_cached(
        "SELECT id, risk_group, probability, at, decision FROM assessments
         WHERE client = ?1 ORDER BY hlc DESC LIMIT ?2",
    )?;
    let mut rows = statement.query((client, limit))?;
    let mut scores = Vec::new();
    while let Some(row) = rows.next()? {
        scores.push(score(row)?);
    }
    Ok(scores)
}

fn score(row: &Row<'_>) -> Result<LastScore> {
    Ok(LastScore {
        assessment: id::<AssessmentId>(&row.get::<_, String>(0)?)?,
        group: group(row.get(1)?)?,
        probability: row.get(2)?,
        at: row.get(3)?,
        decision: decision(row.get(4)?)?,
    })
}
