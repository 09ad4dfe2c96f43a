//! Push and pull with devices that keep real chains.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use vereda_domain::api::{
    Change, DeviceInfo, ProblemCode, Pushed, QuarantineReason, Quarantined, SyncStatus,
};
use vereda_domain::client::ClientField;
use vereda_domain::event::{ChainHead, EventBody, Hash, OverrideCode, OverrideReason};
use vereda_domain::record::{Record, RecordKey, Rescore};
use vereda_domain::{ClientId, Decision, DeviceId};

#[tokio::test]
async fn the_whole_loop_from_capture_to_the_managers_decision() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let client = new_client();
    let assessment = assessment(client);
    let suggested = Decision::Approve; // golden[0] is T4
    let events = [
        officer.event(captured(client, "Clienta de Prueba")),
        officer.event(EventBody::Assessed(Box::new(assessment.clone()))),
        officer.event(decided(assessment.id, client, suggested, None)),
    ];
    let pushed = officer.push(&events.each_ref()).await;
    assert!(stored(&pushed), "{pushed:?}");
    assert_eq!(pushed.receipt.device, officer.id);
    assert_eq!((pushed.receipt.seq, pushed.receipt.hash), (3, events[2].hash));
    let head: ChainHead = officer.caller.get("/api/sync/head").await.json().await.unwrap();
    assert_eq!(head, officer.head);

    let mut manager = server.device("manager").await;
    let seen = records(manager.pull().await);
    let Record::Assessment(record) = &seen[&RecordKey::Assessment(assessment.id)] else { panic!() };
    assert_eq!(record.rescore, Some(Rescore::Same), "the server finds the same bits");
    assert_eq!(record.assessment, assessment);
    let entry = &history(&manager.caller).await.entries[0];
    assert_eq!((entry.id, entry.decision, entry.overridden), (assessment.id, Some(suggested), false));
    assert_eq!(entry.margin_bits, assessment.score.margin_bits);
    assert_eq!(entry.rescore, Some(Rescore::Same));

    let words = OverrideReason { code: OverrideCode::Policy, words: "Supera el cupo".into() };
    let refused = manager.event(decided(assessment.id, client, Decision::Refuse, Some(words)));
    assert!(stored(&manager.push(&[&refused]).await));
    let mine = records(officer.pull().await);
    let Record::Assessment(record) = &mine[&RecordKey::Assessment(assessment.id)] else { panic!() };
    assert_eq!(record.decision().unwrap().decision, Decision::Refuse, "a manager's goes before an officer's");
    let entry = &history(&manager.caller).await.entries[0];
    assert_eq!((entry.decision, entry.overridden), (Some(Decision::Refuse), true));
    assert_eq!(server.counted(r#"vereda_events_total{outcome="stored"}"#).await, 4);
    let scored = r#"vereda_predictions_total{source="field",model_version="1",group="T4"}"#;
    assert_eq!(server.counted(scored).await, 1);
}

#[tokio::test]
async fn a_push_may_come_again_in_whole_or_in_part() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let client = new_client();
    let unknown = officer.raw(json!({"type": "outcome_observed", "what": 1}));
    let texts: Vec<String> = [unknown]
        .into_iter()
        .chain((0..5).map(|_| officer.event(captured(client, "Repetida")).text))
        .collect();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let first: Pushed = officer.send(&all[..4]).await.json().await.unwrap();
    assert_eq!(reason(&first, 0), QuarantineReason::UnknownKind);
    // The answer was lost: the device sends all it has, from the start.
    let second: Pushed = officer.send(&all).await.json().await.unwrap();
    assert_eq!(second.results[..4], first.results[..]);
    assert_eq!(second.receipt.seq, 6);
    let third: Pushed = officer.send(&all[2..5]).await.json().await.unwrap();
    assert_eq!(third.results[..], second.results[2..5]);
    assert_eq!(third.receipt.seq, 6, "the receipt says all that is held");
    let empty: Pushed = officer.send(&[]).await.json().await.unwrap();
    assert_eq!((empty.results.len(), empty.receipt.seq), (0, 6));
    let mut manager = server.device("manager").await;
    assert_eq!(records(manager.pull().await).len(), 1, "one client, not two");
}

