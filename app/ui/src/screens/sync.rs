//! Everything about sync: what it is doing, what waits and why, what the server has acknowledged.

use super::branch::Branch;
use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::{Screen, world};
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::api::{Receipt, Role};
use vereda_domain::gateway::{
    ErrorCode, GatewayError, GetSync, GetSyncLog, SignInAgain, SignInAgainRequest, SyncError, SyncItem,
    SyncLine, SyncLogEntry, SyncNow, SyncState, SyncView,
};

/// How far a clock may be off before a person should hear of it, in milliseconds.
pub(super) const WORRYING_DRIFT: i64 = 60_000;

/// The screen.
#[component]
pub fn Sync() -> Element {
    let app = use_app();
    let sync = use_query::<GetSync>(|| ());
    let mut asked = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let manager = app.user().is_some_and(|user| user.role == Role::Manager);
    let line = (app.sync)();
    let moving =
        !matches!(line.state, SyncState::Idle | SyncState::Offline { .. } | SyncState::Blocked { .. });
    let now = move |()| {
        spawn(async move {
            asked.set(true);
            match app.call::<SyncNow>(()).await {
                Ok(view) => {
                    let mut data = sync.data;
                    app.sync.clone().set(view.line.clone());
                    data.set(Some(view));
                    refusal.set(None);
                }
                Err(error) => refusal.set(Some(error)),
            }
            asked.set(false);
        });
    };
    rsx! {
        Screen {
            title: t!("nav-sync"),
            footer: rsx! {
                Button {
                    label: if moving { t!("sync-under-way") } else { t!("sync-now") },
                    testid: "sync-now",
                    look: Look::Primary,
                    icon: Icon::RefreshCw,
                    busy: moving || asked(),
                    onclick: now,
                }
            },
            StatePanel { line: line.clone(), view: (sync.data)() }
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            if let Some(view) = (sync.data)() {
                Items { items: view.items, waiting: line.waiting, quarantined: line.quarantined }
                Receipts { receipt: view.receipt, drift_ms: view.drift_ms, server: view.server, device: view.device }
                if manager {
                    Branch {}
                }
                Runs { log: view.log }
                ShareLog {}
            } else {
                Waiting { error: (sync.error)(), on_retry: move |()| sync.again() }
            }
        }
    }
}

/// What sync is doing, what that means, and what to do where a person is needed.
#[component]
fn StatePanel(line: SyncLine, view: Option<SyncView>) -> Element {
    let (tone, icon, text) = world(here(), &line, browser::now());
    let (explained, progress) = match &line.state {
        SyncState::Idle if line.waiting > 0 => (t!("sync-waiting-means"), None),
        SyncState::Idle if line.files > 0 => (t!("sync-files-wait", n = line.files), None),
        SyncState::Idle if line.done_at.is_none() => (t!("sync-never-means"), None),
        SyncState::Idle => (t!("sync-idle-means"), None),
        SyncState::Offline { next_try: Some(at) } => {
            (t!("sync-offline-next", time = fmt::time_with_seconds(*at)), None)
        }
        SyncState::Offline { next_try: None } => (t!("sync-offline-means"), None),
        SyncState::Connecting => (t!("sync-connecting-means"), Some((None, None))),
        SyncState::Sending { done, total } => (t!("sync-sending-means"), Some((Some(*done), Some(*total)))),
        SyncState::Receiving { done, total } => {
            (t!("sync-receiving-means"), Some((Some(*done), Some(*total))))
        }
        SyncState::ReceivingEarlier { done, total } => {
            (t!("sync-receiving-earlier-means"), Some((total.map(|_| *done), *total)))
        }
        SyncState::SendingFiles { done, total } => {
            (t!("sync-files-means"), Some((Some(*done), Some(*total))))
        }
        SyncState::UpdatingModel => (t!("sync-model-means"), Some((None, None))),
        SyncState::Blocked { code } => (here().text(&format!("error-{}-do", code.as_str()), &[]), None),
    };
    let unread = view.as_ref().map_or(0, |view| view.unread);
    let last_error = view.and_then(|view| view.last_error);
    rsx! {
        section { class: "panel sync-state", "data-tone": tone.name(), "data-testid": "sync-state",
            div { class: "sync-head",
                span { class: "sync-icon", Glyph { icon } }
                h2 { "{text}" }
            }
            p { "{explained}" }
            if let Some((done, total)) = progress {
                Progress { label: String::new(), done, total, testid: "sync-progress" }
            }
            if let SyncState::Blocked { code: ErrorCode::SessionExpired } = line.state {
                SignIn {}
            }
            if unread > 0 {
                p { "data-testid": "sync-unread", {t!("sync-unread", n = unread)} }
            }
            if let Some(error) = last_error {
                LastError { error }
            }
        }
    }
}

