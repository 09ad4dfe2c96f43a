//! Branches, users, devices and sessions; what services sign in with is in [`super::secrets`].

use super::audit::append;
use super::{PostgresStore, all, first, get, reading, run, secrets, write};
use crate::store::codec::{hash, role_of, scopes_of, to_u64};
use crate::store::rotation::{Step, Token, decide};
use crate::store::*;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

/// The columns that [`user_of`] reads.
const USERS: &str = "SELECT u.id, u.username, u.name, u.role, u.password_hash, u.disabled_ms, b.id, b.name, u.scopes \
                     FROM users u LEFT JOIN branches b ON b.id = u.branch";

fn user_of(row: &Row) -> Result<UserRow> {
    let branch = match get::<Option<Uuid>>(row, 6)? {
        None => None,
        Some(id) => Some(BranchInfo { id: BranchId(id), name: get(row, 7)? }),
    };
    Ok(UserRow {
        id: UserId(get(row, 0)?),
        username: get(row, 1)?,
        name: get(row, 2)?,
        role: role_of(get(row, 3)?)?,
        branch,
        password_hash: get(row, 4)?,
        scopes: scopes_of(get(row, 8)?)?,
        disabled: get::<Option<i64>>(row, 5)?.is_some(),
    })
}

fn added(rows: u64) -> Added {
    if rows == 1 { Added::Added } else { Added::NameTaken }
}

