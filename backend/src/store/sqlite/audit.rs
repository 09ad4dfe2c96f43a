//! Who did what.

use super::rows::{all, first, hash, run, to_i64, to_u64};
use super::{SqliteStore, database};
use crate::store::*;
use rusqlite::{Row, Transaction, params};

#[async_trait]
impl AuditStore for SqliteStore {
    async fn note(&self, note: Note) -> Result<()> {
        self.write("write the audit log", move |t| append(t, &note)).await
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>> {
        self.read("read the audit log", move |t| {
            let sql = "SELECT seq, hash, text FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            all(t, "read the audit log", sql, params![to_i64(after), limit], |row| {
                let text = row.get(2).map_err(|e| database("read the audit log", e))?;
                head(row).map(|ChainHead { seq, hash }| AuditRow { seq, hash, text })
            })
        })
        .await
    }
}

fn head(row: &Row<'_>) -> Result<ChainHead> {
    let get = |e| database("read the audit log", e);
    Ok(ChainHead { seq: to_u64(row.get(0).map_err(get)?), hash: hash(row.get(1).map_err(get)?)? })
}

/// Adds an entry at the end.
pub fn append(t: &Transaction<'_>, note: &Note) -> Result<()> {
    let doing = "write the audit log";
    let last = first(t, doing, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", [], head)?;
    let (head, text) = note.after(last.unwrap_or(ChainHead::EMPTY))?;
    let sql = "INSERT INTO audit(seq, hash, text) VALUES (?1, ?2, ?3)";
    run(t, doing, sql, params![to_i64(head.seq), head.hash.0, text]).map(|_| ())
}
