//! How fast and how flat store and sync are: `cargo xtask bench sync` runs it, docs/BENCHMARKS-SYNC.md
//! holds what it prints. A real server process, this process as the device, the loopback.
//!
//! Arguments: the server's program, a working folder, how many clients, how many events in the end; then,
//! for one part alone, `pull`, `push`, `search` or `second`. A folder that was filled before is used again. With
//! `BENCH_SYNC_PERF` naming a folder, `perf` puts the profiles of both processes there.

mod chain;
mod crowd;
mod device;
mod link;
mod part;
mod people;
mod seed;
mod server;
mod turns;

use device::Device;
use part::Part;
use people::Applicants;
use server::Server;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use turns::by_turns;
use vereda_domain::ClientId;

/// Anything ends the measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Devices that come at once.
const CROWD: u32 = 2000;
/// Assessments made without a network.
const OFFLINE: usize = 10_000;
/// Searches that are timed.
const SEARCHES: u64 = 1000;
/// Of so many events one is an assessment while a store grows; the others are edits.
const ASSESSED: usize = 10;

/// The model of all assessments.
fn bundle() -> Result<Vec<u8>, Failure> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(std::fs::read(path.join("../../models/bundles/reference-scorecard-1.json"))?)
}

/// The table's rows, printed as they come.
struct Table;

impl Table {
    fn new() -> Table {
        println!("| what | measured | goal |\n| --- | --- | --- |");
        Table
    }

    fn row(&self, what: &str, measured: &str, goal: &str) {
        println!("| {what} | {measured} | {goal} |");
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, work, clients, events, only @ ..] = arguments.as_slice() else {
        return Err("the server's program, a folder, the number of clients and of events".into());
    };
    let only = only.first().map(String::as_str);
    let (clients, events): (u32, u64) = (clients.parse()?, events.parse()?);
    let work = PathBuf::from(work);
    let data = work.join(format!("server-{clients}"));
    if std::env::var_os("BENCH_SYNC_SEED").is_some() {
        return seed::fill(&data, clients, CROWD).await;
    }
    std::fs::create_dir_all(&work)?;
    let filled = data.join("filled");
    if !filled.exists() {
        // In a process of its own: this one's memory is measured.
        let begun = Instant::now();
        let seeding = std::process::Command::new(std::env::current_exe()?)
            .args(&arguments)
            .env("BENCH_SYNC_SEED", "1")
            .status()?;
        if !seeding.success() {
            return Err("the server's data could not be made".into());
        }
        std::fs::write(&filled, "")?;
        eprintln!("server filled in {:.1} s", begun.elapsed().as_secs_f64());
    }

    let table = Table::new();
    let mut server = Server::start(program.into(), &data).await?;
    let ana = first_pull(&table, &server, clients).await?;
    match only {
        None => {}
        Some("pull") => return server.stop().await,
        Some("push") => {
            for seed in 2..5 {
                let (_, part) = offline(&ana, &mut server, seed).await?;
                table.row(&format!("{OFFLINE} offline assessments pushed"), &part.to_string(), "2 s");
                ana.synced().await?;
            }
            return server.stop().await;
        }
        Some("search") => {
            for name in ["search", "search-later"] {
                let part = Part::begin(name, &server)?;
                let search = ana.times(SEARCHES, async |n| ana.search(n).await).await?;
                let spent = part.end()?;
                let (p50, p99) = (percentile(&search, 50), percentile(&search, 99));
                table.row(
                    &format!("search, {}", ana.size().await?),
                    &format!("p50 {p50:.2} ms, p99 {p99:.2} ms, {spent}"),
                    "",
                );
                grow(&ana, events, &table).await?;
            }
            return server.stop().await;
        }
        Some("second") => return turns::second_device(&ana, &mut server, &data, &table, events).await,
        Some(other) => return Err(format!("there is no part {other}").into()),
    }
    let (pushed, part) = offline(&ana, &mut server, 2).await?;
    let pushed = pushed.as_secs_f64();
    table.row(
        &format!("{OFFLINE} offline assessments pushed"),
        &format!("{pushed:.2} s, {:.0} events/s; the whole run {part}", OFFLINE as f64 / pushed),
        "2 s, 5,000 events/s",
    );
    ana.synced().await?;
    by_turns(&ana, &mut server, &table, events).await?;
    drop(ana);
    slow_link(&table, &server).await?;
    crowd::at_once(&table, &server, CROWD).await?;
    server.stop().await
}

