//! Two hundred seeds, a few at a time. One again: `cargo xtask sim --seed N`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 200;
const JOBS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_blocked_or_seen_differently() {
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..JOBS)
        .map(|_| {
            let next = next.clone();
            tokio::spawn(async move {
                let mut report = vereda_sim::Report::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= SEEDS {
                        return report;
                    }
                    match vereda_sim::run(seed).await {
                        Ok(more) => report += more,
                        Err(error) => panic!("seed {seed}: {error:#}"),
                    }
                }
            })
        })
        .collect();
    let mut sum = vereda_sim::Report::default();
    for worker in workers {
        sum += worker.await.unwrap();
    }
    println!("{sum}");
    // A simulation in which nothing happens proves nothing.
    assert!(sum.harmed > 1000 && sum.kills > 100 && sum.restarts > 50 && sum.quarantined > 50, "{sum}");
    assert!(sum.restores > 30, "{sum}");
    assert!(sum.slow > 500 && sum.full > 100 && sum.refused > 50 && sum.jumps > 50, "{sum}");
}
