//! The devices of a branch, and revoking one.

use super::Shared;
use super::body::Json;
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use vereda_domain::DeviceId;
use vereda_domain::api::Device;

/// Every device that the caller sees to.
pub async fn list(State(app): State<Shared>, caller: Caller) -> ApiResult<Json<Vec<Device>>> {
    Ok(Json(app.store.devices(caller.branches()?).await?))
}

/// Ends a device's access; what was captured on it is still taken in.
pub async fn revoke(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id: DeviceId = id.parse().map_err(|_| ApiError::not_found())?;
    let device = app.store.device(id).await?.ok_or_else(ApiError::not_found)?;
    if let Some(branch) = caller.branches()? {
        let owner = app.store.user(device.user).await?.and_then(|user| user.branch);
        if owner.is_none_or(|owner| owner.id != branch) {
            return Err(ApiError::not_found());
        }
    }
    app.people_by(&caller).revoke_device(id).await?;
    tracing::warn!(device = %id, by = %caller.user, "a device was revoked");
    Ok(StatusCode::NO_CONTENT)
}
