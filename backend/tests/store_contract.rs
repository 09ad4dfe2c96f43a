//! What every store must hold, whatever the database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/postgres.rs"]
mod database;

use std::sync::Arc;
use uuid::Uuid;
use vereda_domain::api::{
    AuditEntry, BranchInfo, Change, Deed, DeviceInfo, Doer, EventOutcome, HistoryEntry, ModelManifest,
    QuarantineReason, Role, Scope, Source, Thumbprint,
};
use vereda_domain::client::Consent;
use vereda_domain::event::{Assessment, ChainHead, Event, EventBody, Hash, RecordedScore, Sealed};
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{AssessmentRecord, Rank, Record, RecordKey, fold};
use vereda_domain::{AssessmentId, BranchId, ClientId, DeviceId, Millis, SecretId, UserId};
use vereda_scoring::ModelRef;
use vereda_scoring::bundle::Group;
use vereda_server::audit::verify;
use vereda_server::clock::rfc3339;
use vereda_server::store::postgres::PostgresStore;
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::store::*;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&SqliteStore::file_in(dir.path()), 2).unwrap();
    contract(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let url = database::fresh().await;
    contract(Arc::new(PostgresStore::connect(&url, 8).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_migrate_postgres_once() {
    let url = database::fresh().await;
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::connect(&url, 2).await })
        })
        .collect();
    for start in starts {
        let store = start.await.unwrap().unwrap();
        assert!(store.branches().await.unwrap().is_empty());
    }
    let newer = database::execute(&url, "UPDATE schema_version SET version = 99").await;
    assert_eq!(newer, 1);
    match PostgresStore::connect(&url, 1).await {
        Err(vereda_server::error::StoreError::Newer { found: 99, .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// The history is kept in a partition per month, made by whoever comes first, and a score from a
/// clock of the future moves into its month when that comes.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_history_by_month() {
    let url = database::fresh().await;
    let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(&url, 8).await.unwrap());
    let november = 1_795_400_000_000;
    let january = november + 45 * 24 * 3600 * 1000;
    let put = async |n: u128, scored_ms: Millis, now: Millis| {
        store
            .add_history(&[new(scored_ms, entry(n, UserId(Uuid::from_u128(1)), None, Group::T4))], now)
            .await
            .unwrap();
    };
    let partitions = async || -> Vec<(String, i64)> {
        let sql = "SELECT tableoid::regclass::text, count(*) FROM history GROUP BY 1 ORDER BY 1";
        database::query(&url, sql).await.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    put(1, november, november).await;
    put(2, january, november).await;
    put(3, 0, november).await;
    assert_eq!(partitions().await, [("history_2026_11".into(), 1), ("history_other".into(), 2)]);
    // Ten servers at once, in the new year.
    let others: Vec<_> = (10..20)
        .map(|n| {
            let url = url.clone();
            tokio::spawn(async move {
                let store = PostgresStore::connect(&url, 2).await.unwrap();
                let entry = entry(n, UserId(Uuid::from_u128(1)), None, Group::T4);
                store.add_history(&[new(january, entry)], january).await.unwrap();
            })
        })
        .collect();
    for other in others {
        other.await.unwrap();
    }
    let expected =
        [("history_2026_11".into(), 1), ("history_2027_01".into(), 11), ("history_other".into(), 1)];
    assert_eq!(partitions().await, expected);
    let id = AssessmentId(Uuid::from_u128(2));
    assert!(store.history_entry(id, HistoryScope::All).await.unwrap().is_some());
}

/// Runs the whole suite on an empty store.
async fn contract(store: Arc<dyn Store>) {
    set_up(&store).await;
    let world = people(&store).await;
    administration(&store, &world).await;
    sessions(&store, &world).await;
    chains(&store, &world).await;
    waiting(&store, &world).await;
    portfolios(&store, &world).await;
    earlier_assessments(&store, &world).await;
    files(&store, &world).await;
    concurrent_appends(&store, &world).await;
    leaps(&store, &world).await;
    models(&store).await;
    history(&store, &world).await;
    outcomes(&store, &world).await;
    counting(&store).await;
    erasures(&store, &world).await;
    audit(&store).await;
}

/// Something to be written down.
fn note(at: Millis) -> Note {
    Note { by: Doer::CommandLine, at, deed: Deed::HistoryExported { format: "csv".into() } }
}

/// How many entries the record of who did what has.
async fn noted(store: &Arc<dyn Store>) -> usize {
    store.audit(0, 100_000).await.unwrap().len()
}

fn somebody(username: &str, role: Role) -> UserRow {
    UserRow {
        id: UserId(Uuid::now_v7()),
        username: username.into(),
        name: format!("Nombre {username}"),
        role,
        branch: None,
        password_hash: "$argon2id$".into(),
        scopes: Vec::new(),
        disabled: false,
    }
}

/// The first administrator, with a token that works once.
async fn set_up(store: &Arc<dyn Store>) {
    let (token, old, other) = (Hash([1; 32]), Hash([2; 32]), Hash([3; 32]));
    for (hash, expires) in [(token, 1000), (old, 500), (other, 1000)] {
        assert_eq!(store.add_setup_token(hash, expires, note(1)).await.unwrap(), Changed::Done);
    }
    let set_up =
        async |hash, username| store.set_up(hash, somebody(username, Role::Admin), note(500)).await.unwrap();
    assert_eq!(set_up(Hash([4; 32]), "admin").await, SetUpWith::Unknown);
    assert_eq!(set_up(old, "admin").await, SetUpWith::Unknown, "its time is over");
    let before = noted(store).await;
    let (a, b) = tokio::join!(set_up(token, "admin"), set_up(other, "intruder"));
    assert!(
        [(SetUpWith::Done, SetUpWith::Administered), (SetUpWith::Administered, SetUpWith::Done)]
            .contains(&(a, b))
    );
    assert_eq!(noted(store).await, before + 1);
    assert_eq!(set_up(token, "again").await, SetUpWith::Administered);
    assert_eq!(store.add_setup_token(Hash([5; 32]), 1000, note(1)).await.unwrap(), Changed::Already);
    let admins = store.users().await.unwrap();
    assert_eq!(admins.len(), 1);
    let disable = store.change_user(admins[0].id, UserEdit::Disable, note(2)).await.unwrap();
    assert_eq!(disable, Changed::LastAdmin);
}

/// What becomes of people, branches and secrets, and that each change is written down, and nothing else.
async fn administration(store: &Arc<dyn Store>, world: &World) {
    let mut entries = noted(store).await;
    let mut grown = async |by: usize| {
        let now = noted(store).await;
        assert_eq!(now, entries + by);
        entries = now;
    };
    let rename = async |id: BranchId, name: &str| {
        store.rename_branch(BranchInfo { id, name: name.into() }, note(9)).await.unwrap()
    };
    assert_eq!(rename(world.branch.id, "Sur").await, Changed::NameTaken);
    assert_eq!(rename(world.branch.id, "Norte").await, Changed::Already);
    assert_eq!(rename(BranchId(Uuid::now_v7()), "Este").await, Changed::Missing);
    grown(0).await;
    assert_eq!(rename(world.branch.id, "Este").await, Changed::Done);
    assert_eq!(rename(world.branch.id, "Norte").await, Changed::Done);
    grown(2).await;

    let change = async |id, edit| store.change_user(id, edit, note(10)).await.unwrap();
    let id = world.colleague.id;
    assert_eq!(change(id, UserEdit::Rename("Eva Nueva".into())).await, Changed::Done);
    assert_eq!(change(id, UserEdit::Rename("Eva Nueva".into())).await, Changed::Already);
    assert_eq!(change(id, UserEdit::Enable).await, Changed::Already);
    // Of two who do the same at once, one does it, and one entry says so.
    let (a, b) = tokio::join!(change(id, UserEdit::Disable), change(id, UserEdit::Disable));
    assert!([a, b].contains(&Changed::Done) && [a, b].contains(&Changed::Already), "{a:?} {b:?}");
    assert_eq!(change(id, UserEdit::Enable).await, Changed::Done);
    assert_eq!(change(id, UserEdit::Rename(world.colleague.name.clone())).await, Changed::Done);
    assert_eq!(store.user(id).await.unwrap().as_ref(), Some(&world.colleague));
    grown(4).await;

    // Of two administrators who disable each other at once, one stays.
    let second = somebody("admin2", Role::Admin);
    assert_eq!(store.add_user(second.clone(), note(10)).await.unwrap(), Added::Added);
    let admins: Vec<_> = store.users().await.unwrap();
    let first = admins.iter().find(|u| u.role == Role::Admin && u.id != second.id).unwrap().id;
    let (a, b) = tokio::join!(change(first, UserEdit::Disable), change(second.id, UserEdit::Disable));
    assert!([a, b].contains(&Changed::Done) && [a, b].contains(&Changed::LastAdmin), "{a:?} {b:?}");
    grown(2).await;
    for admin in [first, second.id] {
        change(admin, UserEdit::Enable).await;
    }
    change(second.id, UserEdit::Disable).await;
    grown(2).await;

    let mut service = somebody("sistema", Role::Service);
    service.scopes = vec![Scope::Predict];
    assert_eq!(store.add_user(service.clone(), note(10)).await.unwrap(), Added::Added);
    assert_eq!(store.user(service.id).await.unwrap().as_ref(), Some(&service));
    let granted = vec![Scope::Predict, Scope::HistoryRead];
    assert_eq!(change(service.id, UserEdit::Grant(granted.clone())).await, Changed::Done);
    assert_eq!(change(service.id, UserEdit::Grant(granted.clone())).await, Changed::Already);
    assert_eq!(store.user(service.id).await.unwrap().unwrap().scopes, granted);
    grown(2).await;
    let add = async |user: UserId, byte: u8| {
        let secret = NewSecret { id: SecretId(Uuid::now_v7()), user, hash: Hash([byte; 32]) };
        (secret.id, store.add_secret(secret, note(11)).await.unwrap())
    };
    assert_eq!(add(world.officer.id, 1).await.1, Changed::Missing, "people have none");
    let (one, added) = add(service.id, 1).await;
    assert_eq!(added, Changed::Done);
    // Of two who add the second at once, one does.
    let ((a, first), (b, second)) = tokio::join!(add(service.id, 2), add(service.id, 3));
    assert!([first, second].contains(&Changed::Done) && [first, second].contains(&Changed::TooMany));
    grown(2).await;
    let (two, byte) = if first == Changed::Done { (a, 2) } else { (b, 3) };
    let listed: Vec<_> =
        store.secrets().await.unwrap().into_iter().map(|(u, s)| (u, s.id, s.used_at)).collect();
    assert!(listed.contains(&(service.id, one, None)) && listed.contains(&(service.id, two, None)));
    let by_secret = async |byte: u8| store.user_by_secret(Hash([byte; 32]), 7_300_000).await.unwrap();
    assert_eq!(by_secret(1).await.unwrap().id, service.id);
    assert_eq!(by_secret(byte).await.unwrap().id, service.id);
    assert_eq!(by_secret(9).await, None);
    let used = store.secrets().await.unwrap();
    assert!(used.iter().all(|(_, secret)| secret.used_at == Some(7_200_000)), "{used:?}");
    let revoke = async |user, id| store.revoke_secret(user, id, note(12)).await.unwrap();
    assert_eq!(revoke(world.officer.id, one).await, Changed::Missing, "not this one's");
    grown(0).await;
    assert_eq!(revoke(service.id, one).await, Changed::Done);
    assert_eq!(revoke(service.id, one).await, Changed::Already);
    assert_eq!(by_secret(1).await, None);
    assert_eq!(add(service.id, 4).await.1, Changed::Done, "there is room again");
    grown(2).await;

    // Another password ends the sessions, whose tokens were hashed like this.
    open(store, &world.colleague, None, 190).await;
    assert_eq!(change(id, UserEdit::SetPassword("$argon2id$2".into())).await, Changed::Done);
    assert_eq!(store.user(id).await.unwrap().unwrap().password_hash, "$argon2id$2");
    let rotation = Rotation {
        presented: Hash([190; 32]),
        key: None,
        successor: Hash([191; 32]),
        now: 1001,
        expires: 9000,
        grace_ms: 100,
    };
    assert!(matches!(store.rotate(rotation).await.unwrap(), Rotated::Revoked));
    change(id, UserEdit::SetPassword(world.colleague.password_hash.clone())).await;
    grown(3).await;
}

/// The record of who did what is whole after all of the above, and many at once keep it so.
async fn audit(store: &Arc<dyn Store>) {
    let before = verify(store.as_ref(), None).await.unwrap();
    let writers = (0..16).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.note(note(20_000 + n)).await.unwrap() })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let after = verify(store.as_ref(), Some(before)).await.unwrap();
    assert_eq!(after.seq, before.seq + 16);
    let rows = store.audit(before.seq, 3).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq - before.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let deeds: Vec<AuditEntry> = store
        .audit(0, 100_000)
        .await
        .unwrap()
        .iter()
        .map(|row| serde_json::from_str(&row.text).unwrap())
        .collect();
    for of in ["SignedIn", "RefreshReused", "ModelPublished"] {
        assert!(deeds.iter().any(|entry| format!("{:?}", entry.deed).starts_with(of)), "{of}");
    }
    let elsewhere = ChainHead { seq: before.seq, hash: Hash([7; 32]) };
    let refused = verify(store.as_ref(), Some(elsewhere)).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("entry {}", before.seq)), "{refused}");
    let beyond = ChainHead { seq: after.seq + 1, hash: Hash([7; 32]) };
    assert!(verify(store.as_ref(), Some(beyond)).await.unwrap_err().to_string().contains("missing"));
}

