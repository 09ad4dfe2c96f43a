//! Chains of events, records, and the order of their changes.

use super::rows::{
    all, first, from_json, hash, key_of, key_parts, rank_name, rank_of, run, to_i64, to_json, to_u64,
};
use super::{SqliteStore, database};
use crate::error::StoreError;
use crate::store::codec::{fitting, quarantined};
use crate::store::*;
use rusqlite::{Transaction, params};
use std::collections::BTreeSet;
use uuid::Uuid;

#[async_trait]
impl SyncStore for SqliteStore {
    async fn head(&self, device: DeviceId) -> Result<ChainHead> {
        self.read("find the end of a chain", move |t| head_in(t, device)).await
    }

    async fn snapshot(
        &self,
        branch: BranchId,
        device: DeviceId,
        first: u64,
        last: u64,
        keys: Vec<RecordKey>,
    ) -> Result<Snapshot> {
        self.read("take a snapshot", move |t| {
            let stored = stored_in(t, device, first, last)?;
            let Found { records, waiting, erased } = records_and_waiting(t, keys)?;
            let (branch_seq, head) = (branch_seq(t, branch)?, head_in(t, device)?);
            Ok(Snapshot { branch_seq, head, stored, records, waiting, erased })
        })
        .await
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        self.write_apart("store a push", move |t| append_in(t, &append)).await
    }

    async fn leap(&self, leap: Leap) -> Result<()> {
        self.write("let sequences leap", move |t| leap_in(t, leap)).await
    }

    async fn pull(&self, query: PullQuery) -> Result<PullPage> {
        self.read("read changes", move |t| pull_in(t, query)).await
    }

    async fn portfolio(&self, query: PortfolioQuery) -> Result<PullPage> {
        self.read("read a portfolio", move |t| portfolio_in(t, query)).await
    }

    async fn quarantined(&self, query: QuarantineQuery) -> Result<Vec<Quarantined>> {
        let doing = "list quarantined events";
        let get = move |e| database(doing, e);
        self.read(doing, move |t| {
            let sql = "SELECT e.device, e.seq, d.user, e.received_ms, e.drift_ms, e.outcome \
                       FROM events e JOIN devices d ON d.id = e.device \
                       WHERE e.branch = ?1 AND e.quarantined = 1 AND (?2 IS NULL OR d.user = ?2) \
                       ORDER BY e.received_ms DESC, e.device, e.seq LIMIT ?3";
            all(t, doing, sql, params![query.branch.0, query.user.map(|u| u.0), query.limit], |row| {
                let outcome: String = row.get(5).map_err(get)?;
                quarantined(
                    row.get(0).map_err(get)?,
                    row.get(1).map_err(get)?,
                    row.get(2).map_err(get)?,
                    (row.get(3).map_err(get)?, row.get(4).map_err(get)?),
                    &outcome,
                )
            })
        })
        .await
    }
}

fn branch_seq(t: &Transaction<'_>, branch: BranchId) -> Result<u64> {
    let doing = "find a branch";
    first(t, doing, "SELECT seq FROM branches WHERE id = ?1", [branch.0], |row| {
        Ok(to_u64(row.get(0).map_err(|e| database(doing, e))?))
    })?
    .ok_or_else(|| StoreError::corrupt("branch", "not there"))
}

fn head_in(t: &Transaction<'_>, device: DeviceId) -> Result<ChainHead> {
    let doing = "find the end of a chain";
    let found =
        first(t, doing, "SELECT head_seq, head_hash FROM devices WHERE id = ?1", [device.0], |row| {
            let seq = to_u64(row.get(0).map_err(|e| database(doing, e))?);
            Ok(ChainHead { seq, hash: hash(row.get(1).map_err(|e| database(doing, e))?)? })
        })?;
    Ok(found.unwrap_or(ChainHead::EMPTY))
}

fn stored_in(t: &Transaction<'_>, device: DeviceId, first: u64, last: u64) -> Result<Vec<StoredEvent>> {
    let doing = "find stored events";
    let get = |e| database(doing, e);
    let sql =
        "SELECT seq, hash, outcome FROM events WHERE device = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq";
    all(t, doing, sql, params![device.0, to_i64(first), to_i64(last)], |row| {
        let outcome: String = row.get(2).map_err(get)?;
        Ok(StoredEvent {
            seq: to_u64(row.get(0).map_err(get)?),
            hash: hash(row.get(1).map_err(get)?)?,
            outcome: from_json("outcome", &outcome)?,
        })
    })
}

