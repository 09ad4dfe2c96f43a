//! The store on SQLite: one thread that writes, in groups; a few connections that read.
//!
//! WAL with `synchronous=FULL`: what is answered for has reached the disk. Writers that wait for
//! each other share one commit, so a burst of pushes costs few flushes.

mod audit;
mod erasure;
mod files;
mod history;
mod insight;
mod known;
mod models;
mod people;
mod rows;
mod secrets;
mod sync;
mod writer;

use super::{Result, Saturation, Store};
use crate::error::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot};
use writer::{Job, LogRule, Writer};

/// Schema changes, in order; the file's `user_version` says how many it has had.
pub(super) const MIGRATIONS: [&str; 12] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
    include_str!("schema_11.sql"),
    include_str!("schema_12.sql"),
];

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 128;

/// What the connection that writes keeps of the file in memory, in KiB: a push touches the leaves of a
/// dozen indexes.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// The same for each that reads.
const READER_CACHE_KIB: i64 = 8 * 1024;

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Arc<Readers>,
    /// Jobs that were given to the writer and not answered yet.
    writing: AtomicUsize,
    /// What every request asks for.
    known: Arc<known::Known>,
    /// Scores that wait for their turn to be written.
    scores: Arc<history::Waiting>,
    /// Whose turn it is to count scores.
    counting: Arc<tokio::sync::Mutex<()>>,
    // Goes last: the last connection that is closed puts the log into the file, which readers cannot.
    writer: Writer,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    count: usize,
    permits: Semaphore,
    waiting: AtomicUsize,
}

impl Readers {
    /// Runs work on a connection that is idle; whoever calls has a permit.
    fn run<T>(&self, doing: &'static str, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let taken = lock(&self.idle).pop();
        let Some(mut connection) = taken else { return Err(StoreError::Closed) };
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
        lock(&self.idle).push(connection);
        result
            .unwrap_or_else(|_| Err(StoreError::Database { doing, source: "the operation panicked".into() }))
    }
}

/// Counts somebody in until it is dropped, which it is even when the request is given up.
struct Present<'a>(&'a AtomicUsize);

impl<'a> Present<'a> {
    fn new(count: &'a AtomicUsize) -> Present<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Present(count)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store for SqliteStore {
    fn saturation(&self) -> Saturation {
        let Readers { count, permits, waiting, .. } = &*self.readers;
        Saturation {
            connections: count + 1,
            in_use: count.saturating_sub(permits.available_permits())
                + self.writing.load(Ordering::Relaxed).min(1),
            waiting: waiting.load(Ordering::Relaxed) + self.writing.load(Ordering::Relaxed).saturating_sub(1),
        }
    }
}

impl SqliteStore {
    /// Opens the database in this file, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a file of a newer program, else [`StoreError::Database`].
    pub fn open(path: &Path, readers: usize) -> Result<SqliteStore> {
        let mut connection = open_writer(path)?;
        prepare(&mut connection)?;
        let idle = (0..readers.max(1)).map(|_| open_reader(path)).collect::<Result<Vec<_>>>()?;
        let (count, permits) = (idle.len(), Semaphore::new(idle.len()));
        let beside = open_writer(path)?;
        let writer = Writer::start(connection, beside, LogRule::USUAL)
            .map_err(|e| StoreError::Database { doing: "start the writer", source: e.into() })?;
        let readers = Readers { idle: Mutex::new(idle), count, permits, waiting: AtomicUsize::new(0) };
        Ok(SqliteStore {
            writer,
            writing: AtomicUsize::new(0),
            known: Arc::default(),
            scores: Arc::default(),
            counting: Arc::default(),
            readers: Arc::new(readers),
        })
    }

    /// The file's usual place in a data folder.
    pub fn file_in(data_dir: &Path) -> PathBuf {
        data_dir.join("vereda.db")
    }

