//! The way back: what a device could not send reaches the server as a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use vereda_device::WallClock;
use vereda_device::doctor::Doctor;
use vereda_domain::gateway::*;
use vereda_server::import::{ImportError, Imported, Key, new_key};

const WORDS: &str = "cuatro palabras que nadie adivina";

fn sealed(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn unsent_work_is_exported_imported_once_and_the_device_goes_on() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let device = Device::enrolled(&server, "ana").await;
    let first = device.new_client("Persona Uno", "1001").await;
    device.synced().await;
    server.stop().await;
    let second = device.new_client("Persona Dos", "1002").await;
    device.assess(second).await;
    device.assess(first).await;
    let what = NewAttachment::Signature { strokes: vec![vec![(0.1, 0.1), (0.9, 0.3)]] };
    let view = device.app.attach(AttachRequest { client: second, what }).await.unwrap();
    let sha256 = view.attachments[0].attachment.file().unwrap().sha256;

    let (private, public) = new_key();
    let private = age::secrecy::ExposeSecret::expose_secret(&private).to_owned();
    let by_key = SealedFor::Key { key: public };
    let export = device.app.export_unsent(ExportRequest { sealed_for: by_key.clone() }).await.unwrap();
    assert_eq!((export.events, export.files), (4, 1));
    assert!(export.text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(!export.text.contains("Persona"));
    let weak = SealedFor::Passphrase { passphrase: "corta".into() };
    assert_eq!(
        code(device.app.export_unsent(ExportRequest { sealed_for: weak }).await),
        ErrorCode::InvalidInput
    );
    let none = SealedFor::Key { key: "age1nothing".into() };
    assert_eq!(
        code(device.app.export_unsent(ExportRequest { sealed_for: none }).await),
        ErrorCode::InvalidInput
    );

    server.start_again().await;
    let wrong = Key::Passphrase(WORDS.into());
    let refused = server.running().import(sealed(&export.text), wrong).await;
    assert!(matches!(refused, Err(ImportError::Sealed(_))), "{refused:?}");
    let cut = sealed(&export.text[..export.text.len() / 2]);
    let refused = server.running().import(cut, Key::Identity(private.clone())).await;
    assert!(matches!(refused, Err(ImportError::Sealed(_))), "{refused:?}");
    let import = || server.running().import(sealed(&export.text), Key::Identity(private.clone()));
    let imported = import().await.unwrap();
    let Imported { stored, quarantined, files, files_aside, receipt } = &imported;
    assert_eq!((*files, *files_aside), (1, 0));
    assert_eq!((*stored, quarantined.len(), receipt.as_ref().unwrap().seq), (4, 0, 5));
    // The same file again changes nothing.
    assert_eq!(import().await.unwrap().receipt.unwrap().seq, 5);

    // The device finds that the server has it all, and goes on.
    device.new_client("Persona Tres", "1003").await;
    let view = device.synced().await;
    assert_eq!((view.line.waiting, view.line.files, view.receipt.unwrap().seq), (0, 0, 6));
    let manager = Device::enrolled(&server, "marta").await;
    assert_eq!(manager.portfolio().await.total, 3);
    let request = FileRequest { client: second, sha256 };
    let seen = manager.app.file(request.clone()).await.unwrap();
    assert_eq!(seen, device.app.file(request).await.unwrap());
    let empty = device.app.export_unsent(ExportRequest { sealed_for: by_key }).await.unwrap();
    assert_eq!(empty.events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_app_does_not_open_gives_its_work_to_the_doctor() {
    let mut server = Server::start().await;
    let device = Device::enrolled(&server, "luis").await;
    server.stop().await;
    for n in 0..3 {
        device.new_client(&format!("Persona {n}"), &format!("200{n}")).await;
    }
    device.app.lock().await.unwrap();
    let doctor = Doctor {
        data_dir: device.folder.path().to_owned(),
        keystore: device.keys.clone(),
        clock: WallClock::system(),
    };
    let passphrase = SealedFor::Passphrase { passphrase: WORDS.into() };
    let wrong = doctor.export("luis", "999000", &passphrase).unwrap_err();
    assert_eq!(wrong.code(), ErrorCode::WrongPin);
    assert_eq!(doctor.export("nadie", PIN, &passphrase).unwrap_err().code(), ErrorCode::NotFound);
    let reports = doctor.examine(Some("luis"), Some(PIN));
    assert!(reports[0].findings.is_empty(), "{:?}", reports[0].findings);
    assert_eq!(reports[0].inside.unwrap().waiting, 3);
    let export = doctor.export("luis", PIN, &passphrase).unwrap();
    assert_eq!((export.events, export.files), (4, 1));

    server.start_again().await;
    let imported =
        server.running().import(sealed(&export.text), Key::Passphrase(WORDS.into())).await.unwrap();
    assert_eq!((imported.stored, imported.receipt.unwrap().seq), (3, 3));
    // Another institution's server does not know the device.
    let other = Server::start().await;
    let refused = other.running().import(sealed(&export.text), Key::Passphrase(WORDS.into())).await;
    assert!(matches!(refused, Err(ImportError::ForeignDevice { .. })), "{refused:?}");
}
