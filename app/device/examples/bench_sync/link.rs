//! A network in between: a TCP proxy whose speed, delay and loss can be set while it runs.
//!
//! Loss is what TCP makes of it: a lost segment stalls its direction for one retransmission timeout
//! (the round trip and 200 ms, RFC 6298's lower bound as Linux has it).

use crate::Failure;
use crate::people::Random;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// What a segment carries, in bytes, and what its headers cost.
const SEGMENT: usize = 1448;
const HEADERS: u64 = 52;

/// A network's manners.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Bits a second, each way.
    pub bits_per_s: u64,
    /// There and back.
    pub round_trip: Duration,
    /// Of a hundred segments, so many are lost.
    pub loss_percent: u64,
}

/// The proxy.
pub struct Link {
    /// Where it listens.
    pub address: SocketAddr,
    manners: Arc<RwLock<Option<Manners>>>,
    carried: Arc<AtomicU64>,
}

impl Link {
    /// A link to this address, as fast as it can be at first.
    pub async fn to(server: SocketAddr) -> Result<Link, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let manners: Arc<RwLock<Option<Manners>>> = Arc::default();
        let carried: Arc<AtomicU64> = Arc::default();
        let (m, c) = (manners.clone(), carried.clone());
        tokio::spawn(async move {
            let mut seed = 0;
            while let Ok((near, _)) = listener.accept().await {
                let (m, c) = (m.clone(), c.clone());
                seed += 2;
                tokio::spawn(async move {
                    // Making a connection costs a round trip before anything is carried.
                    let wait = m.read().ok().and_then(|m| *m).map_or(Duration::ZERO, |m| m.round_trip);
                    tokio::time::sleep(wait).await;
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    c.fetch_add(3 * HEADERS, Ordering::Relaxed);
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    let ((nr, nw), (fr, fw)) = (near.into_split(), far.into_split());
                    tokio::spawn(carry(nr, fw, m.clone(), c.clone(), Random(seed)));
                    carry(fr, nw, m, c, Random(seed + 1)).await;
                });
            }
        });
        Ok(Link { address, manners, carried })
    }

    /// From now on.
    pub fn set(&self, manners: Option<Manners>) {
        if let Ok(mut now) = self.manners.write() {
            *now = manners;
        }
    }

    /// Bytes carried both ways, with their segments' headers.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    manners: Arc<RwLock<Option<Manners>>>,
    carried: Arc<AtomicU64>,
    mut random: Random,
) {
    // Segments with the time at which each arrives: sending goes on while they are on their way.
    let (queue, mut arrivals) = tokio::sync::mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let writing = tokio::spawn(async move {
        while let Some((at, bytes)) = arrivals.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut sent = Instant::now();
    let mut buffer = vec![0; SEGMENT];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        carried.fetch_add(length as u64 + HEADERS, Ordering::Relaxed);
        let now = manners.read().ok().and_then(|manners| *manners);
        let mut at = Instant::now();
        if let Some(manners) = now {
            let bits = (length as u64 + HEADERS) * 8;
            sent = sent.max(at) + Duration::from_secs_f64(bits as f64 / manners.bits_per_s as f64);
            while random.below(100) < manners.loss_percent {
                // Sent once more, after it was missed.
                carried.fetch_add(length as u64 + HEADERS, Ordering::Relaxed);
                sent += manners.round_trip + Duration::from_millis(200);
            }
            at = sent + manners.round_trip / 2;
        }
        if queue.send((at, buffer[..length].to_vec())).await.is_err() {
            break;
        }
    }
    drop(queue);
    let _ = writing.await;
}
