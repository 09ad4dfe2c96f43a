//! Outcomes, batches, exports, and how a model does, through the API and on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::{
    HistoryEntry, HistoryPage, ModelDrift, OutcomeResult, OutcomeTaken, Overrides, Performance, Prediction,
    ProblemCode, RowResult, RowsDone, Source,
};
use vereda_domain::event::{Event, EventBody, OverrideCode, OverrideReason, Sealed};
use vereda_domain::{AssessmentId, BranchId, Decision, Millis, UserId};
use vereda_scoring::bundle::Group;
use vereda_scoring::drift::Tallies;
use vereda_scoring::figures::jeffreys;
use vereda_server::clock::{now_ms, rfc3339};
use vereda_server::insight::{Insight, Span};
use vereda_server::models::Models;
use vereda_server::store::postgres::PostgresStore;
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::store::{FoundScore, NewScore, OutcomeRow, Store};

const DAY: Millis = 24 * 3600 * 1000;

async fn rows<T: serde::de::DeserializeOwned>(response: Response) -> (Vec<RowResult<T>>, Option<RowsDone>) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let done = lines.last().and_then(|line| serde_json::from_str::<RowsDone>(line).ok());
    if done.is_some() {
        lines.pop();
    }
    (lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect(), done)
}

async fn post(caller: &Caller<'_>, path: &str, media: &str, body: impl Into<reqwest::Body>) -> Response {
    caller.request(Method::POST, path).header("content-type", media).body(body).send().await.unwrap()
}

/// An event of an earlier time, at the end of the chain.
fn at(device: &mut Device<'_>, at: Millis, body: EventBody) -> Sealed {
    let branch = device.session.user.branch.as_ref().unwrap().id;
    let event = Event {
        device: device.id,
        seq: device.head.seq + 1,
        prev: device.head.hash,
        hlc: device.clock.tick(at),
        at,
        actor: device.session.user.id,
        branch,
        body,
    };
    device.seal(event)
}

