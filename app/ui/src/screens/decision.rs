//! A decision: approve, refer or refuse; against the suggestion only with a reason from the list and
//! in words.

use super::override_form::{OverrideForm, use_why};
use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::use_query;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::{
    AssessmentRequest, AssessmentView, Decide, DecideRequest, ErrorCode, GatewayError, GetAssessment,
};
use vereda_domain::{AssessmentId, Decision as How};

const ALL: [How; 3] = [How::Approve, How::Refer, How::Refuse];

/// The screen. `against`: whether it was opened to go against the suggestion.
#[component]
pub fn Decision(assessment: AssessmentId, against: bool) -> Element {
    let query = use_query::<GetAssessment>(move || AssessmentRequest { assessment });
    match (query.data)() {
        Some(view) => rsx! {
            Form { view, against }
        },
        None => rsx! {
            Screen { title: t!("decision-title"),
                Waiting { error: (query.error)(), on_retry: move |()| query.again() }
            }
        },
    }
}

#[component]
fn Form(view: AssessmentView, against: bool) -> Element {
    let app = use_app();
    let lang = lang();
    let suggested = view.suggested;
    let id = view.assessment.id;
    let mut how = use_signal(|| (!against).then_some(suggested));
    let why = use_why();
    let mut tried = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let overriding = how().is_some_and(|how| how != suggested);
    let name = view.client_name.clone();
    let record = move |()| {
        let name = name.clone();
        tried.set(true);
        let Some(decision) = how() else {
            browser::focus("decision");
            return;
        };
        let override_reason = if overriding {
            let Some(reason) = why.require() else { return };
            Some(reason)
        } else {
            None
        };
        spawn(async move {
            busy.set(true);
            let request = DecideRequest { assessment: id, decision, override_reason };
            match app.call::<Decide>(request).await {
                Ok(_) => {
                    let done = format!("review-done-{}", decision.as_str());
                    app.toast(here().text(&done, &[("client", name.into())]), None);
                    app.back();
                }
                Err(error) => {
                    busy.set(false);
                    refusal.set(Some(error));
                }
            }
        });
    };
    let score = &view.assessment.score;
    let group = view.groups.groups.get(score.group.index());
    let name_of = |how: How| here().text(&format!("decision-{}", how.as_str()), &[]);
    let options = ALL.map(|how| {
        let label =
            if how == suggested { t!("decision-suggested", what = name_of(how)) } else { name_of(how) };
        Choice::new(how.as_str(), label)
    });
    let label = match how() {
        Some(how) => here().text(&format!("review-do-{}", how.as_str()), &[]),
        None => t!("decision-choose"),
    };
    rsx! {
        Screen {
            title: t!("decision-title"),
            subtitle: view.client_name.clone(),
            footer: rsx! {
                Button {
                    label,
                    testid: "decision-record",
                    look: if how() == Some(How::Refuse) { Look::Danger } else { Look::Primary },
                    busy: busy(),
                    onclick: record,
                }
            },
            section { class: "panel decision-on",
                Badge { group: score.group }
                div {
                    p { class: "row-title", {fmt::in_hundred(lang, score.probability)} " · " {fmt::percent(lang, score.probability, 1)} }
                    if let Some(group) = group {
                        p { class: "meta", {lang.pick(&group.label)} ". " {lang.pick(&group.action)} }
                    }
                }
            }
            if let Some(error) = refusal().filter(|error| error.code != ErrorCode::Locked) {
                ErrorPanel { error }
            }
            div { class: "form",
                ChoiceField {
                    id: "decision",
                    label: t!("decision-how"),
                    options: options.to_vec(),
                    value: how().map(|how| how.as_str().to_owned()),
                    error: (tried() && how().is_none()).then(|| t!("decision-how-missing")),
                    onchange: move |code: String| {
                        refusal.set(None);
                        how.set(ALL.into_iter().find(|how| *how.as_str() == code));
                    },
                }
                if overriding {
                    Notice { tone: Tone::Warning, testid: "decision-against",
                        p { {t!("review-against", what = name_of(suggested))} }
                    }
                    OverrideForm { why }
                }
            }
            p { class: "meta", {t!("decision-kept")} }
        }
    }
}
