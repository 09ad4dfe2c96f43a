//! Chains of events, records, and the order of their changes.

use super::{Parameters, PostgresStore, all, first, get, reading, run, write};
use crate::error::StoreError;
use crate::store::codec::{
    fitting, from_json, hash, key_of, key_parts, quarantined, rank_name, rank_of, to_i64, to_json, to_u64,
};
use crate::store::*;
use deadpool_postgres::Transaction;
use std::collections::BTreeSet;
use uuid::Uuid;

#[async_trait]
impl SyncStore for PostgresStore {
    async fn head(&self, device: DeviceId) -> Result<ChainHead> {
        let mut client = self.client().await?;
        let t = reading(&mut client, "find the end of a chain").await?;
        head_in(&t, device, "").await
    }

    async fn snapshot(
        &self,
        branch: BranchId,
        device: DeviceId,
        first: u64,
        last: u64,
        keys: Vec<RecordKey>,
    ) -> Result<Snapshot> {
        let mut client = self.client().await?;
        let t = reading(&mut client, "take a snapshot").await?;
        let stored = stored_in(&t, device, first, last).await?;
        let Found { records, waiting, erased } = records_and_waiting(&t, keys).await?;
        let (branch_seq, head) = (branch_seq(&t, branch, "").await?, head_in(&t, device, "").await?);
        Ok(Snapshot { branch_seq, head, stored, records, waiting, erased })
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        self.ensure_months(append.history.iter().map(|score| score.scored_ms), append.now).await?;
        Ok(write!(self, "store a push", |t| append_in(t, &append).await?))
    }

    async fn leap(&self, leap: Leap) -> Result<()> {
        write!(self, "let sequences leap", |t| leap_in(t, leap).await?);
        Ok(())
    }

    async fn pull(&self, query: PullQuery) -> Result<PullPage> {
        let mut client = self.client().await?;
        let t = reading(&mut client, "read changes").await?;
        pull_in(&t, query).await
    }

    async fn portfolio(&self, query: PortfolioQuery) -> Result<PullPage> {
        let mut client = self.client().await?;
        let t = reading(&mut client, "read a portfolio").await?;
        portfolio_in(&t, query).await
    }

    async fn quarantined(&self, query: QuarantineQuery) -> Result<Vec<Quarantined>> {
        let doing = "list quarantined events";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = "SELECT e.device, e.seq, d.\"user\", e.received_ms, e.drift_ms, e.outcome \
                   FROM events e JOIN devices d ON d.id = e.device \
                   WHERE e.branch = $1 AND e.quarantined AND ($2::uuid IS NULL OR d.\"user\" = $2) \
                   ORDER BY e.received_ms DESC, e.device, e.seq LIMIT $3";
        let user = query.user.map(|user| user.0);
        let rows = all(&t, doing, sql, &[&query.branch.0, &user, &i64::from(query.limit)]).await?;
        rows.iter()
            .map(|row| {
                let times = (get(row, 3)?, get(row, 4)?);
                quarantined(get(row, 0)?, get(row, 1)?, get(row, 2)?, times, get(row, 5)?)
            })
            .collect()
    }
}

/// `lock` is empty, or `FOR UPDATE`.
async fn branch_seq(t: &Transaction<'_>, branch: BranchId, lock: &str) -> Result<u64> {
    let sql = format!("SELECT seq FROM branches WHERE id = $1 {lock}");
    match first(t, "find a branch", &sql, &[&branch.0]).await? {
        None => Err(StoreError::corrupt("branch", "not there")),
        Some(row) => Ok(to_u64(get(&row, 0)?)),
    }
}

/// `lock` is empty, or `FOR UPDATE`.
async fn head_in(t: &Transaction<'_>, device: DeviceId, lock: &str) -> Result<ChainHead> {
    let sql = format!("SELECT head_seq, head_hash FROM devices WHERE id = $1 {lock}");
    match first(t, "find the end of a chain", &sql, &[&device.0]).await? {
        None => Ok(ChainHead::EMPTY),
        Some(row) => Ok(ChainHead { seq: to_u64(get(&row, 0)?), hash: hash(get(&row, 1)?)? }),
    }
}