#[async_trait]
impl PeopleStore for PostgresStore {
    async fn add_branch(&self, branch: BranchInfo, note: Note) -> Result<Added> {
        let doing = "add a branch";
        let sql = "INSERT INTO branches(id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        Ok(write!(self, doing, |t| {
            let added = added(run(t, doing, sql, &[&branch.id.0, &branch.name]).await?);
            if added == Added::Added {
                append(t, &note).await?;
            }
            added
        }))
    }

    async fn rename_branch(&self, branch: BranchInfo, note: Note) -> Result<Changed> {
        Ok(write!(self, "rename a branch", |t| rename_branch(t, &branch, &note).await?))
    }

    async fn branches(&self) -> Result<Vec<BranchInfo>> {
        let doing = "list branches";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let rows = all(&t, doing, "SELECT id, name FROM branches ORDER BY name", &[]).await?;
        rows.iter().map(|row| Ok(BranchInfo { id: BranchId(get(row, 0)?), name: get(row, 1)? })).collect()
    }

    async fn add_user(&self, user: UserRow, note: Note) -> Result<Added> {
        Ok(write!(self, "add a user", |t| {
            let added = add_user(t, &user, note.at).await?;
            if added == Added::Added {
                append(t, &note).await?;
            }
            added
        }))
    }

    async fn change_user(&self, id: UserId, edit: UserEdit, note: Note) -> Result<Changed> {
        Ok(write!(self, "change a user", |t| {
            let changed = change_user(t, id, &edit, note.at).await?;
            if changed == Changed::Done {
                append(t, &note).await?;
            }
            changed
        }))
    }

    async fn user_by_name(&self, username: &str) -> Result<Option<UserRow>> {
        let doing = "find a user";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = format!("{USERS} WHERE u.username_key = $1");
        first(&t, doing, &sql, &[&user_key(username)]).await?.as_ref().map(user_of).transpose()
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRow>> {
        let mut client = self.client().await?;
        let t = reading(&mut client, "find a user").await?;
        user_in(&t, id).await
    }

    async fn device_owner(&self, device: DeviceId) -> Result<Option<UserId>> {
        let doing = "find a device";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let row = first(&t, doing, "SELECT \"user\" FROM devices WHERE id = $1", &[&device.0]).await?;
        row.as_ref().map(|row| get(row, 0).map(UserId)).transpose()
    }

    async fn users(&self) -> Result<Vec<UserRow>> {
        let doing = "list users";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let rows = all(&t, doing, &format!("{USERS} ORDER BY u.username_key"), &[]).await?;
        rows.iter().map(user_of).collect()
    }

    async fn colleagues(&self, branch: BranchId) -> Result<Vec<Colleague>> {
        let doing = "list colleagues";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql =
            "SELECT id, name, role FROM users WHERE branch = $1 AND disabled_ms IS NULL ORDER BY name, id";
        let rows = all(&t, doing, sql, &[&branch.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(Colleague { id: UserId(get(row, 0)?), name: get(row, 1)?, role: role_of(get(row, 2)?)? })
            })
            .collect()
    }

    async fn devices(&self, branch: Option<BranchId>) -> Result<Vec<Device>> {
        let doing = "list devices";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = format!("{DEVICES} WHERE $1::uuid IS NULL OR u.branch = $1 ORDER BY d.enrolled_ms, d.id");
        let rows = all(&t, doing, &sql, &[&branch.map(|b| b.0)]).await?;
        rows.iter().map(device_of).collect()
    }

    async fn devices_heard(&self, since: Vec<Millis>) -> Result<Vec<u64>> {
        let doing = "count devices";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let mut counts = Vec::with_capacity(since.len());
        for at in since {
            let row = first(&t, doing, DEVICES_HEARD, &[&at]).await?;
            counts.push(row.map_or(Ok(0), |row| get(&row, 0).map(to_u64))?);
        }
        Ok(counts)
    }

    async fn device(&self, id: DeviceId) -> Result<Option<Device>> {
        let doing = "find a device";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let row = first(&t, doing, &format!("{DEVICES} WHERE d.id = $1"), &[&id.0]).await?;
        row.as_ref().map(device_of).transpose()
    }

    async fn device_heard(&self, id: DeviceId, at: Millis) -> Result<()> {
        let doing = "note that a device was heard of";
        let sql = "UPDATE devices SET seen_ms = greatest(seen_ms, $2) WHERE id = $1";
        write!(self, doing, |t| run(t, doing, sql, &[&id.0, &at]).await?);
        Ok(())
    }

    async fn revoke_device(&self, id: DeviceId, note: Note) -> Result<Changed> {
        let doing = "revoke a device";
        let sql = "UPDATE devices SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL";
        Ok(write!(self, doing, |t| {
            if run(t, doing, sql, &[&id.0, &note.at]).await? == 1 {
                append(t, &note).await?;
                Changed::Done
            } else if first(t, doing, "SELECT 1 FROM devices WHERE id = $1", &[&id.0]).await?.is_some() {
                Changed::Already
            } else {
                Changed::Missing
            }
        }))
    }

    async fn add_secret(&self, secret: NewSecret, note: Note) -> Result<Changed> {
        Ok(write!(self, "add a secret", |t| secrets::add(t, secret, &note).await?))
    }

    async fn revoke_secret(&self, user: UserId, secret: SecretId, note: Note) -> Result<Changed> {
        Ok(write!(self, "revoke a secret", |t| secrets::revoke(t, user, secret, &note).await?))
    }

    async fn secrets(&self) -> Result<Vec<(UserId, Secret)>> {
        let mut client = self.client().await?;
        let t = reading(&mut client, "list secrets").await?;
        secrets::list(&t).await
    }

    async fn user_by_secret(&self, hash: Hash, now: Millis) -> Result<Option<UserRow>> {
        Ok(write!(self, "find a secret", |t| secrets::owner(t, hash, now).await?))
    }

    async fn add_setup_token(&self, hash: Hash, expires: Millis, note: Note) -> Result<Changed> {
        Ok(write!(self, "add a setup token", |t| {
            secrets::add_setup_token(t, hash, expires, &note).await?
        }))
    }

    async fn set_up(&self, hash: Hash, user: UserRow, note: Note) -> Result<SetUpWith> {
        Ok(write!(self, "set up", |t| secrets::set_up(t, hash, &user, &note).await?))
    }

    async fn open_session(&self, session: NewSession) -> Result<Opened> {
        Ok(write!(self, "open a session", |t| open_session(t, &session).await?))
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated> {
        Ok(write!(self, "exchange a refresh token", |t| rotate(t, &rotation).await?))
    }

    async fn close_session(&self, token: Hash, now: Millis) -> Result<()> {
        let doing = "close a session";
        let sql = "UPDATE families SET revoked_ms = coalesce(revoked_ms, $2) \
                   WHERE id = (SELECT family FROM refresh_tokens WHERE hash = $1)";
        write!(self, doing, |t| run(t, doing, sql, &[&token.0.as_slice(), &now]).await?);
        Ok(())
    }
}

const DEVICES: &str = "SELECT d.id, d.\"user\", d.name, d.platform, d.enrolled_ms, d.seen_ms, d.drift_ms, \
                       d.head_seq, d.revoked_ms, d.follows FROM devices d JOIN users u ON u.id = d.\"user\"";

fn device_of(row: &Row) -> Result<Device> {
    Ok(Device {
        id: DeviceId(get(row, 0)?),
        user: UserId(get(row, 1)?),
        name: get(row, 2)?,
        platform: get(row, 3)?,
        enrolled_at: get(row, 4)?,
        seen_at: get(row, 5)?,
        drift_ms: get(row, 6)?,
        events: crate::store::codec::to_u64(get(row, 7)?),
        revoked_at: get(row, 8)?,
        follows: get::<Option<Uuid>>(row, 9)?.map(DeviceId),
    })
}

pub(super) async fn user_in(t: &Transaction<'_>, id: UserId) -> Result<Option<UserRow>> {
    let sql = format!("{USERS} WHERE u.id = $1");
    first(t, "find a user", &sql, &[&id.0]).await?.as_ref().map(user_of).transpose()
}

async fn rename_branch(t: &Transaction<'_>, branch: &BranchInfo, note: &Note) -> Result<Changed> {
    let doing = "rename a branch";
    let sql = "SELECT id, name FROM branches WHERE id = $1 OR name = $2 ORDER BY id FOR UPDATE";
    let found = all(t, doing, sql, &[&branch.id.0, &branch.name]).await?;
    let mut it = None;
    for row in &found {
        if get::<Uuid>(row, 0)? == branch.id.0 {
            it = Some(get::<&str>(row, 1)?);
        }
    }
    match it {
        None => Ok(Changed::Missing),
        Some(name) if name == branch.name => Ok(Changed::Already),
        Some(_) if found.len() > 1 => Ok(Changed::NameTaken),
        Some(_) => {
            let sql = "UPDATE branches SET name = $2 WHERE id = $1";
            run(t, doing, sql, &[&branch.id.0, &branch.name]).await?;
            append(t, note).await?;
            Ok(Changed::Done)
        }
    }
}

pub(super) async fn add_user(t: &Transaction<'_>, user: &UserRow, now: Millis) -> Result<Added> {
    let sql = "INSERT INTO users(id, username, username_key, name, role, branch, password_hash, disabled_ms, \
               created_ms, scopes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    let rows = run(
        t,
        "add a user",
        sql,
        &[
            &user.id.0,
            &user.username,
            &user_key(&user.username),
            &user.name,
            &user.role.as_str(),
            &user.branch.as_ref().map(|b| b.id.0),
            &user.password_hash,
            &user.disabled.then_some(now),
            &now,
            &Scope::write_list(&user.scopes),
        ],
    )
    .await?;
    Ok(added(rows))
}

