//! Which events are applied, which are kept aside, and which scores are flagged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::{Doer, EventOutcome, ModelManifest, ProblemCode, Pushed, QuarantineReason};
use vereda_domain::client::ClientField;
use vereda_domain::event::{EventBody, Hash, OverrideCode, OverrideReason};
use vereda_domain::record::{AssessmentRecord, Record, RecordKey, Rescore};
use vereda_domain::{AssessmentId, Decision};
use vereda_server::store::postgres::PostgresStore;
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::store::{NewModel, Store};

#[tokio::test]
async fn what_cannot_be_applied_is_kept_and_blocks_nothing() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let mut colleague = server.device("officer2").await;
    let (client, theirs) = (new_client(), new_client());
    let capture = colleague.event(captured(theirs, "De la colega"));
    colleague.push(&[&capture]).await;

    let assessed = assessment(client);
    let mut texts = vec![officer.event(captured(client, "Propia")).text];
    let mut expected = vec![None];
    let mut add = |text: String, reason: QuarantineReason| {
        texts.push(text);
        expected.push(Some(reason));
    };
    use QuarantineReason::*;
    add(officer.raw(json!({"type": "loan_disbursed", "amount": 5})), UnknownKind);
    add(officer.raw(json!({"type": "client_edited"})), Malformed);
    add(officer.raw(json!({"type": "client_captured", "x": "a".repeat(70_000)})), Malformed);
    add(officer.event(captured(new_client(), "   ")).text, Malformed);
    add(officer.event(captured(new_client(), "con\u{7}campana")).text, Malformed);
    add(officer.event(edited(client, ClientField::Phone, "1", vec![])).text, Malformed);
    add(officer.event(edited(new_client(), ClientField::Phone, "300 555 0002", vec![])).text, UnknownRecord);
    add(officer.event(edited(theirs, ClientField::Phone, "300 555 0003", vec![])).text, NotAllowed);
    let nobody = AssessmentId(Uuid::now_v7());
    add(officer.event(decided(nobody, client, Decision::Approve, None)).text, UnknownRecord);
    for change in ["actor", "branch", "device"] {
        let mut event = officer.event(captured(new_client(), "Ajena")).event;
        match change {
            "actor" => event.actor = server.users["manager"].id,
            "branch" => event.branch = server.south.id,
            _ => event.device = colleague.id,
        }
        add(officer.seal(event).text, Foreign);
    }
    texts.push(officer.event(EventBody::Assessed(Box::new(assessed.clone()))).text);
    expected.push(None);
    let mut other = assessed.clone();
    other.inputs.insert("amount".into(), vereda_scoring::Value::Number(999.0));
    texts.push(officer.event(EventBody::Assessed(Box::new(other))).text);
    expected.push(Some(Contradiction));
    texts.push(officer.event(decided(assessed.id, client, Decision::Refuse, None)).text);
    expected.push(Some(Malformed)); // against the suggestion, without a reason
    texts.push(officer.event(decided(assessed.id, theirs, Decision::Approve, None)).text);
    expected.push(Some(NotAllowed));
    texts.push(officer.event(decided(assessed.id, client, Decision::Approve, None)).text);
    expected.push(None);

    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let pushed: Pushed = officer.send(&refs).await.json().await.unwrap();
    let outcomes: Vec<Option<QuarantineReason>> = pushed
        .results
        .iter()
        .map(|r| match &r.outcome {
            EventOutcome::Stored => None,
            EventOutcome::Quarantined { reason, .. } => Some(*reason),
        })
        .collect();
    assert_eq!(outcomes, expected, "{:?}", pushed.results);
    assert_eq!(pushed.receipt.seq, u64::try_from(texts.len()).unwrap());
    let mine = records(officer.pull().await);
    assert_eq!(mine.len(), 2, "one client and one assessment");
    let Record::Assessment(record) = &mine[&RecordKey::Assessment(assessed.id)] else { panic!() };
    assert_eq!(record.assessment, assessed, "the first one is kept");
    assert_eq!(record.decisions.len(), 1);
    let answer = serde_json::to_string(&pushed.results).unwrap();
    assert!(!answer.contains("campana"), "values of clients stay out of answers");
}

