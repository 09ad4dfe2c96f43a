//! A decision: approve, refer or refuse; against the suggestion only with a reason from the list and
//! in words.

use super::review_decide::decision_key;
use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::use_query;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::event::{OverrideCode, OverrideReason};
use vereda_domain::gateway::{
    AssessmentRequest, AssessmentView, Decide, DecideRequest, ErrorCode, GatewayError, GetAssessment,
};
use vereda_domain::{AssessmentId, Decision as How};

/// The longest reason, in characters.
const MAX_WORDS: usize = 1000;

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

/// The reason as far as it is complete.
fn reason(code: Option<&str>, words: &str) -> Option<OverrideReason> {
    let code = OverrideCode::ALL.into_iter().find(|known| Some(known.as_str()) == code)?;
    let words = words.trim();
    (!words.is_empty()).then(|| OverrideReason { code, words: words.to_owned() })
}

#[component]
fn Form(view: AssessmentView, against: bool) -> Element {
    let app = use_app();
    let lang = lang();
    let suggested = view.suggested;
    let id = view.assessment.id;
    let mut how = use_signal(|| (!against).then_some(suggested));
    let mut code = use_signal(|| None::<String>);
    let mut words = use_signal(String::new);
    let mut tried = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let overriding = how().is_some_and(|how| how != suggested);
    let missing_code = tried() && overriding && code().is_none();
    let missing_words = tried() && overriding && words().trim().is_empty();
    let name = view.client_name.clone();
    let record = move |()| {
        let name = name.clone();
        tried.set(true);
        let Some(decision) = how() else {
            browser::focus("decision");
            return;
        };
        let override_reason = reason(code().as_deref(), &words()).filter(|_| overriding);
        if overriding && override_reason.is_none() {
            browser::focus(if code().is_none() { "override-code" } else { "override-words" });
            return;
        }
        spawn(async move {
            busy.set(true);
            let request = DecideRequest { assessment: id, decision, override_reason };
            match app.call::<Decide>(request).await {
                Ok(_) => {
                    let done = format!("review-done-{}", decision_key(decision));
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
    let name_of = |how: How| here().text(&format!("decision-{}", decision_key(how)), &[]);
    let options = ALL.map(|how| {
        let label =
            if how == suggested { t!("decision-suggested", what = name_of(how)) } else { name_of(how) };
        Choice::new(decision_key(how), label)
    });
    let codes = OverrideCode::ALL
        .map(|code| Choice::new(code.as_str(), here().text(&format!("override-{}", code.as_str()), &[])));
    let label = match how() {
        Some(how) => here().text(&format!("review-do-{}", decision_key(how)), &[]),
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
                    value: how().map(|how| decision_key(how).to_owned()),
                    error: (tried() && how().is_none()).then(|| t!("decision-how-missing")),
                    onchange: move |code: String| {
                        refusal.set(None);
                        how.set(ALL.into_iter().find(|how| decision_key(*how) == code));
                    },
                }
                if overriding {
                    Notice { tone: Tone::Warning, testid: "decision-against",
                        p { {t!("review-against", what = name_of(suggested))} }
                    }
                    ChoiceField {
                        id: "override-code",
                        label: t!("review-why"),
                        options: codes.to_vec(),
                        value: code(),
                        error: missing_code.then(|| t!("review-why-missing")),
                        onchange: move |chosen| code.set(Some(chosen)),
                    }
                    TextArea {
                        id: "override-words",
                        label: t!("review-words"),
                        help: t!("review-words-help"),
                        value: words(),
                        max: MAX_WORDS,
                        error: missing_words.then(|| t!("review-words-missing")),
                        oninput: move |text| words.set(text),
                    }
                }
            }
            p { class: "meta", {t!("decision-kept")} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_needs_a_code_from_the_list_and_words() {
        assert!(reason(Some("policy"), " ").is_none());
        assert!(reason(Some("mood"), "porque sí").is_none());
        assert!(reason(None, "porque sí").is_none());
        let given = reason(Some("policy"), " circular 12 ").unwrap();
        assert_eq!((given.code, given.words.as_str()), (OverrideCode::Policy, "circular 12"));
    }
}
