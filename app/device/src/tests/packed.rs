//! Records as they are kept.

use super::*;
use crate::store::packed::{pack, unpack};
use crate::store::project;
use sha2::{Digest, Sha256};
use vereda_domain::event::{OverrideCode, OverrideReason};
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{AssessmentRecord, ClientRecord, DecisionRecord, Rank, Record};
use vereda_domain::register::Write;
use vereda_domain::{AssessmentId, ClientId, Decision};
use vereda_scoring::Value;
use vereda_scoring::bundle::Group;

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_kept_packed_and_four_assessments_fit_into_a_page() {
    let (device, session) = Device::ready().await;
    let (client, assessment) = made(&device, &session).await;
    let unpacked = "SELECT count(*) FROM records WHERE packed IS NULL OR json <> ''";
    let unpacked = |db: &rusqlite::Connection| Ok(db.query_row(unpacked, [], |row| row.get::<_, u32>(0))?);
    assert_eq!(session.store.read(unpacked).unwrap(), 0);
    for (record, most) in [(Record::Client(client), 250), (Record::Assessment(assessment), 900)] {
        let text = serde_json::to_string(&record).unwrap();
        let packed = pack(&text).unwrap();
        assert!(packed.len() <= most, "{} of {} bytes", packed.len(), text.len());
        assert_eq!(unpack(&packed).unwrap(), text);
    }
}

#[test]
fn any_text_comes_back_and_anything_else_is_damage() {
    let mut random = Random(20_261_130);
    for length in [0, 1, 3, 100, 4_000, 300_000] {
        let text: String =
            (0..length).map(|_| char::from_u32(random.below(0xd800) as u32).unwrap()).collect();
        let packed = pack(&text).unwrap();
        assert_eq!(unpack(&packed).unwrap(), text, "{length}");
        for _ in 0..200 {
            // Whatever reaches this was authenticated; it must not end the app all the same.
            let mut damaged = packed.clone();
            damaged[random.below(packed.len() as u64) as usize] ^= 1 << random.below(8);
            damaged.truncate(packed.len() - random.below(2) as usize);
            if let Err(error) = unpack(&damaged) {
                assert!(matches!(error, DeviceError::StoreDamaged(_)), "{error}");
            }
        }
    }
    for nothing in [&[][..], b"{}", &[0x28, 0xb5, 0x2f, 0xfd]] {
        assert!(matches!(unpack(nothing), Err(DeviceError::StoreDamaged(_))));
    }
}

/// Kept, it could not be read again.
#[test]
fn a_record_that_is_too_long_to_be_read_is_not_kept() {
    let mut text = "a".repeat(64 * 1024 * 1024);
    assert_eq!(unpack(&pack(&text).unwrap()).unwrap(), text);
    text.push('a');
    let refused = pack(&text).unwrap_err();
    assert!(refused.to_string().contains("67108865 bytes"), "{refused}");
}

/// What older versions kept as text is read, and packed when it changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_kept_as_text_is_packed_when_it_changes() {
    let (device, session) = Device::ready().await;
    let (client, _) = made(&device, &session).await;
    let text = serde_json::to_string(&Record::Client(client.clone())).unwrap();
    let as_text = "UPDATE records SET json = ?1, packed = NULL WHERE id = ?2";
    session.store.write(|db| Ok(db.execute(as_text, (&text, client.id.to_string()))?)).unwrap();
    let read = || session.store.read(|db| project::client(db, client.id)).unwrap().unwrap();
    assert_eq!(read(), client);
    let fields = [(ClientField::Phone, "301 555 0000".to_owned())].into();
    device.app.edit_client(EditClientRequest { client: client.id, fields }).await.unwrap();
    assert_eq!(read().value(ClientField::Phone), "301 555 0000");
    let kept = "SELECT json || (packed IS NULL) FROM records WHERE id = ?1";
    let kept = |db: &rusqlite::Connection| {
        Ok(db.query_row(kept, [client.id.to_string()], |row| row.get::<_, String>(0))?)
    };
    assert_eq!(session.store.read(kept).unwrap(), "0");
}

