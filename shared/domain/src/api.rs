//! Requests and answers between a device, or another system, and the server.
//!
//! | method and path | request | answer |
//! | --- | --- | --- |
//! | POST `/api/auth/sign-in` | [`SignIn`] | [`Session`] |
//! | POST `/api/auth/refresh` | [`Refresh`] | [`Session`] |
//! | POST `/api/web/sign-in` | [`WebSignIn`] | [`WebSession`], and cookies |
//! | POST `/api/web/refresh` | | [`WebSession`], and cookies |
//! | GET `/api/web/session` | | [`WebSession`] |
//! | POST `/api/web/sign-out` | | 204 |
//! | POST `/api/auth/sign-out` | [`Refresh`] | 204 |
//! | GET `/api/server` | | [`ServerInfo`], without a token |
//! | GET `/api/sync/head` | | [`crate::event::ChainHead`] of the token's device |
//! | POST `/api/sync/push` | [`Push`] | [`Pushed`] |
//! | GET `/api/sync/pull?cursor=&seen=&limit=&count=&until=&assessments=&after=` | | [`Pulled`] |
//! | GET `/api/sync/status?seq=&cursor=&model=` | | 204 if nothing is new, else [`SyncStatus`] |
//! | GET `/api/sync/quarantined?limit=` | | `Vec<`[`Quarantined`]`>`, latest first |
//! | POST `/api/sync/fork` | [`DeviceInfo`] of the new device | [`Session`] |
//! | GET `/api/clients/{client}/files/{sha256}/status` | | [`FileStatus`] |
//! | POST `/api/clients/{client}/files/{sha256}?from=` | a piece of the file | [`FileStatus`] |
//! | GET `/api/clients/{client}/files/{sha256}` | | the file's bytes |
//! | GET `/api/clients/{client}/data` | | [`ClientData`] |
//! | POST `/api/clients/{client}/erase` | | [`Erasure`] |
//! | GET `/api/erasures` | | `Vec<`[`Erasure`]`>`, latest first |
//! | POST `/api/history/forget-client-ref` | [`ForgetClientRef`] | [`ForgottenClientRef`] |
//! | GET `/api/devices` | | `Vec<`[`Device`]`>` |
//! | POST `/api/devices/{id}/revoke` | | 204 |
//! | GET `/api/models` | | `Vec<`[`ModelManifest`]`>`, newest first |
//! | GET `/api/models/current` | | [`ModelManifest`]; ETag is the hash |
//! | GET `/api/models/{version}/bundle` | | the bundle's bytes |
//! | POST `/api/models` | the bundle's bytes | 201 [`ModelManifest`] |
//! | POST `/api/predict` | [`Predict`] | [`Prediction`] |
//! | POST `/api/predict/batch` | NDJSON of [`Predict`], or CSV | NDJSON of [`PredictedRow`], then [`RowsDone`] |
//! | POST `/api/outcomes` | [`ObservedOutcome`], or NDJSON of them | [`OutcomeTaken`], or NDJSON |
//! | GET `/api/models/{version}/performance` | | [`Performance`] |
//! | GET `/api/models/{version}/drift` | | [`ModelDrift`] |
//! | GET `/api/models/{version}/overrides` | | [`Overrides`] |
//! | GET `/api/history/export?...` | [`HistoryQuery`] | CSV or Parquet |
//! | GET `/api/history?...` | [`HistoryQuery`] | [`HistoryPage`] |
//! | GET `/api/history/{id}` | | [`HistoryEntry`] |
//!
//! Those of administrators are in [`admin`]. Every refusal is a [`Problem`] (RFC 9457).

mod admin;
mod erasure;
mod insight;
mod web;

pub use admin::*;
pub use erasure::*;
pub use insight::*;
pub use web::*;

use crate::event::{ChainHead, Hash};
use crate::record::{Record, RecordKey, Rescore};
use crate::{AssessmentId, BranchId, ClientId, Decision, DeviceId, Millis, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vereda_scoring::bundle::{Group, Text};
use vereda_scoring::{FieldError, Inputs, ModelRef, Reason};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Captures and scores; sees their own portfolio.
    Officer,
    /// Reviews and decides; sees the branch.
    Manager,
    /// Publishes models; sees every branch's history.
    Analyst,
    /// People and devices.
    Admin,
    /// Another system that asks for scores.
    Service,
}

impl Role {
    /// The name in JSON and in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Officer => "officer",
            Role::Manager => "manager",
            Role::Analyst => "analyst",
            Role::Admin => "admin",
            Role::Service => "service",
        }
    }

    /// The weight of this role's decisions.
    pub fn rank(self) -> crate::record::Rank {
        match self {
            Role::Manager => crate::record::Rank::Manager,
            _ => crate::record::Rank::Officer,
        }
    }
}

