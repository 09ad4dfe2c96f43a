//! What services sign in with, and the token of the first start.

use super::audit::append;
use super::people::{add_user, another_admin, user_in};
use super::{all, first, get, run};
use crate::store::*;
use deadpool_postgres::Transaction;
use vereda_domain::api::MAX_SECRETS;

pub(super) async fn add(t: &Transaction<'_>, secret: NewSecret, note: &Note) -> Result<Changed> {
    let doing = "add a secret";
    // Locked: of two who add at once, the second counts what the first did.
    let sql = "SELECT 1 FROM users WHERE id = $1 AND role = 'service' FOR UPDATE";
    if first(t, doing, sql, &[&secret.user.0]).await?.is_none() {
        return Ok(Changed::Missing);
    }
    let sql = "SELECT 1 FROM service_secrets WHERE \"user\" = $1 AND revoked_ms IS NULL";
    if all(t, doing, sql, &[&secret.user.0]).await?.len() >= MAX_SECRETS {
        return Ok(Changed::TooMany);
    }
    let sql = "INSERT INTO service_secrets(id, \"user\", hash, made_ms) VALUES ($1, $2, $3, $4)";
    run(t, doing, sql, &[&secret.id.0, &secret.user.0, &secret.hash.0.as_slice(), &note.at]).await?;
    append(t, note).await?;
    Ok(Changed::Done)
}

pub(super) async fn revoke(
    t: &Transaction<'_>,
    user: UserId,
    secret: SecretId,
    note: &Note,
) -> Result<Changed> {
    let doing = "revoke a secret";
    let sql = "UPDATE service_secrets SET revoked_ms = $3 WHERE id = $1 AND \"user\" = $2 \
               AND revoked_ms IS NULL";
    if run(t, doing, sql, &[&secret.0, &user.0, &note.at]).await? == 1 {
        append(t, note).await?;
        return Ok(Changed::Done);
    }
    let sql = "SELECT 1 FROM service_secrets WHERE id = $1 AND \"user\" = $2";
    let found = first(t, doing, sql, &[&secret.0, &user.0]).await?;
    Ok(if found.is_some() { Changed::Already } else { Changed::Missing })
}

pub(super) async fn list(t: &Transaction<'_>) -> Result<Vec<(UserId, Secret)>> {
    let sql = "SELECT \"user\", id, made_ms, used_ms FROM service_secrets WHERE revoked_ms IS NULL \
               ORDER BY made_ms, id";
    let rows = all(t, "list secrets", sql, &[]).await?;
    rows.iter()
        .map(|row| {
            let secret = Secret { id: SecretId(get(row, 1)?), made_at: get(row, 2)?, used_at: get(row, 3)? };
            Ok((UserId(get(row, 0)?), secret))
        })
        .collect()
}

pub(super) async fn owner(t: &Transaction<'_>, hash: Hash, now: Millis) -> Result<Option<UserRow>> {
    let doing = "find a secret";
    let hash = hash.0.as_slice();
    let sql = "SELECT \"user\" FROM service_secrets WHERE hash = $1 AND revoked_ms IS NULL";
    let Some(row) = first(t, doing, sql, &[&hash]).await? else { return Ok(None) };
    let hour = now - now.rem_euclid(HOUR_MS);
    let sql = "UPDATE service_secrets SET used_ms = $2 WHERE hash = $1 AND coalesce(used_ms, 0) < $2";
    run(t, doing, sql, &[&hash, &hour]).await?;
    user_in(t, UserId(get(&row, 0)?)).await
}

/// Who adds or uses a setup token waits for others who do.
async fn one_at_a_time(t: &Transaction<'_>) -> Result<()> {
    run(t, "set up", "LOCK TABLE setup_tokens IN EXCLUSIVE MODE", &[]).await.map(|_| ())
}

pub(super) async fn add_setup_token(
    t: &Transaction<'_>,
    hash: Hash,
    expires: Millis,
    note: &Note,
) -> Result<Changed> {
    one_at_a_time(t).await?;
    if another_admin(t, None).await? {
        return Ok(Changed::Already);
    }
    let sql = "INSERT INTO setup_tokens(hash, expires_ms) VALUES ($1, $2)";
    run(t, "add a setup token", sql, &[&hash.0.as_slice(), &expires]).await?;
    append(t, note).await?;
    Ok(Changed::Done)
}

pub(super) async fn set_up(
    t: &Transaction<'_>,
    hash: Hash,
    user: &UserRow,
    note: &Note,
) -> Result<SetUpWith> {
    let doing = "set up";
    one_at_a_time(t).await?;
    if another_admin(t, None).await? {
        return Ok(SetUpWith::Administered);
    }
    let sql = "SELECT 1 FROM setup_tokens WHERE hash = $1 AND expires_ms > $2";
    if first(t, doing, sql, &[&hash.0.as_slice(), &note.at]).await?.is_none() {
        return Ok(SetUpWith::Unknown);
    }
    if add_user(t, user, note.at).await? == Added::NameTaken {
        return Ok(SetUpWith::NameTaken);
    }
    run(t, doing, "DELETE FROM setup_tokens", &[]).await?;
    append(t, note).await?;
    Ok(SetUpWith::Done)
}
