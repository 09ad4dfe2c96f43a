//! `POST /api/predict`: a score for another system.

use super::Shared;
use super::body::{Json, field_error, one_of};
use super::caller::Caller;
use super::models::no_model;
use super::problem::{ApiError, ApiResult};
use crate::clock::{now_ms, rfc3339};
use axum::extract::State;
use uuid::Uuid;
use vereda_domain::AssessmentId;
use vereda_domain::api::{HistoryEntry, Predict, Prediction, ProblemCode, Source};
use vereda_domain::event::margin_bits;

const MAX_REF_CHARS: usize = 100;

/// Scores with the newest model and stores it in the history before answering.
pub async fn predict(
    State(app): State<Shared>,
    caller: Caller,
    Json(request): Json<Predict>,
) -> ApiResult<axum::Json<Prediction>> {
    if let Some(client_ref) = &request.client_ref {
        let length = client_ref.chars().count();
        if length == 0 || length > MAX_REF_CHARS || client_ref.chars().any(char::is_control) {
            let form = "a text of 1 to 100 characters, none of them control characters";
            return Err(field_error("client_ref", one_of(&[form])));
        }
    }
    let model = app.models.current().await?.ok_or_else(no_model)?;
    let score = model.score(&request.features).map_err(|error| {
        let detail = error.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        ApiError::new(ProblemCode::InvalidInput, format!("{detail}.")).fields(error.errors)
    })?;
    let now = now_ms();
    let entry = HistoryEntry {
        id: AssessmentId(Uuid::now_v7()),
        source: Source::Api,
        client: None,
        client_ref: request.client_ref,
        officer: caller.user,
        branch: caller.branch,
        model: model.reference(),
        inputs: request.features,
        margin: score.margin,
        margin_bits: margin_bits(score.margin),
        probability: score.probability,
        group: score.group,
        reasons: score.reasons,
        decision: None,
        overridden: false,
        rescore: None,
        scored_at: rfc3339(now),
        received_at: rfc3339(now),
    };
    let prediction = Prediction {
        id: entry.id,
        probability: entry.probability,
        group: entry.group,
        margin: entry.margin,
        model: entry.model.clone(),
        reasons: entry.reasons.clone(),
        scored_at: entry.scored_at.clone(),
    };
    app.store.add_history(now, entry, now).await?;
    app.metrics.prediction("api", prediction.model.version, prediction.group);
    Ok(axum::Json(prediction))
}
