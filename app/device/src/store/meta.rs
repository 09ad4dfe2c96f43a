//! Single values: who, where, the session, the clock, the state of sync.

use crate::error::{DeviceError, Result};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use vereda_domain::api::{BranchInfo, Colleague, Receipt, Role, UserInfo};
use vereda_domain::gateway::{SyncError, UserView};
use vereda_domain::{BranchId, DeviceId, Millis, UserId};

/// Who works with this store, for whom, and whose chain it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub user: UserInfo,
    pub branch: BranchInfo,
    pub device: DeviceId,
    pub server: String,
}

impl Identity {
    /// From what the server said at sign-in.
    pub(crate) fn new(user: UserInfo, device: DeviceId, server: String) -> Result<Identity> {
        if !matches!(user.role, Role::Officer | Role::Manager) {
            return Err(DeviceError::RoleNotForApp(user.role));
        }
        let branch = user.branch.clone().ok_or(DeviceError::RoleNotForApp(user.role))?;
        Ok(Identity { user, branch, device, server })
    }

    pub(crate) fn view(&self) -> UserView {
        UserView {
            id: self.user.id,
            username: self.user.username.clone(),
            name: self.user.name.clone(),
            role: self.user.role,
            branch: self.branch.name.clone(),
            server: self.server.clone(),
        }
    }

    pub(crate) fn me(&self) -> UserId {
        self.user.id
    }

    pub(crate) fn branch_id(&self) -> BranchId {
        self.branch.id
    }

    pub(crate) fn is_manager(&self) -> bool {
        self.user.role == Role::Manager
    }
}

/// A value's name and type.
pub(crate) struct Key<T>(&'static str, std::marker::PhantomData<fn() -> T>);

impl<T> Key<T> {
    const fn new(name: &'static str) -> Self {
        Key(name, std::marker::PhantomData)
    }
}

pub(crate) const IDENTITY: Key<Identity> = Key::new("identity");
/// [`super::project::VERSION`] that made the projections.
pub(crate) const PROJECTION: Key<u32> = Key::new("projection");
/// The device's own key, as PKCS #8 in hexadecimal digits: see [`crate::sync::proof`].
pub(crate) const DEVICE_KEY: Key<String> = Key::new("device_key");
pub(crate) const REFRESH_TOKEN: Key<String> = Key::new("refresh_token");
/// The last timestamp made or seen.
pub(crate) const CLOCK: Key<vereda_domain::hlc::Hlc> = Key::new("clock");
pub(crate) const CURSOR: Key<u64> = Key::new("cursor");
/// The furthest place in the branch's changes that the server told of: of what it holds, nothing that this device relies on
/// is past that.
pub(crate) const SEEN: Key<u64> = Key::new("seen");
/// What of a first pull is still to come. Stores have it under the name of what it was at first.
pub(crate) const FIRST_PULL: Key<FirstPull> = Key::new("earlier");
pub(crate) const RECEIPT: Key<Receipt> = Key::new("receipt");
/// Under which this device goes on, since its chain forked: made before the server is asked.
pub(crate) const NEXT_DEVICE: Key<DeviceId> = Key::new("next_device");
/// The app's version that last tried what could not be read.
pub(crate) const TRIED_BY: Key<String> = Key::new("tried_by");
pub(crate) const DRIFT_MS: Key<Millis> = Key::new("drift_ms");
pub(crate) const DONE_AT: Key<Millis> = Key::new("done_at");
pub(crate) const LAST_ERROR: Key<SyncError> = Key::new("last_error");

/// How far a first pull is, which brings everybody with their last assessment before the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FirstPull {
    /// Up to here the others came.
    pub cursor: u64,
    /// Up to here they are to come: where the branch's changes stood when the first part began. None where an app before
    /// 2026-12 noted that the first part goes on; it begins anew.
    pub until: Option<u64>,
    /// While the first part goes on: where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

pub(crate) fn get<T: DeserializeOwned>(db: &Connection, key: &Key<T>) -> Result<Option<T>> {
    let text: Option<String> = db
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key.0], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

pub(crate) fn set<T: Serialize>(db: &Connection, key: &Key<T>, value: &T) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute((key.0, serde_json::to_string(value)?))?;
    Ok(())
}

/// Everything is pulled from the beginning.
pub(crate) fn pull_anew(db: &Connection) -> Result<()> {
    clear(db, &CURSOR)?;
    clear(db, &SEEN)?;
    clear(db, &FIRST_PULL)
}

/// The server told of this place.
pub(crate) fn see(db: &Connection, end: u64) -> Result<()> {
    if end > get(db, &SEEN)?.unwrap_or(0) { set(db, &SEEN, &end) } else { Ok(()) }
}

pub(crate) fn clear<T>(db: &Connection, key: &Key<T>) -> Result<()> {
    db.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key.0])?;
    Ok(())
}

/// Names for ids: the branch's people as of the last sign-in or refresh. Somebody who left stays.
pub(crate) fn set_people(db: &Connection, people: &[Colleague]) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO people (id, name, role) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role",
    )?;
    for person in people {
        statement.execute((person.id.to_string(), &person.name, person.role.as_str()))?;
    }
    Ok(())
}

/// Everybody's name, by id.
pub(crate) struct People(HashMap<String, String>);

impl People {
    pub(crate) fn load(db: &Connection) -> Result<People> {
        let mut statement = db.prepare_cached("SELECT id, name FROM people")?;
        let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(People(names.collect::<Result<_, _>>()?))
    }

    /// The name, or the beginning of the id for somebody whom the server never named.
    pub(crate) fn name(&self, id: &str) -> String {
        self.0.get(id).cloned().unwrap_or_else(|| id.chars().take(8).collect())
    }

    pub(crate) fn of(&self, user: UserId) -> String {
        self.name(&user.to_string())
    }
}
