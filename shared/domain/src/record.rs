//! What events add up to.
//!
//! A record is a join-semilattice (a state-based CRDT): applying an event and joining two replicas
//! are commutative, associative and idempotent, so order, partition and repetition do not matter.
//! Nothing is overwritten unseen: a field's [`Register`] says which value holds now and which ones lost.

use crate::attachment::{Attachment, FileInfo};
use crate::client::{ClientField, ClientFields, Consent};
use crate::event::{Assessment, Event, EventBody, Hash, OverrideReason};
use crate::hlc::Hlc;
use crate::register::{Register, Write};
use crate::{AssessmentId, BranchId, ClientId, Decision, Millis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use vereda_scoring::bundle::Group;

/// Two things with one timestamp come only from a broken device: keep the same one everywhere.
fn keep_larger<T: Ord>(all: &mut BTreeMap<Hlc, T>, hlc: Hlc, one: T) {
    match all.get_mut(&hlc) {
        Some(present) if *present < one => *present = one,
        Some(_) => {}
        None => {
            all.insert(hlc, one);
        }
    }
}

/// One client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClientRecord {
    /// Who.
    pub id: ClientId,
    /// Whose branch.
    pub branch: BranchId,
    /// The officer who looks after them: who captured them first, until reassigned.
    pub officer: UserId,
    /// The first event about them, by time.
    pub since: Hlc,
    /// When they were captured, by the officer's clock.
    pub captured_at: Millis,
    /// What is known.
    pub fields: BTreeMap<ClientField, Register>,
    /// What they agreed to, by time.
    pub consents: BTreeMap<Hlc, Consent>,
    /// Pictures, signatures and places, by time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attachments: BTreeMap<Hlc, Attached>,
}

/// One attachment, as it was added.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attached {
    /// What.
    pub attachment: Attachment,
    /// By whom.
    pub actor: UserId,
    /// When, by their clock.
    pub at: Millis,
}

impl ClientRecord {
    /// A field's value, empty when it was never written.
    pub fn value(&self, field: ClientField) -> &str {
        self.fields.get(&field).and_then(Register::value).unwrap_or_default()
    }

    /// The file of this hash, if one is attached.
    pub fn file(&self, sha256: Hash) -> Option<&FileInfo> {
        self.attachments
            .values()
            .filter_map(|attached| attached.attachment.file())
            .find(|file| file.sha256 == sha256)
    }

    /// Every field's value.
    pub fn values(&self) -> ClientFields {
        ClientField::ALL.into_iter().map(|field| (field, self.value(field).to_owned())).collect()
    }

    /// The writes that an edit of this field, made now, replaces.
    pub fn heads(&self, field: ClientField) -> Vec<Hlc> {
        let Some(register) = self.fields.get(&field) else { return Vec::new() };
        register.heads().into_iter().map(|(hlc, _)| hlc).collect()
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecisionRecord {
    /// How.
    pub decision: Decision,
    /// Why not as suggested.
    pub override_reason: Option<OverrideReason>,
    /// Who.
    pub actor: UserId,
    /// The decider's standing when it was recorded: a branch manager's decision goes before an
    /// officer's, whatever their clocks say.
    pub rank: Rank,
    /// When, by the decider's clock.
    pub at: Millis,
    /// The decisions that it was made in knowledge of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub replaces: BTreeSet<Hlc>,
}

impl DecisionRecord {
    /// A total order that every replica shares, for two decisions that claim one timestamp.
    fn order(&self) -> impl Ord + '_ {
        let reason = self.override_reason.as_ref().map(|reason| (reason.code, &reason.words));
        (self.rank, self.at, self.actor, self.decision as u8, reason, &self.replaces)
    }
}

/// Whose decision goes before whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// A loan officer, or another system.
    Officer,
    /// A branch manager.
    Manager,
}

/// What the server found when it computed an assessment again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Rescore {
    /// The same margin, bit for bit, the same PD and the same group.
    Same,
    /// Another result: tampering or a bug.
    Different {
        /// The server's margin bits.
        margin_bits: String,
        /// The server's PD.
        probability: f64,
        /// The server's group.
        group: Group,
    },
    /// It could not be computed.
    Impossible {
        /// The model is not known here, or refuses these inputs.
        why: String,
    },
}

