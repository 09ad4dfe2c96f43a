//! One assessment as a manager reads it before deciding: what came out, whether the server agrees, why,
//! from what, by which model, and what has happened to it.

use super::result::bars;
use super::review::use_desk;
use super::review_decide::DecideDialog;
use super::review_list::{HelpButton, decided_key};
use super::timeline::Timeline;
use crate::browser;
use crate::components::{
    Badge, Button, ErrorPanel, Fact, GroupScale, Icon, IconButton, Look, Notice, Panel, ReasonBars, Tone,
    Waiting,
};
use crate::fmt;
use crate::i18n::{I18n, Lang, here, lang};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use std::rc::Rc;
use vereda_domain::gateway::{
    AssessmentRequest, AssessmentView, Delivery, GetAssessment, TimelineItem, TimelineKind,
};
use vereda_domain::record::{Rank, Rescore};
use vereda_domain::{AssessmentId, Decision};
use vereda_scoring::Value;
use vereda_scoring::bundle::{Feature, Kind, Schema, Unit};

/// One assessment with what a manager may do about it.
#[component]
pub fn ReviewDetail(assessment: AssessmentId) -> Element {
    let app = use_app();
    let desk = use_desk();
    let mut query = use_query::<GetAssessment>(move || AssessmentRequest { assessment });
    let mut deciding = use_signal(|| None::<Decision>);
    let pressed = use_callback(move |key: String| -> bool {
        let decision = match key.as_str() {
            "a" => Decision::Approve,
            "r" => Decision::Refer,
            "x" => Decision::Refuse,
            _ => return false,
        };
        let may = query.data.peek().as_ref().is_some_and(|view| offered(view, decision));
        if may && *desk.shortcuts.peek() {
            deciding.set(Some(decision));
        }
        may
    });
    use_hook(|| Rc::new(browser::on_key(move |key| pressed.call(key))));
    // The list keeps the keyboard on a desktop, so what was opened is said instead.
    use_effect(move || {
        if let Some(view) = query.data.read().as_ref()
            && *app.wide.peek()
        {
            app.announce(format!("{}, {}", view.client_name, view.assessment.score.group));
        }
    });
    let wide = (app.wide)();
    let Some(view) = (query.data)() else {
        return rsx! {
            Screen { title: t!("nav-review"), back: !wide, focus_title: !wide,
                Waiting { error: (query.error)(), on_retry: move |()| query.again() }
            }
        };
    };
    let client = view.assessment.client;
    rsx! {
        Screen {
            title: view.client_name.clone(),
            subtitle: t!(
                "review-scored-by",
                officer = view.officer.clone(),
                time = fmt::moment(lang(), view.at, browser::now()),
            ),
            back: !wide,
            focus_title: !wide,
            class: "review-detail",
            actions: rsx! {
                IconButton {
                    label: t!("review-client"),
                    icon: Icon::User,
                    testid: "review-client",
                    onclick: move |()| app.go(Route::Client(client)),
                }
                if wide {
                    HelpButton {}
                }
            },
            footer: rsx! {
                Actions { view: view.clone(), ondecide: move |decision| deciding.set(Some(decision)) }
            },
            if let Some(error) = (query.error)() {
                ErrorPanel { error, on_retry: move |()| query.again() }
            }
            Body { view: view.clone() }
        }
        if let Some(decision) = deciding() {
            DecideDialog {
                view,
                decision,
                onclose: move |after: Option<AssessmentView>| {
                    deciding.set(None);
                    if let Some(after) = after {
                        query.data.set(Some(after));
                        desk.pages.again();
                    }
                },
            }
        }
    }
}

/// Whether a decision can be taken now: not the one that a manager has taken already.
fn offered(view: &AssessmentView, decision: Decision) -> bool {
    let taken = match view.decision.as_ref().map(|item| &item.what) {
        Some(TimelineKind::Decided { decision: held, rank: Rank::Manager, .. }) => *held == decision,
        _ => false,
    };
    view.may_decide && !taken
}

