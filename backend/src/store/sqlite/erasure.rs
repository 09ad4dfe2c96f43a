//! Bringing out, and erasing, what is kept about a client.

use super::rows::{all, first, hash, run, to_u64};
use super::{SqliteStore, audit, database};
use crate::store::*;
use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params};
use uuid::Uuid;
use vereda_domain::api::Erasure;

const DOING: &str = "erase a client";

#[async_trait]
impl ErasureStore for SqliteStore {
    async fn client_records(&self, client: ClientId) -> Result<Vec<Record>> {
        let doing = "read a client";
        self.read(doing, move |t| {
            let sql = "SELECT body FROM records WHERE client = ?1 ORDER BY kind DESC, seq";
            let bodies: Vec<String> =
                all(t, doing, sql, [client.0], |row| row.get(0).map_err(|e| database(doing, e)))?;
            bodies.iter().filter_map(|body| read_record(body).transpose()).collect()
        })
        .await
    }

    async fn erase(&self, erase: Erase) -> Result<Option<Erasure>> {
        self.write(DOING, move |t| erase_in(t, erase)).await
    }

    async fn forget_client_ref(&self, erase: RefToForget) -> Result<u64> {
        self.write(DOING, move |t| {
            let (service, name) = (erase.service.0, erase.client_ref.clone());
            let which = "officer = ?1 AND client_ref = ?2";
            let scores = nameless_where(t, which, vec![service.into(), name.into()])?;
            audit::append(t, &erase.note(scores))?;
            Ok(scores)
        })
        .await
    }

    async fn erasures(&self, branch: Option<BranchId>, limit: u32) -> Result<Vec<Erasure>> {
        let doing = "list erasures";
        self.read(doing, move |t| {
            let sql = format!(
                "{ERASURE} WHERE ?1 IS NULL OR branch = ?1 ORDER BY erased_ms DESC, client DESC LIMIT ?2"
            );
            all(t, doing, &sql, params![branch.map(|b| b.0), limit], erasure)
        })
        .await
    }

    async fn sweep(&self, events: u32, now: Millis) -> Result<Swept> {
        self.write("go through events", move |t| sweep_in(t, events, now)).await
    }
}

const ERASURE: &str = "SELECT client, branch, erased_ms, swept_ms, events FROM erasures";

fn erasure(row: &Row<'_>) -> Result<Erasure> {
    let get = |e| database("read an erasure", e);
    Ok(Erasure {
        client: ClientId(row.get(0).map_err(get)?),
        branch: BranchId(row.get(1).map_err(get)?),
        erased_at: row.get(2).map_err(get)?,
        swept_at: row.get(3).map_err(get)?,
        events: to_u64(row.get(4).map_err(get)?),
    })
}

fn erasure_of(t: &Transaction<'_>, client: ClientId) -> Result<Option<Erasure>> {
    first(t, DOING, &format!("{ERASURE} WHERE client = ?1"), [client.0], erasure)
}

fn erase_in(t: &Transaction<'_>, erase: Erase) -> Result<Option<Erasure>> {
    let get = |e| database(DOING, e);
    let sql = "SELECT r.branch, b.seq, r.body FROM records r JOIN branches b ON b.id = r.branch \
               WHERE r.kind = 'client' AND r.id = ?1";
    let found: Option<(Uuid, i64, String)> = first(t, DOING, sql, [erase.client.0], |row| {
        Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?, row.get(2).map_err(get)?))
    })?;
    let Some((branch, mut seq, body)) = found else { return Ok(None) };
    if erase.branch.is_some_and(|only| only.0 != branch) {
        return Ok(None);
    }
    if body == ERASED_BODY {
        return erasure_of(t, erase.client);
    }
    let sql = "SELECT kind, id FROM records WHERE client = ?1 ORDER BY seq";
    let keys: Vec<(String, Uuid)> =
        all(t, DOING, sql, [erase.client.0], |row| Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?)))?;
    for (kind, id) in keys {
        seq += 1;
        let sql = "UPDATE records SET body = ?3, seq = ?4 WHERE kind = ?1 AND id = ?2";
        run(t, DOING, sql, params![kind, id, ERASED_BODY, seq])?;
        let sql = "UPDATE purges SET erased = 1, seq = ?3 WHERE kind = ?1 AND id = ?2";
        run(t, DOING, sql, params![kind, id, seq])?;
    }
    run(t, DOING, "UPDATE branches SET seq = ?2 WHERE id = ?1", params![branch, seq])?;
    nameless_where(t, "client = ?1", vec![erase.client.0.into()])?;
    for table in ["file_pieces", "files"] {
        run(t, DOING, &format!("DELETE FROM {table} WHERE client = ?1"), [erase.client.0])?;
    }
    let sql = "INSERT INTO erasures(client, branch, erased_ms) VALUES (?1, ?2, ?3)";
    run(t, DOING, sql, params![erase.client.0, branch, erase.now])?;
    audit::append(t, &erase.note())?;
    erasure_of(t, erase.client)
}