struct World {
    branch: BranchInfo,
    other: BranchInfo,
    officer: UserRow,
    colleague: UserRow,
}

async fn people(store: &Arc<dyn Store>) -> World {
    let branch = |name: &str| BranchInfo { id: BranchId(Uuid::now_v7()), name: name.into() };
    let (north, south) = (branch("Norte"), branch("Sur"));
    assert_eq!(store.add_branch(south.clone(), note(1)).await.unwrap(), Added::Added);
    assert_eq!(store.add_branch(north.clone(), note(1)).await.unwrap(), Added::Added);
    assert_eq!(store.add_branch(branch("Norte"), note(1)).await.unwrap(), Added::NameTaken);
    assert_eq!(store.branches().await.unwrap(), [north.clone(), south.clone()]);
    let user = |username: &str, branch: Option<&BranchInfo>| UserRow {
        id: UserId(Uuid::now_v7()),
        username: username.into(),
        name: format!("Nombre {username}"),
        role: Role::Officer,
        branch: branch.cloned(),
        password_hash: "$argon2id$".into(),
        scopes: Vec::new(),
        disabled: false,
    };
    let (officer, colleague) = (user("Ana", Some(&north)), user("eva", Some(&north)));
    for row in [&officer, &colleague, &user("sola", None)] {
        assert_eq!(store.add_user(row.clone(), note(1)).await.unwrap(), Added::Added);
    }
    assert_eq!(store.add_user(user(" aNA", Some(&south)), note(1)).await.unwrap(), Added::NameTaken);
    assert_eq!(store.user_by_name("ANA ").await.unwrap().as_ref(), Some(&officer));
    assert_eq!(store.user(officer.id).await.unwrap().as_ref(), Some(&officer));
    assert_eq!(store.user_by_name("'; DROP TABLE users; --").await.unwrap(), None);
    assert_eq!(store.users().await.unwrap().len(), 4, "with the administrator");
    let colleagues = store.colleagues(north.id).await.unwrap();
    assert_eq!(colleagues.iter().map(|c| c.id).collect::<Vec<_>>(), [officer.id, colleague.id]);
    World { branch: north, other: south, officer, colleague }
}

async fn enrol(store: &Arc<dyn Store>, user: &UserRow, token: u8) -> DeviceId {
    let id = DeviceId(Uuid::now_v7());
    assert_eq!(open(store, user, Some(id), token).await, Opened::Opened);
    id
}

async fn open(store: &Arc<dyn Store>, user: &UserRow, device: Option<DeviceId>, token: u8) -> Opened {
    open_with(store, user, device, None, token).await
}

async fn open_with(
    store: &Arc<dyn Store>,
    user: &UserRow,
    device: Option<DeviceId>,
    key: Option<Thumbprint>,
    token: u8,
) -> Opened {
    let device = device.map(|id| DeviceInfo { id, name: "d".into(), platform: "linux".into() });
    let (family, token) = (Uuid::now_v7(), Hash([token; 32]));
    let session =
        NewSession { family, user: user.id, device, key, follows: None, token, now: 1000, expires: 9000 };
    store.open_session(session).await.unwrap()
}

