//! People, their sessions and devices, and other systems' secrets.

use super::*;

/// A user as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Their id.
    pub id: UserId,
    /// What they sign in with; compared as [`user_key`] makes it.
    pub username: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where, if anywhere.
    pub branch: Option<BranchInfo>,
    /// A PHC string; empty for services, which have secrets.
    pub password_hash: String,
    /// What a service may do; nobody else has any.
    pub scopes: Vec<Scope>,
    /// Whether they may not sign in any more.
    pub disabled: bool,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRow").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Counts the devices that were heard of since a time, of those that are waited for: what a fork left behind will
/// never be heard of again. SQL of every database.
pub(super) const DEVICES_HEARD: &str = "SELECT count(*) FROM devices d JOIN users u ON u.id = d.\"user\" \
    WHERE d.revoked_ms IS NULL AND u.disabled_ms IS NULL AND d.seen_ms >= $1 \
    AND d.id NOT IN (SELECT follows FROM devices WHERE follows IS NOT NULL)";

/// An hour.
pub(super) const HOUR_MS: Millis = 3_600_000;

/// A user name as it is compared: trimmed, lower case.
pub fn user_key(username: &str) -> String {
    username.trim().to_lowercase()
}

/// Whether something was added, or its name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    Added,
    /// Another one has that name.
    NameTaken,
}

/// What is to become of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum UserEdit {
    /// They cannot sign in any more. What they captured is still taken in.
    Disable,
    /// They can again.
    Enable,
    /// People call them this.
    Rename(String),
    /// They have another password, as a PHC string, and their sessions end.
    SetPassword(String),
    /// A service may do this.
    Grant(Vec<Scope>),
}

impl UserEdit {
    /// Whether it is so already.
    pub(super) fn holds_of(&self, user: &UserRow) -> bool {
        match self {
            UserEdit::Disable => user.disabled,
            UserEdit::Enable => !user.disabled,
            UserEdit::Rename(name) => *name == user.name,
            // The same password under another salt is another hash; sessions end all the same.
            UserEdit::SetPassword(_) => false,
            UserEdit::Grant(scopes) => *scopes == user.scopes,
        }
    }
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is made.
    Done,
    /// It was so before; nothing is noted.
    Already,
    /// There is nothing to change.
    Missing,
    /// Another one has that name.
    NameTaken,
    /// Nobody could see to people any more.
    LastAdmin,
    /// There are [`vereda_domain::api::MAX_SECRETS`] already.
    TooMany,
}

/// A secret of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSecret {
    /// Names it.
    pub id: SecretId,
    /// Whose.
    pub user: UserId,
    /// SHA-256 of it.
    pub hash: Hash,
}

/// What became of a setup token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUpWith {
    /// There is an administrator now, and no setup token any more.
    Done,
    /// It is none, or too old.
    Unknown,
    /// There is an administrator already.
    Administered,
    /// Somebody has that name.
    NameTaken,
}

/// A new session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Names the chain of refresh tokens.
    pub family: uuid::Uuid,
    /// Whose.
    pub user: UserId,
    /// On which device, if any; enrolled if it is new.
    pub device: Option<DeviceInfo>,
    /// The key that the device has shown, if any: its sessions need it from then on.
    pub key: Option<Thumbprint>,
    /// The device of the same user from whose chain this new one goes on: the device was set back
    /// to a backup, and its chain forked. What was revoked stays so, and the session ends no later
    /// than that device's would have.
    pub follows: Option<DeviceId>,
    /// SHA-256 of the refresh token.
    pub token: Hash,
    /// Now.
    pub now: Millis,
    /// When the refresh token ends, unused.
    pub expires: Millis,
}

impl NewSession {
    /// What is noted of it.
    pub(crate) fn note(&self) -> Note {
        let device = self.device.as_ref().map(|device| device.id);
        let deed = Deed::SignedIn { user: self.user, device, follows: self.follows };
        Note { by: Doer::User(self.user), at: self.now, deed }
    }
}

/// Why a user or a device has no access any more, but to deliver what was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The user was disabled.
    UserDisabled,
    /// The device was revoked.
    DeviceRevoked,
}

/// Whether a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It holds.
    Opened,
    /// The device is another user's.
    DeviceOfAnother,
    /// The device was revoked.
    DeviceRevoked,
    /// The device has another key.
    OtherKey,
}

/// A refresh token presented to be exchanged.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// SHA-256 of the token presented.
    pub presented: Hash,
    /// The key that whoever presents it has shown.
    pub key: Option<Thumbprint>,
    /// SHA-256 of the one that follows it.
    pub successor: Hash,
    /// Now.
    pub now: Millis,
    /// When the successor ends, unused.
    pub expires: Millis,
    /// How long a used token may be presented again, while its successor was not used.
    pub grace_ms: Millis,
}

