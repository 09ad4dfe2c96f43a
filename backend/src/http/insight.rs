//! How a model does in use: performance, drift and overrides.

use super::Shared;
use super::body::{field_error, one_of};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::Query;
use crate::clock::parse_time;
use crate::insight::{MAX_HORIZON, Span, Window, day_number};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;
use vereda_domain::BranchId;
use vereda_domain::api::{ModelDrift, Overrides, Performance, Role};
use vereda_scoring::Model;

/// Months over which outcomes are counted unless asked otherwise.
const DEFAULT_HORIZON: u32 = 12;

async fn model(app: &Shared, version: &str) -> ApiResult<Arc<Model>> {
    let version = version.parse().map_err(|_| ApiError::not_found())?;
    app.models.version(version).await?.ok_or_else(ApiError::not_found)
}

/// A manager sees the own branch; analysts and administrators any, or all.
fn span(caller: &Caller, query: &Query) -> ApiResult<Span> {
    query.only(&["horizon_months", "from", "to", "branch"])?;
    let asked: Option<BranchId> = query.id("branch")?;
    let branch = if caller.role == Role::Manager { Some(caller.branch()?) } else { asked };
    if asked.is_some() && asked != branch {
        return Err(ApiError::not_found());
    }
    Ok(Span {
        horizon_months: query.number("horizon_months", 1, MAX_HORIZON)?.unwrap_or(DEFAULT_HORIZON),
        from_month: query.read("from", &["a month such as 2026-11"], month)?,
        to_month: query.read("to", &["a month such as 2026-11"], month)?,
        branch,
    })
}

fn month(text: &str) -> Option<i64> {
    let (year, month) = text.split_once('-')?;
    let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
    ((1970..=9999).contains(&year) && (1..=12).contains(&month)).then_some(year * 12 + month - 1)
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
    query.only(&["window", "from", "to"])?;
    let windows = ["day", "week", "month"];
    let window = query.read("window", &windows, |text| match text {
        "day" => Some(Window::Day),
        "week" => Some(Window::Week),
        "month" => Some(Window::Month),
        _ => None,
    })?;
    let day = |name| query.read(name, &super::history::TIME, |text| parse_time(text).map(day_number));
    let (from, to) = (day("from")?.unwrap_or(i64::MIN), day("to")?.unwrap_or(i64::MAX));
    if from >= to {
        return Err(field_error("to", one_of(&["a day after `from`"])));
    }
    let model = model(&app, &version).await?;
    Ok(Json(app.insight.drift(&model, window.unwrap_or(Window::Month), (from, to)).await?))
}
