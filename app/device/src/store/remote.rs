//! What the server sends: pages of records, each applied in one transaction.

use super::meta::{self, FirstPull, Identity};
use super::packed::pack;
use super::project::{Added, Later};
use super::{chain, files, lasts, project};
use crate::error::Result;
use rusqlite::Connection;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
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
/// It is read, and its record packed, where its page arrives, which is while the page before is written: in a first
/// pull that is a quarter of the work, on a processor that has nothing else to do.
#[derive(Debug)]
pub(crate) struct Told(Result<(Change, Option<Vec<u8>>), Unread>);

/// As it came, and what the parser calls what is wrong; its message may quote a value.
type Unread = (Box<RawValue>, Category);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Told, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Told(read(raw.get()).map_err(|error| (raw, error.classify()))))
    }
}

/// A change, and its record as it is kept if it has one.
fn read(text: &str) -> serde_json::Result<(Change, Option<Vec<u8>>)> {
    let (change, record) = Change::read(text)?;
    // What cannot be packed now is kept another way, which says what is wrong if that fails as well.
    Ok((change, record.and_then(|record| pack(record).ok())))
}

/// Tries again what could not be read before. Gives how many could now.
pub(crate) fn retry_unread(db: &Connection, identity: &Identity, now: Millis) -> Result<usize> {
    let texts: Vec<String> = {
        let mut statement = db.prepare("SELECT text FROM unread ORDER BY at, hash")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut applying = Applying::begin(db, identity, now)?;
    let mut done = 0;
    for text in texts {
        if let Ok((change, packed)) = read(&text) {
            applying.apply(&change, packed.as_deref())?;
            db.execute("DELETE FROM unread WHERE text = ?1", [&text])?;
            done += 1;
        }
    }
    applying.end()?;
    Ok(done)
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
    let mut applying = Applying::begin(db, identity, now)?;
    for Told(read) in &page.changes {
        match read {
            Ok((change, packed)) => applying.apply(change, packed.as_deref())?,
            Err((raw, class)) => {
                tracing::warn!(?class, "a change of an unknown shape is kept aside");
                let hash = hex::encode(Sha256::digest(raw.get()));
                db.prepare_cached("INSERT OR IGNORE INTO unread (hash, text, at) VALUES (?1, ?2, ?3)")?
                    .execute((hash, raw.get(), now))?;
            }
        }
    }
    applying.end()?;
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

/// Changes that are being applied, one after the other.
struct Applying<'a> {
    db: &'a Connection,
    now: Millis,
    clock: Clock,
    /// Whether anything is noted as not for this user any more. Nearly always nothing is, and asking for each
    /// record takes time.
    purges: bool,
    /// What is written after the rows, in the order of the changes.
    later: Vec<Later>,
}

impl<'a> Applying<'a> {
    fn begin(db: &'a Connection, identity: &Identity, now: Millis) -> Result<Applying<'a>> {
        let purges = db.query_row("SELECT EXISTS (SELECT 1 FROM purges)", [], |row| row.get(0))?;
        Ok(Applying { db, now, clock: chain::clock(db, identity)?, purges, later: Vec::new() })
    }

    /// Applies one change; with its record as it is kept, if it has one.
    fn apply(&mut self, change: &Change, packed: Option<&[u8]>) -> Result<()> {
        match change {
            Change::State { record } => self.state(record, packed),
            Change::Purge { key, erased } => {
                self.purges = true;
                let (kind, id) = project::columns(key);
                self.db
                    .prepare_cached(
                        "INSERT INTO purges (kind, id, erased) VALUES (?1, ?2, ?3)
                         ON CONFLICT DO UPDATE SET erased = max(erased, excluded.erased)",
                    )?
                    .execute((kind, id, erased))?;
                Ok(())
            }
        }
    }

    fn state(&mut self, record: &Record, packed: Option<&[u8]>) -> Result<()> {
        observe(&mut self.clock, record, self.now);
        let key = record.key();
        if self.purges {
            unpurge(self.db, &key)?;
        }
        // Most of a first pull: nothing is here to join, and the text need not be written again.
        if let Some(packed) = packed
            && let Added::New(later) = project::add(self.db, record, packed)?
        {
            self.later.push(later);
            return Ok(());
        }
        let mine = project::load(self.db, &key)?;
        if mine.as_ref() != Some(record) {
            match join(mine, record.clone()) {
                Ok(joined) => self.later.push(project::put(self.db, &joined)?),
                // The server does not send these; keeping ours loses nothing.
                Err(error) => tracing::error!(%error, "a record from the server does not join"),
            }
        }
        Ok(())
    }

    /// Writes what was gathered.
    fn end(self) -> Result<()> {
        project::write_later(self.db, &self.later, lasts::kept(self.db)?)?;
        purge(self.db)?;
        meta::set(self.db, &meta::CLOCK, &self.clock.last())
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
