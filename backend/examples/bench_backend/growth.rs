//! How many events are stored in a second, and whether it matters how many there are.

use crate::field::{self, Device, Worker};
use crate::process::{gigabytes, load};
use crate::program::Program;
use crate::{Failure, Options, Table, median};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use vereda_server::store::sqlite::SqliteStore;

/// Events in one push, and while the smaller store is made.
const BATCH: usize = 500;
const SMALL_BATCH: usize = 50;
/// Events of the smaller store.
const SMALL: u64 = 10_000;
/// Events of the device that is compared, before.
const OF_COMPARED: usize = 1000;
/// Events in a push that is compared, and changes in a pull.
const PROBE: usize = 100;
const PAGE: u32 = 500;
/// How often both stores are compared, by turns.
const PROBES: usize = 41;

/// A store, with the devices that wrote it.
struct Stored {
    folder: PathBuf,
    devices: Vec<Device>,
    /// Takes no part in the growth.
    compared: Device,
    events: u64,
}

/// Measures, and prints; the folder of the larger store.
pub async fn measure(options: &Options) -> Result<PathBuf, Failure> {
    let folder = options.work.join("field");
    let (devices, compared) = field::fill(&folder).await?;
    let server = Program::server(&options.server, &folder)?;
    let mut worker = Worker::new(compared, &folder)?;
    let batch = worker.events(OF_COMPARED)?;
    let events = u64::try_from(worker.push(&server.url(""), batch).await?)?;
    let mut large = Stored { devices, compared: worker.device(), folder, events };
    push_until(&server, &mut large, SMALL_BATCH, |events, _| events >= SMALL).await?;
    drop(server);
    let folder = options.work.join("field-small");
    copy(&large.folder, &folder)?;
    let small =
        Stored { folder, devices: Vec::new(), compared: large.compared.clone(), events: large.events };

    let table = Table::new(&["what", "measured", "load", "goal"]);
    let server = Program::server(&options.server, &large.folder)?;
    let before = large.events;
    let window = Duration::from_secs(options.push_seconds);
    let minutes = push_until(&server, &mut large, BATCH, move |_, begun| begun.elapsed() >= window).await?;
    let rate = (large.events - before) as f64 / minutes.took.as_secs_f64();
    let slowest = minutes.rates.iter().copied().fold(f64::INFINITY, f64::min);
    let measured = format!("{rate:.0} a second; {slowest:.0} in the slowest 10 s");
    let what = format!("durable events, pushed for {:.0} s by 8 devices at once", minutes.took.as_secs_f64());
    table.row(&[&what, &measured, &load(), "5,000"]);
    let (wanted, most) = (options.events, Duration::from_secs(options.grow_seconds));
    let enough = move |events, begun: Instant| events >= wanted || begun.elapsed() >= most;
    let grown = push_until(&server, &mut large, BATCH, enough).await?;
    drop(server);
    let size = gigabytes(&SqliteStore::file_in(&large.folder));
    let what = format!("(made, too: until there were {} events, {size:.1} GB)", large.events);
    let rate = grown.rates.last().copied().unwrap_or(f64::NAN);
    let measured = format!("{:.0} s; {rate:.0} a second in the end", grown.took.as_secs_f64());
    table.row(&[&what, &measured, &load(), ""]);
    compare(options, &table, &small, &large).await?;
    Ok(large.folder)
}

/// How pushing went.
struct Pushed {
    took: Duration,
    /// Events a second, in each 10 s.
    rates: Vec<f64>,
}

/// All devices push, each one batch after the other, until this says so of the number of events.
async fn push_until(
    server: &Program,
    stored: &mut Stored,
    batch: usize,
    enough: impl Fn(u64, Instant) -> bool + Send + Clone + 'static,
) -> Result<Pushed, Failure> {
    let begun = Instant::now();
    let events = Arc::new(AtomicU64::new(stored.events));
    let mut pushing = JoinSet::new();
    let address = server.url("");
    for device in stored.devices.drain(..) {
        let mut worker = Worker::new(device, &stored.folder)?;
        let (events, enough, address) = (events.clone(), enough.clone(), address.clone());
        pushing.spawn(async move {
            while !enough(events.load(Ordering::Relaxed), begun) {
                let next = worker.events(batch)?;
                let pushed = worker.push(&address, next).await?;
                events.fetch_add(u64::try_from(pushed)?, Ordering::Relaxed);
            }
            Ok::<_, Failure>(worker.device())
        });
    }
    let (mut rates, mut last) = (Vec::new(), (begun, stored.events));
    while !pushing.is_empty() {
        tokio::select! {
            Some(done) = pushing.join_next() => stored.devices.push(done??),
            () = tokio::time::sleep(Duration::from_secs(10)) => {
                let (now, there) = (Instant::now(), events.load(Ordering::Relaxed));
                rates.push((there - last.1) as f64 / (now - last.0).as_secs_f64());
                last = (now, there);
            }
        }
    }
    let took = begun.elapsed();
    stored.events = events.load(Ordering::Relaxed);
    if rates.is_empty() {
        rates.push((stored.events - last.1) as f64 / took.as_secs_f64());
    }
    Ok(Pushed { took, rates })
}

/// The same pushes and pulls on both stores, by turns, so that a machine that slows down slows both.
async fn compare(options: &Options, table: &Table, small: &Stored, large: &Stored) -> Result<(), Failure> {
    let mut both = Vec::new();
    for stored in [small, large] {
        let server = Program::server(&options.server, &stored.folder)?;
        both.push((server, Worker::new(stored.compared.clone(), &stored.folder)?));
    }
    let mut times: [[Vec<f64>; 2]; 2] = Default::default();
    for probe in 0..=PROBES {
        for (place, (server, worker)) in both.iter_mut().enumerate() {
            let (events, address) = (worker.events(PROBE)?, server.url(""));
            let begun = Instant::now();
            worker.push(&address, events).await?;
            let pushed = begun.elapsed();
            let begun = Instant::now();
            worker.pull(&address, PAGE).await?;
            let pulled = begun.elapsed();
            // The first ones fill caches.
            if probe > 0 {
                times[place][0].push(pushed.as_secs_f64() * 1e3);
                times[place][1].push(pulled.as_secs_f64() * 1e3);
            }
        }
    }
    let [small_times, large_times] = times.map(|kinds| kinds.map(median));
    let what = [format!("push of {PROBE} events"), format!("pull of {PAGE} changes")];
    for (kind, what) in what.iter().enumerate() {
        let (less, more) = (small_times[kind], large_times[kind]);
        let what = format!("{what}, with {} events stored and with {}", small.events, large.events);
        let measured = format!("{less:.2} ms and {more:.2} ms: {:.2} x", more / less);
        table.row(&[&what, &measured, &load(), "1.3 x"]);
    }
    Ok(())
}

/// A data folder whose server has stopped.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