#[tokio::test]
async fn gaps_wrong_predecessors_and_forks_are_refused_with_where_to_go_on() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let events: Vec<_> = (0..4).map(|_| officer.event(captured(new_client(), "Cadena"))).collect();
    officer.push(&[&events[0], &events[1]]).await;
    let held = ChainHead { seq: 2, hash: events[1].hash };
    let gap = refused(officer.send(&[&events[3].text]).await, 409, ProblemCode::ChainGap).await;
    assert_eq!(gap.resume, Some(held));
    let gap =
        refused(officer.send(&[&events[1].text, &events[3].text]).await, 409, ProblemCode::ChainGap).await;
    assert_eq!(gap.resume, Some(held));
    let gap =
        refused(officer.send(&[&events[2].text, &events[1].text]).await, 409, ProblemCode::ChainGap).await;
    assert_eq!(gap.resume, Some(held));
    let mut wrong: Json = serde_json::from_str(&events[2].text).unwrap();
    wrong["prev"] = json!(Hash::of(b"another").to_string());
    let gap = refused(officer.send(&[&wrong.to_string()]).await, 409, ProblemCode::ChainGap).await;
    assert_eq!(gap.resume, Some(held));
    // Another event in a place that is taken: nothing is overwritten.
    let mut fork: Json = serde_json::from_str(&events[1].text).unwrap();
    fork["body"]["fields"]["name"] = json!("Otra Persona");
    refused(officer.send(&[&fork.to_string()]).await, 409, ProblemCode::Conflict).await;
    // The same words in other bytes are another event, too.
    let spaced = events[1].text.replacen(',', ", ", 1);
    refused(officer.send(&[&spaced]).await, 409, ProblemCode::Conflict).await;
    // Nothing of a refused push was applied, and the chain goes on.
    let pushed = officer.push(&[&events[2], &events[3]]).await;
    assert!(stored(&pushed));
    assert_eq!(pushed.receipt.seq, 4);
}

