//! The one thread that writes, in groups that share a commit, and one that puts the log of writes in its place.
//!
//! What is committed is in the log, and safe. Putting it in its place takes as long again, so that is done
//! beside the writes, on a connection of its own, and only its end by the thread that writes, between two groups: a log
//! begins anew when all of it is in its place, nobody adds to it and nobody reads from it, which beside a busy writer
//! and busy readers never comes by itself.

use rusqlite::hooks::Wal;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most jobs that share one commit.
const GROUP: usize = 64;

/// How long the thread that writes waits for those who read from a log that is to begin anew.
const END_WAIT: Duration = Duration::from_millis(20);
/// How long it waits for other processes.
pub(super) const BUSY: Duration = Duration::from_secs(5);

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

    /// How long it may be before that thread waits for the other one.
    fn waits_at(self) -> i32 {
        self.ends_at.saturating_mul(4)
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
        let log = Arc::new(AtomicI32::new(0));
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

fn write_loop(
    mut connection: Connection,
    jobs: &mpsc::Receiver<Job>,
    log: &Arc<AtomicI32>,
    mut keeper: Keeper,
) {
    let seen = log.clone();
    let hooked = connection.wal_hook(Some(move |_: &mut Wal, pages| {
        seen.store(pages, Ordering::Relaxed);
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

/// Sees to it that the log is put in its place.
struct Keeper {
    /// How long the log is, in pages.
    log: Arc<AtomicI32>,
    rule: LogRule,
    /// How long the log is when it is to be done again.
    due: i32,
    /// How long it was after the last group.
    was: i32,
    /// Whether the other thread is at it.
    moving: bool,
    wake: Option<mpsc::Sender<()>>,
    done: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn start(connection: Connection, log: Arc<AtomicI32>, rule: LogRule) -> std::io::Result<Keeper> {
        let (wake, woken) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        let pages = log.clone();
        let thread = std::thread::Builder::new().name("vereda-log".into()).spawn(move || {
            while woken.recv().is_ok() {
                // Meanwhile more was written, but less each time.
                for _ in 0..4 {
                    let moved = put_in_place(&connection);
                    if moved.is_none_or(|moved| pages.load(Ordering::Relaxed) - moved <= rule.rest()) {
                        break;
                    }
                }
                if tell.send(()).is_err() {
                    break;
                }
            }
        })?;
        let (wake, thread) = (Some(wake), Some(thread));
        Ok(Keeper { log, rule, due: rule.gathers, was: 0, moving: false, wake, done, thread })
    }

    /// A group was committed, or there was no room for it.
    fn after_group(&mut self, connection: &Connection, committed: bool) {
        let pages = self.log.load(Ordering::Relaxed);
        if pages < self.was {
            // The log has begun anew.
            self.due = self.rule.gathers;
        }
        self.was = pages;
        let mut moved = false;
        if self.moving {
            // A disk that cannot keep up slows down whoever writes.
            let late = pages >= self.rule.waits_at();
            if late && self.done.recv().is_err() || !late && self.done.try_recv().is_err() {
                return;
            }
            (self.moving, moved) = (false, true);
        }
        if !committed || moved && pages >= self.rule.ends_at {
            // What is left of it. Where the disk is full, that makes room in the log.
            end(connection);
        } else if pages >= self.due {
            self.moving = self.wake.as_ref().is_some_and(|wake| wake.send(()).is_ok());
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

/// Puts what is left of the log in its place, so that it begins anew with the next write. Whoever reads from it is
/// waited for, but not for long: a backup reads for minutes.
fn end(connection: &Connection) {
    let ended = connection
        .busy_timeout(END_WAIT)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())))
        .and(connection.busy_timeout(BUSY));
    if let Err(error) = ended {
        tracing::warn!(%error, "the log of writes could not be ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

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
        // Who reads from the log keeps it from beginning anew, and somebody always does.
        let stop = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (mut connection, stop) = (open(&path), stop.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let reading = connection.transaction().unwrap();
                        for _ in 0..20 {
                            let last = "SELECT max(n) FROM t";
                            reading.query_row(last, [], |row| row.get::<_, Option<i64>>(0)).unwrap();
                        }
                    }
                })
            })
            .collect();
        let rule = LogRule { gathers: 100, ends_at: 400 };
        let writer = Writer::start(connection, open(&path), rule).unwrap();
        let (tell, told) = mpsc::channel();
        const JOBS: usize = 5000;
        // How often it began anew (<https://sqlite.org/fileformat2.html#walformat>, the header's fourth number).
        let anew = || {
            let header = std::fs::read(dir.path().join("x.db-wal")).unwrap();
            header.get(12..16).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        };
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
        }
        // 15,000 pages were written. A reader whom the machine does not let finish makes it longer than the rule says.
        assert!(anew() >= 3, "{} times", anew());
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        drop(writer);
        drop(tell);
        assert_eq!(answered + told.iter().filter(|done| *done).count(), JOBS);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(left, ["x.db"], "no log is left beside it");
        let count: u32 = open(&path).query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(count), Ok(JOBS));
    }
}
