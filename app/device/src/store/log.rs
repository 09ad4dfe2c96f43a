//! The log of sync runs: numbers and error codes, no personal data.

use crate::error::Result;
use rusqlite::Connection;
use std::fmt::Write;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vereda_domain::Millis;
use vereda_domain::gateway::{SyncError, SyncLogEntry};

/// How many runs are kept.
const KEPT: i64 = 500;

/// Keeps a run. One that did nothing, or failed as the one before it, replaces that one, so that a
/// day without a network is one line.
pub(crate) fn add(db: &Connection, entry: &SyncLogEntry) -> Result<()> {
    let code = |entry: &SyncLogEntry| entry.error.as_ref().map(|error| error.code);
    if let Some(last) = latest(db, 1)?.first()
        && entry.sent + entry.received + last.sent + last.received == 0
        && code(entry) == code(last)
    {
        db.execute("DELETE FROM sync_log WHERE n = (SELECT max(n) FROM sync_log)", [])?;
    }
    let error = entry.error.as_ref().map(serde_json::to_string).transpose()?;
    db.prepare_cached(
        "INSERT INTO sync_log (at, took_ms, sent, received, error) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((entry.at, entry.took_ms, entry.sent as i64, entry.received as i64, error))?;
    db.prepare_cached("DELETE FROM sync_log WHERE n <= (SELECT max(n) FROM sync_log) - ?1")?
        .execute([KEPT])?;
    Ok(())
}

/// The last runs, latest first.
pub(crate) fn latest(db: &Connection, limit: u32) -> Result<Vec<SyncLogEntry>> {
    let mut statement = db
        .prepare_cached("SELECT at, took_ms, sent, received, error FROM sync_log ORDER BY n DESC LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let error: Option<String> = row.get(4)?;
        entries.push(SyncLogEntry {
            at: row.get(0)?,
            took_ms: row.get(1)?,
            sent: row.get::<_, i64>(2)? as u64,
            received: row.get::<_, i64>(3)? as u64,
            error: error.map(|error| serde_json::from_str::<SyncError>(&error)).transpose()?,
        });
    }
    Ok(entries)
}

/// The log as text, for support.
pub(crate) fn text(db: &Connection, head: &str) -> Result<String> {
    let mut text = format!("{head}\n");
    for entry in latest(db, u32::MAX)?.iter().rev() {
        let SyncLogEntry { at, took_ms, sent, received, error } = entry;
        let outcome = match error {
            None => "ok".to_owned(),
            Some(error) => format!("{}: {}", error.code.as_str(), error.message),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} took={took_ms}ms sent={sent} received={received} {outcome}", stamp(*at));
    }
    Ok(text)
}

/// A time as RFC 3339.
pub(crate) fn stamp(at: Millis) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.to_string())
}
