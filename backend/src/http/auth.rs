//! Sign-in, refresh, sign-out and the public keys.

use super::body::{Json, field_error, one_of};
use super::caller::{Caller, OTHER_KEY, device_revoked, user_disabled};
use super::client::Client;
use super::problem::{ApiError, ApiResult};
use super::proof::ShownKey;
use super::{App, Shared};
use crate::clock::now_ms;
use crate::identity::tokens::{Grant, Tokens};
use crate::store::{Ended, NewSession, Opened, Rotated, Rotation, UserRow};
use axum::extract::State;
use axum::http::StatusCode;
use std::net::IpAddr;
use uuid::Uuid;
use vereda_domain::api::{
    DeviceInfo, ProblemCode, Refresh, Session, SignIn, Thumbprint, TokenType, UserInfo,
};
use vereda_domain::{DeviceId, Millis};

const PLATFORMS: [&str; 5] = ["android", "ios", "linux", "macos", "windows"];

/// Name and password for a session.
pub async fn sign_in(
    State(app): State<Shared>,
    client: Client,
    ShownKey(key): ShownKey,
    Json(request): Json<SignIn>,
) -> ApiResult<Json<Session>> {
    if let Some(device) = &request.device {
        check_device(device)?;
    }
    let user = check_password(&app, &request.username, &request.password, client.address).await?;
    let device = match &request.device {
        None => None,
        Some(device) => {
            if key.is_none() && app.store.device(device.id).await?.is_none() {
                let detail =
                    "A device enrols with a key of its own: send a proof of it as `DPoP: ...` (RFC 9449).";
                return Err(ApiError::new(ProblemCode::InvalidDpopProof, detail).challenge("DPoP"));
            }
            Some(SessionDevice { id: device.id, key: key.clone() })
        }
    };
    let refresh_token = open_session(&app, &user, request.device, key).await?;
    session_of(&app, user, device, refresh_token, None).await.map(Json)
}

/// Opens a session for somebody whose password was right. Gives its refresh token.
pub async fn open_session(
    app: &App,
    user: &UserRow,
    device: Option<DeviceInfo>,
    key: Option<Thumbprint>,
) -> ApiResult<String> {
    let refresh_token = app.tokens.new_refresh()?;
    let (now, id) = (now_ms(), device.as_ref().map(|device| device.id.to_string()));
    let session = NewSession {
        family: Uuid::now_v7(),
        user: user.id,
        key: key.filter(|_| device.is_some()),
        device,
        follows: None,
        token: Tokens::refresh_hash(&refresh_token),
        now,
        expires: refresh_end(app, now),
    };
    opened(app.store.open_session(session).await?)?;
    tracing::info!(user = %user.id, device = id, "signed in");
    Ok(refresh_token)
}

/// A refresh token for the next session.
pub async fn refresh(
    State(app): State<Shared>,
    ShownKey(key): ShownKey,
    Json(request): Json<Refresh>,
) -> ApiResult<Json<Session>> {
    let Exchanged { user, device, successor, escrow } = exchange(&app, &request.refresh_token, key).await?;
    session_of(&app, user, device, successor, escrow).await.map(Json)
}

/// The device of a session.
#[derive(Debug, Clone)]
pub struct SessionDevice {
    /// Which.
    pub id: DeviceId,
    /// The key without which its tokens open nothing, if it has one.
    pub key: Option<Thumbprint>,
}

/// What a refresh token was exchanged for.
pub struct Exchanged {
    /// Whose session.
    pub user: UserRow,
    /// On which device, if any.
    pub device: Option<SessionDevice>,
    /// The next refresh token.
    pub successor: String,
    /// Why the session only delivers, if it does.
    pub escrow: Option<Ended>,
}

