//! The active model for people: what it is for, where it is weak, how well it does, what came before.

use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::{ActiveModel, GetModel, ModelOutcome, ModelUpdate};
use vereda_scoring::bundle::{CalibrationRow, Card, Groups, Metric};

/// After how many days a model is old enough to say so.
const OLD_DAYS: i64 = 365;
const DAY: i64 = 86_400_000;

/// The screen.
#[component]
pub fn Model() -> Element {
    let app = use_app();
    let model = use_query::<GetModel>(|| ());
    rsx! {
        Screen { title: t!("nav-model"),
            if let Some(view) = (model.data)() {
                match view.active {
                    Some(active) => rsx! {
                        Refused { latest: view.updates.first().cloned() }
                        Head { active: active.clone() }
                        Purpose { card: active.about.card.clone() }
                        Performance { metrics: active.about.card.metrics.clone() }
                        Calibration { rows: active.about.card.calibration.clone(), groups: active.about.groups.clone() }
                        Origin { card: active.about.card.clone() }
                    },
                    None => rsx! {
                        EmptyState {
                            icon: Icon::BrainCircuit,
                            title: t!("model-none"),
                            body: t!("model-none-do"),
                            testid: "model-none",
                            Button {
                                label: t!("model-to-sync"),
                                testid: "model-to-sync",
                                look: Look::Primary,
                                onclick: move |()| app.go(Route::Sync),
                            }
                        }
                    },
                }
                Updates { updates: view.updates }
            } else {
                Waiting { error: (model.error)(), on_retry: move |()| model.again() }
            }
        }
    }
}

/// Says so when the last model that arrived was refused.
#[component]
fn Refused(latest: Option<ModelUpdate>) -> Element {
    let Some(ModelUpdate { version, outcome: ModelOutcome::Refused { reason, .. }, .. }) = latest else {
        return rsx! {};
    };
    let key = refusal_key(reason);
    rsx! {
        Notice { tone: Tone::Warning, testid: "model-refused",
            strong { {t!("model-refused-title", version = version)} }
            p { {here().text(&key, &[])} " " {t!("model-refused-calm")} }
        }
    }
}

fn refusal_key(reason: vereda_domain::gateway::ModelRefusal) -> String {
    use vereda_domain::gateway::ModelRefusal as R;
    let name = match reason {
        R::HashMismatch => "hash",
        R::UnknownFormat => "format",
        R::Invalid => "invalid",
        R::GoldenMismatch => "golden",
        R::Rollback => "rollback",
    };
    format!("model-refusal-{name}")
}

#[component]
fn Head(active: ActiveModel) -> Element {
    let lang = lang();
    let now = browser::now();
    let card = &active.about.card;
    let age = fmt::iso_millis(&card.created).map(|made| (now - made).max(0) / DAY);
    let questions = active.about.schema.features.len();
    rsx! {
        section { class: "panel model-head", "data-testid": "model-active",
            p { class: "meta", {t!("model-version", version = active.model.version)} " · {active.model.id}" }
            h2 { class: "model-name", {lang.pick(&active.about.name)} }
            div { class: "model-tags",
                Tag {
                    label: t!("model-checked", n = active.golden),
                    tone: Tone::Good,
                    icon: Icon::ShieldCheck,
                }
                if let Some(age) = age {
                    Tag {
                        label: t!("model-age", n = age),
                        tone: if age > OLD_DAYS { Tone::Warning } else { Tone::Neutral },
                        icon: Icon::Calendar,
                    }
                }
            }
            dl { class: "facts",
                Fact { label: t!("model-made"), {fmt::iso_date(lang, &card.created)} }
                Fact { label: t!("model-since"), {fmt::date(lang, active.activated_at)} }
                Fact { label: t!("model-questions"), {fmt::number(lang, questions as f64, 0)} }
                Fact { label: t!("model-hash"),
                    span { class: "mono", title: "{active.model.sha256}", {active.model.sha256.chars().take(16).collect::<String>()} "…" }
                }
            }
        }
    }
}

#[component]
fn Purpose(card: Card) -> Element {
    let lang = lang();
    rsx! {
        Panel { title: t!("model-purpose"),
            p { {lang.pick(&card.purpose)} }
        }
        Panel { title: t!("model-limits"), testid: "model-limits",
            ul { class: "bullets",
                for (index , limit) in card.limits.iter().enumerate() {
                    li { key: "{index}", {lang.pick(limit)} }
                }
            }
            h3 { {t!("model-fairness")} }
            p { {lang.pick(&card.fairness)} }
        }
    }
}