#[component]
fn LastError(error: SyncError) -> Element {
    let code = error.code.as_str();
    let at = fmt::moment(lang(), error.at, browser::now());
    rsx! {
        details { class: "details", "data-testid": "sync-last-error", "data-code": code,
            summary { {t!("sync-last-error", time = at)} }
            p { {here().text(&format!("error-{code}"), &[])} }
            code { "{code}: {error.message}" }
        }
    }
}

/// The password again, after the server ended the session.
#[component]
fn SignIn() -> Element {
    let app = use_app();
    let mut password = use_signal(String::new);
    let mut busy = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    rsx! {
        form {
            class: "form sync-sign-in",
            novalidate: true,
            onsubmit: move |event| {
                event.prevent_default();
                if busy() || password.peek().is_empty() {
                    return;
                }
                spawn(async move {
                    busy.set(true);
                    let request = SignInAgainRequest { password: password.peek().clone() };
                    match app.call::<SignInAgain>(request).await {
                        Ok(status) => app.accept(status),
                        Err(error) => refusal.set(Some(error)),
                    }
                    password.set(String::new());
                    busy.set(false);
                });
            },
            TextField {
                id: "password",
                kind: TextKind::Password,
                label: t!("password"),
                value: password(),
                oninput: move |text| {
                    refusal.set(None);
                    password.set(text);
                },
            }
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            Button {
                label: t!("sync-sign-in"),
                testid: "sign-in-again",
                icon: Icon::KeyRound,
                busy: busy(),
                submit: true,
                wide: true,
                onclick: |()| {},
            }
        }
    }
}

/// What waits or was put aside, one by one.
#[component]
fn Items(items: Vec<SyncItem>, waiting: u64, quarantined: u64) -> Element {
    let app = use_app();
    let lang = lang();
    let now = browser::now();
    let aside: Vec<SyncItem> = items.iter().filter(|item| item.quarantine.is_some()).cloned().collect();
    let queue: Vec<SyncItem> = items.into_iter().filter(|item| item.quarantine.is_none()).collect();
    let more = waiting.saturating_sub(queue.len() as u64);
    rsx! {
        if !aside.is_empty() {
            section { class: "stack", "data-testid": "sync-quarantined",
                h2 { {t!("sync-aside", n = quarantined)} }
                p { {t!("sync-aside-means")} }
                ul { class: "rows",
                    for item in aside {
                        li { key: "{item.seq}", Item { item: item.clone(), at: fmt::moment(lang, item.at, now) } }
                    }
                }
            }
        }
        section { class: "stack", "data-testid": "sync-waiting",
            h2 { {t!("sync-waiting", n = waiting)} }
            if queue.is_empty() {
                Notice { tone: Tone::Good, {t!("sync-nothing-waits")} }
            } else {
                ul { class: "rows",
                    for item in queue {
                        li { key: "{item.seq}",
                            button {
                                class: "row",
                                r#type: "button",
                                "data-testid": "sync-item",
                                onclick: move |_| app.go(Route::Client(item.client)),
                                ItemBody { item: item.clone(), at: fmt::moment(lang, item.at, now) }
                                Glyph { icon: Icon::ChevronRight }
                            }
                        }
                    }
                }
                if more > 0 {
                    p { class: "meta", {t!("sync-more", n = more)} }
                }
            }
        }
    }
}

/// One that was put aside: why, and where it can be looked at.
#[component]
fn Item(item: SyncItem, at: String) -> Element {
    let app = use_app();
    let client = item.client;
    rsx! {
        div { class: "row sync-aside-row", "data-testid": "sync-quarantined-item",
            ItemBody { item: item.clone(), at }
            Button {
                label: t!("sync-see-client"),
                testid: "sync-see-client",
                onclick: move |()| app.go(Route::Client(client)),
            }
            if let Some(why) = item.quarantine {
                p { "data-testid": "sync-aside-why", {here().text(reason_text(&why), &[])} }
                details { class: "details",
                    summary { {t!("error-details")} }
                    code { "{why}" }
                }
            }
        }
    }
}

/// In the officer's words why something was put aside. What follows the reason's name is for support.
pub(super) fn reason_text(why: &str) -> &'static str {
    match why.split(':').next().unwrap_or_default() {
        "unknown_kind" => "aside-unknown-kind",
        "malformed" => "aside-malformed",
        "foreign" => "aside-foreign",
        "not_allowed" => "aside-not-allowed",
        "unknown_record" => "aside-unknown-record",
        "contradiction" => "aside-contradiction",
        "erased" => "aside-erased",
        _ => "aside-other",
    }
}

#[component]
fn ItemBody(item: SyncItem, at: String) -> Element {
    rsx! {
        span { class: "row-body",
            span { class: "row-title", "{item.client_name}" }
            br {}
            span { class: "meta", {here().text(&format!("sync-kind-{}", item.kind), &[])} " · {at}" }
        }
    }
}

