//! Whether one event may be applied, apart from what the fold itself decides.

use super::Pusher;
use crate::store::ERASED_DETAIL;
use vereda_domain::api::{QuarantineReason, Role};
use vereda_domain::attachment::MAX_ATTACHMENTS;
use vereda_domain::client::{ClientField, ClientProblem, check};
use vereda_domain::event::{Assessment, Event, EventBody, OverrideReason, margin_bits};
use vereda_domain::record::{FoldError, Rank, RecordKey};
use vereda_domain::{Decision, UserId};

/// The longest text of an override's reason, in characters.
pub const MAX_REASON_CHARS: usize = 1000;
/// The longest name of a consent text's version, in characters.
const MAX_VERSION_CHARS: usize = 60;
/// The most writes or decisions that one may replace.
const MAX_REPLACES: usize = 200;

/// Why an event is kept and not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// For programs.
    pub reason: QuarantineReason,
    /// For support.
    pub detail: String,
    /// The record whose arrival settles it.
    pub waits_for: Option<RecordKey>,
}

impl Quarantine {
    /// Until a person looks at it.
    pub fn new(reason: QuarantineReason, detail: impl Into<String>) -> Quarantine {
        Quarantine { reason, detail: detail.into(), waits_for: None }
    }

    /// Until that record arrives.
    pub fn until(record: RecordKey) -> Quarantine {
        let detail = FoldError::UnknownRecord.to_string();
        Quarantine { reason: QuarantineReason::UnknownRecord, detail, waits_for: Some(record) }
    }

    /// For good: its client was erased.
    pub fn erased() -> Quarantine {
        Quarantine::new(QuarantineReason::Erased, ERASED_DETAIL)
    }

    /// For what the fold says; `key` is the record that the event changes.
    pub fn of_fold(error: FoldError, key: RecordKey) -> Quarantine {
        match error {
            FoldError::UnknownRecord => Quarantine::until(key),
            FoldError::Mismatch => Quarantine::new(QuarantineReason::Foreign, error.to_string()),
            FoldError::SameIdOtherContent => {
                Quarantine::new(QuarantineReason::Contradiction, error.to_string())
            }
        }
    }
}

/// Whether a client can have one attachment more.
pub fn room(attachments: usize) -> Result<(), Quarantine> {
    if attachments < MAX_ATTACHMENTS { Ok(()) } else { malformed("the client has too many attachments") }
}

/// Whether the event is the session's own.
pub fn own(event: &Event, pusher: Pusher) -> Result<(), Quarantine> {
    let foreign = |what: &str| {
        Err(Quarantine::new(
            QuarantineReason::Foreign,
            format!("the event names another {what} than the session"),
        ))
    };
    if event.device != pusher.device || event.hlc.node != pusher.device {
        return foreign("device");
    }
    if event.actor != pusher.user {
        return foreign("user");
    }
    if event.branch != pusher.branch {
        return foreign("branch");
    }
    Ok(())
}

/// Whether this role may do such a thing at all.
pub fn permitted(role: Role, body: &EventBody) -> Result<(), Quarantine> {
    match (role, body) {
        (
            Role::Officer | Role::Manager,
            EventBody::ClientCaptured { .. }
            | EventBody::ClientEdited { .. }
            | EventBody::Attached { .. }
            | EventBody::Assessed(_)
            | EventBody::Decided { .. },
        ) => Ok(()),
        (role, _) => {
            Err(Quarantine::new(QuarantineReason::NotAllowed, format!("not for the role {}", role.as_str())))
        }
    }
}

/// Officers change only what is in their own portfolio.
pub fn in_portfolio(rank: Rank, actor: UserId, owner: UserId) -> Result<(), Quarantine> {
    if rank == Rank::Manager || actor == owner {
        Ok(())
    } else {
        Err(Quarantine::new(QuarantineReason::NotAllowed, "the client is in another officer's portfolio"))
    }
}

