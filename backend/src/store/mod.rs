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
pub mod postgres;
mod rotation;
pub mod sqlite;

pub use audit::*;
pub use erasure::*;
pub use files::*;
pub use insight::*;

use crate::error::StoreError;
use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use vereda_domain::api::{
    BranchInfo, Change, Colleague, Deed, Device, DeviceInfo, Doer, EventOutcome, HistoryEntry, ModelManifest,
    Quarantined, Role, Scope, Secret,
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

/// A user as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Their id.
    pub id: UserId,
    /// What they sign in with; compared as [`user_key`] makes it.
    pub username: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where, if anywhere.
    pub branch: Option<BranchInfo>,
    /// A PHC string; empty for services, which have secrets.
    pub password_hash: String,
    /// What a service may do; nobody else has any.
    pub scopes: Vec<Scope>,
    /// Whether they may not sign in any more.
    pub disabled: bool,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRow").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Devices that were heard of since a time; what a fork left behind will never be heard of again.
pub(crate) fn devices_heard(place: &str) -> String {
    format!(
        "SELECT count(*) FROM devices d JOIN users u ON u.id = d.{} WHERE d.revoked_ms IS NULL AND u.disabled_ms IS NULL \
         AND d.seen_ms >= {place} AND d.id NOT IN (SELECT follows FROM devices WHERE follows IS NOT NULL)",
        r#""user""#
    )
}

/// An hour.
const HOUR_MS: Millis = 3_600_000;

/// A user name as it is compared: trimmed, lower case.
pub fn user_key(username: &str) -> String {
    username.trim().to_lowercase()
}

/// Whether something was added, or its name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    Added,
    /// Another one has that name.
    NameTaken,
}

/// What is to become of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum UserEdit {
    /// They cannot sign in any more. What they captured is still taken in.
    Disable,
    /// They can again.
    Enable,
    /// People call them this.
    Rename(String),
    /// They have another password, as a PHC string, and their sessions end.
    SetPassword(String),
    /// A service may do this.
    Grant(Vec<Scope>),
}

impl UserEdit {
    /// Whether it is so already.
    fn holds_of(&self, user: &UserRow) -> bool {
        match self {
            UserEdit::Disable => user.disabled,
            UserEdit::Enable => !user.disabled,
            UserEdit::Rename(name) => *name == user.name,
            // The same password under another salt is another hash; sessions end all the same.
            UserEdit::SetPassword(_) => false,
            UserEdit::Grant(scopes) => *scopes == user.scopes,
        }
    }
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is made.
    Done,
    /// It was so before; nothing is noted.
    Already,
    /// There is nothing to change.
    Missing,
    /// Another one has that name.
    NameTaken,
    /// Nobody could see to people any more.
    LastAdmin,
    /// There are [`vereda_domain::api::MAX_SECRETS`] already.
    TooMany,
}

/// A secret of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSecret {
    /// Names it.
    pub id: SecretId,
    /// Whose.
    pub user: UserId,
    /// SHA-256 of it.
    pub hash: Hash,
}

/// What became of a setup token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUpWith {
    /// There is an administrator now, and no setup token any more.
    Done,
    /// It is none, or too old.
    Unknown,
    /// There is an administrator already.
    Administered,
    /// Somebody has that name.
    NameTaken,
}

/// A new session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Names the chain of refresh tokens.
    pub family: uuid::Uuid,
    /// Whose.
    pub user: UserId,
    /// On which device, if any; enrolled if it is new.
    pub device: Option<DeviceInfo>,
    /// The device of the same user from whose chain this new one goes on: the device was set back
    /// to a backup, and its chain forked. What was revoked stays so, and the session ends no later
    /// than that device's would have.
    pub follows: Option<DeviceId>,
    /// SHA-256 of the refresh token.
    pub token: Hash,
    /// Now.
    pub now: Millis,
    /// When the refresh token ends, unused.
    pub expires: Millis,
}

impl NewSession {
    /// What is noted of it.
    pub(crate) fn note(&self) -> Note {
        let device = self.device.as_ref().map(|device| device.id);
        let deed = Deed::SignedIn { user: self.user, device, follows: self.follows };
        Note { by: Doer::User(self.user), at: self.now, deed }
    }
}

