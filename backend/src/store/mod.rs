//! What the server keeps, as one trait per aggregate. Every method is one transaction.
//!
//! The traits know rows and sequences, not rules: what an event means, who may do what and what a
//! score should be is decided above them, so a second database has only storage to get right. The
//! suite in `tests/store_contract.rs` says what an implementation must hold.

mod audit;
mod codec;
mod erasure;
mod files;
pub mod insight;
mod people;
mod portfolio;
pub mod postgres;
mod rotation;
pub mod sqlite;
mod sync;

pub use audit::*;
pub use erasure::*;
pub use files::*;
pub use insight::*;
pub use people::*;
pub use portfolio::*;
pub use sync::*;

use crate::error::StoreError;
use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use vereda_domain::api::{
    BranchInfo, Change, Colleague, Deed, Device, DeviceInfo, Doer, EventOutcome, HistoryEntry, ModelManifest,
    Quarantined, Role, Scope, Secret, Thumbprint,
};
use vereda_domain::event::{ChainHead, Hash};
use vereda_domain::record::{ClientRecord, Rank, Record, RecordKey};
use vereda_domain::{AssessmentId, BranchId, ClientId, DeviceId, Millis, SecretId, UserId};
use vereda_scoring::bundle::Group;

/// What a store's methods give.
pub type Result<T> = std::result::Result<T, StoreError>;

/// All that the server keeps.
pub trait Store:
    AuditStore + PeopleStore + SyncStore + FileStore + ModelStore + HistoryStore + InsightStore + ErasureStore
{
    /// How busy the ways to the database are.
    fn saturation(&self) -> Saturation;
}

/// How busy the ways to the database are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saturation {
    /// Connections there are at most.
    pub connections: usize,
    /// Those in use.
    pub in_use: usize,
    /// Requests that wait for one, or for their turn to write.
    pub waiting: usize,
}

/// A bundle to be published.
#[derive(Debug, Clone)]
pub struct NewModel {
    /// What is said about it.
    pub manifest: ModelManifest,
    /// Exactly as published.
    pub bytes: Vec<u8>,
    /// Who publishes it.
    pub by: Doer,
}

impl NewModel {
    /// What is noted of it.
    pub(crate) fn note(&self) -> Note {
        let ModelManifest { id, version, sha256, published_at, .. } = self.manifest.clone();
        Note { by: self.by, at: published_at, deed: Deed::ModelPublished { model: id, version, sha256 } }
    }
}

/// Whether a bundle was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is the newest now.
    New(ModelManifest),
    /// The same bytes were published before.
    Already(ModelManifest),
    /// The newest version is not below it.
    NotAbove {
        /// The newest version.
        newest: u32,
    },
}

/// Published models.
#[async_trait]
pub trait ModelStore: Send + Sync {
    /// Publishes a bundle if its version is above every other.
    async fn publish_model(&self, model: NewModel) -> Result<Published>;
    /// Every version, newest first.
    async fn models(&self) -> Result<Vec<ModelManifest>>;
    /// The newest version.
    async fn current_model(&self) -> Result<Option<ModelManifest>>;
    /// One version's bytes.
    async fn model_bytes(&self, version: u32) -> Result<Option<(ModelManifest, Vec<u8>)>>;
}

/// Whose scores somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryScope {
    /// Everything.
    All,
    /// One branch.
    Branch(BranchId),
    /// What one user, or one system, scored.
    Officer(UserId),
}

/// What to look for in the history.
#[derive(Debug, Clone)]
pub struct HistoryFilter {
    /// What may be seen at all.
    pub scope: HistoryScope,
    /// Of this client.
    pub client: Option<ClientId>,
    /// Of the client that a caller calls so.
    pub client_ref: Option<String>,
    /// By this officer.
    pub officer: Option<UserId>,
    /// In this branch.
    pub branch: Option<BranchId>,
    /// In this group.
    pub group: Option<Group>,
    /// By this version.
    pub model_version: Option<u32>,
    /// Scored at or after.
    pub from: Option<Millis>,
    /// Scored before.
    pub to: Option<Millis>,
    /// In which order.
    pub sort: HistorySort,
    /// After this one, in that order.
    pub after: Option<HistoryKey>,
    /// At most so many.
    pub limit: u32,
}

impl HistoryFilter {
    /// All that may be seen, the newest scores first.
    pub fn all_of(scope: HistoryScope) -> HistoryFilter {
        HistoryFilter {
            scope,
            client: None,
            client_ref: None,
            officer: None,
            branch: None,
            group: None,
            model_version: None,
            from: None,
            to: None,
            sort: HistorySort::default(),
            after: None,
            limit: u32::MAX,
        }
    }
}

/// The order of a search; entries of one time follow their ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HistorySort {
    /// By when it was scored, newest first.
    #[default]
    NewestScored,
    /// By when it was scored, oldest first.
    OldestScored,
    /// By when the server received it, newest first.
    NewestReceived,
    /// By when the server received it, oldest first.
    OldestReceived,
}

impl HistorySort {
    /// The column, whether it falls, and the sign between what follows and the key it follows.
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            HistorySort::NewestScored => ("scored_ms", "DESC", "<"),
            HistorySort::OldestScored => ("scored_ms", "ASC", ">"),
            HistorySort::NewestReceived => ("received_ms", "DESC", "<"),
            HistorySort::OldestReceived => ("received_ms", "ASC", ">"),
        }
    }

    /// The place of an entry in this order.
    fn key(self, scored_ms: Millis, received_ms: Millis, id: AssessmentId) -> HistoryKey {
        let at_ms = match self {
            HistorySort::NewestScored | HistorySort::OldestScored => scored_ms,
            HistorySort::NewestReceived | HistorySort::OldestReceived => received_ms,
        };
        HistoryKey { at_ms, id }
    }
}

/// A place in the order of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryKey {
    /// When it was scored, or received.
    pub at_ms: Millis,
    /// Its id.
    pub id: AssessmentId,
}

/// An entry with its place.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// Where it stands.
    pub key: HistoryKey,
    /// What it says.
    pub entry: HistoryEntry,
}

/// A score for the history.
#[derive(Debug, Clone)]
pub struct NewScore {
    /// When it was made.
    pub scored_ms: Millis,
    /// What is kept of it.
    pub entry: HistoryEntry,
    /// Where it is counted for drift, if that is all that it is counted for: nothing was decided on it. Else
    /// whoever counts reads the entry.
    pub places: Option<Vec<u8>>,
}

/// Every score, from the field and through the API.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Adds scores made by the server: all of them, or none.
    async fn add_history(&self, scores: &[NewScore], now: Millis) -> Result<()>;
    /// Entries, in the order asked for.
    async fn history(&self, filter: HistoryFilter) -> Result<Vec<HistoryRow>>;
    /// One entry, if it may be seen.
    async fn history_entry(&self, id: AssessmentId, scope: HistoryScope) -> Result<Option<HistoryEntry>>;
}
