//! What a device was in the middle of when its network broke, wherever that was, is not forgotten.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use vereda_domain::ClientId;
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::gateway::*;
use vereda_scoring::{Inputs, Model};
use vereda_sim::network::Weather;
use vereda_sim::server::Server;
use vereda_sim::time::Time;
use vereda_sim::world::Device;

const SCORECARD: &[u8] = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
const BOOSTED: &[u8] = include_bytes!("../../../models/bundles/reference-boosted-2.json");
/// Two pages of clients, and two of assessments.
const CLIENTS: usize = 6;
/// Requests after which the network breaks: in a first pull from before the first page to after the last.
const CUTS: std::ops::Range<u64> = 3..14;
/// And in a run that brings an assessment and its model.
const MODEL_CUTS: std::ops::Range<u64> = 1..8;

async fn new_client(device: &Device, n: usize, now: i64) -> ClientId {
    let request = CreateClientRequest {
        fields: [
            (ClientField::Name, format!("Persona {n}")),
            (ClientField::Document, n.to_string()),
            (ClientField::Phone, "300 555 0001".to_owned()),
            (ClientField::Place, "Vereda El Salado".to_owned()),
        ]
        .into(),
        consent: Consent { at: now, text_version: CONSENT_TEXT_VERSION.into() },
    };
    device.app.create_client(request).await.unwrap().row.id
}

async fn assess(device: &Device, client: ClientId, inputs: &Inputs) {
    let draft = device.app.start_interview(ClientRequest { client }).await.unwrap().id;
    for (field, value) in inputs {
        let request = SaveFieldRequest { draft, field: field.clone(), value: Some(value.clone()) };
        assert_eq!(device.app.save_field(request).await.unwrap().problem, None);
    }
    device.app.score(DraftRequest { draft }).await.unwrap();
}

async fn synced(device: &mut Device) {
    let mut view = device.sync().await.unwrap();
    if view.line.state == (SyncState::Blocked { code: ErrorCode::SessionExpired }) {
        device.sign_in_again().await.unwrap();
        view = device.sync().await.unwrap();
    }
    assert_eq!(view.line.state, SyncState::Idle, "{view:?}");
}

/// The network breaks after so many requests.
async fn broken(device: &mut Device, requests: u64) {
    device.network.set(Weather::Fair);
    let (app, network) = (device.app.clone(), device.network.clone());
    tokio::select! {
        _ = app.sync_now() => {}
        () = network.after(requests) => {}
    }
    device.network.set(Weather::Down);
    device.sync().await.unwrap();
}

/// The ids of everything that a device shows.
async fn shown(device: &Device) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let sees = device.sees().await.unwrap();
    for (client, view) in sees.as_object().unwrap() {
        found.insert(client.clone());
        let scores = view["assessments"].as_array().unwrap();
        found.extend(scores.iter().filter_map(|one| one["assessment"]["id"].as_str().map(str::to_owned)));
    }
    found
}

fn inputs() -> Inputs {
    Model::load(SCORECARD).unwrap().bundle().golden[0].inputs.clone()
}

/// The other device of this officer assesses everybody again after the backup, and is lost with the server's disk. So
/// what the new device had by then passed over, since something later had taken its place, is the last again.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_pull_that_was_broken_anywhere_brings_all_that_the_server_has_afterwards() {
    let inputs = inputs();
    for cut in CUTS {
        let time = Time::default();
        let mut server = Server::start().await.unwrap();
        server.publish(SCORECARD).await.unwrap();
        let mut old = Device::enrol(&server, &time, "ana", 1).await.unwrap();
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let client = new_client(&old, n, time.now()).await;
            assess(&old, client, &inputs).await;
            clients.push(client);
        }
        synced(&mut old).await;
        let mut new = Device::begun(&server, &time, "ana", 2).await.unwrap();
        broken(&mut new, cut).await;
        server.back_up().await.unwrap();
        for client in &clients {
            assess(&old, *client, &inputs).await;
        }
        synced(&mut old).await;
        broken(&mut new, cut).await;
        old.network.close();
        server.restore().await.unwrap();

        new.network.set(Weather::Fair);
        synced(&mut new).await;
        let other = Device::enrol(&server, &time, "ana", 3).await.unwrap();
        let (here, there) = (shown(&new).await, shown(&other).await);
        assert_eq!(there.len(), 2 * CLIENTS, "cut {cut}");
        let missing: Vec<_> = there.difference(&here).collect();
        assert!(missing.is_empty(), "cut {cut}: {missing:?}");
        new.network.close();
        other.network.close();
        server.stop().await;
    }
}

/// Scored with the version before by a device that did not know of the new one yet. A run that pulls it and is broken
/// before that model came finds nothing new the next time, and what was scored could not be shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_broken_anywhere_brings_the_models_that_assessments_name() {
    let inputs = inputs();
    for cut in MODEL_CUTS {
        let time = Time::default();
        let mut server = Server::start().await.unwrap();
        server.publish(SCORECARD).await.unwrap();
        let mut old = Device::enrol(&server, &time, "ana", 1).await.unwrap();
        let client = new_client(&old, 1, time.now()).await;
        synced(&mut old).await;
        old.network.set(Weather::Down);
        assess(&old, client, &inputs).await;
        server.publish(BOOSTED).await.unwrap();
        let mut new = Device::enrol(&server, &time, "ana", 2).await.unwrap();
        synced(&mut new).await;
        new.network.set(Weather::Down);
        old.network.set(Weather::Fair);
        synced(&mut old).await;

        broken(&mut new, cut).await;
        new.network.set(Weather::Fair);
        synced(&mut new).await;
        let seen = new.sees().await.unwrap_or_else(|error| panic!("cut {cut}: {error:#}"));
        assert_eq!(seen[client.to_string()]["assessments"].as_array().unwrap().len(), 1, "cut {cut}");
        old.network.close();
        new.network.close();
        server.stop().await;
    }
}