/// Why a user or a device has no access any more, but to deliver what was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The user was disabled.
    UserDisabled,
    /// The device was revoked.
    DeviceRevoked,
}

/// Whether a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It holds.
    Opened,
    /// The device is another user's.
    DeviceOfAnother,
    /// The device was revoked.
    DeviceRevoked,
}

/// A refresh token presented to be exchanged.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// SHA-256 of the token presented.
    pub presented: Hash,
    /// SHA-256 of the one that follows it.
    pub successor: Hash,
    /// Now.
    pub now: Millis,
    /// When the successor ends, unused.
    pub expires: Millis,
    /// How long a used token may be presented again, while its successor was not used.
    pub grace_ms: Millis,
}

/// What became of a refresh token presented.
#[derive(Debug, Clone)]
pub enum Rotated {
    /// The successor holds now; so it does when the same token comes again within the grace time.
    Exchanged {
        /// Whose session.
        user: UserRow,
        /// On which device.
        device: Option<DeviceId>,
        /// Whether this was a repetition.
        again: bool,
        /// Set when the session only delivers what was captured before its end, and why.
        escrow: Option<Ended>,
    },
    /// Used before: the whole family is revoked now.
    Reused {
        /// Whose session.
        user: UserId,
    },
    /// Of a family that was revoked before.
    Revoked,
    /// The user was disabled.
    Disabled,
    /// Unknown, or too old.
    Unknown,
}

/// Branches, users, devices, sessions and secrets. Where a method takes a [`Note`], it is written if the
/// change is made, in the same transaction, and its time is the time of the change.
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Adds a branch.
    async fn add_branch(&self, branch: BranchInfo, note: Note) -> Result<Added>;
    /// Gives a branch another name.
    async fn rename_branch(&self, branch: BranchInfo, note: Note) -> Result<Changed>;
    /// Every branch, by name.
    async fn branches(&self) -> Result<Vec<BranchInfo>>;
    /// Adds a user; their branch must exist.
    async fn add_user(&self, user: UserRow, note: Note) -> Result<Added>;
    /// Changes a user. The last administrator who can sign in is not disabled.
    async fn change_user(&self, id: UserId, edit: UserEdit, note: Note) -> Result<Changed>;
    /// By [`user_key`].
    async fn user_by_name(&self, username: &str) -> Result<Option<UserRow>>;
    /// By id.
    async fn user(&self, id: UserId) -> Result<Option<UserRow>>;
    /// Everybody, by name.
    async fn users(&self) -> Result<Vec<UserRow>>;
    /// Everybody of a branch who is not disabled.
    async fn colleagues(&self, branch: BranchId) -> Result<Vec<Colleague>>;
    /// Devices, of one branch's people or of everybody's, by when they were enrolled.
    async fn devices(&self, branch: Option<BranchId>) -> Result<Vec<Device>>;
    /// How many devices were heard of at or after each of these times, of those that have access and that no other
    /// follows.
    async fn devices_heard(&self, since: Vec<Millis>) -> Result<Vec<u64>>;
    /// One device.
    async fn device(&self, id: DeviceId) -> Result<Option<Device>>;
    /// Revokes a device. The first time stays.
    async fn revoke_device(&self, id: DeviceId, note: Note) -> Result<Changed>;
    /// Adds a secret of a service that has fewer than it may.
    async fn add_secret(&self, secret: NewSecret, note: Note) -> Result<Changed>;
    /// Ends a secret of this service.
    async fn revoke_secret(&self, user: UserId, secret: SecretId, note: Note) -> Result<Changed>;
    /// The secrets that hold, with whose they are, oldest first.
    async fn secrets(&self) -> Result<Vec<(UserId, Secret)>>;
    /// Whose secret has this hash, if it holds. Takes note of its use, to the hour.
    async fn user_by_secret(&self, hash: Hash, now: Millis) -> Result<Option<UserRow>>;
    /// Adds a setup token, with its end, unless there is an administrator.
    async fn add_setup_token(&self, hash: Hash, expires: Millis, note: Note) -> Result<Changed>;
    /// Adds the first administrator for a setup token, which is used up with it.
    async fn set_up(&self, hash: Hash, user: UserRow, note: Note) -> Result<SetUpWith>;
    /// Whose device this is; `None` when it never enrolled.
    async fn device_owner(&self, device: DeviceId) -> Result<Option<UserId>>;
    /// Opens a session and enrols its device.
    async fn open_session(&self, session: NewSession) -> Result<Opened>;
    /// Exchanges a refresh token.
    async fn rotate(&self, rotation: Rotation) -> Result<Rotated>;
    /// Ends the session of a refresh token, if there is one.
    async fn close_session(&self, token: Hash, now: Millis) -> Result<()>;
}