/// Exchanges a refresh token. It works once, and again within the grace time.
pub async fn exchange(app: &App, presented: &str, key: Option<Thumbprint>) -> ApiResult<Exchanged> {
    let now = now_ms();
    let successor = app.tokens.next_refresh(presented);
    let rotation = Rotation {
        presented: Tokens::refresh_hash(presented),
        key,
        successor: Tokens::refresh_hash(&successor),
        now,
        expires: refresh_end(app, now),
        grace_ms: seconds(app.config.tokens.refresh_grace_s),
    };
    match app.store.rotate(rotation).await? {
        Rotated::Exchanged { user, device, key, again, escrow } => {
            if again {
                tracing::info!(user = %user.id, "a refresh was repeated within the grace time");
            }
            if let Some(why) = escrow {
                tracing::info!(user = %user.id, ?why, "a session that only delivers what was captured");
            }
            let device = device.map(|id| SessionDevice { id, key });
            Ok(Exchanged { user, device, successor, escrow })
        }
        Rotated::Reused { user } => {
            app.metrics.refresh_reuse();
            tracing::warn!(%user, "a refresh token was used twice: the session is revoked");
            Err(revoked())
        }
        Rotated::Revoked => Err(revoked()),
        Rotated::OtherKey { user } => {
            app.metrics.proof_refused(OTHER_KEY);
            tracing::warn!(%user, "a refresh token came without the key of its device");
            let detail =
                "This refresh token is a device's: send a proof of its key as `DPoP: ...` (RFC 9449).";
            Err(ApiError::new(ProblemCode::Unauthenticated, detail).challenge("DPoP"))
        }
        Rotated::Disabled => Err(user_disabled()),
        Rotated::Unknown => Err(ApiError::new(
            ProblemCode::Unauthenticated,
            "This refresh token is unknown or has ended: sign in again.",
        )),
    }
}

/// A session for a device that was set back to a backup: it goes on under a new identity, and the
/// chain that forked stays as it is.
pub async fn fork(
    State(app): State<Shared>,
    caller: Caller,
    Json(device): Json<DeviceInfo>,
) -> ApiResult<Json<Session>> {
    check_device(&device)?;
    let from = caller.device()?;
    if device.id == from {
        return Err(field_error("id", one_of(&["another id than the caller's device"])));
    }
    let user = app.store.user(caller.user).await?.ok_or_else(user_disabled)?;
    let refresh_token = app.tokens.new_refresh()?;
    let (now, id) = (now_ms(), device.id);
    let session = NewSession {
        family: Uuid::now_v7(),
        user: user.id,
        device: Some(device),
        key: caller.key.clone(),
        follows: Some(from),
        token: Tokens::refresh_hash(&refresh_token),
        now,
        expires: refresh_end(&app, now),
    };
    opened(app.store.open_session(session).await?)?;
    tracing::warn!(user = %user.id, device = %id, %from, "a chain forked; the device goes on under a new id");
    let revoked = app.store.device(id).await?.is_some_and(|device| device.revoked_at.is_some());
    let escrow = match (user.disabled, revoked) {
        (true, _) => Some(Ended::UserDisabled),
        (false, true) => Some(Ended::DeviceRevoked),
        (false, false) => None,
    };
    let device = SessionDevice { id, key: caller.key };
    session_of(&app, user, Some(device), refresh_token, escrow).await.map(Json)
}

fn opened(opened: Opened) -> ApiResult<()> {
    match opened {
        Opened::Opened => Ok(()),
        Opened::DeviceOfAnother => {
            let detail = "This device was enrolled by another user: enrol it anew, with an id of its own.";
            Err(ApiError::new(ProblemCode::Conflict, detail))
        }
        Opened::DeviceRevoked => Err(device_revoked()),
        Opened::OtherKey => {
            let detail = "This device enrolled with another key: enrol it anew, with an id of its own.";
            Err(ApiError::new(ProblemCode::Conflict, detail))
        }
    }
}

