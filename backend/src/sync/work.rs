//! Applying events to a snapshot, in memory, until the whole of it can be written.

use super::chain::{Incoming, Unread};
use super::judge::{self, Quarantine};
use super::{PushError, Pusher};
use crate::clock::rfc3339;
use crate::models::{Models, suggested};
use crate::store::{NewEvent, NewScore, Reassigned, RecordRow, Snapshot, Waiting};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vereda_domain::api::{EventOutcome, HistoryEntry, QuarantineReason, Source};
use vereda_domain::event::{Assessment, Event, EventBody, Stub, margin_bits};
use vereda_domain::record::{AssessmentRecord, Rank, Record, RecordKey, Rescore, fold};
use vereda_domain::{AssessmentId, ClientId, DeviceId, UserId};
use vereda_scoring::Model;
use vereda_scoring::bundle::Group;

/// The state of a push that is being decided on.
pub struct Work<'a> {
    pusher: Pusher,
    models: &'a Models,
    records: BTreeMap<RecordKey, Record>,
    waiting: Vec<Waiting>,
    erased: BTreeSet<ClientId>,
    events: Vec<NewEvent>,
    settled: Vec<(DeviceId, u64, EventOutcome)>,
    /// Records that changed, in the order of their last change.
    changed: Vec<RecordKey>,
    reassigned: Vec<Reassigned>,
    counted: Vec<Counted>,
    /// What policy suggested for each assessment that was touched.
    suggestions: BTreeMap<AssessmentId, Option<vereda_domain::Decision>>,
}

/// What a push adds.
pub struct Done {
    /// See [`crate::store::Append::events`].
    pub events: Vec<NewEvent>,
    /// See [`crate::store::Append::settled`].
    pub settled: Vec<(DeviceId, u64, EventOutcome)>,
    /// See [`crate::store::Append::records`].
    pub records: Vec<RecordRow>,
    /// See [`crate::store::Append::reassigned`].
    pub reassigned: Vec<Reassigned>,
    /// See [`crate::store::Append::history`].
    pub history: Vec<NewScore>,
    /// For the metrics.
    pub counted: Vec<Counted>,
}

/// One assessment that was stored.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Which.
    pub id: AssessmentId,
    /// By which model version.
    pub version: u32,
    /// In which group.
    pub group: Group,
    /// Its PD.
    pub probability: f64,
    /// What the server found.
    pub rescore: Rescore,
}

