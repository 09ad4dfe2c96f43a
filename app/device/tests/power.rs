//! The power goes at any moment of an officer's work: what was acknowledged was on the disk, whatever a disk may lose that was
//! not promised.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::PIN;
use common::saving::{Saving, Told};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use vereda_device::WallClock;
use vereda_device::doctor::Doctor;
use vereda_power::{Lost, Recording, record};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

/// `cargo xtask power` has it cut more often.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut() {
    let (cuts, seed) = (number("VEREDA_POWER_CUTS", 30), number("VEREDA_POWER_SEED", 1));
    println!("{cuts} cuts, seed {seed}");
    let mut saving = Saving::new().await;
    let (root, before) = (saving.folder.path().join("root"), saving.folder.path().join("before"));
    std::fs::create_dir(&before).unwrap();

    let log = saving.folder.path().join("recording");
    let mut child = tokio::process::Command::from(record(&Saving::program(), &log).unwrap())
        .args(saving.arguments(Told::default()))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Enough for the log of writes to go to its place and to begin anew.
    for line in 0..400 {
        lines.next_line().await.unwrap().expect("the program ended by itself");
        if line == 1 {
            saving.server.stop().await;
        }
    }
    // It ends when nobody listens.
    drop(lines);
    child.wait().await.unwrap();
    saving.read_keys();
    let recording = Recording::read(&log, &root, &before).unwrap();
    let told_at = |moment: usize| {
        let mut told = Told::default();
        String::from_utf8(recording.said(moment)).unwrap().lines().for_each(|line| told.note(line));
        told
    };

    // From where it has told of a client on.
    let mut moments = recording.moments();
    moments.retain(|moment| told_at(*moment).with.is_some());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sum = Lost::default();
    for cut in 0..cuts {
        // The last one at the end, from where it goes on.
        let moment =
            if cut + 1 < cuts { *random.choice(&moments).unwrap() } else { *moments.last().unwrap() };
        let told = told_at(moment);
        let folder = saving.folder.path().join(format!("cut-{cut}"));
        let lost = recording.cut(moment, &mut random, &folder).unwrap();
        println!("cut {cut} at {moment}, field {} and client {}: {lost:?}", told.field, told.client);
        sum.sectors += lost.sectors;
        sum.spared += lost.spared;
        sum.names += lost.names;

        let data = folder.join("data");
        // First who is asked for help, then the officer.
        let doctor = Doctor { data_dir: data.clone(), keystore: saving.keys(), clock: WallClock::system() };
        for report in doctor.examine(Some("ana"), Some(PIN)) {
            assert!(report.findings.is_empty() && report.inside.is_some(), "{report:?}");
        }
        let app = saving.unlocked(&data, told).await;
        let there = saving.look(&app, told).await;
        if cut + 1 == cuts {
            saving.delivers(&app, there).await;
        }
        app.lock().await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!("of {} moments, {cuts} cuts: {sum:?}", moments.len());
    assert!(sum.sectors > 0 && sum.spared > 0, "no cut took anything: {sum:?}");
}
