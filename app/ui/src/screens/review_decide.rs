//! A decision before it is recorded: what will happen, and why it is not the suggested one.

use super::override_form::{OverrideForm, use_why};
use crate::browser;
use crate::components::{Button, ErrorPanel, Look};
use crate::fmt;
use crate::i18n::{here, lang};
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::Decision;
use vereda_domain::gateway::{AssessmentView, Decide, DecideRequest, GatewayError};

/// Asks for what a decision needs and records it.
#[component]
pub fn DecideDialog(
    view: AssessmentView,
    decision: Decision,
    onclose: EventHandler<Option<AssessmentView>>,
) -> Element {
    let app = use_app();
    let against = decision != view.suggested;
    let why = use_why();
    let mut busy = use_signal(|| false);
    let mut error = use_signal(|| None::<GatewayError>);
    let what = decision.as_str();
    let suggested = here().text(&format!("decision-{}", view.suggested.as_str()), &[]);
    let id = view.assessment.id;
    let client = view.client_name.clone();
    let record = move |()| {
        let override_reason = if against {
            let Some(reason) = why.require() else { return };
            Some(reason)
        } else {
            None
        };
        busy.set(true);
        let done = here().text(&format!("review-done-{what}"), &[("client", client.clone().into())]);
        spawn(async move {
            match app.call::<Decide>(DecideRequest { assessment: id, decision, override_reason }).await {
                Ok(view) => {
                    app.toast(done, None);
                    onclose.call(Some(view));
                }
                Err(refusal) => {
                    error.set(Some(refusal));
                    busy.set(false);
                }
            }
        });
    };
    rsx! {
        dialog {
            id: "decide",
            class: "dialog",
            "data-testid": "review-decide",
            aria_labelledby: "decide-title",
            onmounted: move |_| browser::show_modal("decide"),
            onkeydown: move |event| {
                if event.key() == Key::Escape && !busy() {
                    event.prevent_default();
                    onclose.call(None);
                }
            },
            h2 { id: "decide-title",
                {here().text(&format!("review-ask-{what}"), &[("client", view.client_name.clone().into())])}
            }
            div { class: "form",
                p {
                    {t!(
                        "review-ask-risk",
                        group = view.assessment.score.group.as_str(),
                        pd = fmt::in_hundred(lang(), view.assessment.score.probability),
                    )}
                    " "
                    if against {
                        {t!("review-against", what = suggested)}
                    } else {
                        {t!("review-as-suggested")}
                    }
                }
                if against {
                    OverrideForm { why }
                }
                p { class: "meta", {t!("review-next-sync", officer = view.officer.clone())} }
                if let Some(error) = error() {
                    ErrorPanel { error }
                }
            }
            div { class: "dialog-actions",
                Button {
                    label: t!("cancel"),
                    testid: "review-decide-cancel",
                    disabled: busy(),
                    onclick: move |()| onclose.call(None),
                }
                Button {
                    label: here().text(&format!("review-do-{what}"), &[]),
                    testid: "review-decide-confirm",
                    look: if decision == Decision::Refuse { Look::Danger } else { Look::Primary },
                    busy: busy(),
                    onclick: record,
                }
            }
        }
    }
}