#[tokio::test]
async fn outcomes_are_taken_once_and_wrong_ones_are_named_by_row() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let body = json!({"features": inputs(), "client_ref": "solicitud 1"});
    let first: Prediction = service.post("/api/predict", &body).await.json().await.unwrap();
    let second: Prediction = service.post("/api/predict", &body).await.json().await.unwrap();
    let today = &rfc3339(now_ms())[..10];
    let tomorrow = &rfc3339(now_ms() + DAY)[..10];
    let outcome =
        json!({"client_ref": "solicitud 1", "defaulted": true, "observed_on": today, "horizon_months": 12});
    let taken: OutcomeTaken = service.post("/api/outcomes", &outcome).await.json().await.unwrap();
    assert_eq!(taken, OutcomeTaken { assessment: second.id, result: OutcomeResult::Stored }, "the newest");
    let again: OutcomeTaken = service.post("/api/outcomes", &outcome).await.json().await.unwrap();
    assert_eq!(again.result, OutcomeResult::Already);
    // Another content is a conflict, and the first one stays.
    let mut other = outcome.clone();
    other["observed_on"] = json!(&rfc3339(now_ms() - DAY)[..10]);
    other["client_ref"] = Json::Null;
    other["assessment"] = json!(second.id);
    let refusal = service.post("/api/outcomes", &other).await;
    let before_score = refused(refusal, 422, ProblemCode::InvalidInput).await;
    assert_eq!(before_score.fields[0].field, "observed_on");

    let line = |changes: Json| {
        let mut line =
            json!({"assessment": first.id, "defaulted": true, "observed_on": today, "horizon_months": 12});
        for (name, value) in changes.as_object().unwrap() {
            line[name] = value.clone();
        }
        line.to_string()
    };
    let lines = [
        line(json!({})),
        line(json!({"horizon_months": 24})),
        "not json".into(),
        String::new(),
        line(json!({"horizon_months": 0})),
        line(json!({"defaulted": "yes"})),
        line(json!({"defaulted": false})),
        line(json!({"assessment": Uuid::now_v7()})),
        line(json!({"client_ref": "x"})),
        line(json!({"observed_on": tomorrow})),
        line(json!({"observed_on": "yesterday"})),
        line(json!({"surprise": 1})),
        line(json!({})),
    ]
    .join("\n");
    let response = post(&service, "/api/outcomes", "application/x-ndjson", lines).await;
    let (results, done) = rows::<OutcomeTaken>(response).await;
    assert_eq!(done, Some(RowsDone { done: true, rows: 12, refused: 9 }));
    let told: Vec<(u64, String)> = results
        .iter()
        .map(|result| match (&result.taken, &result.error) {
            (Some(taken), None) => (result.row, format!("{:?}", taken.result)),
            (None, Some(error)) => {
                (result.row, error.fields.first().map_or(format!("{:?}", error.code), |f| f.field.clone()))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (1, "Stored"),
        (2, "Stored"),
        (3, "BadRequest"),
        (5, "horizon_months"),
        (6, "defaulted"),
        (7, "observed_on"),
        (8, "assessment"),
        (9, "client_ref"),
        (10, "observed_on"),
        (11, "observed_on"),
        (12, "surprise"),
        (13, "Already"),
    ];
    assert_eq!(told, expected.map(|(row, what)| (row, what.to_owned())));
    let csv = format!(
        "assessment,defaulted,observed_on,horizon_months\n{},1,{today},24\n{},maybe,{today},24\n,1,{today},24\n",
        first.id, second.id
    );
    let (results, done) = rows::<OutcomeTaken>(post(&service, "/api/outcomes", "text/csv", csv).await).await;
    assert_eq!(done, Some(RowsDone { done: true, rows: 3, refused: 2 }));
    assert_eq!(results[0].taken.as_ref().unwrap().result, OutcomeResult::Already);
    assert_eq!(results[1].error.as_ref().unwrap().fields[0].field, "defaulted");
    assert_eq!(results[2].error.as_ref().unwrap().fields[0].field, "assessment");
    let unknown = post(&service, "/api/outcomes", "text/csv", "assessment,score\n").await;
    let refusal = refused(unknown, 422, ProblemCode::InvalidInput).await;
    assert_eq!(refusal.fields[0].field, "score");
    // What another branch's system may not see it may not report on.
    let south = server.caller("service-south").await;
    let mut theirs = outcome.clone();
    theirs["horizon_months"] = json!(36);
    let refusal = refused(south.post("/api/outcomes", &theirs).await, 422, ProblemCode::InvalidInput).await;
    assert_eq!(refusal.fields[0].field, "client_ref");
}

#[tokio::test]
async fn a_batch_is_scored_in_order_row_by_row_and_stored() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let golden = model().bundle().golden.clone();
    let mut lines = Vec::new();
    for n in 0..700 {
        let inputs = &golden[n % golden.len()].inputs;
        lines.push(match n {
            13 => "{".to_owned(),
            14 => json!({"features": {"job": "astronaut"}}).to_string(),
            _ => json!({"features": inputs, "client_ref": format!("c{n}")}).to_string(),
        });
    }
    let response = post(&service, "/api/predict/batch", "application/x-ndjson", lines.join("\n")).await;
    let (results, done) = rows::<Prediction>(response).await;
    assert_eq!(done, Some(RowsDone { done: true, rows: 700, refused: 2 }));
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.row, u64::try_from(n).unwrap() + 1);
        match (&result.taken, &result.error) {
            (Some(prediction), None) => {
                let expected = model().score(&golden[n % golden.len()].inputs).unwrap();
                assert_eq!(prediction.margin.to_bits(), expected.margin.to_bits());
            }
            (None, Some(error)) if n == 13 => assert_eq!(error.code, ProblemCode::BadRequest),
            (None, Some(error)) if n == 14 => {
                assert_eq!(error.code, ProblemCode::InvalidInput);
                assert!(error.fields.iter().any(|field| field.field == "job"));
            }
            other => panic!("{n}: {other:?}"),
        }
    }
    let page: HistoryPage = service.get("/api/history?client_ref=c699").await.json().await.unwrap();
    assert_eq!(page.entries[0].id, results[699].taken.as_ref().unwrap().id, "stored before it was told");
    assert_eq!(page.entries[0].source, Source::Api);
    assert_eq!(server.counted(r#"vereda_score_probability_count{model_version="1"}"#).await, 698);
    let metrics = server.metrics().await;
    assert!(metrics.contains("vereda_pool_connections"), "{metrics}");

    // The same as CSV: an empty cell is no answer, and what is no number is named.
    let names: Vec<String> = model().bundle().schema.features.iter().map(|f| f.name.clone()).collect();
    let cells = |inputs: &vereda_scoring::Inputs| -> String {
        let cell = |name: &String| match inputs.get(name) {
            Some(vereda_scoring::Value::Number(x)) => x.to_string(),
            Some(vereda_scoring::Value::Boolean(x)) => x.to_string(),
            Some(vereda_scoring::Value::Category(x)) => format!("\"{x}\""),
            _ => String::new(),
        };
        names.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    let good = cells(&golden[0].inputs);
    let wrong = good.replacen(good.split(',').next().unwrap(), "much", 1);
    let csv = format!("{},client_ref\n{good},\"a\nb\"\n{good},ok\n{wrong},x\n{good}\n", names.join(","));
    let (results, done) =
        rows::<Prediction>(post(&service, "/api/predict/batch", "text/csv", csv).await).await;
    assert_eq!(done, Some(RowsDone { done: true, rows: 4, refused: 3 }));
    assert_eq!(results[0].error.as_ref().unwrap().fields[0].field, "client_ref");
    assert_eq!(results[1].taken.as_ref().unwrap().margin.to_bits(), {
        model().score(&golden[0].inputs).unwrap().margin.to_bits()
    });
    assert_eq!(results[2].error.as_ref().unwrap().fields[0].field, names[0]);
    assert_eq!(results[3].error.as_ref().unwrap().code, ProblemCode::BadRequest);
    let unknown = post(&service, "/api/predict/batch", "text/csv", "amount,group\n1,2\n").await;
    refused(unknown, 422, ProblemCode::InvalidInput).await;
    let json = service.post("/api/predict/batch", &json!({})).await;
    refused(json, 415, ProblemCode::UnsupportedMedia).await;
    // A row that does not end is not waited for in memory.
    let endless = format!("{{\"features\":{{\"job\":\"{}\"}}}}\n", "x".repeat(3_000_000));
    let response = post(&service, "/api/predict/batch", "application/x-ndjson", endless).await;
    let (results, done) = rows::<Prediction>(response).await;
    assert_eq!((results.len(), done), (1, None), "it broke off");
    assert_eq!(results[0].error.as_ref().unwrap().code, ProblemCode::BadRequest);
}

/// A row is answered while the next one has not been sent.
#[tokio::test]
async fn a_batch_answers_as_it_is_sent() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let (send, pieces) = tokio::sync::mpsc::channel::<std::io::Result<String>>(1);
    let line = format!("{}\n", json!({ "features": inputs() }));
    send.send(Ok(line.clone())).await.unwrap();
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(pieces));
    let mut response = post(&service, "/api/predict/batch", "application/x-ndjson", body).await;
    for row in 1..=3_u64 {
        let chunk = response.chunk().await.unwrap().unwrap();
        let result: RowResult<Prediction> = serde_json::from_slice(chunk.trim_ascii()).unwrap();
        assert_eq!((result.row, result.taken.is_some()), (row, true));
        send.send(Ok(line.clone())).await.unwrap();
    }
    drop(send);
    let mut rest = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
    }
    let done: RowsDone = serde_json::from_slice(rest.split(|b| *b == b'\n').rev().nth(1).unwrap()).unwrap();
    assert_eq!(done, RowsDone { done: true, rows: 4, refused: 0 });
}

