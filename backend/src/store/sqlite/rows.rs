//! Rows as types.

use super::database;
use crate::error::StoreError;
use crate::store::{Result, UserRow};
use rusqlite::{Row, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use vereda_domain::api::{BranchInfo, Role};
use vereda_domain::event::Hash;
use vereda_domain::record::{Rank, Record, RecordKey};
use vereda_domain::{AssessmentId, BranchId, ClientId, UserId};

/// The columns that [`user`] reads, from users u left joined to branches b.
pub const USER: &str = "u.id, u.username, u.name, u.role, u.password_hash, u.disabled_ms, b.id, b.name";

pub fn user(row: &Row<'_>) -> Result<UserRow> {
    let get = |e| database("read a user", e);
    let role: String = row.get(3).map_err(get)?;
    let branch: Option<Uuid> = row.get(6).map_err(get)?;
    let branch = match branch {
        None => None,
        Some(id) => Some(BranchInfo { id: BranchId(id), name: row.get(7).map_err(get)? }),
    };
    Ok(UserRow {
        id: UserId(row.get(0).map_err(get)?),
        username: row.get(1).map_err(get)?,
        name: row.get(2).map_err(get)?,
        role: role_of(&role)?,
        branch,
        password_hash: row.get(4).map_err(get)?,
        disabled: row.get::<_, Option<i64>>(5).map_err(get)?.is_some(),
    })
}

pub fn role_of(text: &str) -> Result<Role> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| StoreError::corrupt("role", e))
}

pub fn rank_name(rank: Rank) -> &'static str {
    match rank {
        Rank::Officer => "officer",
        Rank::Manager => "manager",
    }
}

pub fn rank_of(text: &str) -> Result<Rank> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| StoreError::corrupt("rank", e))
}

pub fn key_parts(key: RecordKey) -> (&'static str, Uuid) {
    match key {
        RecordKey::Client(id) => ("client", id.0),
        RecordKey::Assessment(id) => ("assessment", id.0),
    }
}

pub fn key_of(kind: &str, id: Uuid) -> Result<RecordKey> {
    match kind {
        "client" => Ok(RecordKey::Client(ClientId(id))),
        "assessment" => Ok(RecordKey::Assessment(AssessmentId(id))),
        other => Err(StoreError::corrupt("record key", format!("unknown kind {other}"))),
    }
}

pub fn record_key(record: &Record) -> RecordKey {
    match record {
        Record::Client(client) => RecordKey::Client(client.id),
        Record::Assessment(record) => RecordKey::Assessment(record.assessment.id),
    }
}

pub fn to_json(what: &'static str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::corrupt(what, e))
}

pub fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::corrupt(what, e))
}

pub fn hash(bytes: Vec<u8>) -> Result<Hash> {
    bytes.try_into().map(Hash).map_err(|_| StoreError::corrupt("hash", "not 32 bytes"))
}

/// SQLite counts to 2^63; no chain gets there.
pub fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Every row of a query, read by `read`.
pub fn all<T>(
    transaction: &Transaction<'_>,
    doing: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = transaction.prepare_cached(sql).map_err(|e| database(doing, e))?;
    let mut rows = statement.query(parameters).map_err(|e| database(doing, e))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(|e| database(doing, e))? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub fn first<T>(
    transaction: &Transaction<'_>,
    doing: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = transaction.prepare_cached(sql).map_err(|e| database(doing, e))?;
    let mut rows = statement.query(parameters).map_err(|e| database(doing, e))?;
    match rows.next().map_err(|e| database(doing, e))? {
        None => Ok(None),
        Some(row) => read(row).map(Some),
    }
}

/// Runs a statement; how many rows it changed.
pub fn run(
    transaction: &Transaction<'_>,
    doing: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<usize> {
    let mut statement = transaction.prepare_cached(sql).map_err(|e| database(doing, e))?;
    statement.execute(parameters).map_err(|e| database(doing, e))
}
