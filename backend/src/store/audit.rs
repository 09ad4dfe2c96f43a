//! The record of who did what: entries that nobody rewrites, each with the hash of the one before.
//!
//! An entry is written in the transaction of what it tells, or not at all; a database refuses to change or
//! remove one. Whoever can write to the database file itself is found out by [`crate::audit`].

use super::{Result, StoreError, async_trait};
use vereda_domain::Millis;
use vereda_domain::api::{AuditEntry, Deed, Doer};
use vereda_domain::event::{ChainHead, Hash};

/// What is to be written with a change, if the change is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who makes it.
    pub by: Doer,
    /// When, by the server's clock.
    pub at: Millis,
    /// What it is.
    pub deed: Deed,
}

impl Note {
    /// The text of the entry that follows this one, and its place and hash.
    pub(super) fn after(&self, head: ChainHead) -> Result<(ChainHead, String)> {
        let (by, deed) = (self.by, self.deed.clone());
        let entry = AuditEntry { seq: head.seq + 1, prev: head.hash, at: self.at, by, deed };
        let text = serde_json::to_string(&entry).map_err(|e| StoreError::corrupt("audit entry", e))?;
        Ok((ChainHead { seq: entry.seq, hash: Hash::of(text.as_bytes()) }, text))
    }
}

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place.
    pub seq: u64,
    /// As it was when it was written.
    pub hash: Hash,
    /// An [`AuditEntry`], exactly as it was hashed.
    pub text: String,
}

/// Who did what.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes an entry about something that changes nothing else here.
    async fn note(&self, note: Note) -> Result<()>;
    /// Entries after this place, oldest first, at most so many.
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>>;
}
