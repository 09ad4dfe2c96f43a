//! In memory, bounded.

use super::Commons;
use async_trait::async_trait;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::time::{Duration, Instant};

/// The commons of one server.
#[derive(Debug, Clone)]
pub struct Memory {
    entries: Cache<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Vec<u8>,
    count: u32,
    life: Duration,
}

struct Life;

impl Expiry<String, Entry> for Life {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.life)
    }
}

impl Memory {
    /// With room for so many entries; beyond it, those go first that nobody asked for longest. Not those
    /// that were asked for least: a new counter would be one of them, and never rise.
    pub fn new(entries: u64) -> Memory {
        let room = Cache::builder().max_capacity(entries).eviction_policy(EvictionPolicy::lru());
        Memory { entries: room.expire_after(Life).build() }
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[async_trait]
impl Commons for Memory {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.get(key).map(|entry| entry.value)
    }

    async fn put(&self, key: &str, value: Vec<u8>, life: Duration) {
        self.entries.insert(key.to_owned(), Entry { value, count: 0, life });
    }

    async fn raise(&self, key: &str, life: Duration) -> u32 {
        let raised = self.entries.entry_by_ref(key).and_upsert_with(|known| {
            let count = known.map_or(0, |known| known.into_value().count).saturating_add(1);
            Entry { value: Vec::new(), count, life }
        });
        raised.into_value().count
    }

    async fn remove(&self, key: &str) {
        self.entries.invalidate(key);
    }
}