#[tokio::test]
async fn exports_hold_everything_and_no_formula() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let mut lines = Vec::new();
    for n in 0..1203 {
        let name = if n == 7 { "=HYPERLINK(\"http://evil\")".to_owned() } else { format!("c{n}") };
        lines.push(json!({"features": inputs(), "client_ref": name}).to_string());
    }
    let response = post(&service, "/api/predict/batch", "application/x-ndjson", lines.join("\n")).await;
    let (results, _) = rows::<Prediction>(response).await;
    let response = service.get("/api/history/export?format=csv&sort=scored_at").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"history.csv\"");
    let text = response.text().await.unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|column| column == name).unwrap();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 1203);
    let mut ids: Vec<&str> = records.iter().map(|r| &r[place("id")]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1203, "each once");
    let evil = records.iter().find(|r| r[place("client_ref")].contains("HYPERLINK")).unwrap();
    assert_eq!(&evil[place("client_ref")], "'=HYPERLINK(\"http://evil\")");
    let score = model().score(&inputs()).unwrap();
    let margin: f64 = evil[place("margin")].parse().unwrap();
    assert_eq!(margin.to_bits(), score.margin.to_bits(), "a number is as it was");
    let answers: vereda_scoring::Inputs = serde_json::from_str(&evil[place("inputs")]).unwrap();
    assert_eq!(answers, inputs());

    let bytes = service.get("/api/history/export?format=parquet").await.bytes().await.unwrap();
    let file = SerializedFileReader::new(bytes).unwrap();
    let names: Vec<String> = file
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|c| c.name().to_owned())
        .collect();
    assert_eq!(names, header.iter().collect::<Vec<_>>(), "the same columns");
    let mut found = 0;
    for row in file.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        found += 1;
        assert_eq!(row.get_double(place("probability")).unwrap().to_bits(), score.probability.to_bits());
        assert_eq!(row.get_string(place("group")).unwrap(), score.group.as_str());
        assert_eq!(row.get_long(place("model_version")).unwrap(), 1);
    }
    assert_eq!(found, results.len());

    // What may not be seen is not exported either, and a wrong question is refused by name.
    let south = server.caller("service-south").await;
    let text = south.get("/api/history/export?format=csv").await.text().await.unwrap();
    assert_eq!(text.lines().count(), 1, "the header alone: {text}");
    for (query, field) in [("", "format"), ("?format=xls", "format"), ("?format=csv&limit=3", "limit")] {
        let response = service.get(&format!("/api/history/export{query}")).await;
        let refusal = refused(response, 422, ProblemCode::InvalidInput).await;
        assert_eq!(refusal.fields[0].field, field);
    }
}