/// How far a clock is off, in words.
pub(super) fn drift_text(drift_ms: Option<i64>) -> String {
    let lang = lang();
    let Some(drift) = drift_ms else { return t!("drift-unknown") };
    let size = drift.unsigned_abs() as f64 / 1000.0;
    let shown = match size {
        ..90.0 => t!("drift-seconds", n = fmt::number(lang, size, 1)),
        ..5_400.0 => t!("drift-minutes", n = fmt::number(lang, size / 60.0, 0)),
        ..172_800.0 => t!("drift-hours", n = fmt::number(lang, size / 3_600.0, 1)),
        _ => t!("drift-days", n = fmt::number(lang, size / 86_400.0, 0)),
    };
    match drift {
        -999..=999 => t!("drift-none"),
        1_000.. => t!("drift-ahead", by = shown),
        _ => t!("drift-behind", by = shown),
    }
}

/// What the server holds, by its own account, and how far the clocks are apart.
#[component]
fn Receipts(receipt: Option<Receipt>, drift_ms: Option<i64>, server: String, device: String) -> Element {
    let lang = lang();
    let worrying = drift_ms.is_some_and(|drift| drift.abs() > WORRYING_DRIFT);
    rsx! {
        Panel { title: t!("sync-receipt"), testid: "receipt",
            match receipt {
                Some(receipt) => rsx! {
                    p { class: "panel-lead", {t!("receipt-says", seq = receipt.seq, time = fmt::moment(lang, receipt.at, browser::now()))} }
                    dl { class: "facts",
                        Fact { label: t!("receipt-seq"), testid: "receipt-seq", {fmt::number(lang, receipt.seq as f64, 0)} }
                        Fact { label: t!("receipt-hash"),
                            span { class: "mono", title: "{receipt.hash}", {receipt.hash.to_string().chars().take(16).collect::<String>()} "…" }
                        }
                        Fact { label: t!("clock"), testid: "drift", {drift_text(drift_ms)} }
                        Fact { label: t!("server"), "{server}" }
                        Fact { label: t!("device"), "{device}" }
                    }
                },
                None => rsx! {
                    p { class: "panel-lead", {t!("receipt-none")} }
                    dl { class: "facts",
                        Fact { label: t!("clock"), testid: "drift", {drift_text(drift_ms)} }
                        Fact { label: t!("server"), "{server}" }
                        Fact { label: t!("device"), "{device}" }
                    }
                },
            }
            if worrying {
                Notice { tone: Tone::Warning, icon: Icon::Clock, {t!("drift-worrying")} }
            }
        }
    }
}

/// The last runs.
#[component]
fn Runs(log: Vec<SyncLogEntry>) -> Element {
    let lang = lang();
    let now = browser::now();
    if log.is_empty() {
        return rsx! {};
    }
    rsx! {
        details { class: "panel details runs", "data-testid": "sync-runs",
            summary { h2 { class: "panel-title", {t!("sync-runs", n = log.len())} } }
            ol {
                for (index , run) in log.into_iter().enumerate() {
                    li { key: "{index}", class: "run",
                        Glyph { icon: if run.error.is_some() { Icon::CircleX } else { Icon::CircleCheck } }
                        div {
                            p { {fmt::moment(lang, run.at, now)} " · " {t!("drift-seconds", n = fmt::number(lang, run.took_ms as f64 / 1000.0, 1))} }
                            p { class: "meta",
                                match run.error {
                                    Some(error) => here().text(&format!("error-{}", error.code.as_str()), &[]),
                                    None => t!("run-well", sent = run.sent, received = run.received),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The log as text without personal data: shown, and copied where the platform lets it.
#[component]
fn ShareLog() -> Element {
    let app = use_app();
    let mut log = use_signal(|| None::<Result<String, GatewayError>>);
    let mut busy = use_signal(|| false);
    rsx! {
        section { class: "stack",
            Button {
                label: t!("share-log"),
                testid: "share-log",
                icon: Icon::Share,
                busy: busy(),
                wide: true,
                onclick: move |()| {
                    spawn(async move {
                        busy.set(true);
                        let text = app.call::<GetSyncLog>(()).await;
                        if let Ok(text) = &text {
                            let copied = browser::copy(text).await;
                            app.toast(if copied { t!("log-copied") } else { t!("log-select") }, None);
                        }
                        log.set(Some(text));
                        busy.set(false);
                    });
                },
            }
            p { class: "meta", {t!("share-log-help")} }
            match log() {
                None => rsx! {},
                Some(Err(error)) => rsx! {
                    ErrorPanel { error }
                },
                Some(Ok(text)) => rsx! {
                    textarea {
                        class: "log mono",
                        readonly: true,
                        rows: "10",
                        aria_label: t!("share-log"),
                        "data-testid": "log-text",
                        value: text,
                    }
                },
            }
        }
    }
}
