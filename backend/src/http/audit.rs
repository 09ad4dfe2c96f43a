//! The record of who did what, for those who look into something.

use super::Shared;
use super::body::Json;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query};
use axum::extract::State;
use serde_json::value::RawValue;
use vereda_domain::api::{AuditLine, AuditPage};

const AFTER: Param = Param::new("after", Form::Count, "After this place; from the beginning, if absent.");
const LIMIT: Param =
    Param::new("limit", Form::Number { min: 1, max: 1000 }, "How many at most; 100 if absent.");
/// What a search may hold.
pub const PAGES: &[Param] = &[AFTER, LIMIT];

/// Some of it, oldest first.
pub async fn list(State(app): State<Shared>, query: Query) -> ApiResult<Json<AuditPage>> {
    let after: u64 = query.parsed(&AFTER)?.unwrap_or(0);
    let limit: u32 = query.parsed(&LIMIT)?.unwrap_or(100);
    let mut rows = app.store.audit(after, limit.saturating_add(1)).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let entries = rows.into_iter().map(|row| {
        let entry = RawValue::from_string(row.text).map_err(ApiError::internal)?;
        Ok(AuditLine { hash: row.hash, entry })
    });
    Ok(Json(AuditPage { entries: entries.collect::<ApiResult<_>>()?, more }))
}