/// Another dictionary in the place of this one would make every store unreadable.
#[test]
fn the_dictionary_is_the_one_that_stores_were_written_with() {
    let hash = hex::encode(Sha256::digest(include_bytes!("../store/records.zdict")));
    assert_eq!(hash, "23e9869f1629d20567d2755e5084c767088875c2c6308691486258260b35b4f6");
}

impl Random {
    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes();
        let ms = 1_700_000_000_000 + self.below(200_000_000_000);
        uuid::Builder::from_unix_timestamp_millis(ms, bits[..10].try_into().unwrap()).into_uuid()
    }

    /// In log-odds.
    fn margin(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 3.0 - 1.5
    }

    /// A sentence that nobody says, of words that such sentences have.
    fn sentence(&mut self, words: &[&str]) -> String {
        let count = 4 + self.below(8);
        let words: Vec<&str> = (0..count).map(|_| self.of(words)).collect();
        format!("{}.", words.join(" "))
    }
}

const ES: [&str; 48] = [
    "el",
    "la",
    "los",
    "las",
    "de",
    "del",
    "un",
    "una",
    "en",
    "con",
    "por",
    "para",
    "sin",
    "más",
    "menos",
    "alto",
    "baja",
    "bajo",
    "años",
    "meses",
    "ingresos",
    "gastos",
    "deudas",
    "cuotas",
    "pagos",
    "atrasos",
    "vivienda",
    "trabajo",
    "negocio",
    "hogar",
    "cliente",
    "monto",
    "plazo",
    "ahorros",
    "cuenta",
    "créditos",
    "anteriores",
    "actual",
    "poco",
    "mucho",
    "tiempo",
    "valor",
    "bienes",
    "edad",
    "historial",
    "tiene",
    "lleva",
    "frecuentes",
];
const EN: [&str; 40] = [
    "the",
    "a",
    "of",
    "in",
    "with",
    "for",
    "without",
    "more",
    "less",
    "high",
    "low",
    "years",
    "months",
    "income",
    "expenses",
    "debts",
    "instalments",
    "payments",
    "late",
    "housing",
    "work",
    "business",
    "household",
    "client",
    "amount",
    "term",
    "savings",
    "account",
    "loans",
    "earlier",
    "present",
    "little",
    "much",
    "time",
    "value",
    "goods",
    "age",
    "history",
    "is",
    "frequent",
];
const WHAT: [&str; 18] = [
    "age",
    "income",
    "debt",
    "savings",
    "household",
    "business",
    "loan",
    "account",
    "employment",
    "sector",
    "repayment",
    "crop",
    "market",
    "guarantee",
    "residence",
    "education",
    "dependants",
    "utilities",
];
const OF_IT: [&str; 7] = ["", "_years", "_months", "_amount", "_share", "_type", "_count"];