/// The records asked for, the events that wait for them, the records those change, and so on.
fn records_and_waiting(t: &Transaction<'_>, keys: Vec<RecordKey>) -> Result<Found> {
    let doing = "find records";
    let get = |e| database(doing, e);
    let mut queue = keys;
    let mut seen = BTreeSet::new();
    let mut found = Found::default();
    while let Some(key) = queue.pop() {
        if !seen.insert(key) {
            continue;
        }
        let (kind, id) = key_parts(key);
        let sql = "SELECT body FROM records WHERE kind = ?1 AND id = ?2";
        let body: Option<String> = first(t, doing, sql, params![kind, id], |row| row.get(0).map_err(get))?;
        if let Some(body) = body {
            found.take(key, &body)?;
        }
        let sql = "SELECT device, seq, text, rank, key_kind, key_id FROM events \
                   WHERE waits_id = ?2 AND waits_kind = ?1 ORDER BY received_ms, device, seq";
        let held = all(t, doing, sql, params![kind, id], |row| {
            let rank: String = row.get(3).map_err(get)?;
            let waiting = Waiting {
                device: DeviceId(row.get(0).map_err(get)?),
                seq: to_u64(row.get(1).map_err(get)?),
                text: row.get(2).map_err(get)?,
                waits_for: key,
                rank: rank_of(&rank)?,
            };
            let kind: Option<String> = row.get(4).map_err(get)?;
            let id: Option<Uuid> = row.get(5).map_err(get)?;
            Ok((waiting, kind.zip(id).map(|(kind, id)| key_of(&kind, id)).transpose()?))
        })?;
        for (event, changes) in held {
            found.waiting.push(event);
            queue.extend(changes);
        }
    }
    Ok(found)
}

/// Where the branch's sequence ends, and whether these places are of it.
fn standing(t: &Transaction<'_>, branch: BranchId, told: &[u64]) -> Result<Standing> {
    let doing = "find a place";
    let mut standing = Standing::of(branch_seq(t, branch)?);
    for place in told.iter().filter(|place| **place > 0) {
        let landing = first(t, doing, LANDING, params![branch.0, to_i64(*place)], |row| {
            Ok(to_u64(row.get(0).map_err(|e| database(doing, e))?))
        })?;
        standing.told(*place, landing);
    }
    Ok(standing)
}

fn leap_in(t: &Transaction<'_>, leap: Leap) -> Result<()> {
    let doing = "let sequences leap";
    let get = |e| database(doing, e);
    let ends: Vec<(Uuid, u64)> = all(t, doing, "SELECT id, seq FROM branches", [], |row| {
        Ok((row.get(0).map_err(get)?, to_u64(row.get(1).map_err(get)?)))
    })?;
    for (branch, end) in ends {
        let values = params![branch, to_i64(end), to_i64(leap.from(end))];
        run(t, doing, "INSERT INTO leaps(branch, from_seq, to_seq) VALUES (?1, ?2, ?3)", values)?;
        run(t, doing, "UPDATE branches SET seq = ?3 WHERE id = ?1 AND seq = ?2", values)?;
    }
    Ok(())
}

fn append_in(t: &Transaction<'_>, append: &Append) -> Result<Appended> {
    let doing = "store a push";
    let mut seq = branch_seq(t, append.branch)?;
    if seq != append.branch_seq || head_in(t, append.device)? != append.head {
        return Ok(Appended::Stale);
    }
    let mut next = || {
        seq += 1;
        to_i64(seq)
    };
    // Even a push that changes no record moves the sequence on: it may have left events waiting, and
    // whoever decides at the same time must see them.
    next();
    for event in &append.events {
        add_event(t, append, event)?;
    }
    for (device, seq, outcome) in &append.settled {
        let sql = "UPDATE events SET outcome = ?3, quarantined = ?4, waits_kind = NULL, waits_id = NULL \
                   WHERE device = ?1 AND seq = ?2";
        let quarantined = *outcome != EventOutcome::Stored;
        run(t, doing, sql, params![device.0, to_i64(*seq), to_json("outcome", outcome)?, quarantined])?;
    }
    for row in &append.records {
        if !put_record(t, append.branch, row, next())? {
            return Err(StoreError::corrupt("record", "it belongs to another branch"));
        }
    }
    for moved in &append.reassigned {
        reassign(t, append.branch, moved, &mut next)?;
    }
    for score in &append.history {
        super::history::put(t, score, append.now)?;
    }
    let head = append.events.last().map_or(append.head, |e| ChainHead { seq: e.seq, hash: e.hash });
    let sql = "UPDATE devices SET head_seq = ?2, head_hash = ?3, seen_ms = ?4, drift_ms = ?5 WHERE id = ?1";
    let known = run(
        t,
        doing,
        sql,
        params![append.device.0, to_i64(head.seq), head.hash.0, append.now, append.drift_ms],
    )?;
    if known != 1 {
        return Err(StoreError::corrupt("device", "not enrolled"));
    }
    run(t, doing, "UPDATE branches SET seq = ?2 WHERE id = ?1", params![append.branch.0, to_i64(seq)])?;
    Ok(Appended::Done)
}

