//! What becomes of a push.
//!
//! The chain is checked first; then each event is judged on its own ([`judge`]) against a snapshot of
//! the records that it touches, and all of it is written in one transaction that takes effect only
//! if the branch has not moved on since the snapshot. Two pushes of one branch therefore never
//! decide on the same state, and an event that waits for a record never misses its arrival.

mod chain;
mod judge;
mod work;

use crate::clock::now_ms;
use crate::error::{ServerError, StoreError};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::store::{Append, Appended, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use vereda_domain::api::{EventOutcome, EventResult, Push, Pushed, Receipt, Role};
use vereda_domain::event::ChainHead;
use vereda_domain::record::Rescore;
use vereda_domain::{BranchId, DeviceId, Millis, UserId};
use work::Work;

/// Who pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pusher {
    /// The user.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub branch: BranchId,
    /// Whose chain.
    pub device: DeviceId,
}

/// Why a push is refused as a whole. Nothing of it was stored.
#[derive(Debug)]
pub enum PushError {
    /// More events than one push may have.
    TooMany,
    /// An event is not even an object with the header that all versions share.
    Unreadable {
        /// Its place in the push.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// Events are missing before these, or they do not follow from each other.
    Gap {
        /// Where to go on.
        resume: ChainHead,
    },
    /// Another event is stored in this place: the chain forked.
    Fork {
        /// Which place.
        seq: u64,
        /// The end of the chain as stored.
        head: ChainHead,
    },
    /// The server failed.
    Server(ServerError),
}

impl From<ServerError> for PushError {
    fn from(error: ServerError) -> Self {
        PushError::Server(error)
    }
}

impl From<StoreError> for PushError {
    fn from(error: StoreError) -> Self {
        PushError::Server(error.into())
    }
}

/// How often a push is decided anew because another replica wrote to the branch first.
const MAX_ATTEMPTS: usize = 50;

/// Takes pushes in.
pub struct Sync {
    store: Arc<dyn Store>,
    models: Arc<Models>,
    metrics: Arc<Metrics>,
    /// Pushes of one branch take turns, so that they need not decide anew; correctness does not
    /// depend on it.
    turns: Mutex<HashMap<BranchId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Sync {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>, models: Arc<Models>, metrics: Arc<Metrics>) -> Sync {
        Sync { store, models, metrics, turns: Mutex::new(HashMap::new()) }
    }

    /// Stores a push and says what became of each event, once all of it is durable.
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn push(&self, pusher: Pusher, push: Push) -> Result<Pushed, PushError> {
        let drift_ms = push.device_ms.saturating_sub(now_ms());
        let incoming = chain::read(push)?;
        let keys = incoming.iter().flat_map(|event| event.touches()).collect::<Vec<_>>();
        let (first, last) = match (incoming.first(), incoming.last()) {
            (Some(first), Some(last)) => (first.header.seq, last.header.seq),
            _ => {
                let head = self.store.head(pusher.device).await?;
                return Ok(Pushed { results: Vec::new(), receipt: receipt(pusher.device, head, now_ms()) });
            }
        };
        let turn = self.turn(pusher.branch);
        let _turn = turn.lock().await;
        for _ in 0..MAX_ATTEMPTS {
            let snapshot =
                self.store.snapshot(pusher.branch, pusher.device, first, last, keys.clone()).await?;
            let mut results: Vec<EventResult> = chain::verify(&incoming, &snapshot)?
                .iter()
                .map(|event| EventResult { seq: event.seq, outcome: event.outcome.clone() })
                .collect();
            let known = results.len();
            let fresh = incoming.get(known..).unwrap_or_default();
            if fresh.is_empty() {
                return Ok(Pushed { results, receipt: receipt(pusher.device, snapshot.head, now_ms()) });
            }
            let (head, branch_seq) = (snapshot.head, snapshot.branch_seq);
            let mut work = Work::new(pusher, snapshot, &self.models);
            for event in fresh {
                work.take(event).await?;
            }
            let now = now_ms();
            let done = work.finish();
            let end = done.events.last().map_or(head, |e| ChainHead { seq: e.seq, hash: e.hash });
            results
                .extend(done.events.iter().map(|e| EventResult { seq: e.seq, outcome: e.outcome.clone() }));
            let counted = done.counted;
            let append = Append {
                branch: pusher.branch,
                branch_seq,
                device: pusher.device,
                head,
                events: done.events,
                settled: done.settled,
                records: done.records,
                reassigned: done.reassigned,
                history: done.history,
                now,
                drift_ms,
            };
            if self.store.append(append).await? == Appended::Done {
                let fresh = results.get(known..).unwrap_or_default();
                self.count(pusher, fresh, &counted, drift_ms);
                return Ok(Pushed { results, receipt: receipt(pusher.device, end, now) });
            }
        }
        Err(PushError::Server(ServerError::Store(StoreError::Busy)))
    }

    fn turn(&self, branch: BranchId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(branch).or_default().clone()
    }

    fn count(&self, pusher: Pusher, results: &[EventResult], scored: &[work::Counted], drift_ms: Millis) {
        for result in results {
            match &result.outcome {
                EventOutcome::Stored => self.metrics.event(None),
                EventOutcome::Quarantined { reason, detail } => {
                    self.metrics.event(Some(*reason));
                    tracing::warn!(device = %pusher.device, seq = result.seq, ?reason, detail, "event quarantined");
                }
            }
        }
        for score in scored {
            self.metrics.prediction("field", score.version, score.group, score.probability);
            match &score.rescore {
                Rescore::Same => {}
                Rescore::Different { .. } => {
                    self.metrics.rescore_mismatch(score.version);
                    tracing::warn!(device = %pusher.device, assessment = %score.id, "the score differs when computed again");
                }
                Rescore::Impossible { why } => {
                    tracing::warn!(device = %pusher.device, assessment = %score.id, why, "the score cannot be computed again");
                }
            }
        }
        if drift_ms.saturating_abs() > vereda_domain::hlc::MAX_DRIFT_MS {
            tracing::warn!(device = %pusher.device, drift_ms, "the device's clock is more than a day off");
        }
    }
}

fn receipt(device: DeviceId, head: ChainHead, at: Millis) -> Receipt {
    Receipt { device, seq: head.seq, hash: head.hash, at }
}
