//! Runs the simulation under many seeds, a few at a time.

use clap::Parser;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use vereda_sim::Report;

#[derive(Parser)]
#[command(about = "Weeks in the field, by seed: nothing is lost, nothing twice, nothing blocked")]
struct Arguments {
    /// Just this one, to see a failure again.
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// How many at a time.
    #[arg(long, default_value_t = 4)]
    jobs: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (first, seeds) = arguments.seed.map_or((arguments.first, arguments.seeds), |seed| (seed, 1));
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(first));
    let sum = Arc::new(Mutex::new((Report::default(), Vec::new())));
    let workers: Vec<_> = (0..arguments.jobs.clamp(1, seeds.max(1)))
        .map(|_| {
            let (next, sum) = (next.clone(), sum.clone());
            tokio::spawn(async move {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + seeds {
                        return;
                    }
                    let result = vereda_sim::run(seed).await;
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(report) => sum.0 += report,
                        Err(error) => {
                            println!("seed {seed} failed: {error:#}");
                            sum.1.push(seed);
                        }
                    }
                    let done = seed + 1 - first;
                    if done.is_multiple_of(100) {
                        eprintln!("{done} seeds, {} failed, {:.0?}", sum.1.len(), begun.elapsed());
                    }
                }
            })
        })
        .collect();
    let mut broken = false;
    for worker in workers {
        broken |= worker.await.is_err();
    }
    let sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{seeds} seeds in {:.0?}: {}", begun.elapsed(), sum.0);
    println!("{} passed, {} failed", seeds - sum.1.len() as u64, sum.1.len());
    if sum.1.is_empty() && !broken { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
