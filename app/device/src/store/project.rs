//! Records, and the tables that screens read, made from them in the same transaction.

use super::lasts::{self, Last};
use super::packed::{pack, unpack};
use super::{files, meta};
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension, Row};
use vereda_domain::client::{ClientField, compact, fold_name, phone_key};
use vereda_domain::event::{Event, Stub};
use vereda_domain::record::{AssessmentRecord, ClientRecord, Record, RecordKey, Rescore};
use vereda_domain::register::Register;
use vereda_domain::{AssessmentId, ClientId};

/// Rises when projections are made in another way; the store then makes them again when it opens.
pub(crate) const VERSION: u32 = 1;

/// A record's key as two columns.
pub(crate) fn columns(key: &RecordKey) -> (&'static str, String) {
    match key {
        RecordKey::Client(id) => ("client", id.to_string()),
        RecordKey::Assessment(id) => ("assessment", id.to_string()),
    }
}

/// A record, if it is here.
pub(crate) fn load(db: &Connection, key: &RecordKey) -> Result<Option<Record>> {
    let (kind, id) = columns(key);
    db.prepare_cached("SELECT json, packed FROM records WHERE kind = ?1 AND id = ?2")?
        .query_row((kind, id), |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// The record of a row that has `json` and `packed`.
fn read(row: &Row<'_>) -> Result<Record> {
    let text = match row.get_ref(1)?.as_blob_or_null().map_err(rusqlite::Error::from)? {
        Some(packed) => unpack(packed)?,
        // Kept by a version before schema 6, and not changed since.
        None => row.get(0)?,
    };
    Ok(Record::read(&text)?)
}

/// A client, if it is here.
pub(crate) fn client(db: &Connection, id: ClientId) -> Result<Option<ClientRecord>> {
    Ok(load(db, &RecordKey::Client(id))?.and_then(|record| match record {
        Record::Client(client) => Some(client),
        Record::Assessment(_) => None,
    }))
}

/// An assessment, if it is here.
pub(crate) fn assessment(db: &Connection, id: AssessmentId) -> Result<Option<AssessmentRecord>> {
    Ok(load(db, &RecordKey::Assessment(id))?.and_then(|record| match record {
        Record::Assessment(assessment) => Some(assessment),
        Record::Client(_) => None,
    }))
}

/// Keeps a record and makes its projection.
pub(crate) fn save(db: &Connection, record: &Record) -> Result<()> {
    write_later(db, &[put(db, record)?], lasts::kept(db)?)
}

/// Keeps a record and makes its row; the rest is for the caller to write.
pub(crate) fn put(db: &Connection, record: &Record) -> Result<Later> {
    keep(db, record)?;
    project(db, record)
}

/// Keeps a record, and nothing that is made from it.
fn keep(db: &Connection, record: &Record) -> Result<()> {
    let (kind, id) = columns(&record.key());
    db.prepare_cached(
        "INSERT INTO records (kind, id, json, packed) VALUES (?1, ?2, '', ?3)
         ON CONFLICT (kind, id) DO UPDATE SET json = excluded.json, packed = excluded.packed",
    )?
    .execute((kind, id, pack(&serde_json::to_string(record)?)?))?;
    Ok(())
}

/// What became of a record that was to be kept as it came.
pub(crate) enum Added {
    /// It is here already, and nothing was done.
    Known,
    /// It is kept, and its row made; the rest is to be written with that of others.
    New(Later),
}

/// Keeps a record that is not here yet, as the text that it was read from was packed, and makes its row.
pub(crate) fn add(db: &Connection, record: &Record, packed: &[u8]) -> Result<Added> {
    let (kind, id) = columns(&record.key());
    let added = db
        .prepare_cached("INSERT OR IGNORE INTO records (kind, id, json, packed) VALUES (?1, ?2, '', ?3)")?
        .execute((kind, id, packed))?;
    if added == 0 { Ok(Added::Known) } else { Ok(Added::New(project(db, record)?)) }
}

/// What is made from a record besides its row, and is written after the rows.
#[derive(Debug)]
pub(crate) enum Later {
    /// What a client is found by.
    Words(Words),
    /// What may be its client's last score.
    Last(Last),
}

/// Writes what is made from many records: words first and together, see [`Words`]; last scores only where those are kept.
pub(crate) fn write_later(db: &Connection, later: &[Later], lasts_kept: bool) -> Result<()> {
    for later in later {
        if let Later::Words(words) = later {
            words.write(db)?;
        }
    }
    for later in later {
        if let Later::Last(last) = later
            && lasts_kept
        {
            last.write(db)?;
        }
    }
    Ok(())
}

/// What a client is found by.
///
/// The full-text index gathers what it is given and writes it in large pieces, but gives up gathering
/// before each statement that SQLite may have to take back by itself, as those are that make a row.
/// So whoever makes many rows writes the words of all of them together, after the rows.
#[derive(Debug)]
pub(crate) struct Words {
    n: i64,
    name: String,
    document: String,
    phone: String,
    place: String,
}

impl Words {
    /// Puts them into the index.
    fn write(&self, db: &Connection) -> Result<()> {
        db.prepare_cached(
            "INSERT OR REPLACE INTO clients_words (rowid, name, document, phone, place)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((self.n, &self.name, &self.document, &self.phone, &self.place))?;
        Ok(())
    }
}

/// Makes a record's row, and says what else is to be written.
fn project(db: &Connection, record: &Record) -> Result<Later> {
    match record {
        Record::Client(client) => project_client(db, client).map(Later::Words),
        Record::Assessment(assessment) => project_assessment(db, assessment).map(Later::Last),
    }
}

fn project_client(db: &Connection, client: &ClientRecord) -> Result<Words> {
    let [name, document, phone, place] = ClientField::ALL.map(|field| client.value(field));
    let conflict = client.fields.values().any(|register| !Register::conflicts(register).is_empty());
    let (document_key, phone_key) = (compact(document), phone_key(phone));
    let n: i64 = db
        .prepare_cached(
            "INSERT INTO clients
             (id, name, name_key, document, document_key, phone, phone_key, place, officer, conflict)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key,
             document = excluded.document, document_key = excluded.document_key, phone = excluded.phone,
             phone_key = excluded.phone_key, place = excluded.place, officer = excluded.officer,
             conflict = excluded.conflict RETURNING n",
        )?
        .query_row(
            (
                client.id.to_string(),
                name,
                fold_name(name),
                document,
                &document_key,
                phone,
                &phone_key,
                place,
                client.officer.to_string(),
                conflict,
            ),
            |row| row.get(0),
        )?;
    // A document and a phone are found as they are written and as they are compared.
    Ok(Words {
        n,
        name: name.to_owned(),
        document: format!("{document} {document_key}"),
        phone: format!("{phone} {phone_key}"),
        place: place.to_owned(),
    })
}

fn project_assessment(db: &Connection, record: &AssessmentRecord) -> Result<Last> {
    let score = &record.assessment.score;
    let decision = record.decision();
    let text = |value: serde_json::Result<serde_json::Value>| -> Result<Option<String>> {
        Ok(value?.as_str().map(str::to_owned))
    };
    let last = Last {
        client: record.assessment.client.to_string(),
        hlc: record.hlc.to_string(),
        id: record.assessment.id.to_string(),
        risk_group: score.group.index() as i64,
        probability: score.probability,
        at: record.at,
        decision: text(serde_json::to_value(decision.map(|decision| decision.decision)))?,
    };
    db.prepare_cached(
        "INSERT OR REPLACE INTO assessments
         (id, client, officer, hlc, at, risk_group, probability, model_version, model_sha256, decision, rank,
          overridden, mismatch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(rusqlite::params![
        last.id,
        last.client,
        record.officer.to_string(),
        last.hlc,
        last.at,
        last.risk_group,
        last.probability,
        record.assessment.model.version,
        record.assessment.model.sha256,
        last.decision,
        text(serde_json::to_value(decision.map(|decision| decision.rank)))?,
        decision.is_some_and(|decision| decision.override_reason.is_some()),
        matches!(record.rescore, Some(Rescore::Different { .. } | Rescore::Impossible { .. })),
    ])?;
    Ok(last)
}

/// Forgets a record and its projection.
pub(crate) fn remove(db: &Connection, key: &RecordKey) -> Result<()> {
    let (kind, id) = columns(key);
    db.prepare_cached("DELETE FROM records WHERE kind = ?1 AND id = ?2")?.execute((kind, &id))?;
    match key {
        RecordKey::Client(_) => {
            db.prepare_cached(
                "DELETE FROM clients_words WHERE rowid = (SELECT n FROM clients WHERE id = ?1)",
            )?
            .execute([&id])?;
            db.prepare_cached("DELETE FROM clients WHERE id = ?1")?.execute([&id])?;
            files::forget(db, &id)?;
        }
        RecordKey::Assessment(_) => {
            let client: Option<String> = db
                .prepare_cached("DELETE FROM assessments WHERE id = ?1 RETURNING client")?
                .query_row([&id], |row| row.get(0))
                .optional()?;
            if let Some(client) = client
                && lasts::kept(db)?
            {
                lasts::forget(db, &client, &id)?;
            }
        }
    }
    Ok(())
}

/// Indexes whose order is not that in which records come: kept up row by row, they cost a first pull
/// more than all the rest.
const SCATTERED: [(&str, &str); 4] = [
    ("clients_name", "clients (name_key, n)"),
    ("clients_document", "clients (document_key)"),
    ("clients_phone", "clients (phone_key)"),
    ("assessments_client", "assessments (client, hlc, id, risk_group, probability, at, decision)"),
];

/// Leaves the scattered indexes, and the table of last scores, out while nobody is here yet: [`index`] makes them at once when
/// the portfolio is. Without them everything is found as well, and slower. The same goes for the full-text index, whose pieces
/// stay as they come: made one as they came, each word was written several times over.
pub(crate) fn unindex_empty(db: &Connection) -> Result<()> {
    let empty: bool = db.query_row("SELECT NOT EXISTS (SELECT 1 FROM clients)", [], |row| row.get(0))?;
    if empty {
        for (name, _) in SCATTERED {
            db.execute_batch(&format!("DROP INDEX IF EXISTS {name}"))?;
        }
        lasts::leave_out(db)?;
        join_pieces(db, 0, 500)?;
    }
    Ok(())
}

/// Makes the indexes that are not there, and the table of last scores; within a transaction.
pub(crate) fn index(db: &Connection) -> Result<()> {
    for (name, columns) in SCATTERED {
        db.execute_batch(&format!("CREATE INDEX IF NOT EXISTS {name} ON {columns}"))?;
    }
    lasts::keep(db)?;
    let apart = "SELECT EXISTS (SELECT 1 FROM clients_words_config WHERE k = 'automerge' AND v = 0)";
    if db.query_row(apart, [], |row| row.get(0))? { join_pieces(db, 4, 16) } else { Ok(()) }
}

/// How many pieces of the full-text index, of about one size, are made one: as many as that little by little with each
/// write (none: not so), and at once. (<https://sqlite.org/fts5.html#the_automerge_configuration_option>, whose usual
/// values are 4 and 16. They stay with the database.)
fn join_pieces(db: &Connection, little_by_little: u32, at_once: u32) -> Result<()> {
    let mut set = db.prepare_cached("INSERT INTO clients_words (clients_words, rank) VALUES (?1, ?2)")?;
    set.execute(("automerge", little_by_little))?;
    set.execute(("crisismerge", at_once))?;
    Ok(())
}

/// Into how many pieces the full-text index may fall before they are made one: each search looks through
/// all of them, and through what edits left of earlier words in each.
const PIECES: u32 = 8;
/// How many pages of the index a step of [`merge`] writes: some milliseconds, for which a save may wait.
const STEP_PAGES: i64 = 250;

/// Whether the full-text index lies in too many pieces.
pub(crate) fn in_pieces(db: &Connection) -> Result<bool> {
    let sql = "SELECT count(DISTINCT segid) FROM clients_words_idx";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get::<_, u32>(0))? > PIECES)
}

/// Goes on making the full-text index one piece; false when it is. (<https://sqlite.org/fts5.html#the_merge_command>:
/// the first step asks for one piece, and who changes fewer than two rows had nothing left to do.)
pub(crate) fn merge(db: &Connection, first: bool) -> Result<bool> {
    let pages = if first { -STEP_PAGES } else { STEP_PAGES };
    let before = db.total_changes();
    db.prepare_cached("INSERT INTO clients_words (clients_words, rank) VALUES ('merge', ?1)")?
        .execute([pages])?;
    Ok(db.total_changes() - before >= 2)
}

/// What the projections hold: every row of each as text, in an order that does not depend on how
/// they were made.
pub(crate) fn contents(db: &Connection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for sql in [
        "SELECT json_array(id, name, name_key, document, document_key, phone, phone_key, place, officer, conflict)
         FROM clients ORDER BY id",
        "SELECT json_array(c.id, w.name, w.document, w.phone, w.place)
         FROM clients_words w JOIN clients c ON c.n = w.rowid ORDER BY c.id",
        "SELECT json_array(id, client, officer, hlc, at, risk_group, probability, model_version, model_sha256,
         decision, rank, overridden, mismatch) FROM assessments ORDER BY id",
        "SELECT json_array(client, hlc, id, risk_group, probability, at, decision) FROM last_scores ORDER BY client",
    ] {
        let mut statement = db.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        found.extend(rows.collect::<std::result::Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

/// Of how many records [`rebuild`] holds in memory what is written after their rows.
const TOGETHER: usize = 3000;

/// Makes all projections again: this device's events folded into the records once more (which
/// changes nothing when all is well), then every record's row.
pub(crate) fn rebuild(db: &Connection) -> Result<()> {
    db.execute_batch("DELETE FROM clients; DELETE FROM clients_words; DELETE FROM assessments;")?;
    lasts::leave_out(db)?;
    let rank = meta::get(db, &meta::IDENTITY)?.map(|identity| identity.user.role.rank());
    let mut events = db.prepare("SELECT text FROM events ORDER BY seq")?;
    let mut rows = events.query([])?;
    while let (Some(row), Some(rank)) = (rows.next()?, rank) {
        let text: String = row.get(0)?;
        if Stub::read(&text).is_some() {
            continue;
        }
        let event: Event = serde_json::from_str(&text)?;
        let record = load(db, &event.body.key())?;
        // A record that was purged or that the server contradicts stays as it is.
        if let Ok(record) = vereda_domain::record::fold(record, &event, rank) {
            keep(db, &record)?;
        }
    }
    let mut records = db.prepare("SELECT json, packed FROM records")?;
    let mut rows = records.query([])?;
    let mut later = Vec::new();
    while let Some(row) = rows.next()? {
        later.push(project(db, &read(row)?)?);
        if later.len() == TOGETHER {
            write_later(db, &later, false)?;
            later.clear();
        }
    }
    write_later(db, &later, false)?;
    lasts::keep(db)
}
