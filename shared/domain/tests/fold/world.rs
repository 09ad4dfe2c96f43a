//! Devices that write with wrong clocks and partial knowledge, and replicas that receive.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use vereda_domain::attachment::{Attachment, Position};
use vereda_domain::client::{ClientField, ClientFields, Consent};
use vereda_domain::event::{
    Assessment, Edit, Event, EventBody, Hash, OverrideCode, OverrideReason, RecordedScore, margin_bits,
};
use vereda_domain::hlc::{Clock, Hlc, MAX_DRIFT_MS};
use vereda_domain::record::{AssessmentRecord, ClientRecord, FoldError, Rank, Record, RecordKey, fold, join};
use vereda_domain::{AssessmentId, BranchId, ClientId, Decision, DeviceId, Millis, UserId};
use vereda_scoring::bundle::{Group, Text};
use vereda_scoring::{Contribution, ModelRef, Reason, Value};

pub const START: Millis = 1_795_000_000_000;
pub const DAY: Millis = MAX_DRIFT_MS;
/// By device: officers 0 and 1, managers 2 and 3; how far each clock is off.
pub const SKEW: [Millis; 4] = [0, 400 * DAY, -3 * DAY, 9 * DAY];
pub const DEVICES: usize = SKEW.len();

pub fn id(kind: u128, n: usize) -> Uuid {
    Uuid::from_u128((kind << 64) | n as u128)
}
pub fn branch() -> BranchId {
    BranchId(id(1, 0))
}
pub fn device(n: usize) -> DeviceId {
    DeviceId(id(2, n))
}
pub fn user(n: usize) -> UserId {
    UserId(id(3, n))
}
pub fn client(n: usize) -> ClientId {
    ClientId(id(4, n))
}
pub fn rank(actor: UserId) -> Rank {
    if actor == user(2) || actor == user(3) { Rank::Manager } else { Rank::Officer }
}

pub fn assessment(n: usize, of: ClientId, margin: f64) -> Assessment {
    Assessment {
        id: AssessmentId(id(5, n)),
        client: of,
        model: ModelRef { id: "reference-scorecard".into(), version: 1, sha256: "ab".repeat(32) },
        inputs: [
            ("amount".to_owned(), Value::Number(1000.5)),
            ("home".to_owned(), Value::Category("owner".into())),
            ("guarantor".to_owned(), Value::Boolean(true)),
            ("savings".to_owned(), Value::Missing),
        ]
        .into(),
        score: RecordedScore {
            margin,
            margin_bits: margin_bits(margin),
            probability: 1.0 / (1.0 + (-margin).exp()),
            group: Group::T4,
            bias: -0.1,
            contributions: vec![Contribution { feature: "amount".into(), value: margin + 0.1 }],
            reasons: vec![Reason {
                feature: "amount".into(),
                contribution: margin + 0.1,
                text: Text { es: "El monto".into(), en: "The amount".into() },
            }],
        },
    }
}

/// One thing that somebody does somewhere.
#[derive(Debug, Clone)]
pub enum Step {
    /// Takes down a client; the same one twice when two devices restore one backup, say.
    Capture { on: usize, client: usize, value: u8 },
    /// Edits a client in knowledge of what is on that device; of nothing, if it is not there.
    Edit { on: usize, client: usize, fields: BTreeMap<u8, u8> },
    /// Adds a place to a client.
    Attach { on: usize, client: usize, value: u8 },
    /// Scores a client.
    Assess { on: usize, client: usize, margin: f64 },
    /// Decides on an assessment that is on that device.
    Decide { on: usize, pick: prop::sample::Index, decision: u8 },
    /// One device gets everything that another has.
    Sync { from: usize, to: usize },
    /// Time goes by.
    Wait(i32),
}

