//! Seeing to people, branches, devices and other systems; and the record of who did so.
//!
//! | method and path | request | answer |
//! | --- | --- | --- |
//! | POST `/api/setup` | [`SetUp`] | 201 [`Person`], without a token |
//! | POST `/api/auth/token` | [`TokenRequest`], as a form | [`IssuedToken`] |
//! | POST `/api/auth/password` | [`ChangePassword`] | 204 |
//! | GET `/api/users` | | `Vec<`[`Person`]`>`, by user name |
//! | POST `/api/users` | [`AddUser`] | 201 [`Person`] |
//! | POST `/api/users/{id}` | [`UserChange`] | [`Person`] |
//! | GET `/api/branches` | | `Vec<`[`BranchInfo`]`>`, by name |
//! | POST `/api/branches` | [`NamedBranch`] | 201 [`BranchInfo`] |
//! | POST `/api/branches/{id}` | [`NamedBranch`] | [`BranchInfo`] |
//! | GET `/api/services` | | `Vec<`[`ServiceAccount`]`>`, by user name |
//! | POST `/api/services` | [`AddService`] | 201 [`ServiceAccount`] |
//! | POST `/api/services/{id}/scopes` | [`GrantScopes`] | [`ServiceAccount`] |
//! | POST `/api/services/{id}/secrets` | | 201 [`IssuedSecret`] |
//! | POST `/api/services/{id}/secrets/{secret}/revoke` | | 204 |
//! | GET `/api/audit?after=&limit=` | | [`AuditPage`] |

use super::{BranchInfo, Role};
use crate::event::Hash;
use crate::{BranchId, ClientId, DeviceId, Millis, SecretId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What another system may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Scope {
    /// Ask for scores.
    #[serde(rename = "predict")]
    Predict,
    /// Read what it asked for.
    #[serde(rename = "history:read")]
    HistoryRead,
    /// Report what came of scores.
    #[serde(rename = "outcomes:write")]
    OutcomesWrite,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 3] = [Scope::Predict, Scope::HistoryRead, Scope::OutcomesWrite];

    /// The name in JSON and in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Predict => "predict",
            Scope::HistoryRead => "history:read",
            Scope::OutcomesWrite => "outcomes:write",
        }
    }

    /// From names with spaces between them (RFC 6749, section 3.3); each once, in one order.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn read_list(text: &str) -> Result<Vec<Scope>, String> {
        let named = |name: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
        let mut scopes = text
            .split_ascii_whitespace()
            .map(|name| named(name).ok_or_else(|| name.to_owned()))
            .collect::<Result<Vec<_>, _>>()?;
        scopes.sort_unstable();
        scopes.dedup();
        Ok(scopes)
    }

    /// As [`Scope::read_list`] reads them.
    pub fn write_list(scopes: &[Scope]) -> String {
        scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// A user, as those who see to users see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub username: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where; absent for analysts and administrators.
    pub branch: Option<BranchInfo>,
    /// Whether they may not sign in any more.
    pub disabled: bool,
}

/// Somebody new. Another system is added with [`AddService`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddUser {
    /// What they sign in with: 1 to 64 letters, digits or `.`, `-`, `_`, `@`.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::Username))]
    pub username: String,
    /// What people call them.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::GivenName))]
    pub name: String,
    /// The first one; 10 to 256 characters.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::NewPassword))]
    pub password: String,
    /// What they may do.
    pub role: Role,
    /// Where; officers and managers need one, analysts and administrators have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchId>,
}

impl std::fmt::Debug for AddUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What is to become of a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum UserChange {
    /// They cannot sign in any more. What they captured is still taken in.
    Disable,
    /// They can again.
    Enable,
    /// People call them otherwise.
    Rename {
        /// How.
        #[cfg_attr(feature = "schema", schema(value_type = crate::schema::GivenName))]
        name: String,
    },
    /// They have another password, and their sessions end.
    SetPassword {
        /// Which; 10 to 256 characters.
        #[cfg_attr(feature = "schema", schema(value_type = crate::schema::NewPassword))]
        password: String,
    },
}

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            UserChange::Disable => "Disable",
            UserChange::Enable => "Enable",
            UserChange::Rename { .. } => "Rename(..)",
            UserChange::SetPassword { .. } => "SetPassword(..)",
        })
    }
}

