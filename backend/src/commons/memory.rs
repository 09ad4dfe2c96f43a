//! In memory, bounded.

use super::{Bucket, Commons, Spent};
use async_trait::async_trait;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::time::{Duration, Instant};

/// The commons of one server.
#[derive(Debug, Clone)]
pub struct Memory {
    entries: Cache<String, Entry>,
    began: Instant,
}

#[derive(Debug, Clone)]
struct Entry {
    what: What,
    life: Duration,
}

#[derive(Debug, Clone)]
enum What {
    Value(Vec<u8>),
    Count(u32),
    /// When a bucket is full again, in microseconds since the memory began.
    FullAt(u64),
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
        Memory { entries: room.expire_after(Life).build(), began: Instant::now() }
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
        match self.entries.get(key)?.what {
            What::Value(value) => Some(value),
            What::Count(_) | What::FullAt(_) => None,
        }
    }

    async fn put(&self, key: &str, value: Vec<u8>, life: Duration) {
        self.entries.insert(key.to_owned(), Entry { what: What::Value(value), life });
    }

    async fn raise(&self, key: &str, life: Duration) -> u32 {
        let mut raised = 0;
        self.entries.entry_by_ref(key).and_upsert_with(|known| {
            raised = match known.map(|known| known.into_value().what) {
                Some(What::Count(count)) => count.saturating_add(1),
                _ => 1,
            };
            Entry { what: What::Count(raised), life }
        });
        raised
    }

    async fn spend(&self, buckets: &[Bucket]) -> Vec<Spent> {
        let mut all = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let mut spent = Spent { taken: false, owed_us: 0 };
            self.entries.entry_by_ref(bucket.key.as_str()).and_upsert_with(|known| {
                let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
                let full_at = match known.map(|known| known.into_value().what) {
                    Some(What::FullAt(at)) => at,
                    _ => 0,
                };
                spent = bucket.spend(full_at.saturating_sub(now));
                let life = Duration::from_micros(spent.owed_us);
                Entry { what: What::FullAt(now.saturating_add(spent.owed_us)), life }
            });
            all.push(spent);
            if !spent.taken {
                break;
            }
        }
        all
    }

    async fn remove(&self, key: &str) {
        self.entries.invalidate(key);
    }
}
