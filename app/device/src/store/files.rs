//! The bytes of pictures and signatures: kept in the store, encrypted as all of it, until the server has
//! them; then as copies, for as long as there is room.

use super::{chain, client, project};
use crate::error::{DeviceError, Result};
use crate::store::meta::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::{Connection, OptionalExtension};
use vereda_domain::attachment::{Attachment, FileInfo, MAX_ATTACHMENTS, MediaType};
use vereda_domain::event::{EventBody, Hash};
use vereda_domain::export::ExportedFile;
use vereda_domain::{ClientId, Millis};

/// The most bytes of files that the server has too.
const COPIES: i64 = 200 * 1024 * 1024;

/// One file that the server does not have.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub client: ClientId,
    pub sha256: Hash,
    pub length: u64,
    pub at: Millis,
}

/// Adds something to a client, with its bytes if it is a file: both are durable, or neither.
pub(crate) fn attach(
    db: &Connection,
    identity: &Identity,
    id: ClientId,
    attachment: Attachment,
    bytes: Option<&[u8]>,
    now: Millis,
) -> Result<()> {
    let client = client::to_change(db, identity, id)?;
    if client.attachments.len() >= MAX_ATTACHMENTS {
        return Err(DeviceError::TooManyAttachments);
    }
    if let (Some(file), Some(bytes)) = (attachment.file(), bytes) {
        // The same picture again is no other file.
        put(db, id, file.sha256, file.media, bytes, false, now)?;
    }
    chain::append(db, identity, EventBody::Attached { client: id, attachment }, now)?;
    Ok(())
}

fn put(
    db: &Connection,
    client: ClientId,
    sha256: Hash,
    media: MediaType,
    bytes: &[u8],
    sent: bool,
    now: Millis,
) -> Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO files (client, sha256, media, length, bytes, sent, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        client.to_string(),
        sha256.to_string(),
        media.as_str(),
        bytes.len() as i64,
        bytes,
        sent,
        now,
    ))?;
    Ok(())
}

/// Keeps a copy of what the server has, if the client is still here; the oldest make room.
pub(crate) fn copy(
    db: &Connection,
    client: ClientId,
    file: &FileInfo,
    bytes: &[u8],
    now: Millis,
) -> Result<()> {
    if project::client(db, client)?.is_none() {
        return Ok(());
    }
    put(db, client, file.sha256, file.media, bytes, true, now)?;
    make_room(db, COPIES)
}

/// Takes the oldest copies out until no more than this are left.
fn make_room(db: &Connection, most: i64) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM files WHERE rowid IN (
             SELECT rowid FROM (SELECT rowid, sum(length) OVER (ORDER BY at DESC, rowid DESC) AS held
                                FROM files WHERE sent = 1) WHERE held > ?1)",
    )?
    .execute([most])?;
    Ok(())
}

/// How many files wait, and how many bytes those are.
pub(crate) fn counts(db: &Connection) -> Result<(u64, u64)> {
    let mut statement =
        db.prepare_cached("SELECT count(*), coalesce(sum(length), 0) FROM files WHERE sent = 0")?;
    Ok(statement.query_row([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?)
}

/// The first that waits after another, in the order in which they were captured.
pub(crate) fn next(db: &Connection, after: Option<&Waiting>) -> Result<Option<Waiting>> {
    let key = after.map_or_else(Default::default, |file| {
        (Some(file.at), file.client.to_string(), file.sha256.to_string())
    });
    let found = db
        .prepare_cached(
            "SELECT client, sha256, length, at FROM files
             WHERE sent = 0 AND (?1 IS NULL OR (at, client, sha256) > (?1, ?2, ?3))
             ORDER BY at, client, sha256 LIMIT 1",
        )?
        .query_row((key.0, key.1, key.2), |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, Millis>(3)?,
            ))
        })
        .optional()?;
    found
        .map(|(client, sha256, length, at)| {
            Ok(Waiting {
                client: super::id(&client)?,
                sha256: super::id(&sha256)?,
                length: length as u64,
                at,
            })
        })
        .transpose()
}

/// A piece of a file, and all of it when it is short.
pub(crate) fn piece(
    db: &Connection,
    client: ClientId,
    sha256: Hash,
    from: u64,
    most: usize,
) -> Result<Vec<u8>> {
    // SQL counts from 1.
    Ok(db
        .prepare_cached("SELECT substr(bytes, ?3, ?4) FROM files WHERE client = ?1 AND sha256 = ?2")?
        .query_row((client.to_string(), sha256.to_string(), from as i64 + 1, most as i64), |row| {
            row.get(0)
        })?)
}

/// All of a file, if it is here.
pub(crate) fn bytes(db: &Connection, client: ClientId, sha256: Hash) -> Result<Option<Vec<u8>>> {
    Ok(db
        .prepare_cached("SELECT bytes FROM files WHERE client = ?1 AND sha256 = ?2")?
        .query_row((client.to_string(), sha256.to_string()), |row| row.get(0))
        .optional()?)
}

/// Whether a file is here, and whether it waits.
pub(crate) fn state(db: &Connection, client: ClientId, sha256: Hash) -> Result<Option<bool>> {
    Ok(db
        .prepare_cached("SELECT sent = 0 FROM files WHERE client = ?1 AND sha256 = ?2")?
        .query_row((client.to_string(), sha256.to_string()), |row| row.get(0))
        .optional()?)
}

/// The server has it.
pub(crate) fn sent(db: &Connection, file: &Waiting) -> Result<()> {
    db.prepare_cached("UPDATE files SET sent = 1 WHERE client = ?1 AND sha256 = ?2")?
        .execute((file.client.to_string(), file.sha256.to_string()))?;
    make_room(db, COPIES)
}

/// All that waits, to be brought out as a file.
pub(crate) fn unsent(db: &Connection) -> Result<Vec<ExportedFile>> {
    let mut statement = db.prepare_cached(
        "SELECT client, sha256, bytes FROM files WHERE sent = 0 ORDER BY at, client, sha256",
    )?;
    let mut rows = statement.query([])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        let (client, sha256, bytes): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        files.push(ExportedFile {
            client: super::id(&client)?,
            sha256: super::id(&sha256)?,
            data: BASE64.encode(bytes),
        });
    }
    Ok(files)
}

/// The server was set back to an earlier state: it may have lost any of them. It is asked about each
/// that is still here.
pub(crate) fn ask_again(db: &Connection) -> Result<()> {
    db.execute("UPDATE files SET sent = 0 WHERE sent = 1", [])?;
    Ok(())
}

/// Forgets the files of a client.
pub(crate) fn forget(db: &Connection, client: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM files WHERE client = ?1")?.execute([client])?;
    Ok(())
}

/// What a client's record says of a file.
pub(crate) fn info(db: &Connection, client: ClientId, sha256: Hash) -> Result<FileInfo> {
    let record = project::client(db, client)?.ok_or(DeviceError::NotFound("client"))?;
    record.file(sha256).cloned().ok_or(DeviceError::NotFound("file"))
}
