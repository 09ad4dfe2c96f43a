//! This device's chain of events: appending, sending, what became of each.

use super::meta::{self, Identity};
use super::{id, project};
use crate::error::{DeviceError, Result};
use rusqlite::{Connection, OptionalExtension};
use serde_json::value::RawValue;
use vereda_domain::api::{
    EventOutcome, EventResult, MAX_PUSH_BYTES, MAX_PUSH_EVENTS, QuarantineReason, Quarantined, Receipt,
};
use vereda_domain::event::{ChainHead, Event, EventBody, Hash, MAX_EVENT_BYTES, Sealed, Stub};
use vereda_domain::gateway::{Delivery, SyncItem};
use vereda_domain::hlc::Clock;
use vereda_domain::record::{self, RecordKey};
use vereda_domain::{AssessmentId, ClientId, DeviceId, Millis};

/// What the first push of a run carries at most: little enough for a slow network, and what was sent
/// before it broke down need not be sent again. A network that proves quick is given more.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;
const _: () = assert!(BATCH_BYTES <= MAX_PUSH_BYTES && BATCH_BYTES > MAX_EVENT_BYTES + 1024);

/// The first event that waits. What is open is found by the index of what is open, which is why a query
/// for it names that index, and its condition besides its own: else years of delivered events are read.
const FIRST_WAITING: &str =
    "SELECT min(seq) FROM events INDEXED BY events_open WHERE status = 0 AND status <> 1";
/// Whether everything past a place waits.
const ALL_WAIT: &str = "SELECT (SELECT coalesce(max(seq), 0) FROM events) - ?1 =
     (SELECT count(*) FROM events INDEXED BY events_open WHERE status = 0 AND status <> 1 AND seq > ?1)";
const SET_ASIDE: &str = "SELECT seq FROM events INDEXED BY events_open WHERE status = 2 AND status <> 1";
const OPEN_ITEMS: &str = "SELECT e.seq, e.at, e.kind, coalesce(c.name, ''), e.client, e.status, e.detail
     FROM events e LEFT JOIN clients c ON c.id = e.client
     WHERE e.seq IN (SELECT seq FROM events INDEXED BY events_open WHERE status <> 1 ORDER BY seq LIMIT ?1)
     ORDER BY e.seq";

/// `status` of an event.
pub(crate) const WAITING: i64 = 0;
const STORED: i64 = 1;
const QUARANTINED: i64 = 2;

/// A record's key as one text.
pub(crate) fn key_text(key: &RecordKey) -> String {
    match key {
        RecordKey::Client(id) => format!("client/{id}"),
        RecordKey::Assessment(id) => format!("assessment/{id}"),
    }
}

/// The device's hybrid logical clock, as it stands.
pub(crate) fn clock(db: &Connection, identity: &Identity) -> Result<Clock> {
    Ok(match meta::get(db, &meta::CLOCK)? {
        Some(last) => Clock::resume(last, identity.device),
        None => Clock::new(identity.device),
    })
}

/// Appends an event and folds it into its record and the projections. To be called in the
/// transaction that makes it durable.
pub(crate) fn append(db: &Connection, identity: &Identity, body: EventBody, now: Millis) -> Result<Event> {
    let head = head(db)?;
    let mut clock = clock(db, identity)?;
    let key = body.key();
    let event = Event {
        device: identity.device,
        seq: head.seq + 1,
        prev: head.hash,
        hlc: clock.tick(now),
        at: now,
        actor: identity.me(),
        branch: identity.branch_id(),
        body,
    };
    let sealed = Sealed::seal(event)?;
    if sealed.text.len() > MAX_EVENT_BYTES {
        return Err(DeviceError::BadRequest("this is larger than an event may be; make the texts shorter"));
    }
    insert(db, &sealed)?;
    crate::fail::point("capture.event");
    let record = project::load(db, &key)?;
    let record = record::fold(record, &sealed.event, identity.user.role.rank())
        .map_err(|error| DeviceError::Internal(format!("an event of this device does not fold: {error}")))?;
    project::save(db, &record)?;
    meta::set(db, &meta::CLOCK, &clock.last())?;
    crate::fail::point("capture.folded");
    Ok(sealed.event)
}

/// Writes an event at the end of the chain.
pub(crate) fn insert(db: &Connection, sealed: &Sealed) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO events (seq, hash, text, at, kind, client, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        sealed.event.seq as i64,
        sealed.hash.to_string(),
        &sealed.text,
        sealed.event.at,
        sealed.event.body.kind(),
        sealed.event.body.client().to_string(),
        key_text(&sealed.event.body.key()),
    ))?;
    Ok(())
}

/// The end of the chain.
pub(crate) fn head(db: &Connection) -> Result<ChainHead> {
    let last = db
        .prepare_cached("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    match last {
        None => Ok(ChainHead::EMPTY),
        Some((seq, hash)) => Ok(ChainHead { seq: seq as u64, hash: id::<Hash>(&hash)? }),
    }
}