pub fn step() -> impl Strategy<Value = Step> {
    let on = 0..DEVICES;
    prop_oneof![
        2 => (on.clone(), 0..3usize, 0..4u8).prop_map(|(on, client, value)| Step::Capture { on, client, value }),
        6 => (on.clone(), 0..3usize, prop::collection::btree_map(0..4u8, 0..4u8, 1..3))
            .prop_map(|(on, client, fields)| Step::Edit { on, client, fields }),
        2 => (on.clone(), 0..3usize, 0..4u8).prop_map(|(on, client, value)| Step::Attach { on, client, value }),
        2 => (on.clone(), 0..3usize, -4.0..4.0f64)
            .prop_map(|(on, client, margin)| Step::Assess { on, client, margin }),
        4 => (on.clone(), any::<prop::sample::Index>(), 0..3u8)
            .prop_map(|(on, pick, decision)| Step::Decide { on, pick, decision }),
        5 => (on.clone(), on).prop_map(|(from, to)| Step::Sync { from, to }),
        1 => (-2_000..100_000i32).prop_map(Step::Wait),
    ]
}

/// Records with the events that found no record yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replica {
    pub records: BTreeMap<RecordKey, Record>,
    pub pending: Vec<Event>,
}

impl Replica {
    pub fn apply(&mut self, event: &Event) -> Result<(), FoldError> {
        let key = event.body.key();
        let record = fold(self.records.get(&key).cloned(), event, rank(event.actor))?;
        self.records.insert(key, record);
        Ok(())
    }

    /// Applies, or keeps for later, as a store does; then what waited for it.
    pub fn receive(&mut self, event: &Event) {
        match self.apply(event) {
            Ok(()) => self.retry(),
            Err(FoldError::UnknownRecord) => self.pending.push(event.clone()),
            Err(other) => panic!("{other}: {event:?}"),
        }
    }

    pub fn retry(&mut self) {
        for event in std::mem::take(&mut self.pending) {
            match self.apply(&event) {
                Ok(()) => {}
                Err(FoldError::UnknownRecord) => self.pending.push(event),
                Err(other) => panic!("{other}: {event:?}"),
            }
        }
    }

    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Replica {
        let mut replica = Replica::default();
        events.into_iter().for_each(|event| replica.receive(event));
        replica
    }

    pub fn join(&mut self, other: &Replica) {
        for (key, theirs) in &other.records {
            let mine = self.records.get(key).cloned();
            self.records.insert(*key, join(mine, theirs.clone()).unwrap());
        }
        self.pending.extend(other.pending.iter().cloned());
        self.retry();
    }

    pub fn client(&self, n: usize) -> Option<&ClientRecord> {
        match self.records.get(&RecordKey::Client(client(n)))? {
            Record::Client(record) => Some(record),
            Record::Assessment(_) => None,
        }
    }

    pub fn assessments(&self) -> Vec<&AssessmentRecord> {
        let assessments = self.records.values().filter_map(|record| match record {
            Record::Assessment(assessment) => Some(assessment),
            Record::Client(_) => None,
        });
        assessments.collect()
    }
}

/// Devices that write, and what an onlooker who sees everything knows of who had seen what.
pub struct World {
    pub now: Millis,
    pub clocks: Vec<Clock>,
    pub replicas: Vec<Replica>,
    pub events: Vec<Event>,
    /// By field of a client and by assessment: every write with the writes its writer had seen.
    pub seen: BTreeMap<(ClientId, ClientField), BTreeMap<Hlc, BTreeSet<Hlc>>>,
    pub seen_decisions: BTreeMap<AssessmentId, BTreeMap<Hlc, BTreeSet<Hlc>>>,
    /// What each device had seen of each field, as the onlooker notes it: records forget.
    known: Vec<BTreeMap<(ClientId, ClientField), BTreeSet<Hlc>>>,
}

impl World {
    pub fn run(steps: &[Step]) -> World {
        let mut world = World {
            now: START,
            clocks: (0..DEVICES).map(|n| Clock::new(device(n))).collect(),
            replicas: vec![Replica::default(); DEVICES],
            events: Vec::new(),
            seen: BTreeMap::new(),
            seen_decisions: BTreeMap::new(),
            known: vec![BTreeMap::new(); DEVICES],
        };
        steps.iter().for_each(|step| world.step(step));
        world
    }

