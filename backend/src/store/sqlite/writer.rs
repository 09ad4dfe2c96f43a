//! The one thread that writes, in groups that share a commit, and one that puts the log of writes in its place.
//!
//! What is committed is in the log, and safe. Putting it in its place takes as long again, so that is done
//! beside the writes, on a connection of its own, and only its end by the thread that writes, between two groups: a log
//! begins anew when all of it is in its place and nobody adds to it, which beside a busy writer never comes.

use rusqlite::hooks::Wal;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// The most jobs that share one commit.
const GROUP: usize = 64;

/// What a job in the group came to, to be told once the group is committed.
pub(super) type Reply = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;
pub(super) type Job = Box<dyn FnOnce(&Transaction<'_>) -> Reply + Send>;

/// How the log of writes is kept, in pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogRule {
    /// How much it gathers before that is put in its place.
    pub gathers: i32,
    /// How long it grows before it begins anew.
    pub ends_at: i32,
}

impl LogRule {
    /// 2 MB, and 16. Whoever waits for a commit while pages go to their place waits for the same disk: with 16 MB at a
    /// time, 60 ms.
    pub const USUAL: LogRule = LogRule { gathers: 500, ends_at: 4000 };

    /// How much may be left for the thread that writes.
    fn rest(self) -> i32 {
        self.gathers / 8
    }
}

/// The thread that writes. It ends when its last job is done, and dropping this waits for it: then the
/// database is closed, and its file whole without a log beside it.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Writes by the first of these connections; the other one puts the log in its place.
    pub fn start(connection: Connection, beside: Connection, rule: LogRule) -> std::io::Result<Writer> {
        let (jobs, waiting) = mpsc::channel();
        let log = Arc::new(Log::default());
        let keeper = Keeper::start(beside, log.clone(), rule)?;
        let thread = std::thread::Builder::new().name("vereda-writer".into());
        let thread = thread.spawn(move || write_loop(connection, &waiting, &log, keeper))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Whether the thread is there to take it.
    pub fn take(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was told to whoever waited for the job.
            let _ = thread.join();
        }
    }
}

fn write_loop(mut connection: Connection, jobs: &mpsc::Receiver<Job>, log: &Arc<Log>, mut keeper: Keeper) {
    let seen = log.clone();
    let hooked = connection.wal_hook(Some(move |_: &mut Wal, pages| {
        seen.pages.store(pages, Ordering::Relaxed);
        Ok(())
    }));
    if let Err(error) = hooked {
        // SQLite does it at commits then.
        tracing::warn!(%error, "the log of writes is not watched");
    }
    while let Ok(first) = jobs.recv() {
        let mut replies = Vec::new();
        let committed = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            replies.push(first(&transaction));
            while replies.len() < GROUP && !transaction.is_autocommit() {
                let Ok(next) = jobs.try_recv() else { break };
                replies.push(next(&transaction));
            }
            if transaction.is_autocommit() {
                let gone = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
                let why = "one of the group could not be written, and all were rolled back";
                return Err(rusqlite::Error::SqliteFailure(gone, Some(why.into())));
            }
            transaction.commit()
        })();
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of writes could not be committed");
        }
        for reply in replies {
            reply(committed.as_ref().copied());
        }
        keeper.after_group(&connection, committed.is_ok());
    }
    // The last connection to be closed puts the log into the file, and must be able to write.
    drop(keeper);
}

/// What both threads know of the log.
#[derive(Debug, Default)]
struct Log {
    /// How long it is.
    pages: AtomicI32,
    /// Whether it is being put in its place.
    moving: AtomicBool,
}

/// Sees to it that the log is put in its place.
struct Keeper {
    log: Arc<Log>,
    rule: LogRule,
    /// How long the log is when it is to be done again.
    due: i32,
    /// How long it was after the last group.
    was: i32,
    /// What was begun has not been looked at since.
    begun: bool,
    wake: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn start(connection: Connection, log: Arc<Log>, rule: LogRule) -> std::io::Result<Keeper> {
        let (wake, woken) = mpsc::channel();
        let beside = log.clone();
        let thread = std::thread::Builder::new().name("vereda-log".into()).spawn(move || {
            while woken.recv().is_ok() {
                // Meanwhile more was written, but less each time.
                for _ in 0..4 {
                    let done = put_in_place(&connection);
                    if done.is_none_or(|done| beside.pages.load(Ordering::Relaxed) - done <= rule.rest()) {
                        break;
                    }
                }
                beside.moving.store(false, Ordering::Release);
            }
        })?;
        let (wake, thread) = (Some(wake), Some(thread));
        Ok(Keeper { log, rule, due: rule.gathers, was: 0, begun: false, wake, thread })
    }

    /// A group was committed, or there was no room for it.
    fn after_group(&mut self, connection: &Connection, committed: bool) {
        let pages = self.log.pages.load(Ordering::Relaxed);
        if pages < self.was {
            // The log has begun anew.
            self.due = self.rule.gathers;
        }
        self.was = pages;
        if self.log.moving.load(Ordering::Acquire) {
            return;
        }
        let moved = std::mem::take(&mut self.begun);
        if !committed || moved && pages >= self.rule.ends_at {
            // What is left of it. Where the disk is full, that makes room in the log.
            put_in_place(connection);
        } else if pages >= self.due {
            // Before the other thread can say that it is done.
            self.log.moving.store(true, Ordering::Release);
            self.begun = self.wake.as_ref().is_some_and(|wake| wake.send(()).is_ok());
            if !self.begun {
                self.log.moving.store(false, Ordering::Release);
            }
            self.due = pages + self.rule.gathers;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts the log in its place, as far as it can without anybody waiting; how many of its pages are there now.
fn put_in_place(connection: &Connection) -> Option<i32> {
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
    done.inspect_err(|error| tracing::warn!(%error, "the log of writes could not be put in its place")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
        connection
    }

    #[test]
    fn the_log_of_a_writer_that_never_rests_stays_short_and_all_that_it_wrote_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let connection = open(&path);
        connection.execute_batch("CREATE TABLE t(n INTEGER PRIMARY KEY, b BLOB NOT NULL)").unwrap();
        let rule = LogRule { gathers: 100, ends_at: 400 };
        let writer = Writer::start(connection, open(&path), rule).unwrap();
        let (tell, told) = mpsc::channel();
        const JOBS: usize = 5000;
        let mut longest = 0;
        let mut answered = 0;
        for n in 0..JOBS {
            let tell = tell.clone();
            let job: Job = Box::new(move |t| {
                let done = t.execute("INSERT INTO t(b) VALUES (zeroblob(6000))", []);
                Box::new(move |committed| tell.send(done.is_ok() && committed.is_ok()).unwrap())
            });
            assert!(writer.take(job));
            // As many wait as connections would: it always has something to do.
            if n >= 32 {
                assert!(told.recv().unwrap());
                answered += 1;
            }
            longest = longest.max(std::fs::metadata(dir.path().join("x.db-wal")).unwrap().len() / 4096);
        }
        drop(writer);
        drop(tell);
        assert_eq!(answered + told.iter().filter(|done| *done).count(), JOBS);
        // 15,000 pages were written.
        assert!(longest < 4000, "{longest} pages");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(left, ["x.db"], "no log is left beside it");
        let count: u32 = open(&path).query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(count), Ok(JOBS));
    }
}
