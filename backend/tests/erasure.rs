//! What clients may ask for: all that is kept about them, and an end to it, with every chain whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;
use vereda_domain::api::{
    Change, ClientData, Erasure, ForgottenClientRef, HistoryPage, Prediction, ProblemCode, QuarantineReason,
    Quarantined,
};
use vereda_domain::client::ClientField;
use vereda_domain::event::{EventBody, Stub};
use vereda_domain::record::RecordKey;
use vereda_domain::{ClientId, Decision};

/// Waits until no event holds anything of a client.
async fn done(manager: &Caller<'_>, client: ClientId) -> Erasure {
    let wait = async {
        loop {
            let erasures: Vec<Erasure> = manager.get("/api/erasures").await.json().await.unwrap();
            if let Some(done) = erasures.into_iter().find(|e| e.client == client && e.swept_at.is_some()) {
                return done;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the erasure is not finished")
}

const NAME: &str = "Candelaria Quiñónez";

#[tokio::test]
async fn a_client_is_shown_all_that_is_kept_and_then_erased_from_everywhere() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let mut manager = server.device("manager").await;
    let (client, other) = (new_client(), new_client());
    let scored = assessment(client);
    let events = [
        officer.event(captured(client, NAME)),
        officer.event(captured(other, "Otra Persona")),
        officer.event(EventBody::Assessed(Box::new(scored.clone()))),
        officer.event(EventBody::Assessed(Box::new(assessment(other)))),
        officer.event(decided(scored.id, client, Decision::Approve, None)),
    ];
    let pushed = officer.push(&events.each_ref()).await;
    // An event of a later kind: what it holds of her is found all the same.
    let strange = officer.raw(json!({"type": "visited", "client": client, "name": NAME}));
    officer.send(&[&strange]).await;
    assert_eq!(records(officer.pull().await).len(), 4);
    assert_eq!(records(manager.pull().await).len(), 4);

    let (data_path, path) = (format!("/api/clients/{client}/data"), format!("/api/clients/{client}/erase"));
    for username in ["officer", "analyst", "service"] {
        let caller = server.caller(username).await;
        refused(caller.get(&data_path).await, 403, ProblemCode::Forbidden).await;
        refused(caller.post(&path, &json!({})).await, 403, ProblemCode::Forbidden).await;
    }
    let elsewhere = server.caller("manager-south").await;
    refused(elsewhere.get(&data_path).await, 404, ProblemCode::NotFound).await;
    refused(elsewhere.post_bytes(&path, "").await, 404, ProblemCode::NotFound).await;

    for username in ["manager", "admin"] {
        let data: ClientData = server.caller(username).await.get(&data_path).await.json().await.unwrap();
        assert_eq!(data.client.value(ClientField::Name), NAME);
        assert_eq!((data.assessments.len(), data.history.len()), (1, 1));
        assert_eq!(data.history[0].id, scored.id);
    }

    let branch = server.caller("manager").await;
    let erased: Erasure = branch.post_bytes(&path, "").await.json().await.unwrap();
    let again: Erasure = branch.post_bytes(&path, "").await.json().await.unwrap();
    assert_eq!((again.client, again.erased_at), (client, erased.erased_at));
    refused(branch.get(&data_path).await, 404, ProblemCode::NotFound).await;
    for device in [&mut officer, &mut manager] {
        let mut gone = Vec::new();
        for change in device.pull().await {
            let Change::Purge { key, erased: true } = change else { panic!("{change:?}") };
            gone.push(key);
        }
        gone.sort();
        let mut expected = [RecordKey::Client(client), RecordKey::Assessment(scored.id)];
        expected.sort();
        assert_eq!(gone, expected);
    }
    let page: HistoryPage = branch.get(&format!("/api/history?client={client}")).await.json().await.unwrap();
    assert!(page.entries.is_empty());
    let kept = history(&branch).await.entries;
    let mine = kept.iter().find(|entry| entry.id == scored.id).unwrap();
    assert_eq!((mine.client, mine.probability.to_bits()), (None, scored.score.probability.to_bits()));
    assert_eq!(mine.inputs, scored.inputs);
    assert_eq!(done(&branch, client).await.events, 4, "captured, assessed, decided and the strange one");

    // The chain goes on, and what was answered once is answered again.
    assert_eq!(officer.push(&events.each_ref()).await.results, pushed.results);
    let late = officer.event(edited(client, ClientField::Phone, "300 555 1212", Vec::new()));
    assert_eq!(reason(&officer.push(&[&late]).await, 0), QuarantineReason::Erased);
    let after = officer.event(captured(new_client(), "Tercera Persona"));
    assert!(stored(&officer.push(&[&after]).await));
    let aside: Vec<Quarantined> = branch.get("/api/sync/quarantined").await.json().await.unwrap();
    assert!(aside.iter().all(|one| one.reason == QuarantineReason::Erased), "{aside:?}");
    assert_eq!(aside.len(), 2);
    // Under the same id she does not come back.
    let back = officer.event(captured(client, NAME));
    assert_eq!(reason(&officer.push(&[&back]).await, 0), QuarantineReason::Erased);
    assert_eq!(records(manager.pull().await).len(), 1);

    let admin = server.caller("admin").await;
    let audit = admin.get("/api/audit?limit=1000").await.text().await.unwrap();
    assert_eq!(audit.matches("client_exported").count(), 2);
    assert_eq!(audit.matches("client_erased").count(), 1);
    assert!(!audit.contains("Candelaria"));

    // Not in the database's files either, once the server has put them in order.
    if server.config.database.url.is_empty() {
        let data = server.config.data_dir.clone();
        let _folder = server.stopped().await;
        let database = std::fs::read(data.join("vereda.db")).unwrap();
        let holds = |words: &str| database.windows(words.len()).any(|window| window == words.as_bytes());
        assert!(holds("Tercera Persona"));
        for words in ["Candelaria", "Quiñónez", "300 555 1212"] {
            assert!(!holds(words), "{words}");
        }
    }
}

#[tokio::test]
async fn what_is_left_of_an_event_stands_in_its_place_in_the_chain() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let client = new_client();
    let first = officer.event(captured(client, NAME));
    let second = officer.event(captured(new_client(), "Otra Persona"));
    // A server that was set back to a backup knows nothing of either; the device has erased the first since.
    let stub = Stub::in_place_of(&first.text, first.hash).unwrap();
    let answer = officer.send(&[&stub, &second.text]).await;
    assert_eq!(answer.status(), 200);
    let pushed: vereda_domain::api::Pushed = answer.json().await.unwrap();
    assert_eq!(reason(&pushed, 0), QuarantineReason::Erased);
    assert_eq!(pushed.receipt.hash, second.hash);
    assert_eq!(records(officer.pull().await).len(), 1);
    // The event itself, should it come after all, is the same place.
    let again = officer.push(&[&first, &second]).await;
    assert_eq!(again.results, pushed.results);
}

#[tokio::test]
async fn scores_of_another_system_lose_their_clients_name() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    let ask = |name: &str| json!({"features": inputs(), "client_ref": name});
    let mut ids = Vec::new();
    for name in ["cédula 77", "cédula 77", "cédula 78"] {
        let prediction: Prediction = service.post("/api/predict", &ask(name)).await.json().await.unwrap();
        ids.push(prediction.id);
    }
    let admin = server.caller("admin").await;
    let of = json!({"service": server.services["service"], "client_ref": "cédula 77"});
    for (username, status) in [("service", 403), ("manager", 403)] {
        let caller = server.caller(username).await;
        refused(caller.post("/api/history/forget-client-ref", &of).await, status, ProblemCode::Forbidden)
            .await;
    }
    let wrong = json!({"service": server.services["service"], "client_ref": ""});
    let refusal =
        refused(admin.post("/api/history/forget-client-ref", &wrong).await, 422, ProblemCode::InvalidInput)
            .await;
    assert_eq!(refusal.fields[0].field, "client_ref");
    let erased: ForgottenClientRef =
        admin.post("/api/history/forget-client-ref", &of).await.json().await.unwrap();
    assert_eq!(erased.scores, 2);
    let nobody = json!({"service": Uuid::now_v7(), "client_ref": "cédula 78"});
    let erased: ForgottenClientRef =
        admin.post("/api/history/forget-client-ref", &nobody).await.json().await.unwrap();
    assert_eq!(erased.scores, 0);
    let page: HistoryPage = service.get("/api/history").await.json().await.unwrap();
    let mut names: Vec<_> = page.entries.iter().map(|entry| entry.client_ref.as_deref()).collect();
    names.sort();
    assert_eq!(names, [None, None, Some("cédula 78")]);
    assert_eq!(page.entries.len(), ids.len());
}
