//! Branches, users, devices and sessions; what services sign in with is in [`super::secrets`].

use super::audit::append;
use super::rows::{USER, all, first, hash, role_of, run, to_u64, user};
use super::{SqliteStore, database, secrets};
use crate::store::rotation::{Step, Token, decide};
use crate::store::*;
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

#[async_trait]
impl PeopleStore for SqliteStore {
    async fn add_branch(&self, branch: BranchInfo, note: Note) -> Result<Added> {
        self.write("add a branch", move |t| {
            let sql = "INSERT INTO branches(id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            let added = run(t, "add a branch", sql, params![branch.id.0, branch.name])?;
            if added == 0 {
                return Ok(Added::NameTaken);
            }
            append(t, &note)?;
            Ok(Added::Added)
        })
        .await
    }

    async fn rename_branch(&self, branch: BranchInfo, note: Note) -> Result<Changed> {
        let doing = "rename a branch";
        self.write(doing, move |t| {
            let sql = "SELECT id, name FROM branches WHERE id = ?1 OR name = ?2";
            let found = all(t, doing, sql, params![branch.id.0, branch.name], |row| {
                let get = |e| database(doing, e);
                Ok((row.get::<_, Uuid>(0).map_err(get)?, row.get::<_, String>(1).map_err(get)?))
            })?;
            let is_it = |(id, _): &&(Uuid, String)| *id == branch.id.0;
            match found.iter().find(is_it) {
                None => Ok(Changed::Missing),
                Some((_, name)) if *name == branch.name => Ok(Changed::Already),
                Some(_) if found.len() > 1 => Ok(Changed::NameTaken),
                Some(_) => {
                    let sql = "UPDATE branches SET name = ?2 WHERE id = ?1";
                    run(t, doing, sql, params![branch.id.0, branch.name])?;
                    append(t, &note)?;
                    Ok(Changed::Done)
                }
            }
        })
        .await
    }

    async fn branches(&self) -> Result<Vec<BranchInfo>> {
        self.read("list branches", |t| {
            let doing = "list branches";
            all(t, doing, "SELECT id, name FROM branches ORDER BY name", [], |row| {
                let id: Uuid = row.get(0).map_err(|e| database(doing, e))?;
                Ok(BranchInfo { id: BranchId(id), name: row.get(1).map_err(|e| database(doing, e))? })
            })
        })
        .await
    }

    async fn add_user(&self, user: UserRow, note: Note) -> Result<Added> {
        self.write("add a user", move |t| {
            let added = add_user(t, &user, note.at)?;
            if added == Added::Added {
                append(t, &note)?;
            }
            Ok(added)
        })
        .await
    }

    async fn change_user(&self, id: UserId, edit: UserEdit, note: Note) -> Result<Changed> {
        self.write("change a user", move |t| {
            let changed = change_user(t, id, &edit, note.at)?;
            if changed == Changed::Done {
                append(t, &note)?;
            }
            Ok(changed)
        })
        .await
    }