/// An event as it is stored for the first time.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its place in the device's chain.
    pub seq: u64,
    /// The hash of `text`.
    pub hash: Hash,
    /// Exactly as received.
    pub text: String,
    /// Whether it was applied.
    pub outcome: EventOutcome,
    /// The record it changes, if that can be read.
    pub key: Option<RecordKey>,
    /// The record it waits for, if it is to be applied when that arrives.
    pub waits_for: Option<RecordKey>,
    /// The standing of its actor when it arrived.
    pub rank: Rank,
}

/// An event that was stored earlier and waits for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose chain.
    pub device: DeviceId,
    /// Its place there.
    pub seq: u64,
    /// Exactly as received.
    pub text: String,
    /// What it waits for.
    pub waits_for: RecordKey,
    /// The standing of its actor when it arrived.
    pub rank: Rank,
}

/// An event stored earlier, as its repetition must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the chain.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// What became of it.
    pub outcome: EventOutcome,
}

/// What is needed to decide on a push, all from one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The branch's sequence at that moment: the condition of [`Append::branch_seq`].
    pub branch_seq: u64,
    /// The end of the device's chain.
    pub head: ChainHead,
    /// The events of the chain in the range asked for.
    pub stored: Vec<StoredEvent>,
    /// The records asked for that exist, and those that waiting events change.
    pub records: BTreeMap<RecordKey, Record>,
    /// Events that wait for any of them, or for what those would bring.
    pub waiting: Vec<Waiting>,
    /// Clients among those asked for whose data was erased.
    pub erased: BTreeSet<ClientId>,
}

/// What is found of the records that a push touches.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// See [`Snapshot::records`].
    pub records: BTreeMap<RecordKey, Record>,
    /// See [`Snapshot::waiting`].
    pub waiting: Vec<Waiting>,
    /// See [`Snapshot::erased`].
    pub erased: BTreeSet<ClientId>,
}

impl Found {
    /// Takes in a record as it is stored.
    pub(crate) fn take(&mut self, key: RecordKey, body: &str) -> Result<()> {
        match (read_record(body)?, key) {
            (Some(record), _) => drop(self.records.insert(key, record)),
            (None, RecordKey::Client(client)) => drop(self.erased.insert(client)),
            (None, RecordKey::Assessment(_)) => {}
        }
        Ok(())
    }
}

/// What the column of a record holds, once its client was erased: the row stays, so that everybody who had the
/// record hears of it.
pub(crate) const ERASED_BODY: &str = "";

/// A record from its column; none if it was erased.
pub(crate) fn read_record(body: &str) -> Result<Option<Record>> {
    if body == ERASED_BODY {
        return Ok(None);
    }
    Record::read(body).map(Some).map_err(|e| StoreError::corrupt("record", e))
}

/// A record with what pulls are filtered by.
#[derive(Debug, Clone)]
pub struct RecordRow {
    /// The record as it is now.
    pub record: Record,
    /// The officer in whose portfolio it is.
    pub owner: UserId,
    /// The client it is about.
    pub client: ClientId,
}

/// A client who moved to another officer's portfolio, with all that is about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reassigned {
    /// Who.
    pub client: ClientId,
    /// From whose.
    pub from: UserId,
    /// To whose.
    pub to: UserId,
}

/// What a push adds, all or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// In which branch.
    pub branch: BranchId,
    /// The branch's sequence must still be this.
    pub branch_seq: u64,
    /// Whose chain.
    pub device: DeviceId,
    /// The chain must still end here.
    pub head: ChainHead,
    /// What follows, without gaps.
    pub events: Vec<NewEvent>,
    /// Earlier events that are not waiting any more.
    pub settled: Vec<(DeviceId, u64, EventOutcome)>,
    /// Records as they are now, in the order in which they changed.
    pub records: Vec<RecordRow>,
    /// Clients who changed hands.
    pub reassigned: Vec<Reassigned>,
    /// The assessments among `records` as the history shows them, with when they were scored.
    pub history: Vec<(Millis, HistoryEntry)>,
    /// By the server's clock.
    pub now: Millis,
    /// The device's clock minus the server's.
    pub drift_ms: Millis,
}