#[tokio::test]
async fn batches_and_exports_take_turns() {
    let server = Server::with(|config| config.limits.streams = 1).await;
    server.running.models().publish(SCORECARD.to_vec(), "test").await.unwrap();
    let service = server.caller("service").await;
    let (send, pieces) = tokio::sync::mpsc::channel::<std::io::Result<String>>(1);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(pieces));
    // Each replica counts its own streams: both go to the same one.
    let (first, token) = (server.running.api_url(), service.token.clone().unwrap());
    let batch = server.http.post(format!("{first}/api/predict/batch")).bearer_auth(&token);
    let open = batch.header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
    assert_eq!(open.status(), 200);
    let export = server.http.get(format!("{first}/api/history/export?format=csv")).bearer_auth(&token);
    let response = export.send().await.unwrap();
    refused(response, 503, ProblemCode::Unavailable).await;
    drop(send);
    let (_, done) = rows::<Prediction>(open).await;
    assert_eq!(done, Some(RowsDone { done: true, rows: 0, refused: 0 }));
}

#[tokio::test]
async fn decisions_and_how_they_turned_out_are_counted_as_they_are_now() {
    let server = Server::with_model().await;
    let analyst = server.caller("analyst").await;
    let mut officer = server.device("officer").await;
    let mut manager = server.device("manager").await;
    let long_ago = now_ms() - 800 * DAY;
    let client = new_client();
    let mut events = vec![at(&mut officer, long_ago, captured(client, "Ana"))];
    let suggested = {
        let group = model().score(&inputs()).unwrap().group;
        model().bundle().groups.groups[group.index()].decision
    };
    let against = if suggested == Decision::Approve { Decision::Refuse } else { Decision::Approve };
    let reason = || Some(OverrideReason { code: OverrideCode::Guarantee, words: "fiador".into() });
    let mut ids = Vec::new();
    for n in 0..6 {
        let assessment = assessment(client);
        ids.push(assessment.id);
        events.push(at(&mut officer, long_ago + n, EventBody::Assessed(Box::new(assessment))));
        let id = *ids.last().unwrap();
        let (decision, reason) = if n < 2 { (against, reason()) } else { (suggested, None) };
        if n < 5 {
            events.push(at(&mut officer, long_ago + n, decided(id, client, decision, reason)));
        }
    }
    assert!(stored(&officer.push(&events.iter().collect::<Vec<_>>()).await));
    let overrides = async || -> Overrides {
        analyst.get("/api/models/1/overrides?horizon_months=12").await.json().await.unwrap()
    };
    let found = overrides().await;
    assert_eq!((found.decided, found.overridden, found.pending), (5, 2, 0));
    assert_eq!(found.rate, Some(0.4));
    // A manager decides otherwise after it was counted: it moves.
    let decision = decided(ids[2], client, against, reason());
    let decision = manager.event(decision);
    assert!(stored(&manager.push(&[&decision]).await));
    let found = overrides().await;
    assert_eq!((found.decided, found.overridden), (5, 3));

    let service = server.caller("service").await;
    let ended = &rfc3339(long_ago + 400 * DAY)[..10];
    let soon = &rfc3339(long_ago + 30 * DAY)[..10];
    for (n, id) in ids.iter().enumerate() {
        let defaulted = n == 0 || n == 3;
        let on = if defaulted { soon } else { ended };
        let outcome =
            json!({"assessment": id, "defaulted": defaulted, "observed_on": on, "horizon_months": 12});
        assert_eq!(service.post("/api/outcomes", &outcome).await.status(), 200);
    }
    let found = overrides().await;
    let [group] = found.groups.as_slice() else { panic!("{found:?}") };
    let of = |overridden| group.decisions.iter().find(|d| d.overridden == overridden).unwrap();
    assert_eq!((of(true).decision, of(true).outcomes.scores, of(true).outcomes.defaults), (against, 3, 1));
    assert_eq!((of(false).outcomes.scores, of(false).outcomes.defaults), (2, 1));
    assert_eq!(of(true).outcomes.interval, jeffreys(1, 3));

    let performance: Performance =
        analyst.get("/api/models/1/performance?horizon_months=12").await.json().await.unwrap();
    assert_eq!((performance.total.scores, performance.total.defaults), (6, 2));
    let pd = model().score(&inputs()).unwrap().probability;
    let brier = (2.0 * (1.0 - pd).powi(2) + 4.0 * pd.powi(2)) / 6.0;
    assert!((performance.total.brier.unwrap() - brier).abs() < 1e-8);
    assert_eq!(performance.months.len(), 1);
    assert_eq!(performance.branches[0].branch, Some(server.north.id));
    let calibrated: Vec<_> = performance.groups.iter().filter(|g| g.calibration.scores > 0).collect();
    assert_eq!(calibrated.len(), 1);
    assert_eq!(calibrated[0].calibration.interval, jeffreys(2, 6));
    // Another horizon, another branch, other months and other people's branches.
    let scores = async |caller: &Caller<'_>, query: &str| -> u64 {
        let answer = caller.get(&format!("/api/models/1/performance?{query}")).await;
        answer.json::<Performance>().await.unwrap().total.scores
    };
    assert_eq!(scores(&analyst, "horizon_months=24").await, 0);
    assert_eq!(scores(&analyst, &format!("branch={}", server.north.id)).await, 6);
    assert_eq!(scores(&analyst, &format!("branch={}", server.south.id)).await, 0);
    assert_eq!(scores(&analyst, "to=2020-01").await, 0);
    assert_eq!(scores(&server.caller("manager").await, "").await, 6);
    let south = server.caller("manager-south").await;
    assert_eq!(scores(&south, "").await, 0);
    let path = format!("/api/models/1/performance?branch={}", server.north.id);
    refused(south.get(&path).await, 404, ProblemCode::NotFound).await;
    refused(analyst.get("/api/models/9/performance").await, 404, ProblemCode::NotFound).await;
}