async fn first_pull(table: &Table, server: &Server, clients: u32) -> Result<Device, Failure> {
    let device = Device::enrolled(&server.url(), "ana").await?;
    device::forget_peak();
    let part = Part::begin("pull", server)?;
    device.synced().await?;
    let part = part.end()?;
    let peak = device::memory("self", "VmHWM")?;
    table.row(
        &format!("first pull of {clients} clients with their last assessment"),
        &format!("{part}, at most {peak} MB resident"),
        "10 s, 150 MB",
    );
    Ok(device)
}

/// The value below which so many of a hundred lie, of sorted times, in milliseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    times
        .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
        .map_or(0.0, |t| t.as_secs_f64() * 1e3)
}

/// Captures without a network and pushes: until everything is acknowledged, and what the run took.
async fn offline(
    device: &Device,
    server: &mut Server,
    seed: u64,
) -> Result<(Duration, part::Spent), Failure> {
    let clients = device.clients(200).await?;
    server.stop().await?;
    let mut applicants = Applicants::new(seed)?;
    for chunk in 0..OFFLINE / 500 {
        let bodies = (0..500)
            .map(|n| applicants.assessed(clients[(chunk * 500 + n) % clients.len()]))
            .collect::<Result<_, _>>()?;
        device.app.capture_many(bodies).await?;
    }
    server.go_on().await?;
    let part = Part::begin("push", server)?;
    let (acknowledged, _) = device.delivered().await?;
    let spent = part.end()?;
    eprintln!("acknowledged after {:.2} s", acknowledged.as_secs_f64());
    Ok((acknowledged, spent))
}

/// More events about the same clients, edits and assessments, all of them delivered.
async fn grow(device: &Device, events: u64, table: &Table) -> Result<(), Failure> {
    let clients: Vec<ClientId> = device.clients(u32::MAX).await?;
    let mut applicants = Applicants::new(4)?;
    let begun = Instant::now();
    let mut n = 0;
    loop {
        let missing = events.saturating_sub(device.app.chain_size().await?.1);
        if missing == 0 {
            break;
        }
        let mut bodies = Vec::new();
        for _ in 0..missing.min(2000) {
            // Neighbours in the portfolio are not edited one after the other.
            let client = clients[n * 7919 % clients.len()];
            bodies.push(if n % ASSESSED == 0 {
                applicants.assessed(client)?
            } else {
                applicants.edited(client)
            });
            n += 1;
        }
        device.app.capture_many(bodies).await?;
    }
    device.synced().await?;
    let took = begun.elapsed().as_secs_f64();
    table.row(&format!("(made and delivered: {})", device.size().await?), &format!("{took:.0} s"), "");
    Ok(())
}

async fn slow_link(table: &Table, server: &Server) -> Result<(), Failure> {
    let link = link::Link::to(server.address()).await?;
    let device = Device::enrolled(&format!("http://{}", link.address), "luis").await?;
    device.synced().await?;
    let before = link.carried();
    device.synced().await?;
    let bytes = link.carried() - before;
    table.row("an idle sync on the wire", &format!("{bytes} bytes"), "1,000 bytes");
    let mut applicants = Applicants::new(5)?;
    let clients: Vec<ClientId> = (0..50).map(|_| ClientId(uuid::Uuid::now_v7())).collect();
    let at = vereda_server::clock::now_ms();
    let captured = clients.iter().map(|client| applicants.captured(*client, at)).collect();
    device.app.capture_many(captured).await?;
    device.synced().await?;
    link.set(Some(link::Manners {
        bits_per_s: 50_000,
        round_trip: Duration::from_millis(800),
        loss_percent: 5,
    }));
    let before = link.carried();
    let bodies = clients.iter().map(|client| applicants.assessed(*client)).collect::<Result<_, _>>()?;
    device.app.capture_many(bodies).await?;
    let (acknowledged, _) = device.delivered().await?;
    let bytes = (link.carried() - before) / clients.len() as u64;
    table.row(
        "50 varied assessments over 50 kbit/s, 800 ms there and back, 5 % loss",
        &format!("{:.1} s until acknowledged, {bytes} bytes each on the wire", acknowledged.as_secs_f64()),
        "60 s, 1,000 bytes each",
    );
    Ok(())
}
