//! Seeing to branches, people and devices: what they may be called and be. For the API, the command line, the
//! demonstration and tests alike. Every change is noted with who made it.

use crate::clock::now_ms;
use crate::error::ServerError;
use crate::identity::passwords::Passwords;
use crate::store::{Added, Changed, Note, Store, UserEdit, UserRow, user_key};
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::{AddUser, BranchInfo, Deed, Device, Doer, Person, Role, UserChange};
use vereda_domain::{BranchId, DeviceId, UserId};

/// Adds and changes people, branches, devices and, in [`super::services`], other systems.
#[derive(Clone)]
pub struct People {
    pub(super) store: Arc<dyn Store>,
    passwords: Passwords,
    by: Doer,
}

impl From<UserRow> for Person {
    fn from(row: UserRow) -> Person {
        let UserRow { id, username, name, role, branch, disabled, .. } = row;
        Person { id, username, name, role, branch, disabled }
    }
}

impl People {
    /// Over this store, for whoever sits at the server.
    pub fn new(store: Arc<dyn Store>, passwords: Passwords) -> People {
        People { store, passwords, by: Doer::CommandLine }
    }

    /// On behalf of somebody else.
    pub fn by(self, by: Doer) -> People {
        People { by, ..self }
    }

    pub(super) fn note(&self, deed: Deed) -> Note {
        Note { by: self.by, at: now_ms(), deed }
    }

    /// Adds a branch.
    ///
    /// # Errors
    /// [`ServerError::Field`] for a name that none can have, [`ServerError::People`] for one that is taken.
    pub async fn add_branch(&self, name: &str) -> Result<BranchInfo, ServerError> {
        let branch = BranchInfo { id: BranchId(Uuid::now_v7()), name: checked_name(name)? };
        let note = self.note(Deed::BranchAdded { branch: branch.id, name: branch.name.clone() });
        match self.store.add_branch(branch.clone(), note).await? {
            Added::Added => Ok(branch),
            Added::NameTaken => Err(branch_taken(&branch.name)),
        }
    }

    /// Gives a branch another name.
    ///
    /// # Errors
    /// As [`People::add_branch`], and [`ServerError::NoSuch`].
    pub async fn rename_branch(&self, id: BranchId, name: &str) -> Result<BranchInfo, ServerError> {
        let branch = BranchInfo { id, name: checked_name(name)? };
        let note = self.note(Deed::BranchRenamed { branch: id, name: branch.name.clone() });
        match self.store.rename_branch(branch.clone(), note).await? {
            Changed::NameTaken => Err(branch_taken(&branch.name)),
            changed => done(changed, "branch").map(|()| branch),
        }
    }

