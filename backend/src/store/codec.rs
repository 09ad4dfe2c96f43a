//! Types as the columns of any database, and back.

use super::{PAGE_BYTES, Result};
use crate::error::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use vereda_domain::api::{EventOutcome, Quarantined, Role, Scope};
use vereda_domain::event::Hash;
use vereda_domain::record::{Rank, RecordKey};
use vereda_domain::{AssessmentId, ClientId, DeviceId, Millis, UserId};

/// A role from its name.
pub fn role_of(text: &str) -> Result<Role> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| StoreError::corrupt("role", e))
}

/// Scopes from their names.
pub fn scopes_of(text: &str) -> Result<Vec<Scope>> {
    Scope::read_list(text).map_err(|unknown| StoreError::corrupt("scope", unknown))
}

/// A rank's name.
pub fn rank_name(rank: Rank) -> &'static str {
    match rank {
        Rank::Officer => "officer",
        Rank::Manager => "manager",
    }
}

/// A rank from its name.
pub fn rank_of(text: &str) -> Result<Rank> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| StoreError::corrupt("rank", e))
}

/// A record key as two columns.
pub fn key_parts(key: RecordKey) -> (&'static str, Uuid) {
    match key {
        RecordKey::Client(id) => ("client", id.0),
        RecordKey::Assessment(id) => ("assessment", id.0),
    }
}

/// A record key from its two columns.
pub fn key_of(kind: &str, id: Uuid) -> Result<RecordKey> {
    match kind {
        "client" => Ok(RecordKey::Client(ClientId(id))),
        "assessment" => Ok(RecordKey::Assessment(AssessmentId(id))),
        other => Err(StoreError::corrupt("record key", format!("unknown kind {other}"))),
    }
}

/// As it is stored.
pub fn to_json(what: &'static str, value: &impl Serialize) -> Result<String> {
    // Room for a score with its reasons, asked for once and not again at each doubling.
    let mut text = Vec::with_capacity(2048);
    serde_json::to_writer(&mut text, value).map_err(|e| StoreError::corrupt(what, e))?;
    String::from_utf8(text).map_err(|e| StoreError::corrupt(what, e))
}

/// As it was stored.
pub fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::corrupt(what, e))
}

/// A hash from its 32 bytes.
pub fn hash(bytes: Vec<u8>) -> Result<Hash> {
    bytes.try_into().map(Hash).map_err(|_| StoreError::corrupt("hash", "not 32 bytes"))
}

/// Databases count to 2^63; no chain gets there.
pub fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Back from [`to_i64`].
pub fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// How many of these bodies, by their bytes, one page of changes holds: at least one.
pub fn fitting(sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut bytes: usize = 0;
    sizes
        .into_iter()
        .enumerate()
        .take_while(|(index, size)| {
            bytes = bytes.saturating_add(*size);
            *index == 0 || bytes <= PAGE_BYTES
        })
        .count()
}

/// A quarantined event from its columns; the times are when it was received and the drift then.
pub fn quarantined(
    device: Uuid,
    seq: i64,
    user: Uuid,
    (at, drift_ms): (Millis, Option<Millis>),
    outcome: &str,
) -> Result<Quarantined> {
    let EventOutcome::Quarantined { reason, detail } = from_json("outcome", outcome)? else {
        return Err(StoreError::corrupt("outcome", "marked as quarantined, and it is not"));
    };
    let (device, user) = (DeviceId(device), UserId(user));
    Ok(Quarantined { device, seq: to_u64(seq), user, at, drift_ms, reason, detail })
}
