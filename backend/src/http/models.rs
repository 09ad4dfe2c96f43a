//! Published models.

use super::Shared;
use super::body::{Json, JsonBytes};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use crate::models::{PublishError, Publisher};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use vereda_domain::api::{Doer, ModelManifest, ProblemCode};

/// Every version, newest first.
pub async fn list(State(app): State<Shared>) -> ApiResult<Json<Vec<ModelManifest>>> {
    Ok(Json(app.store.models().await?))
}

/// The newest version, or 304 if the caller has it.
pub async fn current(State(app): State<Shared>, headers: HeaderMap) -> ApiResult<Response> {
    let manifest = app.store.current_model().await?.ok_or_else(no_model)?;
    Ok(with_etag(&headers, &manifest.sha256.clone(), || Json(manifest).into_response()))
}

/// One version's bytes, exactly as published.
pub async fn bundle(
    State(app): State<Shared>,
    Path(version): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let version = version.parse().map_err(|_| ApiError::not_found())?;
    let (manifest, bytes) = app.store.model_bytes(version).await?.ok_or_else(ApiError::not_found)?;
    Ok(with_etag(&headers, &manifest.sha256, || {
        // A version's bytes never change.
        let cache = (header::CACHE_CONTROL, "private, max-age=31536000, immutable");
        ([cache, (header::CONTENT_TYPE, "application/json")], bytes).into_response()
    }))
}

/// Publishes a bundle.
pub async fn publish(
    State(app): State<Shared>,
    caller: Caller,
    JsonBytes(bytes): JsonBytes,
) -> ApiResult<(StatusCode, Json<ModelManifest>)> {
    let by = Publisher { name: caller.name, doer: Doer::User(caller.user) };
    match app.models.publish(bytes, by).await {
        Ok((manifest, true)) => {
            tracing::info!(user = %caller.user, version = manifest.version, sha256 = manifest.sha256, "model published");
            Ok((StatusCode::CREATED, Json(manifest)))
        }
        Ok((manifest, false)) => Ok((StatusCode::OK, Json(manifest))),
        Err(PublishError::Invalid(error)) => {
            Err(ApiError::new(ProblemCode::InvalidBundle, format!("{} ({}).", error, error.code())))
        }
        Err(PublishError::NotAbove { version, newest }) => {
            let detail =
                format!("The bundle has version {version} and the newest is {newest}: give it a higher one.");
            Err(ApiError::new(ProblemCode::VersionNotAbove, detail))
        }
        Err(PublishError::Server(error)) => Err(error.into()),
    }
}

/// Before the first model.
pub fn no_model() -> ApiError {
    ApiError::new(ProblemCode::NoModel, "No model was published yet: an analyst publishes the first one.")
}

fn with_etag(headers: &HeaderMap, sha256: &str, respond: impl FnOnce() -> Response) -> Response {
    let etag = format!("\"{sha256}\"");
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| matches!(tag.trim().trim_start_matches("W/"), tag if tag == etag || tag == "*"));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { respond() };
    if let Ok(value) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}
