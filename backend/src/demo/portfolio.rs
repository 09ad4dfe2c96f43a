//! A year's half of an officer's work, as the chain of events of one device.

use super::applicants::Applicant;
use crate::error::ServerError;
use uuid::{Builder, Uuid};
use vereda_domain::client::{CONSENT_TEXT_VERSION, Consent};
use vereda_domain::event::{Assessment, ChainHead, Event, EventBody, OverrideCode, OverrideReason, Sealed};
use vereda_domain::hlc::{Clock, Hlc};
use vereda_domain::{AssessmentId, BranchId, ClientId, Decision, DeviceId, Millis, UserId};
use vereda_scoring::Model;

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;
/// How far back the portfolio goes.
const DAYS: u64 = 180;

/// Whose events.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    /// The actor.
    pub user: UserId,
    /// For which branch.
    pub branch: BranchId,
    /// The owner of the chain.
    pub device: DeviceId,
}

/// An assessment that an officer referred to the manager.
#[derive(Debug, Clone, Copy)]
pub struct Referred {
    branch: BranchId,
    assessment: AssessmentId,
    client: ClientId,
    at: Millis,
    decided: Option<Hlc>,
}

/// All clients are captured; three in five are scored; most of those are decided on, a few against
/// the suggestion; what the suggestion refers goes to the manager.
///
/// # Errors
/// [`ServerError::Bundle`] when the model cannot score an applicant.
pub fn of_officer(
    author: Author,
    model: &Model,
    applicants: &[Applicant],
    officer: usize,
    now: Millis,
) -> Result<(Vec<Sealed>, Vec<Referred>), ServerError> {
    let mut dice = Dice::new(officer);
    let mut planned = Vec::new();
    for applicant in applicants {
        let captured = now - DAY - dice.below_ms(DAYS);
        let client = ClientId(dice.id(captured));
        let consent = Consent { at: captured, text_version: CONSENT_TEXT_VERSION.into() };
        planned.push((
            captured,
            EventBody::ClientCaptured { client, fields: applicant.fields.clone(), consent },
        ));
        if !dice.chance(60) {
            continue;
        }
        let scored = (captured + MINUTE * dice.between(6, 40)).min(now - MINUTE);
        let score = model.score(&applicant.inputs).map_err(|e| ServerError::Bundle(e.to_string()))?;
        let suggested = crate::models::suggested(model, score.group).unwrap_or(Decision::Refer);
        let id = AssessmentId(dice.id(scored));
        let assessment = Assessment {
            id,
            client,
            model: model.reference(),
            inputs: applicant.inputs.clone(),
            score: score.into(),
        };
        planned.push((scored, EventBody::Assessed(Box::new(assessment))));
        if dice.chance(80) {
            let decided = (scored + MINUTE * dice.between(1, 9)).min(now - MINUTE / 2);
            let overrides = dice.chance(6);
            let decision = if overrides { other_than(suggested) } else { suggested };
            let override_reason = overrides.then(|| dice.reason());
            planned.push((
                decided,
                EventBody::Decided {
                    assessment: id,
                    client,
                    decision,
                    override_reason,
                    replaces: Vec::new(),
                },
            ));
        }
    }
    let events = chain(author, planned)?;
    let referred = events.iter().filter_map(referred).collect();
    Ok((events, referred))
}

/// Half of what was referred in the manager's branch is decided, a day or so later.
///
/// # Errors
/// As [`of_officer`].
pub fn of_manager(
    author: Author,
    referred: &[Referred],
    manager: usize,
    now: Millis,
) -> Result<Vec<Sealed>, ServerError> {
    let mut dice = Dice::new(1000 + manager);
    let mut planned = Vec::new();
    for open in referred.iter().filter(|open| open.branch == author.branch) {
        if !dice.chance(50) {
            continue;
        }
        let at = (open.at + MINUTE * dice.between(30, 2 * 24 * 60)).min(now - MINUTE / 4);
        let decision = if dice.chance(55) { Decision::Approve } else { Decision::Refuse };
        let body = EventBody::Decided {
            assessment: open.assessment,
            client: open.client,
            decision,
            override_reason: Some(dice.reason()),
            replaces: open.decided.into_iter().collect(),
        };
        planned.push((at, body));
    }
    chain(author, planned)
}

fn referred(event: &Sealed) -> Option<Referred> {
    match &event.event.body {
        EventBody::Decided {
            assessment, client, decision: Decision::Refer, override_reason: None, ..
        } => Some(Referred {
            branch: event.event.branch,
            assessment: *assessment,
            client: *client,
            at: event.event.at,
            decided: Some(event.event.hlc),
        }),
        _ => None,
    }
}

/// In order of time, sealed. What happened to a client stays in its order: times only rise.
fn chain(author: Author, mut planned: Vec<(Millis, EventBody)>) -> Result<Vec<Sealed>, ServerError> {
    planned.sort_by_key(|(at, _)| *at);
    let mut clock = Clock::new(author.device);
    let mut head = ChainHead::EMPTY;
    let mut events = Vec::with_capacity(planned.len());
    for (at, body) in planned {
        let event = Event {
            device: author.device,
            seq: head.seq + 1,
            prev: head.hash,
            hlc: clock.tick(at),
            at,
            actor: author.user,
            branch: author.branch,
            body,
        };
        let sealed = Sealed::seal(event).map_err(|e| ServerError::Bundle(e.to_string()))?;
        head = ChainHead { seq: sealed.event.seq, hash: sealed.hash };
        events.push(sealed);
    }
    Ok(events)
}

fn other_than(suggested: Decision) -> Decision {
    match suggested {
        Decision::Approve => Decision::Refer,
        Decision::Refer => Decision::Refuse,
        Decision::Refuse => Decision::Refer,
    }
}

const REASONS: [(OverrideCode, &str); 6] = [
    (OverrideCode::KnownClient, "Pagó dos créditos anteriores sin atrasos."),
    (OverrideCode::Guarantee, "Presenta fiador con ingreso fijo."),
    (OverrideCode::NotInTheForm, "Recibe ingresos de cosecha que el formulario no pregunta."),
    (OverrideCode::DoubtfulData, "El ingreso declarado no coincide con la visita al negocio."),
    (OverrideCode::Policy, "Supera el cupo del programa en esta zona."),
    (OverrideCode::Other, "Se acordó en comité con visita de seguimiento."),
];

/// SplitMix64 (Steele, Lea and Flood, 2014): the same sample on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: usize) -> Dice {
        Dice(u64::try_from(seed).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    fn between(&mut self, low: u64, high: u64) -> Millis {
        Millis::try_from(low + self.roll() % (high - low)).unwrap_or(0)
    }

    fn below_ms(&mut self, days: u64) -> Millis {
        self.between(0, days * 24 * 60) * MINUTE
    }

    fn reason(&mut self) -> OverrideReason {
        let index = usize::try_from(self.roll() % 6).unwrap_or(0);
        let (code, words) = REASONS.get(index).copied().unwrap_or(REASONS[0]);
        OverrideReason { code, words: words.to_owned() }
    }

    /// A UUIDv7 of that time.
    fn id(&mut self, at: Millis) -> Uuid {
        let [a, b] = [self.roll().to_be_bytes(), self.roll().to_be_bytes()];
        let mut random = [0; 10];
        random[..8].copy_from_slice(&a);
        random[8..].copy_from_slice(&b[..2]);
        Builder::from_unix_timestamp_millis(u64::try_from(at).unwrap_or(0), &random).into_uuid()
    }
}
