//! A decision before it is recorded: what will happen, and why it is not the suggested one.

use crate::browser;
use crate::components::{Button, ErrorPanel, FieldFrame, Look};
use crate::fmt;
use crate::i18n::{here, lang};
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::Decision;
use vereda_domain::event::{OverrideCode, OverrideReason};
use vereda_domain::gateway::{AssessmentView, Decide, DecideRequest, GatewayError};

/// The longest reason accepted, in characters.
const MAX_WORDS: i64 = 1000;

/// `approve`, `refer` or `refuse`, as in the catalogues.
pub fn decision_key(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approve",
        Decision::Refer => "refer",
        Decision::Refuse => "refuse",
    }
}

/// Asks for what a decision needs and records it.
#[component]
pub fn DecideDialog(
    view: AssessmentView,
    decision: Decision,
    onclose: EventHandler<Option<AssessmentView>>,
) -> Element {
    let app = use_app();
    let against = decision != view.suggested;
    let mut code = use_signal(|| None::<OverrideCode>);
    let mut words = use_signal(String::new);
    let mut asked = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut error = use_signal(|| None::<GatewayError>);
    let what = decision_key(decision);
    let suggested = here().text(&format!("decision-{}", decision_key(view.suggested)), &[]);
    let id = view.assessment.id;
    let client = view.client_name.clone();
    let record = move |()| {
        asked.set(true);
        let reason = against.then(|| {
            let code = (*code.peek())?;
            let words = words.peek().trim().to_owned();
            (!words.is_empty()).then_some(OverrideReason { code, words })
        });
        let override_reason = match reason {
            Some(None) => {
                browser::focus(if code.peek().is_none() { "override-code" } else { "override-words" });
                return;
            }
            Some(reason) => reason,
            None => None,
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
    let missing = |empty: bool, key: &str| (asked() && empty).then(|| here().text(key, &[]));
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
                    FieldFrame {
                        id: "override-code",
                        label: t!("review-why"),
                        error: missing(code().is_none(), "review-why-missing"),
                        group: true,
                        div {
                            class: "choices",
                            role: "radiogroup",
                            aria_labelledby: "override-code-label",
                            aria_describedby: "override-code-error",
                            for (index , one) in OverrideCode::ALL.into_iter().enumerate() {
                                label { key: "{index}", class: "choice",
                                    input {
                                        id: if index == 0 { "override-code" },
                                        r#type: "radio",
                                        name: "override-code",
                                        checked: code() == Some(one),
                                        "data-testid": "option-override-code-{one.as_str()}",
                                        onchange: move |_| code.set(Some(one)),
                                    }
                                    span { {here().text(&format!("override-{}", one.as_str()), &[])} }
                                }
                            }
                        }
                    }
                    FieldFrame {
                        id: "override-words",
                        label: t!("review-words"),
                        help: t!("review-words-help"),
                        error: missing(words().trim().is_empty(), "review-words-missing"),
                        div { class: "input",
                            textarea {
                                id: "override-words",
                                "data-testid": "input-override-words",
                                rows: "3",
                                maxlength: MAX_WORDS,
                                aria_describedby: "override-words-help override-words-error",
                                value: words(),
                                oninput: move |event| words.set(event.value()),
                            }
                        }
                    }
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