/// Whether there is an administrator who can sign in, other than this one. They are locked: of two who
/// disable each other, the second sees what the first did.
pub(super) async fn another_admin(t: &Transaction<'_>, than: Option<UserId>) -> Result<bool> {
    let sql = "SELECT id FROM users WHERE role = 'admin' AND disabled_ms IS NULL ORDER BY id FOR UPDATE";
    for row in all(t, "find an administrator", sql, &[]).await? {
        if Some(UserId(get(&row, 0)?)) != than {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn change_user(t: &Transaction<'_>, id: UserId, edit: &UserEdit, now: Millis) -> Result<Changed> {
    let doing = "change a user";
    // Before this one is looked at: it may be what another waits for.
    let another = match edit {
        UserEdit::Disable => another_admin(t, Some(id)).await?,
        _ => true,
    };
    // Locked: of two who change the same thing at once, the second sees what the first did.
    let sql = format!("{USERS} WHERE u.id = $1 FOR UPDATE OF u");
    let Some(user) = first(t, doing, &sql, &[&id.0]).await?.as_ref().map(user_of).transpose()? else {
        return Ok(Changed::Missing);
    };
    if edit.holds_of(&user) {
        return Ok(Changed::Already);
    }
    match edit {
        UserEdit::Disable => {
            if user.role == Role::Admin && !another {
                return Ok(Changed::LastAdmin);
            }
            run(t, doing, "UPDATE users SET disabled_ms = $2 WHERE id = $1", &[&id.0, &now]).await?;
        }
        UserEdit::Enable => {
            run(t, doing, "UPDATE users SET disabled_ms = NULL WHERE id = $1", &[&id.0]).await?;
        }
        UserEdit::Rename(name) => {
            run(t, doing, "UPDATE users SET name = $2 WHERE id = $1", &[&id.0, name]).await?;
        }
        UserEdit::SetPassword(hash) => {
            run(t, doing, "UPDATE users SET password_hash = $2 WHERE id = $1", &[&id.0, hash]).await?;
            let sql = "UPDATE families SET revoked_ms = $2 WHERE \"user\" = $1 AND revoked_ms IS NULL";
            run(t, doing, sql, &[&id.0, &now]).await?;
        }
        UserEdit::Grant(scopes) => {
            let scopes = Scope::write_list(scopes);
            run(t, doing, "UPDATE users SET scopes = $2 WHERE id = $1", &[&id.0, &scopes]).await?;
        }
    }
    Ok(Changed::Done)
}

async fn open_session(t: &Transaction<'_>, session: &NewSession) -> Result<Opened> {
    let doing = "open a session";
    if let Some(device) = &session.device {
        let sql = "INSERT INTO devices(id, \"user\", name, platform, enrolled_ms, seen_ms, head_hash, follows, key, revoked_ms) \
                   VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, (SELECT revoked_ms FROM devices WHERE id = $7)) ON CONFLICT(id) DO UPDATE \
                   SET name = excluded.name, platform = excluded.platform, seen_ms = excluded.seen_ms, \
                   key = coalesce(devices.key, excluded.key) \
                   WHERE devices.\"user\" = excluded.\"user\" \
                   AND (devices.key IS NULL OR devices.key IS NOT DISTINCT FROM excluded.key)";
        let ours = run(
            t,
            doing,
            sql,
            &[
                &device.id.0,
                &session.user.0,
                &device.name,
                &device.platform,
                &session.now,
                &Hash::ZERO.0.as_slice(),
                &session.follows.map(|d| d.0),
                &session.key.as_ref().map(Thumbprint::as_str),
            ],
        )
        .await?;
        if ours == 0 {
            let sql = "SELECT 1 FROM devices WHERE id = $1 AND \"user\" = $2";
            let same = first(t, doing, sql, &[&device.id.0, &session.user.0]).await?.is_some();
            return Ok(if same { Opened::OtherKey } else { Opened::DeviceOfAnother });
        }
        let sql = "SELECT 1 FROM devices WHERE id = $1 AND revoked_ms IS NOT NULL";
        // One that goes on from a revoked one delivers what was captured, and no more.
        if session.follows.is_none() && first(t, doing, sql, &[&device.id.0]).await?.is_some() {
            return Ok(Opened::DeviceRevoked);
        }
    }
    let sql = "INSERT INTO families(id, \"user\", device, opened_ms) VALUES ($1, $2, $3, $4)";
    let device = session.device.as_ref().map(|d| d.id.0);
    run(t, doing, sql, &[&session.family, &session.user.0, &device, &session.now]).await?;
    let expires = match session.follows {
        None => session.expires,
        // Going on under another identity prolongs nothing, however often.
        Some(follows) => {
            let sql = "SELECT max(r.expires_ms) FROM refresh_tokens r JOIN families f ON f.id = r.family \
                       WHERE f.device = $1";
            let row = first(t, doing, sql, &[&follows.0]).await?;
            let end: Option<Millis> = row.as_ref().map(|row| get(row, 0)).transpose()?.flatten();
            session.expires.min(end.unwrap_or(session.now))
        }
    };
    add_token(t, &session.token, session.family, session.now, expires).await?;
    // Tokens that ended long ago say nothing any more; a reuse of one reads as unknown.
    let week = 7 * 24 * 3600 * 1000;
    let sql = "DELETE FROM refresh_tokens WHERE expires_ms < $1 AND family IN \
               (SELECT id FROM families WHERE \"user\" = $2)";
    run(t, doing, sql, &[&(session.now - week), &session.user.0]).await?;
    append(t, &session.note()).await?;
    Ok(Opened::Opened)
}

async fn add_token(
    t: &Transaction<'_>,
    token: &Hash,
    family: Uuid,
    now: Millis,
    expires: Millis,
) -> Result<()> {
    let sql = "INSERT INTO refresh_tokens(hash, family, issued_ms, expires_ms) VALUES ($1, $2, $3, $4)";
    run(t, "store a refresh token", sql, &[&token.0.as_slice(), &family, &now, &expires]).await.map(|_| ())
}

/// The token, locked: of two who present it at once, the second sees what the first did.
async fn token_in(t: &Transaction<'_>, token: &Hash) -> Result<Option<Token>> {
    let sql = "SELECT r.family, r.expires_ms, r.used_ms, r.successor, f.\"user\", f.device, f.revoked_ms, \
               d.revoked_ms, d.key FROM refresh_tokens r JOIN families f ON f.id = r.family \
               LEFT JOIN devices d ON d.id = f.device WHERE r.hash = $1 FOR UPDATE OF r, f";
    let Some(row) = first(t, "find a refresh token", sql, &[&token.0.as_slice()]).await? else {
        return Ok(None);
    };
    Ok(Some(Token {
        family: get(&row, 0)?,
        expires: get(&row, 1)?,
        used: get(&row, 2)?,
        successor: get::<Option<Vec<u8>>>(&row, 3)?.map(hash).transpose()?,
        user: UserId(get(&row, 4)?),
        device: get::<Option<Uuid>>(&row, 5)?.map(DeviceId),
        revoked: get::<Option<i64>>(&row, 6)?.is_some(),
        device_revoked: get::<Option<i64>>(&row, 7)?.is_some(),
        key: get::<Option<String>>(&row, 8)?.map(Thumbprint),
    }))
}

async fn rotate(t: &Transaction<'_>, rotation: &Rotation) -> Result<Rotated> {
    let doing = "exchange a refresh token";
    let Some(token) = token_in(t, &rotation.presented).await? else { return Ok(Rotated::Unknown) };
    let Some(user) = user_in(t, token.user).await? else { return Ok(Rotated::Unknown) };
    let successor_unused = match token.successor {
        Some(successor) => token_in(t, &successor).await?.is_some_and(|s| s.used.is_none()),
        None => false,
    };
    match decide(&token, user, successor_unused, rotation) {
        Step::Answer(answer) => Ok(answer),
        Step::Revoke(answer, note) => {
            let sql = "UPDATE families SET revoked_ms = $2 WHERE id = $1";
            run(t, doing, sql, &[&token.family, &rotation.now]).await?;
            append(t, &note).await?;
            Ok(answer)
        }
        Step::Exchange(expires, answer) => {
            let sql = "UPDATE refresh_tokens SET used_ms = $2, successor = $3 WHERE hash = $1";
            let (presented, successor) = (rotation.presented.0.as_slice(), rotation.successor.0.as_slice());
            run(t, doing, sql, &[&presented, &rotation.now, &successor]).await?;
            add_token(t, &rotation.successor, token.family, rotation.now, expires).await?;
            if let Some(device) = token.device {
                let sql = "UPDATE devices SET seen_ms = $2, key = coalesce(key, $3) WHERE id = $1";
                let key = rotation.key.as_ref().map(Thumbprint::as_str);
                run(t, doing, sql, &[&device.0, &rotation.now, &key]).await?;
            }
            Ok(answer)
        }
    }
}
