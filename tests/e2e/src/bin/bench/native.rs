//! The native half alone: the same commands on the same store, called without a page. In a process of
//! its own, since the app's store is open in one process at a time.

use crate::{Row, summary};
use anyhow::{Context as _, Result};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;
use tokio::process::Command;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::gateway::*;
use vereda_e2e::Desktop;
use vereda_e2e::steps::{ANSWERS, PIN};

/// What the transaction of a score adds to the log, about; a page of it is 4 KiB.
const WRITTEN: usize = 64 * 1024;

/// Runs [`measure`] on the store that the window has left.
pub async fn rows(desktop: &Desktop, data: &Path) -> Result<Vec<Row>> {
    let mut again = Command::new(std::env::current_exe()?);
    again.arg(data);
    desktop.adopt(&mut again);
    let done = again.output().await?;
    anyhow::ensure!(done.status.success(), "natively: {}", String::from_utf8_lossy(&done.stderr));
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// Measures, and prints the rows as JSON. The server is stopped, as in the field.
pub async fn measure(data: &Path) -> Result<()> {
    let app = App::open(AppConfig {
        data_dir: data.to_owned(),
        keystore: KeyStore::platform(),
        device_name: "bench".to_owned(),
        platform: std::env::consts::OS.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: WallClock::system(),
    });
    let user = app.status().await.map_err(refused)?.user.context("a user")?.id;
    app.unlock(UnlockRequest { user, pin: PIN.to_owned() }).await.map_err(refused)?;
    let page = PortfolioRequest { query: String::new(), offset: 0, limit: 200 };
    let clients = app.portfolio(page).await.map_err(refused)?.rows;
    let (mut saves, mut what_ifs, mut scores, mut views) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for client in clients {
        let draft = app.start_interview(ClientRequest { client: client.id }).await.map_err(refused)?.id;
        for (field, answer) in ANSWERS {
            let value = Some(serde_json::from_value(answer.value())?);
            let request = SaveFieldRequest { draft, field: (*field).to_owned(), value };
            let start = Instant::now();
            app.save_field(request).await.map_err(refused)?;
            saves.push(since(start));
        }
        let request = WhatIfRequest { base: WhatIfBase::Draft(draft), changes: Default::default() };
        let start = Instant::now();
        app.what_if(request).await.map_err(refused)?;
        what_ifs.push(since(start));
        let start = Instant::now();
        let assessment = app.score(DraftRequest { draft }).await.map_err(refused)?.assessment.id;
        scores.push(since(start));
        let start = Instant::now();
        app.assessment(AssessmentRequest { assessment }).await.map_err(refused)?;
        views.push(since(start));
    }
    let mut rows: Vec<Row> = Vec::new();
    rows.push(("natively: saving one answer durably".into(), summary(&mut saves)));
    rows.push(("natively: what-if (two reads and the evaluation)".into(), summary(&mut what_ifs)));
    rows.push(("natively: score, kept as an event, with its whole view".into(), summary(&mut scores)));
    rows.push(("natively: reading such a view again".into(), summary(&mut views)));
    rows.push((format!("this disk: {} KiB appended and synced", WRITTEN / 1024), summary(&mut disk(data)?)));
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}

/// What the disk takes to make an append durable, in milliseconds.
fn disk(folder: &Path) -> Result<Vec<f64>> {
    let mut file = tempfile::tempfile_in(folder)?;
    let bytes = vec![0x5a; WRITTEN];
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(since(start));
    }
    Ok(times)
}

fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn refused(refusal: GatewayError) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", refusal.code.as_str(), refusal.message)
}
