//! The store as files: keys, damage, schemas, projections.

use super::*;
use crate::store::{FILE, MIGRATIONS, OpenMode, Store, chain, drafts, meta, project, remote};
use vereda_domain::api::{Change, EventOutcome, EventResult, Pulled, Receipt};
use vereda_domain::event::{ChainHead, Event, Hash, Header, chain_hash};
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{Record, RecordKey};
use vereda_domain::register::Write;

#[tokio::test(flavor = "multi_thread")]
async fn projections_made_again_are_the_same() {
    let (device, session) = Device::ready().await;
    let app = &device.app;
    for n in 0..5 {
        let client = app.create_client(new_client(&format!("Juan {n}"), &format!("7{n}"))).await.unwrap();
        let draft = app.start_interview(ClientRequest { client: client.row.id }).await.unwrap().id;
        fill(app, draft, &answers(&scorecard())).await;
        let scored = app.score(DraftRequest { draft }).await.unwrap();
        let decision = DecideRequest {
            assessment: scored.assessment.id,
            decision: scored.suggested,
            override_reason: None,
        };
        app.decide(decision).await.unwrap();
        let fields = [(ClientField::Name, format!("Ana {n}"))].into();
        app.edit_client(EditClientRequest { client: client.row.id, fields }).await.unwrap();
    }
    let before = session.store.read(project::contents).unwrap();
    assert_eq!(before.len(), 20);
    session
        .store
        .write(|db| Ok(db.execute_batch("UPDATE clients SET name = 'x'; DELETE FROM assessments")?))
        .unwrap();
    assert_ne!(session.store.read(project::contents).unwrap(), before);
    session.store.rebuild().unwrap();
    assert_eq!(session.store.read(project::contents).unwrap(), before);
}

