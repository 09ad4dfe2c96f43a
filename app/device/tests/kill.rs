//! SIGKILL at any moment: everything that was acknowledged is there, and the chain goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::saving::Saving;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_being_killed() {
    let (mut saving, mut told) = Saving::begin().await;
    for round in 0..ROUNDS {
        let mut child = Command::new(Saving::program())
            .args(saving.arguments(told))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Another moment each round: after so many acknowledgements the next write is under way.
        for _ in 0..5 + 7 * round {
            told.note(&lines.next_line().await.unwrap().expect("the program ended by itself"));
        }
        child.start_kill().unwrap();
        // What it still said before it died counts too.
        while let Some(line) = lines.next_line().await.unwrap() {
            told.note(&line);
        }
        assert!(!child.wait().await.unwrap().success());
        let app = saving.unlocked(&saving.data(), told).await;
        told = saving.look(&app, told).await;
        app.lock().await.unwrap();
    }
    let app = saving.unlocked(&saving.data(), told).await;
    saving.delivers(&app, told).await;
}
