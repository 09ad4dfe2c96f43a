//! Bundles that this device accepted, and what became of those that arrived.

use crate::error::Result;
use rusqlite::{Connection, OptionalExtension};
use vereda_domain::Millis;
use vereda_domain::api::ModelManifest;
use vereda_domain::gateway::{ModelOutcome, ModelUpdate};
use vereda_scoring::Model;

/// A version that could not be fetched is asked for again after this, in milliseconds.
const RETRY_MS: Millis = 3_600_000;
/// How many arrivals the history keeps.
const KEPT_UPDATES: i64 = 200;

/// The model that scores new interviews.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    pub sha256: String,
    pub version: u32,
    pub golden: u32,
    pub activated_at: Millis,
}

pub(crate) fn active(db: &Connection) -> Result<Option<Active>> {
    Ok(db
        .prepare_cached(
            "SELECT sha256, version, golden, coalesce(activated_at, 0) FROM models WHERE state = 'active'",
        )?
        .query_row([], |row| {
            Ok(Active {
                sha256: row.get(0)?,
                version: row.get(1)?,
                golden: row.get(2)?,
                activated_at: row.get(3)?,
            })
        })
        .optional()?)
}

/// The bytes of an accepted bundle.
pub(crate) fn bytes(db: &Connection, sha256: &str) -> Result<Option<Vec<u8>>> {
    Ok(db
        .prepare_cached("SELECT bytes FROM models WHERE sha256 = ?1")?
        .query_row([sha256], |row| row.get(0))
        .optional()?)
}

/// Makes a checked model the active one; the one before it is kept as previous.
pub(crate) fn activate(db: &Connection, model: &Model, bytes: &[u8], now: Millis) -> Result<()> {
    db.execute("UPDATE models SET state = 'kept' WHERE state = 'previous'", [])?;
    db.execute("UPDATE models SET state = 'previous' WHERE state = 'active'", [])?;
    insert(db, model, bytes)?;
    db.prepare_cached("UPDATE models SET state = 'active', activated_at = ?2 WHERE sha256 = ?1")?
        .execute((model.sha256(), now))?;
    crate::fail::point("model.activating");
    record_update(
        db,
        &ModelUpdate {
            id: model.id().to_owned(),
            version: model.version(),
            sha256: model.sha256().to_owned(),
            at: now,
            outcome: ModelOutcome::Activated,
        },
    )
}

/// Keeps a checked model to show what was scored with it.
pub(crate) fn insert(db: &Connection, model: &Model, bytes: &[u8]) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO models (sha256, id, version, bytes, golden, state) VALUES (?1, ?2, ?3, ?4, ?5, 'kept')
         ON CONFLICT (sha256) DO NOTHING",
    )?
    .execute((
        model.sha256(),
        model.id(),
        model.version(),
        bytes,
        u32::try_from(model.bundle().golden.len()).unwrap_or(u32::MAX),
    ))?;
    db.prepare_cached("DELETE FROM missing_models WHERE sha256 = ?1")?.execute([model.sha256()])?;
    Ok(())
}

/// Notes what became of a model that was announced. The same refusal again only moves its time.
pub(crate) fn record_update(db: &Connection, update: &ModelUpdate) -> Result<()> {
    let outcome = serde_json::to_string(&update.outcome)?;
    let moved = db
        .prepare_cached("UPDATE model_updates SET at = ?3 WHERE sha256 = ?1 AND outcome = ?2")?
        .execute((&update.sha256, &outcome, update.at))?;
    if moved == 0 {
        db.prepare_cached(
            "INSERT INTO model_updates (id, version, sha256, at, outcome) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((&update.id, update.version, &update.sha256, update.at, outcome))?;
        db.prepare_cached("DELETE FROM model_updates WHERE n <= (SELECT max(n) FROM model_updates) - ?1")?
            .execute([KEPT_UPDATES])?;
    }
    Ok(())
}

/// What arrived, latest first.
pub(crate) fn updates(db: &Connection) -> Result<Vec<ModelUpdate>> {
    let mut statement = db.prepare_cached(
        "SELECT id, version, sha256, at, outcome FROM model_updates ORDER BY at DESC, n DESC",
    )?;
    let mut rows = statement.query([])?;
    let mut updates = Vec::new();
    while let Some(row) = rows.next()? {
        updates.push(ModelUpdate {
            id: row.get(0)?,
            version: row.get(1)?,
            sha256: row.get(2)?,
            at: row.get(3)?,
            outcome: serde_json::from_str(&row.get::<_, String>(4)?)?,
        });
    }
    Ok(updates)
}

/// The refusal of a bundle, if this one was refused before.
pub(crate) fn refusal(db: &Connection, manifest: &ModelManifest) -> Result<Option<ModelUpdate>> {
    Ok(updates(db)?.into_iter().find(|update| {
        update.sha256 == manifest.sha256 && matches!(update.outcome, ModelOutcome::Refused { .. })
    }))
}

/// Versions that assessments here were made with and whose bundles are not here: `(version, sha256)`.
pub(crate) fn missing(db: &Connection, now: Millis) -> Result<Vec<(u32, String)>> {
    let mut statement = db.prepare_cached(
        // From one model to the next by the index: the assessments between them are not read.
        "WITH RECURSIVE used (sha256) AS (
             SELECT min(model_sha256) FROM assessments
             UNION ALL
             SELECT (SELECT min(a.model_sha256) FROM assessments a WHERE a.model_sha256 > used.sha256)
             FROM used WHERE used.sha256 IS NOT NULL
         )
         SELECT (SELECT a.model_version FROM assessments a WHERE a.model_sha256 = u.sha256 LIMIT 1), u.sha256
         FROM used u
         WHERE u.sha256 IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM models m WHERE m.sha256 = u.sha256)
           AND NOT EXISTS (SELECT 1 FROM missing_models t
                           WHERE t.sha256 = u.sha256 AND t.tried_at BETWEEN ?1 AND ?2)",
    )?;
    let rows = statement.query_map([now - RETRY_MS, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Notes that a version could not be fetched.
pub(crate) fn not_fetched(db: &Connection, sha256: &str, now: Millis) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO missing_models (sha256, tried_at) VALUES (?1, ?2)")?
        .execute((sha256, now))?;
    Ok(())
}