/// A device shows a key once, and needs it from then on.
async fn keys_of_devices(store: &Arc<dyn Store>, world: &World) {
    let key = |name: &str| Some(Thumbprint(name.into()));
    let rotate = async |presented: u8, successor: u8, shown: Option<Thumbprint>| {
        let (presented, successor) = (Hash([presented; 32]), Hash([successor; 32]));
        let rotation =
            Rotation { presented, key: shown, successor, now: 1500, expires: 9000, grace_ms: 1000 };
        store.rotate(rotation).await.unwrap()
    };
    let device = DeviceId(Uuid::now_v7());
    let open = async |shown, token| open_with(store, &world.officer, Some(device), shown, token).await;
    assert_eq!(open(key("a"), 220).await, Opened::Opened);
    for other in [None, key("b")] {
        assert_eq!(open(other.clone(), 221).await, Opened::OtherKey);
        let refused = rotate(220, 222, other).await;
        assert!(matches!(refused, Rotated::OtherKey { user } if user == world.officer.id), "{refused:?}");
    }
    // Whoever was refused has ended nothing, and used nothing up.
    let Rotated::Exchanged { key: bound, again: false, .. } = rotate(220, 223, key("a")).await else {
        panic!()
    };
    assert_eq!(bound, key("a"));
    let lost = rotate(220, 223, key("b")).await;
    assert!(matches!(lost, Rotated::OtherKey { .. }), "nor is the answer repeated for another key: {lost:?}");
    assert!(matches!(rotate(220, 223, key("a")).await, Rotated::Exchanged { again: true, .. }));
    assert_eq!(open(key("a"), 224).await, Opened::Opened, "signed in again");

    // One from before devices had keys goes on without, until it shows one.
    let device = enrol(store, &world.officer, 230).await;
    let Rotated::Exchanged { key: None, .. } = rotate(230, 231, None).await else { panic!() };
    let Rotated::Exchanged { key: bound, .. } = rotate(231, 232, key("c")).await else { panic!() };
    assert_eq!(bound, key("c"));
    assert!(matches!(rotate(232, 233, None).await, Rotated::OtherKey { .. }));
    let shown = open_with(store, &world.officer, Some(device), key("d"), 234).await;
    assert_eq!(shown, Opened::OtherKey);
    // A session without a device has no key, whatever was shown.
    assert_eq!(open_with(store, &world.officer, None, None, 235).await, Opened::Opened);
    let Rotated::Exchanged { key: None, .. } = rotate(235, 236, key("c")).await else { panic!() };
}

async fn sessions(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 1).await;
    assert_eq!(open(store, &world.colleague, Some(device), 2).await, Opened::DeviceOfAnother);
    assert_eq!(store.device_owner(device).await.unwrap(), Some(world.officer.id));
    assert_eq!(store.device_owner(DeviceId(Uuid::now_v7())).await.unwrap(), None);
    assert_eq!(open(store, &world.colleague, None, 3).await, Opened::Opened);
    keys_of_devices(store, world).await;
    let rotate = async |presented: u8, successor: u8, now: Millis| {
        let rotation = Rotation {
            presented: Hash([presented; 32]),
            key: None,
            successor: Hash([successor; 32]),
            now,
            expires: now + 8000,
            grace_ms: 100,
        };
        store.rotate(rotation).await.unwrap()
    };
    assert!(matches!(rotate(2, 9, 2000).await, Rotated::Unknown), "a refused session leaves no token");
    match rotate(1, 11, 2000).await {
        Rotated::Exchanged { user, device: d, key: None, again: false, escrow: None } => {
            assert_eq!((user.id, d), (world.officer.id, Some(device)));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(rotate(1, 11, 2100).await, Rotated::Exchanged { again: true, .. }));
    assert!(matches!(rotate(1, 11, 2101).await, Rotated::Reused { .. }), "beyond the grace time");
    assert!(matches!(rotate(11, 12, 2102).await, Rotated::Revoked), "the whole family");
    assert!(matches!(rotate(3, 31, 9000).await, Rotated::Unknown), "too old");
    enrol(store, &world.officer, 4).await;
    store.close_session(Hash([4; 32]), 3000).await.unwrap();
    store.close_session(Hash([99; 32]), 3000).await.unwrap();
    assert!(matches!(rotate(4, 41, 3001).await, Rotated::Revoked));
    let gone = store.user_by_name("sola").await.unwrap().unwrap();
    enrol(store, &gone, 5).await;
    let disable = async |id| store.change_user(id, UserEdit::Disable, note(4000)).await.unwrap();
    assert_eq!(disable(gone.id).await, Changed::Done);
    assert_eq!(disable(gone.id).await, Changed::Already);
    assert_eq!(disable(UserId(Uuid::now_v7())).await, Changed::Missing);
    assert!(store.user(gone.id).await.unwrap().unwrap().disabled);
    // Its device delivers what was captured, and that is not prolonged.
    let escrow = rotate(5, 51, 4001).await;
    assert!(matches!(escrow, Rotated::Exchanged { escrow: Some(Ended::UserDisabled), .. }), "{escrow:?}");
    assert!(matches!(rotate(51, 52, 9001).await, Rotated::Unknown));
    open(store, &world.officer, None, 6).await;
    assert!(matches!(rotate(6, 61, 4001).await, Rotated::Exchanged { escrow: None, .. }));

    let lost = enrol(store, &world.officer, 70).await;
    assert_eq!(store.revoke_device(lost, note(5000)).await.unwrap(), Changed::Done);
    assert_eq!(store.revoke_device(lost, note(6000)).await.unwrap(), Changed::Already);
    let nobodys = DeviceId(Uuid::now_v7());
    assert_eq!(store.revoke_device(nobodys, note(5000)).await.unwrap(), Changed::Missing);
    let row = store.device(lost).await.unwrap().unwrap();
    assert_eq!((row.user, row.revoked_at, row.events), (world.officer.id, Some(5000), 0));
    let escrow = rotate(70, 71, 5001).await;
    assert!(matches!(escrow, Rotated::Exchanged { escrow: Some(Ended::DeviceRevoked), .. }), "{escrow:?}");
    assert_eq!(open(store, &world.officer, Some(lost), 72).await, Opened::DeviceRevoked);
    // One that goes on from it is as revoked as it was.
    let next = DeviceId(Uuid::now_v7());
    let (family, token) = (Uuid::now_v7(), Hash([73; 32]));
    let device = Some(DeviceInfo { id: next, name: "n".into(), platform: "linux".into() });
    let user = world.officer.id;
    let fork = NewSession {
        family,
        user,
        device,
        key: None,
        follows: Some(lost),
        token,
        now: 5002,
        expires: 90_000,
    };
    assert_eq!(store.open_session(fork).await.unwrap(), Opened::Opened);
    let row = store.device(next).await.unwrap().unwrap();
    assert_eq!((row.follows, row.revoked_at), (Some(lost), Some(5000)));
    assert!(matches!(rotate(73, 74, 9001).await, Rotated::Unknown), "nor does it last any longer");
    for (at, seen) in [(5010, 5010), (5009, 5010)] {
        store.device_heard(next, at).await.unwrap();
        assert_eq!(store.device(next).await.unwrap().unwrap().seen_at, seen, "the last time");
    }
    // What a fork left behind and who was revoked are not waited for.
    let heard = store.devices_heard(vec![Millis::MAX, Millis::MIN]).await.unwrap();
    let all = store.devices(None).await.unwrap();
    let users = store.users().await.unwrap();
    let waited_for = |d: &&vereda_domain::api::Device| {
        let disabled = users.iter().any(|user| user.id == d.user && user.disabled);
        d.revoked_at.is_none() && !disabled && !all.iter().any(|next| next.follows == Some(d.id))
    };
    let expected = all.iter().filter(waited_for);
    assert_eq!(heard, [0, expected.count() as u64]);
    assert!(heard[1] > 0 && heard[1] < all.len() as u64);
    let listed = store.devices(world.officer.branch.as_ref().map(|b| b.id)).await.unwrap();
    assert!(listed.iter().any(|d| d.id == next) && listed.iter().any(|d| d.id == lost));
    assert!(store.devices(Some(BranchId(Uuid::now_v7()))).await.unwrap().is_empty());
}

fn captured(
    user: &UserRow,
    branch: &BranchInfo,
    device: DeviceId,
    head: ChainHead,
    client: ClientId,
) -> Sealed {
    let at = 1_790_000_000_000 + i64::try_from(head.seq).unwrap();
    Sealed::seal(Event {
        device,
        seq: head.seq + 1,
        prev: head.hash,
        hlc: Hlc { wall: at, counter: 0, node: device },
        at,
        actor: user.id,
        branch: branch.id,
        body: EventBody::ClientCaptured {
            client,
            fields: Default::default(),
            consent: Consent { at, text_version: "1".into() },
        },
    })
    .unwrap()
}