    /// Copies the database in this file, which another process may be writing to, as it is at one moment,
    /// and checks the copy.
    ///
    /// # Errors
    /// [`StoreError::Database`]; the copy is then not to be used.
    pub fn copy(from: &Path, to: &Path) -> Result<()> {
        // Not made if it is not there: a copy of nothing would look like a backup.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = |path: &Path| Connection::open_with_flags(path, flags);
        let doing = "copy the database";
        let connection = open(from).map_err(|e| database("open the database to copy it", e))?;
        connection.execute_batch("PRAGMA busy_timeout = 5000").map_err(|e| database(doing, e))?;
        let name =
            to.to_str().ok_or(StoreError::Database { doing, source: "the path is not UTF-8".into() })?;
        connection.execute("VACUUM INTO ?1", [name]).map_err(|e| database(doing, e))?;
        let copy = open(to).map_err(|e| database("open the copy", e))?;
        let said: String = copy
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .map_err(|e| database("check the copy", e))?;
        if said != "ok" {
            return Err(StoreError::Database { doing: "check the copy", source: said.into() });
        }
        Ok(())
    }

    /// Runs one transaction on the writer and waits until it is durable. It may change anything.
    async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(doing, Some(self.known.clone()), work).await
    }

    /// As [`SqliteStore::write`], for what comes often and changes neither people nor models.
    async fn write_apart<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(doing, None, work).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        doing: &'static str,
        outdated: Option<Arc<known::Known>>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _present = Present::new(&self.writing);
        let (answer, answered) = oneshot::channel::<Result<T>>();
        let job: Job = Box::new(move |transaction| {
            let done = guarded(doing, transaction, work);
            Box::new(move |committed| {
                if let Some(known) = outdated {
                    known.forget();
                }
                // Whoever asked may have gone away; the work is done all the same.
                let _ = answer.send(settled(doing, done, committed));
            })
        });
        if !self.writer.take(job) {
            return Err(StoreError::Closed);
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs one statement that reads a few rows by their key: where it is called, for to hand them to another
    /// thread and back costs several times what they do. Readers wait for no writer, and what every request
    /// looks for stays in memory. A statement sees one moment without a transaction around it, whose beginning
    /// and end would cost as much as the statement.
    async fn glance<T>(
        &self,
        doing: &'static str,
        statement: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let waiting = Present::new(&self.readers.waiting);
        let _permit = self.readers.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        drop(waiting);
        self.readers.run(doing, |connection| statement(connection))
    }

    /// Runs one reading transaction: all of it sees one moment.
    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.readers.clone();
        let waiting = Present::new(&self.readers.waiting);
        let _permit = self.readers.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        drop(waiting);
        let task = tokio::task::spawn_blocking(move || {
            readers.run(doing, |connection| work(&connection.transaction().map_err(|e| database(doing, e))?))
        });
        task.await.map_err(|e| StoreError::Database { doing, source: e.into() })?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn database(doing: &'static str, source: rusqlite::Error) -> StoreError {
    if no_room(&source) {
        StoreError::Full { doing, source: source.into() }
    } else {
        StoreError::Database { doing, source: source.into() }
    }
}

/// Whether the disk did not take what was to be written.
fn no_room(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OperationAborted))
}

/// Does a job so that neither its failure nor its panic touches the others of its group.
fn guarded<T>(
    doing: &'static str,
    transaction: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(|| in_savepoint(transaction, work))).unwrap_or_else(|_| {
        // The savepoint is still open; what it did must not be committed with the others.
        let _ = transaction.execute_batch("ROLLBACK TO job; RELEASE job");
        Err(StoreError::Database { doing, source: "the operation panicked".into() })
    })
}

/// What a job came to, now that its group was committed or not.
fn settled<T>(
    doing: &'static str,
    done: Result<T>,
    committed: std::result::Result<(), &rusqlite::Error>,
) -> Result<T> {
    let Err(why) = committed else { return done };
    let source = why.to_string().into();
    done.and_then(|_| {
        Err(match no_room(why) {
            true => StoreError::Full { doing, source },
            false => StoreError::Database { doing, source },
        })
    })
}

