//! The encrypted store of one user: SQLCipher with a raw 256-bit key. Its pages are encrypted with
//! AES-256 and authenticated with HMAC-SHA-256, for which processors have instructions; stores that were
//! made before that keep the HMAC-SHA-512 that SQLCipher takes by itself.
//!
//! One connection writes and one reads, so that a screen never waits for a sync (WAL). Every write is
//! one transaction that is on disk when it returns (`synchronous = FULL`): what was acknowledged
//! survives SIGKILL and power loss. A file that cannot be read is reported and left as it is.

pub(crate) mod assess;
pub(crate) mod chain;
pub(crate) mod client;
pub(crate) mod drafts;
pub(crate) mod files;
pub(crate) mod fork;
pub(crate) mod lasts;
pub(crate) mod log;
pub(crate) mod meta;
pub(crate) mod models;
pub(crate) mod packed;
pub(crate) mod portfolio;
pub(crate) mod project;
pub(crate) mod remote;
pub(crate) mod review;
mod turns;

use crate::error::{DeviceError, Result};
use crate::vault::StoreKey;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use turns::Turns;
use zeroize::Zeroizing;

/// The store's file in the user's folder.
pub(crate) const FILE: &str = "store.db";
/// Of every page, as SQLCipher makes them.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// Each entry leads from the schema of its index to the next.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
];
/// What is kept of the file in memory by each connection, in KiB: a page of a first pull touches the leaves of every index,
/// and half of a search over a large portfolio is checking and decrypting pages that are not kept.
const CACHE_KIB: i64 = 32 * 1024;

/// The open store.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Mutex<Connection>,
    /// Who writes next: a sync that writes page after page must not keep an answer waiting.
    turns: Turns,
    reader: Mutex<Connection>,
}

/// See [`Store::gather`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gather {
    /// 4 MB.
    Few,
    /// 64 MB.
    Many,
}

/// Whether a file may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// It must not be there yet.
    Create,
    /// It must be there: an empty one in its place would hide that work is lost.
    Existing,
}

impl Store {
    /// Opens or makes the store in a folder.
    ///
    /// # Errors
    /// [`DeviceError::StoreDamaged`] for a wrong key and for a damaged or absent file,
    /// [`DeviceError::StoreTooNew`], [`DeviceError::StorageFull`]. The file is then as it was.
    pub(crate) fn open(folder: &Path, key: &StoreKey, mode: OpenMode) -> Result<Store> {
        let path = folder.join(FILE);
        if mode == OpenMode::Existing && !path.is_file() {
            return Err(DeviceError::StoreDamaged(format!("{FILE} is not there")));
        }
        if mode == OpenMode::Existing {
            whole(folder, std::fs::metadata(&path)?.len())?;
        }
        if mode == OpenMode::Create && path.exists() {
            return Err(DeviceError::Internal(format!("{FILE} is there already")));
        }
        let mut writer = connect(&path, key, mode)?;
        migrate(&mut writer)?;
        // A first pull that was cut off left them out.
        if let Err(error) = indexed(&mut writer) {
            // On a full disk, for one: the store is whole without them, and slower.
            tracing::warn!(%error, "the portfolio's indexes cannot be made");
        }
        let reader = connect(&path, key, OpenMode::Existing)?;
        reader.pragma_update(None, "query_only", true)?;
        let store = Store { writer: Mutex::new(writer), turns: Turns::default(), reader: Mutex::new(reader) };
        if store.read(|db| meta::get(db, &meta::PROJECTION))? != Some(project::VERSION) {
            store.rebuild()?;
        }
        Ok(store)
    }