/// A metric in the scale that people read it in.
fn metric_text(lang: crate::i18n::Lang, metric: &Metric) -> String {
    let value = fmt::number(lang, metric.value, 3);
    match metric.deviation {
        Some(deviation) => format!("{value} ± {}", fmt::number(lang, deviation, 3)),
        None => value,
    }
}

#[component]
fn Performance(metrics: Vec<Metric>) -> Element {
    let lang = lang();
    rsx! {
        Panel { title: t!("model-performance"), testid: "model-performance",
            dl { class: "facts",
                for (index , metric) in metrics.iter().enumerate() {
                    div { key: "{index}", class: "fact metric",
                        dt {
                            {here().text(&format!("metric-{}", metric.name), &[])}
                            p { class: "meta", "{metric.method}" }
                        }
                        dd { class: "figure", {metric_text(lang, metric)} }
                    }
                }
            }
        }
    }
}

#[component]
fn Calibration(rows: Vec<CalibrationRow>, groups: Groups) -> Element {
    let lang = lang();
    let percent = |share: f64| fmt::percent(lang, share, 1);
    rsx! {
        Panel { title: t!("model-calibration"), testid: "model-calibration",
            p { class: "panel-lead", {t!("model-calibration-means")} }
            div { class: "table-scroll", tabindex: "0", role: "region", aria_label: t!("model-calibration"),
                table {
                    thead {
                        tr {
                            th { scope: "col", {t!("column-group")} }
                            th { scope: "col", class: "right", {t!("column-predicted")} }
                            th { scope: "col", class: "right", {t!("column-observed")} }
                            th { scope: "col", class: "right", {t!("column-loans")} }
                        }
                    }
                    tbody {
                        for row in rows {
                            tr { key: "{row.group}",
                                th { scope: "row",
                                    Badge { group: row.group }
                                    span { class: "sr-only",
                                        {groups.groups.get(row.group.index()).map(|g| lang.pick(&g.label).to_owned()).unwrap_or_default()}
                                    }
                                }
                                td { class: "right", {percent(row.predicted)} }
                                td { class: "right",
                                    {percent(row.observed)}
                                    p { class: "meta", {fmt::number(lang, row.interval.0 * 100.0, 1)} "–" {percent(row.interval.1)} }
                                }
                                td { class: "right", {fmt::number(lang, row.rows as f64, 0)} }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn Origin(card: Card) -> Element {
    let lang = lang();
    rsx! {
        Panel { title: t!("model-origin"),
            dl { class: "facts",
                Fact { label: t!("model-author"), "{card.author}" }
                Fact { label: t!("model-data"), "{card.data.name}" }
                Fact { label: t!("model-rows"), {fmt::number(lang, card.data.rows as f64, 0)} }
                Fact { label: t!("model-source"), {lang.pick(&card.data.source)} }
                Fact { label: t!("model-data-hash"),
                    span { class: "mono", title: "{card.data.sha256}", {card.data.sha256.chars().take(16).collect::<String>()} "…" }
                }
            }
        }
    }
}

/// What arrived, and what became of it.
#[component]
fn Updates(updates: Vec<ModelUpdate>) -> Element {
    let lang = lang();
    let now = browser::now();
    if updates.is_empty() {
        return rsx! {};
    }
    rsx! {
        section { class: "stack", "data-testid": "model-updates",
            h2 { {t!("model-updates")} }
            ul { class: "rows",
                for update in updates {
                    li { key: "{update.sha256}{update.at}", class: "row model-update",
                        Glyph {
                            icon: if update.outcome == ModelOutcome::Activated { Icon::CircleCheck } else { Icon::CircleX },
                        }
                        div { class: "row-body",
                            p { class: "row-title", {t!("model-version", version = update.version)} }
                            p { class: "meta", "{update.id} · " {fmt::moment(lang, update.at, now)} }
                            if let ModelOutcome::Refused { reason, detail } = &update.outcome {
                                p { {here().text(&refusal_key(*reason), &[])} }
                                details { class: "details",
                                    summary { {t!("error-details")} }
                                    code { "{detail}" }
                                }
                            }
                        }
                        match update.outcome {
                            ModelOutcome::Activated => rsx! {
                                Tag { label: t!("model-outcome-activated"), tone: Tone::Good }
                            },
                            ModelOutcome::Refused { .. } => rsx! {
                                Tag { label: t!("model-outcome-refused"), tone: Tone::Bad }
                            },
                        }
                    }
                }
            }
        }
    }
}