    /// Every branch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn branches(&self) -> Result<Vec<BranchInfo>, ServerError> {
        Ok(self.store.branches().await?)
    }

    /// One branch.
    pub(super) async fn branch(&self, id: BranchId) -> Result<BranchInfo, ServerError> {
        let found = self.store.branches().await?.into_iter().find(|branch| branch.id == id);
        found.ok_or_else(|| ServerError::field("branch", "the id of a branch"))
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`ServerError::Field`] saying what is wrong with the name, password, role or branch;
    /// [`ServerError::People`] for a user name that is taken.
    pub async fn add_user(&self, new: AddUser) -> Result<Person, ServerError> {
        let row = self.checked_user(new).await?;
        let note = self.note(added(&row));
        match self.store.add_user(row.clone(), note).await? {
            Added::Added => Ok(row.into()),
            Added::NameTaken => Err(user_taken(&row.username)),
        }
    }

    pub(super) async fn checked_user(&self, new: AddUser) -> Result<UserRow, ServerError> {
        let (username, name) = (checked_username(&new.username)?, checked_name(&new.name)?);
        let branch = match (new.role, new.branch) {
            (Role::Service, _) => {
                let roles = "a role of people; another system is added as a service";
                return Err(ServerError::field("role", roles));
            }
            (Role::Officer | Role::Manager, None) => {
                return Err(ServerError::field("branch", "given for officers and managers"));
            }
            (Role::Analyst | Role::Admin, Some(_)) => {
                return Err(ServerError::field("branch", "left out for analysts and administrators"));
            }
            (Role::Analyst | Role::Admin, None) => None,
            (Role::Officer | Role::Manager, Some(id)) => Some(self.branch(id).await?),
        };
        let password_hash = self.passwords.hash(&new.password).await?;
        let (id, role) = (UserId(Uuid::now_v7()), new.role);
        Ok(UserRow { id, username, name, role, branch, password_hash, scopes: Vec::new(), disabled: false })
    }

    /// Changes a user, who may be a service.
    ///
    /// # Errors
    /// [`ServerError::NoSuch`]; [`ServerError::Field`] for a name or a password that none can have;
    /// [`ServerError::People`] for what would leave nobody to see to people, or give a service a password.
    pub async fn change_user(&self, id: UserId, change: UserChange) -> Result<Person, ServerError> {
        let (edit, deed) = match change {
            UserChange::Disable => (UserEdit::Disable, Deed::UserDisabled { user: id }),
            UserChange::Enable => (UserEdit::Enable, Deed::UserEnabled { user: id }),
            UserChange::Rename { name } => {
                (UserEdit::Rename(checked_name(&name)?), Deed::UserRenamed { user: id })
            }
            UserChange::SetPassword { password } => {
                if self.user(id).await?.role == Role::Service {
                    let why = "a service has secrets and no password".into();
                    return Err(ServerError::People(why));
                }
                let hash = self.passwords.hash(&password).await?;
                (UserEdit::SetPassword(hash), Deed::PasswordSet { user: id })
            }
        };
        done(self.store.change_user(id, edit, self.note(deed)).await?, "user")?;
        Ok(self.user(id).await?.into())
    }

    /// One user.
    pub(super) async fn user(&self, id: UserId) -> Result<UserRow, ServerError> {
        self.store.user(id).await?.ok_or(ServerError::NoSuch("user"))
    }

    /// The user, or the service, of this name.
    ///
    /// # Errors
    /// [`ServerError::People`] when there is none.
    pub async fn named(&self, username: &str) -> Result<UserRow, ServerError> {
        let missing = || ServerError::People(format!("there is no user {:?}", user_key(username)));
        self.store.user_by_name(username).await?.ok_or_else(missing)
    }

    /// Disables a user by name: they cannot sign in any more, and what they captured is still taken in.
    ///
    /// # Errors
    /// As [`People::named`] and [`People::change_user`].
    pub async fn disable_user(&self, username: &str) -> Result<(), ServerError> {
        let user = self.named(username).await?;
        self.change_user(user.id, UserChange::Disable).await.map(|_| ())
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
    /// [`ServerError::NoSuch`].
    pub async fn revoke_device(&self, id: DeviceId) -> Result<(), ServerError> {
        let note = self.note(Deed::DeviceRevoked { device: id });
        done(self.store.revoke_device(id, note).await?, "device")
    }

    /// Everybody, disabled or not, services too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self) -> Result<Vec<UserRow>, ServerError> {
        Ok(self.store.users().await?)
    }
}

/// What is noted of somebody new.
pub(super) fn added(row: &UserRow) -> Deed {
    Deed::UserAdded {
        user: row.id,
        username: row.username.clone(),
        role: row.role,
        branch: row.branch.as_ref().map(|branch| branch.id),
        scopes: row.scopes.clone(),
    }
}

/// What there is to say to who asked for a change: nothing, when it is as they wanted it.
pub(super) fn done(changed: Changed, what: &'static str) -> Result<(), ServerError> {
    match changed {
        Changed::Done | Changed::Already => Ok(()),
        Changed::Missing => Err(ServerError::NoSuch(what)),
        Changed::NameTaken => Err(ServerError::People(format!("another {what} has that name"))),
        Changed::LastAdmin => Err(ServerError::People(
            "this is the last administrator who can sign in: add another one first".into(),
        )),
        Changed::TooMany => {
            Err(ServerError::People("two secrets hold already: revoke the one that is not used".into()))
        }
    }
}

pub(super) fn user_taken(username: &str) -> ServerError {
    ServerError::People(format!("there is a user {:?} already; give another name", user_key(username)))
}

fn branch_taken(name: &str) -> ServerError {
    ServerError::People(format!("there is a branch {name:?} already; give another name"))
}

pub(super) fn checked_username(username: &str) -> Result<String, ServerError> {
    let fits = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
    if username.is_empty() || username.chars().count() > 64 || !username.chars().all(fits) {
        return Err(ServerError::field("username", "1 to 64 letters, digits or one of . - _ @"));
    }
    Ok(username.to_owned())
}

pub(super) fn checked_name(name: &str) -> Result<String, ServerError> {
    if name.trim().is_empty() || name.chars().count() > 120 || name.chars().any(char::is_control) {
        let allowed = "a text of 1 to 120 characters, none of them control characters";
        return Err(ServerError::field("name", allowed));
    }
    Ok(name.trim().to_owned())
}