/// Whether a push was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Durably.
    Done,
    /// Somebody else was faster: take a new [`Snapshot`].
    Stale,
}

/// Which changes to bring.
#[derive(Debug, Clone, Copy)]
pub struct PullQuery {
    /// Of which branch.
    pub branch: BranchId,
    /// Only of this officer's portfolio.
    pub owner: Option<UserId>,
    /// After this place in the branch's sequence.
    pub cursor: u64,
    /// At most so many.
    pub limit: u32,
    /// Whether to count what follows the page.
    pub count: bool,
}

/// The most bytes of records in one page of changes, unless a single one is larger.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Which quarantined events to list.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineQuery {
    /// Of which branch.
    pub branch: BranchId,
    /// Only of this user's devices.
    pub user: Option<UserId>,
    /// At most so many.
    pub limit: u32,
}

/// One page of changes.
#[derive(Debug, Clone, Serialize)]
pub struct PullPage {
    /// In the order of the branch's sequence.
    pub changes: Vec<PageChange>,
    /// Where to go on.
    pub cursor: u64,
    /// Whether there is more.
    pub more: bool,
    /// How many changes that is, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
}

/// One change, as it goes out: a [`vereda_domain::api::Change`] whose record is not read on the way from
/// the database to the network.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum PageChange {
    /// The record as it is now.
    State {
        /// As it is stored.
        record: Box<RawValue>,
    },
    /// The record is not for this user any more.
    Purge {
        /// Which.
        key: RecordKey,
        /// See [`Change::Purge`].
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        erased: bool,
    },
}

impl PageChange {
    /// From the columns of a row: a record's text, or the key of one that left.
    pub(crate) fn of(body: Option<String>, key: impl FnOnce() -> Result<RecordKey>) -> Result<PageChange> {
        match body {
            Some(body) if body != ERASED_BODY => RawValue::from_string(body)
                .map(|record| PageChange::State { record })
                .map_err(|e| StoreError::corrupt("record", e)),
            gone => key().map(|key| PageChange::Purge { key, erased: gone.is_some() }),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// When the stored record cannot be read.
    pub fn read(&self) -> Result<Change> {
        Ok(match self {
            PageChange::State { record } => Change::State {
                record: Record::read(record.get()).map_err(|e| StoreError::corrupt("record", e))?,
            },
            PageChange::Purge { key, erased } => Change::Purge { key: *key, erased: *erased },
        })
    }
}

/// Chains of events, the records they add up to, and the order in which those changed.
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// The end of a device's chain.
    async fn head(&self, device: DeviceId) -> Result<ChainHead>;
    /// What is needed to decide on the events `first..=last` of a device.
    async fn snapshot(
        &self,
        branch: BranchId,
        device: DeviceId,
        first: u64,
        last: u64,
        keys: Vec<RecordKey>,
    ) -> Result<Snapshot>;
    /// Adds a push. Every changed record takes the next place in the branch's sequence within the
    /// same transaction, so that no cursor ever skips one.
    async fn append(&self, append: Append) -> Result<Appended>;
    /// Changes past a cursor. A cursor beyond the sequence (of a server restored from a backup)
    /// starts over.
    async fn pull(&self, query: PullQuery) -> Result<PullPage>;
    /// Events that are quarantined now, latest first.
    async fn quarantined(&self, query: QuarantineQuery) -> Result<Vec<Quarantined>>;
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

/// Every score, from the field and through the API.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Adds scores made by the server, with when they were made: all of them, or none.
    async fn add_history(&self, entries: Vec<(Millis, HistoryEntry)>, now: Millis) -> Result<()>;
    /// Entries, in the order asked for.
    async fn history(&self, filter: HistoryFilter) -> Result<Vec<HistoryRow>>;
    /// One entry, if it may be seen.
    async fn history_entry(&self, id: AssessmentId, scope: HistoryScope) -> Result<Option<HistoryEntry>>;
}
