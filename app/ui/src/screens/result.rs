//! What came out: the group, the probability in words and figures, why, what would change it, and
//! which model said so.

use super::review_detail::answer;
use super::what_if::WhatIfPanel;
use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{I18n, Lang, here, lang};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::AssessmentId;
use vereda_domain::gateway::{
    AssessmentRequest, AssessmentView, Delivery, GetAssessment, TimelineItem, TimelineKind,
};
use vereda_domain::record::Rescore;

const DAY: i64 = 86_400_000;

/// The screen.
#[component]
pub fn Result(assessment: AssessmentId) -> Element {
    let app = use_app();
    let query = use_query::<GetAssessment>(move || AssessmentRequest { assessment });
    let Some(view) = (query.data)() else {
        return rsx! {
            Screen { title: t!("result-title"),
                Waiting { error: (query.error)(), on_retry: move |()| query.again() }
            }
        };
    };
    let decided = view.decision.is_some();
    rsx! {
        Screen {
            title: view.client_name.clone(),
            subtitle: t!("result-by", officer = view.officer.as_str(), time = fmt::moment(lang(), view.at, browser::now())),
            actions: rsx! {
                IconButton {
                    label: t!("result-letter"),
                    icon: Icon::FileText,
                    testid: "result-letter",
                    onclick: move |()| app.go(Route::Letter(assessment)),
                }
            },
            footer: rsx! {
                if decided {
                    if view.may_decide {
                        Button {
                            label: t!("result-decide-again"),
                            testid: "result-override",
                            onclick: move |()| app.go(Route::Override(assessment)),
                        }
                    }
                    Button {
                        label: t!("result-to-portfolio"),
                        testid: "result-to-portfolio",
                        look: Look::Primary,
                        onclick: move |()| app.go(Route::Portfolio),
                    }
                } else if view.may_decide {
                    Button {
                        label: t!("result-override"),
                        testid: "result-override",
                        onclick: move |()| app.go(Route::Override(assessment)),
                    }
                    Button {
                        label: t!("result-decide"),
                        testid: "result-decide",
                        look: Look::Primary,
                        onclick: move |()| app.go(Route::Decision(assessment)),
                    }
                } else {
                    Button {
                        label: t!("result-to-portfolio"),
                        testid: "result-to-portfolio",
                        look: Look::Primary,
                        onclick: move |()| app.go(Route::Portfolio),
                    }
                }
            },
            Verdict { view: view.clone() }
            Standing { view: view.clone() }
            Panel { title: t!("result-reasons"), testid: "result-reasons",
                p { class: "panel-lead", {t!("result-reasons-means")} }
                ReasonBars { bars: bars(here(), lang(), &view) }
            }
            WhatIfPanel { view: view.clone() }
            Source { view }
        }
    }
}

/// The reasons as bars, with what was answered.
pub fn bars(i18n: I18n, lang: Lang, view: &AssessmentView) -> Vec<ReasonBar> {
    let assessment = &view.assessment;
    let bar = |reason: &vereda_scoring::Reason| {
        let feature = view.schema.features.iter().find(|feature| feature.name == reason.feature);
        ReasonBar {
            label: feature.map_or(reason.feature.as_str(), |f| lang.pick(&f.label)).to_owned(),
            answer: feature
                .map(|f| answer(i18n, lang, &view.schema, f, assessment.inputs.get(&f.name)))
                .unwrap_or_default(),
            sentence: lang.pick(&reason.text).to_owned(),
            weight: reason.contribution,
        }
    };
    assessment.score.reasons.iter().map(bar).collect()
}

