//! Devices and the server together: what is captured without a network arrives, once and whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use vereda_domain::Decision;
use vereda_domain::client::ClientField;
use vereda_domain::event::{OverrideCode, OverrideReason};
use vereda_domain::gateway::*;
use vereda_domain::record::{Rank, Rescore};

#[tokio::test(flavor = "multi_thread")]
async fn work_done_offline_leaves_by_itself_when_the_server_returns() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    let status = ana.app.status().await.unwrap();
    assert_eq!((status.phase, status.user.unwrap().name.as_str()), (Phase::Open, "ANA de Prueba"));
    assert_eq!(ana.app.model().await.unwrap().active.unwrap().model.version, 1);

    server.stop().await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    let scored = ana.assess(client).await;
    let id = scored.assessment.id;
    let decide = DecideRequest { assessment: id, decision: scored.suggested, override_reason: None };
    ana.app.decide(decide).await.unwrap();
    ana.until(|line| matches!(line.state, SyncState::Offline { next_try: Some(_) })).await;
    let view = ana.app.sync().await.unwrap();
    assert_eq!((view.line.waiting, view.items.len()), (3, 3));
    assert_eq!(view.last_error.unwrap().code, ErrorCode::Unreachable);
    let kinds: Vec<&str> = view.items.iter().map(|item| item.kind.as_str()).collect();
    assert_eq!(kinds, ["client_captured", "assessed", "decided"]);

    server.start_again().await;
    ana.until(|line| line.waiting == 0 && line.state == SyncState::Idle).await;
    let view = ana.app.sync().await.unwrap();
    let receipt = view.receipt.unwrap();
    assert_eq!((receipt.seq, receipt.device.to_string()), (3, view.device));
    let assessment = ana.app.assessment(AssessmentRequest { assessment: id }).await.unwrap();
    assert_eq!(assessment.rescore, Some(Rescore::Same), "the server computed the same bits");
    assert_eq!(assessment.delivery, Delivery::Delivered);
    assert!(!ana.portfolio().await.rows[0].waiting);
    let log = ana.app.sync_log().await.unwrap();
    assert!(log.contains("sent=3") && !log.contains("Mar") && !log.contains("1.020"), "{log}");
}

/// In the end all of it is here, and came once.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_gets_everybody_with_their_last_assessment_and_then_the_others() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    let mut last = Vec::new();
    for n in 0..4 {
        let client = ana.new_client(&format!("Cliente {n}"), &format!("900{n}")).await;
        for _ in 0..3 {
            last.retain(|(of, _)| *of != client);
            last.push((client, ana.assess(client).await.assessment.id));
        }
    }
    ana.synced().await;
    let second = Device::enrolled(&server, "ana").await;
    let view = second.synced().await;
    assert_eq!(view.line.waiting, 0);
    for (client, id) in &last {
        let here = second.app.client(ClientRequest { client: *client }).await.unwrap();
        assert_eq!(here.scores.len(), 3, "all of them in the end");
        assert_eq!(here.scores.last().map(|score| score.assessment), Some(*id));
    }
    let log = second.app.sync_log().await.unwrap();
    let received =
        |line: &str| line.split("received=").nth(1).and_then(|n| n.split(' ').next()?.parse::<u64>().ok());
    let received: u64 = log.lines().filter_map(received).sum();
    assert_eq!(received, 4 + 12, "each once: {log}");
}

/// A way to the server on which questions for changes wait until they are let through.
async fn held(server: &Server) -> (String, Arc<Semaphore>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, there) = (listener.local_addr().unwrap(), server.url().replace("http://", ""));
    let pulls = Arc::new(Semaphore::new(0));
    let waits = pulls.clone();
    tokio::spawn(async move {
        while let Ok((device, _)) = listener.accept().await {
            let (waits, real) = (waits.clone(), tokio::net::TcpStream::connect(&there).await.unwrap());
            tokio::spawn(async move {
                let (mut from_device, mut to_device) = device.into_split();
                let (mut from_real, mut to_real) = real.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_real, &mut to_device).await });
                let mut asked = Vec::new();
                while from_device.read_buf(&mut asked).await.is_ok_and(|length| length > 0) {
                    if asked.starts_with(b"GET /api/sync/pull") {
                        waits.acquire().await.unwrap().forget();
                    }
                    if to_real.write_all(&asked).await.is_err() {
                        break;
                    }
                    asked.clear();
                }
            });
        }
    });
    (format!("http://{here}"), pulls)
}