#[tokio::test]
async fn drift_is_what_the_command_line_finds_in_the_same_rows() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let model = model();
    let mut tallies = Tallies::new(model.bundle());
    let mut lines = Vec::new();
    for golden in &model.bundle().golden {
        lines.push(json!({"features": golden.inputs}).to_string());
        let pd = model.score(&golden.inputs).unwrap().probability;
        tallies.count(&model.encode(&golden.inputs).unwrap(), pd);
    }
    post(&service, "/api/predict/batch", "application/x-ndjson", lines.join("\n"))
        .await
        .text()
        .await
        .unwrap();
    let analyst = server.caller("analyst").await;
    for _ in 0..2 {
        for window in ["day", "week", "month"] {
            let drift: ModelDrift =
                analyst.get(&format!("/api/models/1/drift?window={window}")).await.json().await.unwrap();
            let [found] = drift.windows.as_slice() else { panic!("{drift:?}") };
            assert_eq!(found.scores, u64::try_from(lines.len()).unwrap(), "each once");
            assert_eq!(found.score, tallies.score.as_ref().unwrap().drift());
            assert_eq!(found.features.len(), tallies.features.len());
            for (found, (_, name, tally)) in found.features.iter().zip(&tallies.features) {
                assert_eq!((found.feature.as_str(), Some(&found.drift)), (*name, tally.drift().as_ref()));
            }
        }
    }
    let drift: ModelDrift = analyst.get("/api/models/1/drift?to=0").await.json().await.unwrap();
    assert!(drift.windows.is_empty());
    let backwards =
        analyst.get("/api/models/1/drift?from=2026-11-23T00:00:00Z&to=2026-11-22T00:00:00Z").await;
    let problem = refused(backwards, 422, ProblemCode::InvalidInput).await;
    assert_eq!(problem.fields[0].field, "to");
}