/// Takes the client off entries of the history. Gives how many.
fn nameless_where(t: &Transaction<'_>, which: &str, values: Vec<Value>) -> Result<u64> {
    let get = |e| database(DOING, e);
    let sql = format!("SELECT id, body FROM history WHERE {which}");
    let parameters = rusqlite::params_from_iter(values);
    let entries: Vec<(Uuid, String)> =
        all(t, DOING, &sql, parameters, |row| Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?)))?;
    for (id, body) in &entries {
        let sql = "UPDATE history SET client = NULL, client_ref = NULL, body = ?2 WHERE id = ?1";
        run(t, DOING, sql, params![id, erasure::nameless(body)?])?;
    }
    Ok(to_u64(i64::try_from(entries.len()).unwrap_or(i64::MAX)))
}

fn sweep_in(t: &Transaction<'_>, events: u32, now: Millis) -> Result<Swept> {
    let doing = "go through events";
    let get = |e| database(doing, e);
    let sql =
        "SELECT client, at_device, at_seq FROM erasures WHERE swept_ms IS NULL ORDER BY erased_ms LIMIT 1";
    let next = first(t, doing, sql, [], |row| {
        let at: Option<Uuid> = row.get(1).map_err(get)?;
        let seq: Option<i64> = row.get(2).map_err(get)?;
        Ok((row.get::<_, Uuid>(0).map_err(get)?, at.unwrap_or(Uuid::nil()), seq.unwrap_or(0)))
    })?;
    let Some((client, device, seq)) = next else { return Ok(Swept::Nothing) };
    let sql = "SELECT device, seq FROM events WHERE (device, seq) > (?1, ?2) ORDER BY device, seq LIMIT 1 OFFSET ?3";
    let end: Option<(Uuid, i64)> =
        first(t, doing, sql, params![device, seq, events.saturating_sub(1)], |row| {
            Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?))
        })?;
    let (to_device, to_seq) = end.unwrap_or((Uuid::max(), i64::MAX));
    let sql = "SELECT device, seq, text, hash, outcome FROM events \
               WHERE (device, seq) > (?1, ?2) AND (device, seq) <= (?3, ?4) AND instr(lower(text), ?5) > 0";
    let named = client.to_string();
    let found = all(t, doing, sql, params![device, seq, to_device, to_seq, named], |row| {
        let (text, outcome): (String, String) = (row.get(2).map_err(get)?, row.get(4).map_err(get)?);
        let remains = erasure::remains(&text, hash(row.get(3).map_err(get)?)?, &outcome)?;
        Ok((row.get::<_, Uuid>(0).map_err(get)?, row.get::<_, i64>(1).map_err(get)?, remains))
    })?;
    for (device, seq, (stub, outcome)) in &found {
        let sql = "UPDATE events SET text = ?3, outcome = ?4, waits_kind = NULL, waits_id = NULL \
                   WHERE device = ?1 AND seq = ?2";
        run(t, doing, sql, params![device, seq, stub, outcome])?;
    }
    let sql = "UPDATE erasures SET at_device = ?2, at_seq = ?3, events = events + ?4, swept_ms = ?5 WHERE client = ?1";
    let swept = end.is_none().then_some(now);
    let found = i64::try_from(found.len()).unwrap_or(i64::MAX);
    run(t, doing, sql, params![client, to_device, to_seq, found, swept])?;
    match (swept, erasure_of(t, ClientId(client))?) {
        (Some(_), Some(erasure)) => Ok(Swept::Done(erasure)),
        _ => Ok(Swept::More),
    }
}
