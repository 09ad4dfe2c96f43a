//! Files that were cut off, as by a disk that filled or died: found, named, left as they are.

use super::*;
use crate::doctor::Doctor;
use crate::store::{FILE, OpenMode, PAGE_BYTES, Store, chain, project};

/// A store with work in it, all of it in the one file: its folder and its key.
async fn at_rest(clients: u32) -> (Device, PathBuf, StoreKey) {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    let (_, key) = device.add(&officer);
    let session = device.unlock(&officer).await;
    install(&session, &scorecard());
    for n in 0..clients {
        device.app.create_client(new_client(&format!("José Ñandú {n}"), &format!("7{n}"))).await.unwrap();
    }
    session.store.write_outside("PRAGMA wal_checkpoint(TRUNCATE)");
    drop(session);
    let folder = device.closed(&officer).await;
    (device, folder, key)
}

fn wal(folder: &Path) -> PathBuf {
    folder.join(format!("{FILE}-wal"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_cut_off_anywhere_is_named_and_nothing_is_written_in_its_place() {
    let (_device, folder, key) = at_rest(6).await;
    let file = folder.join(FILE);
    let whole = std::fs::read(&file).unwrap();
    let page = usize::try_from(PAGE_BYTES).unwrap();
    let lengths = [0, 1, 15, 16, 100, page - 1, page, page + 1, 2 * page, 5 * page, 5 * page + 100];
    let ends = [whole.len() - page - 1, whole.len() - page, whole.len() - 1];
    for length in lengths.into_iter().chain(ends) {
        std::fs::write(&file, &whole[..length]).unwrap();
        let opened = Store::open(&folder, &key, OpenMode::Existing);
        let error = opened.err().unwrap_or_else(|| panic!("{length} bytes of {} were opened", whole.len()));
        assert_eq!(error.code(), ErrorCode::StoreDamaged, "{length} bytes: {error}");
        assert_eq!(std::fs::read(&file).unwrap(), whole[..length], "{length} bytes: something was written");
        assert!(!wal(&folder).exists(), "{length} bytes: a log was begun");
    }
    std::fs::write(&file, &whole).unwrap();
    let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
    assert_eq!(store.read(chain::head).unwrap().seq, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_off_anywhere_gives_the_work_up_to_the_cut_and_never_half_of_it() {
    let (_device, folder, key) = at_rest(2).await;
    // As after a kill: the log holds what the file does not.
    let aside = tempfile::tempdir().unwrap();
    let (seq, log) = {
        let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
        let identity =
            store.read(|db| crate::store::meta::get(db, &crate::store::meta::IDENTITY)).unwrap().unwrap();
        for n in 0..4 {
            let client = new_client("Ana", &format!("9{n}"));
            store.write(|db| crate::store::client::create(db, &identity, client, START + n)).unwrap();
        }
        std::fs::copy(folder.join(FILE), aside.path().join(FILE)).unwrap();
        (store.read(chain::head).unwrap().seq, std::fs::read(wal(&folder)).unwrap())
    };
    assert_eq!(seq, 6);
    let main = std::fs::read(aside.path().join(FILE)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..=24).map(|n| log.len() * n / 24) {
        let here = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join(FILE), &main).unwrap();
        std::fs::write(wal(here.path()), &log[..cut]).unwrap();
        let store = Store::open(here.path(), &key, OpenMode::Existing).unwrap();
        let (head, clients) = store
            .read(|db| {
                let clients: i64 = db.query_row("SELECT count(*) FROM clients", [], |row| row.get(0))?;
                Ok((chain::head(db)?.seq, clients.unsigned_abs()))
            })
            .unwrap();
        assert_eq!(head, clients, "cut at {cut}: an event without its record, or the other way about");
        let before = store.read(project::contents).unwrap();
        store.rebuild().unwrap();
        assert_eq!(store.read(project::contents).unwrap(), before, "cut at {cut}");
        seen.insert(head);
    }
    assert!(seen.contains(&6) && seen.len() > 2, "{seen:?}");
}

/// As after a power cut in the middle of a checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_end_is_in_its_log_was_not_cut_off() {
    let (device, folder, key) = at_rest(2).await;
    let (mut main, log) = {
        let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
        let identity =
            store.read(|db| crate::store::meta::get(db, &crate::store::meta::IDENTITY)).unwrap().unwrap();
        let client = new_client("Ana", "99");
        store.write(|db| crate::store::client::create(db, &identity, client, START)).unwrap();
        (std::fs::read(folder.join(FILE)).unwrap(), std::fs::read(wal(&folder)).unwrap())
    };
    main.extend([0; 512]);
    std::fs::write(folder.join(FILE), &main).unwrap();
    std::fs::write(wal(&folder), &log).unwrap();
    let clock = WallClock::new(|| START);
    let doctor = Doctor { data_dir: device.folder.path().to_owned(), keystore: device.keys.clone(), clock };
    let report = doctor.examine(None, Some(PIN)).remove(0);
    assert!(report.findings.is_empty(), "{report:?}");
    assert_eq!(report.inside.unwrap().head.seq, 3);

    std::fs::remove_file(wal(&folder)).unwrap();
    let report = doctor.examine(None, Some(PIN)).remove(0);
    assert!(report.findings.iter().any(|error| error.code() == ErrorCode::StoreDamaged), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_cut_off_anywhere_is_named_and_kept() {
    let (device, folder, _) = at_rest(1).await;
    let file = folder.join("vault.json");
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(is_damaged(Vault::read(&folder)), "{length} bytes");
        let clock = WallClock::new(|| START);
        let doctor =
            Doctor { data_dir: device.folder.path().to_owned(), keystore: device.keys.clone(), clock };
        let reports = doctor.examine(None, Some(PIN));
        let codes: Vec<_> = reports[0].findings.iter().map(DeviceError::code).collect();
        assert_eq!(codes, [ErrorCode::StoreDamaged], "{length} bytes: {:?}", reports[0].findings);
        assert_eq!(std::fs::read(&file).unwrap(), whole[..length], "the doctor changed it");
    }
}