/// A user's own new password. Their sessions end, this one too.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The one that holds now.
    pub old: String,
    /// The next one; 10 to 256 characters.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::NewPassword))]
    pub new: String,
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePassword(..)")
    }
}

/// The name of a branch that is new, or gets another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedBranch {
    /// 1 to 120 characters, none of them control characters.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::GivenName))]
    pub name: String,
}

/// The first administrator, made with a one-time token.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// As `vereda-server setup-token` printed it.
    pub token: String,
    /// What they sign in with.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::Username))]
    pub username: String,
    /// What people call them.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::GivenName))]
    pub name: String,
    /// 10 to 256 characters.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::NewPassword))]
    pub password: String,
}

impl std::fmt::Debug for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetUp").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Another system that signs in with a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServiceAccount {
    /// Its id.
    pub id: UserId,
    /// Its `client_id`.
    pub username: String,
    /// What people call it.
    pub name: String,
    /// The branch that it is held to, if any.
    pub branch: Option<BranchInfo>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whether it may not any more.
    pub disabled: bool,
    /// The secrets that hold, oldest first.
    pub secrets: Vec<Secret>,
}

/// A secret of another system, which is known to it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Secret {
    /// Names it.
    pub id: SecretId,
    /// When it was made.
    pub made_at: Millis,
    /// When it was last used, to the hour.
    pub used_at: Option<Millis>,
}

/// How many secrets of one system hold at the same time: one in use, and the one that follows it.
pub const MAX_SECRETS: usize = 2;

/// Another system that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddService {
    /// Its `client_id`: 1 to 64 letters, digits or `.`, `-`, `_`, `@`.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::Username))]
    pub username: String,
    /// What people call it.
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::GivenName))]
    pub name: String,
    /// What it may do; at least one thing.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 3))]
    pub scopes: Vec<Scope>,
    /// The branch that it is held to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchId>,
}

/// What another system may do from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GrantScopes {
    /// At least one thing.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 3))]
    pub scopes: Vec<Scope>,
}

/// A new secret, shown this once.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IssuedSecret {
    /// Names it, to revoke it.
    pub id: SecretId,
    /// Whose.
    pub client_id: String,
    /// It is stored as a hash, and cannot be shown again.
    pub client_secret: String,
}