#[tokio::test]
async fn a_push_that_cannot_be_read_is_refused_whole() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let good = officer.event(captured(new_client(), "Buena"));
    let refusal = refused(officer.send(&[&good.text, "{}"]).await, 422, ProblemCode::InvalidInput).await;
    assert_eq!(refusal.fields[0].field, "events[1]");
    refused(officer.send(&["7"]).await, 422, ProblemCode::InvalidInput).await;
    let body = format!(r#"{{"events":[{}],"device_ms":1,"branch":"x"}}"#, good.text);
    let refusal =
        refused(officer.caller.post_bytes("/api/sync/push", body).await, 422, ProblemCode::InvalidInput)
            .await;
    assert_eq!(refusal.fields[0].field, "branch");
    let whole = format!(r#"{{"events":[{}],"device_ms":1}}"#, good.text);
    for cut in [1, whole.len() / 2, whole.len() - 1] {
        let response = officer.caller.post_bytes("/api/sync/push", whole[..cut].to_owned()).await;
        refused(response, 400, ProblemCode::BadRequest).await;
    }
    let many = vec![good.text.as_str(); 2001];
    refused(officer.send(&many).await, 413, ProblemCode::TooLarge).await;
    let head: ChainHead = officer.caller.get("/api/sync/head").await.json().await.unwrap();
    assert_eq!(head, ChainHead::EMPTY, "nothing was stored");
}

#[tokio::test]
async fn officers_see_their_portfolio_and_managers_the_branch() {
    let server = Server::with_model().await;
    let mut devices = [server.device("officer").await, server.device("officer2").await];
    let mut clients: Vec<ClientId> = Vec::new();
    for device in &mut devices {
        let client = new_client();
        let events = [
            device.event(captured(client, "Alguien")),
            device.event(EventBody::Assessed(Box::new(assessment(client)))),
        ];
        device.push(&events.each_ref()).await;
        clients.push(client);
    }
    for (device, client) in devices.iter_mut().zip(&clients) {
        let seen = records(device.pull().await);
        assert_eq!(seen.len(), 2);
        assert!(seen.contains_key(&RecordKey::Client(*client)));
    }
    let mut manager = server.device("manager").await;
    assert_eq!(records(manager.pull().await).len(), 4);
    assert!(manager.pull().await.is_empty(), "nothing new past the cursor");
    // Somebody of another branch sees nothing of it, and roles without a branch have no pull.
    assert!(server.device("manager-south").await.pull().await.is_empty());
    let analyst = server.caller("analyst").await;
    refused(analyst.get("/api/sync/pull").await, 403, ProblemCode::Forbidden).await;
}

#[tokio::test]
async fn a_client_who_changes_hands_leaves_the_old_portfolio() {
    let server = Server::with_model().await;
    let mut first = server.device("officer").await;
    let mut second = server.device("officer2").await;
    let client = new_client();
    // The one who captured the client first, by time, looks after them; here that capture comes late.
    let early = first.event(captured(client, "Compartida"));
    let events = [
        second.event(captured(client, "Compartida")),
        second.event(EventBody::Assessed(Box::new(assessment(client)))),
    ];
    second.push(&events.each_ref()).await;
    assert_eq!(records(second.pull().await).len(), 2);
    assert!(stored(&first.push(&[&early]).await));
    let purged = second.pull().await;
    assert_eq!(purged.len(), 2, "{purged:?}");
    assert!(purged.iter().all(|change| matches!(change, Change::Purge { .. })));
    let gained = records(first.pull().await);
    assert_eq!(gained.len(), 2, "the client and what was assessed");
}

#[tokio::test]
async fn pages_are_complete_and_bounded() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let events: Vec<_> =
        (0..25).map(|n| officer.event(captured(new_client(), &format!("Número {n}")))).collect();
    officer.push(&events.iter().collect::<Vec<_>>()).await;
    let mut manager = server.device("manager").await;
    let mut sizes = Vec::new();
    let mut all = Vec::new();
    loop {
        let page = manager.pull_page(10).await;
        sizes.push(page.changes.len());
        all.extend(page.changes);
        if !page.more {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(records(all).len(), 25);
    // Whoever names a place of another future (the server was set back to a backup) begins anew.
    manager.cursor += 1;
    let page = manager.pull_page(100).await;
    assert_eq!((page.anew, page.changes.len(), page.cursor, page.more), (true, 0, 0, true));
    assert_eq!(manager.pull_page(100).await.changes.len(), 25);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("cursor=-1", "cursor"),
        ("seen=x", "seen"),
        ("x=1", "x"),
    ] {
        let response = manager.caller.get(&format!("/api/sync/pull?{query}")).await;
        assert_eq!(refused(response, 422, ProblemCode::InvalidInput).await.fields[0].field, field);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cursor_never_skips_what_is_committed_at_the_same_time() {
    let server = Server::with_model().await;
    let mut writers = Vec::new();
    for _ in 0..4 {
        writers.push(server.device("officer").await);
    }
    let mut reader = server.device("manager").await;
    let pushes = async {
        let work = writers.iter_mut().map(|device| async {
            for _ in 0..10 {
                let event = device.event(captured(new_client(), "A la vez"));
                assert!(stored(&device.push(&[&event]).await));
            }
        });
        let mut set = Vec::new();
        for one in work {
            set.push(one);
        }
        join_all(set).await;
    };
    let mut seen = BTreeMap::new();
    tokio::pin!(pushes);
    let mut done = false;
    while !done {
        tokio::select! {
            () = &mut pushes => done = true,
            page = reader.pull_page(3) => seen.extend(records(page.changes)),
        }
    }
    // A pull that was dropped in flight moved no cursor, so nothing can be lost that way either.
    seen.extend(records(reader.pull().await));
    assert_eq!(seen.len(), 40);
}

/// Runs them all at the same time.
async fn join_all<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_push_at_the_same_time_takes_effect_once() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let client = new_client();
    let events = [
        officer.event(captured(client, "Una vez")),
        officer.event(EventBody::Assessed(Box::new(assessment(client)))),
    ];
    let refs = events.each_ref();
    let (a, b, c) = tokio::join!(officer.push(&refs), officer.push(&refs), officer.push(&refs));
    assert!(stored(&a) && stored(&b) && stored(&c));
    assert_eq!(records(officer.pull().await).len(), 2);
    assert_eq!(history(&officer.caller).await.entries.len(), 1);
}

#[tokio::test]
async fn a_disabled_officers_finished_work_is_taken_in_before_access_ends() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    server.running.people().disable_user("officer").await.unwrap();
    let event = officer.event(captured(new_client(), "Ya capturada"));
    let head: ChainHead = officer.caller.get("/api/sync/head").await.json().await.unwrap();
    assert_eq!(head, ChainHead::EMPTY);
    assert!(stored(&officer.push(&[&event]).await));
    refused(officer.caller.get("/api/sync/pull").await, 401, ProblemCode::UserDisabled).await;
    // The access token ends: the next one delivers, and opens nothing else.
    let later = officer.event(captured(new_client(), "Capturada sin red"));
    let session = delivers_only(&server, &mut officer, ProblemCode::UserDisabled).await;
    assert!(stored(&officer.push(&[&later]).await));
    assert!(session.colleagues.is_empty());
    assert_eq!(records(server.device("manager").await.pull().await).len(), 2);
}

#[tokio::test]
async fn a_revoked_device_delivers_what_was_captured_and_opens_nothing_else() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let event = officer.event(captured(new_client(), "Ya capturada"));
    let path = format!("/api/devices/{}/revoke", officer.id);
    let manager = server.caller("manager").await;
    refused(server.caller("officer").await.post(&path, &json!({})).await, 403, ProblemCode::Forbidden).await;
    let nobody = format!("/api/devices/{}/revoke", uuid::Uuid::nil());
    refused(
        manager.request(reqwest::Method::POST, &nobody).send().await.unwrap(),
        404,
        ProblemCode::NotFound,
    )
    .await;
    let revoked = manager.request(reqwest::Method::POST, &path).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    refused(officer.caller.get("/api/sync/pull").await, 401, ProblemCode::DeviceRevoked).await;
    delivers_only(&server, &mut officer, ProblemCode::DeviceRevoked).await;
    assert!(stored(&officer.push(&[&event]).await));
    refused(server.sign_in("officer", PASSWORD, Some(officer.id)).await, 401, ProblemCode::DeviceRevoked)
        .await;
    let devices: Vec<vereda_domain::api::Device> = manager.get("/api/devices").await.json().await.unwrap();
    let device = devices.iter().find(|device| device.id == officer.id).unwrap();
    assert!(device.revoked_at.is_some() && device.events == 1 && device.drift_ms.is_some());
    // The user's other devices work on.
    server.device("officer").await.pull().await;
}

