//! Damage of every kind, and the stores of earlier versions: what is said, and that nothing is lost.

use super::*;
use crate::doctor::{Doctor, Report};
use crate::store::{FILE, MIGRATIONS, OpenMode, PAGE_BYTES, Store, chain, project};
use vereda_domain::UserId;

/// The key of every store in `tests/fixtures`.
fn fixture_key() -> StoreKey {
    zeroize::Zeroizing::new([0x5a; 32])
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Work of every kind: clients, edits, an assessment with a decision, an unfinished interview.
async fn some_work(app: &App) {
    for n in 0..6 {
        let client =
            app.create_client(new_client(&format!("José Ñandú {n}"), &format!("7{n}"))).await.unwrap();
        let client = client.row.id;
        let fields = [(ClientField::Phone, format!("301 000 000{n}"))].into();
        app.edit_client(EditClientRequest { client, fields }).await.unwrap();
        let draft = app.start_interview(ClientRequest { client }).await.unwrap().id;
        fill(app, draft, &answers(&scorecard())).await;
        if n > 0 {
            let scored = app.score(DraftRequest { draft }).await.unwrap();
            let decision = DecideRequest {
                assessment: scored.assessment.id,
                decision: scored.suggested,
                override_reason: None,
            };
            app.decide(decision).await.unwrap();
        }
    }
}

/// A store at rest with some work in it: its folder, its key, its user.
async fn at_rest() -> (Device, PathBuf, StoreKey, UserInfo) {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    let (_, key) = device.add(&officer);
    let session = device.unlock(&officer).await;
    install(&session, &scorecard());
    some_work(&device.app).await;
    // So that all of it is in the one file.
    session.store.write_outside("PRAGMA wal_checkpoint(TRUNCATE)");
    drop(session);
    let folder = device.closed(&officer).await;
    (device, folder, key, officer)
}

fn doctor(device: &Device) -> Doctor {
    let now = device.now.clone();
    let clock = WallClock::new(|| START).with_uptime(move || now.load(Ordering::SeqCst));
    Doctor { data_dir: device.folder.path().to_owned(), keystore: device.keys.clone(), clock }
}

fn examined(device: &Device, pin: Option<&str>) -> Report {
    let mut reports = doctor(device).examine(None, pin);
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

fn codes(report: &Report) -> Vec<ErrorCode> {
    report.findings.iter().map(DeviceError::code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_is_said_to_be_sound_and_stays_as_it_is() {
    let (device, folder, _, officer) = at_rest().await;
    let before = std::fs::read(folder.join(FILE)).unwrap();
    let report = examined(&device, Some(PIN));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.user.unwrap().id, officer.id);
    // Six captured, six edited, five assessed, five decided.
    let inside = report.inside.unwrap();
    assert_eq!((inside.head.seq, inside.waiting, inside.quarantined), (22, 22, 0));
    assert_eq!(std::fs::read(folder.join(FILE)).unwrap(), before);
    assert_eq!(codes(&examined(&device, Some("111222"))), [ErrorCode::WrongPin]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_any_page_is_found_and_never_read_as_if_it_were_right() {
    let (device, folder, key, _) = at_rest().await;
    let file = folder.join(FILE);
    let whole = std::fs::read(&file).unwrap();
    let sound = {
        let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
        store.read(project::contents).unwrap()
    };
    let page_bytes = usize::try_from(PAGE_BYTES).unwrap();
    let pages = whole.len() / page_bytes;
    assert!(pages > 20, "{pages} pages");
    for page in 0..pages {
        // Another place in each: salt, content, initialisation vector, authentication code.
        let place = page * page_bytes + (page * 997 + 5) % (page_bytes - 16);
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (page % 8);
        std::fs::write(&file, &damaged).unwrap();
        match Store::open(&folder, &key, OpenMode::Existing) {
            Ok(store) => match store.read(project::contents) {
                Ok(contents) => assert_eq!(contents, sound, "page {page}: damage was read"),
                Err(error) => assert_eq!(error.code(), ErrorCode::StoreDamaged, "page {page}: {error}"),
            },
            Err(error) => assert_eq!(error.code(), ErrorCode::StoreDamaged, "page {page}: {error}"),
        }
        std::fs::write(&file, &damaged).unwrap();
        if page % 7 == 0 {
            // The doctor stretches the PIN each time, so it looks at some of them.
            let report = examined(&device, Some(PIN));
            assert_eq!(codes(&report), [ErrorCode::StoreDamaged], "page {page}: {:?}", report.findings);
            assert_eq!(std::fs::read(&file).unwrap(), damaged, "the doctor changed the file");
        }
    }
    std::fs::write(&file, &whole).unwrap();
    let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
    assert_eq!(store.read(project::contents).unwrap(), sound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_each_by_its_own_code() {
    let (device, folder, key, officer) = at_rest().await;
    // The key store has lost the secret.
    let emptied = KeyStore::given(keyring_core::mock::Store::new().unwrap());
    let lost = Doctor { keystore: emptied, ..doctor(&device) }.examine(None, Some(PIN)).remove(0);
    assert_eq!(codes(&lost), [ErrorCode::KeyMissing, ErrorCode::KeyMissing]);
    // A newer app wrote the store.
    let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
    let version = i64::try_from(MIGRATIONS.len()).unwrap();
    store.write(|db| Ok(db.pragma_update(None, "user_version", version + 1)?)).unwrap();
    drop(store);
    assert_eq!(codes(&examined(&device, Some(PIN))), [ErrorCode::StoreTooNew]);
    // The vault is not there.
    std::fs::remove_file(folder.join("vault.json")).unwrap();
    let report = examined(&device, Some(PIN));
    assert_eq!((codes(&report), report.user), (vec![ErrorCode::StoreDamaged], None));
    // The store is not there.
    std::fs::remove_file(folder.join(FILE)).unwrap();
    assert_eq!(codes(&examined(&device, None)), [ErrorCode::StoreDamaged, ErrorCode::StoreDamaged]);
    assert!(!folder.join(FILE).exists());
    // Another user's report is not asked for, but one whose owner cannot be told may be theirs.
    assert_eq!(doctor(&device).examine(Some(&officer.username), None).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_every_earlier_version_open_with_all_that_is_in_them() {
    for version in 1..=MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let fixture = fixtures().join(format!("store-v{version}.db"));
        std::fs::copy(&fixture, folder.path().join(FILE))
            .unwrap_or_else(|error| panic!("{}: {error}; see write_a_fixture", fixture.display()));
        let store = Store::open(folder.path(), &fixture_key(), OpenMode::Existing).unwrap();
        let now: i64 =
            store.read(|db| Ok(db.query_row("PRAGMA user_version", [], |row| row.get(0))?)).unwrap();
        assert_eq!(now, i64::try_from(MIGRATIONS.len()).unwrap());
        assert_eq!(store.read(chain::counts).unwrap(), (22, 0));
        assert_eq!(store.read(chain::unsent).unwrap().len(), 22);
        let drafts = store.read(crate::store::drafts::all).unwrap();
        assert_eq!((drafts.len(), drafts[0].1 > 0), (1, true));
        let before = store.read(project::contents).unwrap();
        // Six clients with their words, five assessments, each its client's last.
        assert_eq!(before.len(), 22);
        store.rebuild().unwrap();
        assert_eq!(store.read(project::contents).unwrap(), before, "version {version}");
        // Work goes on in it.
        let identity =
            store.read(|db| crate::store::meta::get(db, &crate::store::meta::IDENTITY)).unwrap().unwrap();
        assert_eq!(identity.me(), UserId(Uuid::from_u128(1)));
        store
            .write(|db| crate::store::client::create(db, &identity, new_client("Ana", "99"), START + 1))
            .unwrap();
        assert_eq!(store.read(chain::head).unwrap().seq, 23);
    }
}

/// What older versions made has SQLCipher's own choice, as the fixtures do.
#[test]
fn a_new_store_has_pages_of_the_quick_kind_and_both_kinds_open() {
    use crate::store::{PageHmac, connect, connect_as};
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path, hmac| connect_as(path, &fixture_key(), OpenMode::Existing, hmac);
    let path = folder.path().join(FILE);
    drop(Store::open(folder.path(), &fixture_key(), OpenMode::Create).unwrap());
    assert!(open(&path, PageHmac::Sha256).is_ok());
    assert!(matches!(open(&path, PageHmac::Sha512), Err(DeviceError::StoreDamaged(_))));
    let old = folder.path().join("old.db");
    std::fs::copy(fixtures().join("store-v3.db"), &old).unwrap();
    assert!(matches!(open(&old, PageHmac::Sha256), Err(DeviceError::StoreDamaged(_))));
    assert!(
        open(&old, PageHmac::Sha512).is_ok() && connect(&old, &fixture_key(), OpenMode::Existing).is_ok()
    );
    // Neither kind is without a key.
    let wrong = StoreKey::new([1; 32]);
    for path in [&path, &old] {
        let opened = connect(path, &wrong, OpenMode::Existing);
        assert!(matches!(opened, Err(DeviceError::StoreDamaged(_))), "{path:?}");
    }
}

/// Run by hand when a new schema is finished: `cargo test -p vereda-device write_a_fixture -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the fixture of the newest schema, once"]
async fn write_a_fixture() {
    let (_device, folder, key, _) = at_rest().await;
    let path = fixtures().join(format!("store-v{}.db", MIGRATIONS.len()));
    assert!(!path.exists(), "a fixture is never written again");
    std::fs::create_dir_all(fixtures()).unwrap();
    let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
    let hexed = hex::encode(fixture_key().as_slice());
    store.write_outside(&format!("PRAGMA rekey = \"x'{hexed}'\"; PRAGMA wal_checkpoint(TRUNCATE);"));
    drop(store);
    std::fs::copy(folder.join(FILE), path).unwrap();
}