/// The group large, the probability twice, and where it stands on the scale.
#[component]
fn Verdict(view: AssessmentView) -> Element {
    let lang = lang();
    let score = &view.assessment.score;
    let group = view.groups.groups.get(score.group.index());
    rsx! {
        section { class: "panel verdict", "data-testid": "verdict", "data-group": score.group.as_str(),
            div { class: "verdict-head",
                Badge { group: score.group, large: true }
                div { class: "verdict-words",
                    if let Some(group) = group {
                        p { class: "verdict-label", "data-testid": "group-label", {lang.pick(&group.label)} }
                    }
                    p { class: "verdict-pd", "data-testid": "pd-words", {fmt::in_hundred(lang, score.probability)} }
                    p { "data-testid": "pd", {t!("result-pd", pd = fmt::percent(lang, score.probability, 1))} }
                }
            }
            GroupScale { group: score.group, probability: score.probability, cuts: view.groups.cuts.clone() }
            p { class: "meta", {t!("result-scale-means")} }
        }
    }
}

/// What policy suggests, what was decided, and whether the server agrees.
#[component]
fn Standing(view: AssessmentView) -> Element {
    let lang = lang();
    let group = view.groups.groups.get(view.assessment.score.group.index());
    let suggested = here().text(&format!("decision-{}", view.suggested.as_str()), &[]);
    rsx! {
        if let Some(item) = view.decision.clone() {
            Decided { item }
        }
        Notice { icon: Icon::ClipboardList, testid: "suggested",
            strong { {t!("result-suggests", what = suggested)} }
            if let Some(group) = group {
                p { {lang.pick(&group.action)} }
            }
        }
        if let Some(Rescore::Different { probability, group, .. }) = view.rescore.clone() {
            Notice { tone: Tone::Bad, testid: "result-mismatch",
                strong { {t!("rescore-different")} }
                p { "{group} · " {fmt::percent(lang, probability, 1)} }
                p { {t!("rescore-different-means")} }
            }
        }
        if let Delivery::Quarantined { detail } = view.delivery.clone() {
            Notice { tone: Tone::Warning, testid: "result-quarantined",
                strong { {t!("review-quarantined")} }
                details { class: "details",
                    summary { {t!("error-details")} }
                    code { "{detail}" }
                }
            }
        }
    }
}

/// The decision that holds.
#[component]
fn Decided(item: TimelineItem) -> Element {
    let TimelineKind::Decided { decision, override_reason, .. } = &item.what else { return rsx! {} };
    let what = decision.as_str();
    let at = fmt::moment(lang(), item.at, browser::now());
    rsx! {
        Notice { tone: Tone::Good, testid: "decided",
            strong { "data-testid": "decided-how", "data-decision": what, {here().text(&format!("decided-{what}"), &[])} }
            p { {t!("result-decided-by", actor = item.actor.as_str(), time = at)} }
            if let Some(reason) = override_reason {
                p { {here().text(&format!("override-{}", reason.code.as_str()), &[])} ": " q { "{reason.words}" } }
            }
        }
    }
}

/// Which model said so, how old it is, and whether the server holds the result.
#[component]
fn Source(view: AssessmentView) -> Element {
    let app = use_app();
    let lang = lang();
    let age = fmt::iso_millis(&view.model_created).map(|made| (browser::now() - made).max(0) / DAY);
    let model = &view.assessment.model;
    let (icon, delivery) = match view.delivery {
        Delivery::Waiting => (Icon::CloudUpload, t!("delivery-waiting")),
        Delivery::Delivered => (Icon::CircleCheck, t!("delivery-delivered")),
        Delivery::Quarantined { .. } => (Icon::TriangleAlert, t!("delivery-quarantined")),
    };
    rsx! {
        Panel { title: t!("result-source"), testid: "result-source",
            dl { class: "facts",
                Fact { label: t!("nav-model"), testid: "result-model", {lang.pick(&view.model_name)} " · " {t!("model-version", version = model.version)} }
                if let Some(age) = age {
                    Fact { label: t!("result-model-age"), {t!("model-age", n = age)} }
                }
                Fact { label: t!("result-delivery"), testid: "result-delivery",
                    span { class: "inline", Glyph { icon } "{delivery}" }
                }
            }
            Button {
                label: t!("result-about-model"),
                testid: "result-about-model",
                look: Look::Quiet,
                icon: Icon::Info,
                onclick: move |()| app.go(Route::Model),
            }
        }
    }
}
