//! Pictures and signatures: sent in pieces, seen by those whose client it is, and by nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use reqwest::Method;
use vereda_domain::ClientId;
use vereda_domain::api::{FileStatus, ProblemCode, QuarantineReason};
use vereda_domain::attachment::{
    Attachment, CHUNK_BYTES, FileInfo, MAX_ATTACHMENTS, MAX_FILE_BYTES, MediaType, Position,
};
use vereda_domain::event::{EventBody, Hash};

/// A file of so many bytes, each from its place and a seed.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|n| (n as u8).wrapping_mul(31).wrapping_add((n >> 8) as u8) ^ seed).collect()
}

fn info(bytes: &[u8]) -> FileInfo {
    let length = bytes.len() as u64;
    FileInfo { sha256: Hash::of(bytes), bytes: length, media: MediaType::Jpeg, width: 10, height: 20 }
}

fn attached(client: ClientId, bytes: &[u8]) -> EventBody {
    EventBody::Attached { client, attachment: Attachment::Document(info(bytes)) }
}

fn path(client: ClientId, bytes: &[u8]) -> String {
    format!("/api/clients/{client}/files/{}", Hash::of(bytes))
}

/// The officer at work, with a client whose picture this is, and where the picture goes.
async fn with_picture<'s>(server: &'s Server, photo: &[u8]) -> (Device<'s>, ClientId, String) {
    let mut officer = server.device("officer").await;
    let client = new_client();
    let events = [officer.event(captured(client, "Ana")), officer.event(attached(client, photo))];
    assert!(stored(&officer.push(&events.iter().collect::<Vec<_>>()).await));
    (officer, client, path(client, photo))
}

async fn send(caller: &Caller<'_>, path: &str, from: usize, piece: &[u8]) -> reqwest::Response {
    caller
        .request(Method::POST, &format!("{path}?from={from}"))
        .header("content-type", "application/octet-stream")
        .body(piece.to_vec())
        .send()
        .await
        .unwrap()
}

/// Where the branch stands then is for those tests that look at it.
async fn taken(caller: &Caller<'_>, path: &str, from: usize, piece: &[u8]) -> FileStatus {
    let response = send(caller, path, from, piece).await;
    assert_eq!(response.status(), 200);
    FileStatus { end: 0, ..response.json().await.unwrap() }
}

