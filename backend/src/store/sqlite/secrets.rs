//! What services sign in with, and the token of the first start.

use super::audit::append;
use super::database;
use super::people::{add_user, another_admin, user_in};
use super::rows::{all, first, run};
use crate::store::*;
use rusqlite::{Transaction, params};
use uuid::Uuid;
use vereda_domain::api::MAX_SECRETS;

pub(super) fn add(t: &Transaction<'_>, secret: NewSecret, note: &Note) -> Result<Changed> {
    let doing = "add a secret";
    match user_in(t, secret.user)? {
        Some(user) if user.role == Role::Service => {}
        _ => return Ok(Changed::Missing),
    }
    let sql = "SELECT 1 FROM service_secrets WHERE user = ?1 AND revoked_ms IS NULL";
    if all(t, doing, sql, [secret.user.0], |_| Ok(()))?.len() >= MAX_SECRETS {
        return Ok(Changed::TooMany);
    }
    let sql = "INSERT INTO service_secrets(id, user, hash, made_ms) VALUES (?1, ?2, ?3, ?4)";
    run(t, doing, sql, params![secret.id.0, secret.user.0, secret.hash.0, note.at])?;
    append(t, note)?;
    Ok(Changed::Done)
}

pub(super) fn revoke(t: &Transaction<'_>, user: UserId, secret: SecretId, note: &Note) -> Result<Changed> {
    let doing = "revoke a secret";
    let sql = "UPDATE service_secrets SET revoked_ms = ?3 WHERE id = ?1 AND user = ?2 AND revoked_ms IS NULL";
    if run(t, doing, sql, params![secret.0, user.0, note.at])? == 1 {
        append(t, note)?;
        return Ok(Changed::Done);
    }
    let sql = "SELECT 1 FROM service_secrets WHERE id = ?1 AND user = ?2";
    let found = first(t, doing, sql, params![secret.0, user.0], |_| Ok(()))?;
    Ok(if found.is_some() { Changed::Already } else { Changed::Missing })
}

pub(super) fn list(t: &Transaction<'_>) -> Result<Vec<(UserId, Secret)>> {
    let doing = "list secrets";
    let get = |e| database(doing, e);
    let sql = "SELECT user, id, made_ms, used_ms FROM service_secrets WHERE revoked_ms IS NULL \
               ORDER BY made_ms, id";
    all(t, doing, sql, [], |row| {
        let user = UserId(row.get(0).map_err(get)?);
        let (id, made_at) = (SecretId(row.get(1).map_err(get)?), row.get(2).map_err(get)?);
        Ok((user, Secret { id, made_at, used_at: row.get(3).map_err(get)? }))
    })
}

pub(super) fn owner(t: &Transaction<'_>, hash: Hash, now: Millis) -> Result<Option<UserRow>> {
    let doing = "find a secret";
    let sql = "SELECT user FROM service_secrets WHERE hash = ?1 AND revoked_ms IS NULL";
    let user: Option<Uuid> =
        first(t, doing, sql, [hash.0], |row| row.get(0).map_err(|e| database(doing, e)))?;
    let Some(user) = user else { return Ok(None) };
    let hour = now - now.rem_euclid(HOUR_MS);
    let sql = "UPDATE service_secrets SET used_ms = ?2 WHERE hash = ?1 AND coalesce(used_ms, 0) < ?2";
    run(t, doing, sql, params![hash.0, hour])?;
    user_in(t, UserId(user))
}

pub(super) fn add_setup_token(
    t: &Transaction<'_>,
    hash: Hash,
    expires: Millis,
    note: &Note,
) -> Result<Changed> {
    if another_admin(t, None)? {
        return Ok(Changed::Already);
    }
    let sql = "INSERT INTO setup_tokens(hash, expires_ms) VALUES (?1, ?2)";
    run(t, "add a setup token", sql, params![hash.0, expires])?;
    append(t, note)?;
    Ok(Changed::Done)
}

pub(super) fn set_up(t: &Transaction<'_>, hash: Hash, user: &UserRow, note: &Note) -> Result<SetUpWith> {
    let doing = "set up";
    if another_admin(t, None)? {
        return Ok(SetUpWith::Administered);
    }
    let sql = "SELECT 1 FROM setup_tokens WHERE hash = ?1 AND expires_ms > ?2";
    if first(t, doing, sql, params![hash.0, note.at], |_| Ok(()))?.is_none() {
        return Ok(SetUpWith::Unknown);
    }
    if add_user(t, user, note.at)? == Added::NameTaken {
        return Ok(SetUpWith::NameTaken);
    }
    run(t, doing, "DELETE FROM setup_tokens", [])?;
    append(t, note)?;
    Ok(SetUpWith::Done)
}
