//! What the score would be with another amount or term. Nothing of it is kept.

use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{here, lang};
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use std::collections::BTreeMap;
use vereda_domain::gateway::{AssessmentView, GatewayError, WhatIf, WhatIfBase, WhatIfRequest};
use vereda_scoring::bundle::{Feature, Kind};
use vereda_scoring::{Estimate, Inputs, Score, Value};

/// After how many milliseconds without a move the score is asked for.
const PAUSE: i32 = 60;

/// One thing that can be varied: between what, and in which steps.
#[derive(Debug, Clone, PartialEq)]
struct Dial {
    feature: Feature,
    min: f64,
    max: f64,
    step: f64,
    was: f64,
}

/// A step of 1, 2 or 5 times a power of ten that gives about a hundred of them.
fn step_of(min: f64, max: f64) -> f64 {
    let raw = ((max - min) / 100.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(raw.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= raw).unwrap_or(10.0);
    times * power
}

fn dials(view: &AssessmentView) -> Vec<Dial> {
    let dial = |feature: &Feature| {
        let (min, max, step) = match feature.kind {
            Kind::Number { min, max, .. } => (min, max, step_of(min, max)),
            Kind::Integer { min, max, .. } => {
                (min as f64, max as f64, step_of(min as f64, max as f64).max(1.0))
            }
            Kind::Category { .. } | Kind::Boolean => return None,
        };
        match view.assessment.inputs.get(&feature.name) {
            Some(Value::Number(was)) if feature.adjustable => {
                Some(Dial { feature: feature.clone(), min, max, step, was: *was })
            }
            _ => None,
        }
    };
    view.schema.features.iter().filter_map(dial).collect()
}

/// Sliders for what the client can change, and the score that would come of it.
#[component]
pub fn WhatIfPanel(view: AssessmentView) -> Element {
    let app = use_app();
    let dials = use_hook(|| dials(&view));
    let mut changed = use_signal(BTreeMap::<String, f64>::new);
    let mut score = use_signal(|| None::<Score>);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let mut turn = use_signal(|| 0u64);
    let base = WhatIfBase::Assessment(view.assessment.id);
    let ask = move || {
        let mine = *turn.peek() + 1;
        turn.set(mine);
        spawn(async move {
            browser::sleep(PAUSE).await;
            if *turn.peek() != mine {
                return;
            }
            let changes: Inputs =
                changed.peek().iter().map(|(name, value)| (name.clone(), Value::Number(*value))).collect();
            if changes.is_empty() {
                score.set(None);
                return;
            }
            let answer = app.call::<WhatIf>(WhatIfRequest { base, changes }).await;
            if *turn.peek() != mine {
                return;
            }
            match answer {
                Ok(Estimate::Ready(new)) => {
                    refusal.set(None);
                    score.set(Some(new));
                }
                Ok(Estimate::Incomplete { .. }) => score.set(None),
                Err(error) => refusal.set(Some(error)),
            }
        });
    };
    let turn_to = move |name: String, value: f64, was: f64| {
        let mut ask = ask;
        if value == was {
            changed.write().remove(&name);
        } else {
            changed.write().insert(name, value);
        }
        ask();
    };
    if dials.is_empty() {
        return rsx! {};
    }
    let lang = lang();
    let before = view.assessment.score.probability;
    rsx! {
        Panel { title: t!("what-if"), testid: "what-if",
            p { class: "panel-lead", {t!("what-if-means")} }
            div { class: "form",
                for dial in dials {
                    DialField {
                        key: "{dial.feature.name}",
                        value: changed.read().get(&dial.feature.name).copied().unwrap_or(dial.was),
                        shown: super::review_detail::answer(
                            here(),
                            lang,
                            &view.schema,
                            &dial.feature,
                            Some(&Value::Number(changed.read().get(&dial.feature.name).copied().unwrap_or(dial.was))),
                        ),
                        dial: dial.clone(),
                        onchange: move |value| {
                            let mut turn_to = turn_to;
                            turn_to(dial.feature.name.clone(), value, dial.was);
                        },
                    }
                }
            }
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            div { class: "what-if-result", aria_live: "polite", "data-testid": "what-if-result",
                if let Some(new) = score() {
                    Badge { group: new.group }
                    p {
                        strong { "data-testid": "what-if-pd", {fmt::percent(lang, new.probability, 1)} }
                        " · " {fmt::in_hundred(lang, new.probability)}
                        br {}
                        span { class: "meta", {t!("what-if-before", pd = fmt::percent(lang, before, 1))} }
                    }
                    IconButton {
                        label: t!("what-if-reset"),
                        icon: Icon::Undo,
                        testid: "what-if-reset",
                        onclick: move |()| {
                            let mut ask = ask;
                            changed.write().clear();
                            ask();
                        },
                    }
                } else {
                    p { class: "meta", {t!("what-if-none")} }
                }
            }
        }
    }
}

/// One slider with a step down and a step up for thumbs.
#[component]
fn DialField(dial: Dial, value: f64, shown: String, onchange: EventHandler<f64>) -> Element {
    let id = format!("what-if-{}", dial.feature.name);
    let label = lang().pick(&dial.feature.label).to_owned();
    let Dial { min, max, step, .. } = dial;
    rsx! {
        div { class: "dial",
            div { class: "field-head",
                label { class: "field-label", r#for: "{id}", "{label}" }
                output { class: "dial-value", "for": "{id}", "data-testid": "{id}-value", "{shown}" }
            }
            div { class: "dial-row",
                IconButton {
                    label: t!("what-if-less", what = label.as_str()),
                    icon: Icon::Minus,
                    testid: "{id}-less",
                    onclick: move |()| onchange.call((value - step).max(min)),
                }
                input {
                    id: "{id}",
                    "data-testid": "{id}",
                    r#type: "range",
                    min: "{min}",
                    max: "{max}",
                    step: "any",
                    value: "{value}",
                    aria_valuetext: shown,
                    onkeydown: move |event| {
                        let to = match event.key() {
                            Key::ArrowRight | Key::ArrowUp => value + step,
                            Key::ArrowLeft | Key::ArrowDown => value - step,
                            Key::PageUp => value + 10.0 * step,
                            Key::PageDown => value - 10.0 * step,
                            _ => return,
                        };
                        event.prevent_default();
                        onchange.call(to.clamp(min, max));
                    },
                    oninput: move |event| {
                        if let Ok(typed) = event.value().parse::<f64>() {
                            onchange.call(((typed / step).round() * step).clamp(min, max));
                        }
                    },
                }
                IconButton {
                    label: t!("what-if-more", what = label.as_str()),
                    icon: Icon::Plus,
                    testid: "{id}-more",
                    onclick: move |()| onchange.call((value + step).min(max)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_about_a_hundred() {
        assert_eq!(step_of(200.0, 50_000.0), 500.0);
        assert_eq!(step_of(1.0, 60.0), 1.0);
        assert_eq!(step_of(0.0, 1.0), 0.01);
        assert_eq!(step_of(0.0, 1_000_000.0), 10_000.0);
    }
}