fn row(event: &Sealed, outcome: EventOutcome) -> NewEvent {
    NewEvent {
        seq: event.event.seq,
        hash: event.hash,
        text: event.text.clone(),
        outcome,
        key: Some(event.event.body.key()),
        waits_for: None,
        rank: Rank::Officer,
    }
}

/// A push of one capture, as decided on at this snapshot.
fn push_of(user: &UserRow, branch: &BranchInfo, snapshot: &Snapshot, event: &Sealed) -> Append {
    let record = fold(None, &event.event, Rank::Officer).unwrap();
    let client = event.event.body.client();
    Append {
        branch: branch.id,
        branch_seq: snapshot.branch_seq,
        device: event.event.device,
        head: snapshot.head,
        events: vec![row(event, EventOutcome::Stored)],
        settled: Vec::new(),
        records: vec![RecordRow { record, owner: user.id, client }],
        reassigned: Vec::new(),
        history: Vec::new(),
        now: 5000,
        drift_ms: -3,
    }
}

async fn snapshot(
    store: &Arc<dyn Store>,
    branch: &BranchInfo,
    device: DeviceId,
    keys: &[RecordKey],
) -> Snapshot {
    store.snapshot(branch.id, device, 1, 100, keys.to_vec()).await.unwrap()
}

async fn chains(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 20).await;
    assert_eq!(store.head(device).await.unwrap(), ChainHead::EMPTY);
    assert_eq!(store.head(DeviceId(Uuid::now_v7())).await.unwrap(), ChainHead::EMPTY);
    let client = ClientId(Uuid::now_v7());
    let before = snapshot(store, &world.branch, device, &[RecordKey::Client(client)]).await;
    assert!(before.records.is_empty() && before.stored.is_empty());
    let event = captured(&world.officer, &world.branch, device, ChainHead::EMPTY, client);
    let push = push_of(&world.officer, &world.branch, &before, &event);
    assert_eq!(store.append(push.clone()).await.unwrap(), Appended::Done);
    assert_eq!(store.append(push).await.unwrap(), Appended::Stale, "the branch has moved on");
    let after = snapshot(store, &world.branch, device, &[RecordKey::Client(client)]).await;
    assert_eq!(after.head, ChainHead { seq: 1, hash: event.hash });
    assert!(after.branch_seq > before.branch_seq);
    assert_eq!(after.stored, [StoredEvent { seq: 1, hash: event.hash, outcome: EventOutcome::Stored }]);
    assert_eq!(after.records.len(), 1);
    // A wrong end of the chain, at a right sequence.
    let second = captured(&world.officer, &world.branch, device, after.head, client);
    let mut wrong = push_of(&world.officer, &world.branch, &after, &second);
    wrong.head = ChainHead::EMPTY;
    assert_eq!(store.append(wrong).await.unwrap(), Appended::Stale);
    // A record of another branch under the same id stays what it is, and nothing else is written.
    let south = snapshot(store, &world.other, device, &[]).await;
    let stolen = push_of(&world.officer, &world.other, &south, &second);
    assert!(store.append(stolen).await.is_err());
    assert_eq!(store.head(device).await.unwrap(), after.head);
    let pull = |branch, cursor| changes_of(branch, cursor, 10);
    let page = store.pull(pull(world.branch.id, 0)).await.unwrap();
    assert_eq!((page.changes.len(), page.more, page.cursor), (1, false, after.branch_seq));
    assert!(store.pull(pull(world.branch.id, page.cursor)).await.unwrap().changes.is_empty());
    assert!(store.pull(pull(world.other.id, 0)).await.unwrap().changes.is_empty());
}

async fn waiting(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 21).await;
    let (client, assessment) = (ClientId(Uuid::now_v7()), AssessmentId(Uuid::now_v7()));
    let (missing, further) = (RecordKey::Client(client), RecordKey::Assessment(assessment));
    let held = |reason| EventOutcome::Quarantined { reason, detail: "d".into() };
    let before = snapshot(store, &world.branch, device, &[missing]).await;
    let first = captured(&world.officer, &world.branch, device, ChainHead::EMPTY, client);
    let second =
        captured(&world.officer, &world.branch, device, ChainHead { seq: 1, hash: first.hash }, client);
    let mut push = push_of(&world.officer, &world.branch, &before, &first);
    push.records.clear();
    push.events = vec![
        NewEvent {
            waits_for: Some(missing),
            key: Some(further),
            ..row(&first, held(QuarantineReason::UnknownRecord))
        },
        NewEvent {
            waits_for: Some(further),
            rank: Rank::Manager,
            ..row(&second, held(QuarantineReason::UnknownRecord))
        },
    ];
    assert_eq!(store.append(push).await.unwrap(), Appended::Done);
    let after = snapshot(store, &world.branch, device, &[missing]).await;
    assert!(after.branch_seq > before.branch_seq, "others must notice that something waits");
    let mut found: Vec<_> = after.waiting.iter().map(|w| (w.seq, w.waits_for, w.rank)).collect();
    found.sort_by_key(|(seq, ..)| *seq);
    assert_eq!(found, [(1, missing, Rank::Officer), (2, further, Rank::Manager)], "and what waits for that");
    let third = captured(&world.officer, &world.branch, device, after.head, client);
    let mut push = push_of(&world.officer, &world.branch, &after, &third);
    push.settled = vec![(device, 1, EventOutcome::Stored), (device, 2, held(QuarantineReason::Malformed))];
    assert_eq!(store.append(push).await.unwrap(), Appended::Done);
    let done = snapshot(store, &world.branch, device, &[missing]).await;
    assert!(done.waiting.is_empty());
    let outcomes: Vec<_> = done.stored.iter().map(|e| e.outcome.clone()).collect();
    assert_eq!(outcomes, [EventOutcome::Stored, held(QuarantineReason::Malformed), EventOutcome::Stored]);
}

async fn portfolios(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 22).await;
    let client = ClientId(Uuid::now_v7());
    let before = snapshot(store, &world.branch, device, &[]).await;
    let event = captured(&world.officer, &world.branch, device, ChainHead::EMPTY, client);
    store.append(push_of(&world.officer, &world.branch, &before, &event)).await.unwrap();
    let pull = async |owner: UserId| {
        let query = PullQuery { owner: Some(owner), ..changes_of(world.branch.id, before.branch_seq, 50) };
        read(store.pull(query).await.unwrap().changes)
    };
    assert!(matches!(pull(world.officer.id).await[..], [Change::State { .. }]));
    assert!(pull(world.colleague.id).await.is_empty());
    let (officer, colleague) = (world.officer.id, world.colleague.id);
    for (from, to) in [(officer, colleague), (colleague, officer), (officer, colleague)] {
        let now = snapshot(store, &world.branch, device, &[]).await;
        let next = captured(&world.officer, &world.branch, device, now.head, client);
        let mut push = push_of(&world.officer, &world.branch, &now, &next);
        push.records.clear();
        push.reassigned = vec![Reassigned { client, from, to }];
        assert_eq!(store.append(push).await.unwrap(), Appended::Done);
        let key = RecordKey::Client(client);
        assert_eq!(pull(from).await, [Change::Purge { key, erased: false }]);
        assert!(
            matches!(&pull(to).await[..], [Change::State { record: Record::Client(c) }] if c.id == client)
        );
        // A device that forked has records, and begins anew: it hears of what left as well, in the end.
        let all = async |owner| {
            let (branch, owner) = (world.branch.id, Some(owner));
            let query = PortfolioQuery { branch, owner, after: None, seen: 0, limit: 500, count: true };
            let page = store.portfolio(query).await.unwrap();
            assert_eq!((page.more, page.remaining), (false, Some(0)));
            read(page.changes)
        };
        assert_eq!(all(from).await.last(), Some(&Change::Purge { key, erased: false }));
        let theirs = all(to).await;
        let here = |change: &Change| matches!(change, Change::State { record } if record.key() == key);
        assert!(theirs.iter().any(here) && !theirs.contains(&Change::Purge { key, erased: false }));
    }
}

