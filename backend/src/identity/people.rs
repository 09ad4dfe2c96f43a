//! Adding branches and people, for the command line, the demonstration and tests.

use crate::clock::now_ms;
use crate::error::ServerError;
use crate::identity::passwords::Passwords;
use crate::store::{Added, Store, UserRow, user_key};
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::{BranchInfo, Device, Role, UserInfo};
use vereda_domain::{BranchId, DeviceId, UserId};

/// Adds and disables people.
#[derive(Clone)]
pub struct People {
    store: Arc<dyn Store>,
    passwords: Passwords,
}

/// Somebody new.
#[derive(Clone)]
pub struct NewUser {
    /// What they will sign in with: letters, digits, `.`, `-`, `_` and `@`.
    pub username: String,
    /// What people call them.
    pub name: String,
    /// At least [`crate::identity::passwords::MIN_CHARS`] characters.
    pub password: String,
    /// What they may do.
    pub role: Role,
    /// Where; officers and managers need one, analysts and administrators have none.
    pub branch: Option<BranchId>,
}

impl People {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>, passwords: Passwords) -> People {
        People { store, passwords }
    }

    /// Adds a branch.
    ///
    /// # Errors
    /// [`ServerError::People`] when the name is empty, too long or taken.
    pub async fn add_branch(&self, name: &str) -> Result<BranchInfo, ServerError> {
        let name = checked_name("branch", name)?;
        let branch = BranchInfo { id: BranchId(Uuid::now_v7()), name };
        match self.store.add_branch(branch.clone()).await? {
            Added::Added => Ok(branch),
            Added::NameTaken => Err(ServerError::People(format!(
                "there is a branch {:?} already; give another name",
                branch.name
            ))),
        }
    }

    /// Every branch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn branches(&self) -> Result<Vec<BranchInfo>, ServerError> {
        Ok(self.store.branches().await?)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`ServerError::People`] saying what is wrong with the name, password, role or branch.
    pub async fn add_user(&self, new: NewUser) -> Result<UserInfo, ServerError> {
        let username = new.username.trim().to_owned();
        let fits = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
        if username.is_empty() || username.chars().count() > 64 || !username.chars().all(fits) {
            return Err(ServerError::People(
                "a user name has 1 to 64 letters, digits or one of . - _ @".into(),
            ));
        }
        let name = checked_name("person", &new.name)?;
        let branch = match (new.role, new.branch) {
            (Role::Officer | Role::Manager, None) => {
                return Err(ServerError::People("officers and managers belong to a branch: name one".into()));
            }
            (Role::Analyst | Role::Admin, Some(_)) => {
                return Err(ServerError::People("analysts and administrators belong to no branch".into()));
            }
            (_, None) => None,
            (_, Some(id)) => {
                let branches = self.store.branches().await?;
                let found = branches.into_iter().find(|b| b.id == id);
                Some(found.ok_or_else(|| ServerError::People("there is no such branch".into()))?)
            }
        };
        let row = UserRow {
            id: UserId(Uuid::now_v7()),
            username: username.clone(),
            name: name.clone(),
            role: new.role,
            branch: branch.clone(),
            password_hash: self.passwords.hash(&new.password).await?,
            disabled: false,
        };
        let id = row.id;
        match self.store.add_user(row, now_ms()).await? {
            Added::Added => Ok(UserInfo { id, username, name, role: new.role, branch }),
            Added::NameTaken => Err(ServerError::People(format!(
                "there is a user {:?} already; give another name",
                user_key(&username)
            ))),
        }
    }

    /// Disables a user and ends their sessions.
    ///
    /// # Errors
    /// [`ServerError::People`] when there is no such user.
    pub async fn disable_user(&self, username: &str) -> Result<(), ServerError> {
        if self.store.disable_user(username, now_ms()).await? {
            Ok(())
        } else {
            Err(ServerError::People(format!("there is no user {:?}", user_key(username))))
        }
    }

    /// Every device.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn devices(&self) -> Result<Vec<Device>, ServerError> {
        Ok(self.store.devices(None).await?)
    }

    /// Ends a device's access, but for delivering what was captured.
    ///
    /// # Errors
    /// [`ServerError::People`] when there is no such device.
    pub async fn revoke_device(&self, id: DeviceId) -> Result<(), ServerError> {
        if self.store.revoke_device(id, now_ms()).await? {
            Ok(())
        } else {
            Err(ServerError::People(format!("there is no device {id}")))
        }
    }

    /// Everybody, disabled or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self) -> Result<Vec<UserRow>, ServerError> {
        Ok(self.store.users().await?)
    }
}

fn checked_name(what: &str, name: &str) -> Result<String, ServerError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 120 || name.chars().any(char::is_control) {
        return Err(ServerError::People(format!(
            "the name of a {what} has 1 to 120 characters, none of them control characters"
        )));
    }
    Ok(name.to_owned())
}