async fn stored_in(t: &Transaction<'_>, device: DeviceId, first: u64, last: u64) -> Result<Vec<StoredEvent>> {
    let sql =
        "SELECT seq, hash, outcome FROM events WHERE device = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq";
    let rows = all(t, "find stored events", sql, &[&device.0, &to_i64(first), &to_i64(last)]).await?;
    rows.iter()
        .map(|row| {
            Ok(StoredEvent {
                seq: to_u64(get(row, 0)?),
                hash: hash(get(row, 1)?)?,
                outcome: from_json("outcome", get(row, 2)?)?,
            })
        })
        .collect()
}

/// Keys as two columns.
fn columns(keys: impl IntoIterator<Item = RecordKey>) -> (Vec<&'static str>, Vec<Uuid>) {
    keys.into_iter().map(key_parts).unzip()
}

/// The records asked for, the events that wait for them, the records those change, and so on: one
/// round trip for each step away from what was asked for, however many records.
async fn records_and_waiting(t: &Transaction<'_>, keys: Vec<RecordKey>) -> Result<Found> {
    let doing = "find records";
    let mut frontier: BTreeSet<RecordKey> = keys.into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut found = Found::default();
    while !frontier.is_empty() {
        seen.extend(frontier.iter().copied());
        let (kinds, ids) = columns(std::mem::take(&mut frontier));
        let sql = "SELECT r.kind, r.id, r.body FROM unnest($1::text[], $2::uuid[]) AS k(kind, id) \
                   JOIN records r ON r.id = k.id AND r.kind = k.kind";
        for row in all(t, doing, sql, &[&kinds, &ids]).await? {
            found.take(key_of(get(&row, 0)?, get(&row, 1)?)?, get(&row, 2)?)?;
        }
        let sql = "SELECT e.device, e.seq, e.text, e.rank, e.waits_kind, e.waits_id, e.key_kind, e.key_id \
                   FROM unnest($1::text[], $2::uuid[]) AS k(kind, id) \
                   JOIN events e ON e.waits_id = k.id AND e.waits_kind = k.kind \
                   ORDER BY e.received_ms, e.device, e.seq";
        for row in all(t, doing, sql, &[&kinds, &ids]).await? {
            found.waiting.push(Waiting {
                device: DeviceId(get(&row, 0)?),
                seq: to_u64(get(&row, 1)?),
                text: get(&row, 2)?,
                waits_for: key_of(get(&row, 4)?, get(&row, 5)?)?,
                rank: rank_of(get(&row, 3)?)?,
            });
            let (kind, id): (Option<&str>, Option<Uuid>) = (get(&row, 6)?, get(&row, 7)?);
            if let Some((kind, id)) = kind.zip(id) {
                let key = key_of(kind, id)?;
                if !seen.contains(&key) {
                    frontier.insert(key);
                }
            }
        }
    }
    Ok(found)
}

/// Where the branch's sequence ends, and whether these places are of it.
async fn standing(t: &Transaction<'_>, branch: BranchId, told: &[u64]) -> Result<Standing> {
    let mut standing = Standing::of(branch_seq(t, branch, "").await?);
    for place in told.iter().filter(|place| **place > 0) {
        let row = first(t, "find a place", LANDING, &[&branch.0, &to_i64(*place)]).await?;
        standing.told(*place, row.map(|row| get(&row, 0).map(to_u64)).transpose()?);
    }
    Ok(standing)
}

