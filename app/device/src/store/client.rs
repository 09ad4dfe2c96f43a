//! One client: capturing, editing, what happened.

use super::meta::{Identity, People};
use super::{chain, drafts, files, lasts, portfolio, project};
use crate::error::{DeviceError, Result};
use rusqlite::Connection;
use std::collections::BTreeMap;
use uuid::Uuid;
use vereda_domain::client::{self, CONSENT_TEXT_VERSION, ClientField, ClientFields};
use vereda_domain::event::{Edit, EventBody};
use vereda_domain::gateway::{
    AttachmentView, ClientView, Conflict, CreateClientRequest, EditClientRequest, TimelineItem, TimelineKind,
};
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{AssessmentRecord, ClientRecord};
use vereda_domain::register::Register;
use vereda_domain::{ClientId, Millis};

/// Whether this user may edit and assess a client.
pub(crate) fn editable(identity: &Identity, client: &ClientRecord) -> bool {
    client.branch == identity.branch_id() && (identity.is_manager() || client.officer == identity.me())
}

/// The client, if this user may change it.
pub(crate) fn to_change(db: &Connection, identity: &Identity, id: ClientId) -> Result<ClientRecord> {
    let client = project::client(db, id)?.ok_or(DeviceError::NotFound("client"))?;
    if !editable(identity, &client) {
        return Err(DeviceError::Forbidden("this client is looked after by somebody else"));
    }
    Ok(client)
}

fn checked(fields: ClientFields, needed: &[ClientField]) -> Result<ClientFields> {
    let fields: ClientFields =
        fields.into_iter().map(|(field, value)| (field, value.trim().to_owned())).collect();
    let mut problems = Vec::new();
    for field in ClientField::ALL {
        let value = match fields.get(&field) {
            Some(value) => value,
            None if needed.contains(&field) => "",
            None => continue,
        };
        if let Err(problem) = client::check(field, value) {
            problems.push((field, problem));
        }
    }
    if problems.is_empty() { Ok(fields) } else { Err(DeviceError::InvalidClient(problems)) }
}

/// Captures a client.
pub(crate) fn create(
    db: &Connection,
    identity: &Identity,
    request: CreateClientRequest,
    now: Millis,
) -> Result<ClientView> {
    let fields = checked(request.fields, &ClientField::ALL[..2])?;
    if request.consent.text_version.trim().is_empty() || request.consent.text_version.len() > 40 {
        return Err(DeviceError::BadRequest("the version of the consent text is missing"));
    }
    if request.consent.text_version != CONSENT_TEXT_VERSION {
        tracing::warn!("the consent text read is not the one this version of the app has");
    }
    let client = ClientId(Uuid::now_v7());
    let body = EventBody::ClientCaptured { client, fields, consent: request.consent };
    chain::append(db, identity, body, now)?;
    view(db, identity, client)
}

/// Edits a client. A field that is named settles its conflicts, even when its value stays.
pub(crate) fn edit(
    db: &Connection,
    identity: &Identity,
    request: EditClientRequest,
    now: Millis,
) -> Result<ClientView> {
    let fields = checked(request.fields, &[])?;
    let client = to_change(db, identity, request.client)?;
    let edits: BTreeMap<ClientField, Edit> = fields
        .into_iter()
        .filter(|(field, value)| {
            let conflict =
                client.fields.get(field).is_some_and(|register| !Register::conflicts(register).is_empty());
            conflict || client.value(*field) != value
        })
        .map(|(field, value)| (field, Edit { value, replaces: client.heads(field) }))
        .collect();
    if !edits.is_empty() {
        chain::append(db, identity, EventBody::ClientEdited { client: client.id, edits }, now)?;
    }
    view(db, identity, client.id)
}