/// A sign-in with name and password.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's name.
    pub username: String,
    /// Their password.
    pub password: String,
    /// The device that enrols; absent for the command line and other systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceInfo>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A machine that enrols.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceInfo {
    /// Made by the device.
    pub id: DeviceId,
    /// What people call it, such as the host's name.
    #[cfg_attr(
        feature = "schema",
        schema(
            min_length = 1,
            max_length = 100,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
        )
    )]
    pub name: String,
    /// `android`, `ios`, `linux`, `macos` or `windows`.
    #[cfg_attr(feature = "schema", schema(pattern = "^(android|ios|linux|macos|windows)$"))]
    pub platform: String,
}

/// A refresh token, to be exchanged or given up.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Opaque.
    pub refresh_token: String,
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refresh(..)")
    }
}

/// What names a key: SHA-256 of it as a JWK, in base64url (RFC 7638).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Thumbprint(pub String);

impl Thumbprint {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an access token is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum TokenType {
    /// As it is: whoever has it is believed (RFC 6750).
    #[default]
    Bearer,
    /// With a proof for each request that its sender holds the key it was made for (RFC 9449).
    DPoP,
}

impl TokenType {
    /// The scheme of `Authorization`.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenType::Bearer => "Bearer",
            TokenType::DPoP => "DPoP",
        }
    }
}

/// The header of a proof (RFC 9449).
pub const PROOF: &str = "dpop";
/// The header of what a proof has to repeat.
pub const PROOF_NONCE: &str = "dpop-nonce";
/// The scheme of `Authorization` for [`Session::ticket`].
pub const TICKET: &str = "Ticket";

/// A session as the client holds it.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Session {
    /// JWT, EdDSA.
    pub access_token: String,
    /// How it is sent: with proofs of its key, when the device has one.
    #[serde(default)]
    pub token_type: TokenType,
    /// How long it holds.
    pub expires_in_s: u64,
    /// For a device, to ask whether anything is new without spending its network on a token and a proof:
    /// `Authorization: Ticket ...` at `/api/sync/status`. It opens nothing else, for a day at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// For the next one; opaque, rotated at every use.
    pub refresh_token: String,
    /// Who signed in.
    pub user: UserInfo,
    /// Everybody of the branch, so that names can be shown offline. Empty for roles without one.
    pub colleagues: Vec<Colleague>,
    /// The server's clock.
    pub server_ms: Millis,
    /// Set when access has ended and this session only delivers what was captured before: its
    /// token opens head, push and fork, and is not prolonged. Why: `user_disabled` or
    /// `device_revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow: Option<ProblemCode>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UserInfo {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub username: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where; absent for analysts and administrators.
    pub branch: Option<BranchInfo>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BranchInfo {
    /// Its id.
    pub id: BranchId,
    /// Its name.
    pub name: String,
}

/// Somebody of the same branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Colleague {
    /// Their id.
    pub id: UserId,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// What tells a Vereda server from any other machine that answers HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServerInfo {
    /// Always `vereda-server`.
    pub product: String,
    /// Of the program.
    pub version: String,
    /// Of the sync protocol: 1.
    pub protocol: u32,
    /// The server's clock.
    pub server_ms: Millis,
}

/// The value of [`ServerInfo::product`].
pub const PRODUCT: &str = "vereda-server";
/// The value of [`ServerInfo::protocol`].
pub const PROTOCOL: u32 = 1;

/// Events past the server's high-water mark, in the order of the chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Each is the exact text that the device hashed.
    #[cfg_attr(feature = "schema", schema(max_items = 2000, value_type = Vec<crate::schema::EventText>))]
    pub events: Vec<Box<RawValue>>,
    /// The device's clock when it sent this, to measure its drift.
    pub device_ms: Millis,
}

/// The most events in one push.
pub const MAX_PUSH_EVENTS: usize = 2000;
/// The largest push, in bytes of its JSON.
pub const MAX_PUSH_BYTES: usize = 4 * 1024 * 1024;
/// The most changes in one page of a pull.
pub const MAX_PULL_CHANGES: u32 = 10_000;