impl Rescore {
    /// Which of two findings stays: one that was made over one that could not be, and a difference
    /// over everything, since nothing may make a sign of tampering disappear.
    fn order(&self) -> impl Ord + '_ {
        match self {
            Rescore::Impossible { why } => (0, why.as_str(), 0, None),
            Rescore::Same => (1, "", 0, None),
            Rescore::Different { margin_bits, probability, group } => {
                (2, margin_bits.as_str(), probability.to_bits(), Some(*group))
            }
        }
    }
}

/// One assessment, its decisions, and the server's second opinion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AssessmentRecord {
    /// What was scored and what came out.
    pub assessment: Assessment,
    /// In which branch.
    pub branch: BranchId,
    /// By whom.
    pub officer: UserId,
    /// In causal order.
    pub hlc: Hlc,
    /// By the officer's clock.
    pub at: Millis,
    /// By time.
    pub decisions: BTreeMap<Hlc, DecisionRecord>,
    /// Absent until the server has seen it.
    pub rescore: Option<Rescore>,
}

impl AssessmentRecord {
    /// The decision that holds: the highest rank's; within it, among those that nobody of that rank
    /// replaced, the last in causal order. So an officer never undoes what a manager decided, and a
    /// decision from a clock that is days ahead holds only until a peer who has seen it decides.
    pub fn decision(&self) -> Option<&DecisionRecord> {
        let rank = self.decisions.values().map(|decision| decision.rank).max()?;
        self.decision_heads(rank).last().map(|(_, decision)| *decision)
    }

    /// The decisions that one made now replaces: [`DecisionRecord::replaces`].
    pub fn heads(&self) -> Vec<Hlc> {
        // By rank, since only a peer's word ends a decision.
        let mut heads: Vec<Hlc> = [Rank::Officer, Rank::Manager]
            .into_iter()
            .flat_map(|rank| self.decision_heads(rank))
            .map(|(hlc, _)| hlc)
            .collect();
        heads.sort_unstable();
        heads
    }

    /// The decisions of one rank that no other of it replaced, oldest first.
    fn decision_heads(&self, rank: Rank) -> Vec<(Hlc, &DecisionRecord)> {
        let peers: Vec<_> = self
            .decisions
            .iter()
            .filter(|(_, decision)| decision.rank == rank)
            .map(|(hlc, decision)| (*hlc, decision))
            .collect();
        // What names itself is taken as if it did not: it would vanish without a successor.
        let others = |(own, decision): &(Hlc, &'_ DecisionRecord)| {
            let own = *own;
            decision.replaces.iter().copied().filter(move |other| *other != own).collect::<Vec<_>>()
        };
        let replaced: BTreeSet<Hlc> = peers.iter().flat_map(others).collect();
        let heads: Vec<_> = peers.iter().filter(|(hlc, _)| !replaced.contains(hlc)).copied().collect();
        if heads.is_empty() {
            // Only decisions forged to replace each other leave no head; the last one holds then.
            return peers.last().copied().into_iter().collect();
        }
        heads
    }
}

/// Any record, as pulled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)]
pub enum Record {
    /// A client.
    Client(ClientRecord),
    /// An assessment.
    Assessment(AssessmentRecord),
}

/// Which record an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum RecordKey {
    /// A client.
    Client(ClientId),
    /// An assessment.
    Assessment(AssessmentId),
}

impl Record {
    /// The record as if nothing had been written at these times; `None` when nothing is left. For a
    /// device that records its own events again after its chain forked.
    #[must_use]
    pub fn without(self, gone: &BTreeSet<Hlc>) -> Option<Record> {
        match self {
            Record::Client(mut client) => {
                for register in client.fields.values_mut() {
                    register.forget(|hlc| gone.contains(hlc));
                }
                client.fields.retain(|_, register| !register.is_empty());
                client.consents.retain(|hlc, _| !gone.contains(hlc));
                client.attachments.retain(|hlc, _| !gone.contains(hlc));
                (!gone.contains(&client.since)).then_some(Record::Client(client))
            }
            Record::Assessment(mut assessment) => {
                assessment.decisions.retain(|hlc, _| !gone.contains(hlc));
                (!gone.contains(&assessment.hlc)).then_some(Record::Assessment(assessment))
            }
        }
    }
}