/// What became of a refresh token presented.
#[derive(Debug, Clone)]
pub enum Rotated {
    /// The successor holds now; so it does when the same token comes again within the grace time.
    Exchanged {
        /// Whose session.
        user: UserRow,
        /// On which device.
        device: Option<DeviceId>,
        /// The key that the device has to show.
        key: Option<Thumbprint>,
        /// Whether this was a repetition.
        again: bool,
        /// Set when the session only delivers what was captured before its end, and why.
        escrow: Option<Ended>,
    },
    /// Used before: the whole family is revoked now.
    Reused {
        /// Whose session.
        user: UserId,
    },
    /// Of a family that was revoked before.
    Revoked,
    /// Of a device whose key was not shown. Nothing has changed.
    OtherKey {
        /// Whose session.
        user: UserId,
    },
    /// The user was disabled.
    Disabled,
    /// Unknown, or too old.
    Unknown,
}

/// Branches, users, devices, sessions and secrets. Where a method takes a [`Note`], it is written if the
/// change is made, in the same transaction, and its time is the time of the change.
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Adds a branch.
    async fn add_branch(&self, branch: BranchInfo, note: Note) -> Result<Added>;
    /// Gives a branch another name.
    async fn rename_branch(&self, branch: BranchInfo, note: Note) -> Result<Changed>;
    /// Every branch, by name.
    async fn branches(&self) -> Result<Vec<BranchInfo>>;
    /// Adds a user; their branch must exist.
    async fn add_user(&self, user: UserRow, note: Note) -> Result<Added>;
    /// Changes a user. The last administrator who can sign in is not disabled.
    async fn change_user(&self, id: UserId, edit: UserEdit, note: Note) -> Result<Changed>;
    /// By [`user_key`].
    async fn user_by_name(&self, username: &str) -> Result<Option<UserRow>>;
    /// By id.
    async fn user(&self, id: UserId) -> Result<Option<UserRow>>;
    /// Everybody, by name.
    async fn users(&self) -> Result<Vec<UserRow>>;
    /// Everybody of a branch who is not disabled.
    async fn colleagues(&self, branch: BranchId) -> Result<Vec<Colleague>>;
    /// Devices, of one branch's people or of everybody's, by when they were enrolled.
    async fn devices(&self, branch: Option<BranchId>) -> Result<Vec<Device>>;
    /// How many devices were heard of at or after each of these times, of those that have access and that no other
    /// follows.
    async fn devices_heard(&self, since: Vec<Millis>) -> Result<Vec<u64>>;
    /// One device.
    async fn device(&self, id: DeviceId) -> Result<Option<Device>>;
    /// Notes that a device was heard of at this time.
    async fn device_heard(&self, id: DeviceId, at: Millis) -> Result<()>;
    /// Revokes a device. The first time stays.
    async fn revoke_device(&self, id: DeviceId, note: Note) -> Result<Changed>;
    /// Adds a secret of a service that has fewer than it may.
    async fn add_secret(&self, secret: NewSecret, note: Note) -> Result<Changed>;
    /// Ends a secret of this service.
    async fn revoke_secret(&self, user: UserId, secret: SecretId, note: Note) -> Result<Changed>;
    /// The secrets that hold, with whose they are, oldest first.
    async fn secrets(&self) -> Result<Vec<(UserId, Secret)>>;
    /// Whose secret has this hash, if it holds. Takes note of its use, to the hour.
    async fn user_by_secret(&self, hash: Hash, now: Millis) -> Result<Option<UserRow>>;
    /// Adds a setup token, with its end, unless there is an administrator.
    async fn add_setup_token(&self, hash: Hash, expires: Millis, note: Note) -> Result<Changed>;
    /// Adds the first administrator for a setup token, which is used up with it.
    async fn set_up(&self, hash: Hash, user: UserRow, note: Note) -> Result<SetUpWith>;
    /// Whose device this is; `None` when it never enrolled.
    async fn device_owner(&self, device: DeviceId) -> Result<Option<UserId>>;
    /// Opens a session and enrols its device.
    async fn open_session(&self, session: NewSession) -> Result<Opened>;
    /// Exchanges a refresh token.
    async fn rotate(&self, rotation: Rotation) -> Result<Rotated>;
    /// Ends the session of a refresh token, if there is one.
    async fn close_session(&self, token: Hash, now: Millis) -> Result<()>;
}
