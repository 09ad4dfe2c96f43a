//! Who did what.

use super::{PostgresStore, all, first, get, reading, run, write};
use crate::error::StoreError;
use crate::store::codec::{hash, to_i64, to_u64};
use crate::store::*;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

#[async_trait]
impl AuditStore for PostgresStore {
    async fn note(&self, note: Note) -> Result<()> {
        write!(self, "write the audit log", |t| append(t, &note).await?);
        Ok(())
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>> {
        let doing = "read the audit log";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = "SELECT seq, hash, text FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows = all(&t, doing, sql, &[&to_i64(after), &i64::from(limit)]).await?;
        let read = |row: &Row| {
            let ChainHead { seq, hash } = head(row)?;
            Ok(AuditRow { seq, hash, text: get(row, 2)? })
        };
        rows.iter().map(read).collect()
    }
}

fn head(row: &Row) -> Result<ChainHead> {
    Ok(ChainHead { seq: to_u64(get(row, 0)?), hash: hash(get(row, 1)?)? })
}

/// Adds an entry at the end. Last in its transaction, since it makes others who add one wait.
pub async fn append(t: &Transaction<'_>, note: &Note) -> Result<()> {
    let doing = "write the audit log";
    let last = first(t, doing, "SELECT seq, hash FROM audit_head FOR UPDATE", &[]).await?;
    let last = last.ok_or_else(|| StoreError::corrupt("audit log", "it has no end"))?;
    let (next, text) = note.after(head(&last)?)?;
    let (seq, hash) = (to_i64(next.seq), next.hash.0.as_slice());
    run(t, doing, "INSERT INTO audit(seq, hash, text) VALUES ($1, $2, $3)", &[&seq, &hash, &text]).await?;
    run(t, doing, "UPDATE audit_head SET seq = $1, hash = $2", &[&seq, &hash]).await.map(|_| ())
}