/// An invented assessment by a model that there is not: the dictionary is to know what all records have, not the
/// features and the sentences of one institution's model.
fn invent_assessment(mut record: AssessmentRecord, random: &mut Random) -> AssessmentRecord {
    let assessment = &mut record.assessment;
    assessment.id = AssessmentId(random.uuid());
    assessment.client = ClientId(random.uuid());
    let kinds = ["scorecard", "boosted", "group-loans", "retail", "micro"];
    assessment.model.id = format!("{}-{}", random.of(&kinds), 1 + random.below(9));
    assessment.model.version = 1 + random.below(30) as u32;
    assessment.model.sha256 = hex::encode(Sha256::digest(random.next().to_le_bytes()));
    let names: Vec<String> =
        (0..6 + random.below(9)).map(|_| format!("{}{}", random.of(&WHAT), random.of(&OF_IT))).collect();
    assessment.inputs = Inputs::default();
    for name in &names {
        let value = match random.below(4) {
            0 => Value::Category(random.of(&WHAT).to_owned()),
            1 => Value::Boolean(random.below(2) == 0),
            _ => Value::Number(random.below(5_000) as f64),
        };
        assessment.inputs.insert(name.clone(), value);
    }
    let score = &mut assessment.score;
    score.margin = random.margin();
    score.margin_bits = format!("{:016x}", score.margin.to_bits());
    score.probability = 1.0 / (1.0 + (-score.margin).exp());
    score.group = Group::ALL[random.below(8) as usize];
    score.bias = random.margin();
    let (contribution, reason) = (score.contributions[0].clone(), score.reasons[0].clone());
    score.contributions.clear();
    score.reasons.clear();
    for (n, name) in names.iter().enumerate() {
        let value = random.margin();
        let mut contribution = contribution.clone();
        (contribution.feature, contribution.value) = (name.clone(), value);
        score.contributions.push(contribution);
        if n < 4 {
            let mut reason = reason.clone();
            (reason.feature, reason.contribution) = (name.clone(), value);
            (reason.text.es, reason.text.en) = (random.sentence(&ES), random.sentence(&EN));
            score.reasons.push(reason);
        }
    }
    (record.branch, record.officer) = (BranchId(random.uuid()), UserId(random.uuid()));
    record.hlc = invent_time(random);
    record.at = record.hlc.wall;
    record.rescore = Some(vereda_domain::record::Rescore::Same);
    if random.below(2) == 0 {
        let override_reason = (random.below(5) == 0)
            .then(|| OverrideReason { code: OverrideCode::KnownClient, words: random.sentence(&ES) });
        let decision = DecisionRecord {
            decision: [Decision::Approve, Decision::Refer, Decision::Refuse][random.below(3) as usize],
            override_reason,
            actor: record.officer,
            rank: [Rank::Officer, Rank::Manager][random.below(2) as usize],
            at: record.at + 5,
            replaces: Default::default(),
        };
        record.decisions.insert(Hlc { counter: 2, ..record.hlc }, decision);
    }
    record
}

fn invent_time(random: &mut Random) -> Hlc {
    let wall = 1_700_000_000_000 + random.below(200_000_000_000) as Millis;
    Hlc { wall, counter: 0, node: DeviceId(random.uuid()) }
}

fn invent_client(mut client: ClientRecord, random: &mut Random) -> ClientRecord {
    client.id = ClientId(random.uuid());
    (client.branch, client.officer) = (BranchId(random.uuid()), UserId(random.uuid()));
    client.since = invent_time(random);
    client.captured_at = client.since.wall;
    client.fields.clear();
    let consent = client.consents.values().next().unwrap().clone();
    client.consents = [(client.since, Consent { at: client.captured_at, ..consent })].into();
    for field in ClientField::ALL {
        let value = match field {
            ClientField::Document => format!("{}", random.below(1_500_000_000)),
            ClientField::Phone => format!("3{:02} {:07}", random.below(100), random.below(10_000_000)),
            _ => (0..2 + random.below(3)).map(|_| random.of(&ES)).collect::<Vec<_>>().join(" "),
        };
        let register = client.fields.entry(field).or_default();
        register.write(client.since, Write::new(value.clone(), client.officer, client.captured_at), []);
        if random.below(4) == 0 {
            let later =
                Hlc { wall: client.since.wall + 1 + random.below(9_000_000) as Millis, ..client.since };
            let edited = Write::new(value.chars().rev().collect(), client.officer, later.wall);
            register.write(later, edited, [client.since]);
        }
    }
    client
}

/// Run by hand for a new dictionary: `cargo test -p vereda-device write_samples -- --ignored`, and in the folder that it
/// names `zstd --train * --maxdict=8192 -o records.zdict`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the invented records that a dictionary is trained on"]
async fn write_samples() {
    let (device, session) = Device::ready().await;
    let (client, assessment) = made(&device, &session).await;
    let folder = std::env::temp_dir().join("vereda-samples");
    std::fs::create_dir_all(&folder).unwrap();
    let mut random = Random(6);
    for n in 0..2_000 {
        let records = [
            Record::Assessment(invent_assessment(assessment.clone(), &mut random)),
            Record::Client(invent_client(client.clone(), &mut random)),
        ];
        for (kind, record) in ["assessment", "client"].iter().zip(records) {
            std::fs::write(folder.join(format!("{kind}-{n}")), serde_json::to_string(&record).unwrap())
                .unwrap();
        }
    }
    println!("{}", folder.display());
}