fn add_event(t: &Transaction<'_>, append: &Append, event: &NewEvent) -> Result<()> {
    let key = event.key.map(key_parts);
    let waits = event.waits_for.map(key_parts);
    let sql = "INSERT INTO events(device, seq, hash, text, branch, received_ms, rank, outcome, quarantined, \
               key_kind, key_id, waits_kind, waits_id, drift_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let parameters = params![
        append.device.0,
        to_i64(event.seq),
        event.hash.0,
        event.text,
        append.branch.0,
        append.now,
        rank_name(event.rank),
        to_json("outcome", &event.outcome)?,
        event.outcome != EventOutcome::Stored,
        key.map(|k| k.0),
        key.map(|k| k.1),
        waits.map(|k| k.0),
        waits.map(|k| k.1),
        append.drift_ms,
    ];
    run(t, "store an event", sql, parameters).map(|_| ())
}

/// `false` when the record is another branch's.
fn put_record(t: &Transaction<'_>, branch: BranchId, row: &RecordRow, seq: i64) -> Result<bool> {
    let (kind, id) = key_parts(row.record.key());
    let sql = "INSERT INTO records(kind, id, branch, seq, owner, client, body, hlc) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(kind, id) DO UPDATE \
               SET seq = excluded.seq, body = excluded.body \
               WHERE branch = excluded.branch AND owner = excluded.owner";
    let (body, hlc) = (to_json("record", &row.record)?, hlc_of(&row.record));
    let values = params![kind, id, branch.0, seq, row.owner.0, row.client.0, body, hlc];
    let mut put = run(t, "store a record", sql, values)?;
    if put == 0 {
        // Setting the officer at each change would put the record into the index of keys again each time.
        let sql =
            "UPDATE records SET seq = ?4, owner = ?5, body = ?6 WHERE kind = ?1 AND id = ?2 AND branch = ?3";
        let values = params![kind, id, branch.0, seq, row.owner.0, body];
        put = run(t, "store a record", sql, values)?;
    }
    let sql = "DELETE FROM purges WHERE user = ?1 AND kind = ?2 AND id = ?3";
    run(t, "store a record", sql, params![row.owner.0, kind, id])?;
    Ok(put == 1)
}

/// Everything about the client goes to the new owner's changes and out of the old one's.
fn reassign(
    t: &Transaction<'_>,
    branch: BranchId,
    moved: &Reassigned,
    next: &mut impl FnMut() -> i64,
) -> Result<()> {
    let doing = "hand a client over";
    let get = |e| database(doing, e);
    let sql = "SELECT kind, id FROM records WHERE client = ?1 AND branch = ?2";
    let keys: Vec<(String, Uuid)> = all(t, doing, sql, params![moved.client.0, branch.0], |row| {
        Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?))
    })?;
    for (kind, id) in keys {
        let sql = "UPDATE records SET owner = ?3, seq = ?4 WHERE kind = ?1 AND id = ?2";
        run(t, doing, sql, params![kind, id, moved.to.0, next()])?;
        let sql = "DELETE FROM purges WHERE user = ?1 AND kind = ?2 AND id = ?3";
        run(t, doing, sql, params![moved.to.0, kind, id])?;
        let sql = "INSERT INTO purges(user, kind, id, branch, seq) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET seq = excluded.seq";
        run(t, doing, sql, params![moved.from.0, kind, id, branch.0, next()])?;
    }
    Ok(())
}

