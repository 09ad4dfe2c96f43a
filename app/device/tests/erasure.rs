//! A client whose data was erased on request: gone from every device too, and nobody's sync is held up by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use vereda_domain::ClientId;
use vereda_domain::api::{Erasure, Session, SignIn};
use vereda_domain::gateway::*;

/// The branch's manager erases a client.
async fn erase(server: &Server, client: ClientId) {
    let http = reqwest::Client::new();
    let sign_in = SignIn { username: "marta".into(), password: PASSWORD.into(), device: None };
    let session =
        http.post(format!("{}/api/auth/sign-in", server.url())).json(&sign_in).send().await.unwrap();
    let session: Session = session.json().await.unwrap();
    let path = format!("{}/api/clients/{client}/erase", server.url());
    let erased = http.post(path).bearer_auth(session.access_token).send().await.unwrap();
    assert_eq!(erased.json::<Erasure>().await.unwrap().client, client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_was_erased_goes_from_every_device_and_sync_goes_on() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let mut ana = Device::enrolled(&server, "ana").await;
    let marta = Device::enrolled(&server, "marta").await;
    let backup = server.backup().await;

    let (client, other) = (ana.new_client("María Peña", "1").await, ana.new_client("Juan Ríos", "2").await);
    ana.assess(client).await;
    ana.synced().await;
    marta.synced().await;
    assert_eq!((ana.portfolio().await.total, marta.portfolio().await.total), (2, 2));

    // What is captured about her meanwhile, without a network, is delivered, and not kept.
    server.stop().await;
    ana.assess(client).await;
    ana.app.start_interview(ClientRequest { client }).await.unwrap();
    ana.assess(other).await;
    // Closed, so that it does not sync before.
    ana.restart().await;
    server.start_again().await;
    erase(&server, client).await;
    ana.unlock().await;
    let view = ana.synced().await;
    assert_eq!((view.line.waiting, view.line.quarantined), (0, 1));
    assert!(view.items[0].quarantine.as_deref().unwrap().starts_with("erased"), "{:?}", view.items);
    marta.synced().await;
    for device in [&ana, &marta] {
        let page = device.portfolio().await;
        assert_eq!((page.total, page.rows[0].id), (1, other));
        assert_eq!(code(device.app.client(ClientRequest { client }).await), ErrorCode::NotFound);
    }
    assert!(ana.app.drafts().await.unwrap().is_empty());

    // A server set back to a backup gets the chain again, and of her what is left.
    server.restore(backup).await;
    let view = ana.synced_anew().await;
    assert_eq!((view.line.waiting, view.line.quarantined, view.receipt.unwrap().seq), (0, 3, 5));
    let again = Device::enrolled(&server, "ana").await;
    let page = again.portfolio().await;
    assert_eq!((page.total, page.rows[0].id), (1, other));
}
