//! The history of scores.

use super::Shared;
use super::body::Json;
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query};
use crate::clock::parse_time;
use crate::store::{HistoryFilter, HistoryKey, HistoryScope, HistorySort};
use axum::extract::{Path, State};
use uuid::Uuid;
use vereda_domain::api::{HistoryEntry, HistoryPage};
use vereda_domain::{AssessmentId, BranchId};
use vereda_scoring::bundle::Group;

const DEFAULT_LIMIT: u32 = 50;
const CLIENT: Param = Param::new("client", Form::Uuid, "A client's id (scores from the field).");
const CLIENT_REF: Param =
    Param::new("client_ref", Form::Text(100), "The caller's name for the client (scores through this API).");
const OFFICER: Param = Param::new("officer", Form::Uuid, "Who scored, or the user of the system that asked.");
/// For those who see more than one.
pub const BRANCH: Param = Param::new(
    "branch",
    Form::Uuid,
    "A branch's id; another than the caller's own is not found unless the caller sees all.",
);
const GROUP: Param =
    Param::new("group", Form::OneOf(&["T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8"]), "A risk group.");
const MODEL_VERSION: Param =
    Param::new("model_version", Form::Number { min: 0, max: u32::MAX }, "A model's version.");
const FROM: Param =
    Param::new("from", Form::Time, "Scored at or after: RFC 3339, or milliseconds since 1970.");
const TO: Param = Param::new("to", Form::Time, "Scored before.");
const SORT: Param = Param::new(
    "sort",
    Form::OneOf(&["-scored_at", "scored_at", "-received_at", "received_at"]),
    "By what, `-` for the newest first; `-scored_at` if absent.",
);
/// What narrows and orders a search.
pub const FILTERS: &[Param] = &[CLIENT, CLIENT_REF, OFFICER, BRANCH, GROUP, MODEL_VERSION, FROM, TO, SORT];
const AFTER: Param = Param::new("after", Form::Cursor, "`next` of the page before.");
const LIMIT: Param =
    Param::new("limit", Form::Number { min: 1, max: 500 }, "Entries of the page; 50 if absent.");
/// Which page of what is found.
pub const PAGES: &[Param] = &[AFTER, LIMIT];
const SORTS: [(&str, HistorySort); 4] = [
    ("-scored_at", HistorySort::NewestScored),
    ("scored_at", HistorySort::OldestScored),
    ("-received_at", HistorySort::NewestReceived),
    ("received_at", HistorySort::OldestReceived),
];

/// What a caller searches for.
pub fn filter(caller: &Caller, query: &Query) -> ApiResult<HistoryFilter> {
    let branch: Option<BranchId> = query.parsed(&BRANCH)?;
    let scope = caller.scope()?;
    if scope != HistoryScope::All && branch.is_some() && branch != caller.branch {
        return Err(ApiError::not_found());
    }
    Ok(HistoryFilter {
        scope,
        client: query.parsed(&CLIENT)?,
        client_ref: query.text(&CLIENT_REF).map(str::to_owned),
        officer: query.parsed(&OFFICER)?,
        branch,
        group: query.read(&GROUP, |text| Group::ALL.into_iter().find(|group| group.as_str() == text))?,
        model_version: query.parsed(&MODEL_VERSION)?,
        from: query.read(&FROM, parse_time)?,
        to: query.read(&TO, parse_time)?,
        sort: query
            .read(&SORT, |text| SORTS.into_iter().find(|(name, _)| *name == text).map(|(_, sort)| sort))?
            .unwrap_or_default(),
        after: None,
        limit: DEFAULT_LIMIT,
    })
}

/// Entries, newest first unless asked otherwise.
pub async fn list(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Json<HistoryPage>> {
    let limit = query.parsed(&LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let filter = HistoryFilter {
        after: query.read(&AFTER, read_cursor)?,
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
    let entry = app.store.history_entry(id, caller.scope()?).await?;
    entry.map(Json).ok_or_else(ApiError::not_found)
}

/// A place in the history; callers take it as opaque. It opens nothing: the scope holds all the same.
fn write_cursor(key: HistoryKey) -> String {
    format!("{:016x}{}", key.at_ms, key.id.0.simple())
}

fn read_cursor(text: &str) -> Option<HistoryKey> {
    let (time, id) = text.split_at_checked(16)?;
    let at_ms = u64::from_str_radix(time, 16).ok()?.cast_signed();
    Some(HistoryKey { at_ms, id: AssessmentId(Uuid::try_parse(id).ok()?) })
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
            assert!(read_cursor(wrong).is_none(), "{wrong}");
        }
    }
}