/// How many changes follow a place.
fn count_in(t: &Transaction<'_>, query: PullQuery, after: u64) -> Result<u64> {
    let doing = "count changes";
    let read = |row: &rusqlite::Row<'_>| Ok(to_u64(row.get(0).map_err(|e| database(doing, e))?));
    let (branch, after, until) = (query.branch.0, to_i64(after), query.until());
    let (records, purges) = query.among();
    let counted = match query.owner {
        None => {
            let sql = format!(
                "SELECT count(*) FROM records r WHERE branch = ?1 AND seq > ?2 AND seq <= ?3{records}"
            );
            first(t, doing, &sql, params![branch, after, until], read)?
        }
        Some(owner) => {
            let sql = format!(
                "SELECT (SELECT count(*) FROM records r INDEXED BY records_owner \
                         WHERE branch = ?1 AND owner = ?4 AND seq > ?2 AND seq <= ?3{records}) \
                 + (SELECT count(*) FROM purges \
                    WHERE user = ?4 AND branch = ?1 AND seq > ?2 AND seq <= ?3{purges})"
            );
            first(t, doing, &sql, params![branch, after, until, owner.0], read)?
        }
    };
    Ok(counted.unwrap_or(0))
}

fn pull_in(t: &Transaction<'_>, query: PullQuery) -> Result<PullPage> {
    let doing = "read changes";
    let get = |e| database(doing, e);
    let Standing { end, holds } = standing(t, query.branch, &query.told())?;
    if !holds {
        return Ok(PullPage::anew(end));
    }
    let cursor = query.cursor;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let rows: Vec<(u64, Option<String>, String, Uuid)> = {
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                to_u64(row.get(0).map_err(get)?),
                row.get(1).map_err(get)?,
                row.get(2).map_err(get)?,
                row.get(3).map_err(get)?,
            ))
        };
        let (from, one_more) = (to_i64(cursor), i64::from(query.limit) + 1);
        let (records, purges) = query.among();
        match query.owner {
            None => {
                let sql = format!(
                    "SELECT seq, body, kind, id FROM records r \
                     WHERE branch = ?1 AND seq > ?2 AND seq <= ?4{records} ORDER BY seq LIMIT ?3"
                );
                all(t, doing, &sql, params![query.branch.0, from, one_more, query.until()], read)?
            }
            Some(owner) => {
                // Named, for SQLite would go through the branch's, and all that is not this officer's.
                let sql = format!(
                    "SELECT seq, body, kind, id FROM records r INDEXED BY records_owner \
                     WHERE branch = ?1 AND owner = ?5 AND seq > ?2 AND seq <= ?4{records} \
                     UNION ALL SELECT seq, iif(erased, '', NULL), kind, id FROM purges \
                     WHERE user = ?5 AND branch = ?1 AND seq > ?2 AND seq <= ?4{purges} ORDER BY 1 LIMIT ?3"
                );
                all(t, doing, &sql, params![query.branch.0, from, one_more, query.until(), owner.0], read)?
            }
        }
    };
    let fits = fitting(rows.iter().take(limit).map(|(_, body, ..)| body.as_ref().map_or(0, String::len)));
    let more = rows.len() > fits;
    let mut changes = Vec::with_capacity(fits);
    let mut last = cursor;
    for (seq, body, kind, id) in rows.into_iter().take(fits) {
        last = seq;
        changes.push(PageChange::of(body, || key_of(&kind, id))?);
    }
    let remaining = match (query.count, more) {
        (false, _) => None,
        (true, false) => Some(0),
        (true, true) => Some(count_in(t, query, last)?),
    };
    let cursor = if more { last } else { query.end(end).max(cursor) };
    Ok(PullPage { changes, cursor, end, more, remaining, ..PullPage::default() })
}

fn portfolio_in(t: &Transaction<'_>, query: PortfolioQuery) -> Result<PullPage> {
    let Standing { end, holds } = standing(t, query.branch, &[query.seen])?;
    if !holds {
        return Ok(PullPage::anew(end));
    }
    let mut rows = Vec::new();
    for stretch in query.stretches(query.after) {
        let room = (query.limit as usize + 1).saturating_sub(rows.len());
        if room == 0 {
            break;
        }
        rows.append(&mut stretch_in(t, query, stretch, room)?);
    }
    let mut page = query.page(end, rows)?;
    if query.count {
        let following = page.next.map(|next| query.stretches(Some(next)));
        let counts = following.into_iter().flatten().map(|stretch| count_stretch(t, query, stretch));
        page.remaining = Some(counts.sum::<Result<u64>>()?);
    }
    Ok(page)
}