/// A new device gets everybody with their last assessment first, by the clocks and not by when they arrived, and then
/// the others: together all of it, whatever comes in between.
async fn earlier_assessments(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 23).await;
    for (base, owner) in [(9_500, None), (9_600, Some(world.officer.id))] {
        let [ana, luis] = [base + 50, base + 51].map(|n| ClientId(Uuid::from_u128(n)));
        for client in [ana, luis] {
            let now = snapshot(store, &world.branch, device, &[]).await;
            let event = captured(&world.officer, &world.branch, device, now.head, client);
            store.append(push_of(&world.officer, &world.branch, &now, &event)).await.unwrap();
        }
        let before = snapshot(store, &world.branch, device, &[]).await.branch_seq;
        let assess = async |client: ClientId, n: u128, wall: Millis| {
            let now = snapshot(store, &world.branch, device, &[]).await;
            let event = captured(&world.officer, &world.branch, device, now.head, client);
            let mut push = push_of(&world.officer, &world.branch, &now, &event);
            let hlc = Hlc { wall, counter: 0, node: device };
            let record = assessment(AssessmentId(Uuid::from_u128(base + n)), client, world, hlc);
            push.records = vec![RecordRow { record, owner: world.officer.id, client }];
            assert_eq!(store.append(push).await.unwrap(), Appended::Done);
        };
        let pull = async |earlier, until, cursor, limit| {
            let all = changes_of(world.branch.id, cursor, limit);
            store.pull(PullQuery { owner, count: true, until, earlier, ..all }).await.unwrap()
        };
        let portfolio = async |after, limit| {
            let query = PortfolioQuery { branch: world.branch.id, owner, after, seen: 0, limit, count: true };
            store.portfolio(query).await.unwrap()
        };
        // Of what else is in the portfolio nothing is looked at here.
        let numbers = |page: PullPage| -> Vec<u128> {
            let number = |change| match change {
                Change::State { record: Record::Assessment(one) } => {
                    one.assessment.id.0.as_u128().checked_sub(base)
                }
                _ => None,
            };
            read(page.changes).into_iter().filter_map(number).filter(|n| *n < 50).collect()
        };
        // Ana's number 3 is the last, though 4 arrives after it.
        for (client, n, wall) in [(ana, 1, 1_000), (luis, 2, 1_500), (ana, 3, 3_000), (ana, 4, 2_000)] {
            assess(client, n, wall).await;
        }
        assert_eq!(numbers(pull(false, None, before, 50).await), [1, 2, 3, 4]);
        assert_eq!(numbers(portfolio(None, 500).await), [2, 3]);
        // Page by page; between two of them Luis is assessed again.
        let mut page = portfolio(None, 1).await;
        let (since, all) = (page.cursor, 1 + page.remaining.unwrap());
        assert!(page.more && page.next.is_some());
        let mut seen = 0;
        let next = loop {
            seen += 1;
            assert_eq!((page.changes.len(), page.remaining), (1, Some(all - seen)), "{:?}", page.next);
            let next = page.next;
            if numbers(page) == [2] {
                break next;
            }
            page = portfolio(next, 1).await;
        };
        assess(luis, 5, 4_000).await;
        let last = portfolio(next, 500).await;
        assert_eq!((last.remaining, last.more, last.next), (Some(0), false, None));
        assert!(last.cursor > since);
        assert_eq!(numbers(last), [3, 5]);
        // What changed after the first page began is told as ever; 5 comes again, which harms nobody.
        assess(luis, 6, 5_000).await;
        let page = pull(true, Some(since), before, 1).await;
        assert_eq!((page.remaining, page.more), (Some(2), true));
        let rest = pull(true, Some(since), page.cursor, 50).await;
        assert_eq!((rest.cursor, rest.more), (since, false));
        assert_eq!([numbers(page), numbers(rest)].concat(), [1, 2, 4]);
        assert_eq!(numbers(pull(false, None, since, 50).await), [5, 6]);
        let up_to = pull(false, Some(since), before, 50).await;
        assert_eq!((up_to.cursor, numbers(up_to)), (since, vec![1, 2, 3, 4]));
    }
}

fn assessment(id: AssessmentId, client: ClientId, world: &World, hlc: Hlc) -> Record {
    let score = RecordedScore {
        margin: 0.5,
        margin_bits: "0".repeat(16),
        probability: 0.5,
        group: Group::T4,
        bias: 0.0,
        contributions: Vec::new(),
        reasons: Vec::new(),
    };
    let model = ModelRef { id: "m".into(), version: 1, sha256: "0".repeat(64) };
    Record::Assessment(AssessmentRecord {
        assessment: Assessment { id, client, model, inputs: Default::default(), score },
        branch: world.branch.id,
        officer: world.officer.id,
        hlc,
        at: 7,
        decisions: Default::default(),
        rescore: None,
    })
}

/// A client who was erased: at once from everything that is asked for, in steps from the events.
async fn erasures(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 95).await;
    let (client, other) = (ClientId(Uuid::from_u128(9_100)), ClientId(Uuid::from_u128(9_101)));
    let key = RecordKey::Client(client);
    let mut hashes = Vec::new();
    for of in [client, other, client] {
        let now = snapshot(store, &world.branch, device, &[]).await;
        let event = captured(&world.officer, &world.branch, device, now.head, of);
        hashes.push(event.hash);
        assert_eq!(
            store.append(push_of(&world.officer, &world.branch, &now, &event)).await.unwrap(),
            Appended::Done
        );
    }
    // One more, kept aside, whose reason quotes it.
    let before = snapshot(store, &world.branch, device, &[key]).await;
    let event = captured(&world.officer, &world.branch, device, before.head, client);
    let mut push = push_of(&world.officer, &world.branch, &before, &event);
    let quoting = EventOutcome::Quarantined { reason: QuarantineReason::Malformed, detail: "Peña".into() };
    push.events = vec![NewEvent { waits_for: Some(key), ..row(&event, quoting) }];
    push.records.clear();
    let mut mine = entry(9_200, world.officer.id, Some(world.branch.id), Group::T3);
    (mine.client, mine.client_ref) = (Some(client), None);
    push.history = vec![new(7_000, mine.clone())];
    assert_eq!(store.append(push).await.unwrap(), Appended::Done);
    let file = FileKey { client, sha256: Hash::of(b"abc") };
    store.add_piece(file, 0, b"abc".to_vec()).await.unwrap();
    assert_eq!(store.client_records(client).await.unwrap().len(), 1);

    let erase = |client, branch| Erase { client, branch, by: Doer::CommandLine, now: 8_000 };
    let noted_before = noted(store).await;
    for (client, branch) in [(ClientId(Uuid::now_v7()), None), (client, Some(world.other.id))] {
        assert_eq!(store.erase(erase(client, branch)).await.unwrap(), None);
    }
    let stale = snapshot(store, &world.branch, device, &[key]).await;
    let (one, two) =
        tokio::join!(store.erase(erase(client, Some(world.branch.id))), store.erase(erase(client, None)));
    let erased = one.unwrap().unwrap();
    assert_eq!(two.unwrap().as_ref(), Some(&erased), "once");
    assert_eq!((erased.client, erased.branch, erased.erased_at), (client, world.branch.id, 8_000));
    assert_eq!(noted(store).await, noted_before + 1);
    let written = store.audit(0, 100_000).await.unwrap().pop().unwrap().text;
    assert!(written.contains("client_erased") && written.contains(&client.to_string()), "{written}");

    assert!(store.client_record(client).await.unwrap().is_none());
    assert!(store.client_records(client).await.unwrap().is_empty());
    assert!(store.client_record(other).await.unwrap().is_some());
    assert_eq!(store.file(file).await.unwrap(), FileState::default());
    assert!(store.file_bytes(file).await.unwrap().is_empty());
    // A piece that was on its way.
    assert_eq!(store.add_piece(file, 0, b"abc".to_vec()).await.unwrap(), FileState::default());
    assert!(store.file_bytes(file).await.unwrap().is_empty());
    let kept = store.history_entry(mine.id, HistoryScope::All).await.unwrap().unwrap();
    assert_eq!(
        (kept.client, kept.probability.to_bits(), kept.margin.to_bits()),
        (None, mine.probability.to_bits(), mine.margin.to_bits())
    );
    let now = snapshot(store, &world.branch, device, &[key, RecordKey::Client(other)]).await;
    assert_eq!(now.erased, [client].into());
    assert_eq!(now.records.len(), 1);
    // Whoever decided on what there was before decides anew.
    let late = captured(&world.officer, &world.branch, device, stale.head, client);
    assert_eq!(
        store.append(push_of(&world.officer, &world.branch, &stale, &late)).await.unwrap(),
        Appended::Stale
    );
    for owner in [None, Some(world.officer.id)] {
        let query = PullQuery { owner, count: true, ..changes_of(world.branch.id, stale.branch_seq, 9) };
        let page = store.pull(query).await.unwrap();
        assert_eq!(read(page.changes), [Change::Purge { key, erased: true }]);
    }

    let mut steps = 0;
    let done = loop {
        steps += 1;
        match store.sweep(2, 9_000).await.unwrap() {
            Swept::Nothing => panic!("it is not done"),
            Swept::More => {}
            Swept::Done(erasure) => break erasure,
        }
    };
    assert!(steps > 1, "{steps}");
    assert_eq!((done.client, done.swept_at, done.events), (client, Some(9_000), 3));
    assert_eq!(store.sweep(2, 9_000).await.unwrap(), Swept::Nothing);
    assert_eq!(store.erasures(Some(world.branch.id), 9).await.unwrap(), std::slice::from_ref(&done));
    assert_eq!(store.erasures(None, 9).await.unwrap(), [done]);
    assert!(store.erasures(Some(world.other.id), 9).await.unwrap().is_empty());
    // The chain is what it was; what quoted is gone; nothing waits.
    let swept = snapshot(store, &world.branch, device, &[key]).await;
    assert_eq!(swept.head, ChainHead { seq: 4, hash: event.hash });
    assert_eq!(swept.stored.iter().take(3).map(|e| e.hash).collect::<Vec<_>>(), hashes);
    let aside = EventOutcome::Quarantined { reason: QuarantineReason::Erased, detail: ERASED_DETAIL.into() };
    let outcomes: Vec<_> = swept.stored.iter().map(|e| e.outcome.clone()).collect();
    assert_eq!(outcomes, [EventOutcome::Stored, EventOutcome::Stored, EventOutcome::Stored, aside]);
    assert!(swept.waiting.is_empty());

    // A name that a service gave: its scores lose it, another's keep theirs.
    for (n, officer) in [(9_300, world.officer.id), (9_301, world.officer.id), (9_302, world.colleague.id)] {
        let named = HistoryEntry {
            client: None,
            client_ref: Some("cédula 77".into()),
            ..entry(n, officer, None, Group::T1)
        };
        store.add_history(&[new(7_000, named)], 7_000).await.unwrap();
    }
    let of = RefToForget {
        service: world.officer.id,
        client_ref: "cédula 77".into(),
        by: Doer::CommandLine,
        now: 9_000,
    };
    assert_eq!(store.forget_client_ref(of.clone()).await.unwrap(), 2);
    assert_eq!(store.forget_client_ref(of).await.unwrap(), 0);
    for (n, name) in [(9_300, None), (9_301, None), (9_302, Some("cédula 77"))] {
        let entry = store.history_entry(AssessmentId(Uuid::from_u128(n)), HistoryScope::All).await.unwrap();
        assert_eq!(entry.unwrap().client_ref.as_deref(), name);
    }
}

