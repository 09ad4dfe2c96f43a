//! Files of clients.

use super::rows::{all, first, run, to_i64, to_u64};
use super::{SqliteStore, database};
use crate::store::*;
use rusqlite::{Transaction, params};

#[async_trait]
impl FileStore for SqliteStore {
    async fn client_record(&self, client: ClientId) -> Result<Option<ClientRecord>> {
        let doing = "find a client";
        self.read(doing, move |t| {
            let sql = "SELECT body FROM records WHERE kind = 'client' AND id = ?1";
            let body: Option<String> =
                first(t, doing, sql, [client.0], |row| row.get(0).map_err(|e| database(doing, e)))?;
            Ok(body.as_deref().map(read_record).transpose()?.flatten().and_then(client_of))
        })
        .await
    }

    async fn file(&self, file: FileKey) -> Result<FileState> {
        self.read("find a file", move |t| state(t, file)).await
    }

    async fn add_piece(&self, file: FileKey, from: u64, piece: Vec<u8>) -> Result<FileState> {
        let doing = "store a piece of a file";
        self.write(doing, move |t| {
            let sql = "SELECT 1 FROM records WHERE kind = 'client' AND id = ?1 AND body <> ?2";
            if first(t, doing, sql, params![file.client.0, ERASED_BODY], |_| Ok(()))?.is_none() {
                return Ok(FileState::default());
            }
            let now = state(t, file)?;
            if now.whole || now.received != from {
                return Ok(now);
            }
            let received = from + piece.len() as u64;
            let key = (file.client.0, file.sha256.0);
            let sql = "INSERT INTO file_pieces(client, sha256, start, bytes) VALUES (?1, ?2, ?3, ?4)";
            run(t, doing, sql, params![key.0, key.1, to_i64(from), piece])?;
            let sql = "INSERT INTO files(client, sha256, received) VALUES (?1, ?2, ?3) \
                       ON CONFLICT DO UPDATE SET received = excluded.received";
            run(t, doing, sql, params![key.0, key.1, to_i64(received)])?;
            Ok(FileState { received, ..now })
        })
        .await
    }

    async fn file_bytes(&self, file: FileKey) -> Result<Vec<u8>> {
        let doing = "read a file";
        self.read(doing, move |t| {
            let sql = "SELECT bytes FROM file_pieces WHERE client = ?1 AND sha256 = ?2 ORDER BY start";
            let pieces: Vec<Vec<u8>> = all(t, doing, sql, params![file.client.0, file.sha256.0], |row| {
                row.get(0).map_err(|e| database(doing, e))
            })?;
            Ok(pieces.concat())
        })
        .await
    }

    async fn finish_file(&self, file: FileKey, now: Millis) -> Result<FileState> {
        let doing = "note that a file is whole";
        self.write(doing, move |t| {
            let sql = "UPDATE files SET whole_ms = ?3 WHERE client = ?1 AND sha256 = ?2 AND whole_ms IS NULL";
            if run(t, doing, sql, params![file.client.0, file.sha256.0, now])? == 1 {
                let sql = "UPDATE branches SET seq = seq + 1 \
                           WHERE id = (SELECT branch FROM records WHERE kind = 'client' AND id = ?1)";
                run(t, doing, sql, [file.client.0])?;
            }
            state(t, file)
        })
        .await
    }

    async fn discard_file(&self, file: FileKey) -> Result<()> {
        let doing = "discard a file";
        self.write(doing, move |t| {
            if state(t, file)?.whole {
                return Ok(());
            }
            for table in ["file_pieces", "files"] {
                let sql = format!("DELETE FROM {table} WHERE client = ?1 AND sha256 = ?2");
                run(t, doing, &sql, params![file.client.0, file.sha256.0])?;
            }
            Ok(())
        })
        .await
    }
}

fn state(t: &Transaction<'_>, file: FileKey) -> Result<FileState> {
    let doing = "find a file";
    let get = |e| database(doing, e);
    let sql = "SELECT received, whole_ms IS NOT NULL, (SELECT b.seq FROM records r JOIN branches b ON b.id = r.branch \
                 WHERE r.kind = 'client' AND r.id = files.client) FROM files WHERE client = ?1 AND sha256 = ?2";
    let found = first(t, doing, sql, params![file.client.0, file.sha256.0], |row| {
        Ok(FileState {
            received: to_u64(row.get(0).map_err(get)?),
            whole: row.get(1).map_err(get)?,
            end: to_u64(row.get(2).map_err(get)?),
        })
    })?;
    Ok(found.unwrap_or_default())
}
