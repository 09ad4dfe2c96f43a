//! Sessions of pages that the server's own origin shows. Their tokens travel in cookies that no script can read.

use super::UserInfo;
use crate::Millis;
use serde::{Deserialize, Serialize};

/// The header in which a page shows that it was given [`WebSession::csrf_token`], with every request that changes
/// something.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A sign-in of a page.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WebSignIn {
    /// The user's name.
    pub username: String,
    /// Their password.
    pub password: String,
}

impl std::fmt::Debug for WebSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSignIn").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A session of a page.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebSession {
    /// Who signed in.
    pub user: UserInfo,
    /// To be sent as `X-CSRF-Token` with every request that changes something; the same for as long as the session lasts.
    pub csrf_token: String,
    /// For how long the session holds without `/api/web/refresh`, in seconds.
    pub expires_in_s: u64,
    /// The server's clock.
    pub server_ms: Millis,
}

impl std::fmt::Debug for WebSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSession").field("user", &self.user.id).finish_non_exhaustive()
    }
}