/// Exchanges the refresh token and makes sure that what comes opens head and push and nothing else.
async fn delivers_only<'s>(
    server: &'s Server,
    device: &mut Device<'s>,
    why: ProblemCode,
) -> vereda_domain::api::Session {
    let answer = server.refresh(&device.session.refresh_token).await;
    assert_eq!(answer.status(), 200);
    let session: vereda_domain::api::Session = answer.json().await.unwrap();
    assert_eq!(session.escrow, Some(why));
    device.caller.token = Some(session.access_token.clone());
    let head = device.caller.get("/api/sync/head").await;
    assert_eq!(head.status(), 200);
    for path in ["/api/sync/pull", "/api/sync/status", "/api/history", "/api/models", "/api/sync/quarantined"]
    {
        refused(device.caller.get(path).await, 401, why).await;
    }
    session
}

#[tokio::test]
async fn a_device_set_back_to_a_backup_goes_on_under_a_new_identity() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let first = officer.event(captured(new_client(), "Primera"));
    assert!(stored(&officer.push(&[&first]).await));
    let next =
        DeviceInfo { id: DeviceId(uuid::Uuid::now_v7()), name: "again".into(), platform: "linux".into() };
    let answer = officer.caller.post("/api/sync/fork", &next).await;
    assert_eq!(answer.status(), 200);
    let session: vereda_domain::api::Session = answer.json().await.unwrap();
    let old = officer.id;
    officer.caller.token = Some(session.access_token);
    let head: ChainHead = officer.caller.get("/api/sync/head").await.json().await.unwrap();
    assert_eq!(head, ChainHead::EMPTY, "a chain of its own");
    let manager = server.caller("manager").await;
    let devices: Vec<vereda_domain::api::Device> = manager.get("/api/devices").await.json().await.unwrap();
    assert_eq!(devices.iter().find(|d| d.id == next.id).unwrap().follows, Some(old));
    assert_eq!(devices.iter().find(|d| d.id == old).unwrap().events, 1, "evidence");
    // Somebody else's device cannot be gone on from under this id.
    let mut other = server.device("manager").await;
    refused(other.caller.post("/api/sync/fork", &next).await, 409, ProblemCode::Conflict).await;
    other.pull().await;
}

