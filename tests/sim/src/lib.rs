//! A simulation of weeks in the field: real device cores and a real server in one process, joined by
//! a network that loses, repeats, delays and cuts, under clocks that jump and programs that die.
//!
//! One seed decides what everybody does and what happens to every message, so a failure can be seen
//! again: `cargo xtask sim --seed N`. What is not decided by it is how threads take turns.
//!
//! At the end the network heals, and the verdict is taken (see [`verdict`]).

pub mod intruder;
pub mod network;
pub mod server;
pub mod time;
pub mod verdict;
pub mod world;

use anyhow::{Context as _, Result};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where folders are in memory, on Linux.
const MEMORY: &str = "/dev/shm";
/// A smaller one, as containers have it, could fill up under the simulation.
const ENOUGH_BYTES: u64 = 1 << 30;

/// A folder of a simulated machine: in memory where there is room. The simulation kills programs, never
/// the power, so nothing here depends on what a disk still held in its cache.
pub(crate) fn folder() -> Result<tempfile::TempDir> {
    let free = rustix::fs::statvfs(MEMORY).map_or(0, |found| found.f_bavail * found.f_frsize);
    let made = if free >= ENOUGH_BYTES { tempfile::tempdir_in(MEMORY) } else { tempfile::tempdir() };
    made.context("a folder for a simulated machine")
}

/// What happened under one seed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Report {
    /// Things that people did on devices.
    pub actions: u64,
    /// Events that they left, all of which are on the server.
    pub events: u64,
    /// Requests that the network carried.
    pub requests: u64,
    /// Requests that came to harm on the way.
    pub harmed: u64,
    /// Devices that were killed and started again.
    pub kills: u64,
    /// Restarts of the server.
    pub restarts: u64,
    /// Times at which the server was set back to a backup.
    pub restores: u64,
    /// Requests that went over a slow link.
    pub slow: u64,
    /// Times at which a device's disk filled up.
    pub full: u64,
    /// Things that people could not do, or syncs that could not end, for want of room.
    pub refused: u64,
    /// Jumps of the server's clock.
    pub jumps: u64,
    /// Events that were quarantined, all of them the intruder's.
    pub quarantined: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.actions += other.actions;
        self.events += other.events;
        self.requests += other.requests;
        self.harmed += other.harmed;
        self.kills += other.kills;
        self.restarts += other.restarts;
        self.restores += other.restores;
        self.slow += other.slow;
        self.full += other.full;
        self.refused += other.refused;
        self.jumps += other.jumps;
        self.quarantined += other.quarantined;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} actions, {} events, {} requests of which {} came to harm and {} were slow, {} kills, {} restarts \
             of the server, {} times that it was set back to a backup, {} full disks with {} refusals, {} jumps of the server's clock, {} quarantined",
            self.actions,
            self.events,
            self.requests,
            self.harmed,
            self.slow,
            self.kills,
            self.restarts,
            self.restores,
            self.full,
            self.refused,
            self.jumps,
            self.quarantined
        )
    }
}

/// Lives through one seed.
///
/// # Errors
/// What was lost, doubled, blocked or seen differently.
pub async fn run(seed: u64) -> Result<Report> {
    // Threads of its own, on which the server has the world's clock.
    let world = tokio::task::spawn_blocking(move || {
        let time = time::Time::default();
        let clock: vereda_server::clock::simulated::Clock = {
            let time = time.clone();
            Arc::new(move || time.server_now())
        };
        vereda_server::clock::simulated::set(clock.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(move || vereda_server::clock::simulated::set(clock.clone()))
            .enable_all()
            .build()
            .context("a simulated world's threads")?;
        let report = runtime.block_on(live(seed, time));
        runtime.shutdown_timeout(Duration::from_secs(10));
        report
    });
    world.await.context("a simulated world")?
}

async fn live(seed: u64, time: time::Time) -> Result<Report> {
    let mut world = world::World::new(seed, time).await.context("setting up")?;
    world.live().await?;
    verdict::heal(&mut world).await?;
    let mut report = world.report();
    report.quarantined = verdict::check(&mut world).await?;
    world.end().await;
    Ok(report)
}