impl EventBody {
    /// The record it changes.
    pub fn key(&self) -> RecordKey {
        match self {
            EventBody::ClientCaptured { client, .. }
            | EventBody::ClientEdited { client, .. }
            | EventBody::Attached { client, .. } => RecordKey::Client(*client),
            EventBody::Assessed(assessment) => RecordKey::Assessment(assessment.id),
            EventBody::Decided { assessment, .. } => RecordKey::Assessment(*assessment),
        }
    }

    /// The client it is about.
    pub fn client(&self) -> ClientId {
        match self {
            EventBody::ClientCaptured { client, .. }
            | EventBody::ClientEdited { client, .. }
            | EventBody::Attached { client, .. }
            | EventBody::Decided { client, .. } => *client,
            EventBody::Assessed(assessment) => assessment.client,
        }
    }
}

/// Why an event cannot be folded into a record. It is kept, and quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FoldError {
    /// It edits or decides on something that is not here (yet).
    #[error("the record that this event changes is not known; it is applied when that record arrives")]
    UnknownRecord,
    /// It belongs to another record or another branch.
    #[error("the event is about another record or another branch")]
    Mismatch,
    /// The same assessment id with another content: the first is kept.
    #[error("an assessment with this id exists with another content; the first one is kept")]
    SameIdOtherContent,
}

/// Folds an event into the record it is about.
///
/// `rank` is the standing of the event's actor, which the fold cannot know by itself.
///
/// # Errors
/// See [`FoldError`]; the record is then unchanged.
pub fn fold(record: Option<Record>, event: &Event, rank: Rank) -> Result<Record, FoldError> {
    match (record, &event.body) {
        (None, EventBody::ClientCaptured { .. }) => Ok(Record::Client(captured(event)?)),
        (None, EventBody::Assessed(assessment)) => Ok(Record::Assessment(AssessmentRecord {
            assessment: (**assessment).clone(),
            branch: event.branch,
            officer: event.actor,
            hlc: event.hlc,
            at: event.at,
            decisions: BTreeMap::new(),
            rescore: None,
        })),
        (None, _) => Err(FoldError::UnknownRecord),
        (Some(Record::Client(mut client)), body) => {
            if client.branch != event.branch {
                return Err(FoldError::Mismatch);
            }
            match body {
                EventBody::ClientCaptured { client: id, .. } if *id == client.id => {
                    client.join(&captured(event)?);
                }
                EventBody::ClientEdited { client: id, edits } if *id == client.id => {
                    for (field, edit) in edits {
                        let write = Write::new(edit.value.clone(), event.actor, event.at);
                        let register = client.fields.entry(*field).or_default();
                        register.write(event.hlc, write, edit.replaces.iter().copied());
                    }
                }
                EventBody::Attached { client: id, attachment } if *id == client.id => {
                    let attached =
                        Attached { attachment: attachment.clone(), actor: event.actor, at: event.at };
                    keep_larger(&mut client.attachments, event.hlc, attached);
                }
                _ => return Err(FoldError::Mismatch),
            }
            Ok(Record::Client(client))
        }
        (Some(Record::Assessment(mut record)), body) => {
            if record.branch != event.branch {
                return Err(FoldError::Mismatch);
            }
            match body {
                EventBody::Assessed(assessment) if **assessment == record.assessment => {
                    record.scored_first(event.hlc, event.at, event.actor);
                }
                EventBody::Assessed(_) => return Err(FoldError::SameIdOtherContent),
                EventBody::Decided { assessment, client, decision, override_reason, replaces }
                    if *assessment == record.assessment.id && *client == record.assessment.client =>
                {
                    let decision = DecisionRecord {
                        decision: *decision,
                        override_reason: override_reason.clone(),
                        actor: event.actor,
                        rank,
                        at: event.at,
                        replaces: replaces.iter().copied().collect(),
                    };
                    record.insert(event.hlc, decision);
                }
                _ => return Err(FoldError::Mismatch),
            }
            Ok(Record::Assessment(record))
        }
    }
}

