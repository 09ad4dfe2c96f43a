//! What the server sends: pages of records, each applied in one transaction.

use super::meta::{self, FirstPull, Identity};
use super::project::{Added, Words};
use super::{chain, files, project};
use crate::error::Result;
use rusqlite::Connection;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::ops::Range;
use vereda_domain::api::Change;
use vereda_domain::hlc::{Clock, Hlc};
use vereda_domain::record::{Record, RecordKey, join};
use vereda_domain::register::Register;
use vereda_domain::{ClientId, Millis};

/// A page of changes.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub changes: Vec<Told>,
    pub cursor: u64,
    /// 0 from a server that does not say it.
    #[serde(default)]
    pub end: u64,
    #[serde(default)]
    pub anew: bool,
    #[serde(default)]
    pub next: Option<String>,
    pub more: bool,
    #[serde(default)]
    pub remaining: Option<u64>,
}

/// One change, read by itself: one of a shape that this version does not know must not stop the others.
///
/// It is read where its page arrives, which is while the page before is written: in a first pull that is a fifth
/// of the work, on a processor that has nothing else to do.
#[derive(Debug)]
pub(crate) struct Told {
    raw: Box<RawValue>,
    /// With the place of its record's text, if it has one.
    read: serde_json::Result<(Change, Option<Range<usize>>)>,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Told, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let all = raw.get();
        let read = Change::read(all).map(|(change, text)| {
            let place = text.map(|text| {
                let start = text.as_ptr().addr() - all.as_ptr().addr();
                start..start + text.len()
            });
            (change, place)
        });
        Ok(Told { raw, read })
    }
}

/// Tries again what could not be read before. Gives how many could now.
pub(crate) fn retry_unread(db: &Connection, identity: &Identity, now: Millis) -> Result<usize> {
    let texts: Vec<String> = {
        let mut statement = db.prepare("SELECT text FROM unread ORDER BY at, hash")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut clock = chain::clock(db, identity)?;
    let mut read = 0;
    for text in texts {
        if let Ok((change, record)) = Change::read(&text) {
            apply_change(db, &mut clock, &change, record, now)?.map_or(Ok(()), |words| words.write(db))?;
            db.execute("DELETE FROM unread WHERE text = ?1", [&text])?;
            read += 1;
        }
    }
    purge(db)?;
    meta::set(db, &meta::CLOCK, &clock.last())?;
    Ok(read)
}

/// How many changes could not be read.
pub(crate) fn unread(db: &Connection) -> Result<u64> {
    Ok(db.query_row("SELECT count(*) FROM unread", [], |row| row.get::<_, i64>(0))? as u64)
}

/// What a page is of, and past what place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What changed.
    Changes { cursor: u64 },
    /// The beginning of a first pull: everybody, with their last assessment alone. What changes meanwhile is past
    /// `since`, which the first page says.
    Portfolio { since: Option<u64>, after: Option<String> },
    /// Its end: the other assessments.
    Earlier { cursor: u64, until: u64 },
}

impl Part {
    /// What is to be pulled first, by what this device has.
    pub(crate) fn due(db: &Connection) -> Result<Part> {
        let begin = Part::Portfolio { since: None, after: None };
        Ok(match meta::get(db, &meta::FIRST_PULL)? {
            Some(FirstPull { until: None, .. }) => begin,
            Some(FirstPull { until: since, after: Some(after), .. }) => {
                Part::Portfolio { since, after: Some(after) }
            }
            _ => match meta::get(db, &meta::CURSOR)? {
                None | Some(0) => begin,
                Some(cursor) => Part::Changes { cursor },
            },
        })
    }

    /// The assessments that a first pull left for later, if there are any.
    pub(crate) fn later(db: &Connection) -> Result<Option<Part>> {
        Ok(meta::get(db, &meta::FIRST_PULL)?.and_then(|first| match first {
            FirstPull { cursor, until: Some(until), after: None } => Some(Part::Earlier { cursor, until }),
            _ => None,
        }))
    }

    /// What follows a page of this, while there is more of it; none if the page does not go on.
    pub(crate) fn following(&self, page: &Page) -> Option<Part> {
        let next = match self {
            Part::Changes { .. } => Part::Changes { cursor: page.cursor },
            Part::Portfolio { since, .. } => {
                Part::Portfolio { since: since.or(Some(page.cursor)), after: Some(page.next.clone()?) }
            }
            Part::Earlier { until, .. } => Part::Earlier { cursor: page.cursor, until: *until },
        };
        (next != *self).then_some(next)
    }
}

/// Applies one page and moves the cursor. What was captured here and not sent yet is part of the
/// record already, so the join keeps it.
pub(crate) fn apply(
    db: &Connection,
    identity: &Identity,
    part: &Part,
    page: &Page,
    now: Millis,
) -> Result<()> {
    let mut clock = chain::clock(db, identity)?;
    let mut found_by = Vec::new();
    for Told { raw, read } in &page.changes {
        match read {
            Ok((change, place)) => {
                let text = place.clone().and_then(|place| raw.get().get(place));
                found_by.extend(apply_change(db, &mut clock, change, text, now)?);
            }
            Err(error) => {
                // The parser's message may quote a value.
                tracing::warn!(class = ?error.classify(), "a change of an unknown shape is kept aside");
                let hash = hex::encode(Sha256::digest(raw.get()));
                db.prepare_cached("INSERT OR IGNORE INTO unread (hash, text, at) VALUES (?1, ?2, ?3)")?
                    .execute((hash, raw.get(), now))?;
            }
        }
    }
    found_by.iter().try_for_each(|words| words.write(db))?;
    purge(db)?;
    meta::set(db, &meta::CLOCK, &clock.last())?;
    meta::see(db, page.end)?;
    go_on(db, part, page)?;
    crate::fail::point("pull.applied");
    Ok(())
}

