//! Rows as types.

use super::database;
pub use crate::store::codec::*;
use crate::store::{Result, UserRow};
use rusqlite::{Connection, Row};
use uuid::Uuid;
use vereda_domain::api::BranchInfo;
use vereda_domain::{BranchId, UserId};

/// The columns that [`user`] reads, from users u left joined to branches b.
pub const USER: &str =
    "u.id, u.username, u.name, u.role, u.password_hash, u.disabled_ms, b.id, b.name, u.scopes";

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
        scopes: scopes_of(&row.get::<_, String>(8).map_err(get)?)?,
        disabled: row.get::<_, Option<i64>>(5).map_err(get)?.is_some(),
    })
}

/// Every row of a query, read by `read`.
pub fn all<T>(
    connection: &Connection,
    doing: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(|e| database(doing, e))?;
    let mut rows = statement.query(parameters).map_err(|e| database(doing, e))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(|e| database(doing, e))? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub fn first<T>(
    connection: &Connection,
    doing: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(|e| database(doing, e))?;
    let mut rows = statement.query(parameters).map_err(|e| database(doing, e))?;
    match rows.next().map_err(|e| database(doing, e))? {
        None => Ok(None),
        Some(row) => read(row).map(Some),
    }
}

/// Runs a statement; how many rows it changed.
pub fn run(
    connection: &Connection,
    doing: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<usize> {
    let mut statement = connection.prepare_cached(sql).map_err(|e| database(doing, e))?;
    statement.execute(parameters).map_err(|e| database(doing, e))
}
