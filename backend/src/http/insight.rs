//! How a model does in use: performance, drift and overrides.

use super::Shared;
use super::body::{Json, field_error, one_of};
use super::caller::Caller;
use super::history::BRANCH;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query, month};
use crate::clock::parse_time;
use crate::insight::{MAX_HORIZON, Span, Window, day_number};
use axum::extract::{Path, State};
use std::sync::Arc;
use vereda_domain::BranchId;
use vereda_domain::api::{ModelDrift, Overrides, Performance};
use vereda_scoring::Model;

const HORIZON: Param = Param::new(
    "horizon_months",
    Form::Number { min: 1, max: MAX_HORIZON },
    "Months after the score over which outcomes count; 12 if absent.",
);
const FROM_MONTH: Param = Param::new("from", Form::Month, "Scored in this month or later, such as 2026-11.");
const TO_MONTH: Param = Param::new("to", Form::Month, "Scored in this month or before.");
/// Which scores performance and overrides are about.
pub const SPAN: &[Param] = &[HORIZON, FROM_MONTH, TO_MONTH, BRANCH];
const WINDOW: Param =
    Param::new("window", Form::OneOf(&["day", "week", "month"]), "How long a window is; a month if absent.");
const FROM_DAY: Param =
    Param::new("from", Form::Time, "From this day on: RFC 3339, or milliseconds since 1970.");
const TO_DAY: Param = Param::new("to", Form::Time, "Before this day.");
/// Which windows drift is about.
pub const WINDOWS: &[Param] = &[WINDOW, FROM_DAY, TO_DAY];

/// Months over which outcomes are counted unless asked otherwise.
const DEFAULT_HORIZON: u32 = 12;

async fn model(app: &Shared, version: &str) -> ApiResult<Arc<Model>> {
    let version = version.parse().map_err(|_| ApiError::not_found())?;
    app.models.version(version).await?.ok_or_else(ApiError::not_found)
}

/// A manager sees the own branch; analysts and administrators any, or all.
fn span(caller: &Caller, query: &Query) -> ApiResult<Span> {
    let asked: Option<BranchId> = query.parsed(&BRANCH)?;
    let branch = caller.branches()?.or(asked);
    if asked.is_some() && asked != branch {
        return Err(ApiError::not_found());
    }
    Ok(Span {
        horizon_months: query.parsed(&HORIZON)?.unwrap_or(DEFAULT_HORIZON),
        from_month: query.read(&FROM_MONTH, month)?,
        to_month: query.read(&TO_MONTH, month)?,
        branch,
    })
}

/// How a model's PDs came true.
pub async fn performance(
    State(app): State<Shared>,
    caller: Caller,
    Path(version): Path<String>,
    query: Query,
) -> ApiResult<Json<Performance>> {
    let span = span(&caller, &query)?;
    let model = model(&app, &version).await?;
    Ok(Json(app.insight.performance(&model, span).await?))
}

/// How often people decided against the suggestion, and how that turned out.
pub async fn overrides(
    State(app): State<Shared>,
    caller: Caller,
    Path(version): Path<String>,
    query: Query,
) -> ApiResult<Json<Overrides>> {
    let span = span(&caller, &query)?;
    let model = model(&app, &version).await?;
    Ok(Json(app.insight.overrides(&model, span).await?))
}

/// How far those who are scored have moved from those that the model was trained on.
pub async fn drift(
    State(app): State<Shared>,
    Path(version): Path<String>,
    query: Query,
) -> ApiResult<Json<ModelDrift>> {
    let window = query.read(&WINDOW, |text| match text {
        "day" => Some(Window::Day),
        "week" => Some(Window::Week),
        "month" => Some(Window::Month),
        _ => None,
    })?;
    let day = |param| query.read(param, |text| parse_time(text).map(day_number));
    let (from, to) = (day(&FROM_DAY)?.unwrap_or(i64::MIN), day(&TO_DAY)?.unwrap_or(i64::MAX));
    if from >= to {
        return Err(field_error(TO_DAY.name, one_of(&["a day after `from`"])));
    }
    let model = model(&app, &version).await?;
    Ok(Json(app.insight.drift(&model, window.unwrap_or(Window::Month), (from, to)).await?))
}