#[tokio::test]
async fn whoever_asks_when_nothing_is_new_gets_a_few_bytes() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let event = officer.event(captured(new_client(), "Una"));
    officer.push(&[&event]).await;
    let status: SyncStatus = officer.caller.get("/api/sync/status").await.json().await.unwrap();
    assert_eq!(status.head, officer.head);
    let model = status.model.unwrap()[..8].to_owned();
    let path = format!("/api/sync/status?seq={}&cursor={}&model={model}", status.head.seq, status.cursor);
    let ticket = officer.session.ticket.clone().unwrap();
    let asks = |path: &str| {
        let request = server.http.get(server.url(path));
        request.header("authorization", format!("Ticket {ticket}")).send()
    };
    let idle = asks(&path).await.unwrap();
    assert_eq!(idle.status(), 204);
    assert!(idle.headers()["vereda-ms"].to_str().unwrap().parse::<i64>().unwrap() > 0);
    let sent: usize = format!("GET {path} HTTP/1.1\r\n").len()
        + ticket.len()
        + "host: 255.255.255.255:65535\r\nauthorization: Ticket \r\naccept: application/json\r\n\
           accept-encoding: zstd\r\nuser-agent: vereda-device/0.1.0\r\n\r\n"
            .len();
    let got: usize = idle.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    println!("idle: {sent} + {got}");
    assert!(sent + got < 600, "{sent} + {got}");
    for other in [
        format!("seq=0&cursor={}&model={model}", status.cursor),
        format!("seq=1&cursor=0&model={model}"),
        format!("seq=1&cursor={}&model=x", status.cursor),
    ] {
        let answer = asks(&format!("/api/sync/status?{other}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{other}");
    }
}

#[tokio::test]
async fn what_is_kept_aside_is_listed_for_its_officer_and_the_branch() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let text = officer.raw(json!({"type": "outcome_observed", "what": 1}));
    assert_eq!(officer.send(&[&text]).await.status(), 200);
    let manager = server.caller("manager").await;
    for caller in [&officer.caller, &manager] {
        let kept: Vec<Quarantined> = caller.get("/api/sync/quarantined").await.json().await.unwrap();
        let [kept] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!((kept.device, kept.seq, kept.reason), (officer.id, 1, QuarantineReason::UnknownKind));
    }
    let other = server.caller("officer2").await;
    let kept: Vec<Quarantined> = other.get("/api/sync/quarantined").await.json().await.unwrap();
    assert!(kept.is_empty());
}

