//! A table through several threads, with the results in the order of the table.

use crate::Error;
use crate::table::{Chunk, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Chunks that wait at each worker's door, before and after: what bounds memory.
const WAITING: usize = 2;

/// Gives every chunk of the table to `work`, on as many threads as are asked for, and every result to
/// `sink`, in the order of the table and on this thread. A bar shows how far it is, when a terminal
/// looks on. Memory does not depend on the size of the table.
///
/// # Errors
/// The first in the order of the table, of `work`, `sink` or reading.
pub fn run<T: Send>(
    table: Table,
    threads: Option<NonZeroUsize>,
    work: impl Fn(&Chunk) -> Result<T, Error> + Sync,
    mut sink: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let bar = bar(&table);
    let mut table = table;
    let read = table.bytes_read();
    let work = &work;
    let done = std::thread::scope(|scope| {
        let (mut doors, mut results) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (door, chunks) = sync_channel::<Chunk>(WAITING);
            let (result, finished) = sync_channel::<Result<T, Error>>(WAITING);
            doors.push(door);
            results.push(finished);
            scope.spawn(move || {
                for chunk in chunks {
                    if result.send(work(&chunk)).is_err() {
                        return;
                    }
                }
            });
        }
        // Chunks are dealt in turn and results collected in turn, which keeps their order.
        let reader = scope.spawn(move || -> Result<(), Error> {
            let mut turn = doors.iter().cycle();
            while let Some(chunk) = table.chunk()? {
                // A worker that is gone has been left behind by an error, which this thread need
                // not report.
                if turn.next().is_none_or(|door| door.send(chunk).is_err()) {
                    break;
                }
            }
            Ok(())
        });
        for finished in results.iter().cycle() {
            // No more from the one whose turn it is: no more at all.
            let Ok(result) = finished.recv() else { break };
            sink(result?)?;
            bar.set_position(read());
        }
        // A panic of a worker, which would look like the end of its chunks, ends the scope with a panic.
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    bar.finish_and_clear();
    done
}

fn bar(table: &Table) -> ProgressBar {
    // Draws nothing unless standard error is a terminal.
    let bar = match table.size() {
        Some(size) => ProgressBar::new(size),
        None => ProgressBar::no_length(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let template = match table.size() {
        Some(_) => "{bar:32} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}, {eta} to go",
        None => "{spinner} {decimal_bytes} in {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
