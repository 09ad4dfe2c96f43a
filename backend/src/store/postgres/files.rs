//! Files of clients.

use super::{PostgresStore, all, first, get, reading, run, write};
use crate::store::codec::{to_i64, to_u64};
use crate::store::*;
use deadpool_postgres::Transaction;

#[async_trait]
impl FileStore for PostgresStore {
    async fn client_record(&self, client: ClientId) -> Result<Option<ClientRecord>> {
        let doing = "find a client";
        let mut connection = self.client().await?;
        let t = reading(&mut connection, doing).await?;
        let sql = "SELECT body FROM records WHERE kind = 'client' AND id = $1";
        let row = first(&t, doing, sql, &[&client.0]).await?;
        let record = row.map(|row| get(&row, 0).and_then(read_record)).transpose()?.flatten();
        Ok(record.and_then(client_of))
    }

    async fn file(&self, file: FileKey) -> Result<FileState> {
        let mut connection = self.client().await?;
        let t = reading(&mut connection, "find a file").await?;
        state(&t, file, "").await
    }

    async fn add_piece(&self, file: FileKey, from: u64, piece: Vec<u8>) -> Result<FileState> {
        let doing = "store a piece of a file";
        Ok(write!(self, doing, |t| add_piece_in(t, file, from, &piece).await?))
    }

    async fn file_bytes(&self, file: FileKey) -> Result<Vec<u8>> {
        let doing = "read a file";
        let mut connection = self.client().await?;
        let t = reading(&mut connection, doing).await?;
        let sql = "SELECT bytes FROM file_pieces WHERE client = $1 AND sha256 = $2 ORDER BY start";
        let sha256: &[u8] = &file.sha256.0;
        let rows = all(&t, doing, sql, &[&file.client.0, &sha256]).await?;
        let pieces: Vec<&[u8]> = rows.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
        Ok(pieces.concat())
    }

    async fn finish_file(&self, file: FileKey, now: Millis) -> Result<FileState> {
        let doing = "note that a file is whole";
        let sha256: &[u8] = &file.sha256.0;
        Ok(write!(self, doing, |t| {
            // First, as whoever erases the client has it when the file is taken away.
            let sql = "SELECT id FROM branches \
                       WHERE id = (SELECT branch FROM records WHERE kind = 'client' AND id = $1) FOR UPDATE";
            if let Some(branch) = first(t, doing, sql, &[&file.client.0]).await? {
                let branch: uuid::Uuid = get(&branch, 0)?;
                let sql =
                    "UPDATE files SET whole_ms = $3 WHERE client = $1 AND sha256 = $2 AND whole_ms IS NULL";
                if run(t, doing, sql, &[&file.client.0, &sha256, &now]).await? == 1 {
                    run(t, doing, "UPDATE branches SET seq = seq + 1 WHERE id = $1", &[&branch]).await?;
                }
            }
            state(t, file, "").await?
        }))
    }

    async fn discard_file(&self, file: FileKey) -> Result<()> {
        let doing = "discard a file";
        let sha256: &[u8] = &file.sha256.0;
        write!(self, doing, |t| {
            if !state(t, file, "FOR UPDATE").await?.whole {
                for table in ["file_pieces", "files"] {
                    let sql = format!("DELETE FROM {table} WHERE client = $1 AND sha256 = $2");
                    run(t, doing, &sql, &[&file.client.0, &sha256]).await?;
                }
            }
        });
        Ok(())
    }
}

async fn add_piece_in(t: &Transaction<'_>, file: FileKey, from: u64, piece: &[u8]) -> Result<FileState> {
    let doing = "store a piece of a file";
    // Whoever erases the client waits until this is done, and takes it away; or this waits, and finds nobody.
    let sql = "SELECT 1 FROM records WHERE kind = 'client' AND id = $1 AND body <> $2 FOR SHARE";
    if first(t, doing, sql, &[&file.client.0, &ERASED_BODY]).await?.is_none() {
        return Ok(FileState::default());
    }
    let key: (&uuid::Uuid, &[u8]) = (&file.client.0, &file.sha256.0);
    // Whoever sends the same piece at the same time waits here, and finds it stored.
    let sql = "INSERT INTO files(client, sha256, received) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
    run(t, doing, sql, &[key.0, &key.1]).await?;
    let now = state(t, file, "FOR UPDATE").await?;
    if now.whole || now.received != from {
        return Ok(now);
    }
    let received = from + piece.len() as u64;
    let sql = "INSERT INTO file_pieces(client, sha256, start, bytes) VALUES ($1, $2, $3, $4)";
    run(t, doing, sql, &[key.0, &key.1, &to_i64(from), &piece]).await?;
    let sql = "UPDATE files SET received = $3 WHERE client = $1 AND sha256 = $2";
    run(t, doing, sql, &[key.0, &key.1, &to_i64(received)]).await?;
    Ok(FileState { received, ..now })
}

/// `lock` is empty, or `FOR UPDATE`.
async fn state(t: &Transaction<'_>, file: FileKey, lock: &str) -> Result<FileState> {
    let sql = format!(
        "SELECT received, whole_ms IS NOT NULL, (SELECT b.seq FROM records r JOIN branches b ON b.id = r.branch \
                 WHERE r.kind = 'client' AND r.id = files.client) FROM files WHERE client = $1 AND sha256 = $2 {lock}"
    );
    let sha256: &[u8] = &file.sha256.0;
    match first(t, "find a file", &sql, &[&file.client.0, &sha256]).await? {
        None => Ok(FileState::default()),
        Some(row) => Ok(FileState {
            received: to_u64(get(&row, 0)?),
            whole: get(&row, 1)?,
            end: to_u64(get(&row, 2)?),
        }),
    }
}
