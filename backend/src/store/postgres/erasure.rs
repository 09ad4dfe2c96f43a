//! Bringing out, and erasing, what is kept about a client.

use super::{Parameters, PostgresStore, all, audit, first, get, reading, run, write};
use crate::store::codec::{hash, to_u64};
use crate::store::*;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;
use vereda_domain::api::Erasure;

const DOING: &str = "erase a client";

#[async_trait]
impl ErasureStore for PostgresStore {
    async fn client_records(&self, client: ClientId) -> Result<Vec<Record>> {
        let doing = "read a client";
        let mut connection = self.client().await?;
        let t = reading(&mut connection, doing).await?;
        let sql = "SELECT body FROM records WHERE client = $1 ORDER BY kind DESC, seq";
        let rows = all(&t, doing, sql, &[&client.0]).await?;
        rows.iter().filter_map(|row| get(row, 0).and_then(read_record).transpose()).collect()
    }

    async fn erase(&self, erase: Erase) -> Result<Option<Erasure>> {
        Ok(write!(self, DOING, |t| erase_in(t, erase).await?))
    }

    async fn forget_client_ref(&self, erase: RefToForget) -> Result<u64> {
        Ok(write!(self, DOING, |t| {
            let which = "officer = $1 AND client_ref = $2";
            let scores = nameless_where(t, which, &[&erase.service.0, &erase.client_ref]).await?;
            audit::append(t, &erase.note(scores)).await?;
            scores
        }))
    }

    async fn erasures(&self, branch: Option<BranchId>, limit: u32) -> Result<Vec<Erasure>> {
        let doing = "list erasures";
        let mut connection = self.client().await?;
        let t = reading(&mut connection, doing).await?;
        let sql = format!(
            "{ERASURE} WHERE $1::uuid IS NULL OR branch = $1 ORDER BY erased_ms DESC, client DESC LIMIT $2"
        );
        let rows = all(&t, doing, &sql, &[&branch.map(|b| b.0), &i64::from(limit)]).await?;
        rows.iter().map(erasure).collect()
    }

    async fn sweep(&self, events: u32, now: Millis) -> Result<Swept> {
        Ok(write!(self, "go through events", |t| sweep_in(t, events, now).await?))
    }
}

const ERASURE: &str = "SELECT client, branch, erased_ms, swept_ms, events FROM erasures";

fn erasure(row: &Row) -> Result<Erasure> {
    Ok(Erasure {
        client: ClientId(get(row, 0)?),
        branch: BranchId(get(row, 1)?),
        erased_at: get(row, 2)?,
        swept_at: get(row, 3)?,
        events: to_u64(get(row, 4)?),
    })
}

async fn erasure_of(t: &Transaction<'_>, client: Uuid) -> Result<Option<Erasure>> {
    let row = first(t, DOING, &format!("{ERASURE} WHERE client = $1"), &[&client]).await?;
    row.as_ref().map(erasure).transpose()
}

async fn erase_in(t: &Transaction<'_>, erase: Erase) -> Result<Option<Erasure>> {
    let client = erase.client.0;
    // Pushes to the branch wait here, and those that were decided on what there was before begin anew.
    let sql = "SELECT b.id, b.seq FROM branches b \
               WHERE b.id = (SELECT branch FROM records WHERE kind = 'client' AND id = $1) FOR UPDATE";
    let Some(row) = first(t, DOING, sql, &[&client]).await? else { return Ok(None) };
    let (branch, mut seq): (Uuid, i64) = (get(&row, 0)?, get(&row, 1)?);
    if erase.branch.is_some_and(|only| only.0 != branch) {
        return Ok(None);
    }
    if let Some(before) = erasure_of(t, client).await? {
        return Ok(Some(before));
    }
    let sql = "SELECT kind, id FROM records WHERE client = $1 ORDER BY seq";
    for row in all(t, DOING, sql, &[&client]).await? {
        let (kind, id): (&str, Uuid) = (get(&row, 0)?, get(&row, 1)?);
        seq += 1;
        let sql = "UPDATE records SET body = $3, seq = $4 WHERE kind = $1 AND id = $2";
        run(t, DOING, sql, &[&kind, &id, &ERASED_BODY, &seq]).await?;
        let sql = "UPDATE purges SET erased = true, seq = $3 WHERE kind = $1 AND id = $2";
        run(t, DOING, sql, &[&kind, &id, &seq]).await?;
    }
    run(t, DOING, "UPDATE branches SET seq = $2 WHERE id = $1", &[&branch, &seq]).await?;
    nameless_where(t, "client = $1", &[&client]).await?;
    for table in ["file_pieces", "files"] {
        run(t, DOING, &format!("DELETE FROM {table} WHERE client = $1"), &[&client]).await?;
    }
    let sql = "INSERT INTO erasures(client, branch, erased_ms) VALUES ($1, $2, $3)";
    run(t, DOING, sql, &[&client, &branch, &erase.now]).await?;
    audit::append(t, &erase.note()).await?;
    erasure_of(t, client).await
}

