//! What clients may ask for: to have what is kept about them brought out, and to have it erased.

use super::Shared;
use super::body::Json;
use super::caller::Caller;
use super::people::id;
use super::predict::check_ref;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query};
use crate::clock::now_ms;
use crate::erasure::client_data;
use crate::store::{Erase, RefToForget};
use axum::extract::{Path, State};
use vereda_domain::api::{ClientData, Doer, Erasure, ForgetClientRef, ForgottenClientRef};

const LIMIT: Param =
    Param::new("limit", Form::Number { min: 1, max: 1000 }, "How many at most; 100 if absent.");
/// How many to list.
pub const AT_MOST: &[Param] = &[LIMIT];

/// All that is kept about a client.
pub async fn data(
    State(app): State<Shared>,
    caller: Caller,
    Path(client): Path<String>,
) -> ApiResult<Json<ClientData>> {
    let by = Doer::User(caller.user);
    let data = client_data(app.store.as_ref(), id(&client)?, caller.branches()?, by).await?;
    data.map(Json).ok_or_else(ApiError::not_found)
}

/// Erases it.
pub async fn erase(
    State(app): State<Shared>,
    caller: Caller,
    Path(client): Path<String>,
) -> ApiResult<Json<Erasure>> {
    let (client, branch) = (id(&client)?, caller.branches()?);
    let erase = Erase { client, branch, by: Doer::User(caller.user), now: now_ms() };
    let erasure = app.store.erase(erase).await?.ok_or_else(ApiError::not_found)?;
    tracing::warn!(user = %caller.user, %client, "the data of a client was erased");
    app.sweep.notify_one();
    Ok(Json(erasure))
}

/// Takes a service's client off its scores.
pub async fn forget_client_ref(
    State(app): State<Shared>,
    caller: Caller,
    Json(of): Json<ForgetClientRef>,
) -> ApiResult<Json<ForgottenClientRef>> {
    check_ref(Some(&of.client_ref))?;
    let ForgetClientRef { service, client_ref } = of;
    let erase = RefToForget { service, client_ref, by: Doer::User(caller.user), now: now_ms() };
    let scores = app.store.forget_client_ref(erase).await?;
    tracing::warn!(user = %caller.user, %service, scores, "scores lost the name of their client");
    Ok(Json(ForgottenClientRef { scores }))
}

/// Who was erased, latest first.
pub async fn list(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Json<Vec<Erasure>>> {
    let limit: u32 = query.parsed(&LIMIT)?.unwrap_or(100);
    Ok(Json(app.store.erasures(caller.branches()?, limit).await?))
}
