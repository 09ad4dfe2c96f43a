//! Pictures, signatures and places: taken without a network, sent in pieces after their events, seen on
//! another device.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::*;
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use vereda_domain::attachment::{Attachment, CHUNK_BYTES};
use vereda_domain::event::Hash;
use vereda_domain::gateway::*;
use vereda_domain::{ClientId, api::Role};

/// A photograph of noise, which packs badly: several pieces.
fn photo(seed: u32) -> String {
    let mut state = seed;
    let image = RgbImage::from_fn(900, 700, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(state >> 24) as u8, (state >> 16) as u8, 80])
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    BASE64.encode(bytes.into_inner())
}

async fn attach(device: &Device, client: ClientId, what: NewAttachment) -> ClientView {
    device.app.attach(AttachRequest { client, what }).await.unwrap()
}

fn files(view: &ClientView) -> Vec<Hash> {
    view.attachments.iter().filter_map(|one| one.attachment.file()).map(|file| file.sha256).collect()
}

async fn bytes(device: &Device, client: ClientId, sha256: Hash) -> Vec<u8> {
    BASE64.decode(device.app.file(FileRequest { client, sha256 }).await.unwrap().data).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_attached_offline_is_here_at_once_and_reaches_the_manager() {
    let mut server = Server::start().await;
    let mut ana = Device::enrolled(&server, "ana").await;
    server.stop().await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    attach(&ana, client, NewAttachment::Document { data: photo(1) }).await;
    attach(&ana, client, NewAttachment::Business { data: photo(2) }).await;
    let strokes = vec![vec![(0.1, 0.1), (0.5, 0.3), (0.9, 0.1)]];
    attach(&ana, client, NewAttachment::Signature { strokes }).await;
    let place = NewAttachment::Position { latitude: 4.6097, longitude: -74.0817, accuracy_m: 12.4 };
    let view = attach(&ana, client, place).await;
    let kinds: Vec<&str> = view.attachments.iter().map(|one| one.attachment.kind()).collect();
    assert_eq!(kinds, ["position", "signature", "business", "document"]);
    assert!(view.attachments.iter().all(|one| one.here && one.waiting == one.attachment.file().is_some()));
    let Attachment::Position(place) = &view.attachments[0].attachment else { panic!("{view:?}") };
    assert_eq!((place.latitude(), place.longitude(), place.accuracy_m), (4.6097, -74.0817, 13));
    let taken = files(&view);
    let document = bytes(&ana, client, taken[2]).await;
    assert!(document.len() > 2 * CHUNK_BYTES, "several pieces: {}", document.len());
    let line = ana.app.status().await.unwrap().sync;
    assert_eq!((line.waiting, line.files), (5, 3));

    // It is all still there after the process was killed, and nothing of it lies open on the disk.
    ana.restart().await;
    ana.unlock().await;
    assert_eq!(bytes(&ana, client, taken[2]).await, document);
    let needle = &document[1000..1032];
    let held = files_under(ana.folder.path());
    assert!(held.iter().any(|(_, bytes)| bytes.len() > document.len()), "the store that it is in");
    for (path, bytes) in held {
        assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{}", path.display());
    }

    server.start_again().await;
    ana.until(|line| line.waiting == 0 && line.files == 0 && line.state == SyncState::Idle).await;
    let view = ana.app.client(ClientRequest { client }).await.unwrap();
    assert!(view.attachments.iter().all(|one| one.here && !one.waiting));

    let marta = Device::enrolled(&server, "marta").await;
    let seen = marta.app.client(ClientRequest { client }).await.unwrap();
    assert_eq!(files(&seen), taken);
    assert!(seen.attachments.iter().all(|one| one.here == one.attachment.file().is_none()));
    for sha256 in &taken {
        assert_eq!(bytes(&marta, client, *sha256).await, bytes(&ana, client, *sha256).await);
    }
    // What was looked at once can be looked at without a network.
    server.stop().await;
    assert_eq!(bytes(&marta, client, taken[2]).await, document);
    let seen = marta.app.client(ClientRequest { client }).await.unwrap();
    assert!(seen.attachments.iter().all(|one| one.here));
}

/// A way to the server that carries so many bytes and then breaks, for every connection.
async fn breaking(server: std::net::SocketAddr, carries: Arc<AtomicU64>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let carries = carries.load(Ordering::SeqCst);
            tokio::spawn(async move {
                let server = tokio::net::TcpStream::connect(server).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let mut limited = tokio::io::AsyncReadExt::take(&mut from_client, carries);
                let _ = tokio::io::copy(&mut limited, &mut to_server).await;
                let _ = to_server.shutdown().await;
                back.abort();
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_where_the_network_broke() {
    let server = Server::start().await;
    // A piece and what is around it get through on one connection, two pieces do not.
    let url =
        breaking(server.running().api_addr, Arc::new(AtomicU64::new(CHUNK_BYTES as u64 + 20_000))).await;
    let ana = Device::new();
    ana.app.enrol(enrol(&url, "ana")).await.unwrap();
    let client = ana.new_client("María Peña", "1.020.345").await;
    let view = attach(&ana, client, NewAttachment::Document { data: photo(3) }).await;
    let sha256 = files(&view)[0];
    let held = bytes(&ana, client, sha256).await;
    assert!(held.len() > 3 * CHUNK_BYTES);
    // Every failure is followed by another try, by itself or asked for.
    for _ in 0..60 {
        if ana.app.sync_now().await.unwrap().line.files == 0 {
            break;
        }
    }
    assert_eq!(ana.app.status().await.unwrap().sync.files, 0);
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(bytes(&marta, client, sha256).await, held);
}

/// The server had its event and not yet the file, when the backup was made: nothing that the device captured is missing
/// there afterwards, and yet something that it was told is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_server_lost_when_it_was_set_back_is_sent_again() {
    let mut server = Server::start().await;
    // No piece gets through.
    let carries = Arc::new(AtomicU64::new(20_000));
    let url = breaking(server.running().api_addr, carries.clone()).await;
    let ana = Device::new();
    ana.app.enrol(enrol(&url, "ana")).await.unwrap();
    let client = ana.new_client("María Peña", "1.020.345").await;
    let sha256 = files(&attach(&ana, client, NewAttachment::Document { data: photo(4) }).await)[0];
    let held = bytes(&ana, client, sha256).await;
    let line = ana.until(|line| line.waiting == 0).await;
    assert_eq!(line.files, 1);
    let backup = server.backup().await;
    carries.store(u64::MAX, Ordering::SeqCst);
    ana.until(|line| line.files == 0 && line.state == SyncState::Idle).await;

    server.restore(backup).await;
    ana.synced_anew().await;
    ana.until(|line| line.files == 0 && line.state == SyncState::Idle).await;
    let marta = Device::enrolled(&server, "marta").await;
    assert_eq!(bytes(&marta, client, sha256).await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_a_disabled_officer_are_delivered_first() {
    let mut server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    server.stop().await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    let view = attach(&ana, client, NewAttachment::Document { data: photo(4) }).await;
    server.start_again().await;
    server.running().people().disable_user("ana").await.unwrap();
    ana.until(|line| line.state == SyncState::Blocked { code: ErrorCode::UserDisabled }).await;
    let line = ana.app.status().await.unwrap().sync;
    assert_eq!((line.waiting, line.files), (0, 0), "{:#?}", ana.app.sync().await.unwrap().log);
    let marta = Device::enrolled(&server, "marta").await;
    assert!(!bytes(&marta, client, files(&view)[0]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_attached_is_refused_and_nothing_is_kept() {
    let server = Server::start().await;
    let ana = Device::enrolled(&server, "ana").await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    let refused = async |what| code(ana.app.attach(AttachRequest { client, what }).await);
    let text = BASE64.encode("%PDF-1.7 not a picture");
    assert_eq!(refused(NewAttachment::Document { data: text }).await, ErrorCode::BadPicture);
    assert_eq!(refused(NewAttachment::Document { data: "***".into() }).await, ErrorCode::BadPicture);
    assert_eq!(refused(NewAttachment::Signature { strokes: vec![] }).await, ErrorCode::EmptyDrawing);
    let nowhere = NewAttachment::Position { latitude: 91.0, longitude: 0.0, accuracy_m: 1.0 };
    assert_eq!(refused(nowhere).await, ErrorCode::InvalidInput);
    let view = ana.app.client(ClientRequest { client }).await.unwrap();
    assert_eq!((view.attachments.len(), ana.app.status().await.unwrap().sync.files), (0, 0));
    // Not even to a client of somebody else: a manager's branch is another matter.
    ana.synced().await;
    let luis = Device::enrolled(&server, "luis").await;
    let place = NewAttachment::Position { latitude: 1.0, longitude: 1.0, accuracy_m: 1.0 };
    let answer = luis.app.attach(AttachRequest { client, what: place }).await;
    assert_eq!(code(answer), ErrorCode::NotFound);
    assert_eq!(luis.app.status().await.unwrap().user.unwrap().role, Role::Officer);
}