/// Pieces are added where the file ends, once, until it is whole.
async fn files(store: &Arc<dyn Store>, world: &World) {
    let device = enrol(store, &world.officer, 90).await;
    let client = ClientId(Uuid::from_u128(9_000));
    assert!(store.client_record(client).await.unwrap().is_none());
    let now = snapshot(store, &world.branch, device, &[]).await;
    let event = captured(&world.officer, &world.branch, device, now.head, client);
    let push = push_of(&world.officer, &world.branch, &now, &event);
    assert_eq!(store.append(push).await.unwrap(), Appended::Done);
    assert_eq!(store.client_record(client).await.unwrap().unwrap().officer, world.officer.id);

    let file = FileKey { client, sha256: Hash::of(b"abcdef") };
    let other = FileKey { client: ClientId(Uuid::from_u128(9_001)), ..file };
    let end = snapshot(store, &world.branch, device, &[]).await.branch_seq;
    let none = FileState::default();
    let at = |received| FileState { received, whole: false, end };
    assert_eq!(store.file(file).await.unwrap(), none);
    assert_eq!(store.add_piece(file, 3, b"def".to_vec()).await.unwrap().received, 0);
    assert_eq!(store.add_piece(file, 0, b"abc".to_vec()).await.unwrap().received, 3);
    assert_eq!(store.file(file).await.unwrap(), at(3));
    assert_eq!(store.add_piece(file, 0, b"xyz".to_vec()).await.unwrap(), at(3));
    let (one, two) =
        tokio::join!(store.add_piece(file, 3, b"def".to_vec()), store.add_piece(file, 3, b"def".to_vec()));
    assert_eq!((one.unwrap().received, two.unwrap().received), (6, 6));
    assert_eq!(store.file_bytes(file).await.unwrap(), b"abcdef");
    assert_eq!(store.file_bytes(other).await.unwrap(), b"");
    // Thrown away, sent again, found whole: then it stays.
    store.discard_file(file).await.unwrap();
    assert_eq!((store.file(file).await.unwrap(), store.file_bytes(file).await.unwrap()), (none, Vec::new()));
    store.add_piece(file, 0, b"abcdef".to_vec()).await.unwrap();
    // What is whole has a place of its own, once.
    let whole = FileState { received: 6, whole: true, end: end + 1 };
    for at in [7, 8] {
        assert_eq!(store.finish_file(file, at).await.unwrap(), whole);
    }
    assert_eq!(snapshot(store, &world.branch, device, &[]).await.branch_seq, end + 1);
    assert_eq!(store.finish_file(other, 7).await.unwrap(), none);
    store.discard_file(file).await.unwrap();
    assert_eq!(store.file(file).await.unwrap(), whole);
    assert_eq!(store.add_piece(file, 6, b"more".to_vec()).await.unwrap(), whole);
    assert_eq!(store.file_bytes(file).await.unwrap(), b"abcdef");
}

