//! Predictions, history and models, as every role meets them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use uuid::Uuid;
use vereda_domain::api::{
    HistoryEntry, HistoryPage, ModelManifest, PRODUCT, Prediction, ProblemCode, ServerInfo, Source,
};
use vereda_domain::event::EventBody;
use vereda_scoring::{FieldProblem, Model};

#[tokio::test]
async fn a_prediction_is_the_models_and_is_in_the_history() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let body = json!({"features": inputs(), "client_ref": "solicitud 77"});
    let response = service.post("/api/predict", &body).await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    let prediction: Prediction = serde_json::from_str(&text).unwrap();
    let expected = model().score(&inputs()).unwrap();
    assert_eq!(prediction.margin.to_bits(), expected.margin.to_bits());
    assert_eq!(prediction.probability.to_bits(), expected.probability.to_bits());
    assert_eq!((prediction.group, &prediction.reasons), (expected.group, &expected.reasons));
    assert_eq!(prediction.model, model().reference());
    assert!(prediction.scored_at.ends_with('Z'));
    let names: BTreeSet<String> =
        serde_json::from_str::<Json>(&text).unwrap().as_object().unwrap().keys().cloned().collect();
    let documented = ["group", "id", "margin", "model", "probability", "reasons", "scored_at"];
    assert_eq!(names, documented.map(str::to_owned).into());

    let entry: HistoryEntry =
        service.get(&format!("/api/history/{}", prediction.id)).await.json().await.unwrap();
    assert_eq!(entry.source, Source::Api);
    assert_eq!(entry.client_ref.as_deref(), Some("solicitud 77"));
    assert_eq!(entry.inputs, inputs());
    assert_eq!(entry.margin.to_bits(), expected.margin.to_bits());
    assert_eq!((entry.officer, entry.branch), (server.services["service"], None));
    assert!(server.metrics().await.contains(r#"source="api",model_version="1",group="T4"} 1"#));
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let mut wrong = inputs();
    wrong.insert("amount".into(), vereda_scoring::Value::Number(1e9));
    wrong.insert("job".into(), vereda_scoring::Value::Category("astronaut".into()));
    wrong.insert("term_months".into(), vereda_scoring::Value::Boolean(true));
    wrong.remove("price");
    wrong.insert("shoe_size".into(), vereda_scoring::Value::Number(42.0));
    let refusal = refused(
        service.post("/api/predict", &json!({ "features": wrong })).await,
        422,
        ProblemCode::InvalidInput,
    )
    .await;
    let fields: Vec<&str> = refusal.fields.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(fields, ["amount", "term_months", "price", "job", "shoe_size"]);
    assert!(matches!(refusal.fields[0].problem, FieldProblem::OutOfRange { .. }));
    for (body, field) in [
        (json!({"features": inputs(), "group": "T1"}), "group"),
        (json!({"features": inputs(), "role": "admin"}), "role"),
        (json!({"features": inputs(), "branch": server.south.id}), "branch"),
        (json!({"client_ref": "x"}), "features"),
        (json!({"features": inputs(), "client_ref": "x".repeat(101)}), "client_ref"),
        (json!({"features": inputs(), "client_ref": "a\nb"}), "client_ref"),
        (json!({"features": inputs(), "client_ref": 7}), "client_ref"),
        (json!({"features": {"amount": {"$gt": 0}}}), "features.amount"),
    ] {
        let refusal =
            refused(service.post("/api/predict", &body).await, 422, ProblemCode::InvalidInput).await;
        assert_eq!(refusal.fields[0].field, field, "{refusal:?}");
    }
    let response = service.post_bytes("/api/predict", "features=1").await;
    refused(response, 400, ProblemCode::BadRequest).await;
    let url = server.url("/api/predict");
    let token = service.token.clone().unwrap();
    let form = server.http.post(&url).bearer_auth(&token).body("features=1").send().await.unwrap();
    refused(form, 415, ProblemCode::UnsupportedMedia).await;
    let page: HistoryPage = service.get("/api/history").await.json().await.unwrap();
    assert!(page.entries.is_empty(), "nothing of it was stored");
}

#[tokio::test]
async fn without_a_model_a_prediction_says_so() {
    let server = Server::start().await;
    let service = server.caller("service").await;
    let body = json!({ "features": inputs() });
    refused(service.post("/api/predict", &body).await, 404, ProblemCode::NoModel).await;
    refused(service.get("/api/models/current").await, 404, ProblemCode::NoModel).await;
    let list: Vec<ModelManifest> = service.get("/api/models").await.json().await.unwrap();
    assert!(list.is_empty());
}

#[tokio::test]
async fn models_go_forward_only() {
    let server = Server::start().await;
    let analyst = server.caller("analyst").await;
    let response = analyst.post_bytes("/api/models", SCORECARD).await;
    assert_eq!(response.status(), 201);
    let one: ModelManifest = response.json().await.unwrap();
    assert_eq!((one.id.as_str(), one.version), ("reference-scorecard", 1));
    assert_eq!(one.published_by, "Persona analyst");
    assert_eq!(one.bytes, u64::try_from(SCORECARD.len()).unwrap());
    let again = analyst.post_bytes("/api/models", SCORECARD).await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<ModelManifest>().await.unwrap(), one);

    let officer = server.caller("officer").await;
    let current = officer.get("/api/models/current").await;
    let etag = current.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", one.sha256));
    for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".into()] {
        let request = officer.request(Method::GET, "/api/models/current").header("if-none-match", known);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()["etag"].to_str().unwrap(), etag);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    let two: ModelManifest = analyst.post_bytes("/api/models", BOOSTED).await.json().await.unwrap();
    assert_eq!(two.version, 2);
    let request = officer.request(Method::GET, "/api/models/current").header("if-none-match", &etag);
    let now: ModelManifest = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(now, two);
    for (version, bytes) in [(1, SCORECARD), (2, BOOSTED)] {
        let response = officer.get(&format!("/api/models/{version}/bundle")).await;
        assert_eq!(response.bytes().await.unwrap(), bytes, "to the byte");
    }
    let list: Vec<ModelManifest> = officer.get("/api/models").await.json().await.unwrap();
    assert_eq!(list, [two, one]);
    for nothing in ["3", "0", "-1", "x", "1%27%20OR%201=1"] {
        let response = officer.get(&format!("/api/models/{nothing}/bundle")).await;
        refused(response, 404, ProblemCode::NotFound).await;
    }
    // Other bytes under a version that is taken, or below it.
    let changed = |version: u32| {
        let mut bundle: Json = serde_json::from_slice(SCORECARD).unwrap();
        bundle["version"] = json!(version);
        bundle["card"]["author"] = json!("Somebody else");
        serde_json::to_vec(&bundle).unwrap()
    };
    for version in [1, 2] {
        let response = analyst.post_bytes("/api/models", changed(version)).await;
        refused(response, 409, ProblemCode::VersionNotAbove).await;
    }
    assert_eq!(analyst.post_bytes("/api/models", changed(7)).await.status(), 201);
}