/// A first pull may take long, and each interview meanwhile has its time from a clock that is off.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_clock_is_off_is_said_before_everything_has_come() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let (url, pulls) = held(&server).await;
    let device = Device::new();
    device.offset.store(-3_600_000, Ordering::SeqCst);
    device.app.enrol(enrol(&url, "ana")).await.unwrap();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let said = loop {
        match device.app.sync().await.unwrap().drift_ms {
            Some(drift_ms) => break drift_ms,
            None if std::time::Instant::now() > patience => panic!("it is not said"),
            None => tokio::task::yield_now().await,
        }
    };
    assert!((-3_700_000..-3_500_000).contains(&said), "{said}");
    assert_ne!(device.app.sync().await.unwrap().line.state, SyncState::Idle);
    pulls.add_permits(100);
    device.until(|line| line.state == SyncState::Idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_decides_and_the_officer_gets_it() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    let id = ana.assess(client).await.assessment.id;
    ana.synced().await;

    let marta = Device::enrolled(&server, "marta").await;
    let page = marta.app.review(ReviewRequest { undecided: true, limit: 50, ..Default::default() });
    let page = page.await.unwrap();
    assert_eq!((page.total, page.rows[0].officer.as_str()), (1, "ANA de Prueba"));
    let view = marta.app.assessment(AssessmentRequest { assessment: id }).await.unwrap();
    assert!(view.may_decide && view.assessment.inputs == answers());
    let decision = DecideRequest {
        assessment: id,
        decision: Decision::Refer,
        override_reason: Some(OverrideReason { code: OverrideCode::Policy, words: "va a comité".into() }),
    };
    marta.app.decide(decision).await.unwrap();
    marta.synced().await;

    ana.synced().await;
    let view = ana.app.assessment(AssessmentRequest { assessment: id }).await.unwrap();
    let Some(TimelineItem { actor, what: TimelineKind::Decided { decision, rank, .. }, .. }) = view.decision
    else {
        panic!("no decision");
    };
    assert_eq!((actor.as_str(), decision, rank), ("MARTA de Prueba", Decision::Refer, Rank::Manager));
    assert!(!view.may_decide);

    // Another officer sees nothing of it.
    let luis = Device::enrolled(&server, "luis").await;
    assert_eq!(luis.portfolio().await.total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_sees_the_branchs_devices_and_whose_clock_is_off() {
    let mut server = Server::start().await;
    const TWO_HOURS: i64 = 2 * 3600 * 1000;
    let ana = Device::new();
    ana.offset.store(TWO_HOURS, Ordering::SeqCst);
    ana.app.enrol(enrol(&server.url(), "ana")).await.unwrap();
    let luis = Device::enrolled(&server, "luis").await;
    for device in [&ana, &luis] {
        device.new_client("María Peña", "1.020.345").await;
        device.until(|line| line.waiting == 0).await;
    }
    let marta = Device::enrolled(&server, "marta").await;
    let view = marta.app.branch().await.unwrap();
    assert_eq!(view.aside, []);
    let of = |name: &str| view.devices.iter().find(|device| device.user.starts_with(name)).unwrap().clone();
    assert_eq!(view.devices[0].user, "ANA de Prueba", "the worst clock first");
    let drift = of("ANA").drift_ms.unwrap();
    assert!((TWO_HOURS - 60_000..TWO_HOURS + 60_000).contains(&drift), "{drift}");
    assert!(of("LUIS").drift_ms.unwrap().abs() < 60_000);
    assert!(of("MARTA").drift_ms.is_none(), "it never sent anything");
    assert_eq!(code(ana.app.branch().await), ErrorCode::Forbidden);
    server.stop().await;
    assert_eq!(code(marta.app.branch().await), ErrorCode::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_edit_the_same_field_keep_both_values_until_one_is_chosen() {
    let mut server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    ana.synced().await;
    let marta = Device::enrolled(&server, "marta").await;
    let edit = |device: &Device, phone: &str| {
        let fields = [(ClientField::Phone, phone.to_owned())].into();
        let (app, request) = (device.app.clone(), EditClientRequest { client, fields });
        async move { app.edit_client(request).await.unwrap() }
    };
    // Without a network neither hears of the other.
    server.stop().await;
    edit(&marta, "301 555 0001").await;
    edit(&ana, "301 555 0002").await;
    server.start_again().await;
    for device in [&ana, &marta, &ana] {
        device.synced().await;
    }
    let first = ana.app.client(ClientRequest { client }).await.unwrap();
    let second = marta.app.client(ClientRequest { client }).await.unwrap();
    assert_eq!((&first.conflicts, &first.row.phone), (&second.conflicts, &second.row.phone));
    let [conflict] = first.conflicts.as_slice() else { panic!("{:?}", first.conflicts) };
    assert_eq!((conflict.holds.as_str(), conflict.lost.as_str()), ("301 555 0002", "301 555 0001"));
    assert_eq!(conflict.actor, "MARTA de Prueba");

    let settled = edit(&marta, "301 555 0001").await;
    assert!(settled.conflicts.is_empty());
    marta.synced().await;
    ana.synced().await;
    let view = ana.app.client(ClientRequest { client }).await.unwrap();
    assert_eq!((view.row.phone.as_str(), view.conflicts.len()), ("301 555 0001", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_a_year_off_is_shown_and_work_goes_on() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    ana.offset.store(366 * 24 * 3_600_000, Ordering::SeqCst);
    // Nobody touched the app for a year: it locked itself.
    ana.unlock().await;
    ana.new_client("María Peña", "1.020.345").await;
    let view = ana.app.sync_now().await.unwrap();
    assert_eq!(view.line.state, SyncState::Blocked { code: ErrorCode::ClockOff });
    assert_eq!((view.line.waiting, view.line.quarantined), (0, 0));
    assert!(view.drift_ms.unwrap() > 365 * 24 * 3_600_000);
    ana.offset.store(0, Ordering::SeqCst);
    ana.synced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_written_by_a_clock_that_is_years_ahead_can_still_be_corrected() {
    let server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    ana.offset.store(10 * 366 * 24 * 3_600_000, Ordering::SeqCst);
    ana.unlock().await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    assert_eq!(ana.app.sync_now().await.unwrap().line.waiting, 0);
    let marta = Device::enrolled(&server, "marta").await;
    let fields = [(ClientField::Phone, "301 555 0001".to_owned())].into();
    marta.app.edit_client(EditClientRequest { client, fields }).await.unwrap();
    assert_eq!(marta.synced().await.line.quarantined, 0);
    ana.app.sync_now().await.unwrap();
    for device in [&ana, &marta] {
        let view = device.app.client(ClientRequest { client }).await.unwrap();
        assert_eq!((view.row.phone.as_str(), view.conflicts.len()), ("301 555 0001", 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_backlog_and_a_large_portfolio_go_in_pages() {
    let server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    const MANY: usize = 620;
    for n in 0..MANY {
        ana.new_client(&format!("Persona {n}"), &format!("{}", 5000 + n)).await;
    }
    ana.synced().await;
    let mut again = Device::enrolled(&server, "ana").await;
    assert_eq!(again.portfolio().await.total as usize, MANY);
    // What is here stays here: a restart begins at the cursor.
    again.restart().await;
    again.unlock().await;
    let view = again.synced().await;
    assert_eq!(view.log[0].received, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_set_back_to_a_backup_gets_everything_again() {
    let mut server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    ana.new_client("María Peña", "1").await;
    ana.synced().await;
    let backup = server.backup().await;
    ana.new_client("Juan Ríos", "2").await;
    ana.new_client("Luz Mora", "3").await;
    assert_eq!(ana.synced().await.receipt.unwrap().seq, 3);

    server.restore(backup).await;
    let view = ana.synced_anew().await;
    assert_eq!((view.line.waiting, view.receipt.unwrap().seq), (0, 3));
    let again = Device::enrolled(&server, "ana").await;
    assert_eq!(again.portfolio().await.total, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_set_back_to_a_backup_goes_on_under_a_new_identity_and_loses_nothing() {
    let mut server = Server::start().await;
    let mut ana = Device::enrolled(&server, "ana").await;
    let before = ana.app.sync().await.unwrap().device;
    ana.new_client("María Peña", "1").await;
    ana.synced().await;
    ana.restart().await;
    let users = ana.folder.path().join("users");
    let user = std::fs::read_dir(&users).unwrap().flatten().next().unwrap().path();
    closed(&user).await;
    // The database's file and, if the last writer left one, its log.
    let files: Vec<_> = std::fs::read_dir(&user)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("store.db"))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    ana.unlock().await;
    ana.new_client("Juan Ríos", "2").await;
    ana.synced().await;
    ana.restart().await;
    closed(&user).await;
    for entry in std::fs::read_dir(&user).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("store.db") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    for (path, bytes) in files {
        std::fs::write(path, bytes).unwrap();
    }
    server.stop().await;
    ana.unlock().await;
    ana.new_client("Otra Persona", "9").await;
    server.start_again().await;
    let view = ana.app.sync_now().await.unwrap();
    // The old refresh token was used since: a new sign-in shows what else is wrong.
    if view.line.state == (SyncState::Blocked { code: ErrorCode::SessionExpired }) {
        ana.app.sign_in_again(SignInAgainRequest { password: PASSWORD.into() }).await.unwrap();
    }
    let view = ana.synced().await;
    let device = view.device.clone();
    assert_ne!(device, before, "a new identity");
    assert_eq!((view.line.waiting, view.line.quarantined), (0, 0));
    // What was captured after the backup was made, on both sides of it.
    assert_eq!(ana.portfolio().await.total, 3);
    let again = Device::enrolled(&server, "ana").await;
    assert_eq!(again.portfolio().await.total, 3);
    for (mine, theirs) in ana.portfolio().await.rows.iter().zip(&again.portfolio().await.rows) {
        assert_eq!((&mine.name, mine.conflict), (&theirs.name, theirs.conflict));
    }
    // The PIN still opens it, and its work goes on in the new chain.
    ana.restart().await;
    ana.unlock().await;
    ana.new_client("Una Más", "10").await;
    let view = ana.synced().await;
    assert_eq!((view.receipt.unwrap().seq, view.device), (2, device));
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_user_disabled_while_offline_is_delivered_before_access_ends() {
    let mut server = Server::start().await;
    let mut ana = Device::enrolled(&server, "ana").await;
    server.stop().await;
    ana.new_client("María Peña", "1").await;
    // After a restart there is no access token any more, as after a long time without a network.
    ana.restart().await;
    server.start_again().await;
    server.running().people().disable_user("ana").await.unwrap();
    ana.unlock().await;
    ana.until(|line| line.waiting == 0).await;
    ana.until(|line| line.state == SyncState::Blocked { code: ErrorCode::UserDisabled }).await;
    let view = ana.app.sync().await.unwrap();
    assert_eq!((view.receipt.unwrap().seq, view.last_error.unwrap().code), (1, ErrorCode::UserDisabled));
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(marta.portfolio().await.total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_on_a_revoked_device_is_delivered_before_access_ends() {
    let mut server = Server::start().await;
    let mut ana = Device::enrolled(&server, "ana").await;
    let device = ana.app.sync().await.unwrap().device;
    server.stop().await;
    ana.new_client("María Peña", "1").await;
    ana.restart().await;
    server.start_again().await;
    server.running().people().revoke_device(device.parse().unwrap()).await.unwrap();
    ana.unlock().await;
    ana.until(|line| line.waiting == 0).await;
    ana.until(|line| line.state == SyncState::Blocked { code: ErrorCode::DeviceRevoked }).await;
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(marta.portfolio().await.total, 1);
}

/// Waits until nobody has the store in this folder open any more.
async fn closed(folder: &std::path::Path) {
    let file = std::fs::File::options().write(true).open(folder.join("in-use")).unwrap();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while file.try_lock().is_err() {
        assert!(std::time::Instant::now() < patience, "the store stays open");
        tokio::task::yield_now().await;
    }
}

/// A server of tomorrow: as the real one, but each page of changes begins with one of a kind that no
/// app of today knows, for as long as the flag is set.
async fn of_tomorrow(server: &Server, tomorrow: Arc<AtomicBool>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, there) = (listener.local_addr().unwrap(), server.url().replace("http://", ""));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !whole(&request) {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            // The head is text; the body may be packed. The answer must not be, so as to be changed.
            let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            let head = String::from_utf8(request[..end].to_vec()).unwrap();
            let head =
                head.replacen("\r\n", "\r\nconnection: close\r\n", 1).replace("accept-encoding", "x-nothing");
            let mut real = tokio::net::TcpStream::connect(&there).await.unwrap();
            real.write_all(head.as_bytes()).await.unwrap();
            real.write_all(&request[end..]).await.unwrap();
            let mut answer = String::new();
            real.read_to_string(&mut answer).await.unwrap();
            if head.starts_with("GET /api/sync/pull") && tomorrow.load(Ordering::SeqCst) {
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                let unknown = r#"{"change":"state","record":{"kind":"guarantor","id":7}},"#;
                let comma = if body.starts_with(r#"{"changes":[]"#) {
                    unknown.trim_end_matches(',')
                } else {
                    unknown
                };
                let body = body.replacen(r#"{"changes":["#, &format!(r#"{{"changes":[{comma}"#), 1);
                let lines = head.lines().filter(|line| !line.to_lowercase().starts_with("content-length"));
                let head = lines.collect::<Vec<_>>().join("\r\n");
                answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            }
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{here}")
}

fn whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_unknown_shape_keeps_nothing_else_away() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    ana.new_client("María Peña", "1.020.345").await;
    ana.synced().await;
    let tomorrow = Arc::new(AtomicBool::new(true));
    let url = of_tomorrow(&server, tomorrow.clone()).await;
    let mut device = Device::new();
    device.app.enrol(enrol(&url, "ana")).await.unwrap();
    let view = device.synced().await;
    assert!(view.unread > 0, "it is said");
    assert_eq!(device.portfolio().await.rows[0].name, "María Peña");
    assert!(device.app.model().await.unwrap().active.is_some());
    // Kept until a version comes that can read it, and counted once however often it comes.
    tomorrow.store(false, Ordering::SeqCst);
    device.version = "0.0.1";
    device.restart().await;
    device.unlock().await;
    assert_eq!(device.synced().await.unread, view.unread);
    assert_eq!(device.portfolio().await.total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_never_sent_anything_asks_once_whether_anything_is_new() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let marta = Device::enrolled(&server, "marta").await;
    let asked = async |route: &str| {
        let url = format!("{}/metrics", server.running().metrics_url());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let (name, route) = ("vereda_http_request_seconds_count", format!("route=\"{route}\""));
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(&route))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum::<u64>()
    };
    let (pulls, states) = (asked("/api/sync/pull").await, asked("/api/sync/status").await);
    assert!(pulls > 0);
    marta.synced().await;
    marta.synced().await;
    assert_eq!(asked("/api/sync/pull").await, pulls);
    assert!(asked("/api/sync/status").await >= states + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_set_back_to_a_backup_says_everything_again_also_in_many_pages() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    let marta = Device::enrolled(&server, "marta").await;
    // More than fit into the first page of a run.
    let mut clients = Vec::new();
    for n in 0..520 {
        clients.push(ana.new_client("María Peña", &n.to_string()).await);
    }
    ana.synced().await;
    let backup = server.backup().await;
    // Delivered one by one, these are more changes than when they are delivered together again.
    for phone in ["301 555 0001", "301 555 0002", "301 555 0003"] {
        let fields = [(ClientField::Phone, phone.to_owned())].into();
        ana.app.edit_client(EditClientRequest { client: clients[0], fields }).await.unwrap();
        ana.synced().await;
    }
    marta.synced().await;
    server.restore(backup).await;
    // Her own work is all there: only the place up to which she has everything is not.
    marta.synced_anew().await;
    let view = ana.synced_anew().await;
    assert_eq!((view.line.waiting, view.line.quarantined), (0, 0));
    let again = Device::enrolled(&server, "ana").await;
    marta.synced().await;
    for device in [&ana, &marta, &again] {
        assert_eq!(device.portfolio().await.total, 520);
        let row = device.app.client(ClientRequest { client: clients[0] }).await.unwrap();
        assert_eq!(row.row.phone, "301 555 0003");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_long_after_a_server_was_set_back_gets_all_that_changed_since() {
    let mut server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    let luis = Device::enrolled(&server, "luis").await;
    let marta = Device::enrolled(&server, "marta").await;
    ana.new_client("María Peña", "1").await;
    ana.synced().await;
    let backup = server.backup().await;
    for n in 0..5 {
        ana.new_client("Juan Ríos", &format!("2{n}")).await;
        ana.synced().await;
    }
    marta.synced().await;
    server.restore(backup).await;
    // First what nobody had before, then more than was lost.
    luis.new_client("Luz Mora", "3").await;
    luis.synced_anew().await;
    ana.synced_anew().await;
    for n in 0..10 {
        luis.new_client("Otra Persona", &format!("4{n}")).await;
        luis.synced().await;
    }
    marta.synced_anew().await;
    assert_eq!(marta.portfolio().await.total, 17);
    let again = Device::enrolled(&server, "marta").await;
    assert_eq!(again.portfolio().await.total, 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_enrolled_after_the_backup_enrols_again_with_the_password_and_delivers() {
    let mut server = Server::start().await;
    let backup = server.backup().await;
    let ana = Device::enrolled(&server, "ana").await;
    ana.new_client("María Peña", "1").await;
    ana.synced().await;
    server.restore(backup).await;
    ana.new_client("Juan Ríos", "2").await;
    let line = ana.until(|line| matches!(line.state, SyncState::Blocked { .. })).await;
    assert_eq!(line.state, SyncState::Blocked { code: ErrorCode::SessionExpired });
    let view = ana.synced_anew().await;
    assert_eq!((view.line.waiting, view.receipt.unwrap().seq), (0, 2));
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(marta.portfolio().await.total, 2);
}