/// Whether this chain went through a point.
pub(crate) fn contains(db: &Connection, point: &ChainHead) -> Result<bool> {
    if point.seq == 0 {
        return Ok(point.hash == Hash::ZERO);
    }
    let hash: Option<String> = db
        .prepare_cached("SELECT hash FROM events WHERE seq = ?1")?
        .query_row([point.seq as i64], |row| row.get(0))
        .optional()?;
    Ok(hash.is_some_and(|hash| hash == point.hash.to_string()))
}

/// The server has lost what follows this point (a backup was restored): it all waits again.
pub(crate) fn rewind(db: &Connection, point: &ChainHead) -> Result<usize> {
    // Nearly always all of it waits already, which the index tells without reading any event.
    let all: bool = db.prepare_cached(ALL_WAIT)?.query_row([point.seq as i64], |row| row.get(0))?;
    if all {
        return Ok(0);
    }
    Ok(db
        .prepare_cached("UPDATE events SET status = 0, detail = NULL WHERE seq > ?1 AND status <> 0")?
        .execute([point.seq as i64])?)
}

/// How many events wait, and how many the server put aside.
pub(crate) fn counts(db: &Connection) -> Result<(u64, u64)> {
    let mut statement = db.prepare_cached(
        "SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 2)
         FROM events WHERE status <> 1",
    )?;
    Ok(statement.query_row([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?)
}

/// Events to send, and the place of the last of them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub events: Vec<Box<RawValue>>,
    pub last: u64,
}

/// The next events to send, in the order of the chain: what waits, up to so many bytes, and at least one.
/// `after` is where the last push ended, when what became of it is not noted yet.
pub(crate) fn batch(db: &Connection, after: Option<u64>, most: usize) -> Result<Batch> {
    // From the first that waits on without a gap, whatever became of those behind it.
    let first = match after {
        Some(after) => Some(after as i64 + 1),
        None => db.prepare_cached(FIRST_WAITING)?.query_row([], |row| row.get(0))?,
    };
    let mut batch = Batch::default();
    let Some(first) = first else { return Ok(batch) };
    let mut statement =
        db.prepare_cached("SELECT text, seq FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
    let mut rows = statement.query([first, MAX_PUSH_EVENTS as i64])?;
    // Room for the frame around the events.
    let mut bytes = 256;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        bytes += text.len() + 1;
        if bytes > most && !batch.events.is_empty() {
            break;
        }
        batch.events.push(RawValue::from_string(text)?);
        batch.last = row.get::<_, i64>(1)? as u64;
    }
    Ok(batch)
}

/// Everything from the first event that waits on.
pub(crate) fn unsent(db: &Connection) -> Result<Vec<Box<RawValue>>> {
    let mut statement =
        db.prepare(&format!("SELECT text FROM events WHERE seq >= ({FIRST_WAITING}) ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(RawValue::from_string(row.get(0)?)?);
    }
    Ok(events)
}

/// Leaves of the events about a record what the chain needs. What the server has to be told again, should it be
/// set back to a backup, is that much.
pub(crate) fn erase(db: &Connection, key: &RecordKey) -> Result<()> {
    let mut statement = db.prepare_cached("SELECT seq, text, hash FROM events WHERE record = ?1")?;
    let mut rows = statement.query([key_text(key)])?;
    let mut left = Vec::new();
    while let Some(row) = rows.next()? {
        let (text, hash): (String, String) = (row.get(1)?, row.get(2)?);
        left.push((row.get::<_, i64>(0)?, Stub::in_place_of(&text, id(&hash)?)?));
    }
    for (seq, stub) in left {
        db.prepare_cached("UPDATE events SET text = ?2 WHERE seq = ?1")?.execute((seq, stub))?;
    }
    Ok(())
}

/// Notes what became of a batch and the receipt for it. Gives how many events that is new for.
///
/// # Errors
/// [`DeviceError::ChainBroken`] when the receipt is not for this chain; nothing is noted then.
pub(crate) fn acknowledge(
    db: &Connection,
    identity: &Identity,
    results: &[EventResult],
    receipt: &Receipt,
) -> Result<u64> {
    let point = ChainHead { seq: receipt.seq, hash: receipt.hash };
    if receipt.device != identity.device || !contains(db, &point)? {
        return Err(DeviceError::ChainBroken("its receipt is for another chain".into()));
    }
    let mut settled = 0;
    let mut statement = db.prepare_cached(
        "UPDATE events SET status = ?2, detail = ?3 WHERE seq = ?1 AND status <> ?2 RETURNING 1",
    )?;
    for result in results.iter().filter(|result| result.seq <= receipt.seq) {
        let (status, detail) = match &result.outcome {
            EventOutcome::Stored => (STORED, None),
            EventOutcome::Quarantined { reason, detail } => (QUARANTINED, Some(why(*reason, detail)?)),
        };
        settled += statement.query((result.seq as i64, status, detail))?.next()?.map_or(0, |_| 1);
    }
    meta::set(db, &meta::RECEIPT, receipt)?;
    crate::fail::point("push.noted");
    Ok(settled)
}

/// Why an event was put aside: the reason's name, then what support wants to know.
pub(crate) fn why(reason: QuarantineReason, detail: &str) -> Result<String> {
    let reason = serde_json::to_value(reason)?;
    let reason = reason.as_str().unwrap_or_default();
    Ok(if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") })
}

/// Takes over what the server keeps aside of this device now: what waited there for a record that
/// came since is not aside any more, and a reason may have changed. Gives how many changed. A list
/// that does not hold `all` of it says nothing of those that are missing.
pub(crate) fn aside(db: &Connection, device: DeviceId, list: &[Quarantined], all: bool) -> Result<usize> {
    let mut changed = 0;
    let mine: std::collections::BTreeMap<u64, &Quarantined> =
        list.iter().filter(|one| one.device == device).map(|one| (one.seq, one)).collect();
    for one in mine.values() {
        changed += db
            .prepare_cached(
                "UPDATE events SET status = ?2, detail = ?3
                 WHERE seq = ?1 AND status <> 0 AND (status <> ?2 OR detail IS NOT ?3)",
            )?
            .execute((one.seq as i64, QUARANTINED, why(one.reason, &one.detail)?))?;
    }
    if all {
        let mut statement = db.prepare_cached(SET_ASIDE)?;
        let here = statement.query_map([], |row| row.get::<_, i64>(0))?;
        let gone: Vec<i64> = here
            .filter(|seq| !matches!(seq, Ok(seq) if mine.contains_key(&seq.unsigned_abs())))
            .collect::<rusqlite::Result<_>>()?;
        for seq in gone {
            changed += db
                .prepare_cached("UPDATE events SET status = ?2, detail = NULL WHERE seq = ?1")?
                .execute((seq, STORED))?;
        }
    }
    Ok(changed)
}

/// What waits or was put aside, oldest first.
pub(crate) fn open_items(db: &Connection, limit: u32) -> Result<Vec<SyncItem>> {
    let mut statement = db.prepare_cached(OPEN_ITEMS)?;
    let rows = statement.query_map([limit], |row| {
        let status: i64 = row.get(5)?;
        let detail: Option<String> = row.get(6)?;
        let item = SyncItem {
            seq: row.get::<_, i64>(0)? as u64,
            at: row.get(1)?,
            kind: row.get(2)?,
            client_name: row.get(3)?,
            client: ClientId(uuid::Uuid::nil()),
            quarantine: (status == QUARANTINED).then(|| detail.unwrap_or_default()),
        };
        Ok((item, row.get::<_, String>(4)?))
    })?;
    rows.map(|row| {
        let (item, client) = row?;
        Ok(SyncItem { client: id(&client)?, ..item })
    })
    .collect()
}

/// Whether the server holds what this device recorded about an assessment.
pub(crate) fn delivery(db: &Connection, assessment: AssessmentId) -> Result<Delivery> {
    let key = key_text(&RecordKey::Assessment(assessment));
    let mut statement = db
        .prepare_cached("SELECT status, detail FROM events WHERE record = ?1 AND status <> 1 ORDER BY seq")?;
    let mut rows = statement.query([key])?;
    let mut delivery = Delivery::Delivered;
    while let Some(row) = rows.next()? {
        match row.get::<_, i64>(0)? {
            WAITING => return Ok(Delivery::Waiting),
            _ => {
                delivery =
                    Delivery::Quarantined { detail: row.get::<_, Option<String>>(1)?.unwrap_or_default() }
            }
        }
    }
    Ok(delivery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;

    /// On a device with a million delivered events each of these took seconds, at every sync.
    #[test]
    fn what_is_open_is_found_without_reading_what_was_delivered() {
        let db = Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().for_each(|sql| db.execute_batch(sql).unwrap());
        let insert = "INSERT INTO events (seq, hash, text, at, kind, client, record, status)
                      VALUES (?1, '', '', 0, '', '', '', 1)";
        (1..=1000).for_each(|seq| assert_eq!(db.execute(insert, [seq]).unwrap(), 1));
        for (sql, parameters) in [(FIRST_WAITING, 0), (SET_ASIDE, 0), (OPEN_ITEMS, 1), (ALL_WAIT, 1)] {
            let mut statement = db.prepare(sql).unwrap();
            (1..=parameters).for_each(|at| statement.raw_bind_parameter(at, 10).unwrap());
            let mut rows = statement.raw_query();
            while rows.next().unwrap().is_some() {}
            drop(rows);
            let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
            assert!(steps < 100, "{steps} steps: {sql}");
        }
        assert!(batch(&db, None, BATCH_BYTES).unwrap().events.is_empty() && unsent(&db).unwrap().is_empty());
    }
}
