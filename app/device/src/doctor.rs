//! What is wrong with the stores of a device, and how to get the unsent work out of one.
//!
//! Works without the app. It never writes to a store: what has to be opened is opened as a copy,
//! encrypted as it is, which is removed afterwards. Only the count of attempts at the PIN is written,
//! as by the app, so that this is no way around the delays.

use crate::clock::WallClock;
use crate::error::{DeviceError, Result};
use crate::export;
use crate::keystore::KeyStore;
use crate::people::Folders;
use crate::session::lock_folder;
use crate::store::{self, OpenMode, Store, chain, files, meta, project};
use crate::vault::{StoreKey, Vault};
use rusqlite::Connection;
use serde_json::value::RawValue;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use vereda_domain::event::{ChainHead, Header, chain_hash};
use vereda_domain::gateway::{ExportFile, SealedFor, UserView};

/// Enough room for the app to go on for a while, in bytes.
const ROOM: usize = 1024 * 1024;

/// What was found of one user's store.
#[derive(Debug)]
pub struct Report {
    /// Where it is.
    pub folder: PathBuf,
    /// Whose it is, if that can be read.
    pub user: Option<UserView>,
    /// What is wrong; each says what to do.
    pub findings: Vec<DeviceError>,
    /// What is in it; absent when it was not opened.
    pub inside: Option<Inside>,
}

/// What is in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside {
    /// The end of this device's chain.
    pub head: ChainHead,
    /// Events that the server has not acknowledged.
    pub waiting: u64,
    /// Events that the server put aside.
    pub quarantined: u64,
}

/// Which stores to look at, and with what.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// The app's data folder.
    pub data_dir: PathBuf,
    /// Where the keys are.
    pub keystore: KeyStore,
    /// Counts the delays after wrong PINs.
    pub clock: WallClock,
}

impl Doctor {
    /// Looks at every store, or at that of the user of this name. With the PIN of one user, theirs
    /// is opened; without, only what can be seen from outside is looked at.
    pub fn examine(&self, username: Option<&str>, pin: Option<&str>) -> Vec<Report> {
        let folders = Folders::new(self.data_dir.clone());
        let mut reports: Vec<Report> = folders.all().iter().map(|folder| self.outside(folder)).collect();
        if let Some(name) = username {
            // One whose owner cannot be read may be theirs.
            reports.retain(|report| report.user.as_ref().is_none_or(|user| user.username == name));
        }
        if let Some(pin) = pin {
            for report in &mut reports {
                if let Err(error) = self.inside(report, pin) {
                    report.findings.push(error);
                }
            }
        }
        reports
    }

    /// The unsent events of a user as an encrypted file. What cannot be read of a damaged store is
    /// left out, and then the file ends before it: the server takes only what follows without gaps.
    ///
    /// # Errors
    /// When there is no such user, the PIN or the key is wrong, or nothing at all can be read.
    pub fn export(&self, username: &str, pin: &str, sealed_for: &SealedFor) -> Result<ExportFile> {
        let folders = Folders::new(self.data_dir.clone());
        let vault = folders.vaults().into_iter().find(|vault| vault.user().username == username);
        let mut vault = vault.ok_or(DeviceError::NotFound("user"))?;
        let folder = folders.user(vault.user().id);
        let key = vault.open(&self.keystore, pin, self.clock.moment())?;
        let _lock = lock_folder(&folder)?;
        let copy = copy(&folder)?;
        let db = store::connect(&copy.path().join(store::FILE), &key, OpenMode::Existing)?;
        let identity = meta::get(&db, &meta::IDENTITY)?
            .ok_or_else(|| DeviceError::StoreDamaged("it does not say whose it is".into()))?;
        drop(db);
        let events = readable(copy.path(), &key)?;
        let db = store::connect(&copy.path().join(store::FILE), &key, OpenMode::Existing)?;
        // A store of an earlier schema has none; of a damaged one, the events go before them.
        let files = files::unsent(&db).unwrap_or_else(|error| {
            tracing::warn!(%error, "pictures and signatures cannot be read; the export has none");
            Vec::new()
        });
        export::export(&identity, events, files, sealed_for, self.clock.now())
    }

    fn outside(&self, folder: &Path) -> Report {
        let mut findings = Vec::new();
        let user = match Vault::read(folder) {
            Ok(Some(vault)) => {
                if let Err(error) = vault.has_secret(&self.keystore) {
                    findings.push(error);
                }
                Some(vault.user().clone())
            }
            Ok(None) => {
                findings.push(DeviceError::StoreDamaged("vault.json is not there".into()));
                None
            }
            Err(error) => {
                findings.push(error);
                None
            }
        };
        findings.extend(file(folder).err());
        findings.extend(room(folder).err());
        Report { folder: folder.to_owned(), user, findings, inside: None }
    }

