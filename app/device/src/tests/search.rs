//! Search and duplicates, small and large.

use super::*;
use crate::store::{Store, portfolio, project};
use std::time::Instant;
use vereda_domain::client::fold_name;
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{ClientRecord, Record};
use vereda_domain::register::{Register, Write};

fn record(n: u128, name: &str, document: &str, phone: &str, place: &str) -> Record {
    let hlc = Hlc { wall: START, counter: 0, node: DeviceId(Uuid::from_u128(1)) };
    let actor = UserId(Uuid::from_u128(1));
    let register = |value: String| {
        let mut register = Register::default();
        register.write(hlc, Write::new(value, actor, START), []);
        register
    };
    Record::Client(ClientRecord {
        id: vereda_domain::ClientId(Uuid::from_u128(n)),
        branch: BranchId(Uuid::from_u128(1000)),
        officer: actor,
        since: hlc,
        captured_at: START,
        fields: fields(name, document, phone, place)
            .into_iter()
            .map(|(field, value)| (field, register(value)))
            .collect(),
        attachments: Default::default(),
        consents: Default::default(),
    })
}

fn found(store: &Store, query: &str) -> Vec<String> {
    let request = PortfolioRequest { query: query.into(), offset: 0, limit: 200 };
    let page = store.read(|db| portfolio::page(db, &request)).unwrap();
    assert_eq!(page.total as usize, page.rows.len());
    page.rows.into_iter().map(|row| row.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_any_word_document_or_phone() {
    let (_device, session) = Device::ready().await;
    session
        .store
        .write(|db| {
            project::save(db, &record(1, "José Ángel Peña", "1.020.345-6", "+57 300 123 4567", "La Unión"))?;
            project::save(db, &record(2, "Ana Josefa Ríos", "CC 998877", "", "Vereda El Salado"))
        })
        .unwrap();
    let store = &session.store;
    let (jose, ana) = ("José Ángel Peña", "Ana Josefa Ríos");
    for (query, expected) in [
        ("", vec![ana, jose]),
        ("jose", vec![ana, jose]),
        ("JOSÉ PEÑ", vec![jose]),
        ("pena angel", vec![jose]),
        ("10203456", vec![jose]),
        ("1.020.345-6", vec![jose]),
        ("1.020", vec![jose]),
        ("300 123", vec![jose]),
        ("3001234567", vec![jose]),
        ("salado rios", vec![ana]),
        ("998877", vec![ana]),
        ("nobody", vec![]),
        ("\"'; DROP TABLE clients; --", vec![]),
        ("name:ana OR", vec![]),
        ("* ^ - ( )", vec![ana, jose]),
    ] {
        assert_eq!(found(store, query), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn likely_duplicates_are_found_by_document_phone_and_name() {
    let (_device, session) = Device::ready().await;
    session
        .store
        .write(|db| {
            project::save(db, &record(1, "José Ángel Peña", "1.020.345-6", "+57 300 123 4567", "La Unión"))?;
            project::save(db, &record(2, "Ana Ríos", "998877", "301 555 1234", ""))
        })
        .unwrap();
    let why = |name: &str, document: &str, phone: &str| {
        let fields = fields(name, document, phone, "");
        let found = session.store.read(|db| portfolio::duplicates(db, &fields)).unwrap();
        found.into_iter().map(|one| (one.row.id.0.as_u128(), one.why)).collect::<Vec<_>>()
    };
    assert_eq!(why("Otra", "10203456", ""), [(1, DuplicateReason::Document)]);
    assert_eq!(why("Otra", "5", "3001234567"), [(1, DuplicateReason::Phone)]);
    assert_eq!(why("Jose Anjel Pena", "5", ""), [(1, DuplicateReason::Name)]);
    assert_eq!(why("Peña José Ángel", "5", ""), [(1, DuplicateReason::Name)]);
    assert_eq!(why("Jose Anjel Pena", "10203456", "301 555 1234").len(), 2);
    assert!(why("Pedro Gómez", "5", "").is_empty());
    assert!(why("", "", "").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_clients_are_searched_in_windows() {
    const FIRST: [&str; 20] = [
        "María", "José", "Juan", "Luis", "Ana", "Carlos", "Rosa", "Pedro", "Luz", "Jorge", "Marta", "Andrés",
        "Elena", "Raúl", "Inés", "Óscar", "Julia", "Mateo", "Nora", "Iván",
    ];
    const LAST: [&str; 25] = [
        "Gómez", "Peña", "Ríos", "Díaz", "Mora", "Castro", "Vargas", "Rojas", "Cruz", "Silva", "Ortiz",
        "Reyes", "Mejía", "Cano", "Lara", "Vega", "Soto", "Nieto", "Pardo", "Ávila", "Rueda", "Luna", "Toro",
        "Mina", "Quiroga",
    ];
    let (_device, session) = Device::ready().await;
    let store = &session.store;
    let name = |n: usize| {
        let second = LAST[(n / 500) % 25];
        format!("{} {} {second}", FIRST[n % 20], LAST[(n / 20) % 25])
    };
    for chunk in 0..20 {
        store
            .write(|db| {
                for n in chunk * 5000..(chunk + 1) * 5000 {
                    let document = format!("{}", 10_000_000 + n * 7);
                    project::save(
                        db,
                        &record(n as u128 + 1, &name(n), &document, &format!("300{n:07}"), "Norte"),
                    )?;
                }
                Ok(())
            })
            .unwrap();
    }
    let page = |query: &str, offset| {
        let request = PortfolioRequest { query: query.into(), offset, limit: 50 };
        let begun = Instant::now();
        let page = store.read(|db| portfolio::page(db, &request)).unwrap();
        println!("{query:?} at {offset}: {} of {} in {:?}", page.rows.len(), page.total, begun.elapsed());
        page
    };
    for _ in 0..2 {
        assert_eq!(page("", 0).total, 100_000);
        assert_eq!(page("", 99_980).rows.len(), 20);
        let maria = page("maria", 100);
        assert_eq!(maria.total, 5000);
        assert!(maria.rows.iter().all(|row| row.name.starts_with("María")));
        assert!(maria.rows.is_sorted_by_key(|row| fold_name(&row.name)));
        assert_eq!(page("m", 0).rows.len(), 50);
        assert_eq!(page("norte", 0).total, 100_000);
        assert_eq!(page("maria quiroga lun", 0).rows.len(), 16);
        assert_eq!(page("10000007", 0).rows[0].id.0.as_u128(), 2);
        let begun = Instant::now();
        let fields = fields("Maria Quiroga Luns", "10000007", "", "");
        let likely = store.read(|db| portfolio::duplicates(db, &fields)).unwrap();
        println!("duplicates in {:?}", begun.elapsed());
        assert_eq!(likely[0].why, DuplicateReason::Document);
        assert!(likely[1..].iter().all(|one| one.why == DuplicateReason::Name) && likely.len() == 10);
    }
}
