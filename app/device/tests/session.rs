//! Enrolling, wrong everything, sessions that end, second users.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vereda_domain::gateway::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_way_an_enrolment_fails_has_its_code_and_leaves_nothing() {
    let server = Server::start().await;
    let device = Device::new();
    let app = &device.app;
    let with = |change: &dyn Fn(&mut EnrolRequest)| {
        let mut request = enrol(&server.url(), "ana");
        change(&mut request);
        app.enrol(request)
    };
    assert_eq!(code(with(&|r| r.pin = "123456".into()).await), ErrorCode::WeakPin);
    assert_eq!(code(with(&|r| r.server = "ftp://x".into()).await), ErrorCode::BadAddress);
    assert_eq!(code(with(&|r| r.server = "http://example.org".into()).await), ErrorCode::InsecureAddress);
    assert_eq!(code(with(&|r| r.server = "http://127.0.0.1:9".into()).await), ErrorCode::Unreachable);
    assert_eq!(
        code(with(&|r| r.password = "otra cosa cualquiera".into()).await),
        ErrorCode::WrongCredentials
    );
    assert_eq!(code(with(&|r| r.username = "nadie".into()).await), ErrorCode::WrongCredentials);
    assert_eq!(code(with(&|r| r.username = "rita".into()).await), ErrorCode::RoleNotForApp);
    server.running().people().disable_user("luis").await.unwrap();
    assert_eq!(code(with(&|r| r.username = "luis".into()).await), ErrorCode::UserDisabled);

    let foreign =
        foreign_server("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n", "<html>hotel</html>").await;
    assert_eq!(code(with(&|r| r.server = foreign.clone()).await), ErrorCode::ForeignServer);
    let other = r#"{"product":"vereda-server","version":"9","protocol":9,"server_ms":0}"#;
    let newer = foreign_server("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", other).await;
    assert_eq!(code(with(&|r| r.server = newer.clone()).await), ErrorCode::ForeignServer);

    assert_eq!(app.status().await.unwrap().phase, Phase::New);
    let users = device.folder.path().join("users");
    assert!(!users.exists() || std::fs::read_dir(users).unwrap().next().is_none());
    app.enrol(enrol(&server.url(), "ana")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_disabled_officer_is_delivered_however_long_the_phone_was_away() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let mut ana = Device::enrolled(&server, "ana").await;
    server.running().people().disable_user("ana").await.unwrap();
    // With the process ends the access token, as it would with time.
    ana.restart().await;
    ana.unlock().await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    ana.assess(client).await;
    let view = ana.app.sync_now().await.unwrap();
    assert_eq!(view.line.state, SyncState::Blocked { code: ErrorCode::UserDisabled });
    assert_eq!((view.line.waiting, view.line.quarantined), (0, 0), "{view:#?}");
    assert_eq!(view.receipt.unwrap().seq, 2);
    // What is on the phone can still be read there.
    assert_eq!(ana.portfolio().await.total, 1);
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(marta.portfolio().await.rows[0].name, "María Peña");
}

