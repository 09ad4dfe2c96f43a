//! Seeing to people and branches; the first administrator; one's own password.

use super::auth::check_password;
use super::body::Json;
use super::caller::Caller;
use super::client::Client;
use super::problem::{ApiError, ApiResult};
use super::{App, Shared};
use crate::identity::people::People;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::str::FromStr;
use vereda_domain::api::{
    AddUser, BranchInfo, ChangePassword, Doer, NamedBranch, Person, ProblemCode, Role, SetUp, UserChange,
};

impl App {
    /// Sees to people on behalf of the caller.
    pub(super) fn people_by(&self, caller: &Caller) -> People {
        self.people().by(Doer::User(caller.user))
    }
}

/// An id in the path; whatever is none names nothing.
pub(super) fn id<T: FromStr>(text: &str) -> ApiResult<T> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Everybody but services, by user name.
pub async fn list(State(app): State<Shared>) -> ApiResult<Json<Vec<Person>>> {
    let users = app.store.users().await?.into_iter();
    let people = users.filter(|row| row.role != Role::Service);
    Ok(Json(people.map(Person::from).collect()))
}

/// Adds somebody.
pub async fn add(
    State(app): State<Shared>,
    caller: Caller,
    Json(new): Json<AddUser>,
) -> ApiResult<(StatusCode, Json<Person>)> {
    let person = app.people_by(&caller).add_user(new).await?;
    Ok((StatusCode::CREATED, Json(person)))
}

/// Changes somebody, or a service.
pub async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Path(user): Path<String>,
    Json(change): Json<UserChange>,
) -> ApiResult<Json<Person>> {
    Ok(Json(app.people_by(&caller).change_user(id(&user)?, change).await?))
}

/// Every branch, by name.
pub async fn branches(State(app): State<Shared>) -> ApiResult<Json<Vec<BranchInfo>>> {
    Ok(Json(app.store.branches().await?))
}

/// Adds a branch.
pub async fn add_branch(
    State(app): State<Shared>,
    caller: Caller,
    Json(branch): Json<NamedBranch>,
) -> ApiResult<(StatusCode, Json<BranchInfo>)> {
    let branch = app.people_by(&caller).add_branch(&branch.name).await?;
    Ok((StatusCode::CREATED, Json(branch)))
}

/// Gives a branch another name.
pub async fn rename_branch(
    State(app): State<Shared>,
    caller: Caller,
    Path(branch): Path<String>,
    Json(named): Json<NamedBranch>,
) -> ApiResult<Json<BranchInfo>> {
    Ok(Json(app.people_by(&caller).rename_branch(id(&branch)?, &named.name).await?))
}

/// Makes the first administrator.
pub async fn set_up(
    State(app): State<Shared>,
    Json(asked): Json<SetUp>,
) -> ApiResult<(StatusCode, Json<Person>)> {
    let person = app.people().set_up(asked).await?;
    tracing::warn!(user = %person.id, "the first administrator was made");
    Ok((StatusCode::CREATED, Json(person)))
}

/// Gives the caller another password and ends their sessions.
pub async fn change_password(
    State(app): State<Shared>,
    caller: Caller,
    client: Client,
    Json(ChangePassword { old, new }): Json<ChangePassword>,
) -> ApiResult<StatusCode> {
    let user = app.store.user(caller.user).await?.ok_or_else(ApiError::not_found)?;
    // Guessed as slowly as at a sign-in: a stolen token must not become a stolen password.
    let user = check_password(&app, &user.username, &old, client.address).await?;
    if old == new {
        let detail = "The new password is the old one. Choose another.";
        return Err(ApiError::new(ProblemCode::Conflict, detail));
    }
    let change = UserChange::SetPassword { password: new };
    app.people_by(&caller).change_user(user.id, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