/// Notes where the next page begins, and what is still to come.
fn go_on(db: &Connection, part: &Part, page: &Page) -> Result<()> {
    match *part {
        Part::Changes { .. } => meta::set(db, &meta::CURSOR, &page.cursor),
        Part::Portfolio { since, .. } => {
            let since = since.unwrap_or(page.cursor);
            let after = page.next.clone().filter(|_| page.more);
            if after.is_none() {
                meta::set(db, &meta::CURSOR, &since)?;
            }
            meta::set(db, &meta::FIRST_PULL, &FirstPull { cursor: 0, until: Some(since), after })
        }
        Part::Earlier { until, .. } if page.more => {
            let going_on = FirstPull { cursor: page.cursor, until: Some(until), after: None };
            meta::set(db, &meta::FIRST_PULL, &going_on)
        }
        Part::Earlier { .. } => meta::clear(db, &meta::FIRST_PULL),
    }
}

/// The server was set back to an earlier state: so is what it changed since, and it may have lost any file.
pub(crate) fn begin_anew(db: &Connection) -> Result<()> {
    meta::pull_anew(db)?;
    files::ask_again(db)
}

/// Applies one change; `text` is its record's, if it has one. What a client is found by from now on is
/// for the caller to write, in the order of the changes.
fn apply_change(
    db: &Connection,
    clock: &mut Clock,
    change: &Change,
    text: Option<&str>,
    now: Millis,
) -> Result<Option<Words>> {
    match change {
        Change::State { record } => {
            observe(clock, record, now);
            let key = record.key();
            // Most of a first pull: nothing is here to join, and the text need not be written again.
            if let Some(text) = text
                && let Added::New(words) = project::add(db, record, text)?
            {
                unpurge(db, &key)?;
                return Ok(words);
            }
            let mine = project::load(db, &key)?;
            let mut words = None;
            if mine.as_ref() != Some(record) {
                match join(mine, record.clone()) {
                    Ok(joined) => words = project::put(db, &joined)?,
                    // The server does not send these; keeping ours loses nothing.
                    Err(error) => tracing::error!(%error, "a record from the server does not join"),
                }
            }
            unpurge(db, &key)?;
            Ok(words)
        }
        Change::Purge { key, erased } => {
            let (kind, id) = project::columns(key);
            db.prepare_cached(
                "INSERT INTO purges (kind, id, erased) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET erased = max(erased, excluded.erased)",
            )?
            .execute((kind, id, erased))?;
            Ok(None)
        }
    }
}

fn unpurge(db: &Connection, key: &RecordKey) -> Result<()> {
    let (kind, id) = project::columns(key);
    db.prepare_cached("DELETE FROM purges WHERE kind = ?1 AND id = ?2")?.execute((kind, id))?;
    Ok(())
}

/// Forgets what is not for this user any more, once nothing captured here hangs on it: no event that
/// waits, no unfinished interview, no file. Of a client who was erased only what waits to be sent is kept,
/// until it is; then nothing, delivered events included.
pub(crate) fn purge(db: &Connection) -> Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT kind, id, erased FROM purges p
         WHERE NOT EXISTS (SELECT 1 FROM events e
                           WHERE e.status = 0 AND (e.record = p.kind || '/' || p.id OR e.client = p.id))
           AND (erased OR NOT EXISTS (SELECT 1 FROM drafts d WHERE d.client = p.id))
           AND (erased OR NOT EXISTS (SELECT 1 FROM files f WHERE f.sent = 0 AND f.client = p.id))",
    )?;
    let mut rows = statement.query([])?;
    let mut gone = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, id): (String, String) = (row.get(0)?, row.get(1)?);
        let key = match kind.as_str() {
            "client" => RecordKey::Client(super::id::<ClientId>(&id)?),
            _ => RecordKey::Assessment(super::id(&id)?),
        };
        gone.push((key, row.get::<_, bool>(2)?));
    }
    for (key, erased) in &gone {
        if *erased {
            erase(db, key)?;
        }
        project::remove(db, key)?;
        unpurge(db, key)?;
    }
    Ok(())
}

/// Leaves nothing of a record but its place in the chain.
fn erase(db: &Connection, key: &RecordKey) -> Result<()> {
    chain::erase(db, key)?;
    let (_, id) = project::columns(key);
    for sql in [
        "DELETE FROM drafts WHERE client = ?1",
        "DELETE FROM unread WHERE instr(text, ?1) > 0",
        "DELETE FROM old_events WHERE instr(text, ?1) > 0",
    ] {
        db.prepare_cached(sql)?.execute([&id])?;
    }
    Ok(())
}

/// Lets the clock see every timestamp of a record, so that what is written next comes after it.
fn observe(clock: &mut Clock, record: &Record, now: Millis) {
    let mut see = |hlc: &Hlc| clock.observe(*hlc, now);
    match record {
        Record::Client(client) => {
            see(&client.since);
            client.fields.values().flat_map(Register::times).for_each(&mut see);
            client.consents.keys().for_each(&mut see);
            client.attachments.keys().for_each(&mut see);
        }
        Record::Assessment(assessment) => {
            see(&assessment.hlc);
            assessment.decisions.keys().for_each(&mut see);
        }
    }
}