/// 64 writers and 64 readers of one branch: nobody ever skips a change, and nothing is written twice.
async fn concurrent_appends(store: &Arc<dyn Store>, world: &World) {
    const WRITERS: u8 = 64;
    const READERS: usize = 64;
    const EACH: usize = 4;
    let query = |cursor, limit| changes_of(world.branch.id, cursor, limit);
    let before = all_clients(store.pull(query(0, 1000)).await.unwrap().changes);
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        let (store, user, branch) = (store.clone(), world.officer.clone(), world.branch.clone());
        let device = enrol(&store, &user, 100 + n).await;
        writers.push(tokio::spawn(async move {
            let mut made = Vec::new();
            while made.len() < EACH {
                let now = snapshot(&store, &branch, device, &[]).await;
                let client = ClientId(Uuid::now_v7());
                let event = captured(&user, &branch, device, now.head, client);
                if store.append(push_of(&user, &branch, &now, &event)).await.unwrap() == Appended::Done {
                    made.push(client);
                }
            }
            made
        }));
    }
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut readers = Vec::new();
    for n in 0..READERS {
        let (store, stop) = (store.clone(), stop.clone());
        let branch = world.branch.id;
        readers.push(tokio::spawn(async move {
            let (mut cursor, mut seen) = (0, std::collections::BTreeSet::new());
            loop {
                // Asked before the page: what was written by then must be in the pages that follow.
                let last = stop.load(std::sync::atomic::Ordering::SeqCst);
                let limit = 1 + u32::try_from(n % 9).unwrap();
                let page = store.pull(changes_of(branch, cursor, limit)).await.unwrap();
                assert!(page.cursor >= cursor);
                cursor = page.cursor;
                seen.extend(all_clients(page.changes));
                if last && !page.more {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut all = before;
    for writer in writers {
        all.extend(writer.await.unwrap());
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), all);
    }
    let first = store.pull(PullQuery { count: true, ..query(0, 10) }).await.unwrap();
    let page = store.pull(query(first.cursor, 1000)).await.unwrap();
    assert_eq!((first.remaining, page.remaining), (Some(page.changes.len() as u64), None));
    let rows = read(store.pull(query(0, 1000)).await.unwrap().changes);
    let clients =
        rows.iter().filter(|row| matches!(row, Change::State { record: Record::Client(_) })).count();
    assert_eq!(clients, all.len(), "each once");
}

/// A server that starts leaps over places that a history which was lost may have given out, so that whoever was told
/// of one of them is told apart from then on.
async fn leaps(store: &Arc<dyn Store>, world: &World) {
    let (user, branch) = (&world.colleague, &world.other);
    let device = enrol(store, user, 240).await;
    let add = async |now: &Snapshot| {
        let event = captured(user, branch, device, now.head, ClientId(Uuid::now_v7()));
        store.append(push_of(user, branch, now, &event)).await.unwrap()
    };
    let stands = async || snapshot(store, branch, device, &[]).await;
    let pull = async |cursor, seen| {
        store.pull(PullQuery { seen, ..changes_of(branch.id, cursor, 100) }).await.unwrap()
    };
    let portfolio = async |seen| {
        let query =
            PortfolioQuery { branch: branch.id, owner: None, after: None, seen, limit: 100, count: true };
        store.portfolio(query).await.unwrap()
    };
    // Said as a cursor, besides one that holds, and where a portfolio is asked for.
    let all_say = async |place, anew: bool| {
        for page in [pull(place, 0).await, pull(0, place).await, portfolio(place).await] {
            assert_eq!(page.anew, anew, "{place}");
            if anew {
                assert_eq!((page.changes.len(), page.cursor, page.more), (0, 0, true));
            }
        }
    };
    assert_eq!(add(&stands().await).await, Appended::Done);
    let before = stands().await;
    let first = before.branch_seq;
    all_say(first, false).await;
    all_say(first + 1, true).await;

    let to = first + 1_000_000;
    store.leap(Leap { to, or_by: 500 }).await.unwrap();
    assert_eq!(stands().await.branch_seq, to);
    assert_eq!(add(&before).await, Appended::Stale, "whoever decided before decides anew");
    let page = pull(first, first).await;
    assert_eq!((page.changes.len(), page.cursor, page.end, page.more), (0, to, to, false));
    for (place, anew) in [(first, false), (first + 1, true), (to - 1, true), (to, false), (to + 1, true)] {
        all_say(place, anew).await;
    }
    assert_eq!(add(&stands().await).await, Appended::Done);
    let second = stands().await.branch_seq;
    assert!(second > to);
    assert_eq!((pull(to, to).await.changes.len(), pull(to, to).await.cursor), (1, second));

    // With a clock that was set back; and from where nothing changed in between.
    for end in [second, second + 500] {
        store.leap(Leap { to, or_by: 500 }).await.unwrap();
        for (place, anew) in [(end, false), (end + 1, true), (end + 499, true), (end + 500, false)] {
            all_say(place, anew).await;
        }
    }
    for (place, anew) in [(first, false), (first + 1, true), (to - 1, true), (to, false), (second, false)] {
        all_say(place, anew).await;
    }
    assert_eq!(add(&stands().await).await, Appended::Done);
    assert_eq!(pull(second, second).await.changes.len(), 1);
    let everything = pull(0, 0).await.changes.len();
    assert_eq!(portfolio(second).await.changes.len(), everything);
}

/// All changes of a branch, whoever's.
fn changes_of(branch: BranchId, cursor: u64, limit: u32) -> PullQuery {
    PullQuery { branch, owner: None, cursor, seen: 0, limit, count: false, until: None, earlier: false }
}

fn read(changes: Vec<PageChange>) -> Vec<Change> {
    changes.iter().map(|change| change.read().unwrap()).collect()
}

fn all_clients(changes: Vec<PageChange>) -> std::collections::BTreeSet<ClientId> {
    read(changes)
        .into_iter()
        .filter_map(|change| match change {
            Change::State { record: Record::Client(record) } => Some(record.id),
            _ => None,
        })
        .collect()
}

async fn models(store: &Arc<dyn Store>) {
    let model = |version: u32, bytes: &[u8]| NewModel {
        manifest: ModelManifest {
            id: "m".into(),
            version,
            sha256: Hash::of(bytes).to_string(),
            bytes: u64::try_from(bytes.len()).unwrap(),
            published_at: 7,
            published_by: "Ana".into(),
        },
        bytes: bytes.to_vec(),
        by: Doer::CommandLine,
    };
    assert_eq!(store.current_model().await.unwrap(), None);
    let first = model(3, b"three");
    assert_eq!(store.publish_model(first.clone()).await.unwrap(), Published::New(first.manifest.clone()));
    assert_eq!(store.publish_model(first.clone()).await.unwrap(), Published::Already(first.manifest.clone()));
    for version in [1, 3] {
        let other = store.publish_model(model(version, b"other")).await.unwrap();
        assert_eq!(other, Published::NotAbove { newest: 3 });
    }
    let second = model(5, b"five");
    assert!(matches!(store.publish_model(second.clone()).await.unwrap(), Published::New(_)));
    assert_eq!(store.current_model().await.unwrap().as_ref(), Some(&second.manifest));
    assert_eq!(store.models().await.unwrap(), [second.manifest, first.manifest.clone()]);
    assert_eq!(store.model_bytes(3).await.unwrap(), Some((first.manifest, b"three".to_vec())));
    assert_eq!(store.model_bytes(4).await.unwrap(), None);
}

/// A score like any other: odd and even ones are of different clients and models.
fn new(scored_ms: Millis, entry: HistoryEntry) -> NewScore {
    NewScore { scored_ms, entry, places: None }
}

fn entry(n: u128, officer: UserId, branch: Option<BranchId>, group: Group) -> HistoryEntry {
    HistoryEntry {
        id: AssessmentId(Uuid::from_u128(n)),
        source: Source::Api,
        client: Some(ClientId(Uuid::from_u128(n % 2))),
        client_ref: Some(format!("r{}", n % 3)),
        officer,
        branch,
        model: ModelRef { id: "m".into(), version: u32::try_from(n % 2).unwrap(), sha256: "0".repeat(64) },
        inputs: Default::default(),
        margin: 0.1 + 0.2,
        margin_bits: "x".into(),
        probability: 0.5,
        group,
        reasons: Vec::new(),
        decision: None,
        overridden: false,
        rescore: None,
        scored_at: String::new(),
        received_at: String::new(),
    }
}

async fn history(store: &Arc<dyn Store>, world: &World) {
    // Two share each time, so the id decides.
    for n in 0..10 {
        let (officer, branch) = if n < 6 {
            (&world.officer, Some(&world.branch))
        } else {
            (&world.colleague, Some(&world.other))
        };
        let group = if n % 2 == 0 { Group::T2 } else { Group::T8 };
        let scored_ms = Millis::try_from(n / 2).unwrap() * 1000;
        store
            .add_history(&[new(scored_ms, entry(n, officer.id, branch.map(|b| b.id), group))], 77_000)
            .await
            .unwrap();
    }
    let any = HistoryFilter { limit: 100, ..HistoryFilter::all_of(HistoryScope::All) };
    let find = async |filter: HistoryFilter| {
        let rows = store.history(filter).await.unwrap();
        rows.iter().map(|r| r.entry.id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(find(any.clone()).await, (0..10).rev().collect::<Vec<u128>>());
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let rows = store.history(HistoryFilter { after, limit: 3, ..any.clone() }).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(last.key);
        paged.extend(rows.iter().map(|r| r.entry.id.0.as_u128()));
    }
    assert_eq!(paged, (0..10).rev().collect::<Vec<u128>>());
    for sort in [HistorySort::OldestScored, HistorySort::OldestReceived, HistorySort::NewestReceived] {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let rows = store.history(HistoryFilter { sort, after, limit: 3, ..any.clone() }).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some(last.key);
            paged.extend(rows.iter().map(|r| r.entry.id.0.as_u128()));
        }
        // All of them were received at once.
        let expected: Vec<u128> =
            if sort == HistorySort::NewestReceived { (0..10).rev().collect() } else { (0..10).collect() };
        assert_eq!(paged, expected, "{sort:?}");
    }
    let officer = Some(world.colleague.id);
    assert_eq!(find(HistoryFilter { officer, ..any.clone() }).await, [9, 8, 7, 6]);
    let branch = Some(world.branch.id);
    assert_eq!(find(HistoryFilter { branch, limit: 2, ..any.clone() }).await, [5, 4]);
    assert_eq!(find(HistoryFilter { group: Some(Group::T8), ..any.clone() }).await, [9, 7, 5, 3, 1]);
    assert_eq!(find(HistoryFilter { model_version: Some(0), ..any.clone() }).await, [8, 6, 4, 2, 0]);
    assert_eq!(find(HistoryFilter { client_ref: Some("r0".into()), ..any.clone() }).await, [9, 6, 3, 0]);
    let client = Some(ClientId(Uuid::from_u128(1)));
    assert_eq!(find(HistoryFilter { client, ..any.clone() }).await, [9, 7, 5, 3, 1]);
    assert_eq!(find(HistoryFilter { from: Some(1000), to: Some(3000), ..any.clone() }).await, [5, 4, 3, 2]);
    let scope = HistoryScope::Branch(world.other.id);
    assert_eq!(find(HistoryFilter { scope, ..any.clone() }).await, [9, 8, 7, 6]);
    assert!(find(HistoryFilter { scope, branch, ..any.clone() }).await.is_empty(), "the scope holds");
    let id = AssessmentId(Uuid::from_u128(9));
    let found = store.history_entry(id, scope).await.unwrap().unwrap();
    assert_eq!(found.received_at, rfc3339(77_000));
    assert_eq!(found.margin.to_bits(), (0.1_f64 + 0.2).to_bits(), "to the bit");
    assert_eq!(store.history_entry(id, HistoryScope::Officer(world.officer.id)).await.unwrap(), None);
}

/// Scores are found by name within what may be seen; of outcomes the first one is kept.
async fn outcomes(store: &Arc<dyn Store>, world: &World) {
    let by_ref = |name: &str, before| ScoreName::ClientRef(name.into(), before);
    let by_id = |n| ScoreName::Id(AssessmentId(Uuid::from_u128(n)));
    let found = async |scope, names: Vec<ScoreName>| -> Vec<Option<u128>> {
        let found = store.find_scores(scope, names).await.unwrap();
        found.into_iter().map(|score| score.map(|score| score.id.0.as_u128())).collect()
    };
    let names = vec![by_id(3), by_ref("r0", 77_000), by_ref("r0", 3000), by_ref("nobody", 77_000), by_id(99)];
    assert_eq!(found(HistoryScope::All, names.clone()).await, [Some(3), Some(9), Some(3), None, None]);
    let branch = HistoryScope::Branch(world.other.id);
    assert_eq!(found(branch, names.clone()).await, [None, Some(9), None, None, None]);
    let officer = HistoryScope::Officer(world.officer.id);
    assert_eq!(found(officer, names).await, [Some(3), Some(3), Some(3), None, None]);

    let outcome = |n: u128, horizon_months, defaulted| OutcomeRow {
        score: FoundScore {
            id: AssessmentId(Uuid::from_u128(n)),
            scored_ms: Millis::try_from(n / 2).unwrap() * 1000,
        },
        horizon_months,
        defaulted,
        observed_ms: 86_400_000,
    };
    let add = async |rows: Vec<OutcomeRow>| store.add_outcomes(world.officer.id, rows, 5).await.unwrap();
    use OutcomeAdded::{Already, Conflict, Stored};
    let rows = vec![outcome(8, 12, true), outcome(1, 12, false), outcome(8, 12, true), outcome(8, 24, true)];
    assert_eq!(add(rows.clone()).await, [Stored, Stored, Already, Stored]);
    assert_eq!(add(rows).await, [Already; 4]);
    assert_eq!(add(vec![outcome(8, 12, false), outcome(2, 12, true)]).await, [Conflict, Stored]);
    let other_day = OutcomeRow { observed_ms: 0, ..outcome(8, 12, true) };
    assert_eq!(add(vec![other_day]).await, [Conflict]);
    // Many who report the same at once, in any order: each is stored once.
    let reports: Vec<_> = (0..8)
        .map(|turn| {
            let store = store.clone();
            let mut rows: Vec<OutcomeRow> = (0..10).map(|n| outcome(n, 36, n % 2 == 0)).collect();
            rows.rotate_left(turn);
            let by = world.officer.id;
            tokio::spawn(async move { store.add_outcomes(by, rows, 6).await.unwrap() })
        })
        .collect();
    let mut stored = 0;
    for report in reports {
        stored += report.await.unwrap().iter().filter(|added| **added == Stored).count();
    }
    assert_eq!(stored, 10);
}

/// Every note is counted exactly once, whoever counts at the same time; what a counter that failed saw
/// comes again.
async fn counting(store: &Arc<dyn Store>) {
    let waiting = store.uncounted().await.unwrap();
    assert!(waiting >= 10 + 14, "{waiting}");
    // Scores whose places are known are counted by these, and not noted so again when they come twice.
    let placed = |n: u128| NewScore {
        places: Some(vec![u8::try_from(n % 3).unwrap(), 7]),
        ..new(2_000, entry(n, UserId(Uuid::from_u128(1)), None, Group::T4))
    };
    store.add_history(&[placed(8_000), placed(8_001), placed(8_002)], 2_000).await.unwrap();
    store.add_history(&[placed(8_003)], 2_000).await.unwrap();
    store.add_history(&[placed(8_003)], 3_000).await.unwrap();
    let waiting = waiting + 5;
    assert_eq!(store.uncounted().await.unwrap(), waiting);
    let needs = store.count(1000, Box::new(|_| Err(7))).await.unwrap();
    assert_eq!(needs, Counted::NeedsModel(7));
    assert_eq!(store.uncounted().await.unwrap(), waiting, "nothing was taken");
    let key = |entry: &HistoryEntry| CaseKey {
        model_version: 9,
        horizon_months: 12,
        month: 24_000,
        branch: Uuid::nil(),
        group: 3,
        bin: i32::try_from(entry.id.0.as_u128() % 2).unwrap(),
        decision: "approve".into(),
        overridden: true,
        defaulted: false,
    };
    let counters: Vec<_> = (0..6)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let counter: Counter = Box::new(move |uncounted| {
                        let mut counts = Counts::default();
                        for one in &uncounted {
                            let row = match one {
                                Uncounted::Placed(Placed { model_version, scored_ms: 2_000, places }) => {
                                    assert_eq!((places.len(), places[1]), (2, 7));
                                    let (model_version, bin) = (*model_version, i32::from(places[0]));
                                    let feature = String::new();
                                    let drift = DriftKey { model_version, day: 0, feature, bin };
                                    *counts.drift.entry(drift).or_default() += 1;
                                    continue;
                                }
                                Uncounted::Placed(other) => panic!("{other:?}"),
                                Uncounted::Entry(row) if row.entry.id.0.as_u128() == 8_003 => {
                                    assert!(!row.fresh);
                                    continue;
                                }
                                Uncounted::Entry(row) => row,
                            };
                            // Counted the first time; later only looked at.
                            assert_eq!(row.adds.is_some(), !row.fresh, "{row:?}");
                            if row.fresh {
                                let drift =
                                    DriftKey { model_version: 9, day: 1, feature: "x".into(), bin: -1 };
                                *counts.drift.entry(drift).or_default() += 1;
                                let sums = counts.cases.entry(key(&row.entry)).or_default();
                                (sums.scores, sums.pd, sums.error) =
                                    (sums.scores + 1, sums.pd + 5, sums.error + 7);
                            }
                            counts.cases_of.push((row.entry.id, format!("{}", row.outcomes.len())));
                        }
                        Ok(counts)
                    });
                    match store.count(3, counter).await.unwrap() {
                        Counted::Rows(0) => break,
                        Counted::Rows(_) => {}
                        Counted::NeedsModel(_) => unreachable!(),
                    }
                }
            })
        })
        .collect();
    for counter in counters {
        counter.await.unwrap();
    }
    assert_eq!(store.uncounted().await.unwrap(), 0);
    let drift = store.drift_counts(9, 0, 2).await.unwrap();
    assert_eq!(drift.iter().map(|(key, n)| (key.bin, *n)).collect::<Vec<_>>(), [(-1, 10)]);
    // The entries' versions are those of their numbers' parity.
    for (version, expected) in [(0, [(1, 1), (2, 1)]), (1, [(0, 1), (2, 1)])] {
        let placed = store.drift_counts(version, 0, 1).await.unwrap();
        assert_eq!(placed.iter().map(|(key, n)| (key.bin, *n)).collect::<Vec<_>>(), expected);
    }
    assert!(store.drift_counts(9, 2, 9).await.unwrap().is_empty());
    assert!(store.drift_counts(8, 0, 2).await.unwrap().is_empty());
    let query = CaseQuery {
        model_version: 9,
        horizon_months: 12,
        from_month: 24_000,
        to_month: 24_000,
        branch: Some(Uuid::nil()),
    };
    for split in [CaseSplit::Groups, CaseSplit::Months, CaseSplit::Branches, CaseSplit::Decisions] {
        let sums = store.case_counts(query, split).await.unwrap();
        let scores: i64 = sums.iter().map(|sum| sum.sums.scores).sum();
        assert_eq!((scores, sums.iter().map(|sum| sum.sums.error).sum()), (10, 70), "{split:?}");
        assert_eq!(sums.len(), if split == CaseSplit::Decisions { 1 } else { 2 }, "{split:?}");
        let key = &sums[0].key;
        assert_eq!(key.group, if matches!(split, CaseSplit::Groups | CaseSplit::Decisions) { 3 } else { 0 });
        assert_eq!(key.month, if split == CaseSplit::Months { 24_000 } else { 0 });
        assert_eq!(key.decision == "approve" && key.overridden, split == CaseSplit::Decisions);
    }
    for nothing in [
        CaseQuery { branch: Some(Uuid::from_u128(1)), ..query },
        CaseQuery { to_month: 23_999, ..query },
        CaseQuery { horizon_months: 0, ..query },
    ] {
        assert!(store.case_counts(nothing, CaseSplit::Groups).await.unwrap().is_empty());
    }
}