async fn leap_in(t: &Transaction<'_>, leap: Leap) -> Result<()> {
    let doing = "let sequences leap";
    // In one order, for several servers may start at once.
    let rows = all(t, doing, "SELECT id, seq FROM branches ORDER BY id FOR UPDATE", &[]).await?;
    let mut branches: Vec<Uuid> = Vec::with_capacity(rows.len());
    let (mut ends, mut landings) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let end = get(row, 1)?;
        branches.push(get(row, 0)?);
        ends.push(end);
        landings.push(to_i64(leap.from(to_u64(end))));
    }
    let sql = "INSERT INTO leaps(branch, from_seq, to_seq) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])";
    run(t, doing, sql, &[&branches, &ends, &landings]).await?;
    let sql = "UPDATE branches SET seq = l.seq FROM unnest($1::uuid[], $2::bigint[]) AS l(id, seq) \
               WHERE branches.id = l.id";
    run(t, doing, sql, &[&branches, &landings]).await.map(|_| ())
}

async fn append_in(t: &Transaction<'_>, append: &Append) -> Result<Appended> {
    let doing = "store a push";
    // Everybody who writes to the branch waits here, so places in its order are committed in order.
    let mut seq = branch_seq(t, append.branch, "FOR UPDATE").await?;
    if seq != append.branch_seq || head_in(t, append.device, "FOR UPDATE").await? != append.head {
        return Ok(Appended::Stale);
    }
    let mut next = || {
        seq += 1;
        to_i64(seq)
    };
    // Even a push that changes no record moves the sequence on: it may have left events waiting, and
    // whoever decides at the same time must see them.
    next();
    add_events(t, append).await?;
    settle(t, append).await?;
    put_records(t, append, &mut next).await?;
    for moved in &append.reassigned {
        reassign(t, append.branch, moved, &mut next).await?;
    }
    super::history::put(t, &append.history, append.now).await?;
    let head = append.events.last().map_or(append.head, |e| ChainHead { seq: e.seq, hash: e.hash });
    let sql = "UPDATE devices SET head_seq = $2, head_hash = $3, seen_ms = $4, drift_ms = $5 WHERE id = $1";
    let values: Parameters<'_> =
        &[&append.device.0, &to_i64(head.seq), &head.hash.0.as_slice(), &append.now, &append.drift_ms];
    if run(t, doing, sql, values).await? != 1 {
        return Err(StoreError::corrupt("device", "not enrolled"));
    }
    let sql = "UPDATE branches SET seq = $2 WHERE id = $1";
    run(t, doing, sql, &[&append.branch.0, &to_i64(seq)]).await?;
    Ok(Appended::Done)
}

async fn add_events(t: &Transaction<'_>, append: &Append) -> Result<()> {
    let events = &append.events;
    let sql = "INSERT INTO events(device, seq, hash, text, branch, received_ms, rank, outcome, quarantined, \
               key_kind, key_id, waits_kind, waits_id, drift_ms) \
               SELECT $1, seq, hash, text, $2, $3, rank, outcome, quarantined, key_kind, key_id, waits_kind, waits_id, $14 \
               FROM unnest($4::bigint[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::boolean[], \
               $10::text[], $11::uuid[], $12::text[], $13::uuid[]) \
               AS e(seq, hash, text, rank, outcome, quarantined, key_kind, key_id, waits_kind, waits_id)";
    let seqs: Vec<_> = events.iter().map(|e| to_i64(e.seq)).collect();
    let hashes: Vec<_> = events.iter().map(|e| e.hash.0.as_slice()).collect();
    let texts: Vec<_> = events.iter().map(|e| e.text.as_str()).collect();
    let ranks: Vec<_> = events.iter().map(|e| rank_name(e.rank)).collect();
    let outcomes = events.iter().map(|e| to_json("outcome", &e.outcome)).collect::<Result<Vec<_>>>()?;
    let quarantined: Vec<_> = events.iter().map(|e| e.outcome != EventOutcome::Stored).collect();
    let keys: Vec<_> = events.iter().map(|e| e.key.map(key_parts)).collect();
    let key_kinds: Vec<_> = keys.iter().map(|key| key.map(|k| k.0)).collect();
    let key_ids: Vec<_> = keys.iter().map(|key| key.map(|k| k.1)).collect();
    let waits: Vec<_> = events.iter().map(|e| e.waits_for.map(key_parts)).collect();
    let waits_kinds: Vec<_> = waits.iter().map(|key| key.map(|k| k.0)).collect();
    let waits_ids: Vec<_> = waits.iter().map(|key| key.map(|k| k.1)).collect();
    let values: Parameters<'_> = &[
        &append.device.0,
        &append.branch.0,
        &append.now,
        &seqs,
        &hashes,
        &texts,
        &ranks,
        &outcomes,
        &quarantined,
        &key_kinds,
        &key_ids,
        &waits_kinds,
        &waits_ids,
        &append.drift_ms,
    ];
    run(t, "store events", sql, values).await.map(|_| ())
}

