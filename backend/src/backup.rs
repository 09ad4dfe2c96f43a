//! `backup`: a copy of the data folder that a server can be started on, taken while another one
//! writes to it.
//!
//! The embedded database is copied by `VACUUM INTO` (<https://sqlite.org/lang_vacuum.html>): one reading
//! transaction, so the copy is of one moment, and writers go on beside it. PostgreSQL has `pg_dump`
//! for this (docs/OPERATIONS.md). The keys are copied after the database: a key that is rotated
//! meanwhile is then in the copy, and one too many does no harm.

use crate::config::Config;
use crate::error::ServerError;
use crate::identity::keys;
use crate::store::sqlite::SqliteStore;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Bytes of the database's copy.
    pub database_bytes: u64,
    /// How many key files.
    pub keys: usize,
}

/// Copies the data folder of a server, running or not, to `to`, which must not exist. Until it is whole
/// it is called `TO.partial`, so that one that was cut off is never taken for a backup.
///
/// # Errors
/// [`ServerError::Config`] with PostgreSQL, [`ServerError::File`], and what the database says.
pub fn backup(config: &Config, to: &Path) -> Result<Backup, ServerError> {
    if !config.database.url.is_empty() {
        let what =
            "database.url names a PostgreSQL, which is backed up by pg_dump, with a copy of the folder keys";
        return Err(ServerError::Config { what: what.to_owned() });
    }
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| ServerError::File { doing, path, source }
    };
    if to.exists() {
        return Err(failed("make the backup", to)(io::ErrorKind::AlreadyExists.into()));
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(failed("remove the unfinished backup", &partial))?;
    }
    keys::make_folder(&partial)?;
    let copy = SqliteStore::file_in(&partial);
    SqliteStore::copy(&SqliteStore::file_in(&config.data_dir), &copy)?;
    let keys = copy_keys(&config.data_dir.join("keys"), &partial.join("keys"))?;
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&copy).map_err(failed("write the backup to disk in", &copy))?;
    // With the names in it, before it gets its own.
    keys::sync_folder(&partial).map_err(failed("write the backup to disk in", &partial))?;
    let database_bytes = fs::metadata(&copy).map_err(failed("read", &copy))?.len();
    fs::rename(&partial, to).map_err(failed("finish the backup", to))?;
    let parent = to.parent().unwrap_or(Path::new("."));
    keys::sync_folder(parent).map_err(failed("write the backup to disk in", parent))?;
    Ok(Backup { database_bytes, keys })
}

/// Copies every key, for the same eyes only.
fn copy_keys(from: &Path, to: &Path) -> Result<usize, ServerError> {
    let reading = |source| ServerError::File { doing: "read the keys in", path: from.to_owned(), source };
    keys::make_folder(to)?;
    let mut count = 0;
    for entry in fs::read_dir(from).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        let Some(name) = path.file_name() else { continue };
        keys::write_secret(&to.join(name), &fs::read(&path).map_err(reading)?)?;
        count += 1;
    }
    Ok(count)
}
