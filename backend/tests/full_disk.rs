//! The server's disk is really full: a small file system in memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Server, captured, new_client, problem};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use vereda_domain::api::ProblemCode;

/// Takes the small file system away again, also when the test fails.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(kib: u32) -> Mounted {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "a small file system could not be mounted, so this fault cannot be tried: run this as root, in a \
             container with CAP_SYS_ADMIN ({})",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        Mounted(folder)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn fill(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("other");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_pushes_for_now_and_stores_all_of_each_or_nothing() {
    let disk = Mounted::new(8 * 1024);
    let data = disk.0.path().join("data");
    let server = Server::with(|config| {
        // PostgreSQL's disk is not this one.
        config.database.url = String::new();
        config.redis.url = String::new();
        config.data_dir = data;
    })
    .await;
    let mut officer = server.device("officer").await;
    let other = fill(disk.0.path());
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
