//! Sessions of web pages: the same sessions as elsewhere, with their tokens in cookies that no script can read, that
//! no other site's request carries (`SameSite=Strict`), and that no other host can set (`__Host-`).
//!
//! A browser sends cookies with whatever it is made to send, so what changes something must also show that it comes from a
//! page of this origin: the browser says so itself (Fetch Metadata, or `Origin`), and the page repeats a secret that only
//! it was told (OWASP, *Cross-Site Request Forgery Prevention*).

use super::auth::{Exchanged, check_password, exchange, open_session, shown};
use super::body::Json;
use super::caller::Caller;
use super::client::Client;
use super::problem::{ApiError, ApiResult};
use super::{App, Shared};
use crate::clock::now_ms;
use crate::identity::keys::random;
use crate::identity::tokens::{Grant, Tokens};
use crate::store::UserRow;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use vereda_domain::api::{CSRF_HEADER, ProblemCode, WebSession, WebSignIn};
use vereda_domain::event::Hash;

/// Holds the access token.
pub const ACCESS: &str = "__Host-vereda-access";
/// Holds the refresh token, and after a dot what the page shows: a page that is loaded anew is told it again.
const REFRESH: &str = "__Host-vereda-refresh";

/// An answer with the cookies of a session.
type WithCookies = (AppendHeaders<[(header::HeaderName, String); 2]>, Json<WebSession>);

/// Name and password for a session.
pub async fn sign_in(
    State(app): State<Shared>,
    client: Client,
    headers: HeaderMap,
    Json(request): Json<WebSignIn>,
) -> ApiResult<WithCookies> {
    own_page(&headers)?;
    let user = check_password(&app, &request.username, &request.password, client.address).await?;
    let refresh = open_session(&app, &user, None, None).await?;
    session(&app, user, &refresh, &hex::encode(random::<32>()?))
}

/// The next session, for the cookie of this one.
pub async fn refresh(State(app): State<Shared>, headers: HeaderMap) -> ApiResult<WithCookies> {
    own_page(&headers)?;
    let (presented, csrf) = held(&headers).ok_or_else(no_session)?;
    let Exchanged { user, device, successor, .. } = exchange(&app, &presented, None).await?;
    if device.is_some() {
        // A device has no cookies: somebody has put its token into one.
        return Err(no_session());
    }
    session(&app, user, &successor, &csrf)
}

/// The session that there is, for a page that was loaded anew.
pub async fn current(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> ApiResult<Json<WebSession>> {
    // Whoever says in a header who calls is not the page, whatever cookies there are.
    let by_cookie = !headers.contains_key(header::AUTHORIZATION);
    let (_, csrf_token) = held(&headers).filter(|_| by_cookie).ok_or_else(ApiError::not_found)?;
    let user = app.store.user(caller.user).await?.ok_or_else(ApiError::not_found)?;
    let expires_in_s = app.tokens.access_s();
    Ok(Json(WebSession { user: shown(user), csrf_token, expires_in_s, server_ms: now_ms() }))
}

/// Ends it. The answer is the same whether there was one.
pub async fn sign_out(State(app): State<Shared>, headers: HeaderMap) -> ApiResult<impl IntoResponse> {
    own_page(&headers)?;
    if let Some((refresh, _)) = held(&headers) {
        app.store.close_session(Tokens::refresh_hash(&refresh), now_ms()).await?;
    }
    let gone = |name| (header::SET_COOKIE, cookie(name, "", 0));
    Ok((StatusCode::NO_CONTENT, AppendHeaders([gone(ACCESS), gone(REFRESH)])))
}

fn session(app: &App, user: UserRow, refresh: &str, csrf: &str) -> ApiResult<WithCookies> {
    let branch = user.branch.as_ref().map(|branch| branch.id);
    let shows = Some(Hash::of(csrf.as_bytes()));
    let grant = Grant { csrf: shows, ..Grant::new(user.id, user.role, branch) };
    let (access, expires_in_s) = (app.tokens.issue(grant)?, app.tokens.access_s());
    let cookies = [
        (header::SET_COOKIE, cookie(ACCESS, &access, expires_in_s)),
        (header::SET_COOKIE, cookie(REFRESH, &format!("{refresh}.{csrf}"), app.config.tokens.refresh_s)),
    ];
    let (user, csrf_token) = (shown(user), csrf.to_owned());
    let session = WebSession { user, csrf_token, expires_in_s, server_ms: now_ms() };
    Ok((AppendHeaders(cookies), Json(session)))
}

fn cookie(name: &'static str, value: &str, life_s: u64) -> String {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(Duration::seconds(i64::try_from(life_s).unwrap_or(i64::MAX)))
        .to_string()
}

/// The value of a cookie.
pub fn cookie_value(headers: &HeaderMap, name: &str) -> Option<String> {
    let sent = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut cookies = sent.flat_map(Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

/// The refresh token that a page's cookie holds, and what the page shows.
fn held(headers: &HeaderMap) -> Option<(String, String)> {
    let value = cookie_value(headers, REFRESH)?;
    value.split_once('.').map(|(refresh, csrf)| (refresh.to_owned(), csrf.to_owned()))
}

fn no_session() -> ApiError {
    ApiError::new(ProblemCode::Unauthenticated, "There is no session of this page: sign in.")
}

/// Whether a browser says that a page of this origin asks. What says nothing is no browser, or a very old one.
fn from_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }
        _ => false,
    }
}

fn own_page(headers: &HeaderMap) -> ApiResult<()> {
    if from_own_page(headers) {
        return Ok(());
    }
    let detail = "This is for pages of this server's own origin. Other programs sign in at /api/auth/sign-in or /api/auth/token.";
    Err(ApiError::new(ProblemCode::BadRequest, detail))
}

/// Whether a request that came by cookie may change something.
pub fn may_change(headers: &HeaderMap, csrf: Hash) -> ApiResult<()> {
    let shown = headers.get(CSRF_HEADER).is_some_and(|token| Hash::of(token.as_bytes()) == csrf);
    if shown && from_own_page(headers) {
        return Ok(());
    }
    let detail = "What a page changes needs its `csrf_token` as `X-CSRF-Token`, and to come from this server's own origin.";
    Err(ApiError::new(ProblemCode::Forbidden, detail))
}