/// What became of a push. A gap or a wrong predecessor hash is refused as a whole with a
/// [`Problem`] whose code is `chain_gap` and whose `resume` says where to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pushed {
    /// One for each event, in order.
    pub results: Vec<EventResult>,
    /// What the server now holds durably.
    pub receipt: Receipt,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventResult {
    /// Which.
    pub seq: u64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: EventOutcome,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum EventOutcome {
    /// Stored and applied, now or earlier.
    Stored,
    /// Stored, not applied; a person must look at it. It blocks nothing behind it.
    Quarantined {
        /// Why.
        reason: QuarantineReason,
        /// For support, in English.
        detail: String,
    },
}

/// An event that is quarantined now. Its content stays with those who may see the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Quarantined {
    /// In whose chain.
    pub device: DeviceId,
    /// Its place there.
    pub seq: u64,
    /// Whose device.
    pub user: UserId,
    /// When the server received it.
    pub at: Millis,
    /// The device's clock minus the server's then; not known of events from before it was kept.
    pub drift_ms: Option<Millis>,
    /// Why.
    pub reason: QuarantineReason,
    /// For support, in English.
    pub detail: String,
}

/// What the server has, for a device that asks whether anything is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SyncStatus {
    /// The end of the device's chain.
    pub head: ChainHead,
    /// The end of the branch's order of changes.
    pub cursor: u64,
    /// SHA-256 of the newest model, if there is one.
    pub model: Option<String>,
    /// The server's clock.
    pub server_ms: Millis,
}

/// The header that carries the server's clock where an answer has no body.
pub const SERVER_MS: &str = "vereda-ms";

/// A device as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// What people call it.
    pub name: String,
    /// As in [`DeviceInfo`].
    pub platform: String,
    /// When it enrolled.
    pub enrolled_at: Millis,
    /// When it was last heard of.
    pub seen_at: Millis,
    /// Its clock minus the server's at its last push.
    pub drift_ms: Option<Millis>,
    /// How many events of its chain are held.
    pub events: u64,
    /// Since when it only delivers what was captured.
    pub revoked_at: Option<Millis>,
    /// The device whose chain it goes on from, after that one forked.
    pub follows: Option<DeviceId>,
}

/// Why an event is stored but not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// Of a kind that this server does not know.
    UnknownKind,
    /// Not of the shape of its kind, or beyond a limit.
    Malformed,
    /// By another user, device or branch than the session's.
    Foreign,
    /// Not for this role to do.
    NotAllowed,
    /// Edits or decides on something that the server does not have.
    UnknownRecord,
    /// Contradicts what is stored under the same id.
    Contradiction,
    /// About a client whose data was erased on request: not even its text is kept.
    Erased,
}

/// Proof of what the server holds durably of a device's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// Whose chain.
    pub device: DeviceId,
    /// Up to which event, inclusive.
    pub seq: u64,
    /// The hash of that event.
    pub hash: Hash,
    /// By the server's clock.
    pub at: Millis,
}

/// Records that changed past a cursor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pulled {
    /// In the order in which they changed; of a portfolio, in the order of keys.
    pub changes: Vec<Change>,
    /// Where to go on; of a portfolio, where the branch's changes stand: what changes after its first page is past that.
    pub cursor: u64,
    /// Where the branch's changes stood when this was read: the largest of all answers is what to send as `seen`.
    #[serde(default)]
    pub end: u64,
    /// The server was set back to a backup from before the places that were sent: nothing is brought; forget `cursor`, `next`
    /// and `seen`, and pull from the beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// Where a portfolio goes on, while there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether there is more.
    pub more: bool,
    /// How many changes that is now; only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// The server's clock.
    pub server_ms: Millis,
}

/// How much of a file the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileStatus {
    /// So many bytes from its beginning: where the next piece goes.
    pub received: u64,
    /// Of so many.
    pub bytes: u64,
    /// Whether all of it is here and is what its hash says.
    pub complete: bool,
    /// As of a pull: where the branch's changes stood. 0 while nothing of it is here.
    #[serde(default)]
    pub end: u64,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "change", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)]
pub enum Change {
    /// The record as it is now.
    State {
        /// The record.
        record: Record,
    },
    /// The record is not for this user any more.
    Purge {
        /// Which.
        key: RecordKey,
        /// It is nobody's any more: the data of its client was erased. What a device still has of them goes
        /// too, the text of delivered events with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        erased: bool,
    },
}

/// One published version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ModelManifest {
    /// The bundle's id.
    pub id: String,
    /// The bundle's version.
    pub version: u32,
    /// SHA-256 of the bundle's bytes, hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// When it was published.
    pub published_at: Millis,
    /// By whom, as people call them.
    pub published_by: String,
}

/// A request for a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Predict {
    /// By feature name.
    #[cfg_attr(feature = "schema", schema(value_type = std::collections::BTreeMap<String, crate::schema::Answer>))]
    pub features: Inputs,
    /// The caller's name for the client, up to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")
    )]
    pub client_ref: Option<String>,
}

