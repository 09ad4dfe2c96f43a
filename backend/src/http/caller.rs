//! Who calls, and whether they may: the one place where tokens and roles are checked.

use super::Shared;
use super::body::BodyLimit;
use super::client::Client;
use super::observe::Observed;
use super::problem::{ApiError, ApiResult};
use super::proof;
use super::route::{Access, Reach, Rules};
use super::web;
use crate::clock::now_ms;
use crate::rates::RouteClass;
use crate::store::{HistoryScope, UserRow};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::borrow::Cow;
use tracing::{Instrument as _, Span};
use vereda_domain::api::{ProblemCode, Role, Scope, TICKET, Thumbprint, TokenType};
use vereda_domain::{BranchId, DeviceId, Millis, UserId};

/// How exactly it is known when a device was last heard of that has nothing to say: each time would be a write.
const HEARD_MS: Millis = 5 * 60 * 1000;

/// What the metrics call a proof that holds and is of another key than the token's: somebody else has the token.
pub const OTHER_KEY: &str = "other_key";

/// Somebody whose token was checked and who may call this route.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How far that reaches on this route.
    pub reach: Reach,
    /// Where, if anywhere.
    pub branch: Option<BranchId>,
    /// On which device, if any.
    pub device: Option<DeviceId>,
    /// The key that the device has shown, if it has one.
    pub key: Option<Thumbprint>,
    /// What a service may do: what its token says, as far as it still holds.
    pub scopes: Vec<Scope>,
}

impl Caller {
    /// The caller's branch; officers and managers have one.
    pub fn branch(&self) -> ApiResult<BranchId> {
        self.branch.ok_or_else(|| ApiError::new(ProblemCode::Forbidden, "This is for members of a branch."))
    }

    /// What the caller may see on this route.
    pub fn scope(&self) -> ApiResult<HistoryScope> {
        Ok(match self.reach {
            Reach::Own => HistoryScope::Officer(self.user),
            Reach::Branch => HistoryScope::Branch(self.branch()?),
            Reach::Home => self.branch.map_or(HistoryScope::All, HistoryScope::Branch),
            Reach::Any | Reach::All => HistoryScope::All,
        })
    }

    /// The branch that the caller is held to on this route; `None` for all.
    pub fn branches(&self) -> ApiResult<Option<BranchId>> {
        match self.scope()? {
            HistoryScope::All => Ok(None),
            HistoryScope::Branch(branch) => Ok(Some(branch)),
            HistoryScope::Officer(_) => self.branch().map(Some),
        }
    }