    async fn user_by_name(&self, username: &str) -> Result<Option<UserRow>> {
        let key = user_key(username);
        self.read("find a user", move |t| {
            let sql = format!(
                "SELECT {USER} FROM users u LEFT JOIN branches b ON b.id = u.branch WHERE u.username_key = ?1"
            );
            first(t, "find a user", &sql, [key], user)
        })
        .await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRow>> {
        let before = match self.known.user(id) {
            Ok(user) => return Ok(user),
            Err(before) => before,
        };
        let user = self.glance("find a user", move |t| user_in(t, id)).await?;
        self.known.keep_user(before, id, &user);
        Ok(user)
    }

    async fn device_owner(&self, device: DeviceId) -> Result<Option<UserId>> {
        let doing = "find a device";
        self.read(doing, move |t| {
            first(t, doing, "SELECT user FROM devices WHERE id = ?1", [device.0], |row| {
                Ok(UserId(row.get(0).map_err(|e| database(doing, e))?))
            })
        })
        .await
    }

    async fn users(&self) -> Result<Vec<UserRow>> {
        self.read("list users", |t| {
            let sql = format!(
                "SELECT {USER} FROM users u LEFT JOIN branches b ON b.id = u.branch ORDER BY u.username_key"
            );
            all(t, "list users", &sql, [], user)
        })
        .await
    }

    async fn colleagues(&self, branch: BranchId) -> Result<Vec<Colleague>> {
        self.read("list colleagues", move |t| {
            let doing = "list colleagues";
            let get = |e| database(doing, e);
            let sql = "SELECT id, name, role FROM users WHERE branch = ?1 AND disabled_ms IS NULL ORDER BY name, id";
            all(t, doing, sql, [branch.0], |row| {
                let role: String = row.get(2).map_err(get)?;
                Ok(Colleague {
                    id: UserId(row.get(0).map_err(get)?),
                    name: row.get(1).map_err(get)?,
                    role: role_of(&role)?,
                })
            })
        })
        .await
    }

    async fn devices(&self, branch: Option<BranchId>) -> Result<Vec<Device>> {
        self.read("list devices", move |t| {
            let sql = format!("{DEVICES} WHERE ?1 IS NULL OR u.branch = ?1 ORDER BY d.enrolled_ms, d.id");
            all(t, "list devices", &sql, [branch.map(|b| b.0)], device_of)
        })
        .await
    }

    async fn devices_heard(&self, since: Vec<Millis>) -> Result<Vec<u64>> {
        let doing = "count devices";
        self.read(doing, move |t| {
            let count = |at: &Millis| {
                first(t, doing, DEVICES_HEARD, [at], |row| {
                    Ok(to_u64(row.get(0).map_err(|e| database(doing, e))?))
                })
            };
            since.iter().map(|at| Ok(count(at)?.unwrap_or(0))).collect()
        })
        .await
    }

    async fn device(&self, id: DeviceId) -> Result<Option<Device>> {
        self.glance("find a device", move |t| {
            first(t, "find a device", &format!("{DEVICES} WHERE d.id = ?1"), [id.0], device_of)
        })
        .await
    }

    async fn device_heard(&self, id: DeviceId, at: Millis) -> Result<()> {
        let doing = "note that a device was heard of";
        let sql = "UPDATE devices SET seen_ms = max(seen_ms, ?2) WHERE id = ?1";
        self.write_apart(doing, move |t| run(t, doing, sql, params![id.0, at]).map(|_| ())).await
    }

    async fn revoke_device(&self, id: DeviceId, note: Note) -> Result<Changed> {
        let doing = "revoke a device";
        self.write(doing, move |t| {
            let sql = "UPDATE devices SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL";
            if run(t, doing, sql, params![id.0, note.at])? == 1 {
                append(t, &note)?;
                return Ok(Changed::Done);
            }
            let found = first(t, doing, "SELECT 1 FROM devices WHERE id = ?1", [id.0], |_| Ok(()))?;
            Ok(if found.is_some() { Changed::Already } else { Changed::Missing })
        })
        .await
    }

    async fn add_secret(&self, secret: NewSecret, note: Note) -> Result<Changed> {
        self.write("add a secret", move |t| secrets::add(t, secret, &note)).await
    }

    async fn revoke_secret(&self, user: UserId, secret: SecretId, note: Note) -> Result<Changed> {
        self.write("revoke a secret", move |t| secrets::revoke(t, user, secret, &note)).await
    }

    async fn secrets(&self) -> Result<Vec<(UserId, Secret)>> {
        self.read("list secrets", secrets::list).await
    }

    async fn user_by_secret(&self, hash: Hash, now: Millis) -> Result<Option<UserRow>> {
        self.write("find a secret", move |t| secrets::owner(t, hash, now)).await
    }

    async fn add_setup_token(&self, hash: Hash, expires: Millis, note: Note) -> Result<Changed> {
        self.write("add a setup token", move |t| secrets::add_setup_token(t, hash, expires, &note)).await
    }

    async fn set_up(&self, hash: Hash, user: UserRow, note: Note) -> Result<SetUpWith> {
        self.write("set up", move |t| secrets::set_up(t, hash, &user, &note)).await
    }

    async fn open_session(&self, session: NewSession) -> Result<Opened> {
        self.write("open a session", move |t| open_session(t, &session)).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated> {
        self.write("exchange a refresh token", move |t| rotate(t, &rotation)).await
    }

    async fn close_session(&self, token: Hash, now: Millis) -> Result<()> {
        self.write("close a session", move |t| {
            let sql = "UPDATE families SET revoked_ms = coalesce(revoked_ms, ?2) \
                       WHERE id = (SELECT family FROM refresh_tokens WHERE hash = ?1)";
            run(t, "close a session", sql, params![token.0, now]).map(|_| ())
        })
        .await
    }
}

const DEVICES: &str = "SELECT d.id, d.user, d.name, d.platform, d.enrolled_ms, d.seen_ms, d.drift_ms, \
                       d.head_seq, d.revoked_ms, d.follows FROM devices d JOIN users u ON u.id = d.user";

fn device_of(row: &rusqlite::Row<'_>) -> Result<Device> {
    let get = |e| database("read a device", e);
    Ok(Device {
        id: DeviceId(row.get(0).map_err(get)?),
        user: UserId(row.get(1).map_err(get)?),
        name: row.get(2).map_err(get)?,
        platform: row.get(3).map_err(get)?,
        enrolled_at: row.get(4).map_err(get)?,
        seen_at: row.get(5).map_err(get)?,
        drift_ms: row.get(6).map_err(get)?,
        events: super::rows::to_u64(row.get(7).map_err(get)?),
        revoked_at: row.get(8).map_err(get)?,
        follows: row.get::<_, Option<Uuid>>(9).map_err(get)?.map(DeviceId),
    })
}

pub(super) fn user_in(t: &Connection, id: UserId) -> Result<Option<UserRow>> {
    let sql = format!("SELECT {USER} FROM users u LEFT JOIN branches b ON b.id = u.branch WHERE u.id = ?1");
    first(t, "find a user", &sql, [id.0], user)
}

pub(super) fn add_user(t: &Transaction<'_>, user: &UserRow, now: Millis) -> Result<Added> {
    let added = run(
        t,
        "add a user",
        "INSERT INTO users(id, username, username_key, name, role, branch, password_hash, disabled_ms, \
         created_ms, scopes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        params![
            user.id.0,
            user.username,
            user_key(&user.username),
            user.name,
            user.role.as_str(),
            user.branch.as_ref().map(|b| b.id.0),
            user.password_hash,
            user.disabled.then_some(now),
            now,
            Scope::write_list(&user.scopes)
        ],
    )?;
    Ok(if added == 1 { Added::Added } else { Added::NameTaken })
}

/// Whether there is an administrator who can sign in, other than this one.
pub(super) fn another_admin(t: &Transaction<'_>, than: Option<UserId>) -> Result<bool> {
    let sql = "SELECT 1 FROM users WHERE role = 'admin' AND disabled_ms IS NULL AND id IS NOT ?1";
    Ok(first(t, "find an administrator", sql, [than.map(|id| id.0)], |_| Ok(()))?.is_some())
}

fn change_user(t: &Transaction<'_>, id: UserId, edit: &UserEdit, now: Millis) -> Result<Changed> {
    let doing = "change a user";
    let Some(user) = user_in(t, id)? else { return Ok(Changed::Missing) };
    if edit.holds_of(&user) {
        return Ok(Changed::Already);
    }
    match edit {
        UserEdit::Disable => {
            if user.role == Role::Admin && !another_admin(t, Some(id))? {
                return Ok(Changed::LastAdmin);
            }
            run(t, doing, "UPDATE users SET disabled_ms = ?2 WHERE id = ?1", params![id.0, now])?;
        }
        UserEdit::Enable => {
            run(t, doing, "UPDATE users SET disabled_ms = NULL WHERE id = ?1", [id.0])?;
        }
        UserEdit::Rename(name) => {
            run(t, doing, "UPDATE users SET name = ?2 WHERE id = ?1", params![id.0, name])?;
        }
        UserEdit::SetPassword(hash) => {
            run(t, doing, "UPDATE users SET password_hash = ?2 WHERE id = ?1", params![id.0, hash])?;
            let sql = "UPDATE families SET revoked_ms = ?2 WHERE user = ?1 AND revoked_ms IS NULL";
            run(t, doing, sql, params![id.0, now])?;
        }
        UserEdit::Grant(scopes) => {
            let scopes = Scope::write_list(scopes);
            run(t, doing, "UPDATE users SET scopes = ?2 WHERE id = ?1", params![id.0, scopes])?;
        }
    }
    Ok(Changed::Done)
}

fn open_session(t: &Transaction<'_>, session: &NewSession) -> Result<Opened> {
    let doing = "open a session";
    if let Some(device) = &session.device {
        run(
            t,
            doing,
            "INSERT INTO devices(id, user, name, platform, enrolled_ms, seen_ms, head_hash, follows, key, revoked_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, (SELECT revoked_ms FROM devices WHERE id = ?7)) ON CONFLICT(id) DO UPDATE \
             SET name = excluded.name, platform = excluded.platform, seen_ms = excluded.seen_ms, \
             key = coalesce(key, excluded.key) \
             WHERE user = excluded.user AND (key IS NULL OR key IS excluded.key)",
            params![
                device.id.0,
                session.user.0,
                device.name,
                device.platform,
                session.now,
                Hash::ZERO.0,
                session.follows.map(|d| d.0),
                session.key.as_ref().map(Thumbprint::as_str)
            ],
        )?;
        let sql = "SELECT user = ?2, key IS ?3 FROM devices WHERE id = ?1";
        let key = session.key.as_ref().map(Thumbprint::as_str);
        let found = first(t, doing, sql, params![device.id.0, session.user.0, key], |row| {
            let get = |e| database(doing, e);
            Ok((row.get(0).map_err(get)?, row.get(1).map_err(get)?))
        })?;
        match found {
            Some((true, true)) => {}
            Some((true, false)) => return Ok(Opened::OtherKey),
            Some((false, _)) | None => return Ok(Opened::DeviceOfAnother),
        }
        let sql = "SELECT 1 FROM devices WHERE id = ?1 AND revoked_ms IS NOT NULL";
        // One that goes on from a revoked one delivers what was captured, and no more.
        if session.follows.is_none() && first(t, doing, sql, [device.id.0], |_| Ok(()))?.is_some() {
            return Ok(Opened::DeviceRevoked);
        }
    }
    run(
        t,
        doing,
        "INSERT INTO families(id, user, device, opened_ms) VALUES (?1, ?2, ?3, ?4)",
        params![session.family, session.user.0, session.device.as_ref().map(|d| d.id.0), session.now],
    )?;
    let expires = match session.follows {
        None => session.expires,
        // Going on under another identity prolongs nothing, however often.
        Some(follows) => {
            let sql = "SELECT max(r.expires_ms) FROM refresh_tokens r JOIN families f ON f.id = r.family \
                       WHERE f.device = ?1";
            let end: Option<Millis> =
                first(t, doing, sql, [follows.0], |row| row.get(0).map_err(|e| database(doing, e)))?
                    .flatten();
            session.expires.min(end.unwrap_or(session.now))
        }
    };
    add_token(t, &session.token, session.family, session.now, expires)?;
    // Tokens that ended long ago say nothing any more; a reuse of one reads as unknown.
    let week = 7 * 24 * 3600 * 1000;
    let sql = "DELETE FROM refresh_tokens WHERE expires_ms < ?1 AND family IN \
               (SELECT id FROM families WHERE user = ?2)";
    run(t, doing, sql, params![session.now - week, session.user.0])?;
    append(t, &session.note())?;
    Ok(Opened::Opened)
}

fn add_token(t: &Transaction<'_>, token: &Hash, family: Uuid, now: Millis, expires: Millis) -> Result<()> {
    let sql = "INSERT INTO refresh_tokens(hash, family, issued_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)";
    run(t, "store a refresh token", sql, params![token.0, family, now, expires]).map(|_| ())
}

fn token_in(t: &Transaction<'_>, token: &Hash) -> Result<Option<Token>> {
    let doing = "find a refresh token";
    let get = |e| database(doing, e);
    let sql = "SELECT r.family, r.expires_ms, r.used_ms, r.successor, f.user, f.device, f.revoked_ms, \
               d.revoked_ms, d.key FROM refresh_tokens r JOIN families f ON f.id = r.family \
               LEFT JOIN devices d ON d.id = f.device WHERE r.hash = ?1";
    first(t, doing, sql, [token.0], |row| {
        Ok(Token {
            family: row.get(0).map_err(get)?,
            expires: row.get(1).map_err(get)?,
            used: row.get(2).map_err(get)?,
            successor: row.get::<_, Option<Vec<u8>>>(3).map_err(get)?.map(hash).transpose()?,
            user: UserId(row.get(4).map_err(get)?),
            device: row.get::<_, Option<Uuid>>(5).map_err(get)?.map(DeviceId),
            revoked: row.get::<_, Option<i64>>(6).map_err(get)?.is_some(),
            device_revoked: row.get::<_, Option<i64>>(7).map_err(get)?.is_some(),
            key: row.get::<_, Option<String>>(8).map_err(get)?.map(Thumbprint),
        })
    })
}

fn rotate(t: &Transaction<'_>, rotation: &Rotation) -> Result<Rotated> {
    let doing = "exchange a refresh token";
    let Some(token) = token_in(t, &rotation.presented)? else { return Ok(Rotated::Unknown) };
    let Some(user) = user_in(t, token.user)? else { return Ok(Rotated::Unknown) };
    let successor_unused = match token.successor {
        Some(successor) => token_in(t, &successor)?.is_some_and(|s| s.used.is_none()),
        None => false,
    };
    match decide(&token, user, successor_unused, rotation) {
        Step::Answer(answer) => Ok(answer),
        Step::Revoke(answer, note) => {
            let sql = "UPDATE families SET revoked_ms = ?2 WHERE id = ?1";
            run(t, doing, sql, params![token.family, rotation.now])?;
            append(t, &note)?;
            Ok(answer)
        }
        Step::Exchange(expires, answer) => {
            let sql = "UPDATE refresh_tokens SET used_ms = ?2, successor = ?3 WHERE hash = ?1";
            run(t, doing, sql, params![rotation.presented.0, rotation.now, rotation.successor.0])?;
            add_token(t, &rotation.successor, token.family, rotation.now, expires)?;
            if let Some(device) = token.device {
                let sql = "UPDATE devices SET seen_ms = ?2, key = coalesce(key, ?3) WHERE id = ?1";
                let key = rotation.key.as_ref().map(Thumbprint::as_str);
                run(t, doing, sql, params![device.0, rotation.now, key])?;
            }
            Ok(answer)
        }
    }
}