/// Ends a session. The answer is the same whether there was one.
pub async fn sign_out(State(app): State<Shared>, Json(request): Json<Refresh>) -> ApiResult<StatusCode> {
    app.store.close_session(Tokens::refresh_hash(&request.refresh_token), now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The public keys of access tokens.
pub async fn jwks(State(app): State<Shared>) -> Json<jsonwebtoken::jwk::JwkSet> {
    Json(app.tokens.public())
}

fn revoked() -> ApiError {
    ApiError::new(ProblemCode::SessionRevoked, "This session has ended: sign in again.")
}

fn seconds(seconds: u64) -> Millis {
    Millis::try_from(seconds).unwrap_or(Millis::MAX / 1000).saturating_mul(1000)
}

fn refresh_end(app: &App, now: Millis) -> Millis {
    now.saturating_add(seconds(app.config.tokens.refresh_s))
}

fn check_device(device: &DeviceInfo) -> ApiResult<()> {
    if !PLATFORMS.contains(&device.platform.as_str()) {
        return Err(field_error("device.platform", one_of(&PLATFORMS)));
    }
    let length = device.name.trim().chars().count();
    if length == 0 || length > 100 || device.name.chars().any(char::is_control) {
        return Err(field_error("device.name", one_of(&["a text of 1 to 100 characters"])));
    }
    if device.id.0.is_nil() {
        return Err(field_error("device.id", one_of(&["a UUID made by the device"])));
    }
    Ok(())
}

/// The same work and the same answer whether the name exists or not.
pub async fn check_password(
    app: &App,
    username: &str,
    password: &str,
    address: IpAddr,
) -> ApiResult<UserRow> {
    let throttled = async || match app.throttle.wait_s(username, address, now_ms()).await {
        None => Ok(()),
        Some(seconds) => {
            app.metrics.sign_in_failure("too_many_requests");
            let detail = format!("Too many wrong passwords. Wait {seconds} s and try again.");
            Err(ApiError::new(ProblemCode::TooManyRequests, detail).retry_after(seconds))
        }
    };
    throttled().await?;
    let turn = app.passwords.turn().await?;
    // Others may have guessed wrong while this one stood in line.
    throttled().await?;
    let user = app.store.user_by_name(username).await?;
    // A service has none: it is answered as if it did not exist.
    let hash = user.as_ref().map(|user| user.password_hash.as_str()).filter(|hash| !hash.is_empty());
    let right = app.passwords.verify(&turn, password, hash).await?;
    match user {
        Some(user) if right => {
            app.throttle.right(username, address).await;
            if user.disabled {
                app.metrics.sign_in_failure("user_disabled");
                return Err(user_disabled());
            }
            Ok(user)
        }
        _ => {
            app.throttle.wrong(username, address, now_ms()).await;
            app.metrics.sign_in_failure("wrong_credentials");
            let detail = "The name or the password is wrong. Check both and try again.";
            Err(ApiError::new(ProblemCode::WrongCredentials, detail))
        }
    }
}

/// A user as they see themselves.
pub fn shown(user: UserRow) -> UserInfo {
    let UserRow { id, username, name, role, branch, .. } = user;
    UserInfo { id, username, name, role, branch }
}

async fn session_of(
    app: &App,
    user: UserRow,
    device: Option<SessionDevice>,
    refresh_token: String,
    escrow: Option<Ended>,
) -> ApiResult<Session> {
    let branch = user.branch.as_ref().map(|branch| branch.id);
    let colleagues = match branch {
        Some(branch) if escrow.is_none() => app.store.colleagues(branch).await?,
        _ => Vec::new(),
    };
    let (device, key) = device.map_or((None, None), |device| (Some(device.id), device.key));
    let token_type = if key.is_some() { TokenType::DPoP } else { TokenType::Bearer };
    let ticket = device.filter(|_| escrow.is_none());
    let ticket = ticket.map(|device| app.tokens.ticket(device, user.id, user.role, branch));
    let grant = Grant { device, key, escrow: escrow.is_some(), ..Grant::new(user.id, user.role, branch) };
    Ok(Session {
        access_token: app.tokens.issue(grant)?,
        token_type,
        ticket,
        expires_in_s: app.tokens.access_s(),
        refresh_token,
        user: shown(user),
        colleagues,
        server_ms: now_ms(),
        escrow: escrow.map(|why| match why {
            Ended::UserDisabled => ProblemCode::UserDisabled,
            Ended::DeviceRevoked => ProblemCode::DeviceRevoked,
        }),
    })
}