#[tokio::test]
async fn another_branchs_client_is_out_of_reach() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let mut south = server.device("officer-south").await;
    let mut southern = server.device("manager-south").await;
    let client = new_client();
    let capture = officer.event(captured(client, "Del norte"));
    officer.push(&[&capture]).await;
    let events = [
        south.event(captured(client, "Robada")),
        south.event(edited(client, ClientField::Name, "Robada", vec![])),
        south.event(EventBody::Assessed(Box::new(assessment(client)))),
    ];
    let pushed = south.push(&events.each_ref()).await;
    for index in 0..3 {
        assert_eq!(reason(&pushed, index), QuarantineReason::Foreign);
    }
    assert!(south.pull().await.is_empty() && southern.pull().await.is_empty());
    let mine = records(officer.pull().await);
    let Record::Client(record) = &mine[&RecordKey::Client(client)] else { panic!() };
    assert_eq!(record.value(ClientField::Name), "Del norte");
}

#[tokio::test]
async fn events_that_came_too_early_are_applied_when_their_record_arrives() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let mut manager = server.device("manager").await;
    let client = new_client();
    let assessed = assessment(client);
    // The manager's decision and another device's assessment reach the server before the client.
    let reason_given = OverrideReason { code: OverrideCode::Other, words: "Comité".into() };
    let early = [
        manager.event(decided(assessed.id, client, Decision::Refuse, Some(reason_given))),
        manager.event(decided(assessed.id, client, Decision::Refer, None)),
    ];
    let pushed = manager.push(&early.each_ref()).await;
    assert_eq!(reason(&pushed, 0), QuarantineReason::UnknownRecord);
    let mut second = server.device("officer").await;
    let scored = second.event(EventBody::Assessed(Box::new(assessed.clone())));
    assert_eq!(reason(&second.push(&[&scored]).await, 0), QuarantineReason::UnknownRecord);
    assert!(manager.pull().await.is_empty());

    let capture = officer.event(captured(client, "Llega tarde"));
    assert!(stored(&officer.push(&[&capture]).await));
    let seen = records(manager.pull().await);
    assert_eq!(seen.len(), 2);
    let Record::Assessment(record) = &seen[&RecordKey::Assessment(assessed.id)] else { panic!() };
    assert_eq!(record.decisions.len(), 1, "the one without a reason is still kept aside");
    assert_eq!(record.decision().unwrap().decision, Decision::Refuse);
    assert_eq!(record.rescore, Some(Rescore::Same));
    // Asked again, the server says what has become of them since.
    let again = manager.push(&early.each_ref()).await;
    assert_eq!(again.results[0].outcome, EventOutcome::Stored);
    assert_eq!(reason(&again, 1), QuarantineReason::Malformed);
    assert!(stored(&second.push(&[&scored]).await));
}