/// Events of earlier pushes that do not wait any more.
async fn settle(t: &Transaction<'_>, append: &Append) -> Result<()> {
    if append.settled.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE events SET outcome = s.outcome, quarantined = s.quarantined, waits_kind = NULL, \
               waits_id = NULL \
               FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[]) AS s(device, seq, outcome, quarantined) \
               WHERE events.device = s.device AND events.seq = s.seq";
    let settled = &append.settled;
    let devices: Vec<_> = settled.iter().map(|(device, ..)| device.0).collect();
    let seqs: Vec<_> = settled.iter().map(|(_, seq, _)| to_i64(*seq)).collect();
    let outcomes =
        settled.iter().map(|(_, _, outcome)| to_json("outcome", outcome)).collect::<Result<Vec<_>>>()?;
    let held: Vec<_> = settled.iter().map(|(_, _, outcome)| *outcome != EventOutcome::Stored).collect();
    run(t, "settle events", sql, &[&devices, &seqs, &outcomes, &held]).await.map(|_| ())
}

async fn put_records(t: &Transaction<'_>, append: &Append, next: &mut impl FnMut() -> i64) -> Result<()> {
    let rows = &append.records;
    if rows.is_empty() {
        return Ok(());
    }
    let doing = "store records";
    let sql = "INSERT INTO records(kind, id, branch, seq, owner, client, body, hlc) \
               SELECT kind, id, $1, seq, owner, client, body, hlc \
               FROM unnest($2::text[], $3::uuid[], $4::bigint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[]) \
               AS r(kind, id, seq, owner, client, body, hlc) \
               ON CONFLICT (id, kind) DO UPDATE \
               SET seq = excluded.seq, owner = excluded.owner, body = excluded.body \
               WHERE records.branch = excluded.branch";
    let (kinds, ids) = columns(rows.iter().map(|row| row.record.key()));
    let seqs: Vec<_> = rows.iter().map(|_| next()).collect();
    let owners: Vec<_> = rows.iter().map(|row| row.owner.0).collect();
    let clients: Vec<_> = rows.iter().map(|row| row.client.0).collect();
    let bodies = rows.iter().map(|row| to_json("record", &row.record)).collect::<Result<Vec<_>>>()?;
    let times: Vec<_> = rows.iter().map(|row| hlc_of(&row.record)).collect();
    let values: Parameters<'_> = &[&append.branch.0, &kinds, &ids, &seqs, &owners, &clients, &bodies, &times];
    let put = run(t, doing, sql, values).await?;
    if put != u64::try_from(rows.len()).unwrap_or(u64::MAX) {
        return Err(StoreError::corrupt("record", "it belongs to another branch"));
    }
    let sql = "DELETE FROM purges USING unnest($1::uuid[], $2::text[], $3::uuid[]) AS r(owner, kind, id) \
               WHERE purges.\"user\" = r.owner AND purges.kind = r.kind AND purges.id = r.id";
    run(t, doing, sql, &[&owners, &kinds, &ids]).await.map(|_| ())
}