/// The condition of the rows of a stretch: 1 is the branch, 2 the officer, 3 the kind, 4 the id.
fn condition(query: PortfolioQuery, stretch: Stretch) -> String {
    let (past, among) = (stretch.past, stretch.section.among());
    match query.owner {
        _ if stretch.section.gone() => {
            format!("purges WHERE user = ?2 AND branch = ?1 AND kind = ?3 AND id {past} ?4")
        }
        // Named, as where changes are read.
        Some(_) => format!(
            "records r INDEXED BY records_key WHERE branch = ?1 AND kind = ?3 AND owner = ?2 AND id {past} ?4{among}"
        ),
        None => format!(
            "records r INDEXED BY records_key \
             WHERE branch = ?1 AND kind = ?3 AND (owner, id) {past} (?2, ?4){among}"
        ),
    }
}

/// The first rows of a stretch.
fn stretch_in(
    t: &Transaction<'_>,
    query: PortfolioQuery,
    stretch: Stretch,
    room: usize,
) -> Result<Vec<(Place, Option<String>)>> {
    let doing = "read a portfolio";
    let get = |e| database(doing, e);
    let section = stretch.section;
    let columns = if section.gone() { "user, id, iif(erased, '', NULL)" } else { "owner, id, body" };
    let from = condition(query, stretch);
    let sql = format!("SELECT {columns} FROM {from} ORDER BY 1, 2 LIMIT ?5");
    let values = params![
        query.branch.0,
        stretch.owner,
        section.kind(),
        stretch.id,
        i64::try_from(room).unwrap_or(i64::MAX)
    ];
    all(t, doing, &sql, values, |row| {
        let place = Place { section, owner: row.get(0).map_err(get)?, id: row.get(1).map_err(get)? };
        Ok((place, row.get(2).map_err(get)?))
    })
}

/// How many rows a stretch has.
fn count_stretch(t: &Transaction<'_>, query: PortfolioQuery, stretch: Stretch) -> Result<u64> {
    let doing = "count a portfolio";
    let read = |row: &rusqlite::Row<'_>| Ok(to_u64(row.get(0).map_err(|e| database(doing, e))?));
    let (stretch, whose) = stretch.as_counted();
    let sql = format!("SELECT count(*) FROM {}{whose}", condition(query, stretch));
    let values = params![query.branch.0, stretch.owner, stretch.section.kind(), stretch.id];
    Ok(first(t, doing, &sql, values, read)?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::{keep, open_writer, prepare};
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_pull_goes_through_what_is_the_officers_and_not_through_the_branch() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open_writer(&dir.path().join("x.db")).unwrap();
        prepare(&mut connection).unwrap();
        keep(&connection, 8 * 1024).unwrap();
        let (branch, owner) = (Uuid::from_u128(1), UserId(Uuid::from_u128(7)));
        connection.execute("INSERT INTO branches(id, name, seq) VALUES (?1, 'b', 4000)", [branch]).unwrap();
        for seq in 1..=4000_u128 {
            // Every thousandth is the officer's.
            let whose = if seq % 1000 == 0 { owner.0 } else { Uuid::from_u128(8) };
            let values = params![Uuid::from_u128(seq), branch, seq as i64, whose];
            let sql = "INSERT INTO records(kind, id, branch, seq, owner, client, body) \
                       VALUES ('client', ?1, ?2, ?3, ?4, ?1, '{}')";
            connection.execute(sql, values).unwrap();
        }
        let thousands = Arc::new(AtomicU32::new(0));
        let seen = thousands.clone();
        let step = move || {
            seen.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1000, Some(step)).unwrap();
        let t = connection.transaction().unwrap();
        let (branch, owner) = (BranchId(branch), Some(owner));
        let query = PullQuery {
            branch,
            owner,
            cursor: 0,
            seen: 0,
            limit: 2,
            count: true,
            until: None,
            earlier: false,
        };
        let changes = pull_in(&t, query).unwrap();
        let query = PortfolioQuery { branch, owner, after: None, seen: 0, limit: 2, count: true };
        for page in [changes, portfolio_in(&t, query).unwrap()] {
            assert_eq!((page.changes.len(), page.remaining), (2, Some(2)));
        }
        assert!(
            thousands.load(Ordering::Relaxed) < 3,
            "{} thousand steps",
            thousands.load(Ordering::Relaxed)
        );
    }
}