#[tokio::test]
async fn a_page_is_weighed_as_well_as_counted() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let mut pages = 0;
    // So many clients with what is kept of a long value's history are more than a page's weight.
    for _ in 0..65 {
        let mut events = Vec::new();
        for _ in 0..40 {
            let one = new_client();
            events.push(officer.event(captured(one, "Larga")));
            for m in 0..3 {
                let words = format!("Calle {m} {}", "larga ".repeat(30));
                events.push(officer.event(edited(one, ClientField::Place, words.trim(), Vec::new())));
            }
        }
        officer.push(&events.iter().collect::<Vec<_>>()).await;
    }
    let mut manager = server.device("manager").await;
    let mut seen = 0;
    loop {
        let page = manager.pull_page(5000).await;
        let bytes = serde_json::to_vec(&page.changes).unwrap().len();
        assert!(bytes < 4_500_000, "{bytes}");
        pages += 1;
        seen += page.changes.len();
        if !page.more {
            break;
        }
    }
    assert!(pages > 1 && seen == 2600, "{pages} {seen}");
}

#[tokio::test]
async fn any_time_that_a_device_says_is_taken() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    for device_ms in [i64::MIN, i64::MAX, 0] {
        let event = officer.event(captured(new_client(), "Reloj loco"));
        let body = format!(r#"{{"events":[{}],"device_ms":{device_ms}}}"#, event.text);
        let response = officer.caller.post_bytes("/api/sync/push", body).await;
        assert_eq!(response.status(), 200, "{device_ms}");
    }
}

#[tokio::test]
async fn sync_needs_an_enrolled_device() {
    let server = Server::with_model().await;
    let officer = server.caller("officer").await;
    refused(officer.get("/api/sync/head").await, 403, ProblemCode::Forbidden).await;
    let body = json!({"events": [], "device_ms": 1});
    refused(officer.post("/api/sync/push", &body).await, 403, ProblemCode::Forbidden).await;
}

#[tokio::test]
async fn what_was_receipted_is_there_after_a_restart() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let event = officer.event(captured(new_client(), "Duradera"));
    let receipt = officer.push(&[&event]).await.receipt;
    let (token, config) = (officer.session.access_token.clone(), server.config.clone());
    let prover = server.prover;
    server.running.shutdown().await;
    let running = vereda_server::start(config).await.unwrap();
    let url = format!("{}/api/sync/head", running.api_url());
    let shown = prover.headers("GET", &url, Some(&token)).unwrap();
    let request = reqwest::Client::new().get(&url).headers(shown);
    let head: ChainHead = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((head.seq, head.hash), (receipt.seq, receipt.hash));
    running.shutdown().await;
}

#[tokio::test]
async fn concurrent_edits_are_both_kept_and_a_far_future_clock_does_not_win_for_ever() {
    let server = Server::with_model().await;
    let mut officer = server.device("officer").await;
    let mut manager = server.device("manager").await;
    let client = new_client();
    let capture = officer.event(captured(client, "Original"));
    officer.push(&[&capture]).await;
    // The manager's clock is a year ahead.
    let mut ahead =
        manager.event(edited(client, ClientField::Name, "Del futuro", vec![capture.event.hlc])).event;
    ahead.hlc.wall += 365 * 86_400_000;
    let ahead = manager.seal(ahead);
    assert!(stored(&manager.push(&[&ahead]).await));
    let concurrent = officer.event(edited(client, ClientField::Name, "De ahora", vec![capture.event.hlc]));
    assert!(stored(&officer.push(&[&concurrent]).await));
    let name = |changes: Vec<Change>| match records(changes).remove(&RecordKey::Client(client)) {
        Some(Record::Client(record)) => {
            let register = record.fields[&ClientField::Name].clone();
            (
                register.value().unwrap().to_owned(),
                register.conflicts().len(),
                record.heads(ClientField::Name),
            )
        }
        _ => panic!(),
    };
    let (value, conflicts, heads) = name(officer.pull().await);
    assert_eq!((value.as_str(), conflicts), ("Del futuro", 1));
    let settled = officer.event(edited(client, ClientField::Name, "Acordado", heads));
    assert!(stored(&officer.push(&[&settled]).await));
    let (value, conflicts, _) = name(officer.pull().await);
    assert_eq!((value.as_str(), conflicts), ("Acordado", 0));
}
