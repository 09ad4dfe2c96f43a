//! Unfinished interviews. Each answer is one transaction; right or wrong, it is kept as it is.

use super::id;
use crate::error::{DeviceError, Result};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;
use uuid::Uuid;
use vereda_domain::{ClientId, DraftId, Millis};
use vereda_scoring::{Inputs, Value};

/// A draft without its answers.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub id: DraftId,
    pub client: ClientId,
    /// Of the model it began with and keeps.
    pub model_sha256: String,
    pub focus: Option<String>,
    pub saved_at: Millis,
}

const COLUMNS: &str = "SELECT id, client, model_sha256, focus, saved_at FROM drafts";

type Columns = (String, String, String, Option<String>, Millis);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn draft((draft, client, model_sha256, focus, saved_at): Columns) -> Result<Draft> {
    Ok(Draft { id: id(&draft)?, client: id(&client)?, model_sha256, focus, saved_at })
}

/// One draft.
pub(crate) fn get(db: &Connection, id: DraftId) -> Result<Draft> {
    let row = db
        .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id.to_string()], columns)
        .optional()?;
    draft(row.ok_or(DeviceError::NotFound("unfinished interview"))?)
}

/// All drafts with the number of their answers, the last saved first.
pub(crate) fn all(db: &Connection) -> Result<Vec<(Draft, u32)>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} ORDER BY saved_at DESC, id"))?;
    let rows: Vec<Columns> = statement.query_map([], columns)?.collect::<std::result::Result<_, _>>()?;
    let mut count = db.prepare_cached("SELECT count(*) FROM draft_fields WHERE draft = ?1")?;
    rows.into_iter()
        .map(|row| {
            let answered = count.query_row([&row.0], |row| row.get(0))?;
            Ok((draft(row)?, answered))
        })
        .collect()
}

/// The draft of a client.
pub(crate) fn of_client(db: &Connection, client: ClientId) -> Result<Option<DraftId>> {
    let found: Option<String> = db
        .prepare_cached("SELECT id FROM drafts WHERE client = ?1")?
        .query_row([client.to_string()], |row| row.get(0))
        .optional()?;
    found.map(|found| id(&found)).transpose()
}

/// A new draft.
pub(crate) fn start(db: &Connection, client: ClientId, model_sha256: &str, now: Millis) -> Result<DraftId> {
    let id = DraftId(Uuid::now_v7());
    db.prepare_cached("INSERT INTO drafts (id, client, model_sha256, saved_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute((id.to_string(), client.to_string(), model_sha256, now))?;
    Ok(id)
}

/// The answers and when each was saved.
pub(crate) fn answers(db: &Connection, id: DraftId) -> Result<(Inputs, BTreeMap<String, Millis>)> {
    let mut statement =
        db.prepare_cached("SELECT field, value, saved_at FROM draft_fields WHERE draft = ?1")?;
    let mut rows = statement.query([id.to_string()])?;
    let (mut inputs, mut times) = (Inputs::new(), BTreeMap::new());
    while let Some(row) = rows.next()? {
        let field: String = row.get(0)?;
        inputs.insert(field.clone(), serde_json::from_str(&row.get::<_, String>(1)?)?);
        times.insert(field, row.get(2)?);
    }
    Ok((inputs, times))
}

/// Keeps an answer, or takes it out.
pub(crate) fn save(
    db: &Connection,
    id: DraftId,
    field: &str,
    value: Option<&Value>,
    now: Millis,
) -> Result<()> {
    let known = db.prepare_cached("UPDATE drafts SET saved_at = ?2, focus = ?3 WHERE id = ?1")?.execute((
        id.to_string(),
        now,
        field,
    ))?;
    if known == 0 {
        return Err(DeviceError::NotFound("unfinished interview"));
    }
    match value {
        Some(value) => db
            .prepare_cached(
                "INSERT INTO draft_fields (draft, field, value, saved_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (draft, field) DO UPDATE SET value = excluded.value, saved_at = excluded.saved_at",
            )?
            .execute((id.to_string(), field, serde_json::to_string(value)?, now))?,
        None => db
            .prepare_cached("DELETE FROM draft_fields WHERE draft = ?1 AND field = ?2")?
            .execute((id.to_string(), field))?,
    };
    Ok(())
}

/// Keeps where the officer is.
pub(crate) fn focus(db: &Connection, id: DraftId, field: &str) -> Result<()> {
    let known =
        db.prepare_cached("UPDATE drafts SET focus = ?2 WHERE id = ?1")?.execute((id.to_string(), field))?;
    if known == 0 { Err(DeviceError::NotFound("unfinished interview")) } else { Ok(()) }
}

/// Throws a draft away.
pub(crate) fn discard(db: &Connection, id: DraftId) -> Result<()> {
    let known = db.prepare_cached("DELETE FROM drafts WHERE id = ?1")?.execute([id.to_string()])?;
    if known == 0 { Err(DeviceError::NotFound("unfinished interview")) } else { Ok(()) }
}
