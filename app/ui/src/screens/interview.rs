//! The interview: one section at a time, every answer saved as it is given, the estimate in sight
//! of the officer and out of the client's when need be.

use super::question::Question;
use super::sheet::Sheet;
use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::lang;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::{Confirm, use_app};
use crate::t;
use dioxus::prelude::*;
use vereda_domain::DraftId;
use vereda_domain::gateway::{DiscardDraft, DraftRequest, DraftView, GatewayError, GetDraft, Score};
use vereda_scoring::Estimate;
use vereda_scoring::bundle::Schema;

/// Under which name the page remembers whether the estimate is hidden.
const HIDDEN: &str = "estimate-hidden";

/// The screen.
#[component]
pub fn Interview(draft: DraftId) -> Element {
    let app = use_app();
    let mut loaded = use_signal(|| None::<DraftView>);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let load = move || async move {
        match app.call::<GetDraft>(DraftRequest { draft }).await {
            Ok(view) => loaded.set(Some(view)),
            Err(error) => refusal.set(Some(error)),
        }
    };
    // Read once: from then on the screen knows better than the store what is being typed.
    use_future(load);
    match loaded() {
        Some(view) => rsx! {
            Form { view }
        },
        None => rsx! {
            Screen { title: t!("interview-title"),
                Waiting {
                    error: refusal(),
                    on_retry: move |()| {
                        refusal.set(None);
                        spawn(load());
                    },
                }
            }
        },
    }
}

/// The sections that ask something, as pairs of id and index of their first question.
fn sections(schema: &Schema) -> Vec<String> {
    let asks = |id: &str| schema.features.iter().any(|feature| feature.section == id);
    schema.sections.iter().map(|section| section.id.clone()).filter(|id| asks(id)).collect()
}

/// In which section a question stands.
fn section_of(schema: &Schema, sections: &[String], field: &str) -> Option<usize> {
    let feature = schema.features.iter().find(|feature| feature.name == field)?;
    sections.iter().position(|id| *id == feature.section)
}

/// Moves the keyboard to a question once it is drawn.
fn focus_soon(field: String) {
    spawn(async move {
        browser::sleep(0).await;
        browser::focus(&field);
        browser::centre(&field);
    });
}

