//! The device that holds few events of its own, and the same one when it holds many, by turns: a machine's own speed
//! wanders within minutes, by more than what is looked for.

use crate::device::Device;
use crate::part::Part;
use crate::people::Applicants;
use crate::server::Server;
use crate::{Failure, SEARCHES, Table, grow, offline, percentile};
use std::path::Path;
use std::time::{Duration, Instant};

/// Assessments made on an officer's other device.
const ELSEWHERE: u32 = 5000;
/// How often each has its turn.
const TURNS: u64 = 3;
/// The most that a ratio may be.
const FLAT: &str = "no more than 1.2 times";

/// What one turn of one of them took, in seconds, but for what happens in milliseconds.
struct Turn {
    pushed: f64,
    pulled: f64,
    /// Until a second device has everybody with their last assessment, and until it has all.
    again: f64,
    whole: f64,
    /// What the second device then had: assessments that were made since are records, too.
    records: u64,
    idle: [f64; 2],
    save: [f64; 2],
    search: [f64; 2],
}

/// One thing that is compared.
struct Row {
    what: &'static str,
    unit: &'static str,
    of: fn(&Turn) -> f64,
    goal: &'static str,
}

const ROWS: [Row; 10] = [
    Row { what: "10,000 offline assessments pushed", unit: "s", of: |t| t.pushed, goal: FLAT },
    Row { what: "5,000 assessments of another device pulled", unit: "s", of: |t| t.pulled, goal: FLAT },
    Row {
        what: "a second device, until everybody is there with their last assessment",
        unit: "s",
        of: |t| t.again,
        goal: FLAT,
    },
    Row {
        what: "a second device, until all its records are there",
        unit: "s",
        of: |t| t.whole,
        goal: "none",
    },
    Row { what: "idle sync, p50", unit: "ms", of: |t| t.idle[0], goal: FLAT },
    Row { what: "idle sync, p99", unit: "ms", of: |t| t.idle[1], goal: FLAT },
    Row { what: "saving a field, durable, p50", unit: "ms", of: |t| t.save[0], goal: FLAT },
    Row { what: "saving a field, durable, p99", unit: "ms", of: |t| t.save[1], goal: FLAT },
    Row { what: "search, p50", unit: "ms", of: |t| t.search[0], goal: FLAT },
    Row { what: "search, p99", unit: "ms", of: |t| t.search[1], goal: FLAT },
];

/// Lets the device grow, and compares it with a copy of what it was. Both servers have the same address in turn. The
/// smaller one begins each turn anew, or it would have grown by half in the end.
pub async fn by_turns(
    device: &Device,
    server: &mut Server,
    table: &Table,
    events: u64,
) -> Result<(), Failure> {
    let small_size = device.size().await?;
    device.asleep().await?;
    server.stop().await?;
    let kept = tempfile::tempdir()?;
    let (small_server, small) = (server.copied(&kept.path().join("then"))?, device.copied()?);
    server.go_on().await?;
    device.awake().await?;
    grow(device, events, table).await?;
    let large_size = device.size().await?;
    device.asleep().await?;
    server.stop().await?;

    let (mut smaller, mut larger) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let seed = 10 + turn;
        let mut again = small_server.copied(&kept.path().join("again"))?;
        smaller.push(one(&small.copied()?, &mut again, seed).await?);
        larger.push(one(device, server, seed).await?);
        eprintln!("turn {} of {TURNS}", turn + 1);
    }
    for Row { what, unit, of, goal } in ROWS {
        let [(least, small, most), (least_of_large, large, most_of_large)] =
            [&smaller, &larger].map(|turns| spread(turns.iter().map(of).collect()));
        table.row(
            &format!("{what}, with {small_size} and with {large_size}"),
            &format!(
                "{small:.2} {unit} ({least:.2} to {most:.2}), {large:.2} {unit} ({least_of_large:.2} to \
                 {most_of_large:.2}): {:.2} times",
                large / small
            ),
            goal,
        );
    }
    let records = [&smaller, &larger].map(|turns| turns.first().map_or(0, |turn| turn.records));
    table.row("records of that second device", &format!("{} and {}", records[0], records[1]), "");
    server.go_on().await?;
    device.awake().await
}

/// A second device of the same officer, alone: over the server's data as they were and as they are once the first one
/// has grown, by turns. Both are kept beside `data`, and used again.
pub async fn second_device(
    device: &Device,
    server: &mut Server,
    data: &Path,
    table: &Table,
    events: u64,
) -> Result<(), Failure> {
    let [few, many] = ["few", "many"].map(|name| data.with_extension(name));
    if !many.exists() {
        server.stop().await?;
        server.copied(&few)?;
        server.go_on().await?;
        grow(device, events, table).await?;
        server.stop().await?;
        server.copied(&many)?;
    }
    server.stop().await?;
    for turn in 0..TURNS {
        for name in ["few", "many"] {
            let mut over = server.over(&data.with_extension(name));
            over.go_on().await?;
            let device = Device::enrolled(&over.url(), "ana").await?;
            let part = Part::begin(&format!("second-{name}-{turn}"), &over)?;
            device.portfolio().await?;
            let spent = part.end()?;
            device.asleep().await?;
            over.stop().await?;
            table.row(&format!("a second device, {name}"), &spent.to_string(), FLAT);
        }
    }
    Ok(())
}

/// The least, the median and the most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// One turn. Both are asleep before it, and after it.
async fn one(device: &Device, server: &mut Server, seed: u64) -> Result<Turn, Failure> {
    server.go_on().await?;
    device.awake().await?;
    device.synced().await?;
    let (pushed, _) = offline(device, server, seed).await?;
    device.synced().await?;

    // The same officer's second device: what it adds, the first one pulls.
    let begun = Instant::now();
    let second = Device::enrolled(&server.url(), "ana").await?;
    second.portfolio().await?;
    let again = begun.elapsed();
    second.synced().await?;
    let whole = begun.elapsed();
    let records = second.app.records().await?;
    let mut applicants = Applicants::new(100 + seed)?;
    let clients = second.clients(ELSEWHERE).await?;
    let bodies = clients.iter().map(|client| applicants.assessed(*client)).collect::<Result<_, _>>()?;
    second.app.capture_many(bodies).await?;
    second.synced().await?;
    second.asleep().await?;
    let begun = Instant::now();
    device.synced().await?;
    let pulled = begun.elapsed();

    let ends = |times: Vec<Duration>| [percentile(&times, 50), percentile(&times, 99)];
    let idle = ends(device.times(300, async |_| device.synced().await).await?);
    let client = device.first_client().await?;
    let draft = device.draft(client).await?;
    let save = ends(device.times(2000, async |n| device.save(draft, n).await).await?);
    device.discard(draft).await?;
    let search = ends(device.times(SEARCHES, async |n| device.search(n).await).await?);
    device.asleep().await?;
    server.stop().await?;
    let [pushed, pulled, again, whole] = [pushed, pulled, again, whole].map(|took| took.as_secs_f64());
    Ok(Turn { pushed, pulled, again, whole, records, idle, save, search })
}