/// Everything about the client goes to the new owner's changes and out of the old one's.
async fn reassign(
    t: &Transaction<'_>,
    branch: BranchId,
    moved: &Reassigned,
    next: &mut impl FnMut() -> i64,
) -> Result<()> {
    let doing = "hand a client over";
    let sql = "SELECT kind, id FROM records WHERE client = $1 AND branch = $2";
    let found = all(t, doing, sql, &[&moved.client.0, &branch.0]).await?;
    let mut kinds: Vec<String> = Vec::with_capacity(found.len());
    let mut ids: Vec<Uuid> = Vec::with_capacity(found.len());
    let (mut given, mut taken) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
    for row in &found {
        kinds.push(get(row, 0)?);
        ids.push(get(row, 1)?);
        given.push(next());
        taken.push(next());
    }
    let sql = "UPDATE records SET owner = $1, seq = r.seq \
               FROM unnest($2::text[], $3::uuid[], $4::bigint[]) AS r(kind, id, seq) \
               WHERE records.kind = r.kind AND records.id = r.id";
    run(t, doing, sql, &[&moved.to.0, &kinds, &ids, &given]).await?;
    let sql = "DELETE FROM purges USING unnest($2::text[], $3::uuid[]) AS r(kind, id) \
               WHERE purges.\"user\" = $1 AND purges.kind = r.kind AND purges.id = r.id";
    run(t, doing, sql, &[&moved.to.0, &kinds, &ids]).await?;
    let sql = "INSERT INTO purges(\"user\", kind, id, branch, seq) \
               SELECT $1, kind, id, $2, seq FROM unnest($3::text[], $4::uuid[], $5::bigint[]) AS r(kind, id, seq) \
               ON CONFLICT (\"user\", id, kind) DO UPDATE SET seq = excluded.seq";
    run(t, doing, sql, &[&moved.from.0, &branch.0, &kinds, &ids, &taken]).await.map(|_| ())
}

/// How many changes follow a place.
async fn count_in(t: &Transaction<'_>, query: PullQuery, after: u64) -> Result<u64> {
    let doing = "count changes";
    let (after, until) = (to_i64(after), query.until());
    let (records, purges) = query.among();
    let row = match query.owner {
        None => {
            let sql = format!(
                "SELECT count(*) FROM records r WHERE branch = $1 AND seq > $2 AND seq <= $3{records}"
            );
            first(t, doing, &sql, &[&query.branch.0, &after, &until]).await?
        }
        Some(owner) => {
            let sql = format!(
                "SELECT (SELECT count(*) FROM records r \
                         WHERE branch = $1 AND owner = $4 AND seq > $2 AND seq <= $3{records}) \
                 + (SELECT count(*) FROM purges \
                    WHERE \"user\" = $4 AND branch = $1 AND seq > $2 AND seq <= $3{purges})"
            );
            first(t, doing, &sql, &[&query.branch.0, &after, &until, &owner.0]).await?
        }
    };
    row.map_or(Ok(0), |row| Ok(to_u64(get(&row, 0)?)))
}

async fn pull_in(t: &Transaction<'_>, query: PullQuery) -> Result<PullPage> {
    let doing = "read changes";
    let Standing { end, holds } = standing(t, query.branch, &query.told()).await?;
    if !holds {
        return Ok(PullPage::anew(end));
    }
    let cursor = query.cursor;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (from, one_more) = (to_i64(cursor), i64::from(query.limit) + 1);
    let (records, purges) = query.among();
    let until = query.until();
    let rows = match query.owner {
        None => {
            let sql = format!(
                "SELECT seq, body, kind, id FROM records r \
                 WHERE branch = $1 AND seq > $2 AND seq <= $4{records} ORDER BY seq LIMIT $3"
            );
            all(t, doing, &sql, &[&query.branch.0, &from, &one_more, &until]).await?
        }
        Some(owner) => {
            let sql = format!(
                "SELECT seq, body, kind, id FROM records r \
                 WHERE branch = $1 AND owner = $5 AND seq > $2 AND seq <= $4{records} \
                 UNION ALL SELECT seq, CASE WHEN erased THEN '' END, kind, id FROM purges \
                 WHERE \"user\" = $5 AND branch = $1 AND seq > $2 AND seq <= $4{purges} ORDER BY 1 LIMIT $3"
            );
            all(t, doing, &sql, &[&query.branch.0, &from, &one_more, &until, &owner.0]).await?
        }
    };
    let sizes = rows.iter().take(limit).map(|row| Ok(get::<Option<&str>>(row, 1)?.map_or(0, str::len)));
    let fits = fitting(sizes.collect::<Result<Vec<_>>>()?);
    let more = rows.len() > fits;
    let mut changes = Vec::with_capacity(fits);
    let mut last = cursor;
    for row in rows.iter().take(fits) {
        last = to_u64(get(row, 0)?);
        changes.push(PageChange::of(get(row, 1)?, || key_of(get(row, 2)?, get(row, 3)?))?);
    }
    let remaining = match (query.count, more) {
        (false, _) => None,
        (true, false) => Some(0),
        (true, true) => Some(count_in(t, query, last).await?),
    };
    let cursor = if more { last } else { query.end(end).max(cursor) };
    Ok(PullPage { changes, cursor, end, more, remaining, ..PullPage::default() })
}

