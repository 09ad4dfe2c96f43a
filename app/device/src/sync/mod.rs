//! The sync engine: one run at a time, by itself, for as long as the store is open.
//!
//! A run begins when the store is opened, soon after each captured event, when somebody asks, and
//! after a pause: short after a failure and doubling up to a minute, a minute when all is well. So
//! work leaves by itself soon after the network is back. Every run ends in a state that says what
//! happened; a failure changes nothing but that.
//!
//! A run asks the server who it is and what time it has, makes sure of a session, sends what waits
//! past what the server holds, takes the receipt, receives what changed, page by page, looks for a newer
//! model, and sends the pictures that the events named. Every step is idempotent, so a run may end anywhere.

pub(crate) mod branch;
pub(crate) mod files;
pub(crate) mod http;
mod model;
pub(crate) mod proof;
mod run;

use crate::error::{DeviceError, Result};
use crate::session::Session;
use crate::store::{log, meta};
use run::Stats;
pub(crate) use run::{PAGES, PageSizes};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use vereda_domain::gateway::{ErrorCode, SyncError, SyncLogEntry, SyncState};
use vereda_domain::hlc::MAX_DRIFT_MS;

/// Between two runs when all is well.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest pause after a failure that may pass by itself.
const LONGEST: Duration = Duration::from_secs(60);
/// After a failure that needs somebody.
const BLOCKED: Duration = Duration::from_secs(300);
/// Captured events gather so long before they are sent.
const GATHER: Duration = Duration::from_millis(300);

/// Runs for as long as its task lives.
pub(crate) async fn engine(session: Arc<Session>, mut requests: mpsc::Receiver<oneshot::Sender<()>>) {
    let mut failures = 0;
    let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
    loop {
        // Those who ask while a run goes on wait for the next one.
        while let Ok(request) = requests.try_recv() {
            waiting.push(request);
        }
        let result = one(&session, failures).await;
        failures = if result.is_ok() { 0 } else { failures + 1 };
        for request in waiting.drain(..) {
            // Nobody may be waiting any more.
            let _ = request.send(());
        }
        tokio::select! {
            () = tokio::time::sleep(pause(result.as_ref().err(), failures)) => {}
            () = session.wake.notified() => tokio::time::sleep(GATHER).await,
            request = requests.recv() => match request {
                Some(request) => waiting.push(request),
                None => return,
            },
        }
    }
}

/// How long to wait after so many failures in a row.
fn pause(error: Option<&DeviceError>, failures: u32) -> Duration {
    let pause = match error {
        None => PAUSE,
        Some(error) if error.is_temporary() || matches!(error, DeviceError::ForeignServer(_)) => {
            let doubled = Duration::from_secs(1) * 2u32.saturating_pow(failures.min(10));
            doubled.min(LONGEST)
        }
        Some(_) => BLOCKED,
    };
    let asked = match error {
        Some(DeviceError::Refused(problem)) => problem.retry_after_s.unwrap_or(0).min(600),
        _ => 0,
    };
    jitter(pause.max(Duration::from_secs(asked)))
}

/// Up to a fifth more, so that a branch whose network returns does not come all at once.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random numbers there is no jitter, and no harm.
    let _ = getrandom::fill(&mut byte);
    pause + pause.mul_f64(f64::from(byte[0]) / 255.0 / 5.0)
}

/// One run, with its traces: state, log, last error.
async fn one(session: &Arc<Session>, failures: u32) -> Result<()> {
    let begun = Instant::now();
    let mut stats = Stats::default();
    let result = run::run(session, &mut stats).await;
    let now = session.now();
    let next_try = || {
        let pause = pause(result.as_ref().err(), failures + 1);
        Some(now + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
    };
    let note = match &result {
        Err(error) => Some((error.code(), error.to_string())),
        Ok(()) => match (stats.drift_ms, stats.model_refused.take()) {
            (Some(drift_ms), _) if drift_ms.saturating_abs() > MAX_DRIFT_MS => {
                let error = DeviceError::ClockOff { drift_ms };
                Some((error.code(), error.to_string()))
            }
            (_, Some(why)) => {
                let error = DeviceError::ModelRefused(why);
                Some((error.code(), error.to_string()))
            }
            _ => None,
        },
    };
    let state = match &note {
        None | Some((ErrorCode::ModelRefused, _)) => SyncState::Idle,
        Some((ErrorCode::Unreachable, _)) => SyncState::Offline { next_try: next_try() },
        Some((code, _)) => SyncState::Blocked { code: *code },
    };
    match &note {
        None => tracing::info!(sent = stats.sent, received = stats.received, "synced"),
        Some((code, message)) => tracing::warn!(code = code.as_str(), message, "sync"),
    }
    let well = result.is_ok();
    let error = note.map(|(code, message)| SyncError { code, message: brief(&message), at: now });
    let took_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let entry = SyncLogEntry { at: now, took_ms, sent: stats.sent, received: stats.received, error };
    let kept = session
        .write(move |db| {
            log::add(db, &entry)?;
            if let Some(drift_ms) = stats.drift_ms {
                meta::set(db, &meta::DRIFT_MS, &drift_ms)?;
            }
            if well {
                meta::set(db, &meta::DONE_AT, &entry.at)?;
            }
            match &entry.error {
                Some(error) => meta::set(db, &meta::LAST_ERROR, error),
                None => meta::clear(db, &meta::LAST_ERROR),
            }
        })
        .await;
    if let Err(error) = kept.and(session.blocking(|session| session.count()).await) {
        tracing::error!(%error, "the sync log cannot be written");
    }
    session.board.update(|line| {
        line.state = state;
        if well {
            line.done_at = Some(now);
        }
    });
    session.board.bump();
    result
}

/// A message may quote the server's: it must not fill the log, nor forge a line of it.
fn brief(message: &str) -> String {
    const LONGEST: usize = 300;
    let line = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    if message.chars().count() <= LONGEST {
        line.collect()
    } else {
        line.take(LONGEST).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_stays_one_short_line() {
        assert_eq!(brief("chain broken"), "chain broken");
        let long = brief(&"x\n".repeat(10_000));
        assert!(long.chars().count() == 301 && !long.contains('\n'));
    }

    #[test]
    fn pauses_grow_from_seconds_to_a_minute_and_then_stay() {
        let offline = DeviceError::Unreachable("refused".into());
        let pauses: Vec<u64> = (1..=8).map(|n| pause(Some(&offline), n).as_secs()).collect();
        for (pause, least) in pauses.iter().zip([2, 4, 8, 16, 32, 60, 60, 60]) {
            assert!((least..=least * 6 / 5).contains(pause), "{pauses:?}");
        }
        assert!(pause(Some(&DeviceError::SessionExpired), 1) >= BLOCKED);
    }
}
