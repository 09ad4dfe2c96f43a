//! Many devices at the same moment, each as a device that comes back from the field: it renews its
//! session, asks for its head, pushes ten events and pulls.

use crate::chain::Chain;
use crate::device::memory;
use crate::people::Applicants;
use crate::seed::crowd;
use crate::server::Server;
use crate::{Failure, Table};
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use vereda_domain::ClientId;
use vereda_domain::api::{EventOutcome, Push, Pushed, Refresh, Session};
use vereda_domain::event::ChainHead;

/// All at once; every error ends the measurement.
pub async fn at_once(table: &Table, server: &Server, size: u32) -> Result<(), Failure> {
    let pid = server.pid()?;
    let before = memory(&pid, "VmRSS")?;
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").ok();
    let gate = Arc::new(Barrier::new(size as usize + 1));
    // One client's pool: each request in flight has a connection of its own.
    let http = Client::new();
    let mut devices = JoinSet::new();
    for n in 0..size {
        let (url, gate) = (server.url(), gate.clone());
        devices.spawn(one(n, url, http.clone(), gate));
    }
    gate.wait().await;
    let begun = Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    while let Some(done) = devices.join_next().await {
        done??;
        slowest = begun.elapsed();
    }
    let peak = memory(&pid, "VmHWM")?;
    table.row(
        &format!("{size} devices at once: session, head, push of 10 events, pull"),
        &format!(
            "no error, the last done after {:.1} s; the server {before} MB before, {peak} MB at most",
            slowest.as_secs_f64()
        ),
        "no error, bounded memory",
    );
    Ok(())
}

async fn one(n: u32, url: String, http: Client, gate: Arc<Barrier>) -> Result<(), Failure> {
    let (token, device) = crowd(n);
    let mut applicants = Applicants::new(u64::from(n))?;
    gate.wait().await;
    let refresh = http.post(format!("{url}/api/auth/refresh")).json(&Refresh { refresh_token: token });
    let session: Session = answer(refresh).await?;
    let token = session.access_token;
    let head: ChainHead = answer(http.get(format!("{url}/api/sync/head")).bearer_auth(&token)).await?;
    if head != ChainHead::EMPTY {
        return Err("the device has a chain already".into());
    }
    let branch = session.user.branch.ok_or("no branch")?.id;
    let mut chain = Chain::new(device, session.user.id, branch);
    let at = vereda_server::clock::now_ms();
    let mut events = Vec::new();
    for _ in 0..5 {
        let client = ClientId(uuid::Uuid::now_v7());
        events.push(chain.next(at, applicants.captured(client, at))?);
        events.push(chain.next(at, applicants.assessed(client)?)?);
    }
    let push = Push { events, device_ms: at };
    let push = http.post(format!("{url}/api/sync/push")).bearer_auth(&token).json(&push);
    let pushed: Pushed = answer(push).await?;
    if pushed.results.iter().any(|result| result.outcome != EventOutcome::Stored) {
        return Err("an event was not stored".into());
    }
    let pull = http.get(format!("{url}/api/sync/pull?cursor=0&limit=50")).bearer_auth(&token);
    answer::<serde::de::IgnoredAny>(pull).await?;
    Ok(())
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    let response = request.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    if !status.is_success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body)?)
}
