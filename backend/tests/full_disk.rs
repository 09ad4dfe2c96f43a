//! The server's disk is really full: a small file system in memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Server, captured, new_client, problem};
use vereda_domain::api::ProblemCode;
use vereda_services::disk::{SmallDisk, again_as_root};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_pushes_for_now_and_stores_all_of_each_or_nothing() {
    if again_as_root("a_full_disk_refuses_pushes_for_now_and_stores_all_of_each_or_nothing").unwrap() {
        return;
    }
    let disk = SmallDisk::new(8 * 1024).unwrap();
    let data = disk.path().join("data");
    let server = Server::with(|config| {
        // PostgreSQL's disk is not this one.
        config.database.url = String::new();
        config.redis.url = String::new();
        config.data_dir = data;
    })
    .await;
    let mut officer = server.device("officer").await;
    let other = disk.fill().unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        assert!(stored.len() < 5000, "it never fills up");
        let before = officer.head;
        let push: Vec<_> =
            (0..20).map(|n| officer.event(captured(new_client(), &format!("Persona {n}")))).collect();
        let texts: Vec<&str> = push.iter().map(|event| event.text.as_str()).collect();
        let response = officer.send(&texts).await;
        if response.status() != 200 {
            officer.head = before;
            break response;
        }
        stored.extend(push);
    };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"), "{:?}", refused.headers());
    assert_eq!(problem(refused).await.code, ProblemCode::Unavailable);
    // What it read it can still read, and half a push is not in it.
    let head: vereda_domain::event::ChainHead =
        officer.caller.get("/api/sync/head").await.json().await.unwrap();
    assert_eq!(head, officer.head, "all of a push, or nothing");
    assert_eq!(head.seq, stored.len() as u64);

    std::fs::remove_file(other).unwrap();
    let last = officer.event(captured(new_client(), "Persona Última"));
    officer.push(&[&last]).await;
    assert_eq!(officer.pull().await.len(), stored.len() + 1);
}
