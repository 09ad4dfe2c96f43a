//! What has happened to a client or an assessment, latest first.

use super::client_form::field_label;
use crate::components::{Glyph, Icon};
use crate::fmt;
use crate::i18n::{I18n, Lang, here, lang};
use crate::route::Route;
use crate::state::use_app;
use dioxus::prelude::*;
use vereda_domain::AssessmentId;
use vereda_domain::gateway::{TimelineItem, TimelineKind};
use vereda_domain::record::{Rank, Rescore};

/// What happened. With `leads`, an assessment and what came of it lead to the result.
#[component]
pub fn Timeline(items: Vec<TimelineItem>, #[props(default)] leads: bool) -> Element {
    rsx! {
        ol { class: "events",
            for (index , item) in items.into_iter().enumerate() {
                Happened { key: "{index}", item, leads }
            }
        }
    }
}

/// Which assessment something that happened is about.
fn about(what: &TimelineKind) -> Option<AssessmentId> {
    match what {
        TimelineKind::Captured | TimelineKind::Edited { .. } | TimelineKind::Attached { .. } => None,
        TimelineKind::Assessed { assessment, .. }
        | TimelineKind::Decided { assessment, .. }
        | TimelineKind::Rescored { assessment, .. } => Some(*assessment),
    }
}

#[component]
fn Happened(item: TimelineItem, leads: bool) -> Element {
    let app = use_app();
    let (i18n, lang) = (here(), lang());
    let icon = match &item.what {
        TimelineKind::Captured => Icon::UserPlus,
        TimelineKind::Edited { .. } => Icon::Pencil,
        TimelineKind::Attached { .. } => Icon::FileText,
        TimelineKind::Assessed { .. } => Icon::Scale,
        TimelineKind::Decided { .. } => Icon::ClipboardCheck,
        TimelineKind::Rescored { .. } => Icon::ShieldCheck,
    };
    let reason = match &item.what {
        TimelineKind::Decided { override_reason: Some(reason), .. } => Some(reason.clone()),
        _ => None,
    };
    let body = rsx! {
        span { class: "row-body",
            span { class: "event-said", {happened(i18n, lang, &item)} }
            if let Some(reason) = reason {
                span { class: "meta event-said",
                    {i18n.text(&format!("override-{}", reason.code.as_str()), &[])}
                    ": {reason.words}"
                }
            }
            span { class: "meta event-said",
                {fmt::date(lang, item.at)}
                ", "
                {fmt::time(item.at)}
            }
        }
    };
    rsx! {
        li { class: "happened",
            if let Some(assessment) = about(&item.what).filter(|_| leads) {
                button {
                    class: "happened-body",
                    r#type: "button",
                    "data-testid": "timeline-assessment",
                    onclick: move |_| app.go(Route::Result(assessment)),
                    Glyph { icon }
                    {body}
                    Glyph { icon: Icon::ChevronRight }
                }
            } else {
                div { class: "happened-body",
                    Glyph { icon }
                    {body}
                }
            }
        }
    }
}

/// What happened, in a sentence.
fn happened(i18n: I18n, lang: Lang, item: &TimelineItem) -> String {
    let actor = ("actor", item.actor.clone().into());
    match &item.what {
        TimelineKind::Captured => i18n.text("event-captured", &[actor]),
        TimelineKind::Edited { field, value } => {
            let key = if value.is_empty() { "event-emptied" } else { "event-edited" };
            let field = ("field", field_label(i18n, *field).into());
            i18n.text(key, &[actor, field, ("value", value.clone().into())])
        }
        TimelineKind::Attached { kind } => {
            let what = i18n.text(&format!("attachment-{kind}"), &[]);
            i18n.text("event-attached", &[actor, ("what", what.into())])
        }
        TimelineKind::Assessed { group, probability, model_version, .. } => i18n.text(
            "event-assessed",
            &[
                actor,
                ("group", group.as_str().into()),
                ("pd", fmt::percent(lang, *probability, 1).into()),
                ("version", model_version.to_string().into()),
            ],
        ),
        TimelineKind::Decided { decision, rank, .. } => {
            let rank = match rank {
                Rank::Officer => "role-officer",
                Rank::Manager => "role-manager",
            };
            let args = [actor, ("rank", i18n.text(rank, &[]).into())];
            i18n.text(&format!("event-{}", decision.as_str()), &args)
        }
        TimelineKind::Rescored { result, .. } => i18n.text(
            match result {
                Rescore::Same => "rescore-same",
                Rescore::Different { .. } => "rescore-different",
                Rescore::Impossible { .. } => "rescore-impossible",
            },
            &[],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_an_assessment_leads_to_it() {
        let id = AssessmentId(uuid::Uuid::from_u128(3));
        let rescored =
            TimelineKind::Rescored { assessment: id, result: vereda_domain::record::Rescore::Same };
        assert_eq!(about(&rescored), Some(id));
        assert_eq!(about(&TimelineKind::Captured), None);
    }
}