fn captured(event: &Event) -> Result<ClientRecord, FoldError> {
    let EventBody::ClientCaptured { client, fields, consent } = &event.body else {
        return Err(FoldError::Mismatch);
    };
    let register = |value: &String| {
        let mut register = Register::default();
        register.write(event.hlc, Write::new(value.clone(), event.actor, event.at), []);
        register
    };
    Ok(ClientRecord {
        id: *client,
        branch: event.branch,
        officer: event.actor,
        since: event.hlc,
        captured_at: event.at,
        fields: fields.iter().map(|(field, value)| (*field, register(value))).collect(),
        consents: [(event.hlc, consent.clone())].into(),
        attachments: BTreeMap::new(),
    })
}

impl ClientRecord {
    /// Takes in another replica of the same client.
    pub fn join(&mut self, other: &ClientRecord) {
        for (field, register) in &other.fields {
            self.fields.entry(*field).or_default().join(register);
        }
        for (hlc, consent) in &other.consents {
            keep_larger(&mut self.consents, *hlc, consent.clone());
        }
        for (hlc, attached) in &other.attachments {
            keep_larger(&mut self.attachments, *hlc, attached.clone());
        }
        if (other.since, other.captured_at, other.officer) < (self.since, self.captured_at, self.officer) {
            self.since = other.since;
            self.captured_at = other.captured_at;
            self.officer = other.officer;
        }
    }
}

impl AssessmentRecord {
    /// Takes in another replica of the same assessment. What the server found goes before what this
    /// side does not know.
    pub fn join(&mut self, other: &AssessmentRecord) {
        for (hlc, decision) in &other.decisions {
            self.insert(*hlc, decision.clone());
        }
        if other.rescore.as_ref().map(Rescore::order) > self.rescore.as_ref().map(Rescore::order) {
            self.rescore.clone_from(&other.rescore);
        }
        self.scored_first(other.hlc, other.at, other.officer);
    }

    fn insert(&mut self, hlc: Hlc, decision: DecisionRecord) {
        // As in [`keep_larger`], by an order of its own.
        match self.decisions.get_mut(&hlc) {
            Some(present) if present.order() < decision.order() => *present = decision,
            Some(_) => {}
            None => {
                self.decisions.insert(hlc, decision);
            }
        }
    }

    /// The same assessment told twice was made when it was first told.
    fn scored_first(&mut self, hlc: Hlc, at: Millis, officer: UserId) {
        if (hlc, at, officer) < (self.hlc, self.at, self.officer) {
            (self.hlc, self.at, self.officer) = (hlc, at, officer);
        }
    }
}

/// Joins two replicas of one record; `theirs` alone when there is no `mine`.
///
/// # Errors
/// [`FoldError::Mismatch`] when they are of different kinds, ids or branches;
/// [`FoldError::SameIdOtherContent`] when they are different assessments under one id. Keep `mine` then.
pub fn join(mine: Option<Record>, theirs: Record) -> Result<Record, FoldError> {
    match (mine, theirs) {
        (None, theirs) => Ok(theirs),
        (Some(Record::Client(mut mine)), Record::Client(theirs))
            if (mine.id, mine.branch) == (theirs.id, theirs.branch) =>
        {
            mine.join(&theirs);
            Ok(Record::Client(mine))
        }
        (Some(Record::Assessment(mut mine)), Record::Assessment(theirs))
            if (mine.assessment.id, mine.branch) == (theirs.assessment.id, theirs.branch) =>
        {
            if mine.assessment != theirs.assessment {
                return Err(FoldError::SameIdOtherContent);
            }
            mine.join(&theirs);
            Ok(Record::Assessment(mine))
        }
        _ => Err(FoldError::Mismatch),
    }
}