/// Everything about a client.
pub(crate) fn view(db: &Connection, identity: &Identity, id: ClientId) -> Result<ClientView> {
    let client = project::client(db, id)?.ok_or(DeviceError::NotFound("client"))?;
    let people = People::load(db)?;
    let mut scores = lasts::all_of(db, &id.to_string(), 100)?;
    scores.reverse();
    let mut timeline = client_timeline(&client, &people);
    for score in &scores {
        if let Some(assessment) = project::assessment(db, score.assessment)? {
            timeline.extend(assessment_timeline(&assessment, &people));
        }
    }
    let conflicts = client
        .fields
        .iter()
        .flat_map(|(field, register)| {
            register.conflicts().into_iter().map(|(_, write)| Conflict {
                field: *field,
                holds: client.value(*field).to_owned(),
                lost: write.value.clone(),
                actor: people.of(write.actor),
                at: write.at,
            })
        })
        .collect();
    let attachments = client
        .attachments
        .values()
        .rev()
        .map(|attached| {
            let state = match attached.attachment.file() {
                Some(file) => files::state(db, id, file.sha256)?,
                None => Some(false),
            };
            Ok(AttachmentView {
                attachment: attached.attachment.clone(),
                actor: people.of(attached.actor),
                at: attached.at,
                waiting: state == Some(true),
                here: state.is_some(),
            })
        })
        .collect::<Result<_>>()?;
    Ok(ClientView {
        row: portfolio::row(db, &people, id)?,
        captured_at: client.captured_at,
        consents: client.consents.values().cloned().collect(),
        conflicts,
        attachments,
        timeline: latest_first(timeline),
        scores,
        draft: drafts::of_client(db, id)?,
        editable: editable(identity, &client),
    })
}

/// Where an item stands: by causal order, then by what follows from what.
type Placed = ((Hlc, u8), TimelineItem);

/// Puts a timeline in order.
pub(crate) fn latest_first(mut items: Vec<Placed>) -> Vec<TimelineItem> {
    items.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    items.into_iter().map(|(_, item)| item).collect()
}

fn client_timeline(client: &ClientRecord, people: &People) -> Vec<Placed> {
    let mut items = Vec::new();
    let captured = |actor| TimelineItem { at: client.captured_at, actor, what: TimelineKind::Captured };
    items.push(((client.since, 0), captured(people.of(client.officer))));
    for (field, register) in &client.fields {
        for (hlc, write) in register.whole().filter(|(hlc, _)| *hlc != client.since) {
            let what = TimelineKind::Edited { field: *field, value: write.value.clone() };
            items.push(((hlc, 1), TimelineItem { at: write.at, actor: people.of(write.actor), what }));
        }
    }
    for (hlc, attached) in &client.attachments {
        let what = TimelineKind::Attached { kind: attached.attachment.kind().to_owned() };
        items.push(((*hlc, 1), TimelineItem { at: attached.at, actor: people.of(attached.actor), what }));
    }
    items
}

/// What happened to an assessment.
pub(crate) fn assessment_timeline(record: &AssessmentRecord, people: &People) -> Vec<Placed> {
    let assessment = record.assessment.id;
    let mut items = vec![(
        (record.hlc, 2),
        TimelineItem {
            at: record.at,
            actor: people.of(record.officer),
            what: TimelineKind::Assessed {
                assessment,
                group: record.assessment.score.group,
                probability: record.assessment.score.probability,
                model_version: record.assessment.model.version,
            },
        },
    )];
    if let Some(result) = &record.rescore {
        // The server's result has no time of its own: it belongs to the score it checks.
        let what = TimelineKind::Rescored { assessment, result: result.clone() };
        items.push(((record.hlc, 3), TimelineItem { at: record.at, actor: String::new(), what }));
    }
    for (hlc, decision) in &record.decisions {
        items.push(((*hlc, 4), decided(record, decision, people)));
    }
    items
}

/// A decision as an item.
pub(crate) fn decided(
    record: &AssessmentRecord,
    decision: &vereda_domain::record::DecisionRecord,
    people: &People,
) -> TimelineItem {
    TimelineItem {
        at: decision.at,
        actor: people.of(decision.actor),
        what: TimelineKind::Decided {
            assessment: record.assessment.id,
            decision: decision.decision,
            rank: decision.rank,
            override_reason: decision.override_reason.clone(),
        },
    }
}