#[test]
fn a_wrong_key_a_damaged_file_and_a_missing_one_are_reported_and_left_alone() {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    let (_, key) = device.add(&officer);
    let file = device.store_file(&officer);
    let folder = file.parent().unwrap().to_owned();
    Store::open(&folder, &key, OpenMode::Existing).unwrap();

    let whole = std::fs::read(&file).unwrap();
    assert!(!whole.windows(6).any(|part| part == b"SQLite" || part == b"Person"), "it is not encrypted");
    let mut wrong = key.clone();
    wrong[0] ^= 1;
    assert!(is_damaged(Store::open(&folder, &wrong, OpenMode::Existing)));
    assert_eq!(std::fs::read(&file).unwrap(), whole);

    let mut damaged = whole.clone();
    damaged[200] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    assert!(is_damaged(Store::open(&folder, &key, OpenMode::Existing)));
    assert_eq!(std::fs::read(&file).unwrap(), damaged);

    std::fs::remove_file(&file).unwrap();
    assert!(is_damaged(Store::open(&folder, &key, OpenMode::Existing)));
    assert!(!file.exists(), "an empty store would hide that work is lost");
    std::fs::write(&file, &whole).unwrap();
    Store::open(&folder, &key, OpenMode::Existing).unwrap();
    assert!(matches!(Store::open(&folder, &key, OpenMode::Create), Err(DeviceError::Internal(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_has_a_code_of_its_own_and_its_user_is_still_listed() {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    device.add(&officer);
    let file = device.store_file(&officer);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, vec![7; 8192]).unwrap();
    let request = UnlockRequest { user: officer.id, pin: PIN.into() };
    assert_eq!(code(device.app.unlock(request.clone()).await), ErrorCode::StoreDamaged);
    let status = device.app.status().await.unwrap();
    assert_eq!((status.phase, status.users.len()), (Phase::Locked { retry_at: None }, 1));
    assert_eq!(std::fs::read(&file).unwrap(), vec![7; 8192]);
    std::fs::write(&file, whole).unwrap();
    device.app.unlock(request).await.unwrap();
}

#[test]
fn a_store_of_a_newer_app_is_not_touched() {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    let (_, key) = device.add(&officer);
    let folder = device.store_file(&officer).parent().unwrap().to_owned();
    let store = Store::open(&folder, &key, OpenMode::Existing).unwrap();
    store.write(|db| Ok(db.pragma_update(None, "user_version", 99)?)).unwrap();
    drop(store);
    let refused = Store::open(&folder, &key, OpenMode::Existing);
    assert!(
        matches!(refused, Err(DeviceError::StoreTooNew { found: 99, known }) if known == MIGRATIONS.len() as i64)
    );
}

#[test]
fn an_unfinished_enrolment_leaves_nothing_and_an_unknown_folder_is_not_written_over() {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    let unfinished = device.app.0.folders.begin().unwrap();
    std::fs::write(unfinished.join(FILE), b"half").unwrap();
    assert!(device.app.0.folders.vaults().is_empty());
    let folder = device.store_file(&officer).parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(FILE), b"work").unwrap();
    assert!(is_damaged(device.app.0.folders.vault(officer.id)));
    let identity =
        Identity::new(officer.clone(), DeviceId(Uuid::now_v7()), "http://127.0.0.1:9".into()).unwrap();
    let session = ServerSession {
        access_token: String::new(),
        token_type: TokenType::Bearer,
        ticket: None,
        expires_in_s: 0,
        refresh_token: String::new(),
        user: officer,
        colleagues: Vec::new(),
        server_ms: 0,
        escrow: None,
    };
    let key = DeviceKey::generate(WallClock::system()).unwrap();
    assert!(is_damaged(device.app.create(&identity, &session, &key, PIN)));
    assert_eq!(std::fs::read(folder.join(FILE)).unwrap(), b"work");
    assert!(!unfinished.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_cannot_open_the_same_store() {
    let (device, _) = Device::ready().await;
    let other = app(device.folder.path(), &device.keys, &device.now, None);
    let request = UnlockRequest { user: user(1, Role::Officer).id, pin: PIN.into() };
    assert_eq!(code(other.unlock(request).await), ErrorCode::Internal);
    device.app.drafts().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_is_unbroken_and_acknowledged_only_by_a_receipt_for_it() {
    let (device, session) = Device::ready().await;
    for n in 0..3 {
        device.app.create_client(new_client("Juan", &format!("7{n}"))).await.unwrap();
        device.pass(-3_600_000);
    }
    let texts: Vec<String> = session
        .store
        .read(|db| {
            Ok(chain::batch(db, None, chain::BATCH_BYTES)?
                .events
                .iter()
                .map(|raw| raw.get().to_owned())
                .collect())
        })
        .unwrap();
    let mut head = ChainHead::EMPTY;
    let mut last = None;
    for text in &texts {
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!((event.seq, event.prev), (head.seq + 1, head.hash));
        assert!(last < Some(event.hlc), "time goes on though the clock steps back");
        last = Some(event.hlc);
        head = ChainHead { seq: event.seq, hash: Hash::of(text.as_bytes()) };
    }
    let identity = session.identity();
    let receipt = |seq, hash| Receipt { device: identity.device, seq, hash, at: START };
    let results: Vec<EventResult> =
        (1..=3).map(|seq| EventResult { seq, outcome: EventOutcome::Stored }).collect();
    let acknowledge =
        |receipt| session.store.write(|db| chain::acknowledge(db, &identity, &results, &receipt));
    assert!(matches!(acknowledge(receipt(3, Hash::ZERO)), Err(DeviceError::ChainBroken(_))));
    assert!(matches!(acknowledge(receipt(4, head.hash)), Err(DeviceError::ChainBroken(_))));
    assert_eq!(session.store.read(chain::counts).unwrap(), (3, 0));
    // Results past the receipt are no proof.
    let first = Hash::of(texts[0].as_bytes());
    acknowledge(receipt(1, first)).unwrap();
    assert_eq!(session.store.read(chain::counts).unwrap(), (2, 0));
    acknowledge(receipt(3, head.hash)).unwrap();
    assert_eq!(session.store.read(chain::counts).unwrap(), (0, 0));
    // The server lost the last two: they wait again.
    session.store.write(|db| chain::rewind(db, &ChainHead { seq: 1, hash: first })).unwrap();
    assert_eq!(session.store.read(chain::counts).unwrap(), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pulled_joins_what_waits_and_conflicts_are_shown_and_settled() {
    let (device, session) = Device::ready().await;
    let app = &device.app;
    let view = app.create_client(new_client("Juan", "77")).await.unwrap();
    let client = view.row.id;
    let Some(Record::Client(mut theirs)) =
        session.store.read(|db| project::load(db, &RecordKey::Client(client))).unwrap()
    else {
        panic!("no client");
    };
    let other = Write::new("301 999 0000".into(), UserId(Uuid::from_u128(2)), START);
    let replaces = theirs.heads(ClientField::Phone);
    let hlc = Hlc { wall: START + 60_000, counter: 0, node: DeviceId(Uuid::from_u128(5)) };
    theirs.fields.get_mut(&ClientField::Phone).unwrap().write(hlc, other, replaces);

    let mine = EditClientRequest { client, fields: [(ClientField::Phone, "302 111 2222".into())].into() };
    app.edit_client(mine).await.unwrap();
    let page = page_of(Pulled {
        changes: vec![Change::State { record: Record::Client(theirs) }],
        cursor: 9,
        more: false,
        end: 0,
        anew: false,
        next: None,
        remaining: None,
        server_ms: START,
    });
    let identity = session.identity();
    for _ in 0..2 {
        session.store.write(|db| remote::apply(db, &identity, &CHANGES, &page, START)).unwrap();
    }
    let view = app.client(ClientRequest { client }).await.unwrap();
    assert!(view.row.conflict);
    assert_eq!((view.row.phone.as_str(), view.conflicts[0].lost.as_str()), ("301 999 0000", "302 111 2222"));
    // Naming the field settles it, even with the value that holds; time goes on after theirs.
    let settle = EditClientRequest { client, fields: [(ClientField::Phone, "302 111 2222".into())].into() };
    let settled = app.edit_client(settle).await.unwrap();
    assert!(!settled.row.conflict && settled.conflicts.is_empty());
    assert_eq!(settled.row.phone, "302 111 2222");
}

/// What a server sends of a client who left the portfolio, or was erased.
fn purge_of(client: vereda_domain::ClientId, erased: bool) -> remote::Page {
    page_of(Pulled {
        changes: vec![Change::Purge { key: RecordKey::Client(client), erased }],
        cursor: 1,
        more: false,
        end: 0,
        anew: false,
        next: None,
        remaining: None,
        server_ms: START,
    })
}

/// Of somebody who was erased only what waits to be sent is kept, and of what was sent its place in the chain.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_client_who_was_erased_nothing_stays_but_the_chain() {
    let (device, session) = Device::ready().await;
    let app = &device.app;
    let client = app.create_client(new_client("Candelaria Ruiz", "77")).await.unwrap().row.id;
    let other = app.create_client(new_client("Juan", "78")).await.unwrap().row.id;
    app.start_interview(ClientRequest { client }).await.unwrap();
    let page = purge_of(client, true);
    let identity = session.identity();
    let held = || {
        let sql = "SELECT (SELECT count(*) FROM events WHERE text LIKE '%Candelaria%') \
                   + (SELECT count(*) FROM unread WHERE text LIKE '%Candelaria%') \
                   + (SELECT count(*) FROM old_events WHERE text LIKE '%Candelaria%') + (SELECT count(*) FROM drafts)";
        session.store.read(|db| Ok(db.query_row(sql, [], |row| row.get::<_, i64>(0))?)).unwrap()
    };
    session
        .store
        .write(|db| {
            let text = format!("{{\"id\":\"{client}\",\"name\":\"Candelaria\"}}");
            db.execute("INSERT INTO unread (hash, text, at) VALUES ('x', ?1, 0)", [&text])?;
            db.execute(
                "INSERT INTO old_events (device, seq, hash, text, status) VALUES ('d', 1, 'x', ?1, 1)",
                [&text],
            )?;
            remote::apply(db, &identity, &CHANGES, &page, START)
        })
        .unwrap();
    assert_eq!(held(), 4, "the event has to be sent first");
    let before = session.store.read(chain::head).unwrap();
    session
        .store
        .write(|db| {
            db.execute("UPDATE events SET status = 1", [])?;
            remote::purge(db)
        })
        .unwrap();
    assert_eq!(held(), 0);
    assert_eq!(session.store.read(chain::head).unwrap(), before);
    let page = app.portfolio(PortfolioRequest { limit: 9, ..Default::default() }).await.unwrap();
    assert_eq!((page.total, page.rows[0].id), (1, other));
    // Made again from the events, it is the same; and the chain still proves itself.
    let contents = session.store.read(project::contents).unwrap();
    session.store.rebuild().unwrap();
    assert_eq!(session.store.read(project::contents).unwrap(), contents);
    let everything = session.store.write(|db| {
        db.execute("UPDATE events SET status = 0", [])?;
        chain::unsent(db)
    });
    let mut head = ChainHead::EMPTY;
    for event in everything.unwrap() {
        let header: Header = serde_json::from_str(event.get()).unwrap();
        assert!(head.precedes(&header));
        head = ChainHead { seq: header.seq, hash: chain_hash(event.get()) };
    }
    assert_eq!(head, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_stays_until_nothing_captured_hangs_on_it() {
    let (device, session) = Device::ready().await;
    let app = &device.app;
    let client = app.create_client(new_client("Juan", "77")).await.unwrap().row.id;
    app.start_interview(ClientRequest { client }).await.unwrap();
    let page = purge_of(client, false);
    let identity = session.identity();
    session.store.write(|db| remote::apply(db, &identity, &CHANGES, &page, START)).unwrap();
    let here = || session.store.read(|db| Ok(project::client(db, client)?.is_some())).unwrap();
    assert!(here(), "an event and an interview hang on it");
    session
        .store
        .write(|db| {
            db.execute("UPDATE events SET status = 1", [])?;
            remote::purge(db)
        })
        .unwrap();
    assert!(here(), "an interview hangs on it");
    session
        .store
        .write(|db| {
            drafts::discard(db, drafts::of_client(db, client)?.unwrap())?;
            remote::purge(db)
        })
        .unwrap();
    assert!(!here());
    assert_eq!(app.portfolio(PortfolioRequest { limit: 9, ..Default::default() }).await.unwrap().total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_to_be_and_costs_nothing_that_was_acknowledged() {
    let (device, session) = Device::ready().await;
    let limit = |pages: i64| {
        session
            .store
            .write(|db| Ok(db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?))
            .unwrap();
    };
    limit(1);
    let mut kept = 0;
    let refused = loop {
        match device.app.create_client(new_client("Juan", &format!("7{kept}"))).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code, ErrorCode::StorageFull);
    let everybody = PortfolioRequest { limit: 1, ..Default::default() };
    assert_eq!(device.app.portfolio(everybody.clone()).await.unwrap().total, kept);
    limit(1_000_000);
    device.app.create_client(new_client("Juan", "8")).await.unwrap();
    assert_eq!(device.app.portfolio(everybody).await.unwrap().total, kept + 1);
    let view = device.app.sync().await.unwrap();
    assert_eq!(view.line.waiting, u64::from(kept) + 1);
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_holds_anything_of_a_client_in_the_clear_at_work_or_at_rest() {
    let (device, session) = Device::ready().await;
    let view = device.app.create_client(new_client("Zenaida Irrepetible", "918273645")).await.unwrap();
    let interview = device.app.start_interview(ClientRequest { client: view.row.id }).await.unwrap();
    fill(&device.app, interview.id, &answers(&scorecard())).await;
    session.store.write(|db| meta::set(db, &meta::REFRESH_TOKEN, &"gastada-7f3a".to_owned())).unwrap();
    let secrets = ["Irrepetible", "irrepetible", "918273645", "gastada-7f3a", "Vereda El Salado", "amount"];
    let look = |when: &str| {
        let files = files(device.folder.path());
        assert!(files.iter().any(|path| path.ends_with(FILE)), "the store is looked at");
        for path in files {
            let bytes = match std::fs::read(&path) {
                // A log that went with the last connection.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.ends_with(FILE) => {
                    continue;
                }
                bytes => bytes.unwrap(),
            };
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {} {when}", path.display());
            }
            assert!(!bytes.starts_with(b"SQLite format 3"), "{} {when}", path.display());
        }
    };
    look("while the store is open, its write-ahead log included");
    drop(session);
    device.app.lock().await.unwrap();
    look("after locking");
}