fn in_savepoint<T>(
    transaction: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let step = |sql: &str| transaction.execute_batch(sql).map_err(|e| database("write", e));
    // As every job begins and ends.
    let kept = |sql: &str| {
        let done = transaction.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        done.map(drop).map_err(|e| database("write", e))
    };
    kept("SAVEPOINT job")?;
    let done = work(transaction);
    match &done {
        Ok(_) => kept("RELEASE job")?,
        // On a full disk SQLite has rolled back the whole group.
        Err(_) if transaction.is_autocommit() => {}
        Err(_) => step("ROLLBACK TO job; RELEASE job")?,
    }
    done
}

/// A connection that may write.
fn open_writer(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).map_err(|e| database("open the database", e))?;
    // What is deleted or written anew is overwritten with zeros: an erasure must find no older copies in the unused
    // parts of pages, so it is on from the beginning, and not for erasures alone.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA secure_delete = ON;",
        )
        .and_then(|()| connection.busy_timeout(writer::BUSY))
        .map_err(|e| database("open the database", e))?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> Result<()> {
    let doing = "prepare the database";
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|e| database(doing, e))?;
    let found: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|e| database("read the schema version", e))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(|e| database("migrate the database", e))?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(|e| database(doing, e))?;
    transaction.commit().map_err(|e| database(doing, e))?;
    keep(connection, WRITER_CACHE_KIB)
}

/// How much a connection keeps in memory.
fn keep(connection: &Connection, kib: i64) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else a statement with `LIMIT ?` is compiled again for each value.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|e| database("prepare a connection", e))?;
    connection.pragma_update(None, "cache_size", -kib).map_err(|e| database("prepare a connection", e))
}

fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|e| database("open the database to read", e))?;
    connection.execute_batch("PRAGMA busy_timeout = 5000;").map_err(|e| database("prepare a reader", e))?;
    keep(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_database_of_a_newer_program_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = SqliteStore::file_in(dir.path());
        drop(SqliteStore::open(&path, 1).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        match SqliteStore::open(&path, 1) {
            Err(StoreError::Newer { found: 99, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_store_that_is_dropped_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = SqliteStore::file_in(dir.path());
        for _ in 0..20 {
            drop(SqliteStore::open(&path, 3).unwrap());
            let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().path()).collect();
            assert_eq!(files, std::slice::from_ref(&path), "no log is left beside it");
        }
    }

    #[tokio::test]
    async fn a_database_of_version_1_goes_on_with_what_is_in_it() {
        use crate::store::PeopleStore;
        let dir = tempfile::tempdir().unwrap();
        let path = SqliteStore::file_in(dir.path());
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO users(id, username, username_key, name, role, password_hash, created_ms) \
                 VALUES (zeroblob(16), 'Ana', 'ana', 'Ana', 'officer', 'x', 1); \
                 INSERT INTO devices(id, user, name, platform, enrolled_ms, seen_ms, head_seq, head_hash) \
                 VALUES (zeroblob(16), zeroblob(16), 'd', 'linux', 1, 2, 1, zeroblob(32)); \
                 INSERT INTO events(device, seq, hash, text, branch, received_ms, rank, outcome, quarantined) \
                 VALUES (zeroblob(16), 1, zeroblob(32), '{}', zeroblob(16), 2, 'officer', '{}', 1); \
                 INSERT INTO records(kind, id, branch, seq, owner, client, body) VALUES \
                 ('client', zeroblob(16), zeroblob(16), 7, zeroblob(16), zeroblob(16), '{\"a\":1}'); \
                 INSERT INTO history(id, scored_ms, received_ms, officer, risk_group, model_version, body) \
                 VALUES (zeroblob(16), 5, 6, zeroblob(16), 'T1', 1, '{}');",
            )
            .unwrap();
        drop(connection);
        let store = SqliteStore::open(&path, 1).unwrap();
        let devices = store.devices(None).await.unwrap();
        assert_eq!((devices.len(), devices[0].events, devices[0].revoked_at), (1, 1, None));
        let drift = store.read("test", |t| {
            t.query_row("SELECT drift_ms FROM events", [], |r| r.get::<_, Option<i64>>(0))
                .map_err(|e| database("test", e))
        });
        assert_eq!(drift.await.unwrap(), None, "no number is made up for what nobody measured");
        // What is long is moved to tables with rowids as it is, with its indexes.
        let moved = store.read("test", |t| {
            let one =
                |sql: &str| t.query_row(sql, [], |r| r.get::<_, String>(0)).map_err(|e| database("test", e));
            Ok([
                one("SELECT json_array(seq, text, received_ms, rank, outcome, quarantined) FROM events")?,
                one("SELECT json_array(kind, seq, body) FROM records")?,
                one("SELECT json_array(hex(id), body, scored_ms, received_ms, hex(officer), risk_group) \
                     FROM history WHERE rowid = 1")?,
                one("SELECT count(*) || '' FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL \
                     AND tbl_name IN ('events', 'records', 'history')")?,
            ])
        });
        let zeros = "00".repeat(16);
        let expected = [
            r#"[1,"{}",2,"officer","{}",1]"#.to_owned(),
            r#"["client",7,"{\"a\":1}"]"#.to_owned(),
            format!(r#"["{zeros}","{{}}",5,6,"{zeros}","T1"]"#),
            "12".to_owned(),
        ];
        assert_eq!(moved.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn counting_that_nobody_waits_for_any_more_keeps_its_turn_until_it_is_written() {
        use crate::store::{Counted, Counts, InsightStore};
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&SqliteStore::file_in(dir.path()), 2).unwrap());
        let note = "INSERT INTO uncounted(id, scored_ms, fresh) VALUES (zeroblob(16), 1, 1)";
        store.write("test", move |t| t.execute(note, []).map_err(|e| database("test", e))).await.unwrap();
        let (go_on, held) = mpsc::channel::<()>();
        let other = store.clone();
        let busy = tokio::spawn(async move {
            other.write("test", move |_| held.recv().map_err(|_| StoreError::Closed)).await
        });
        let counter = store.clone();
        let counting =
            tokio::spawn(async move { counter.count(10, Box::new(|_| Ok(Counts::default()))).await });
        while store.writing.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        counting.abort();
        assert!(counting.await.unwrap_err().is_cancelled());
        assert!(store.counting.try_lock().is_err(), "somebody else would count the same rows again");
        go_on.send(()).unwrap();
        busy.await.unwrap().unwrap();
        let next = store.count(10, Box::new(|_| Ok(Counts::default()))).await.unwrap();
        assert_eq!(next, Counted::Rows(0), "they were counted once");
    }

    #[tokio::test]
    async fn a_job_that_fails_or_panics_takes_nothing_else_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&SqliteStore::file_in(dir.path()), 1).unwrap();
        let insert = |id: u8| {
            move |t: &Transaction<'_>| {
                t.execute("INSERT INTO branches(id, name) VALUES (?1, ?2)", (vec![id; 16], format!("b{id}")))
                    .map_err(|e| database("test", e))
            }
        };
        let (good, bad, panicked) = tokio::join!(
            store.write("test", insert(1)),
            store.write("test", move |t| {
                insert(2)(t)?;
                Err::<(), _>(StoreError::Closed)
            }),
            store.write::<()>("test", move |t| {
                insert(3)(t)?;
                panic!("on purpose")
            }),
        );
        assert!(good.is_ok() && bad.is_err() && panicked.is_err());
        let names: i64 = store
            .read("test", |t| {
                t.query_row("SELECT count(*) FROM branches", [], |r| r.get(0))
                    .map_err(|e| database("test", e))
            })
            .await
            .unwrap();
        assert_eq!(names, 1);
    }
}
