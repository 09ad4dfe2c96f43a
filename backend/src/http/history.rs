//! The history of scores.

use super::Shared;
use super::body::{field_error, one_of};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::Query;
use crate::clock::parse_time;
use crate::store::{HistoryFilter, HistoryKey, HistoryScope, HistorySort};
use axum::Json;
use axum::extract::{Path, State};
use uuid::Uuid;
use vereda_domain::api::{HistoryEntry, HistoryPage, Role};
use vereda_domain::{AssessmentId, BranchId};
use vereda_scoring::bundle::Group;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;
/// How times are given.
pub const TIME: [&str; 2] = ["a time as RFC 3339 has it", "milliseconds since 1970"];
/// What narrows and orders a search.
pub const FILTERS: [&str; 9] =
    ["client", "client_ref", "officer", "branch", "group", "model_version", "from", "to", "sort"];
const SORTS: [(&str, HistorySort); 4] = [
    ("-scored_at", HistorySort::NewestScored),
    ("scored_at", HistorySort::OldestScored),
    ("-received_at", HistorySort::NewestReceived),
    ("received_at", HistorySort::OldestReceived),
];

/// What a caller may see at all: officers and systems what they scored, managers their branch,
/// analysts and administrators everything.
fn scope(caller: &Caller) -> ApiResult<HistoryScope> {
    Ok(match caller.role {
        Role::Officer | Role::Service => HistoryScope::Officer(caller.user),
        Role::Manager => HistoryScope::Branch(caller.branch()?),
        Role::Analyst | Role::Admin => HistoryScope::All,
    })
}

/// What a caller searches for.
pub fn filter(caller: &Caller, query: &Query) -> ApiResult<HistoryFilter> {
    let branch: Option<BranchId> = query.id("branch")?;
    let scope = scope(caller)?;
    if scope != HistoryScope::All && branch.is_some() && branch != caller.branch {
        return Err(ApiError::not_found());
    }
    Ok(HistoryFilter {
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
        sort: query
            .read("sort", &SORTS.map(|(name, _)| name), |text| {
                SORTS.into_iter().find(|(name, _)| *name == text).map(|(_, sort)| sort)
            })?
            .unwrap_or_default(),
        after: None,
        limit: DEFAULT_LIMIT,
    })
}

/// Entries, newest first unless asked otherwise.
pub async fn list(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Json<HistoryPage>> {
    let known: Vec<&str> = FILTERS.iter().copied().chain(["after", "limit"]).collect();
    query.only(&known)?;
    let limit = query.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let filter = HistoryFilter {
        after: query.text("after").map(read_cursor).transpose()?,
        // One more than asked for tells whether there is another page.
        limit: limit + 1,
        ..filter(&caller, &query)?
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
    format!("{:016x}{}", key.at_ms, key.id.0.simple())
}

fn read_cursor(text: &str) -> ApiResult<HistoryKey> {
    let parse = || {
        let (time, id) = text.split_at_checked(16)?;
        let at_ms = u64::from_str_radix(time, 16).ok()?.cast_signed();
        Some(HistoryKey { at_ms, id: AssessmentId(Uuid::try_parse(id).ok()?) })
    };
    parse().ok_or_else(|| field_error("after", one_of(&["`next` of the page before"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        for at_ms in [0, 1_790_000_000_123, -5] {
            let key = HistoryKey { at_ms, id: AssessmentId(Uuid::from_u128(7)) };
            assert_eq!(read_cursor(&write_cursor(key)).unwrap(), key);
        }
        for wrong in ["", "x", "ñññññññññññññññññ", "' OR 1=1 --", "00000000000000000"] {
            assert!(read_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
