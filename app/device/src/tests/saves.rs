//! An answer is saved soon, whatever a sync writes at the same time.

use super::*;
use crate::store::remote;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};
use vereda_domain::ClientId;
use vereda_domain::api::{Change, Pulled};
use vereda_domain::record::Record;

const PAGES: u64 = 24;
const RECORDS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_for_one_page_of_a_large_pull_at_the_most() {
    let (device, session) = Device::ready().await;
    let made = device.app.create_client(new_client("Juan", "7")).await.unwrap();
    let record = session.store.read(|db| project_of(db, made.row.id)).unwrap();
    let pages: Vec<_> = (0..PAGES)
        .map(|page| {
            let changes = (0..RECORDS)
                .map(|n| {
                    let mut other = record.clone();
                    other.id = ClientId(Uuid::from_u128(u128::from(1 + page * RECORDS + n)));
                    Change::State { record: Record::Client(other) }
                })
                .collect();
            page_of(Pulled {
                changes,
                cursor: page + 1,
                more: true,
                end: 0,
                anew: false,
                next: None,
                remaining: None,
                server_ms: START,
            })
        })
        .collect();
    let draft = device.app.start_interview(ClientRequest { client: made.row.id }).await.unwrap().id;
    let (field, value) = answers(&scorecard()).into_iter().next().unwrap();

    // Back to back, without the pauses of a network between them.
    let (applied, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let pull = {
        let (session, applied, done) = (session.clone(), applied.clone(), done.clone());
        std::thread::spawn(move || {
            let identity = session.identity();
            let mut slowest = Duration::ZERO;
            for page in &pages {
                let begun = Instant::now();
                session.store.write(|db| remote::apply(db, &identity, &CHANGES, page, START)).unwrap();
                slowest = slowest.max(begun.elapsed());
                applied.fetch_add(1, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
            slowest
        })
    };
    let mut waits = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let (before, begun) = (applied.load(Ordering::SeqCst), Instant::now());
        let request = SaveFieldRequest { draft, field: field.clone(), value: Some(value.clone()) };
        device.app.save_field(request).await.unwrap();
        waits.push((applied.load(Ordering::SeqCst) - before, begun.elapsed()));
    }
    let slowest_page = pull.join().unwrap();
    waits.sort_unstable();
    let (pages, _) = waits[(waits.len() - 1) * 99 / 100];
    let longest = waits.iter().map(|wait| wait.1).max().unwrap();
    println!("{} saves; slowest {longest:?}; slowest page {slowest_page:?}", waits.len());
    assert!(waits.len() >= 8, "{} saves: they starved", waits.len());
    // The page that is being written, and one that may be over before this thread looks again.
    assert!(pages <= 2, "an answer waited for {pages} pages; {waits:?}");
    let client = session.store.read(|db| project_of(db, made.row.id)).unwrap();
    assert_eq!(client, record);
}

fn project_of(
    db: &rusqlite::Connection,
    client: ClientId,
) -> crate::error::Result<vereda_domain::record::ClientRecord> {
    Ok(crate::store::project::client(db, client)?.unwrap())
}