/// A score, stored in the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Prediction {
    /// Its id in the history.
    pub id: AssessmentId,
    /// PD.
    pub probability: f64,
    /// T1..T8.
    pub group: Group,
    /// Log-odds of default before calibration.
    pub margin: f64,
    /// Which model said so.
    pub model: ModelRef,
    /// The main reasons.
    pub reasons: Vec<Reason>,
    /// RFC 3339, UTC, milliseconds.
    pub scored_at: String,
}

/// What to look for in the history. Absent means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// A client's id.
    pub client: Option<ClientId>,
    /// A caller's name for the client.
    pub client_ref: Option<String>,
    /// An officer's id.
    pub officer: Option<UserId>,
    /// A branch's id; only analysts and administrators may name another than their own.
    pub branch: Option<BranchId>,
    /// T1..T8.
    pub group: Option<Group>,
    /// A model's version.
    pub model_version: Option<u32>,
    /// From this time on, RFC 3339 or milliseconds.
    pub from: Option<String>,
    /// Before this time.
    pub to: Option<String>,
    /// [`HistoryPage::next`] of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 if absent.
    pub limit: Option<u32>,
}

/// One page of the history, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
    /// For the next page; absent at the end.
    pub next: Option<String>,
}

/// One score in the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HistoryEntry {
    /// Its id.
    pub id: AssessmentId,
    /// From the field or through the API.
    pub source: Source,
    /// The client, for scores from the field.
    pub client: Option<ClientId>,
    /// The caller's name for the client, for scores through the API.
    pub client_ref: Option<String>,
    /// Who scored, or which system asked.
    pub officer: UserId,
    /// Where, if anywhere.
    pub branch: Option<BranchId>,
    /// By which model.
    pub model: ModelRef,
    /// What was answered.
    #[cfg_attr(feature = "schema", schema(value_type = std::collections::BTreeMap<String, crate::schema::Answer>))]
    pub inputs: Inputs,
    /// Log-odds.
    pub margin: f64,
    /// Its bits.
    pub margin_bits: String,
    /// PD.
    pub probability: f64,
    /// T1..T8.
    pub group: Group,
    /// The main reasons.
    pub reasons: Vec<Reason>,
    /// The decision that holds.
    pub decision: Option<Decision>,
    /// Whether that decision went against the suggestion.
    pub overridden: bool,
    /// The server's second opinion; absent for scores that it made itself.
    pub rescore: Option<Rescore>,
    /// RFC 3339, UTC, milliseconds.
    pub scored_at: String,
    /// RFC 3339: when the server received it.
    pub received_at: String,
}

/// Where a score came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An officer's device.
    Field,
    /// `POST /api/predict`.
    Api,
}

/// A refusal: RFC 9457, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `about:blank` or a page about this code.
    #[serde(rename = "type")]
    pub kind: String,
    /// In a few words, in English.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    pub detail: String,
    /// Stable, for programs.
    pub code: ProblemCode,
    /// Names this request in the server's log.
    pub request_id: String,
    /// Which fields are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
    /// Where to go on, for [`ProblemCode::ChainGap`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ChainHead>,
    /// When to try again, for [`ProblemCode::TooManyRequests`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// What RFC 6749 (section 5.2) calls it, where a token is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a request is refused. A code that this version does not know reads as
/// [`ProblemCode::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request cannot be read.
    BadRequest,
    /// Fields are wrong: see [`Problem::fields`].
    InvalidInput,
    /// No token, or one that does not hold.
    Unauthenticated,
    /// The proof was made at another time than the server's: make one with the nonce that comes with this.
    UseDpopNonce,
    /// The proof is not of this request, or was used before: make another one.
    InvalidDpopProof,
    /// Wrong name or password.
    WrongCredentials,
    /// The refresh token was used before, by somebody else: sign in again.
    SessionRevoked,
    /// The user was disabled.
    UserDisabled,
    /// The device was revoked.
    DeviceRevoked,
    /// Not for this role.
    Forbidden,
    /// Nothing here by that name, or not for this user.
    NotFound,
    /// Another method is needed.
    MethodNotAllowed,
    /// Contradicts what is stored.
    Conflict,
    /// Events are missing before these.
    ChainGap,
    /// The model version is not above the newest.
    VersionNotAbove,
    /// The bundle does not hold what it must.
    InvalidBundle,
    /// No model was published yet.
    NoModel,
    /// Too large.
    TooLarge,
    /// Not JSON.
    UnsupportedMedia,
    /// Wait: see [`Problem::retry_after_s`].
    TooManyRequests,
    /// The server's fault.
    Internal,
    /// The server cannot now.
    Unavailable,
    /// From a newer server.
    #[serde(other)]
    Unknown,
}

/// A text in both languages; re-exported for those who read predictions.
pub type ReasonText = Text;
