//! One client: who, what they agreed to, what has happened, and what comes next.

use super::attachments::Attachments;
use super::client_form::field_label;
use super::portfolio::start_interview;
use super::review_list::decided_key;
use super::timeline::Timeline;
use crate::browser;
use crate::components::{
    Badge, Button, EmptyState, ErrorPanel, Fact, Icon, IconButton, Look, Notice, Panel, SparkLine, Tag, Tone,
    Waiting,
};
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::{Query, use_query};
use crate::route::Route;
use crate::shell::Screen;
use crate::state::{Confirm, use_app};
use crate::t;
use dioxus::prelude::*;
use std::collections::BTreeMap;
use vereda_domain::client::ClientField;
use vereda_domain::gateway::{
    ClientRequest, ClientView, Conflict, DiscardDraft, DraftRequest, EditClient, EditClientRequest,
    GatewayError, GetClient, LastScore, TimelineItem, TimelineKind,
};
use vereda_domain::register::WHOLE;
use vereda_domain::{ClientId, DraftId};

/// The screen.
#[component]
pub fn Client(client: ClientId) -> Element {
    let app = use_app();
    let query = use_query::<GetClient>(move || ClientRequest { client });
    let mut error = use_signal(|| None::<GatewayError>);
    let mut busy = use_signal(|| false);
    let wide = (app.wide)();
    let Some(view) = (query.data)() else {
        return rsx! {
            Screen { title: t!("client-title"), back: !wide,
                Waiting { error: (query.error)(), on_retry: move |()| query.again() }
            }
        };
    };
    let editable = view.editable;
    let begin = move |()| {
        busy.set(true);
        spawn(async move {
            if let Err(refusal) = start_interview(app, client).await {
                error.set(Some(refusal));
                busy.set(false);
            }
        });
    };
    rsx! {
        Screen {
            title: view.row.name.clone(),
            subtitle: view.row.document.clone(),
            back: !wide,
            actions: rsx! {
                if editable {
                    IconButton {
                        label: t!("client-edit"),
                        icon: Icon::Pencil,
                        testid: "edit-client",
                        onclick: move |()| app.go(Route::EditClient(client)),
                    }
                }
            },
            footer: editable.then(|| rsx! {
                Button {
                    label: if view.draft.is_some() { t!("client-go-on") } else { t!("client-assess") },
                    testid: "assess",
                    look: Look::Primary,
                    icon: if view.draft.is_some() { Icon::Pencil } else { Icon::ClipboardList },
                    busy: busy(),
                    onclick: begin,
                }
            }),
            if let Some(error) = error().or((query.error)()) {
                ErrorPanel { error, on_retry: move |()| query.again() }
            }
            for conflict in view.conflicts.iter().cloned() {
                Settle { key: "{conflict.field.as_str()}-{conflict.at}", client, conflict, editable, query }
            }
            if let Some(draft) = view.draft {
                Begun { draft, editable, query }
            }
            if let Some(last) = view.row.last.clone() {
                Last { last, scores: view.scores.clone() }
            }
            Who { view: view.clone() }
            Attachments { client, view: view.clone(), query }
            Panel { title: t!("client-timeline"), testid: "timeline",
                if view.scores.is_empty() && editable {
                    EmptyState {
                        icon: Icon::Scale,
                        title: t!("client-no-assessment"),
                        body: t!("client-no-assessment-do"),
                        testid: "client-no-assessment",
                    }
                }
                Timeline { items: view.timeline.clone(), leads: true }
                if may_have_more(&view.timeline) {
                    p { class: "meta", "data-testid": "timeline-rest", {t!("client-timeline-rest")} }
                }
            }
        }
    }
}

/// Whether a detail was changed so often that earlier changes are not on this device any more.
fn may_have_more(timeline: &[TimelineItem]) -> bool {
    let mut changes: BTreeMap<ClientField, usize> = BTreeMap::new();
    for item in timeline {
        if let TimelineKind::Edited { field, .. } = &item.what {
            *changes.entry(*field).or_default() += 1;
        }
    }
    changes.values().any(|count| *count >= WHOLE)
}

/// The last score, and PD over time when there is more than one.
#[component]
fn Last(last: LastScore, scores: Vec<LastScore>) -> Element {
    let app = use_app();
    let lang = lang();
    let (first, count) = (scores.first().cloned(), scores.len());
    rsx! {
        Panel { testid: "client-score", class: "score-panel",
            div { class: "last-score",
                Badge { group: last.group }
                div { class: "row-body",
                    p { class: "row-title", {fmt::in_hundred(lang, last.probability)} }
                    p { class: "meta",
                        {fmt::percent(lang, last.probability, 1)}
                        " · "
                        {fmt::date(lang, last.at)}
                    }
                    if let Some(decision) = last.decision {
                        Tag { label: here().text(decided_key(decision), &[]) }
                    } else {
                        Tag { label: t!("client-undecided"), tone: Tone::Warning }
                    }
                }
                Button {
                    label: t!("client-see-result"),
                    testid: "client-result",
                    onclick: move |()| app.go(Route::Result(last.assessment)),
                }
            }
            if let (Some(first), true) = (first, count > 1) {
                figure { class: "over-time",
                    SparkLine {
                        points: scores.iter().map(|score| (score.probability, score.group)).collect::<Vec<_>>(),
                        cuts: Vec::new(),
                        label: t!(
                            "client-over-time-says",
                            n = count,
                            first = first.group.as_str(),
                            last = last.group.as_str(),
                        ),
                    }
                    figcaption { class: "meta over-time-caption",
                        span { "{first.group} · " {fmt::date(lang, first.at)} }
                        span { "{last.group} · " {fmt::date(lang, last.at)} }
                    }
                }
            }
        }
    }
}

