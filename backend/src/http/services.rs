//! Other systems: their accounts, their secrets, and the tokens that they get for them (RFC 6749, section 4.4).

use super::Shared;
use super::body::{Form, Json};
use super::caller::Caller;
use super::people::id;
use super::problem::{ApiError, ApiResult};
use crate::clock::now_ms;
use crate::identity::services::secret_hash;
use crate::identity::tokens::Grant;
use crate::store::user_key;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vereda_domain::api::{
    AddService, GrantScopes, IssuedSecret, IssuedToken, ProblemCode, Role, Scope, ServiceAccount,
    TokenRequest,
};

/// Every system, by user name.
pub async fn list(State(app): State<Shared>) -> ApiResult<Json<Vec<ServiceAccount>>> {
    Ok(Json(app.people().services().await?))
}

/// Adds a system.
pub async fn add(
    State(app): State<Shared>,
    caller: Caller,
    Json(new): Json<AddService>,
) -> ApiResult<(StatusCode, Json<ServiceAccount>)> {
    let account = app.people_by(&caller).add_service(new).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

/// Says what a system may do.
pub async fn grant(
    State(app): State<Shared>,
    caller: Caller,
    Path(service): Path<String>,
    Json(GrantScopes { scopes }): Json<GrantScopes>,
) -> ApiResult<Json<ServiceAccount>> {
    Ok(Json(app.people_by(&caller).grant(id(&service)?, scopes).await?))
}

/// Makes a secret, which is shown this once.
pub async fn issue(
    State(app): State<Shared>,
    caller: Caller,
    Path(service): Path<String>,
) -> ApiResult<(StatusCode, Json<IssuedSecret>)> {
    let issued = app.people_by(&caller).issue_secret(id(&service)?).await?;
    Ok((StatusCode::CREATED, Json(issued)))
}

/// Ends a secret.
pub async fn revoke(
    State(app): State<Shared>,
    caller: Caller,
    Path((service, secret)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    app.people_by(&caller).revoke_secret(id(&service)?, id(&secret)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token for a name and a secret.
pub async fn token(
    State(app): State<Shared>,
    headers: HeaderMap,
    Form(asked): Form<TokenRequest>,
) -> ApiResult<Json<IssuedToken>> {
    if asked.grant_type != "client_credentials" {
        let detail = "`grant_type` must be `client_credentials`.";
        return Err(ApiError::new(ProblemCode::BadRequest, detail).oauth("unsupported_grant_type"));
    }
    let Credentials { client_id, client_secret } = credentials(&headers, &asked)?;
    // A secret is 256 random bits: there is nothing to guess, and its hash may be looked for as it is.
    let user = app.store.user_by_secret(secret_hash(&client_secret), now_ms()).await?;
    let user = user.filter(|user| {
        user.role == Role::Service && !user.disabled && user_key(&client_id) == user_key(&user.username)
    });
    let Some(user) = user else {
        app.metrics.sign_in_failure("wrong_credentials");
        let detail = "There is no such client, its secret is wrong or revoked, or it was disabled.";
        let refusal = ApiError::new(ProblemCode::WrongCredentials, detail).oauth("invalid_client");
        return Err(refusal.challenge("Basic realm=\"vereda\""));
    };
    let scopes = match &asked.scope {
        None => user.scopes.clone(),
        Some(wanted) => {
            let wanted = Scope::read_list(wanted).ok().filter(|wanted| !wanted.is_empty());
            let may = |wanted: &Vec<Scope>| wanted.iter().all(|scope| user.scopes.contains(scope));
            wanted.filter(may).ok_or_else(|| {
                let may = Scope::write_list(&user.scopes);
                let detail = format!("`scope` must be one or several of: {may}.");
                ApiError::new(ProblemCode::BadRequest, detail).oauth("invalid_scope")
            })?
        }
    };
    let scope = Scope::write_list(&scopes);
    let branch = user.branch.as_ref().map(|branch| branch.id);
    let grant = Grant { scope: Some(scope.clone()), ..Grant::new(user.id, user.role, branch) };
    tracing::info!(user = %user.id, scope, "a system got a token");
    Ok(Json(IssuedToken {
        access_token: app.tokens.issue(grant)?,
        token_type: "Bearer".into(),
        expires_in: app.tokens.access_s(),
        scope,
    }))
}

struct Credentials {
    client_id: String,
    client_secret: String,
}

/// From the `Authorization` header, or from the form; never from both (RFC 6749, section 2.3).
fn credentials(headers: &HeaderMap, asked: &TokenRequest) -> ApiResult<Credentials> {
    let unreadable = || {
        let detail = "Send `client_id` and `client_secret` in the form, or in `Authorization: Basic ...`, and not both.";
        ApiError::new(ProblemCode::BadRequest, detail).oauth("invalid_request")
    };
    match (headers.get(header::AUTHORIZATION), &asked.client_id, &asked.client_secret) {
        (None, Some(id), Some(secret)) => {
            Ok(Credentials { client_id: id.clone(), client_secret: secret.clone() })
        }
        (Some(value), id, None) => {
            let (scheme, packed) =
                value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unreadable)?;
            if !scheme.eq_ignore_ascii_case("basic") {
                return Err(unreadable());
            }
            let plain = STANDARD.decode(packed.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let plain = plain.ok_or_else(unreadable)?;
            let (name, secret) = plain.split_once(':').ok_or_else(unreadable)?;
            // Each was written as in a form before they were put together.
            let pairs: Vec<(String, String)> =
                serde_urlencoded::from_str(&format!("{name}={secret}")).map_err(|_| unreadable())?;
            let [(client_id, client_secret)] = <[_; 1]>::try_from(pairs).map_err(|_| unreadable())?;
            if id.as_ref().is_some_and(|id| *id != client_id) {
                return Err(unreadable());
            }
            Ok(Credentials { client_id, client_secret })
        }
        _ => Err(unreadable()),
    }
}
