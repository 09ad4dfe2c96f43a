//! What replicas have in common: one contract, in memory, in Redis, and while Redis is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use vereda_server::commons::{Bucket, Commons, Link, Linked, Memory};
use vereda_server::config;
use vereda_server::metrics::Metrics;
use vereda_services::{Redis, free_port};

const LONG: Duration = Duration::from_secs(60);

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

async fn linked(url: String, metrics: Arc<Metrics>) -> Linked {
    let config = config::Redis { url, prefix: format!("{}:", Uuid::now_v7()), timeout_ms: 500 };
    Linked::new(Link::open(&config, metrics).await.unwrap(), Memory::new(1000))
}

fn shared() -> String {
    std::env::var("VEREDA_TEST_REDIS")
        .expect("VEREDA_TEST_REDIS must be the URL of a Redis; see `cargo xtask services`")
}

async fn until<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !check().await {
        assert!(Instant::now() < patience, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn in_memory() {
    contract(Arc::new(Memory::new(1000))).await;
}

#[tokio::test]
async fn in_redis() {
    let metrics = metrics();
    contract(Arc::new(linked(shared(), metrics.clone()).await)).await;
    assert!(metrics.render().contains("vereda_redis_up 1"));
}

#[tokio::test]
async fn while_redis_is_lost() {
    let metrics = metrics();
    let nobody = format!("redis://127.0.0.1:{}", free_port().unwrap());
    contract(Arc::new(linked(nobody, metrics.clone()).await)).await;
    assert!(metrics.render().contains("vereda_redis_up 0"));
}

async fn contract(commons: Arc<dyn Commons>) {
    assert_eq!(commons.get("a").await, None);
    commons.put("a", vec![0, 255, 1], LONG).await;
    assert_eq!(commons.get("a").await, Some(vec![0, 255, 1]));
    commons.put("a", Vec::new(), LONG).await;
    assert_eq!(commons.get("a").await, Some(Vec::new()));
    commons.remove("a").await;
    commons.remove("never there").await;
    assert_eq!(commons.get("a").await, None);
    for expected in 1..=3 {
        assert_eq!(commons.raise("n", LONG).await, expected);
    }
    assert_eq!(commons.raise("other", LONG).await, 1);
    commons.remove("n").await;
    assert_eq!(commons.raise("n", LONG).await, 1);
    // Nobody's count is lost when many count at once.
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let commons = commons.clone();
            tokio::spawn(async move { commons.raise("many", LONG).await })
        })
        .collect();
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=50).collect::<Vec<u32>>());
    // An allowance is used up to the unit by many at once, and fills again; whoever finds it empty takes
    // nothing from those behind it.
    let bucket = |key: &str, quota, window| Bucket { key: key.into(), quota, window };
    let spend = async |buckets: Vec<Bucket>| {
        let spent = commons.spend(&buckets).await;
        spent.iter().map(|spent| spent.taken).collect::<Vec<_>>()
    };
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (commons, pair) =
                (commons.clone(), [bucket("first", 20, LONG * 60), bucket("second", 30, LONG * 60)]);
            tokio::spawn(async move { commons.spend(&pair).await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        let spent = task.await.unwrap();
        assert_eq!(spent.len(), if spent[0].taken { 2 } else { 1 });
        taken += u32::from(spent[0].taken);
    }
    assert_eq!(taken, 20);
    let second = commons.spend(&[bucket("second", 30, LONG * 60)]).await[0];
    assert_eq!(bucket("second", 30, LONG * 60).left(second), 9);
    assert_eq!(spend(vec![bucket("first", 20, LONG * 60)]).await, [false]);
    let quick = || bucket("quick", 2, Duration::from_millis(60));
    until("an allowance is never used up", || async { spend(vec![quick()]).await == [false] }).await;
    until("an allowance does not fill again", || async { spend(vec![quick()]).await == [true] }).await;
    // A life ends, and raising a counter prolongs it. What lives longer tells that it has: to ask the counter itself would
    // prolong it each time.
    let (short, longer) = (Duration::from_millis(30), Duration::from_millis(60));
    commons.raise("brief", short).await;
    commons.raise("prolonged", short).await;
    commons.raise("prolonged", LONG).await;
    commons.put("short", vec![1], longer).await;
    until("a value outlives its life", || async { commons.get("short").await.is_none() }).await;
    assert_eq!(commons.raise("brief", LONG).await, 1, "a counter outlives its life");
    assert_eq!(commons.raise("prolonged", LONG).await, 3, "raising a counter does not prolong it");
}

#[test]
fn memory_is_bounded() {
    let memory = Memory::new(100);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for n in 0..5000 {
            memory.put(&format!("k{n}"), vec![0; 100], LONG).await;
        }
    });
    assert!(memory.len() <= 100, "{}", memory.len());
}

/// Whoever tries many names must not keep the newest wrong passwords from being counted: of least use is
/// what nobody has asked for longest, however often before.
#[test]
fn a_full_memory_still_counts_what_is_new() {
    let memory = Memory::new(100);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for n in 0..200 {
            for _ in 0..5 {
                memory.raise(&format!("flood{n}"), LONG).await;
            }
        }
        assert!(memory.len() <= 100, "{}", memory.len());
        for expected in 1..=5 {
            assert_eq!(memory.raise("ana", LONG).await, expected);
            // What is due is done: an entry that is to go is gone.
            assert!(memory.len() <= 100, "{}", memory.len());
        }
    });
}

#[tokio::test]
async fn replicas_share_what_is_counted_and_come_back_to_it() {
    let mut redis = Redis::start().unwrap();
    let config = config::Redis { url: redis.url(), prefix: "test:".into(), timeout_ms: 500 };
    let metrics = metrics();
    let open = async || {
        let link = Link::open(&config, metrics.clone()).await.unwrap();
        Linked::new(link, Memory::new(1000))
    };
    let (one, two) = (open().await, open().await);
    assert_eq!((one.raise("n", LONG).await, two.raise("n", LONG).await), (1, 2));
    one.put("a", vec![7], LONG).await;
    assert_eq!(two.get("a").await, Some(vec![7]));
    let two_an_hour = || [Bucket { key: "b".into(), quota: 2, window: LONG * 60 }];
    let taken = async |commons: &Linked| commons.spend(&two_an_hour()).await[0].taken;
    assert!(taken(&one).await && taken(&two).await && !taken(&one).await && !taken(&two).await);
    redis.kill();
    assert!(taken(&one).await && taken(&one).await && !taken(&one).await, "each has an allowance of its own");
    // Each counts for itself, at once and without an error.
    let began = Instant::now();
    assert_eq!((one.raise("n", LONG).await, two.raise("n", LONG).await), (1, 1));
    assert_eq!(one.raise("n", LONG).await, 2);
    assert_eq!(two.get("a").await, None);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(metrics.render().contains("vereda_redis_up 0"));
    redis.begin().unwrap();
    // By themselves, they count together again.
    one.put("back", vec![1], LONG).await;
    until("they do not come back to Redis", || async {
        one.put("back", vec![2], LONG).await;
        two.get("back").await == Some(vec![2])
    })
    .await;
    let first = one.raise("after", LONG).await;
    assert_eq!(two.raise("after", LONG).await, first + 1);
    assert!(metrics.render().contains("vereda_redis_up 1"));
}