    /// The caller's device, for which the session was opened.
    pub fn device(&self) -> ApiResult<DeviceId> {
        self.device.ok_or_else(|| {
            ApiError::new(ProblemCode::Forbidden, "This is for enrolled devices: sign in with `device`.")
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Only `authorise` puts one there, so a route without it cannot be entered by mistake.
        parts.extensions.get::<Caller>().cloned().ok_or_else(unauthenticated)
    }
}

/// What a route asks for.
#[derive(Clone)]
pub struct Guard {
    /// The server.
    pub app: Shared,
    /// The route's.
    pub rules: Rules,
}

/// Lets the right callers through.
pub async fn authorise(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Rules { access, scope, class, body_limit, takes, ticket } = guard.rules;
    let charge = Charge { app: guard.app.clone(), class, client: Client::of(request.extensions()) };
    request.extensions_mut().insert(BodyLimit(body_limit));
    request.extensions_mut().insert(takes);
    if access == Access::Public {
        return charge.before(None, next.run(request)).await;
    }
    let escrow = matches!(access, Access::Escrow(_));
    let sent = Sent { method: request.method(), uri: request.uri(), headers: request.headers() };
    let mut caller = match identify(&guard.app, sent, escrow, ticket).await {
        Ok(caller) => caller,
        Err(refusal) => return charge.before(None, async { refusal.into_response() }).await,
    };
    let account = Some(caller.user);
    let called = Called { user: caller.user, role: caller.role, device: caller.device };
    let span = request.extensions().get::<Observed>().map_or_else(Span::none, |observed| observed.by(called));
    let reach = access.who().iter().find(|(role, _)| *role == caller.role).map(|(_, reach)| reach);
    let missing = scope.filter(|scope| caller.role == Role::Service && !caller.scopes.contains(scope));
    let refusal = match (reach, missing) {
        (Some(reach), None) => {
            caller.reach = *reach;
            request.extensions_mut().insert(caller);
            return charge.before(account, next.run(request)).instrument(span).await;
        }
        // RFC 6750, section 3.1.
        (Some(_), Some(scope)) => {
            let scope = scope.as_str();
            let detail = format!("This needs a token with the scope `{scope}`.");
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            ApiError::new(ProblemCode::Forbidden, detail).challenge(challenge)
        }
        (None, _) => {
            let detail = format!("This is not for the role `{}`.", caller.role.as_str());
            ApiError::new(ProblemCode::Forbidden, detail)
        }
    };
    charge.before(account, async { refusal.into_response() }).instrument(span).await
}

/// What a request costs.
struct Charge {
    app: Shared,
    class: RouteClass,
    client: Client,
}

impl Charge {
    /// Answers, unless it is one request too many of this account or from this address.
    async fn before(&self, account: Option<UserId>, answer: impl Future<Output = Response>) -> Response {
        let standing = self.app.rates.charge(self.class, account, self.client.address).await;
        let mut response = match standing.exceeded() {
            None => answer.await,
            Some(exceeded) => {
                self.app.metrics.rate_limited(exceeded);
                let wait_s = exceeded.wait_s;
                let whose = if exceeded.by == "account" { "this account" } else { "this address" };
                let detail = format!("Too many requests from {whose}. Go on in {wait_s} s.");
                ApiError::new(ProblemCode::TooManyRequests, detail).retry_after(wait_s).into_response()
            }
        };
        response.extensions_mut().insert(standing);
        response
    }
}

/// For the log: who it was.
#[derive(Debug, Clone, Copy)]
pub struct Called {
    /// The user's id; names stay out of the log.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// On which device, if any.
    pub device: Option<DeviceId>,
}

/// A request without its body.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its address.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// What a request shows of who sends it.
enum Credential<'a> {
    /// An access token, and how it came.
    Token(Cow<'a, str>, By),
    /// What lets a device ask whether anything is new.
    Ticket(&'a str),
}

/// How a token came.
#[derive(PartialEq, Eq)]
enum By {
    /// In a header, and is believed.
    Bearer,
    /// In a header, with a proof.
    Proof,
    /// In a page's cookie.
    Cookie,
}

/// What a request shows. One that says who calls in its header has no need of cookies.
fn credential(headers: &HeaderMap) -> Option<Credential<'_>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let token = web::cookie_value(headers, web::ACCESS)?;
        return Some(Credential::Token(Cow::Owned(token), By::Cookie));
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let (token, is) = (token.trim(), |name: &str| scheme.eq_ignore_ascii_case(name));
    if is(TICKET) {
        return Some(Credential::Ticket(token));
    }
    let by = match () {
        () if is(TokenType::Bearer.as_str()) => By::Bearer,
        () if is(TokenType::DPoP.as_str()) => By::Proof,
        () => return None,
    };
    Some(Credential::Token(Cow::Borrowed(token), by))
}

/// Who sends a request, if that can be told. `ticket`: whether a ticket is enough.
async fn identify(app: &Shared, sent: Sent<'_>, escrow: bool, ticket: bool) -> ApiResult<Caller> {
    match credential(sent.headers).ok_or_else(unauthenticated)? {
        Credential::Token(token, by) => by_token(app, sent, &token, by, escrow).await,
        Credential::Ticket(text) if ticket => by_ticket(app, text).await,
        Credential::Ticket(_) => Err(unauthenticated().because("a ticket where it opens nothing")),
    }
}

async fn by_token(app: &Shared, sent: Sent<'_>, token: &str, by: By, escrow: bool) -> ApiResult<Caller> {
    let claims = app.tokens.verify(token).map_err(|why| unauthenticated().because(why))?;
    let Sent { method, headers, .. } = sent;
    match (&by, claims.csrf) {
        (By::Bearer | By::Proof, None) => {}
        (By::Cookie, Some(_)) if method.is_safe() => {}
        (By::Cookie, Some(csrf)) => web::may_change(headers, csrf)?,
        (By::Cookie, None) | (By::Bearer | By::Proof, Some(_)) => {
            return Err(
                unauthenticated().because("a token of a page in a header, or another one in a cookie")
            );
        }
    }
    let key = claims.cnf.map(|confirmation| confirmation.jkt);
    match (&key, by == By::Proof) {
        (None, false) => {}
        (Some(key), true) => {
            if proof::key(app, sent, Some(token)).await? != *key {
                app.metrics.proof_refused(OTHER_KEY);
                return Err(unauthenticated().because("a proof of another key than the token's"));
            }
        }
        (Some(_), false) => {
            let refusal = unauthenticated().because("the token of a device, without a proof of its key");
            return Err(refusal.challenge("DPoP error=\"invalid_token\", algs=\"EdDSA ES256\""));
        }
        (None, true) => return Err(unauthenticated().because("a proof with a token that needs none")),
    }
    let user = user(app, claims.sub).await?;
    let revoked = match claims.device {
        Some(device) => {
            let device = app.store.device(device).await?.ok_or_else(|| {
                unauthenticated().because("a device that enrolled after the backup that this server has")
            })?;
            device.revoked_at.is_some()
        }
        None => false,
    };
    if !escrow && user.disabled {
        return Err(user_disabled());
    }
    if !escrow && (revoked || claims.escrow) {
        return Err(device_revoked());
    }
    // A role or a branch that changed since ends the token: the next one says it as it is now.
    if user.role != claims.role || user.branch.as_ref().map(|b| b.id) != claims.branch {
        return Err(unauthenticated().because("role or branch changed since the token was issued"));
    }
    let mut scopes = claims.scope.and_then(|scope| Scope::read_list(&scope).ok()).unwrap_or_default();
    scopes.retain(|scope| user.scopes.contains(scope));
    Ok(caller(user, claims.device, key, scopes))
}

async fn by_ticket(app: &Shared, ticket: &str) -> ApiResult<Caller> {
    let refused = || unauthenticated().because("a ticket that does not hold");
    let device = app.tokens.ticket_device(ticket).ok_or_else(refused)?;
    let device = app.store.device(device).await?.ok_or_else(refused)?;
    let user = user(app, device.user).await?;
    let branch = user.branch.as_ref().map(|branch| branch.id);
    if !app.tokens.is_ticket(ticket, device.id, user.id, user.role, branch) {
        return Err(refused());
    }
    if user.disabled {
        return Err(user_disabled());
    }
    if device.revoked_at.is_some() {
        return Err(device_revoked());
    }
    let now = now_ms();
    if now.saturating_sub(device.seen_at) > HEARD_MS {
        app.store.device_heard(device.id, now).await?;
    }
    Ok(caller(user, Some(device.id), None, Vec::new()))
}

async fn user(app: &Shared, id: UserId) -> ApiResult<UserRow> {
    app.store.user(id).await?.ok_or_else(|| unauthenticated().because("no such user"))
}

fn caller(user: UserRow, device: Option<DeviceId>, key: Option<Thumbprint>, scopes: Vec<Scope>) -> Caller {
    Caller {
        user: user.id,
        name: user.name,
        role: user.role,
        // Until the route says how far.
        reach: Reach::Own,
        branch: user.branch.map(|branch| branch.id),
        device,
        key,
        scopes,
    }
}

fn unauthenticated() -> ApiError {
    ApiError::new(
        ProblemCode::Unauthenticated,
        "Send a valid access token as `Authorization: Bearer ...`; get one from /api/auth/sign-in, /api/auth/refresh or /api/auth/token.",
    )
}

/// A revoked device's refusal.
pub fn device_revoked() -> ApiError {
    ApiError::new(
        ProblemCode::DeviceRevoked,
        "This device was revoked: it delivers what was captured and opens nothing else. Ask your branch.",
    )
}

/// A disabled user's refusal.
pub fn user_disabled() -> ApiError {
    ApiError::new(ProblemCode::UserDisabled, "This user was disabled. Ask an administrator.")
}