#[tokio::test]
async fn a_score_changed_on_the_device_is_flagged_to_the_branch() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let client = new_client();
    let mut lower = assessment(client);
    let honest = lower.score.clone();
    lower.score.margin -= 3.0;
    lower.score.margin_bits = vereda_domain::event::margin_bits(lower.score.margin);
    lower.score.probability = 0.01;
    lower.score.group = vereda_scoring::bundle::Group::T1;
    let mut pd_only = assessment(client);
    pd_only.score.probability = f64::from_bits(honest.probability.to_bits() + 1);
    let mut inputs_only = assessment(client);
    inputs_only.inputs.insert("amount".into(), vereda_scoring::Value::Number(5000.0));
    let mut unknown_model = assessment(client);
    unknown_model.model.sha256 = "0".repeat(64);
    let mut bad_inputs = assessment(client);
    bad_inputs.inputs.insert("records".into(), vereda_scoring::Value::Missing);
    let ids = [&lower, &pd_only, &inputs_only, &unknown_model, &bad_inputs].map(|a| a.id);
    let mut events = vec![officer.event(captured(client, "Retocada"))];
    for assessed in [lower, pd_only, inputs_only, unknown_model, bad_inputs] {
        events.push(officer.event(EventBody::Assessed(Box::new(assessed))));
    }
    assert!(stored(&officer.push(&events.iter().collect::<Vec<_>>()).await), "a flag is no refusal");
    let mut manager = server.device("manager").await;
    let seen = records(manager.pull().await);
    let rescore = |id| match &seen[&RecordKey::Assessment(id)] {
        Record::Assessment(record) => record.rescore.clone().unwrap(),
        Record::Client(_) => panic!(),
    };
    match rescore(ids[0]) {
        Rescore::Different { margin_bits, probability, group } => {
            assert_eq!((margin_bits, probability), (honest.margin_bits.clone(), honest.probability));
            assert_eq!(group, honest.group);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(rescore(ids[1]), Rescore::Different { .. }));
    assert!(matches!(rescore(ids[2]), Rescore::Different { .. }));
    assert!(matches!(rescore(ids[3]), Rescore::Impossible { .. }));
    assert!(matches!(rescore(ids[4]), Rescore::Impossible { .. }));
    assert_eq!(server.counted(r#"vereda_rescore_mismatches_total{model_version="1"}"#).await, 3);
    let page = history(&manager.caller).await;
    assert_eq!(
        page.entries.iter().filter(|e| matches!(e.rescore, Some(Rescore::Different { .. }))).count(),
        3
    );
}

/// As after an update of the server to a version that does not read an older format of bundles any more.
#[tokio::test]
async fn a_published_model_that_cannot_be_used_stops_scores_and_nothing_else() {
    let server = Server::with_model().await;
    let store: Arc<dyn Store> = match server.config.database.url.as_str() {
        "" => Arc::new(SqliteStore::open(&SqliteStore::file_in(&server.config.data_dir), 1).unwrap()),
        url => Arc::new(PostgresStore::connect(url, 1).await.unwrap()),
    };
    let bytes = br#"{"format": "of another time"}"#.to_vec();
    let manifest = ModelManifest {
        id: model().reference().id,
        version: 2,
        sha256: Hash::of(&bytes).to_string(),
        bytes: bytes.len() as u64,
        published_at: 0,
        published_by: "prueba".into(),
    };
    store.publish_model(NewModel { manifest: manifest.clone(), bytes, by: Doer::CommandLine }).await.unwrap();

    let service = server.caller("service").await;
    let problem = problem(service.post("/api/predict", &json!({"features": inputs()})).await).await;
    assert_eq!((problem.status, problem.code), (503, ProblemCode::Unavailable));
    assert!(problem.detail.contains("version 2"), "{problem:?}");

    let mut officer = server.device("officer").await;
    let client = new_client();
    let mut scored = assessment(client);
    scored.model.version = 2;
    scored.model.sha256 = manifest.sha256;
    let id = scored.id;
    let events =
        [officer.event(captured(client, "Rosa")), officer.event(EventBody::Assessed(Box::new(scored)))];
    assert!(stored(&officer.push(&events.iter().collect::<Vec<_>>()).await), "an interview is never lost");
    match &records(officer.pull().await)[&RecordKey::Assessment(id)] {
        Record::Assessment(AssessmentRecord { rescore: Some(Rescore::Impossible { why }), .. }) => {
            assert!(why.contains("cannot be used"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let analyst = server.caller("analyst").await;
    assert_eq!(analyst.get("/api/models/1/performance").await.status(), 200);
    let mut newer: serde_json::Value = serde_json::from_slice(BOOSTED).unwrap();
    newer["version"] = json!(3);
    assert_eq!(analyst.post_bytes("/api/models", newer.to_string()).await.status(), 201);
    assert_eq!(service.post("/api/predict", &json!({"features": inputs()})).await.status(), 200);
}