#[tokio::test]
async fn a_damaged_bundle_is_refused_and_the_old_one_stays() {
    let server = Server::with_model().await;
    let analyst = server.caller("analyst").await;
    let mut golden: Json = serde_json::from_slice(BOOSTED).unwrap();
    golden["golden"][0]["margin_bits"] = json!("bff0000000000000");
    let mut infinite = String::from_utf8(BOOSTED.to_vec()).unwrap();
    infinite.insert_str(1, r#""surprise":1,"#);
    for damaged in [
        BOOSTED[..BOOSTED.len() / 2].to_vec(),
        serde_json::to_vec(&golden).unwrap(),
        infinite.into_bytes(),
        b"{}".to_vec(),
        b"[1]".to_vec(),
        Vec::new(),
    ] {
        let response = analyst.post_bytes("/api/models", damaged).await;
        let refusal = refused(response, 422, ProblemCode::InvalidBundle).await;
        assert!(refusal.detail.contains("bundle_"), "{}", refusal.detail);
    }
    let current: ModelManifest = analyst.get("/api/models/current").await.json().await.unwrap();
    assert_eq!(current.version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bundles_published_at_once_one_wins() {
    let server = Server::with_model().await;
    let analyst = server.caller("analyst").await;
    let bundle = |author: &str| {
        let mut bundle: Json = serde_json::from_slice(SCORECARD).unwrap();
        bundle["version"] = json!(2);
        bundle["card"]["author"] = json!(author);
        serde_json::to_vec(&bundle).unwrap()
    };
    let (a, b) = tokio::join!(
        analyst.post_bytes("/api/models", bundle("a")),
        analyst.post_bytes("/api/models", bundle("b"))
    );
    let mut statuses = [a.status().as_u16(), b.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn earlier_scores_keep_their_model() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let body = json!({ "features": inputs() });
    let before: Prediction = service.post("/api/predict", &body).await.json().await.unwrap();
    let analyst = server.caller("analyst").await;
    assert_eq!(analyst.post_bytes("/api/models", BOOSTED).await.status(), 201);
    let after: Prediction = service.post("/api/predict", &body).await.json().await.unwrap();
    assert_eq!((before.model.version, after.model.version), (1, 2));
    let boosted = Model::load(BOOSTED).unwrap().score(&inputs()).unwrap();
    assert_eq!(after.margin.to_bits(), boosted.margin.to_bits());
    let page: HistoryPage = analyst.get("/api/history?model_version=1").await.json().await.unwrap();
    assert_eq!(page.entries.iter().map(|e| e.id).collect::<Vec<_>>(), [before.id]);
}

#[tokio::test]
async fn the_history_filters_and_pages() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let mut ids = Vec::new();
    for n in 0..23 {
        let mut features = inputs();
        features.insert("amount".into(), vereda_scoring::Value::Number(f64::from(500 + n * 180)));
        let body = json!({"features": features, "client_ref": format!("ref-{}", n % 3)});
        let prediction: Prediction = service.post("/api/predict", &body).await.json().await.unwrap();
        ids.push(prediction);
    }
    let analyst = server.caller("analyst").await;
    let page = async |query: &str| -> HistoryPage {
        let response = analyst.get(&format!("/api/history?{query}")).await;
        assert_eq!(response.status(), 200, "{query}");
        response.json().await.unwrap()
    };
    // Pages by key: complete, without repetition, newest first, whatever is added meanwhile.
    let (mut seen, mut after, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let one = page(&format!("limit=10{after}")).await;
        sizes.push(one.entries.len());
        seen.extend(one.entries.iter().map(|e| e.id));
        service.post("/api/predict", &json!({"features": inputs(), "client_ref": "later"})).await;
        match one.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [10, 10, 3]);
    let expected: Vec<_> = ids.iter().rev().map(|p| p.id).collect();
    assert_eq!(seen, expected);

    let third = page("client_ref=ref-1&limit=500").await.entries;
    assert_eq!(third.len(), 8);
    assert!(third.iter().all(|e| e.client_ref.as_deref() == Some("ref-1")));
    let group = ids[0].group;
    let of_group = page(&format!("group={group}&client_ref=ref-0")).await.entries;
    assert_eq!(
        of_group.len(),
        ids.iter().enumerate().filter(|(n, p)| n % 3 == 0 && p.group == group).count()
    );
    assert_eq!(page("model_version=9").await.entries.len(), 0);
    let middle = &ids[11].scored_at;
    let later = page(&format!("from={middle}&limit=500")).await.entries;
    assert!(later.iter().all(|e| e.scored_at >= *middle) && later.iter().any(|e| e.id == ids[11].id));
    let earlier = page(&format!("to={middle}&limit=500")).await.entries;
    assert!(earlier.iter().all(|e| e.scored_at < *middle) && !earlier.is_empty());
    let officer = server.services["service"];
    assert_eq!(page(&format!("officer={officer}&limit=500")).await.entries.len(), 26);
    assert_eq!(page(&format!("officer={}", Uuid::now_v7())).await.entries.len(), 0);
    assert_eq!(page("from=0&to=1").await.entries.len(), 0);
    assert_eq!(page("client_ref='%20OR%20'1'='1").await.entries.len(), 0, "inert");

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("group=T9", "group"),
        ("client=7", "client"),
        ("officer='--", "officer"),
        ("branch=x", "branch"),
        ("from=yesterday", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("after=x", "after"),
        ("model_version=-1", "model_version"),
        ("sort=margin", "sort"),
        ("limit=1&limit=2", "limit"),
    ] {
        let response = analyst.get(&format!("/api/history?{query}")).await;
        let refusal = refused(response, 422, ProblemCode::InvalidInput).await;
        assert_eq!(refusal.fields[0].field, field, "{refusal:?}");
    }
}

#[tokio::test]
async fn nobody_sees_more_history_than_is_theirs() {
    let server = Server::with_model().await;
    let mut of_officer = Vec::new();
    for username in ["officer", "officer2", "officer-south"] {
        let mut device = server.device(username).await;
        let client = new_client();
        let events = [
            device.event(captured(client, "Alguien")),
            device.event(EventBody::Assessed(Box::new(assessment(client)))),
        ];
        device.push(&events.each_ref()).await;
        let EventBody::Assessed(assessed) = &events[1].event.body else { unreachable!() };
        of_officer.push((assessed.id, client));
    }
    let mut of_service = Vec::new();
    for username in ["service", "service-south"] {
        let service = server.caller(username).await;
        let body = json!({ "features": inputs() });
        let prediction: Prediction = service.post("/api/predict", &body).await.json().await.unwrap();
        of_service.push(prediction.id);
    }
    let [mine, colleagues, southern] = [of_officer[0].0, of_officer[1].0, of_officer[2].0];
    let all = [mine, colleagues, southern, of_service[0], of_service[1]];
    for (username, visible) in [
        ("officer", vec![mine]),
        ("officer2", vec![colleagues]),
        ("manager", vec![mine, colleagues]),
        ("manager-south", vec![southern, of_service[1]]),
        ("service", vec![of_service[0]]),
        ("service-south", vec![of_service[1]]),
        ("analyst", all.to_vec()),
        ("admin", all.to_vec()),
    ] {
        let caller = server.caller(username).await;
        let page: HistoryPage = caller.get("/api/history").await.json().await.unwrap();
        let seen: BTreeSet<_> = page.entries.iter().map(|e| e.id).collect();
        assert_eq!(seen, visible.iter().copied().collect(), "{username}");
        for id in all {
            let response = caller.get(&format!("/api/history/{id}")).await;
            if visible.contains(&id) {
                assert_eq!(response.json::<HistoryEntry>().await.unwrap().id, id);
            } else {
                let other = refused(response, 404, ProblemCode::NotFound).await;
                let none = caller.get(&format!("/api/history/{}", Uuid::now_v7())).await;
                let none = refused(none, 404, ProblemCode::NotFound).await;
                assert_eq!(other.detail, none.detail, "existence is not told");
            }
        }
    }
    let manager = server.caller("manager").await;
    let own: HistoryPage =
        manager.get(&format!("/api/history?branch={}", server.north.id)).await.json().await.unwrap();
    assert_eq!(own.entries.len(), 2);
    let one: HistoryPage =
        manager.get(&format!("/api/history?client={}", of_officer[1].1)).await.json().await.unwrap();
    assert_eq!(one.entries[0].id, colleagues);
    for other in [server.south.id.0, Uuid::now_v7()] {
        let response = manager.get(&format!("/api/history?branch={other}")).await;
        refused(response, 404, ProblemCode::NotFound).await;
    }
    let analyst = server.caller("analyst").await;
    let south: HistoryPage =
        analyst.get(&format!("/api/history?branch={}", server.south.id)).await.json().await.unwrap();
    assert_eq!(south.entries.len(), 2);
}

#[tokio::test]
async fn a_server_says_what_it_is_and_that_it_is_well() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let info: ServerInfo = anonymous.get("/api/server").await.json().await.unwrap();
    assert_eq!((info.product.as_str(), info.protocol), (PRODUCT, 1));
    assert!((info.server_ms - vereda_server::clock::now_ms()).abs() < minutes(1));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(anonymous.get(path).await.status(), 200);
        let url = format!("{}{path}", server.running.metrics_url());
        assert_eq!(server.http.get(url).send().await.unwrap().status(), 200);
    }
    refused(anonymous.get("/metrics").await, 404, ProblemCode::NotFound).await;
    anonymous.get(&format!("/api/history/{}", Uuid::now_v7())).await;
    let metrics = server.metrics().await;
    assert!(metrics.contains(r#"route="/api/history/{id}",method="GET",status="401""#), "{metrics}");
    assert!(metrics.contains(r#"route="none",method="GET",status="404""#), "{metrics}");
}

#[tokio::test]
async fn request_ids_are_the_callers_only_when_safe() {
    let server = Server::start().await;
    let id_for = async |id: &str| {
        let request = server.http.get(server.url("/healthz")).header("x-request-id", id);
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id_for("abc-123_XYZ").await, "abc-123_XYZ");
    let long = "a".repeat(65);
    for unsafe_id in ["short", "with space", "semi;colon", "<script>", long.as_str()] {
        let id = id_for(unsafe_id).await;
        assert_ne!(id, unsafe_id);
        assert_eq!(id.len(), 32);
    }
}

#[tokio::test]
async fn answers_are_closed_to_browsers_of_other_origins() {
    let server = Server::start().await;
    let request = server.http.get(server.url("/api/server")).header("origin", "https://evil.example");
    let response = request.send().await.unwrap();
    let headers = response.headers();
    assert!(!headers.contains_key("access-control-allow-origin"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(headers[name], value);
    }
}