#[component]
fn Form(view: DraftView) -> Element {
    let app = use_app();
    let lang = lang();
    let sheet = use_hook(|| Sheet::open(app, lang, &view));
    let ids = use_hook(|| sections(&view.schema));
    let first = view.focus.as_deref().and_then(|field| section_of(&view.schema, &ids, field));
    let mut step = use_signal(|| first.unwrap_or(0));
    let mut tried = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let mut hidden = use_signal(|| browser::kept(HIDDEN).as_deref() == Some("yes"));
    let left_at = view.focus.clone();
    use_hook(move || {
        if let Some(field) = left_at {
            focus_soon(field);
        }
    });

    let last = step() + 1 >= ids.len();
    let id = ids.get(step()).cloned().unwrap_or_default();
    let title = view.schema.sections.iter().find(|s| s.id == id).map(|s| lang.pick(&s.label).to_owned());
    let questions: Vec<_> =
        view.schema.features.iter().filter(|feature| feature.section == id).cloned().collect();

    let mut to = move |section: usize| {
        step.set(section);
        spawn(async move {
            browser::sleep(0).await;
            browser::focus("section-title");
        });
    };
    let score = {
        let (sheet, schema, ids, draft) = (sheet.clone(), view.schema.clone(), ids.clone(), view.id);
        move || {
            let (sheet, schema, ids) = (sheet.clone(), schema.clone(), ids.clone());
            let mut show = move |field: &str| {
                if let Some(section) = section_of(&schema, &ids, field) {
                    step.set(section);
                }
                focus_soon(field.to_owned());
            };
            spawn(async move {
                tried.set(true);
                busy.set(true);
                refusal.set(None);
                if !sheet.settled().await {
                    busy.set(false);
                    return; // the sheet says why
                }
                let lacking = match &*sheet.estimate.peek() {
                    Estimate::Incomplete { missing } => missing.first().cloned(),
                    Estimate::Ready(_) => None,
                };
                if let Some(field) = lacking {
                    busy.set(false);
                    show(&field);
                    return;
                }
                match app.call::<Score>(DraftRequest { draft }).await {
                    Ok(result) => app.replace(Route::Result(result.assessment.id)),
                    Err(error) => {
                        busy.set(false);
                        let mut problems = sheet.problems;
                        for wrong in &error.fields {
                            problems.write().insert(wrong.field.clone(), wrong.problem.clone());
                        }
                        if let Some(wrong) = error.fields.first() {
                            show(&wrong.field);
                        }
                        refusal.set(Some(error));
                    }
                }
            });
        }
    };
    let discard = {
        let (draft, name) = (view.id, view.name.clone());
        move |()| {
            app.ask(Confirm {
                title: t!("discard-title"),
                body: t!("discard-body", name = name.as_str()),
                yes: t!("discard-yes"),
                danger: true,
                on_yes: Callback::new(move |()| {
                    spawn(async move {
                        match app.call::<DiscardDraft>(DraftRequest { draft }).await {
                            Ok(()) => {
                                app.toast(t!("discard-done"), None);
                                app.back();
                            }
                            Err(error) => refusal.set(Some(error)),
                        }
                    });
                }),
            });
        }
    };
    let trouble = (sheet.trouble)();
    rsx! {
        Screen {
            title: view.name.clone(),
            focus_title: view.focus.is_none(),
            actions: rsx! {
                IconButton {
                    label: t!("discard-yes"),
                    icon: Icon::Trash,
                    testid: "discard",
                    onclick: discard,
                }
            },
            footer: rsx! {
                Live {
                    estimate: (sheet.estimate)(),
                    hidden: hidden(),
                    onhide: move |hide: bool| {
                        hidden.set(hide);
                        browser::keep(HIDDEN, if hide { "yes" } else { "no" });
                    },
                }
                if step() > 0 {
                    Button {
                        label: t!("section-back"),
                        testid: "section-back",
                        onclick: move |()| to(step() - 1),
                    }
                }
                if last {
                    Button {
                        label: t!("score"),
                        testid: "score",
                        look: Look::Primary,
                        busy: busy(),
                        onclick: move |()| score(),
                    }
                } else {
                    Button {
                        label: t!("next"),
                        testid: "section-next",
                        look: Look::Primary,
                        onclick: move |()| to(step() + 1),
                    }
                }
            },
            nav { class: "interview-steps", aria_label: t!("interview-sections"),
                h2 { id: "section-title", tabindex: "-1", "data-testid": "section-title", {title.unwrap_or_default()} }
                p { class: "meta", "data-testid": "section-step", {t!("enrol-step", step = step() + 1, of = ids.len())} }
                div { class: "steps",
                    for (index , id) in ids.iter().enumerate() {
                        StepMark {
                            key: "{id}",
                            label: view.schema.sections.iter().find(|s| s.id == *id).map(|s| lang.pick(&s.label).to_owned()).unwrap_or_default(),
                            testid: "section-{id}",
                            current: index == step(),
                            done: view.schema.features.iter().filter(|f| f.section == *id).all(|f| sheet.values.read().contains_key(&f.name)),
                            onclick: move |()| to(index),
                        }
                    }
                }
            }
            if let Some(error) = trouble {
                ErrorPanel {
                    error,
                    on_retry: {
                        let sheet = sheet.clone();
                        move |()| sheet.save()
                    },
                }
            }
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            div { class: "form", "data-testid": "interview", "data-saving": (sheet.saving)(),
                for feature in questions {
                    Question {
                        key: "{feature.name}",
                        feature: feature.clone(),
                        sheet: sheet.clone(),
                        currency: view.schema.currency.clone(),
                        tried: tried(),
                    }
                }
            }
        }
    }
}

/// One section in the row of steps.
#[component]
fn StepMark(label: String, testid: String, current: bool, done: bool, onclick: EventHandler<()>) -> Element {
    rsx! {
        button {
            class: "step-mark",
            r#type: "button",
            title: "{label}",
            aria_label: if done { t!("section-done", name = label.as_str()) } else { label.clone() },
            aria_current: if current { "step" },
            "data-done": done,
            "data-testid": testid,
            onclick: move |_| onclick.call(()),
            span { class: "step-bar" }
        }
    }
}

/// The estimate so far, which an eye hides from the client's.
#[component]
fn Live(estimate: Estimate, hidden: bool, onhide: EventHandler<bool>) -> Element {
    let lang = lang();
    rsx! {
        div { class: "estimate", "data-testid": "estimate", "data-hidden": hidden,
            div { class: "estimate-body", aria_live: "polite",
                match &estimate {
                    _ if hidden => rsx! {
                        p { class: "meta", {t!("estimate-hidden")} }
                    },
                    Estimate::Ready(score) => rsx! {
                        Badge { group: score.group }
                        p {
                            strong { "data-testid": "estimate-pd", {fmt::percent(lang, score.probability, 1)} }
                            br {}
                            span { class: "meta", {fmt::in_hundred(lang, score.probability)} }
                        }
                    },
                    Estimate::Incomplete { missing } => rsx! {
                        p { "data-testid": "estimate-missing", {t!("estimate-missing", n = missing.len())} }
                    },
                }
            }
            IconButton {
                label: if hidden { t!("estimate-show") } else { t!("estimate-hide") },
                icon: if hidden { Icon::EyeOff } else { Icon::Eye },
                testid: "estimate-toggle",
                onclick: move |()| onhide.call(!hidden),
            }
        }
    }
}
