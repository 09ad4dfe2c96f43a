//! Assessments: scoring an interview, deciding, and everything about one of them.

use super::meta::{Identity, People};
use super::{chain, client, drafts, portfolio, project};
use crate::error::{DeviceError, Result};
use rusqlite::Connection;
use uuid::Uuid;
use vereda_domain::event::{Assessment, EventBody};
use vereda_domain::gateway::{AssessmentView, DecideRequest};
use vereda_domain::record::{AssessmentRecord, Rank};
use vereda_domain::{AssessmentId, Decision, Millis};
use vereda_scoring::{Inputs, Model, Score};

/// The most characters in an override's words.
const MAX_WORDS: usize = 1000;

/// One assessment.
pub(crate) fn get(db: &Connection, id: AssessmentId) -> Result<AssessmentRecord> {
    project::assessment(db, id)?.ok_or(DeviceError::NotFound("assessment"))
}

/// Keeps a score, which was made from these answers of the interview in the same transaction, and
/// ends the interview.
pub(crate) fn keep(
    db: &Connection,
    identity: &Identity,
    draft: &drafts::Draft,
    model: &Model,
    inputs: Inputs,
    score: Score,
    now: Millis,
) -> Result<AssessmentId> {
    client::to_change(db, identity, draft.client)?;
    drafts::discard(db, draft.id)?;
    let id = AssessmentId(Uuid::now_v7());
    let assessment =
        Assessment { id, client: draft.client, model: model.reference(), inputs, score: score.into() };
    chain::append(db, identity, EventBody::Assessed(Box::new(assessment)), now)?;
    Ok(id)
}

/// What the group of an assessment suggests.
pub(crate) fn suggested(record: &AssessmentRecord, model: &Model) -> Result<Decision> {
    let groups = &model.bundle().groups.groups;
    groups
        .get(record.assessment.score.group.index())
        .map(|group| group.decision)
        .ok_or_else(|| DeviceError::Internal("a checked model has fewer than eight groups".into()))
}

/// Whether this user may decide: an officer on what they assessed, until a manager has decided; a
/// manager on all of the branch.
pub(crate) fn may_decide(identity: &Identity, record: &AssessmentRecord) -> bool {
    if record.branch != identity.branch_id() {
        return false;
    }
    let settled = record.decision().is_some_and(|decision| decision.rank == Rank::Manager);
    identity.is_manager() || (record.officer == identity.me() && !settled)
}

/// Records a decision.
pub(crate) fn decide(
    db: &Connection,
    identity: &Identity,
    model: &Model,
    request: DecideRequest,
    now: Millis,
) -> Result<()> {
    let record = get(db, request.assessment)?;
    if !may_decide(identity, &record) {
        return Err(DeviceError::Forbidden("somebody else decides on this assessment"));
    }
    let override_reason = if request.decision == suggested(&record, model)? {
        None
    } else {
        let mut reason = request.override_reason.ok_or(DeviceError::OverrideNeedsReason)?;
        reason.words = reason.words.trim().to_owned();
        if reason.words.is_empty() {
            return Err(DeviceError::OverrideNeedsReason);
        }
        if reason.words.chars().count() > MAX_WORDS {
            return Err(DeviceError::BadRequest("the reason is longer than 1000 characters"));
        }
        Some(reason)
    };
    let body = EventBody::Decided {
        assessment: record.assessment.id,
        client: record.assessment.client,
        decision: request.decision,
        override_reason,
        replaces: record.heads(),
    };
    chain::append(db, identity, body, now)?;
    Ok(())
}

/// Everything about an assessment, with the model that made it.
pub(crate) fn view(
    db: &Connection,
    identity: &Identity,
    id: AssessmentId,
    model: &Model,
) -> Result<AssessmentView> {
    let record = get(db, id)?;
    let people = People::load(db)?;
    let bundle = model.bundle();
    Ok(AssessmentView {
        client_name: portfolio::name(db, record.assessment.client)?,
        officer: people.of(record.officer),
        at: record.at,
        model_name: bundle.name.clone(),
        model_created: bundle.card.created.clone(),
        schema: bundle.schema.clone(),
        groups: bundle.groups.clone(),
        suggested: suggested(&record, model)?,
        decision: record.decision().map(|decision| client::decided(&record, decision, &people)),
        timeline: client::latest_first(client::assessment_timeline(&record, &people)),
        rescore: record.rescore.clone(),
        delivery: chain::delivery(db, id)?,
        may_decide: may_decide(identity, &record),
        assessment: record.assessment,
    })
}