#[component]
fn Actions(view: AssessmentView, ondecide: EventHandler<Decision>) -> Element {
    if !view.may_decide {
        return rsx! {
            p { class: "meta", "data-testid": "review-may-not", {t!("review-may-not")} }
        };
    }
    rsx! {
        for decision in [Decision::Refuse, Decision::Refer, Decision::Approve] {
            Button {
                key: "{decision.as_str()}",
                label: here().text(&format!("decision-{}", decision.as_str()), &[]),
                testid: "review-{decision.as_str()}",
                // What policy suggests stands out; nothing else does.
                look: if decision == view.suggested { Look::Primary } else { Look::Secondary },
                icon: match decision {
                    Decision::Approve => Icon::Check,
                    Decision::Refer => Icon::Users,
                    Decision::Refuse => Icon::CircleX,
                },
                disabled: !offered(&view, decision),
                onclick: move |()| ondecide.call(decision),
            }
        }
    }
}

#[component]
fn Body(view: AssessmentView) -> Element {
    let lang = lang();
    let score = view.assessment.score.clone();
    let text = view.groups.groups.get(score.group.index()).cloned();
    let suggested = here().text(&format!("decision-{}", view.suggested.as_str()), &[]);
    rsx! {
        if let Delivery::Quarantined { detail } = view.delivery.clone() {
            Notice { tone: Tone::Bad, testid: "review-quarantined",
                strong { {t!("review-quarantined")} }
                p { {t!("review-quarantined-do")} }
                code { class: "mono", "{detail}" }
            }
        }
        Second { rescore: view.rescore.clone(), probability: score.probability, margin_bits: score.margin_bits.clone() }
        if let Some(item) = view.decision.clone() {
            Held { item, suggested: view.suggested }
        }
        Panel { testid: "review-score", class: "score-panel",
            div { class: "score-head",
                Badge { group: score.group, large: true }
                div {
                    p { class: "score-words", "data-testid": "review-pd-words", {fmt::in_hundred(lang, score.probability)} }
                    p { class: "meta", "data-testid": "review-pd",
                        {t!("review-pd", pd = fmt::percent(lang, score.probability, 1))}
                    }
                    p { "data-testid": "review-suggested",
                        {t!("review-suggests", what = suggested)}
                        if let Some(text) = &text {
                            span { class: "meta", " · {lang.pick(&text.label)}. {lang.pick(&text.action)}" }
                        }
                    }
                }
            }
            GroupScale { group: score.group, probability: score.probability, cuts: view.groups.cuts.clone() }
        }
        Panel { title: t!("review-reasons"),
            ReasonBars { bars: bars(here(), lang, &view) }
        }
        Answers { view: view.clone() }
        ModelFacts { view: view.clone() }
        Panel { title: t!("review-history"), testid: "review-history",
            Timeline { items: view.timeline.clone() }
        }
    }
}

/// The server's second opinion, said plainly.
#[component]
fn Second(rescore: Option<Rescore>, probability: f64, margin_bits: String) -> Element {
    let lang = lang();
    let (tone, icon) = match &rescore {
        None => (Tone::Neutral, Icon::Clock),
        Some(Rescore::Same) => (Tone::Good, Icon::ShieldCheck),
        Some(Rescore::Impossible { .. }) => (Tone::Warning, Icon::TriangleAlert),
        Some(Rescore::Different { .. }) => (Tone::Bad, Icon::TriangleAlert),
    };
    let outcome = match &rescore {
        None => "none",
        Some(Rescore::Same) => "same",
        Some(Rescore::Impossible { .. }) => "impossible",
        Some(Rescore::Different { .. }) => "different",
    };
    rsx! {
        div { "data-testid": "review-rescore", "data-outcome": outcome,
            Notice { tone, icon,
                strong { {here().text(&format!("rescore-{outcome}"), &[])} }
                p { {here().text(&format!("rescore-{outcome}-means"), &[])} }
                match rescore {
                    Some(Rescore::Different { margin_bits: theirs, probability: pd, group }) => rsx! {
                        dl { class: "facts mono-facts",
                            Fact { label: t!("rescore-device"),
                                {fmt::percent(lang, probability, 2)} " " code { class: "mono", "{margin_bits}" }
                            }
                            Fact { label: t!("rescore-server"),
                                "{group} · " {fmt::percent(lang, pd, 2)} " " code { class: "mono", "{theirs}" }
                            }
                        }
                    },
                    Some(Rescore::Impossible { why }) => rsx! {
                        code { class: "mono", "{why}" }
                    },
                    _ => rsx! {},
                }
            }
        }
    }
}