    pub fn step(&mut self, step: &Step) {
        self.now += 1;
        match step {
            Step::Wait(ms) => self.now += Millis::from(*ms),
            Step::Sync { from, to } => self.sync(*from, *to),
            Step::Capture { on, client: n, value } => {
                let fields: ClientFields =
                    ClientField::ALL.into_iter().map(|field| (field, format!("v{value}"))).collect();
                let consent = Consent { at: self.now, text_version: format!("c{value}") };
                let hlc = self.write(*on, EventBody::ClientCaptured { client: client(*n), fields, consent });
                for field in ClientField::ALL {
                    self.note(*on, *n, field, hlc, |known| known.node == hlc.node);
                }
            }
            Step::Edit { on, client: n, fields } => self.edit(*on, *n, fields),
            Step::Attach { on, client: n, value } => {
                let place = Position { latitude_e7: 0, longitude_e7: 0, accuracy_m: u32::from(*value) };
                self.write(
                    *on,
                    EventBody::Attached { client: client(*n), attachment: Attachment::Position(place) },
                );
            }
            Step::Assess { on, client: n, margin } => {
                let assessment = assessment(self.events.len(), client(*n), *margin);
                self.write(*on, EventBody::Assessed(Box::new(assessment)));
            }
            Step::Decide { on, pick, decision } => {
                let known = self.replicas[*on].assessments();
                if let Some(record) = (!known.is_empty()).then(|| (*pick.get(&known)).clone()) {
                    self.decide(*on, &record, *decision);
                }
            }
        }
    }

    pub fn edit(&mut self, on: usize, n: usize, fields: &BTreeMap<u8, u8>) {
        let record = self.replicas[on].client(n).cloned();
        let mut edits = BTreeMap::new();
        for (field, value) in fields {
            let field = ClientField::ALL[usize::from(*field)];
            let replaces = record.as_ref().map(|record| record.heads(field)).unwrap_or_default();
            edits.insert(field, Edit { value: format!("v{value}"), replaces });
        }
        let fields: Vec<ClientField> = edits.keys().copied().collect();
        let hlc = self.write(on, EventBody::ClientEdited { client: client(n), edits });
        for field in fields {
            // Of what waits for its client nothing shows.
            self.note(on, n, field, hlc, |known| record.is_some() || known.node == hlc.node);
        }
    }

    /// A write, and what it was made in knowledge of: whoever captures somebody once more knows what
    /// they wrote themselves, and looked at nothing else.
    fn note(&mut self, on: usize, n: usize, field: ClientField, hlc: Hlc, looked_at: impl Fn(&Hlc) -> bool) {
        let known = self.known[on].entry((client(n), field)).or_default();
        let before = known.iter().filter(|known| looked_at(known)).copied().collect();
        known.insert(hlc);
        self.seen.entry((client(n), field)).or_default().insert(hlc, before);
    }

    pub fn decide(&mut self, on: usize, record: &AssessmentRecord, decision: u8) -> Hlc {
        let reason = OverrideReason { code: OverrideCode::Policy, words: "norma".into() };
        let body = EventBody::Decided {
            assessment: record.assessment.id,
            client: record.assessment.client,
            decision: [Decision::Approve, Decision::Refer, Decision::Refuse][usize::from(decision)],
            override_reason: (decision == 1).then_some(reason),
            replaces: record.heads(),
        };
        let known = record.decisions.keys().copied().collect();
        let hlc = self.write(on, body);
        self.seen_decisions.entry(record.assessment.id).or_default().insert(hlc, known);
        hlc
    }

    pub fn write(&mut self, on: usize, body: EventBody) -> Hlc {
        let at = self.now + SKEW[on];
        let hlc = self.clocks[on].tick(at);
        let seq = self.events.iter().filter(|event| event.device == device(on)).count() as u64 + 1;
        let event = Event {
            device: device(on),
            seq,
            prev: Hash::ZERO,
            hlc,
            at,
            actor: user(on),
            branch: branch(),
            body,
        };
        self.replicas[on].receive(&event);
        self.events.push(event);
        hlc
    }

    pub fn sync(&mut self, from: usize, to: usize) {
        let theirs = self.replicas[from].clone();
        self.replicas[to].join(&theirs);
        for (field, theirs) in self.known[from].clone() {
            self.known[to].entry(field).or_default().extend(theirs);
        }
        let last = self.clocks[from].last();
        self.clocks[to].observe(last, self.now + SKEW[to]);
    }

    /// Everybody gets everything.
    pub fn settle(&mut self) {
        for to in 0..DEVICES {
            (0..DEVICES).for_each(|from| self.sync(from, to));
        }
        (1..DEVICES).for_each(|to| self.sync(0, to));
    }
}