    /// Runs a transaction that is durable when this returns, or did not happen.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let _turn = self.turns.mine();
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        crate::fail::point("write.before-commit");
        transaction.commit()?;
        crate::fail::point("write.committed");
        Ok(result)
    }

    /// How many pages the log of writes gathers before they are put in their places: many while a
    /// portfolio comes in, since each page of it touches the same places again; else few, so that
    /// nobody's write waits for long.
    pub(crate) fn gather(&self, gather: Gather) -> Result<()> {
        let pages = match gather {
            Gather::Few => 1000,
            Gather::Many => 16_000,
        };
        Ok(lock(&self.writer).pragma_update_and_check(None, "wal_autocheckpoint", pages, |_| Ok(()))?)
    }

    /// See [`crate::App::simulate_room`].
    #[cfg(any(debug_assertions, feature = "simulation"))]
    pub(crate) fn limit_growth(&self, pages: Option<u32>) -> Result<()> {
        let writer = lock(&self.writer);
        if pages.is_some() {
            // Room within the file is room, too.
            writer.execute_batch("VACUUM")?;
        }
        let now: u32 = writer.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = pages.map_or(u32::MAX - 1, |more| now.saturating_add(more));
        Ok(writer.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?)
    }

    /// Reads one consistent state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut reader = lock(&self.reader);
        let transaction = reader.transaction()?;
        work(&transaction)
    }

    /// Runs statements that a transaction does not take.
    #[cfg(test)]
    pub(crate) fn write_outside(&self, sql: &str) {
        lock(&self.writer).execute_batch(sql).unwrap();
    }

    /// Makes all projections again from records and events.
    pub(crate) fn rebuild(&self) -> Result<()> {
        self.write(|db| {
            project::rebuild(db)?;
            meta::set(db, &meta::PROJECTION, &project::VERSION)
        })
    }
}

/// Makes the portfolio's indexes that are not there, all of them or none.
fn indexed(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    project::index(&transaction)?;
    Ok(transaction.commit()?)
}

/// Whether a store of this length can be whole. SQLite takes a file without a whole page for a new
/// database, and the missing end of a last page for zeros, which nobody hears of before that page is
/// read. Where there is a log, that end may be in it: a checkpoint that was cut off is made again.
pub(crate) fn whole(folder: &Path, length: u64) -> Result<()> {
    let logged = || std::fs::metadata(folder.join(format!("{FILE}-wal"))).is_ok_and(|log| log.len() > 0);
    if length < PAGE_BYTES || (!length.is_multiple_of(PAGE_BYTES) && !logged()) {
        return Err(DeviceError::StoreDamaged(format!("{FILE} is cut off: it has {length} bytes")));
    }
    Ok(())
}

/// A panic in a transaction has rolled it back: the connection behind it is good.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What authenticates a store's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageHmac {
    /// Of every new store.
    Sha256,
    /// Of stores that were made by versions that did not choose.
    Sha512,
}

/// One connection with the key.
pub(crate) fn connect(path: &Path, key: &StoreKey, mode: OpenMode) -> Result<Connection> {
    match connect_as(path, key, mode, PageHmac::Sha256) {
        // A file of the other kind looks as one that is damaged, or that has another key.
        Err(DeviceError::StoreDamaged(_)) if mode == OpenMode::Existing => {
            connect_as(path, key, mode, PageHmac::Sha512)
        }
        other => other,
    }
}

/// One connection to a store of this kind.
pub(crate) fn connect_as(path: &Path, key: &StoreKey, mode: OpenMode, hmac: PageHmac) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if mode == OpenMode::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    let mut hexed = Zeroizing::new([0u8; 64]);
    hex::encode_to_slice(key.as_slice(), hexed.as_mut_slice())
        .map_err(|error| DeviceError::Internal(format!("the key's length: {error}")))?;
    let hexed = std::str::from_utf8(hexed.as_slice()).map_err(|e| DeviceError::Internal(e.to_string()))?;
    // What goes wrong is an error here; the library would write it to standard error besides.
    connection.execute_batch("PRAGMA cipher_log_level = NONE;")?;
    let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{hexed}'\";"));
    connection.execute_batch(&pragma)?;
    connection.execute_batch(match hmac {
        PageHmac::Sha256 => "PRAGMA cipher_hmac_algorithm = HMAC_SHA256;",
        PageHmac::Sha512 => "PRAGMA cipher_hmac_algorithm = HMAC_SHA512;",
    })?;
    // The first read is what tells a wrong key or a damaged file.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Else a statement with `LIMIT ?` is compiled again for each value: a fifth of a search.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<()> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(DeviceError::StoreTooNew { found, known });
    }
    let done = usize::try_from(found)
        .map_err(|_| DeviceError::StoreDamaged(format!("its schema number is {found}")))?;
    for (from, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", i64::try_from(from + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Reads a stored id.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| DeviceError::StoreDamaged("a stored id is none".into()))
}
