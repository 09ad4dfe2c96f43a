//! What the server sends: pages of records, each applied in one transaction.

use super::meta::{self, Identity};
use super::{chain, project};
use crate::error::Result;
use rusqlite::Connection;
use vereda_domain::api::{Change, Pulled};
use vereda_domain::hlc::{Clock, Hlc};
use vereda_domain::record::{Record, RecordKey, join};
use vereda_domain::{ClientId, Millis};

/// Applies one page and moves the cursor. What was captured here and not sent yet is part of the
/// record already, so the join keeps it.
pub(crate) fn apply(db: &Connection, identity: &Identity, page: &Pulled, now: Millis) -> Result<()> {
    let mut clock = chain::clock(db, identity)?;
    for change in &page.changes {
        match change {
            Change::State { record } => {
                observe(&mut clock, record, now);
                let key = match record {
                    Record::Client(client) => RecordKey::Client(client.id),
                    Record::Assessment(assessment) => RecordKey::Assessment(assessment.assessment.id),
                };
                let mine = project::load(db, &key)?;
                if mine.as_ref() == Some(record) {
                    unpurge(db, &key)?;
                    continue;
                }
                match join(mine, record.clone()) {
                    Ok(joined) => project::save(db, &joined)?,
                    // The server does not send these; keeping ours loses nothing.
                    Err(error) => tracing::error!(%error, "a record from the server does not join"),
                }
                unpurge(db, &key)?;
            }
            Change::Purge { key } => {
                let (kind, id) = project::columns(key);
                db.prepare_cached("INSERT OR IGNORE INTO purges (kind, id) VALUES (?1, ?2)")?
                    .execute((kind, id))?;
            }
        }
    }
    purge(db)?;
    meta::set(db, &meta::CLOCK, &clock.last())?;
    meta::set(db, &meta::CURSOR, &page.cursor)?;
    crate::fail::point("pull.applied");
    Ok(())
}

fn unpurge(db: &Connection, key: &RecordKey) -> Result<()> {
    let (kind, id) = project::columns(key);
    db.prepare_cached("DELETE FROM purges WHERE kind = ?1 AND id = ?2")?.execute((kind, id))?;
    Ok(())
}

/// Forgets what is not for this user any more, once nothing captured here hangs on it: no event that
/// waits, no unfinished interview.
pub(crate) fn purge(db: &Connection) -> Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT kind, id FROM purges p
         WHERE NOT EXISTS (SELECT 1 FROM events e
                           WHERE e.status = 0 AND (e.record = p.kind || '/' || p.id OR e.client = p.id))
           AND NOT EXISTS (SELECT 1 FROM drafts d WHERE d.client = p.id)",
    )?;
    let mut rows = statement.query([])?;
    let mut gone = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, id): (String, String) = (row.get(0)?, row.get(1)?);
        gone.push(match kind.as_str() {
            "client" => RecordKey::Client(super::id::<ClientId>(&id)?),
            _ => RecordKey::Assessment(super::id(&id)?),
        });
    }
    for key in &gone {
        project::remove(db, key)?;
        unpurge(db, key)?;
    }
    Ok(())
}

/// Lets the clock see every timestamp of a record, so that what is written next comes after it.
fn observe(clock: &mut Clock, record: &Record, now: Millis) {
    let mut see = |hlc: &Hlc| clock.observe(*hlc, now);
    match record {
        Record::Client(client) => {
            see(&client.since);
            client.fields.values().flat_map(|register| register.writes.keys()).for_each(&mut see);
            client.consents.keys().for_each(&mut see);
        }
        Record::Assessment(assessment) => {
            see(&assessment.hlc);
            assessment.decisions.keys().for_each(&mut see);
        }
    }
}