/// Takes the client off entries of the history. Gives how many.
async fn nameless_where(t: &Transaction<'_>, which: &str, values: Parameters<'_>) -> Result<u64> {
    let sql = format!("SELECT id, scored_ms, body FROM history WHERE {which} FOR UPDATE");
    let entries = all(t, DOING, &sql, values).await?;
    for row in &entries {
        let (id, scored_ms): (Uuid, i64) = (get(row, 0)?, get(row, 1)?);
        let sql =
            "UPDATE history SET client = NULL, client_ref = NULL, body = $3 WHERE id = $1 AND scored_ms = $2";
        run(t, DOING, sql, &[&id, &scored_ms, &erasure::nameless(get(row, 2)?)?]).await?;
    }
    Ok(to_u64(i64::try_from(entries.len()).unwrap_or(i64::MAX)))
}

async fn sweep_in(t: &Transaction<'_>, events: u32, now: Millis) -> Result<Swept> {
    let doing = "go through events";
    // Another replica may be at one of them.
    let sql = "SELECT client, at_device, at_seq FROM erasures WHERE swept_ms IS NULL ORDER BY erased_ms \
               LIMIT 1 FOR UPDATE SKIP LOCKED";
    let Some(row) = first(t, doing, sql, &[]).await? else { return Ok(Swept::Nothing) };
    let (at, seq): (Option<Uuid>, Option<i64>) = (get(&row, 1)?, get(&row, 2)?);
    let (client, device, seq): (Uuid, _, _) = (get(&row, 0)?, at.unwrap_or(Uuid::nil()), seq.unwrap_or(0));
    let sql = "SELECT device, seq FROM events WHERE (device, seq) > ($1, $2) ORDER BY device, seq LIMIT 1 OFFSET $3";
    let end = first(t, doing, sql, &[&device, &seq, &i64::from(events.saturating_sub(1))]).await?;
    let (to_device, to_seq) = match &end {
        Some(row) => (get(row, 0)?, get(row, 1)?),
        None => (Uuid::max(), i64::MAX),
    };
    let sql = "SELECT device, seq, text, hash, outcome FROM events \
               WHERE (device, seq) > ($1, $2) AND (device, seq) <= ($3, $4) AND position($5 in lower(text)) > 0 \
               FOR UPDATE";
    let found = all(t, doing, sql, &[&device, &seq, &to_device, &to_seq, &client.to_string()]).await?;
    for row in &found {
        let (stub, outcome) = erasure::remains(get(row, 2)?, hash(get(row, 3)?)?, get(row, 4)?)?;
        let (device, seq): (Uuid, i64) = (get(row, 0)?, get(row, 1)?);
        let sql = "UPDATE events SET text = $3, outcome = $4, waits_kind = NULL, waits_id = NULL \
                   WHERE device = $1 AND seq = $2";
        run(t, doing, sql, &[&device, &seq, &stub, &outcome]).await?;
    }
    let swept = end.is_none().then_some(now);
    let found = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let sql = "UPDATE erasures SET at_device = $2, at_seq = $3, events = events + $4, swept_ms = $5 WHERE client = $1";
    run(t, doing, sql, &[&client, &to_device, &to_seq, &found, &swept]).await?;
    match (swept, erasure_of(t, client).await?) {
        (Some(_), Some(erasure)) => Ok(Swept::Done(erasure)),
        _ => Ok(Swept::More),
    }
}