async fn status(caller: &Caller<'_>, path: &str) -> FileStatus {
    let response = caller.get(&format!("{path}/status")).await;
    assert_eq!(response.status(), 200);
    FileStatus { end: 0, ..response.json().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_in_pieces_and_can_be_resumed() {
    let server = Server::start().await;
    let mut officer = server.device("officer").await;
    let (client, photo) = (new_client(), bytes(150_000, 1));
    let path = path(client, &photo);
    // Not before the event that names it.
    refused(officer.caller.get(&format!("{path}/status")).await, 404, ProblemCode::NotFound).await;
    let events = [officer.event(captured(client, "Ana")), officer.event(attached(client, &photo))];
    assert!(stored(&officer.push(&events.iter().collect::<Vec<_>>()).await));

    let caller = &officer.caller;
    let all = photo.len() as u64;
    let at = |received| FileStatus { received, bytes: all, complete: false, end: 0 };
    assert_eq!(status(caller, &path).await, at(0));
    refused(caller.get(&path).await, 404, ProblemCode::NotFound).await;
    let piece = |n: usize| &photo[n * CHUNK_BYTES..photo.len().min((n + 1) * CHUNK_BYTES)];
    // One that comes too early, or twice, changes nothing, and hears where to go on.
    assert_eq!(taken(caller, &path, CHUNK_BYTES, piece(1)).await, at(0));
    assert_eq!(taken(caller, &path, 0, piece(0)).await, at(CHUNK_BYTES as u64));
    assert_eq!(taken(caller, &path, 0, piece(0)).await, at(CHUNK_BYTES as u64));
    assert_eq!(status(caller, &path).await, at(CHUNK_BYTES as u64));
    taken(caller, &path, CHUNK_BYTES, piece(1)).await;
    let whole = FileStatus { received: all, bytes: all, complete: true, end: 0 };
    assert_eq!(taken(caller, &path, 2 * CHUNK_BYTES, piece(2)).await, whole);
    assert_eq!(taken(caller, &path, 0, piece(0)).await, whole, "nothing is added to what is whole");

    let response = caller.get(&path).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/jpeg");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "private, no-store");
    assert_eq!(response.bytes().await.unwrap(), photo);

    // Everybody learns of it with the client.
    let mut manager = server.device("manager").await;
    let mut found = 0;
    for record in records(manager.pull().await).into_values() {
        let vereda_domain::record::Record::Client(record) = record else { continue };
        found +=
            record.attachments.values().filter(|one| one.attachment.file() == Some(&info(&photo))).count();
    }
    assert_eq!(found, 1);
    assert_eq!(manager.caller.get(&path).await.bytes().await.unwrap(), photo);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_piece_at_the_same_time_is_stored_once() {
    let server = Server::start().await;
    let photo = bytes(40_000, 2);
    let (officer, _, path) = with_picture(&server, &photo).await;
    let caller = &officer.caller;
    let piece = || taken(caller, &path, 0, &photo[..20_000]);
    let said = tokio::join!(piece(), piece(), piece(), piece(), piece(), piece());
    let all = [said.0, said.1, said.2, said.3, said.4, said.5];
    assert!(all.iter().all(|status| status.received == 20_000), "{all:?}");
    assert!(taken(caller, &path, 20_000, &photo[20_000..]).await.complete);
    assert_eq!(caller.get(&path).await.bytes().await.unwrap(), photo);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_its_hash_says_begins_anew() {
    let server = Server::start().await;
    let photo = bytes(1_000, 3);
    let (officer, _, path) = with_picture(&server, &photo).await;
    let caller = &officer.caller;
    let damaged = bytes(1_000, 4);
    assert_eq!(
        taken(caller, &path, 0, &damaged).await,
        FileStatus { received: 0, bytes: 1_000, complete: false, end: 0 }
    );
    assert!(taken(caller, &path, 0, &photo).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_a_file_and_nothing_else_is_taken() {
    let server = Server::start().await;
    let photo = bytes(1_000, 5);
    let (officer, client, path) = with_picture(&server, &photo).await;
    let caller = &officer.caller;

    for (from, piece) in [(0, &[][..]), (1, &photo[..]), (i64::MAX as usize, &photo[..1])] {
        let problem = refused(send(caller, &path, from, piece).await, 422, ProblemCode::InvalidInput).await;
        assert_eq!(problem.fields[0].field, "body");
    }
    let problem = refused(
        caller
            .request(Method::POST, &path)
            .header("content-type", "application/octet-stream")
            .send()
            .await
            .unwrap(),
        422,
        ProblemCode::InvalidInput,
    );
    assert_eq!(problem.await.fields[0].field, "from");
    let large = vec![0; CHUNK_BYTES + 1];
    refused(send(caller, &path, 0, &large).await, 413, ProblemCode::TooLarge).await;
    let json = caller.post(&format!("{path}?from=0"), &"text").await;
    refused(json, 415, ProblemCode::UnsupportedMedia).await;

    assert!(taken(caller, &path, 0, &photo).await.complete);
    for other in ["officer2", "manager", "officer-south", "manager-south", "analyst"] {
        let session = server.caller(other).await;
        let (status, answer) = match other {
            // The branch's manager sees it; another officer of the branch could only deliver it.
            "manager" => (200, None),
            "analyst" => (403, Some(ProblemCode::Forbidden)),
            _ => (404, Some(ProblemCode::NotFound)),
        };
        let response = session.get(&path).await;
        match answer {
            None => assert_eq!(response.status(), status),
            Some(code) => drop(refused(response, status, code).await),
        }
    }
    // A hash, a client and a path that are none.
    for wrong in [
        path.replace(&Hash::of(&photo).to_string(), &Hash::ZERO.to_string()),
        path.replace(&client.to_string(), &new_client().to_string()),
        path.replace(&client.to_string(), "..%2f.."),
        format!("/api/clients/{client}/files/nothing"),
    ] {
        refused(caller.get(&wrong).await, 404, ProblemCode::NotFound).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_cannot_be_is_kept_aside() {
    let server = Server::start().await;
    let mut officer = server.device("officer").await;
    let client = new_client();
    let capture = officer.event(captured(client, "Ana"));
    let huge = FileInfo { bytes: MAX_FILE_BYTES + 1, ..info(b"x") };
    let nowhere = Position { latitude_e7: 900_000_001, longitude_e7: 0, accuracy_m: 1 };
    let place = |n| Attachment::Position(Position { latitude_e7: n, longitude_e7: 0, accuracy_m: 1 });
    let attach = |attachment| EventBody::Attached { client, attachment };
    let mut events = vec![
        capture,
        officer.event(attach(Attachment::Business(huge))),
        officer.event(attach(Attachment::Position(nowhere))),
    ];
    let most = i32::try_from(MAX_ATTACHMENTS).unwrap();
    events.extend((0..=most).map(|n| officer.event(attach(place(n)))));
    let pushed = officer.push(&events.iter().collect::<Vec<_>>()).await;
    let last = events.len() - 1;
    for index in [1, 2, last] {
        assert_eq!(reason(&pushed, index), QuarantineReason::Malformed, "{index}");
    }
    let aside =
        pushed.results.iter().filter(|r| r.outcome != vereda_domain::api::EventOutcome::Stored).count();
    assert_eq!(aside, 3);
}
