//! Other systems, with scopes and secrets; and the first administrator, with a token that works once.

use super::keys::random;
use super::people::{People, added, checked_name, checked_username, done, user_taken};
use crate::clock::now_ms;
use crate::error::ServerError;
use crate::store::{Added, NewSecret, SetUpWith, UserEdit, UserRow};
use uuid::Uuid;
use vereda_domain::api::{
    AddService, AddUser, Deed, Doer, IssuedSecret, Person, Role, Scope, Secret, ServiceAccount, SetUp,
};
use vereda_domain::event::Hash;
use vereda_domain::{Millis, SecretId, UserId};

/// What a service's secret begins with, so that one that leaked is recognised by those who look for such.
const SECRET: &str = "vereda_secret_";
/// What a setup token begins with.
const SETUP: &str = "vereda_setup_";
/// How long a setup token holds.
const SETUP_MS: Millis = 3_600_000;

/// What is stored of a secret. It is as random as its hash is long, so it needs no salt and no slow hash.
pub fn secret_hash(secret: &str) -> Hash {
    Hash::of(secret.as_bytes())
}

fn new_secret(prefix: &str) -> Result<String, ServerError> {
    Ok(format!("{prefix}{}", hex::encode(random::<32>()?)))
}

fn account(row: UserRow, secrets: &[(UserId, Secret)]) -> ServiceAccount {
    let UserRow { id, username, name, branch, scopes, disabled, .. } = row;
    let secrets = secrets.iter().filter(|(user, _)| *user == id).map(|(_, secret)| secret.clone()).collect();
    ServiceAccount { id, username, name, branch, scopes, disabled, secrets }
}

fn checked_scopes(mut scopes: Vec<Scope>) -> Result<Vec<Scope>, ServerError> {
    if !(1..=Scope::ALL.len()).contains(&scopes.len()) {
        return Err(ServerError::field("scopes", "one to three scopes"));
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

impl People {
    /// Adds another system. It signs in with a secret: see [`People::issue_secret`].
    ///
    /// # Errors
    /// [`ServerError::Field`], and [`ServerError::People`] for a name that is taken.
    pub async fn add_service(&self, new: AddService) -> Result<ServiceAccount, ServerError> {
        let branch = match new.branch {
            None => None,
            Some(id) => Some(self.branch(id).await?),
        };
        let row = UserRow {
            id: UserId(Uuid::now_v7()),
            username: checked_username(&new.username)?,
            name: checked_name(&new.name)?,
            role: Role::Service,
            branch,
            password_hash: String::new(),
            scopes: checked_scopes(new.scopes)?,
            disabled: false,
        };
        let note = self.note(added(&row));
        match self.store.add_user(row.clone(), note).await? {
            Added::Added => Ok(account(row, &[])),
            Added::NameTaken => Err(user_taken(&row.username)),
        }
    }

    /// Every system.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn services(&self) -> Result<Vec<ServiceAccount>, ServerError> {
        let secrets = self.store.secrets().await?;
        let services = self.store.users().await?.into_iter().filter(|row| row.role == Role::Service);
        Ok(services.map(|row| account(row, &secrets)).collect())
    }

    async fn service(&self, id: UserId) -> Result<UserRow, ServerError> {
        match self.user(id).await {
            Ok(row) if row.role == Role::Service => Ok(row),
            Ok(_) | Err(ServerError::NoSuch(_)) => Err(ServerError::NoSuch("service")),
            Err(error) => Err(error),
        }
    }

    /// Says what a system may do from now on; tokens that say more hold for no more.
    ///
    /// # Errors
    /// [`ServerError::NoSuch`], [`ServerError::Field`].
    pub async fn grant(&self, id: UserId, scopes: Vec<Scope>) -> Result<ServiceAccount, ServerError> {
        self.service(id).await?;
        let scopes = checked_scopes(scopes)?;
        let note = self.note(Deed::ScopesGranted { user: id, scopes: scopes.clone() });
        done(self.store.change_user(id, UserEdit::Grant(scopes), note).await?, "service")?;
        Ok(account(self.service(id).await?, &self.store.secrets().await?))
    }

    /// Makes a secret for a system: 256 random bits, of which only the hash is kept. Two hold at the same time,
    /// so that one follows the other without a gap.
    ///
    /// # Errors
    /// [`ServerError::NoSuch`]; [`ServerError::People`] when two hold already.
    pub async fn issue_secret(&self, id: UserId) -> Result<IssuedSecret, ServerError> {
        let client_id = self.service(id).await?.username;
        let (client_secret, secret) = (new_secret(SECRET)?, SecretId(Uuid::now_v7()));
        let new = NewSecret { id: secret, user: id, hash: secret_hash(&client_secret) };
        let note = self.note(Deed::SecretIssued { user: id, secret });
        done(self.store.add_secret(new, note).await?, "service")?;
        Ok(IssuedSecret { id: secret, client_id, client_secret })
    }

    /// Ends a secret; tokens that were made with it hold until they end.
    ///
    /// # Errors
    /// [`ServerError::NoSuch`].
    pub async fn revoke_secret(&self, id: UserId, secret: SecretId) -> Result<(), ServerError> {
        let note = self.note(Deed::SecretRevoked { user: id, secret });
        done(self.store.revoke_secret(id, secret, note).await?, "secret")
    }

    /// Makes a token for the first administrator, with when it ends.
    ///
    /// # Errors
    /// [`ServerError::People`] when there is an administrator.
    pub async fn issue_setup_token(&self) -> Result<(String, Millis), ServerError> {
        let (token, expires) = (new_secret(SETUP)?, now_ms().saturating_add(SETUP_MS));
        let note = self.note(Deed::SetupTokenIssued { expires });
        match self.store.add_setup_token(secret_hash(&token), expires, note).await? {
            crate::store::Changed::Already => Err(administered()),
            changed => done(changed, "setup token").map(|()| (token, expires)),
        }
    }

    /// Makes the first administrator.
    ///
    /// # Errors
    /// [`ServerError::SetupToken`]; [`ServerError::Field`]; [`ServerError::People`] when there is an
    /// administrator, or the name is taken.
    pub async fn set_up(&self, asked: SetUp) -> Result<Person, ServerError> {
        let SetUp { token, username, name, password } = asked;
        let role = Role::Admin;
        let row = self.checked_user(AddUser { username, name, password, role, branch: None }).await?;
        let note = self.clone().by(Doer::Setup).note(added(&row));
        match self.store.set_up(secret_hash(&token), row.clone(), note).await? {
            SetUpWith::Done => Ok(row.into()),
            SetUpWith::Unknown => Err(ServerError::SetupToken),
            SetUpWith::Administered => Err(administered()),
            SetUpWith::NameTaken => Err(user_taken(&row.username)),
        }
    }
}

fn administered() -> ServerError {
    ServerError::People("there is an administrator already, who adds the others".into())
}
