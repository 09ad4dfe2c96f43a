//! Push and pull.

use super::Shared;
use super::body::{Json, JsonBytes, field_error, one_of, parse};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query};
use super::route::Reach;
use crate::clock::now_ms;
use crate::store::{PortfolioQuery, PullPage, PullQuery, QuarantineQuery};
use crate::sync::{PushError, Pusher};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use vereda_domain::api::{
    MAX_PULL_CHANGES, MAX_PUSH_EVENTS, ProblemCode, Push, Pushed, Quarantined, SERVER_MS, SyncStatus,
};
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

const SEQ: Param = Param::new("seq", Form::Count, "The end of the device's chain, as the device has it.");
const CURSOR: Param =
    Param::new("cursor", Form::Count, "The place in the branch's changes up to which the device has them.");
const MODEL: Param = Param::new(
    "model",
    Form::Digest,
    "SHA-256 of the device's model, or its first 8 digits or more; empty for none.",
);
/// What a device has.
pub const HAS: &[Param] = &[SEQ, CURSOR, MODEL];
const SEEN: Param = Param::new(
    "seen",
    Form::Count,
    "The largest `end` of all answers so far: where the server was set back from there, the answer is `anew`.",
);
const LIMIT: Param =
    Param::new("limit", Form::Number { min: 1, max: MAX_PULL_CHANGES }, "How many at most; 500 if absent.");
const COUNT: Param =
    Param::new("count", Form::OneOf(&["true", "false"]), "Whether to say how many are left; not if absent.");
const UNTIL: Param =
    Param::new("until", Form::Count, "The last place to bring changes of; the end if absent.");
const ASSESSMENTS: Param = Param::new(
    "assessments",
    Form::OneOf(&["all", "last", "earlier"]),
    "`last`: everybody with their last assessment, for a device that has nothing yet; pages go on at `after`, and neither `cursor` \
     nor `until` is looked at. `earlier`: only assessments that are not the last, and nothing else. All changes if absent.",
);
const AFTER: Param = Param::new("after", Form::Place, "With `assessments=last`: `next` of the page before.");
/// Which changes are wanted.
pub const WANTED: &[Param] = &[CURSOR, SEEN, LIMIT, COUNT, UNTIL, ASSESSMENTS, AFTER];
/// How many are wanted.
pub const AT_MOST: &[Param] = &[LIMIT];

/// How many digits of a model's hash name it at least.
const MODEL_DIGITS: usize = 8;

/// Whether anything is new: without a body when nothing is, so that an idle device costs little.
pub async fn status(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Response> {
    let (seq, cursor) = (query.parsed(&SEQ)?, query.parsed(&CURSOR)?);
    let (branch, device) = (caller.branch()?, caller.device()?);
    let now = app.store.snapshot(branch, device, 1, 0, Vec::new()).await?;
    let model = app.store.current_model().await?.map(|manifest| manifest.sha256);
    let server_ms = now_ms();
    // The beginning of the hash is enough to tell one's own model from the next.
    let same_model = match (query.text(&MODEL).unwrap_or_default(), model.as_deref()) {
        (known, Some(model)) => known.len() >= MODEL_DIGITS && model.starts_with(known),
        (known, None) => known.is_empty(),
    };
    if seq == Some(now.head.seq) && cursor == Some(now.branch_seq) && same_model {
        return Ok((StatusCode::NO_CONTENT, [(SERVER_MS, server_ms.to_string())]).into_response());
    }
    Ok(Json(SyncStatus { head: now.head, cursor: now.branch_seq, model, server_ms }).into_response())
}

/// Quarantined events: an officer's own, a manager's branch.
pub async fn quarantined(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> ApiResult<Json<Vec<Quarantined>>> {
    let limit = query.parsed(&LIMIT)?.unwrap_or(DEFAULT_PULL);
    let user = (caller.reach == Reach::Own).then_some(caller.user);
    Ok(Json(app.store.quarantined(QuarantineQuery { branch: caller.branch()?, user, limit }).await?))
}

/// A [`vereda_domain::api::Pulled`] whose records go out as they are stored.
#[derive(serde::Serialize)]
struct Page {
    #[serde(flatten)]
    page: PullPage,
    server_ms: vereda_domain::Millis,
}

/// Below so many bytes nothing is packed.
const SMALL: usize = 512;

/// JSON, as zstd for whoever takes that.
fn packed(headers: &HeaderMap, value: &impl serde::Serialize) -> ApiResult<Response> {
    let plain = serde_json::to_vec(value).map_err(ApiError::internal)?;
    let takes_zstd =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok()).any(|list| {
            list.split(',').any(|one| one.split(';').next().is_some_and(|name| name.trim() == "zstd"))
        });
    let json = HeaderValue::from_static("application/json");
    if !takes_zstd || plain.len() < SMALL {
        return Ok(([(header::CONTENT_TYPE, json)], plain).into_response());
    }
    let packed = zstd::bulk::compress(&plain, 1).map_err(ApiError::internal)?;
    let zstd = HeaderValue::from_static("zstd");
    Ok(([(header::CONTENT_TYPE, json), (header::CONTENT_ENCODING, zstd)], packed).into_response())
}

/// Brings changes.
pub async fn pull(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> ApiResult<Response> {
    let limit = query.parsed(&LIMIT)?.unwrap_or(DEFAULT_PULL);
    let count = query.parsed(&COUNT)?.unwrap_or(false);
    let seen = query.parsed(&SEEN)?.unwrap_or(0);
    let branch = caller.branch()?;
    let owner = (caller.reach == Reach::Own).then_some(caller.user);
    let assessments = query.text(&ASSESSMENTS);
    let page = if assessments == Some("last") {
        let after = query.parsed(&AFTER)?;
        app.store.portfolio(PortfolioQuery { branch, owner, after, seen, limit, count }).await?
    } else {
        let cursor = query.parsed(&CURSOR)?.unwrap_or(0);
        let (until, earlier) = (query.parsed(&UNTIL)?, assessments == Some("earlier"));
        app.store.pull(PullQuery { branch, owner, cursor, seen, limit, count, until, earlier }).await?
    };
    packed(&headers, &Page { page, server_ms: now_ms() })
}
