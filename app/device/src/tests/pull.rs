//! Pages from a server that may know more than this version.

use super::*;
use crate::store::remote::{self, Page, Part};
use crate::store::{chain, fork, meta, project};
use vereda_domain::ClientId;
use vereda_domain::api::Change;
use vereda_domain::event::{Event, Hash};
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{ClientRecord, Record};
use vereda_domain::register::{Register, Write};

pub fn page(changes: &[&str], cursor: u64) -> Page {
    let text = format!(r#"{{"changes":[{}],"cursor":{cursor},"more":false}}"#, changes.join(","));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_an_unknown_shape_stops_no_pull_and_is_kept_for_the_next_version() {
    let (device, session) = Device::ready().await;
    let made = device.app.create_client(new_client("Juan", "7")).await.unwrap();
    let record = session.store.read(|db| crate::store::project::client(db, made.row.id)).unwrap().unwrap();
    // Another client, as a server of this version says it, and a thing that this version does not know.
    let mut other = record.clone();
    other.id = vereda_domain::ClientId(Uuid::from_u128(77));
    let known =
        serde_json::to_string(&Change::State { record: vereda_domain::record::Record::Client(other) });
    let known = known.unwrap();
    let unknown = r#"{"change":"state","record":{"kind":"guarantee","id":"x"}}"#;
    let future = r#"{"change":"merge","of":[1,2]}"#;
    let identity = session.identity();
    let apply =
        |page: &Page| session.store.write(|db| remote::apply(db, &identity, &CHANGES, page, START)).unwrap();
    apply(&page(&[unknown, &known, future], 9));
    apply(&page(&[unknown], 10));
    let (cursor, unread) =
        session.store.read(|db| Ok((meta::get(db, &meta::CURSOR)?, remote::unread(db)?))).unwrap();
    assert_eq!((cursor, unread), (Some(10), 2), "the page is applied, and what is unknown kept once");
    assert_eq!(
        device.app.portfolio(PortfolioRequest { limit: 50, ..Default::default() }).await.unwrap().total,
        2
    );
    assert_eq!(device.app.sync().await.unwrap().unread, 2);
    // The next version can read one of them.
    session
        .store
        .write(|db| Ok(db.execute("UPDATE unread SET text = ?1 WHERE text = ?2", [known.as_str(), unknown])?))
        .unwrap();
    let read = session.store.write(|db| remote::retry_unread(db, &identity, START)).unwrap();
    assert_eq!((read, session.store.read(remote::unread).unwrap()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_pull_knows_after_each_page_what_is_still_to_come() {
    let (_device, session) = Device::ready().await;
    let identity = session.identity();
    let after = |part: &Part, cursor: u64, next: Option<&str>| {
        let more = next.is_some();
        let page = Page { more, next: next.map(str::to_owned), ..page(&[], cursor) };
        session.store.write(|db| remote::apply(db, &identity, part, &page, START)).unwrap();
        session.store.read(|db| Ok((Part::due(db)?, Part::later(db)?))).unwrap()
    };
    let portfolio = |since, after: &str| Part::Portfolio { since: Some(since), after: Some(after.into()) };
    let from_the_beginning = Part::Portfolio { since: None, after: None };
    let changes = |cursor| Part::Changes { cursor };
    let earlier = |cursor, until| Part::Earlier { cursor, until };
    // What changes while everybody comes is past where that began, whatever later pages say.
    assert_eq!(after(&from_the_beginning, 5, Some("a")), (portfolio(5, "a"), None));
    assert_eq!(after(&portfolio(5, "a"), 7, Some("b")), (portfolio(5, "b"), None));
    assert_eq!(after(&portfolio(5, "b"), 9, None), (changes(5), Some(earlier(0, 5))));
    // Changes of every day come in between, and the rest goes on where it was.
    assert_eq!(after(&earlier(0, 5), 3, Some("")), (changes(5), Some(earlier(3, 5))));
    assert_eq!(after(&changes(5), 12, None), (changes(12), Some(earlier(3, 5))));
    assert_eq!(after(&earlier(3, 5), 5, None), (changes(12), None));
    // Whoever forks or changes branch begins anew, also while something was still to come.
    after(&portfolio(5, "a"), 7, Some("b"));
    session.store.write(|db| meta::pull_anew(db)).unwrap();
    let anew = session.store.read(|db| Ok((Part::due(db)?, Part::later(db)?))).unwrap();
    assert_eq!(anew, (from_the_beginning.clone(), None));
    // So does who was in the middle of a first part in an earlier version of the app.
    let noted = r#"{"cursor":0,"until":null}"#;
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('earlier', ?1), ('cursor', '9')";
    session.store.write(|db| Ok(db.execute(sql, [noted])?)).unwrap();
    assert_eq!(
        session.store.read(|db| Ok((Part::due(db)?, Part::later(db)?))).unwrap(),
        (from_the_beginning, None)
    );
}

#[test]
fn pages_that_do_not_go_on_are_told_from_those_that_do() {
    let goes_on = |part: &Part, cursor, next: Option<&str>| {
        part.following(&Page { more: true, next: next.map(str::to_owned), ..page(&[], cursor) }).is_some()
    };
    // A server that was restored from a backup has nothing at that place any more, and begins anew.
    for part in [Part::Changes { cursor: 4 }, Part::Earlier { cursor: 4, until: 9 }] {
        assert!(goes_on(&part, 5, None) && goes_on(&part, 2, None) && !goes_on(&part, 4, None), "{part:?}");
    }
    let portfolio = Part::Portfolio { since: Some(4), after: Some("a".into()) };
    assert!(goes_on(&portfolio, 4, Some("b")));
    assert!(!goes_on(&portfolio, 9, Some("a")) && !goes_on(&portfolio, 9, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forked_chain_is_recorded_again_whole_and_kept_as_evidence() {
    let (device, session) = Device::ready().await;
    let made = device.app.create_client(new_client("Juan", "7")).await.unwrap();
    let client = made.row.id;
    for phone in ["301 555 0001", "301 555 0002"] {
        let fields = [(ClientField::Phone, phone.to_owned())].into();
        device.app.edit_client(EditClientRequest { client, fields }).await.unwrap();
        device.pass(1000);
    }
    let old = session.identity();
    let before = session.store.read(chain::unsent).unwrap();
    let mut new = (*old).clone();
    new.device = DeviceId(Uuid::now_v7());
    let count = session.store.write(|db| fork::record_again(db, &old, &new)).unwrap();
    assert_eq!(count, 3);
    let after = session.store.read(chain::unsent).unwrap();
    let mut last = Hash::ZERO;
    for (index, (one, two)) in before.iter().zip(&after).enumerate() {
        let (one, two): (Event, Event) =
            (serde_json::from_str(one.get()).unwrap(), serde_json::from_str(two.get()).unwrap());
        assert_eq!((two.device, two.seq, two.prev), (new.device, index as u64 + 1, last));
        assert_eq!((two.at, two.hlc.wall, two.hlc.node), (one.at, one.hlc.wall, new.device));
        last = Hash::of(after[index].get().as_bytes());
    }
    let kept: i64 = session
        .store
        .read(|db| Ok(db.query_row("SELECT count(*) FROM old_events", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(kept, 3);
    let record = session.store.read(|db| crate::store::project::client(db, client)).unwrap().unwrap();
    assert_eq!(record.value(ClientField::Phone), "301 555 0002");
    assert!(record.fields.values().all(|register| register.conflicts().is_empty()));
    // The old names stay named, since the server may hold what was sent under them and not answered.
    let of_old = record.fields.values().flat_map(Register::whole).filter(|(hlc, _)| hlc.node == old.device);
    assert_eq!(of_old.count(), 0, "nothing that the server will never hear of");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_settled_itself_on_the_server_is_not_aside_any_more() {
    use vereda_domain::api::{QuarantineReason, Quarantined};
    let (device, session) = Device::ready().await;
    for n in 0..3 {
        device.app.create_client(new_client("Juan", &format!("7{n}"))).await.unwrap();
    }
    let me = session.device();
    session
        .store
        .write(|db| Ok(db.execute("UPDATE events SET status = 2, detail = 'foreign'", [])?))
        .unwrap();
    let aside = |device: DeviceId, seq| Quarantined {
        device,
        seq,
        user: UserId(Uuid::from_u128(1)),
        at: START,
        drift_ms: None,
        reason: QuarantineReason::UnknownRecord,
        detail: "the client".into(),
    };
    let other = DeviceId(Uuid::from_u128(5));
    let list = [aside(me, 2), aside(other, 1), aside(other, 3)];
    // A list that may not be whole says nothing of what it does not name.
    session.store.write(|db| chain::aside(db, me, &list, false)).unwrap();
    assert_eq!(session.store.read(chain::counts).unwrap(), (0, 3));
    let changed = session.store.write(|db| chain::aside(db, me, &list, true)).unwrap();
    assert_eq!((changed, session.store.read(chain::counts).unwrap()), (2, (0, 1)));
    let items = device.app.sync().await.unwrap().items;
    let shown: Vec<_> = items.iter().map(|item| (item.seq, item.quarantine.as_deref())).collect();
    assert_eq!(shown, [(2, Some("unknown_record: the client"))]);
    // What waits is not touched by a list from before it was sent.
    session.store.write(|db| Ok(db.execute("UPDATE events SET status = 0 WHERE seq = 2", [])?)).unwrap();
    session.store.write(|db| chain::aside(db, me, &list, true)).unwrap();
    assert_eq!(session.store.read(chain::counts).unwrap(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_indexes_that_a_first_pull_leaves_out_come_back_as_they_were() {
    let (device, session) = Device::ready().await;
    let schema = || {
        let read = |db: &rusqlite::Connection| {
            let mut statement =
                db.prepare("SELECT sql FROM sqlite_schema WHERE type = 'index' ORDER BY name")?;
            let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        };
        session.store.read(read).unwrap()
    };
    // Whether the full-text index is made one piece as it grows.
    let joins = || {
        let joins = "SELECT coalesce((SELECT v FROM clients_words_config WHERE k = 'automerge'), 4) > 0";
        session.store.read(|db| Ok(db.query_row(joins, [], |row| row.get::<_, bool>(0))?)).unwrap()
    };
    let whole = schema();
    session.store.write(|db| project::unindex_empty(db)).unwrap();
    assert_eq!((schema().len(), joins()), (whole.len() - 4, false));
    // What is captured meanwhile is found with its last score, and somebody who is there keeps the
    // indexes from going.
    let client = device.app.create_client(new_client("Juan", "7")).await.unwrap().row.id;
    device.app.create_client(new_client("Juana", "8")).await.unwrap();
    let answers = answers(&scorecard());
    let mut last = None;
    for _ in 0..2 {
        let draft = device.app.start_interview(ClientRequest { client }).await.unwrap().id;
        fill(&device.app, draft, &answers).await;
        last = Some(device.app.score(DraftRequest { draft }).await.unwrap().assessment.id);
    }
    let shown = async || {
        let request = PortfolioRequest { query: "juan".into(), limit: 50, ..Default::default() };
        let rows = device.app.portfolio(request).await.unwrap().rows;
        rows.into_iter().map(|row| (row.name, row.last.map(|last| last.assessment))).collect::<Vec<_>>()
    };
    let expected = [("Juan".to_owned(), last), ("Juana".to_owned(), None)];
    assert_eq!(shown().await, expected);
    session.store.write(|db| project::index(db)).unwrap();
    assert_eq!((schema(), joins()), (whole.clone(), true));
    assert_eq!(shown().await, expected);
    session.store.write(|db| project::unindex_empty(db)).unwrap();
    assert_eq!((schema(), joins()), (whole, true));
}

/// The full-text index gives up gathering before each statement that may have to be taken back, and each
/// piece that it writes is merged with others later: of a first pull that was a third of the time.
#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_page_are_written_together_and_are_the_last_that_it_says() {
    let (device, session) = Device::ready().await;
    let made = device.app.create_client(new_client("Juan", "7")).await.unwrap();
    let first = session.store.read(|db| project::client(db, made.row.id)).unwrap().unwrap();
    let change = |record: ClientRecord| {
        serde_json::to_string(&Change::State { record: Record::Client(record) }).unwrap()
    };
    let pieces = |db: &rusqlite::Connection| {
        Ok(db.query_row("SELECT count(DISTINCT segid) FROM clients_words_idx", [], |row| {
            row.get::<_, u32>(0)
        })?)
    };
    let mut changes = Vec::new();
    for n in 1..=200 {
        let mut other = first.clone();
        other.id = ClientId(Uuid::from_u128(n));
        changes.push(change(other.clone()));
        if n == 200 {
            // Somebody who comes twice on a page has another name the second time.
            let name = other.fields.get_mut(&ClientField::Name).unwrap();
            let hlc = *name.times().next().unwrap();
            let later = Hlc { counter: hlc.counter + 1, ..hlc };
            name.write(later, Write::new("Zoraida".into(), other.officer, START), [hlc]);
            changes.push(change(other));
        }
    }
    let texts: Vec<&str> = changes.iter().map(String::as_str).collect();
    let (page, identity) = (page(&texts, 9), session.identity());
    let before = session.store.read(pieces).unwrap();
    session.store.write(|db| remote::apply(db, &identity, &CHANGES, &page, START)).unwrap();
    // One, and one of whoever came twice: the index takes rows in the order of their numbers.
    assert_eq!(session.store.read(pieces).unwrap(), before + 2);
    for (query, found) in [("zoraida", 1), ("juan", 200)] {
        let request = PortfolioRequest { query: query.into(), limit: 10, ..Default::default() };
        assert_eq!(device.app.portfolio(request).await.unwrap().total, found, "{query}");
    }
}

/// Edits one by one leave the full-text index in pieces, and a search goes through each.
#[tokio::test(flavor = "multi_thread")]
async fn the_full_text_index_is_made_one_piece_and_finds_the_same() {
    let (device, session) = Device::ready().await;
    let client = device.app.create_client(new_client("Juan", "7")).await.unwrap().row.id;
    // Its own merging is left out, as if the pieces were too large for it.
    let alone =
        "INSERT INTO clients_words (clients_words, rank) VALUES ('automerge', 0), ('crisismerge', 1000)";
    session.store.write(|db| Ok(db.execute_batch(alone)?)).unwrap();
    for n in 0..20 {
        let fields = [(ClientField::Phone, format!("301 555 {n:04}"))].into();
        device.app.edit_client(EditClientRequest { client, fields }).await.unwrap();
    }
    let found = async |query: &str| {
        let request = PortfolioRequest { query: query.into(), limit: 10, ..Default::default() };
        device.app.portfolio(request).await.unwrap().total
    };
    let before = session.store.read(project::contents).unwrap();
    assert!(session.store.read(project::in_pieces).unwrap());
    let mut first = true;
    while session.store.write(|db| project::merge(db, first)).unwrap() {
        first = false;
    }
    let pieces = "SELECT count(DISTINCT segid) FROM clients_words_idx";
    let pieces = |db: &rusqlite::Connection| Ok(db.query_row(pieces, [], |row| row.get::<_, u32>(0))?);
    assert_eq!(session.store.read(pieces).unwrap(), 1);
    assert_eq!(session.store.read(project::contents).unwrap(), before);
    let finds = (found("3015550019").await, found("3015550018").await, found("juan").await);
    assert_eq!(finds, (1, 0, 1));
}
