//! Bringing out, and erasing, what is kept about a client.
//!
//! An erasure takes effect in one transaction: records lose their bodies and go out as purges, scores lose their
//! client, files go. The texts of events lie along all chains; they are gone through afterwards, some thousand
//! at a time, from where it was left off, whoever does it. What arrives meanwhile is kept without its text.

use super::*;
use vereda_domain::api::{Erasure, QuarantineReason};
use vereda_domain::event::Stub;

/// Why an event about somebody who was erased is kept aside; what it was before may quote the event.
pub const ERASED_DETAIL: &str = "the data of this client was erased on request";

/// What is to be erased.
#[derive(Debug, Clone, Copy)]
pub struct Erase {
    /// Whose data.
    pub client: ClientId,
    /// Only if they are of this branch.
    pub branch: Option<BranchId>,
    /// Who does it.
    pub by: Doer,
    /// By the server's clock.
    pub now: Millis,
}

impl Erase {
    /// What is noted of it.
    pub(super) fn note(&self) -> Note {
        Note { by: self.by, at: self.now, deed: Deed::ClientErased { client: self.client } }
    }
}

/// Scores that are to lose the name that a service gave their client.
#[derive(Clone)]
pub struct RefToForget {
    /// Who asked for them.
    pub service: UserId,
    /// What they call the client.
    pub client_ref: String,
    /// Who does it.
    pub by: Doer,
    /// By the server's clock.
    pub now: Millis,
}

impl RefToForget {
    /// What is noted of it; the name itself is not.
    pub(super) fn note(&self, scores: u64) -> Note {
        Note { by: self.by, at: self.now, deed: Deed::ClientRefForgotten { user: self.service, scores } }
    }
}

/// How far the events have been gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swept {
    /// No erasure is left to finish.
    Nothing,
    /// One went on, and is not done.
    More,
    /// One is done.
    Done(Erasure),
}

/// Data about clients, and its end.
#[async_trait]
pub trait ErasureStore: Send + Sync {
    /// Every record about a client, the client's first; none if there is no such client, or not any more.
    async fn client_records(&self, client: ClientId) -> Result<Vec<Record>>;
    /// Erases a client; says of one who was erased before when that was. None if there is no such client.
    async fn erase(&self, erase: Erase) -> Result<Option<Erasure>>;
    /// Takes the client off scores that a service asked for. Gives how many.
    async fn forget_client_ref(&self, erase: RefToForget) -> Result<u64>;
    /// Who was erased, latest first.
    async fn erasures(&self, branch: Option<BranchId>, limit: u32) -> Result<Vec<Erasure>>;
    /// Goes through so many events more for the first erasure that is not done.
    async fn sweep(&self, events: u32, now: Millis) -> Result<Swept>;
}

/// A history entry without its client.
pub(super) fn nameless(body: &str) -> Result<String> {
    let mut entry: HistoryEntry = codec::from_json("history entry", body)?;
    (entry.client, entry.client_ref) = (None, None);
    codec::to_json("history entry", &entry)
}

/// What stays of an event, and of why it was put aside, which may quote it.
pub(super) fn remains(text: &str, hash: Hash, outcome: &str) -> Result<(String, String)> {
    let stub = Stub::in_place_of(text, hash).map_err(|e| StoreError::corrupt("event", e))?;
    let outcome = match codec::from_json("outcome", outcome)? {
        EventOutcome::Stored => EventOutcome::Stored,
        EventOutcome::Quarantined { .. } => {
            EventOutcome::Quarantined { reason: QuarantineReason::Erased, detail: ERASED_DETAIL.into() }
        }
    };
    Ok((stub, codec::to_json("outcome", &outcome)?))
}