impl<'a> Work<'a> {
    /// On this snapshot.
    pub fn new(pusher: Pusher, snapshot: Snapshot, models: &'a Models) -> Work<'a> {
        Work {
            pusher,
            models,
            records: snapshot.records,
            waiting: snapshot.waiting,
            erased: snapshot.erased,
            events: Vec::new(),
            settled: Vec::new(),
            changed: Vec::new(),
            reassigned: Vec::new(),
            counted: Vec::new(),
            suggestions: BTreeMap::new(),
        }
    }

    /// Takes the next event of the chain, and whatever waited for what it brings.
    pub async fn take(&mut self, incoming: &Incoming) -> Result<(), PushError> {
        let rank = self.pusher.role.rank();
        if let Some(event) = self.left_of(incoming, rank)? {
            self.events.push(event);
            return Ok(());
        }
        let judged = match &incoming.event {
            Err(Unread::Erased(_)) => Err(Quarantine::erased()),
            Err(Unread::UnknownKind(kind)) => {
                let detail = format!("this server does not know events of the type {kind:?}");
                Err(Quarantine::new(QuarantineReason::UnknownKind, detail))
            }
            Err(Unread::Malformed(why)) => Err(Quarantine::new(QuarantineReason::Malformed, why.clone())),
            Ok(event) => {
                let admitted = judge::own(event, self.pusher)
                    .and_then(|()| judge::permitted(self.pusher.role, &event.body))
                    .and_then(|()| judge::well_formed(event));
                match admitted {
                    Ok(()) => self.apply(event, rank).await?,
                    Err(quarantine) => Err(quarantine),
                }
            }
        };
        let (outcome, waits_for) = outcome(&judged);
        self.events.push(NewEvent {
            seq: incoming.header.seq,
            hash: incoming.hash,
            text: incoming.text.clone(),
            outcome,
            key: incoming.event.as_ref().ok().map(|event| event.body.key()),
            waits_for,
            rank,
        });
        if let Some(waits_for) = waits_for {
            self.waiting.push(Waiting {
                device: self.pusher.device,
                seq: incoming.header.seq,
                text: incoming.text.clone(),
                waits_for,
                rank,
            });
        }
        if let Ok(Some(arrived)) = judged {
            self.arrived(arrived).await?;
        }
        Ok(())
    }

    /// What is kept of an event about a client who was erased while it was on its way, or before.
    fn left_of(&self, incoming: &Incoming, rank: Rank) -> Result<Option<NewEvent>, PushError> {
        let erased = incoming.client.is_some_and(|client| self.erased.contains(&client));
        if !erased {
            return Ok(None);
        }
        let (seq, hash) = (incoming.header.seq, incoming.hash);
        let text = serde_json::to_string(&Stub::new(incoming.header.clone(), hash))
            .map_err(|e| PushError::Unreadable { index: 0, why: e.to_string() })?;
        let (outcome, _) = outcome(&Err(Quarantine::erased()));
        Ok(Some(NewEvent { seq, hash, text, outcome, key: None, waits_for: None, rank }))
    }

    /// Applies what waited for this record, and what waited for what that brings, and so on.
    async fn arrived(&mut self, key: RecordKey) -> Result<(), PushError> {
        let mut queue = vec![key];
        while let Some(key) = queue.pop() {
            let (ready, rest) = self.waiting.drain(..).partition(|event| event.waits_for == key);
            self.waiting = rest;
            let ready: Vec<Waiting> = ready;
            for waiting in ready {
                // It was read before it was left waiting.
                let Ok(event) = serde_json::from_str::<Event>(&waiting.text) else { continue };
                let judged = self.apply(&event, waiting.rank).await?;
                let (outcome, waits_for) = outcome(&judged);
                match self
                    .events
                    .iter_mut()
                    .find(|e| e.seq == waiting.seq && waiting.device == self.pusher.device)
                {
                    Some(mine) => (mine.outcome, mine.waits_for) = (outcome, waits_for),
                    None => self.settled.push((waiting.device, waiting.seq, outcome)),
                }
                queue.extend(judged.ok().flatten());
            }
        }
        Ok(())
    }

    /// Folds one event; says which record is new because of it.
    async fn apply(
        &mut self,
        event: &Event,
        rank: Rank,
    ) -> Result<Result<Option<RecordKey>, Quarantine>, PushError> {
        let key = event.body.key();
        let client = RecordKey::Client(event.body.client());
        let is_new = !self.records.contains_key(&key);
        if let Err(quarantine) = self.context(event, rank, key, client).await? {
            return Ok(Err(quarantine));
        }
        let before = self.records.get(&client).map(owner);
        let mut folded = match fold(self.records.get(&key).cloned(), event, rank) {
            Ok(folded) => folded,
            Err(error) => return Ok(Err(Quarantine::of_fold(error, key))),
        };
        if self.records.get(&key) == Some(&folded) {
            return Ok(Ok(None));
        }
        if let Record::Assessment(record) = &mut folded
            && record.rescore.is_none()
        {
            let (rescore, suggestion) = self.rescore(&record.assessment).await?;
            self.counted.push(Counted {
                id: record.assessment.id,
                version: record.assessment.model.version,
                group: record.assessment.score.group,
                probability: record.assessment.score.probability,
                rescore: rescore.clone(),
            });
            self.suggestions.insert(record.assessment.id, suggestion);
            record.rescore = Some(rescore);
        }
        if let (Record::Client(folded), Some(before)) = (&folded, before)
            && folded.officer != before
        {
            let moved = Reassigned { client: folded.id, from: before, to: folded.officer };
            self.reassigned.push(moved);
        }
        if self.records.insert(key, folded).is_some() {
            self.changed.retain(|changed| *changed != key);
        }
        self.changed.push(key);
        Ok(Ok(is_new.then_some(key)))
    }

    /// What must hold of the records around an event.
    async fn context(
        &mut self,
        event: &Event,
        rank: Rank,
        key: RecordKey,
        client: RecordKey,
    ) -> Result<Result<(), Quarantine>, PushError> {
        match self.records.get(&client) {
            Some(Record::Client(record)) if record.branch != event.branch => {
                return Ok(Err(Quarantine::of_fold(vereda_domain::record::FoldError::Mismatch, key)));
            }
            Some(record) if !matches!(event.body, EventBody::ClientCaptured { .. }) => {
                if let Err(quarantine) = judge::in_portfolio(rank, event.actor, owner(record)) {
                    return Ok(Err(quarantine));
                }
            }
            None if matches!(event.body, EventBody::Assessed(_)) => {
                return Ok(Err(Quarantine::until(client)));
            }
            _ => {}
        }
        if let (EventBody::Attached { .. }, Some(Record::Client(record))) =
            (&event.body, self.records.get(&key))
            && let Err(quarantine) = judge::room(record.attachments.len())
        {
            return Ok(Err(quarantine));
        }
        if let (EventBody::Decided { decision, override_reason, .. }, Some(Record::Assessment(record))) =
            (&event.body, self.records.get(&key))
        {
            let assessment = record.assessment.clone();
            let model = self.model(&assessment).await?;
            let suggestion = model.ok().and_then(|model| suggested(&model, assessment.score.group));
            self.suggestions.insert(assessment.id, suggestion);
            return Ok(judge::overridden(*decision, suggestion, override_reason.as_ref()));
        }
        Ok(Ok(()))
    }

    /// The model that an assessment names, or why there is none here: what was captured is taken in
    /// with it or without.
    async fn model(&self, assessment: &Assessment) -> Result<Result<Arc<Model>, String>, PushError> {
        let version = assessment.model.version;
        Ok(match self.models.find(version).await? {
            Ok(model) if model.reference() == assessment.model => Ok(model),
            Ok(_) => Err(format!("model version {version} with this hash was not published here")),
            Err(missing) => Err(format!("model version {version} {missing}")),
        })
    }

    async fn rescore(
        &self,
        assessment: &Assessment,
    ) -> Result<(Rescore, Option<vereda_domain::Decision>), PushError> {
        let model = match self.model(assessment).await? {
            Ok(model) => model,
            Err(why) => return Ok((Rescore::Impossible { why }, None)),
        };
        let suggestion = suggested(&model, assessment.score.group);
        let rescore = match model.score(&assessment.inputs) {
            Err(error) => Rescore::Impossible { why: error.to_string() },
            Ok(score) => {
                let bits = margin_bits(score.margin);
                let recorded = &assessment.score;
                if bits == recorded.margin_bits
                    && score.probability.to_bits() == recorded.probability.to_bits()
                    && score.group == recorded.group
                {
                    Rescore::Same
                } else {
                    Rescore::Different {
                        margin_bits: bits,
                        probability: score.probability,
                        group: score.group,
                    }
                }
            }
        };
        Ok((rescore, suggestion))
    }

    /// All that is to be written.
    pub fn finish(mut self) -> Done {
        let mut whose = Vec::with_capacity(self.changed.len());
        let mut history = Vec::new();
        for key in &self.changed {
            let Some(record) = self.records.get(key) else { continue };
            whose.push(match record {
                Record::Client(client) => (client.officer, client.id),
                Record::Assessment(assessed) => {
                    let client = assessed.assessment.client;
                    let suggestion = self.suggestions.get(&assessed.assessment.id).copied().flatten();
                    let entry = history_entry(assessed, suggestion);
                    history.push(NewScore { scored_ms: assessed.at, entry, places: None });
                    (self.owner_of(client).unwrap_or(assessed.officer), client)
                }
            });
        }
        // No key is in the list twice.
        let changed = self.changed.iter().filter_map(|key| self.records.remove(key));
        let rows = changed.zip(whose).map(|(record, (owner, client))| RecordRow { record, owner, client });
        let rows = rows.collect();
        Done {
            events: self.events,
            settled: self.settled,
            records: rows,
            reassigned: self.reassigned,
            history,
            counted: self.counted,
        }
    }

    fn owner_of(&self, client: ClientId) -> Option<UserId> {
        self.records.get(&RecordKey::Client(client)).map(owner)
    }
}

fn owner(record: &Record) -> UserId {
    match record {
        Record::Client(client) => client.officer,
        Record::Assessment(assessment) => assessment.officer,
    }
}

fn outcome(judged: &Result<Option<RecordKey>, Quarantine>) -> (EventOutcome, Option<RecordKey>) {
    match judged {
        Ok(_) => (EventOutcome::Stored, None),
        Err(q) => (EventOutcome::Quarantined { reason: q.reason, detail: q.detail.clone() }, q.waits_for),
    }
}

fn history_entry(record: &AssessmentRecord, suggestion: Option<vereda_domain::Decision>) -> HistoryEntry {
    let assessment = &record.assessment;
    let decision = record.decision().map(|d| d.decision);
    HistoryEntry {
        id: assessment.id,
        source: Source::Field,
        client: Some(assessment.client),
        client_ref: None,
        officer: record.officer,
        branch: Some(record.branch),
        model: assessment.model.clone(),
        inputs: assessment.inputs.clone(),
        margin: assessment.score.margin,
        margin_bits: assessment.score.margin_bits.clone(),
        probability: assessment.score.probability,
        group: assessment.score.group,
        reasons: assessment.score.reasons.clone(),
        decision,
        overridden: decision.is_some() && suggestion.is_some() && decision != suggestion,
        rescore: record.rescore.clone(),
        scored_at: rfc3339(record.at),
        // The store says it when the entry is read.
        received_at: String::new(),
    }
}
