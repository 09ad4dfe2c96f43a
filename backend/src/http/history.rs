//! The history of scores.

use super::Shared;
use super::body::{field_error, one_of};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::Query;
use crate::clock::parse_time;
use crate::store::{HistoryFilter, HistoryKey, HistoryScope};
use axum::Json;
use axum::extract::{Path, State};
use uuid::Uuid;
use vereda_domain::api::{HistoryEntry, HistoryPage, Role};
use vereda_domain::{AssessmentId, BranchId};
use vereda_scoring::bundle::Group;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;
const TIME: [&str; 2] = ["a time as RFC 3339 has it", "milliseconds since 1970"];
const PARAMETERS: [&str; 10] =
    ["client", "client_ref", "officer", "branch", "group", "model_version", "from", "to", "after", "limit"];

/// What a caller may see at all: officers and systems what they scored, managers their branch,
/// analysts and administrators everything.
fn scope(caller: &Caller) -> ApiResult<HistoryScope> {
    Ok(match caller.role {
        Role::Officer | Role::Service => HistoryScope::Officer(caller.user),
        Role::Manager => HistoryScope::Branch(caller.branch()?),
        Role::Analyst | Role::Admin => HistoryScope::All,
    })
}

/// Entries, newest first.
pub async fn list(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Json<HistoryPage>> {
    query.only(&PARAMETERS)?;
    let branch: Option<BranchId> = query.id("branch")?;
    let scope = scope(&caller)?;
    if scope != HistoryScope::All && branch.is_some() && branch != caller.branch {
        return Err(ApiError::not_found());
    }
    let limit = query.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let filter = HistoryFilter {
        scope,
        client: query.id("client")?,
        client_ref: query.text("client_ref").map(str::to_owned),
        officer: query.id("officer")?,
        branch,
        group: query.read("group", &Group::ALL.map(Group::as_str), |text| {
            Group::ALL.into_iter().find(|group| group.as_str() == text)
        })?,
        model_version: query.number("model_version", 0, u32::MAX)?,
        from: query.read("from", &TIME, parse_time)?,
        to: query.read("to", &TIME, parse_time)?,
        after: query.text("after").map(read_cursor).transpose()?,
        // One more than asked for tells whether there is another page.
        limit: limit + 1,
    };
    let mut rows = app.store.history(filter).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = if rows.len() > wanted {
        rows.truncate(wanted);
        rows.last().map(|row| write_cursor(row.key))
    } else {
        None
    };
    Ok(Json(HistoryPage { entries: rows.into_iter().map(|row| row.entry).collect(), next }))
}

/// One entry.
pub async fn one(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<HistoryEntry>> {
    let id: AssessmentId = id.parse().map_err(|_| ApiError::not_found())?;
    let entry = app.store.history_entry(id, scope(&caller)?).await?;
    entry.map(Json).ok_or_else(ApiError::not_found)
}

/// A place in the history; callers take it as opaque. It opens nothing: the scope holds all the same.
fn write_cursor(key: HistoryKey) -> String {
    format!("{:016x}{}", key.scored_ms, key.id.0.simple())
}

fn read_cursor(text: &str) -> ApiResult<HistoryKey> {
    let parse = || {
        let (time, id) = text.split_at_checked(16)?;
        let scored_ms = u64::from_str_radix(time, 16).ok()?.cast_signed();
        Some(HistoryKey { scored_ms, id: AssessmentId(Uuid::try_parse(id).ok()?) })
    };
    parse().ok_or_else(|| field_error("after", one_of(&["`next` of the page before"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        for scored_ms in [0, 1_790_000_000_123, -5] {
            let key = HistoryKey { scored_ms, id: AssessmentId(Uuid::from_u128(7)) };
            assert_eq!(read_cursor(&write_cursor(key)).unwrap(), key);
        }
        for wrong in ["", "x", "ñññññññññññññññññ", "' OR 1=1 --", "00000000000000000"] {
            assert!(read_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
