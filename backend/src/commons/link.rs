//! In Redis, as long as it answers.

use super::{Bucket, Commons, Memory, Spent};
use crate::config;
use crate::error::ServerError;
use crate::metrics::Metrics;
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long after Redis was lost it is tried again, and again.
const RETRY: Duration = Duration::from_millis(250);
/// How long a link that nobody uses may be dead before it is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// The way to Redis, which a task of its own keeps open.
pub struct Link {
    client: Client,
    prefix: String,
    timeout: Duration,
    connection: Mutex<Option<MultiplexedConnection>>,
    up: AtomicBool,
    lost: Notify,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("up", &self.up).finish_non_exhaustive()
    }
}

impl Link {
    /// Opens the way, or begins to try: a server starts without Redis, too.
    ///
    /// # Errors
    /// [`ServerError::Config`] for an address that cannot be one.
    pub async fn open(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Arc<Link>, ServerError> {
        // The client's own words would repeat the address, which holds a password.
        let unusable = |_| ServerError::Config {
            what: "`redis.url` must be like redis://host:6379 or rediss://:password@host:6379".into(),
        };
        let link = Arc::new(Link {
            client: Client::open(config.url.as_str()).map_err(unusable)?,
            prefix: config.prefix.clone(),
            timeout: Duration::from_millis(config.timeout_ms),
            connection: Mutex::new(None),
            // So that a first failure is said, too.
            up: AtomicBool::new(true),
            lost: Notify::new(),
            metrics,
        });
        if let Err(error) = link.connect().await {
            link.lose(&error);
        }
        tokio::spawn(keep(Arc::downgrade(&link)));
        Ok(link)
    }

    async fn connect(&self) -> Result<(), RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout * 4))
            .set_response_timeout(Some(self.timeout));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        // One that is still loading its data accepts connections and refuses commands.
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        *self.slot() = Some(connection);
        self.metrics.redis(true);
        if !self.up.swap(true, Ordering::Relaxed) {
            tracing::info!("Redis answers again: replicas share their counts");
        }
        Ok(())
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, error: &RedisError) {
        *self.slot() = None;
        self.metrics.redis(false);
        if self.up.swap(false, Ordering::Relaxed) {
            tracing::warn!(kind = ?error.kind(), "Redis does not answer: this server counts for itself until it does");
        }
        self.lost.notify_one();
    }

    /// What Redis answers; nothing when it is lost.
    async fn ask<T: FromRedisValue>(&self, question: Question) -> Option<T> {
        let mut connection = self.slot().clone()?;
        let answer = match question {
            Question::One(cmd) => cmd.query_async(&mut connection).await,
            Question::All(pipe) => pipe.query_async(&mut connection).await,
        };
        answer.map_err(|error| self.lose(&error)).ok()
    }
}

/// [`Bucket`], where its key is: atomic, and by Redis's own clock. For each bucket it takes the gap and
/// the room, and answers whether a unit was taken and what is owed.
const SPEND: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {}
for i, key in ipairs(KEYS) do
  local gap, room = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = tonumber(redis.call('GET', key) or 0) or 0
  local owed = math.min(math.max(full - now, 0), room)
  if owed + gap > room then
    answer[2 * i - 1], answer[2 * i] = 0, owed
    break
  end
  owed = owed + gap
  redis.call('SET', key, string.format('%.0f', now + owed), 'PX', math.ceil(owed / 1000))
  answer[2 * i - 1], answer[2 * i] = 1, owed
end
return answer
";

enum Question {
    One(Cmd),
    All(Pipeline),
}

/// Opens the way again whenever it is lost, until nobody needs it.
async fn keep(link: Weak<Link>) {
    while let Some(link) = link.upgrade() {
        let present = link.slot().is_some();
        if present {
            link.ask::<()>(Question::One(redis::cmd("PING"))).await;
            let _ = tokio::time::timeout(LOOK, link.lost.notified()).await;
        } else if link.connect().await.is_err() {
            drop(link);
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// The commons of several servers, with a memory of this one's for when Redis is lost.
#[derive(Debug, Clone)]
pub struct Linked {
    link: Arc<Link>,
    memory: Memory,
}

impl Linked {
    /// Over this link.
    pub fn new(link: Arc<Link>, memory: Memory) -> Linked {
        Linked { link, memory }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.link.prefix)
    }
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Commons for Linked {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let mut get = redis::cmd("GET");
        get.arg(self.key(key));
        match self.link.ask::<Option<Vec<u8>>>(Question::One(get)).await {
            Some(answer) => answer,
            None => self.memory.get(key).await,
        }
    }

    async fn put(&self, key: &str, value: Vec<u8>, life: Duration) {
        let mut set = redis::cmd("SET");
        set.arg(self.key(key)).arg(&value).arg("PX").arg(millis(life));
        if self.link.ask::<()>(Question::One(set)).await.is_none() {
            self.memory.put(key, value, life).await;
        }
    }

    async fn raise(&self, key: &str, life: Duration) -> u32 {
        let mut both = redis::pipe();
        both.atomic().cmd("INCR").arg(self.key(key));
        both.cmd("PEXPIRE").arg(self.key(key)).arg(millis(life)).ignore();
        match self.link.ask::<(u32,)>(Question::All(both)).await {
            Some((count,)) => count,
            None => self.memory.raise(key, life).await,
        }
    }

    async fn spend(&self, buckets: &[Bucket]) -> Vec<Spent> {
        let mut run = redis::cmd("EVAL");
        run.arg(SPEND).arg(buckets.len());
        for bucket in buckets {
            run.arg(self.key(&bucket.key));
        }
        for bucket in buckets {
            run.arg(bucket.gap_us()).arg(bucket.room_us());
        }
        match self.link.ask::<Vec<u64>>(Question::One(run)).await {
            Some(flat) => {
                flat.chunks_exact(2).map(|of| Spent { taken: of[0] == 1, owed_us: of[1] }).collect()
            }
            None => self.memory.spend(buckets).await,
        }
    }

    async fn remove(&self, key: &str) {
        // From both: it may have been counted here while Redis was lost.
        self.memory.remove(key).await;
        let mut delete = redis::cmd("DEL");
        delete.arg(self.key(key));
        let _: Option<()> = self.link.ask(Question::One(delete)).await;
    }
}
