//! `POST /api/predict` and `/api/predict/batch`: scores for other systems.

use super::Shared;
use super::body::{Json, field_error, one_of, parse};
use super::caller::Caller;
use super::models::no_model;
use super::outcomes::rows_of;
use super::problem::{ApiError, ApiResult};
use super::rows::{Raw, Taker, answer};
use crate::clock::{now_ms, rfc3339};
use crate::insight::places;
use crate::store::NewScore;
use axum::extract::{Request, State};
use axum::response::Response;
use csv::StringRecord;
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::{HistoryEntry, Predict, Prediction, ProblemCode, Source};
use vereda_domain::event::margin_bits;
use vereda_domain::{AssessmentId, Millis};
use vereda_scoring::bundle::Kind;
use vereda_scoring::{FieldProblem, InputError, Inputs, Model, Score, Value};

const MAX_REF_CHARS: usize = 100;
/// The column of a CSV that is no feature.
const CLIENT_REF: &str = "client_ref";

/// Scores with the newest model and stores it in the history before answering.
pub async fn predict(
    State(app): State<Shared>,
    caller: Caller,
    Json(request): Json<Predict>,
) -> ApiResult<Json<Prediction>> {
    check_ref(request.client_ref.as_deref())?;
    let model = app.models.current().await?.ok_or_else(no_model)?;
    let score = app.predictions.score(&model, &request.features).await.map_err(refusal)?;
    let now = now_ms();
    let scores = [new_score(&model, &caller, request, score, now)];
    app.store.add_history(&scores, now).await?;
    let [NewScore { entry, .. }] = scores;
    let prediction = prediction(entry);
    app.metrics.prediction("api", prediction.model.version, prediction.group, prediction.probability);
    Ok(Json(prediction))
}

/// Scores any number of rows with the model that is the newest when the request begins.
pub async fn batch(State(app): State<Shared>, caller: Caller, request: Request) -> ApiResult<Response> {
    let format = rows_of(&request)?;
    let model = app.models.current().await?.ok_or_else(no_model)?;
    let taker = Predictions { app: app.clone(), caller, model };
    answer(&app, request, format, taker).await
}

/// Refuses names of clients that would do harm in a log or a list.
pub fn check_ref(client_ref: Option<&str>) -> ApiResult<()> {
    let Some(client_ref) = client_ref else { return Ok(()) };
    let length = client_ref.chars().count();
    if length == 0 || length > MAX_REF_CHARS || client_ref.chars().any(char::is_control) {
        let form = "a text of 1 to 100 characters, none of them control characters";
        return Err(field_error(CLIENT_REF, one_of(&[form])));
    }
    Ok(())
}

fn refusal(error: InputError) -> ApiError {
    let detail = error.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    ApiError::new(ProblemCode::InvalidInput, format!("{detail}.")).fields(error.errors)
}

fn new_score(model: &Model, caller: &Caller, request: Predict, score: Score, now: Millis) -> NewScore {
    let places = places(model, &request.features, score.probability);
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
    NewScore { scored_ms: now, entry, places }
}

/// What the caller is told of it.
fn prediction(entry: HistoryEntry) -> Prediction {
    let HistoryEntry { id, probability, group, margin, model, reasons, scored_at, .. } = entry;
    Prediction { id, probability, group, margin, model, reasons, scored_at }
}

struct Predictions {
    app: Shared,
    caller: Caller,
    model: Arc<Model>,
}

impl Taker for Predictions {
    type Row = (Predict, Score);
    type Taken = Prediction;

    fn header(&self, header: &StringRecord) -> ApiResult<()> {
        let features = &self.model.bundle().schema.features;
        let known = |column: &str| column == CLIENT_REF || features.iter().any(|f| f.name == column);
        match header.iter().enumerate().find(|(place, column)| {
            !known(column) || header.iter().take(*place).any(|earlier| earlier == *column)
        }) {
            Some((_, unknown)) => Err(field_error(unknown, FieldProblem::Unknown)),
            None => Ok(()),
        }
    }

    fn read(&self, row: Raw<'_>) -> ApiResult<(Predict, Score)> {
        let request = match row {
            Raw::Json(line) => parse::<Predict>(line)?,
            Raw::Csv(header, cells) => self.of_cells(header, cells),
        };
        check_ref(request.client_ref.as_deref())?;
        // Not through the cache: to compute a row costs less than to ask another machine for it.
        let score = self.model.score(&request.features).map_err(refusal)?;
        Ok((request, score))
    }

    async fn take(&self, rows: Vec<(Predict, Score)>) -> ApiResult<Vec<ApiResult<Prediction>>> {
        let now = now_ms();
        let new = |(request, score)| new_score(&self.model, &self.caller, request, score, now);
        let scores: Vec<NewScore> = rows.into_iter().map(new).collect();
        self.app.store.add_history(&scores, now).await?;
        let predictions: Vec<Prediction> = scores.into_iter().map(|score| prediction(score.entry)).collect();
        for one in &predictions {
            self.app.metrics.prediction("api", one.model.version, one.group, one.probability);
        }
        Ok(predictions.into_iter().map(Ok).collect())
    }
}

impl Predictions {
    /// An empty cell is no answer. What is no number where one is asked for stays a text, which the
    /// model then refuses by name.
    fn of_cells(&self, header: &StringRecord, cells: &StringRecord) -> Predict {
        let features = &self.model.bundle().schema.features;
        let mut request = Predict { features: Inputs::new(), client_ref: None };
        for (column, cell) in header.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            if column == CLIENT_REF {
                request.client_ref = Some(cell.to_owned());
                continue;
            }
            let kind = features.iter().find(|f| f.name == column).map(|f| &f.kind);
            let text = || Value::Category(cell.to_owned());
            let value = match kind {
                Some(Kind::Number { .. } | Kind::Integer { .. }) => {
                    cell.trim().parse().map_or_else(|_| text(), Value::Number)
                }
                Some(Kind::Boolean) => match cell.trim() {
                    "true" | "1" => Value::Boolean(true),
                    "false" | "0" => Value::Boolean(false),
                    _ => text(),
                },
                _ => text(),
            };
            request.features.insert(column.to_owned(), value);
        }
        request
    }
}