async fn portfolio_in(t: &Transaction<'_>, query: PortfolioQuery) -> Result<PullPage> {
    let Standing { end, holds } = standing(t, query.branch, &[query.seen]).await?;
    if !holds {
        return Ok(PullPage::anew(end));
    }
    let mut rows = Vec::new();
    for stretch in query.stretches(query.after) {
        let room = (query.limit as usize + 1).saturating_sub(rows.len());
        if room == 0 {
            break;
        }
        rows.append(&mut stretch_in(t, query, stretch, room).await?);
    }
    let mut page = query.page(end, rows)?;
    if query.count {
        let mut remaining = 0;
        for stretch in page.next.map(|next| query.stretches(Some(next))).into_iter().flatten() {
            remaining += count_stretch(t, query, stretch).await?;
        }
        page.remaining = Some(remaining);
    }
    Ok(page)
}

/// The condition of the rows of a stretch: 1 is the branch, 2 the officer, 3 the kind, 4 the id.
fn condition(query: PortfolioQuery, stretch: Stretch) -> String {
    let (past, among) = (stretch.past, stretch.section.among());
    match query.owner {
        _ if stretch.section.gone() => {
            format!("purges WHERE \"user\" = $2 AND branch = $1 AND kind = $3 AND id {past} $4")
        }
        Some(_) => {
            format!("records r WHERE branch = $1 AND kind = $3 AND owner = $2 AND id {past} $4{among}")
        }
        None => format!("records r WHERE branch = $1 AND kind = $3 AND (owner, id) {past} ($2, $4){among}"),
    }
}

/// The first rows of a stretch.
async fn stretch_in(
    t: &Transaction<'_>,
    query: PortfolioQuery,
    stretch: Stretch,
    room: usize,
) -> Result<Vec<(Place, Option<String>)>> {
    let section = stretch.section;
    let columns =
        if section.gone() { "\"user\", id, CASE WHEN erased THEN '' END" } else { "owner, id, body" };
    let from = condition(query, stretch);
    let sql = format!("SELECT {columns} FROM {from} ORDER BY 1, 2 LIMIT $5");
    let (kind, room) = (section.kind(), i64::try_from(room).unwrap_or(i64::MAX));
    let values: Parameters<'_> = &[&query.branch.0, &stretch.owner, &kind, &stretch.id, &room];
    let rows = all(t, "read a portfolio", &sql, values).await?;
    rows.iter()
        .map(|row| Ok((Place { section, owner: get(row, 0)?, id: get(row, 1)? }, get(row, 2)?)))
        .collect()
}

/// How many rows a stretch has.
async fn count_stretch(t: &Transaction<'_>, query: PortfolioQuery, stretch: Stretch) -> Result<u64> {
    let (stretch, whose) = stretch.as_counted();
    let sql = format!("SELECT count(*) FROM {}{whose}", condition(query, stretch));
    let values: Parameters<'_> = &[&query.branch.0, &stretch.owner, &stretch.section.kind(), &stretch.id];
    let row = first(t, "count a portfolio", &sql, values).await?;
    row.map_or(Ok(0), |row| Ok(to_u64(get(&row, 0)?)))
}