#[component]
fn Who(view: ClientView) -> Element {
    let lang = lang();
    let row = &view.row;
    let or_none = |text: &str| if text.is_empty() { t!("client-none") } else { text.to_owned() };
    rsx! {
        Panel { title: t!("client-data"), testid: "client-data",
            dl { class: "facts",
                Fact { label: t!("client-label-document"), "{row.document}" }
                Fact { label: t!("client-label-phone"), {or_none(&row.phone)} }
                Fact { label: t!("client-label-place"), {or_none(&row.place)} }
                Fact { label: t!("client-officer"), "{row.officer}" }
                Fact { label: t!("client-since"), {fmt::date(lang, view.captured_at)} }
                for (index , consent) in view.consents.iter().enumerate() {
                    Fact { key: "{index}", label: t!("consent-title"), testid: "client-consent",
                        {t!(
                            "client-consented",
                            date = fmt::date(lang, consent.at),
                            version = consent.text_version.as_str(),
                        )}
                    }
                }
                if row.waiting {
                    Fact { label: t!("client-delivery"),
                        Tag { label: t!("client-waiting"), icon: Icon::CloudUpload }
                    }
                }
            }
        }
    }
}

/// An interview that was begun.
#[component]
fn Begun(draft: DraftId, editable: bool, query: Query<ClientView>) -> Element {
    let app = use_app();
    let discard = use_callback(move |()| {
        spawn(async move {
            match app.call::<DiscardDraft>(DraftRequest { draft }).await {
                Ok(()) => app.toast(t!("client-draft-discarded"), None),
                Err(refusal) => {
                    let mut error = query.error;
                    error.set(Some(refusal));
                }
            }
            query.again();
        });
    });
    rsx! {
        Notice { icon: Icon::Pencil, testid: "client-draft",
            p { {t!("client-draft")} }
            if editable {
                Button {
                    label: t!("client-draft-discard"),
                    testid: "discard-draft",
                    look: Look::Quiet,
                    icon: Icon::Trash,
                    onclick: move |()| {
                        app.ask(Confirm {
                            title: t!("client-draft-discard-ask"),
                            body: t!("client-draft-discard-means"),
                            yes: t!("client-draft-discard"),
                            danger: true,
                            on_yes: discard,
                        });
                    },
                }
            }
        }
    }
}

/// Two people wrote the same field without knowing of each other: which value holds?
#[component]
fn Settle(client: ClientId, conflict: Conflict, editable: bool, query: Query<ClientView>) -> Element {
    let app = use_app();
    let mut busy = use_signal(|| false);
    let mut error = use_signal(|| None::<GatewayError>);
    let field = conflict.field;
    let settle = use_callback(move |value: String| {
        busy.set(true);
        spawn(async move {
            let fields = [(field, value)].into();
            match app.call::<EditClient>(EditClientRequest { client, fields }).await {
                Ok(view) => {
                    app.toast(t!("conflict-settled"), None);
                    let mut data = query.data;
                    data.set(Some(view));
                }
                Err(refusal) => {
                    error.set(Some(refusal));
                    busy.set(false);
                }
            }
        });
    });
    let (holds, lost) = (conflict.holds.clone(), conflict.lost.clone());
    rsx! {
        Notice { tone: Tone::Warning, icon: Icon::GitMerge, testid: "conflict-{field.as_str()}",
            strong { {t!("conflict-title", field = field_label(here(), field))} }
            p {
                {t!(
                    "conflict-says",
                    holds = conflict.holds.as_str(),
                    lost = conflict.lost.as_str(),
                    actor = conflict.actor.as_str(),
                    time = fmt::moment(lang(), conflict.at, browser::now()),
                )}
            }
            if editable {
                div { class: "conflict-choices",
                    Button {
                        label: t!("conflict-keep", value = conflict.holds.as_str()),
                        testid: "conflict-keep-{field.as_str()}",
                        disabled: busy(),
                        onclick: move |()| settle.call(holds.clone()),
                    }
                    Button {
                        label: t!("conflict-use", value = conflict.lost.as_str()),
                        testid: "conflict-use-{field.as_str()}",
                        disabled: busy(),
                        onclick: move |()| settle.call(lost.clone()),
                    }
                }
            }
            if let Some(error) = error() {
                ErrorPanel { error }
            }
        }
    }
}
