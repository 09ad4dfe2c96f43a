//! Push and pull.

use super::Shared;
use super::body::{JsonBytes, field_error, one_of, parse};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::Query;
use crate::clock::now_ms;
use crate::store::PullQuery;
use crate::sync::{PushError, Pusher};
use axum::Json;
use axum::extract::State;
use vereda_domain::api::{MAX_PULL_CHANGES, MAX_PUSH_EVENTS, ProblemCode, Pulled, Push, Pushed, Role};
use vereda_domain::event::ChainHead;

/// How many changes a page has unless asked otherwise.
const DEFAULT_PULL: u32 = 500;

/// The end of the caller's chain.
pub async fn head(State(app): State<Shared>, caller: Caller) -> ApiResult<Json<ChainHead>> {
    Ok(Json(app.store.head(caller.device()?).await?))
}

/// Takes events in.
pub async fn push(
    State(app): State<Shared>,
    caller: Caller,
    JsonBytes(bytes): JsonBytes,
) -> ApiResult<Json<Pushed>> {
    let pusher =
        Pusher { user: caller.user, role: caller.role, branch: caller.branch()?, device: caller.device()? };
    let push: Push = parse(&bytes)?;
    app.sync.push(pusher, push).await.map(Json).map_err(refusal)
}

fn refusal(error: PushError) -> ApiError {
    match error {
        PushError::TooMany => {
            let detail =
                format!("A push has at most {MAX_PUSH_EVENTS} events; send the rest in the next one.");
            ApiError::new(ProblemCode::TooLarge, detail)
        }
        PushError::Unreadable { index, why } => {
            let error =
                field_error(&format!("events[{index}]"), one_of(&["an event with a readable header"]));
            error.because(why)
        }
        PushError::Gap { resume } => {
            let detail = format!(
                "These events do not continue this device's chain, which ends at {}. Send what follows it.",
                resume.seq
            );
            ApiError::new(ProblemCode::ChainGap, detail).resume(resume)
        }
        PushError::Fork { seq, head } => {
            let detail = format!(
                "Event {seq} is stored with other content. The first one is kept; enrol the device anew to go on."
            );
            ApiError::new(ProblemCode::Conflict, detail).resume(head)
        }
        PushError::Server(error) => error.into(),
    }
}

/// Brings changes.
pub async fn pull(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Json<Pulled>> {
    query.only(&["cursor", "limit"])?;
    let cursor = query.read("cursor", &["the cursor of the page before"], |t| t.parse().ok())?.unwrap_or(0);
    let limit = query.number("limit", 1, MAX_PULL_CHANGES)?.unwrap_or(DEFAULT_PULL);
    let owner = (caller.role == Role::Officer).then_some(caller.user);
    let page = app.store.pull(PullQuery { branch: caller.branch()?, owner, cursor, limit }).await?;
    Ok(Json(Pulled { changes: page.changes, cursor: page.cursor, more: page.more, server_ms: now_ms() }))
}