#[derive(Deserialize)]
struct Expected {
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    pd: Vec<f64>,
    bad: Vec<bool>,
    auc: f64,
    ks: f64,
    brier: f64,
}

/// The sums give what scikit-learn finds in the rows, as near as the answer says.
#[tokio::test(flavor = "multi_thread")]
async fn performance_equals_scikit_learn_on_both_databases() {
    let text = include_str!("../../models/tests/data/figures.json");
    let expected: Expected = serde_json::from_str(text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(&SqliteStore::file_in(dir.path()), 2).unwrap();
    let postgres = PostgresStore::connect(&postgres::fresh().await, 4).await.unwrap();
    let stores: [Arc<dyn Store>; 2] = [Arc::new(sqlite), Arc::new(postgres)];
    for store in stores {
        let models = Arc::new(Models::new(store.clone()));
        models.publish(SCORECARD.to_vec(), "test").await.unwrap();
        let insight = Insight::new(store.clone(), models);
        let mut checked = 0;
        for (index, table) in expected.tables.iter().enumerate() {
            // A branch for each table.
            let branch = BranchId(Uuid::from_u128(u128::try_from(index).unwrap() + 1));
            let scored_ms = now_ms() - 900 * DAY;
            let (mut entries, mut outcomes) = (Vec::new(), Vec::new());
            for (pd, bad) in table.pd.iter().zip(&table.bad) {
                let entry = entry(*pd, branch);
                outcomes.push(OutcomeRow {
                    score: FoundScore { id: entry.id, scored_ms },
                    horizon_months: 12,
                    defaulted: *bad,
                    observed_ms: scored_ms,
                });
                entries.push(NewScore { scored_ms, entry, places: None });
            }
            store.add_history(&entries, now_ms()).await.unwrap();
            store.add_outcomes(UserId(Uuid::from_u128(1)), outcomes, now_ms()).await.unwrap();
            while insight.catch_up().await.unwrap() > 0 {}
            let span = Span { horizon_months: 12, branch: Some(branch), ..Span::default() };
            let found = insight.performance(&model(), span).await.unwrap();
            assert_eq!(found.total.scores, u64::try_from(table.pd.len()).unwrap());
            let ranking = found.total.ranking.unwrap();
            let off = (ranking.auc - table.auc).abs();
            assert!(off <= ranking.auc_within + 1e-12, "{}: {ranking:?} and {}", table.name, table.auc);
            assert!(ranking.ks <= table.ks + 1e-12, "{}", table.name);
            assert!((found.total.brier.unwrap() - table.brier).abs() < 2e-9, "{}", table.name);
            checked += 1;
        }
        assert_eq!(checked, 7);
    }
}

fn entry(pd: f64, branch: BranchId) -> HistoryEntry {
    HistoryEntry {
        id: AssessmentId(Uuid::now_v7()),
        source: Source::Api,
        client: None,
        client_ref: None,
        officer: UserId(Uuid::from_u128(1)),
        branch: Some(branch),
        model: model().reference(),
        inputs: inputs(),
        margin: 0.0,
        margin_bits: "0".repeat(16),
        probability: pd,
        group: Group::T4,
        reasons: Vec::new(),
        decision: None,
        overridden: false,
        rescore: None,
        scored_at: String::new(),
        received_at: String::new(),
    }
}