/// The decision that holds.
#[component]
fn Held(item: TimelineItem, suggested: Decision) -> Element {
    let TimelineKind::Decided { decision, rank, override_reason, .. } = item.what else { return rsx! {} };
    let what = here().text(decided_key(decision), &[]);
    let tone = match (rank, decision) {
        (Rank::Officer, _) => Tone::Neutral,
        (Rank::Manager, Decision::Approve) => Tone::Good,
        (Rank::Manager, Decision::Refer) => Tone::Warning,
        (Rank::Manager, Decision::Refuse) => Tone::Bad,
    };
    rsx! {
        div { "data-testid": "review-decision", "data-decision": decision.as_str(),
            Notice { tone, icon: Icon::ClipboardCheck,
                p {
                    strong { "{what}" }
                    " · {item.actor} · {fmt::moment(lang(), item.at, browser::now())}"
                }
                if decision != suggested {
                    p { {t!("review-went-against")} }
                }
                if let Some(reason) = override_reason {
                    p {
                        strong { {here().text(&format!("override-{}", reason.code.as_str()), &[])} ": " }
                        "{reason.words}"
                    }
                }
            }
        }
    }
}

#[component]
fn Answers(view: AssessmentView) -> Element {
    let (i18n, lang) = (here(), lang());
    let schema = view.schema.clone();
    rsx! {
        Panel { title: t!("review-inputs"), testid: "review-inputs",
            for section in schema.sections.clone() {
                h3 { key: "{section.id}", class: "answers-section", {lang.pick(&section.label).to_owned()} }
                dl { class: "facts answers",
                    for feature in schema.features.iter().filter(|feature| feature.section == section.id) {
                        Fact {
                            key: "{feature.name}",
                            label: lang.pick(&feature.label),
                            testid: "review-input-{feature.name}",
                            {answer(i18n, lang, &schema, feature, view.assessment.inputs.get(&feature.name))}
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn ModelFacts(view: AssessmentView) -> Element {
    let app = use_app();
    let (lang, model) = (lang(), view.assessment.model.clone());
    let sha256 = model.sha256.clone();
    let copied = t!("review-copied");
    rsx! {
        Panel { title: t!("review-model"), testid: "review-model",
            dl { class: "facts",
                Fact { label: t!("review-model-name"), testid: "review-detail-model",
                    {lang.pick(&view.model_name).to_owned()} " · {model.id} {model.version}"
                }
                Fact { label: t!("review-model-made"), {fmt::iso_date(lang, &view.model_created)} }
                Fact { label: t!("review-model-hash"),
                    span { class: "hash",
                        code { class: "mono", "data-testid": "review-detail-model-sha", "{model.sha256}" }
                        IconButton {
                            label: t!("review-copy"),
                            icon: Icon::Copy,
                            testid: "review-copy-sha",
                            onclick: move |()| {
                                let (sha256, copied) = (sha256.clone(), copied.clone());
                                spawn(async move {
                                    if browser::copy(&sha256).await {
                                        app.toast(copied, None);
                                    }
                                });
                            },
                        }
                    }
                }
                Fact { label: t!("review-margin"), testid: "review-margin",
                    {fmt::signed(lang, view.assessment.score.margin, 4)}
                    " "
                    code { class: "mono", "{view.assessment.score.margin_bits}" }
                }
            }
        }
    }
}

/// An answer as it is read: with its unit, or the option's own words.
pub fn answer(i18n: I18n, lang: Lang, schema: &Schema, feature: &Feature, given: Option<&Value>) -> String {
    match (given, &feature.kind) {
        (None | Some(Value::Missing), _) => i18n.text("answer-missing", &[]),
        (Some(Value::Boolean(yes)), _) => i18n.text(if *yes { "answer-yes" } else { "answer-no" }, &[]),
        (Some(Value::Category(code)), Kind::Category { options, .. }) => options
            .iter()
            .find(|option| option.code == *code)
            .map_or(code.as_str(), |option| lang.pick(&option.label))
            .to_owned(),
        (Some(Value::Category(code)), _) => code.clone(),
        (Some(Value::Number(number)), Kind::Number { unit, .. } | Kind::Integer { unit, .. }) => match unit {
            Unit::Currency => fmt::money(lang, *number, &schema.currency),
            Unit::Years => i18n.text("answer-years", &[("n", (*number).into())]),
            Unit::Months => i18n.text("answer-months", &[("n", (*number).into())]),
            Unit::Percent => fmt::percent(lang, *number / 100.0, 1),
            Unit::None | Unit::Count => fmt::number_short(lang, *number),
        },
        (Some(Value::Number(number)), _) => fmt::number_short(lang, *number),
    }
}
