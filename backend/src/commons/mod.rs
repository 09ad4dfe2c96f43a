//! What replicas have in common for a while: remembered scores, counts of wrong passwords, and how many
//! requests somebody may still make.
//!
//! In Redis when one is configured, else in memory; nothing here is the only copy of anything. When
//! Redis is lost, each replica goes on in its own memory, says so once in the log and in a metric,
//! and goes back to Redis by itself. Revocations are not here: PostgreSQL is asked at every request,
//! so they hold on every replica at once, whatever becomes of Redis; a server on SQLite is alone, and forgets what it
//! knew of people with whatever it writes about them (`store/sqlite/known.rs`).

mod bucket;
mod link;
mod memory;

pub use bucket::{Bucket, Spent};
pub use link::{Link, Linked};
pub use memory::Memory;

use async_trait::async_trait;
use std::time::Duration;

/// Values with a lifetime, by key. Never fails: what is lost is as if it had never been there.
#[async_trait]
pub trait Commons: Send + Sync {
    /// A value, if it is still alive.
    async fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Puts a value there for so long.
    async fn put(&self, key: &str, value: Vec<u8>, life: Duration);
    /// Adds one to a counter, which lives so long after that; the new count.
    async fn raise(&self, key: &str, life: Duration) -> u32;
    /// Takes a unit from each of these in turn, until one has none; what came of each that was asked.
    async fn spend(&self, buckets: &[Bucket]) -> Vec<Spent>;
    /// Forgets a value or a counter.
    async fn remove(&self, key: &str);
}
