//! A network that loses answers: requests arrive, and what the server says does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use vereda_domain::gateway::*;

/// Passes everything on, and cuts the connection in place of some answers.
struct Network {
    url: String,
    lossy: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

impl Network {
    async fn before(server: SocketAddr) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (lossy, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let dice = Arc::new(AtomicU64::new(0x9e37_79b9_7f4a_7c15));
        let network = Network { url, lossy: lossy.clone(), lost: lost.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                let (lossy, lost, dice) = (lossy.clone(), lost.clone(), dice.clone());
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    tokio::spawn(async move {
                        let _ = copy(&mut from_client, &mut to_server).await;
                    });
                    let mut answer = vec![0; 64 * 1024];
                    while let Ok(length) = from_server.read(&mut answer).await
                        && length > 0
                    {
                        // Knuth's generator: the same losses in every run of the test.
                        let next = |dice: u64| Some(dice.wrapping_mul(6364136223846793005).wrapping_add(1));
                        let roll = dice.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap();
                        if lossy.load(Ordering::SeqCst) && (roll >> 33) % 4 == 0 {
                            lost.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                        if to_client.write_all(&answer[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        network
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_cost_time_and_nothing_else() {
    const ROUNDS: u64 = 8;
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let network = Network::before(server.running().api_addr).await;
    let mut ana = Device::new();
    ana.app.enrol(enrol(&network.url, "ana")).await.unwrap();
    ana.synced().await;
    network.lossy.store(true, Ordering::SeqCst);
    for round in 0..ROUNDS {
        // After a restart only the refresh token is left, and its answers are lost like all others.
        ana.restart().await;
        ana.unlock().await;
        let client = ana.new_client(&format!("Persona {round}"), &format!("{}", 100 + round)).await;
        ana.assess(client).await;
        let mut tries = 0;
        loop {
            let view = ana.app.sync_now().await.unwrap();
            match view.line.state {
                SyncState::Idle if view.line.waiting == 0 => break,
                SyncState::Blocked { code } => panic!("{code:?}: {:?}", view.last_error),
                _ => tries += 1,
            }
            assert!(tries < 200, "{view:#?}");
        }
    }
    let lost = network.lost.load(Ordering::SeqCst);
    assert!(lost > 10, "only {lost} answers were lost");
    network.lossy.store(false, Ordering::SeqCst);
    let view = ana.synced().await;
    assert_eq!((view.receipt.unwrap().seq, view.line.quarantined), (2 * ROUNDS, 0));
    // Everything arrived once.
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(u64::from(marta.portfolio().await.total), ROUNDS);
    let page = marta.app.review(ReviewRequest { limit: 200, ..Default::default() }).await.unwrap();
    assert_eq!(u64::from(page.total), ROUNDS);
    assert!(page.rows.iter().all(|row| !row.mismatch));
}