    fn inside(&self, report: &mut Report, pin: &str) -> Result<()> {
        let Some(mut vault) = Vault::read(&report.folder).ok().flatten() else { return Ok(()) };
        if !report.folder.join(store::FILE).is_file() {
            return Ok(());
        }
        let key = vault.open(&self.keystore, pin, self.clock.moment())?;
        let _lock = lock_folder(&report.folder)?;
        let copy = copy(&report.folder)?;
        let db = store::connect(&copy.path().join(store::FILE), &key, OpenMode::Existing)?;
        // The check of pages looks at the file alone. What a power cut left half written there is whole in the log.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let pages = integrity(&db)?;
        drop(db);
        if let Some(first) = pages.first() {
            let more = pages.len() - 1;
            report.findings.push(DeviceError::StoreDamaged(format!("{first}, and {more} more findings")));
            return Ok(());
        }
        let store = Store::open(copy.path(), &key, OpenMode::Existing)?;
        report.findings.extend(store.read(whole_chain).err());
        let before = store.read(project::contents)?;
        store.rebuild()?;
        if store.read(project::contents)? != before {
            let what = "the lists are not what the records add up to; the app makes them again by itself";
            report.findings.push(DeviceError::StoreDamaged(what.into()));
        }
        let (head, (waiting, quarantined)) = store.read(|db| Ok((chain::head(db)?, chain::counts(db)?)))?;
        report.inside = Some(Inside { head, waiting, quarantined });
        Ok(())
    }
}

/// Whether the file can be an encrypted store at all.
fn file(folder: &Path) -> Result<()> {
    let damaged = |what: String| Err(DeviceError::StoreDamaged(format!("{}: {what}", store::FILE)));
    let mut file = match std::fs::File::open(folder.join(store::FILE)) {
        Ok(file) => file,
        Err(error) => return damaged(error.to_string()),
    };
    store::whole(folder, file.metadata()?.len())?;
    let mut start = [0; 15];
    file.read_exact(&mut start)?;
    if &start == b"SQLite format 3" {
        return damaged("it is not encrypted: it is not this app's".into());
    }
    Ok(())
}

/// Whether there is room to write beside the store.
fn room(folder: &Path) -> Result<()> {
    let mut probe = tempfile::NamedTempFile::new_in(folder)?;
    probe.write_all(&vec![0; ROOM])?;
    Ok(probe.as_file().sync_all()?)
}

/// The store's files beside each other in a folder that is removed afterwards.
fn copy(folder: &Path) -> Result<tempfile::TempDir> {
    let aside = tempfile::tempdir()?;
    for name in [store::FILE.to_owned(), format!("{}-wal", store::FILE)] {
        let from = folder.join(&name);
        if from.is_file() {
            std::fs::copy(from, aside.path().join(name))?;
        }
    }
    Ok(aside)
}

/// What SQLCipher finds of every page, then SQLite of the whole.
fn integrity(db: &Connection) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for check in ["PRAGMA cipher_integrity_check", "PRAGMA integrity_check"] {
        let mut statement = db.prepare(check)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let finding: String = row.get(0)?;
            if finding != "ok" {
                findings.push(finding);
            }
        }
        if !findings.is_empty() {
            return Ok(findings);
        }
    }
    Ok(findings)
}

/// Whether every event is what was hashed and follows from the one before it.
fn whole_chain(db: &Connection) -> Result<()> {
    let mut head = ChainHead::EMPTY;
    let mut statement = db.prepare("SELECT text FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let header: Header = serde_json::from_str(&text)?;
        if !head.precedes(&header) {
            return Err(DeviceError::StoreDamaged(format!(
                "event {} does not follow {}",
                header.seq, head.seq
            )));
        }
        head = ChainHead { seq: header.seq, hash: chain_hash(&text) };
    }
    Ok(())
}

/// The events from the first that waits on, as far as they can be read without a gap. When that
/// cannot be told, from the first of all: the server knows what it has.
fn readable(folder: &Path, key: &StoreKey) -> Result<Vec<Box<RawValue>>> {
    let open = || store::connect(&folder.join(store::FILE), key, OpenMode::Existing);
    let first = open()?
        .query_row("SELECT min(seq) FROM events WHERE status = 0", [], |row| row.get::<_, Option<i64>>(0));
    let mut seq = match first {
        Ok(Some(first)) => first,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => {
            tracing::warn!(%error, "what waits cannot be told; everything is brought out");
            1
        }
    };
    let db = open()?;
    let mut events = Vec::new();
    loop {
        let read: rusqlite::Result<(String, String)> =
            db.query_row("SELECT text, hash FROM events WHERE seq = ?1", [seq], |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
        match read {
            Ok((text, hash)) if chain_hash(&text).to_string() == hash => {
                events.push(RawValue::from_string(text)?);
            }
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(events),
            Ok(_) => {
                tracing::warn!(seq, "an event is not what was hashed; the export ends before it");
                return Ok(events);
            }
            Err(error) if events.is_empty() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(seq, %error, "an event cannot be read; the export ends before it");
                return Ok(events);
            }
        }
        seq += 1;
    }
}
