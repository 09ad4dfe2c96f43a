//! What came out, for the client to read or have read aloud, and to print. No jargon, no figures
//! that need explaining, and what the client may ask for.

use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::use_query;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::AssessmentId;
use vereda_domain::gateway::{AssessmentRequest, AssessmentView, GetAssessment, TimelineKind};

/// The screen.
#[component]
pub fn Letter(assessment: AssessmentId) -> Element {
    let query = use_query::<GetAssessment>(move || AssessmentRequest { assessment });
    rsx! {
        Screen {
            title: t!("letter-title"),
            footer: rsx! {
                Button {
                    label: t!("letter-print"),
                    testid: "letter-print",
                    look: Look::Primary,
                    icon: Icon::Printer,
                    onclick: |()| browser::print(),
                }
            },
            if let Some(view) = (query.data)() {
                Page { view }
            } else {
                Waiting { error: (query.error)(), on_retry: move |()| query.again() }
            }
        }
    }
}

#[component]
fn Page(view: AssessmentView) -> Element {
    let app = use_app();
    let lang = lang();
    let score = &view.assessment.score;
    let sentences = |raises: bool| -> Vec<String> {
        let fits = score.reasons.iter().filter(|reason| (reason.contribution > 0.0) == raises);
        fits.map(|reason| lang.pick(&reason.text).to_owned()).collect()
    };
    let (against, helping) = (sentences(true), sentences(false));
    let decision = view.decision.as_ref().and_then(|item| match &item.what {
        TimelineKind::Decided { decision, .. } => Some(decision.as_str()),
        _ => None,
    });
    let branch = app.user().map(|user| user.branch).unwrap_or_default();
    rsx! {
        article { class: "letter", "data-testid": "letter",
            p { class: "meta", {fmt::date(lang, view.at)} " · {branch}" }
            h2 { {t!("letter-dear", name = view.client_name.as_str())} }
            p { {t!("letter-intro")} }
            p { class: "letter-key", "data-testid": "letter-decision",
                match decision {
                    Some(decision) => here().text(&format!("letter-decision-{decision}"), &[]),
                    None => t!("letter-undecided"),
                }
            }
            p { {t!("letter-pd", words = fmt::in_hundred(lang, score.probability))} }
            if !helping.is_empty() {
                h3 { {t!("letter-helps")} }
                ul { class: "bullets",
                    for (index , sentence) in helping.iter().enumerate() {
                        li { key: "{index}", "{sentence}" }
                    }
                }
            }
            if !against.is_empty() {
                h3 { {t!("letter-weighs")} }
                ul { class: "bullets",
                    for (index , sentence) in against.iter().enumerate() {
                        li { key: "{index}", "{sentence}" }
                    }
                }
            }
            h3 { {t!("letter-rights")} }
            ul { class: "bullets",
                li { {t!("letter-right-person")} }
                li { {t!("letter-right-correct")} }
                li { {t!("letter-right-again")} }
            }
            p { class: "meta letter-foot",
                {t!("letter-foot", officer = view.officer.as_str(), version = view.assessment.model.version)}
            }
        }
    }
}