/// Answers everything with the same page.
async fn foreign_server(head: &'static str, body: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wrong_passwords_are_told_when_to_come_again() {
    let server = Server::start_with(|config| config.sign_in.free_attempts = 1).await;
    let device = Device::new();
    let mut last = None;
    for _ in 0..6 {
        let mut request = enrol(&server.url(), "ana");
        request.password = "otra cosa cualquiera".into();
        last = Some(device.app.enrol(request).await.unwrap_err());
    }
    let last = last.unwrap();
    assert_eq!(last.code, ErrorCode::TooManyAttempts);
    assert!(last.retry_at.unwrap() > now());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_user_signs_in_and_the_first_ones_work_stays() {
    let mut server = Server::start().await;
    let mut device = Device::enrolled(&server, "ana").await;
    let ana = device.app.status().await.unwrap().user.unwrap();
    server.stop().await;
    device.new_client("María Peña", "1.020.345").await;
    server.start_again().await;
    // Before Ana's work could leave, Luis takes the machine.
    device.app.enrol(enrol(&server.url(), "luis")).await.unwrap();
    device.synced().await;
    assert_eq!(device.portfolio().await.total, 0);
    device.restart().await;
    assert_eq!(device.app.status().await.unwrap().users.len(), 2);
    device.app.unlock(UnlockRequest { user: ana.id, pin: PIN.into() }).await.unwrap();
    assert_eq!(device.portfolio().await.total, 1);
    device.until(|line| line.waiting == 0 && line.state == SyncState::Idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolling_again_needs_the_pin_and_keeps_unsent_work() {
    let mut server = Server::start().await;
    let device = Device::enrolled(&server, "ana").await;
    let first = device.app.sync().await.unwrap().device;
    server.stop().await;
    device.new_client("María Peña", "1.020.345").await;
    device.app.lock().await.unwrap();
    server.start_again().await;
    let mut request = enrol(&server.url(), "ANA");
    request.pin = "804127".into();
    assert_eq!(code(device.app.enrol(request.clone()).await), ErrorCode::WrongPin);
    request.pin = PIN.into();
    let status = device.app.enrol(request).await.unwrap();
    assert_eq!(status.users.len(), 1);
    let view = device.synced().await;
    assert_eq!((view.device, view.receipt.unwrap().seq), (first, 1));
    assert_eq!(device.portfolio().await.total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_moved_gets_what_waits() {
    let mut server = Server::start().await;
    let device = Device::enrolled(&server, "ana").await;
    let old = server.url();
    server.stop().await;
    device.new_client("María Peña", "1.020.345").await;
    server.move_to_another_port().await;
    assert_ne!(server.url(), old);
    let status = device.app.enrol(enrol(&server.url(), "ana")).await.unwrap();
    assert_eq!((status.users.len(), status.user.unwrap().server), (1, server.url()));
    assert_eq!(device.synced().await.receipt.unwrap().seq, 1);
    device.app.lock().await.unwrap();
    device.unlock().await;
    assert_eq!(device.synced().await.server, server.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_blocks_sync_and_nothing_else_until_the_password_is_given() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let mut device = Device::enrolled(&server, "ana").await;
    server.stop().await;
    let ended = server.database().execute("UPDATE refresh_tokens SET expires_ms = 0", []).unwrap();
    assert!(ended > 0);
    let client = device.new_client("María Peña", "1.020.345").await;
    device.assess(client).await;
    // A restart forgets the access token; the refresh token has ended.
    device.restart().await;
    device.unlock().await;
    server.start_again().await;
    device.until(|line| line.state == SyncState::Blocked { code: ErrorCode::SessionExpired }).await;
    assert_eq!(device.portfolio().await.total, 1);
    device.new_client("Juan Ríos", "77").await;

    let wrong = SignInAgainRequest { password: "otra cosa cualquiera".into() };
    assert_eq!(code(device.app.sign_in_again(wrong).await), ErrorCode::WrongCredentials);
    device.app.sign_in_again(SignInAgainRequest { password: PASSWORD.into() }).await.unwrap();
    device.until(|line| line.waiting == 0 && line.state == SyncState::Idle).await;
    assert_eq!(device.app.sync().await.unwrap().receipt.unwrap().seq, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_token_is_renewed_by_itself() {
    let server = Server::start_with(|config| config.tokens.access_s = 60).await;
    let mut device = Device::enrolled(&server, "ana").await;
    // Each start has only the refresh token, which is another one each time.
    for n in 0..3 {
        device.restart().await;
        device.unlock().await;
        device.new_client("María Peña", &format!("{n}1")).await;
        device.synced().await;
    }
    assert_eq!(device.app.sync().await.unwrap().receipt.unwrap().seq, 3);
}
