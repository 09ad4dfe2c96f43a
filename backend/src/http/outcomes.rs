//! `POST /api/outcomes`: what came of scores, as other systems observed it.

use super::Shared;
use super::body::{Json, field_error, one_of, parse};
use super::caller::Caller;
use super::predict::check_ref;
use super::problem::{ApiError, ApiResult};
use super::rows::{Format, Raw, Taker, answer, format_of};
use crate::insight::{MAX_HORIZON, Report, Reported};
use crate::store::{HistoryScope, OutcomeAdded};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use csv::StringRecord;
use time::Date;
use time::macros::format_description;
use vereda_domain::UserId;
use vereda_domain::api::{ObservedOutcome, OutcomeResult, OutcomeTaken, ProblemCode};
use vereda_scoring::FieldProblem;

const FORM: &str = "a day such as 2026-11-23";
const COLUMNS: [&str; 5] = ["assessment", "client_ref", "defaulted", "observed_on", "horizon_months"];

/// One outcome as JSON, or any number as NDJSON or CSV.
pub async fn take(State(app): State<Shared>, caller: Caller, request: Request) -> ApiResult<Response> {
    let taker = Outcomes { app: app.clone(), scope: caller.scope()?, by: caller.user };
    if let Some(format) = format_of(&request) {
        return answer(&app, request, format, taker).await;
    }
    let Json(outcome) = Json::<ObservedOutcome>::from_request(request, &app).await?;
    let mut taken = taker.take(vec![read(outcome)?]).await?;
    let one = taken.pop().unwrap_or_else(|| Err(ApiError::internal("an outcome without a result")))?;
    Ok(Json(one).into_response())
}

struct Outcomes {
    app: Shared,
    scope: HistoryScope,
    by: UserId,
}

impl Taker for Outcomes {
    type Row = Report;
    type Taken = OutcomeTaken;

    fn header(&self, header: &StringRecord) -> ApiResult<()> {
        match header.iter().find(|column| !COLUMNS.contains(column)) {
            Some(unknown) => Err(field_error(unknown, FieldProblem::Unknown)),
            None => Ok(()),
        }
    }

    fn read(&self, row: Raw<'_>) -> ApiResult<Report> {
        match row {
            Raw::Json(line) => read(parse(line)?),
            Raw::Csv(header, cells) => read(of_cells(header, cells)?),
        }
    }

    async fn take(&self, rows: Vec<Report>) -> ApiResult<Vec<ApiResult<OutcomeTaken>>> {
        let named: Vec<&'static str> =
            rows.iter().map(|row| if row.score.is_ok() { "assessment" } else { "client_ref" }).collect();
        let reported = self.app.insight.report(self.scope, self.by, rows).await?;
        Ok(reported.into_iter().zip(named).map(|(reported, named)| result(reported, named)).collect())
    }
}

fn result(reported: Reported, named: &str) -> ApiResult<OutcomeTaken> {
    let day = |allowed: String| Err(field_error("observed_on", one_of(&[&allowed])));
    match reported {
        Reported::Taken(assessment, OutcomeAdded::Stored) => {
            Ok(OutcomeTaken { assessment, result: OutcomeResult::Stored })
        }
        Reported::Taken(assessment, OutcomeAdded::Already) => {
            Ok(OutcomeTaken { assessment, result: OutcomeResult::Already })
        }
        Reported::Taken(assessment, OutcomeAdded::Conflict) => Err(ApiError::new(
            ProblemCode::Conflict,
            format!("Another outcome of {assessment} is stored for this horizon; the first one is kept."),
        )),
        Reported::UnknownScore => {
            let form = if named == "assessment" {
                "the id of a score in the history"
            } else {
                "the name of a score made up to that day"
            };
            Err(field_error(named, one_of(&[form])))
        }
        Reported::BeforeScore => day("a day not before the score".into()),
        Reported::InFuture => day("a day that has come".into()),
        Reported::NotBefore(end) => {
            day(format!("{end} or later: that there is no default is known when the horizon ends"))
        }
        Reported::NotAfter(end) => {
            day(format!("{end} or before: a later default is none within the horizon"))
        }
    }
}

fn read(outcome: ObservedOutcome) -> ApiResult<Report> {
    let ObservedOutcome { assessment, client_ref, defaulted, observed_on, horizon_months } = outcome;
    let score = match (assessment, client_ref) {
        (Some(id), None) => Ok(id),
        (None, Some(name)) => {
            check_ref(Some(&name))?;
            Err(name)
        }
        (None, None) => return Err(field_error("assessment", FieldProblem::Required)),
        (Some(_), Some(_)) => {
            return Err(field_error("client_ref", one_of(&["given instead of `assessment`"])));
        }
    };
    let observed_on = Date::parse(&observed_on, format_description!("[year]-[month]-[day]"))
        .ok()
        .filter(|day| (1970..=9999).contains(&day.year()))
        .ok_or_else(|| field_error("observed_on", one_of(&[FORM])))?;
    if !(1..=MAX_HORIZON).contains(&horizon_months) {
        let problem = FieldProblem::OutOfRange { min: 1.0, max: MAX_HORIZON.into() };
        return Err(field_error("horizon_months", problem));
    }
    Ok(Report { score, defaulted, observed_on, horizon_months })
}

fn of_cells(header: &StringRecord, cells: &StringRecord) -> ApiResult<ObservedOutcome> {
    let cell = |name: &str| {
        let place = header.iter().position(|column| column == name)?;
        cells.get(place).filter(|text| !text.is_empty())
    };
    let needed = |name: &str| cell(name).ok_or_else(|| field_error(name, FieldProblem::Required));
    let assessment = match cell("assessment") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| field_error("assessment", one_of(&["a UUID"])))?),
    };
    let defaulted = match needed("defaulted")? {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => return Err(field_error("defaulted", one_of(&["true", "false", "1", "0"]))),
    };
    let horizon = FieldProblem::OutOfRange { min: 1.0, max: MAX_HORIZON.into() };
    Ok(ObservedOutcome {
        assessment,
        client_ref: cell("client_ref").map(str::to_owned),
        defaulted,
        observed_on: needed("observed_on")?.to_owned(),
        horizon_months: needed("horizon_months")?
            .parse()
            .map_err(|_| field_error("horizon_months", horizon))?,
    })
}

/// The format of rows that a request has, or what it should have had.
pub fn rows_of(request: &Request) -> ApiResult<Format> {
    format_of(request).ok_or_else(|| {
        let detail = "Send NDJSON with Content-Type: application/x-ndjson, or CSV with text/csv.";
        ApiError::new(ProblemCode::UnsupportedMedia, detail)
    })
}