/// Whether the values are of the shape that a device's own screens would let through.
pub fn well_formed(event: &Event) -> Result<(), Quarantine> {
    if event.at < 0 {
        return malformed("at is before 1970");
    }
    match &event.body {
        EventBody::ClientCaptured { fields, consent, .. } => {
            for field in ClientField::ALL {
                field_fits(field, fields.get(&field).map_or("", String::as_str))?;
            }
            let version = consent.text_version.trim();
            if version.is_empty() || version.chars().count() > MAX_VERSION_CHARS {
                return malformed("consent.text_version is empty or too long");
            }
            Ok(())
        }
        EventBody::ClientEdited { edits, .. } => {
            if edits.is_empty() {
                return malformed("edits is empty");
            }
            for (field, edit) in edits {
                field_fits(*field, &edit.value)?;
                if edit.replaces.len() > MAX_REPLACES {
                    return malformed("an edit replaces too many writes");
                }
            }
            Ok(())
        }
        EventBody::Attached { attachment, .. } => attachment.check().or_else(malformed),
        EventBody::Assessed(assessment) => assessed(assessment),
        EventBody::Decided { override_reason, replaces, .. } => {
            if replaces.len() > MAX_REPLACES {
                return malformed("a decision replaces too many others");
            }
            override_reason.as_ref().map_or(Ok(()), reason_fits)
        }
    }
}

/// Whether a decision against the suggestion has its reason.
pub fn overridden(
    decision: Decision,
    suggested: Option<Decision>,
    reason: Option<&OverrideReason>,
) -> Result<(), Quarantine> {
    if suggested.is_some_and(|suggested| suggested != decision) && reason.is_none() {
        return malformed("the decision is not the suggested one and has no override_reason");
    }
    Ok(())
}

fn assessed(assessment: &Assessment) -> Result<(), Quarantine> {
    let score = &assessment.score;
    if margin_bits(score.margin) != score.margin_bits {
        return malformed("score.margin and score.margin_bits are different numbers");
    }
    if !(score.probability > 0.0 && score.probability < 1.0) {
        return malformed("score.probability is not between 0 and 1");
    }
    if assessment.model.id.len() > 100 || assessment.model.sha256.len() != 64 {
        return malformed("model.id or model.sha256 has a wrong length");
    }
    Ok(())
}

fn reason_fits(reason: &OverrideReason) -> Result<(), Quarantine> {
    if reason.words.trim().is_empty() || reason.words.chars().count() > MAX_REASON_CHARS {
        return malformed("override_reason.words is empty or too long");
    }
    Ok(())
}

fn field_fits(field: ClientField, value: &str) -> Result<(), Quarantine> {
    // The value itself stays out of the answer and of the log: it is personal data.
    check(field, value).or_else(|problem| {
        let what = match problem {
            ClientProblem::Required => "is required".to_owned(),
            ClientProblem::TooLong { max } => format!("has more than {max} characters"),
            ClientProblem::Malformed => "has characters that do not belong there, or lacks some".to_owned(),
        };
        malformed(&format!("{} {what}", field.as_str()))
    })
}

fn malformed(detail: &str) -> Result<(), Quarantine> {
    Err(Quarantine::new(QuarantineReason::Malformed, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vereda_domain::event::OverrideCode;

    #[test]
    fn a_decision_against_the_suggestion_needs_a_reason() {
        let reason = OverrideReason { code: OverrideCode::Guarantee, words: "fiador".into() };
        assert!(overridden(Decision::Approve, Some(Decision::Approve), None).is_ok());
        assert!(overridden(Decision::Approve, Some(Decision::Refuse), None).is_err());
        assert!(overridden(Decision::Approve, Some(Decision::Refuse), Some(&reason)).is_ok());
        assert!(overridden(Decision::Approve, None, None).is_ok(), "the model is not known here");
        assert!(reason_fits(&OverrideReason { words: "  ".into(), ..reason }).is_err());
    }

    #[test]
    fn only_officers_and_managers_write() {
        let body = EventBody::Decided {
            assessment: vereda_domain::AssessmentId(uuid::Uuid::nil()),
            client: vereda_domain::ClientId(uuid::Uuid::nil()),
            decision: Decision::Approve,
            override_reason: None,
            replaces: Vec::new(),
        };
        for role in [Role::Officer, Role::Manager] {
            assert!(permitted(role, &body).is_ok());
        }
        for role in [Role::Analyst, Role::Admin, Role::Service] {
            assert!(permitted(role, &body).is_err());
        }
    }
}
