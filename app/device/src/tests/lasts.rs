//! Which score is a client's last, whatever comes and goes, in whatever order.

use super::*;
use crate::store::remote;
use crate::store::{lasts, project};
use std::collections::BTreeMap;
use vereda_domain::api::Change;
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{AssessmentRecord, DecisionRecord, Rank, Record};
use vereda_domain::{AssessmentId, ClientId, Decision};

/// What a test expects to be there: of each client every assessment, in order.
type Scores = BTreeMap<ClientId, BTreeMap<Hlc, AssessmentRecord>>;

/// One of all assessments.
fn any(scores: &Scores, random: &mut Random) -> Option<AssessmentRecord> {
    let all: Vec<&AssessmentRecord> = scores.values().flat_map(BTreeMap::values).collect();
    (!all.is_empty()).then(|| all[random.below(all.len() as u64) as usize].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_score_is_the_last_of_all_that_are_there() {
    let (device, session) = Device::ready().await;
    let (_, template) = made(&device, &session).await;
    let identity = session.identity();
    let clients = [1, 2, 3].map(|n| ClientId(Uuid::from_u128(n)));
    let mut random = Random(20_261_201);
    let mut scores = Scores::new();
    let (mut earlier, mut decided, mut purged) = (0, 0, 0);
    for step in 0..400 {
        let change = match (random.below(10), any(&scores, &mut random)) {
            (0..3, Some(gone)) => {
                scores.get_mut(&gone.assessment.client).unwrap().remove(&gone.hlc);
                purged += 1;
                Change::Purge { key: Record::Assessment(gone).key(), erased: false }
            }
            (3..5, Some(mut record)) => {
                let hlc = Hlc { wall: START + 10_000 + step, ..record.hlc };
                let decision = DecisionRecord {
                    decision: [Decision::Approve, Decision::Refuse][random.below(2) as usize],
                    override_reason: None,
                    actor: record.officer,
                    rank: Rank::Officer,
                    at: hlc.wall,
                    replaces: record.decisions.keys().copied().collect(),
                };
                record.decisions.insert(hlc, decision);
                scores.get_mut(&record.assessment.client).unwrap().insert(record.hlc, record.clone());
                decided += 1;
                Change::State { record: Record::Assessment(record) }
            }
            _ => {
                let mut record = template.clone();
                record.assessment.id = AssessmentId(Uuid::now_v7());
                record.assessment.client = clients[random.below(3) as usize];
                record.at = START + random.below(5_000) as Millis;
                record.hlc = Hlc { wall: record.at, counter: step as u32, ..record.hlc };
                let of_client = scores.entry(record.assessment.client).or_default();
                earlier += usize::from(of_client.keys().any(|other| *other > record.hlc));
                of_client.insert(record.hlc, record.clone());
                Change::State { record: Record::Assessment(record) }
            }
        };
        let page = pull::page(&[&serde_json::to_string(&change).unwrap()], 10 + step as u64);
        session.store.write(|db| remote::apply(db, &identity, &CHANGES, &page, START)).unwrap();
        match step {
            // As while a first pull goes on, and at its end.
            150 => session.store.write(|db| lasts::leave_out(db)).unwrap(),
            250 => session.store.write(|db| project::index(db)).unwrap(),
            350 => session.store.rebuild().unwrap(),
            _ => {}
        }
        let found = session.store.read(|db| lasts::of(db, &clients)).unwrap();
        for client in clients {
            let last = scores.get(&client).and_then(|all| all.values().next_back());
            let expected =
                last.map(|last| (last.assessment.id, last.at, last.decision().map(|made| made.decision)));
            let found = found.get(&client).map(|last| (last.assessment, last.at, last.decision));
            assert_eq!(found, expected, "step {step}");
        }
    }
    assert!(earlier > 50 && decided > 50 && purged > 50, "{earlier}, {decided}, {purged}");
}