impl std::fmt::Debug for IssuedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A request for an access token by another system: the client credentials grant (RFC 6749, section 4.4),
/// as a form. Name and secret stand here, or in an `Authorization` header as `Basic`. What else there is, is not
/// looked at, as that page asks for.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenRequest {
    /// Always `client_credentials`.
    #[cfg_attr(feature = "schema", schema(pattern = "^client_credentials$"))]
    pub grant_type: String,
    /// What the token is to be good for, with spaces between; all that the system may do, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The system's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRequest").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// An access token of another system (RFC 6749, section 5.1).
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IssuedToken {
    /// JWT, EdDSA.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// How many seconds it holds.
    pub expires_in: u64,
    /// What it is good for.
    pub scope: String,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Doer {
    /// Somebody who signed in.
    User(UserId),
    /// Whoever sits at the server.
    CommandLine,
    /// Whoever holds the setup token.
    Setup,
}

/// What was done. Names of people stand here only as what they sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// A branch was added.
    BranchAdded {
        /// Which.
        branch: BranchId,
        /// What it is called.
        name: String,
    },
    /// A branch got another name.
    BranchRenamed {
        /// Which.
        branch: BranchId,
        /// What it is called now.
        name: String,
    },
    /// A user was added.
    UserAdded {
        /// Who.
        user: UserId,
        /// What they sign in with.
        username: String,
        /// What they may do.
        role: Role,
        /// Where, if anywhere.
        branch: Option<BranchId>,
        /// What a service may do.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scopes: Vec<Scope>,
    },
    /// A user cannot sign in any more.
    UserDisabled {
        /// Who.
        user: UserId,
    },
    /// A user can sign in again.
    UserEnabled {
        /// Who.
        user: UserId,
    },
    /// People call a user otherwise.
    UserRenamed {
        /// Whom.
        user: UserId,
    },
    /// A user has another password.
    PasswordSet {
        /// Whose.
        user: UserId,
    },
    /// A service may do other things.
    ScopesGranted {
        /// Which service.
        user: UserId,
        /// What it may do now.
        scopes: Vec<Scope>,
    },
    /// A service got a secret.
    SecretIssued {
        /// Which service.
        user: UserId,
        /// The secret's name.
        secret: SecretId,
    },
    /// A secret of a service holds no more.
    SecretRevoked {
        /// Which service.
        user: UserId,
        /// The secret's name.
        secret: SecretId,
    },
    /// A token for the first administrator was made.
    SetupTokenIssued {
        /// Until when it holds.
        expires: Millis,
    },
    /// Somebody signed in.
    SignedIn {
        /// Who.
        user: UserId,
        /// On which device, if any.
        device: Option<DeviceId>,
        /// The device whose chain it goes on from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        follows: Option<DeviceId>,
    },
    /// A refresh token was used twice, and its session ended.
    RefreshReused {
        /// Whose.
        user: UserId,
        /// On which device, if any.
        device: Option<DeviceId>,
    },
    /// A device only delivers what was captured.
    DeviceRevoked {
        /// Which.
        device: DeviceId,
    },
    /// A model was published.
    ModelPublished {
        /// Its id.
        model: String,
        /// Its version.
        version: u32,
        /// SHA-256 of its bundle.
        sha256: String,
    },
    /// What a device could not send came as a file.
    EventsImported {
        /// Of which device.
        device: DeviceId,
        /// How many of its events were taken in, those kept aside among them.
        events: u64,
    },
    /// Scores left the server as a file.
    HistoryExported {
        /// As `csv` or `parquet`.
        format: String,
    },
    /// All that is kept about a client was brought out.
    ClientExported {
        /// Whose.
        client: ClientId,
    },
    /// The data of a client was erased.
    ClientErased {
        /// Whose.
        client: ClientId,
    },
    /// Scores that a service asked for lost the name of their client.
    ClientRefForgotten {
        /// Which service.
        user: UserId,
        /// How many.
        scores: u64,
    },
}

/// An entry of the record of who did what. Its text is hashed and kept as it is, and names the hash of the
/// entry before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// 1, 2, 3, ... without gaps.
    pub seq: u64,
    /// The hash of the entry before; of the first one, zeros.
    pub prev: Hash,
    /// By the server's clock.
    pub at: Millis,
    /// Who.
    pub by: Doer,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
}

/// An entry with its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// SHA-256 of the bytes of `entry` as they stand here.
    pub hash: Hash,
    /// The entry, to the byte as it was hashed.
    #[cfg_attr(feature = "schema", schema(value_type = AuditEntry))]
    pub entry: Box<RawValue>,
}

/// Some of the record, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditLine>,
    /// Whether there are more.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_named_as_in_json_and_read_in_any_order() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        let read = Scope::read_list(" outcomes:write predict  predict").unwrap();
        assert_eq!(read, [Scope::Predict, Scope::OutcomesWrite]);
        assert_eq!(Scope::read_list(&Scope::write_list(&read)).unwrap(), read);
        assert_eq!(Scope::read_list("predict admin").unwrap_err(), "admin");
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let entry = AuditEntry {
            seq: 1,
            prev: Hash::ZERO,
            at: 5,
            by: Doer::User(UserId(uuid::Uuid::nil())),
            deed: Deed::UserDisabled { user: UserId(uuid::Uuid::nil()) },
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert!(text.contains(r#""deed":"user_disabled""#), "{text}");
        assert_eq!(serde_json::from_str::<AuditEntry>(&text).unwrap(), entry);
        assert_eq!(serde_json::to_string(&Doer::CommandLine).unwrap(), r#""command_line""#);
    }
}
