//! The branch's devices, for its manager: who has which, when it was last heard of, how far its clock is
//! off, and what the server put aside. Asked of the server when the screen opens.

use super::sync::{WORRYING_DRIFT, drift_text, reason_text};
use crate::browser;
use crate::components::{Button, ErrorPanel, Icon, Notice, Panel, Progress, Tag, Tone};
use crate::fmt;
use crate::i18n::{here, lang};
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::{AsideView, BranchDevice, BranchView, GatewayError, GetBranch};

/// The panel.
#[component]
pub fn Branch() -> Element {
    let app = use_app();
    let mut found = use_signal(|| None::<Result<BranchView, GatewayError>>);
    let ask = use_callback(move |()| {
        found.set(None);
        spawn(async move { found.set(Some(app.call::<GetBranch>(()).await)) });
    });
    use_hook(|| ask.call(()));
    rsx! {
        Panel { title: t!("branch-title"), testid: "branch",
            match found() {
                None => rsx! {
                    Progress { label: t!("loading"), testid: "branch-loading" }
                },
                Some(Err(error)) => rsx! {
                    ErrorPanel { error, on_retry: move |()| ask.call(()) }
                },
                Some(Ok(view)) => rsx! {
                    if view.aside.is_empty() {
                        Notice { tone: Tone::Good, {t!("branch-nothing-aside")} }
                    } else {
                        h3 { {t!("branch-aside", n = view.aside.len())} }
                        ul { class: "rows",
                            for one in view.aside {
                                li { key: "{one.device}-{one.seq}", Aside { one: one.clone() } }
                            }
                        }
                    }
                    h3 { {t!("branch-devices", n = view.devices.len())} }
                    ul { class: "rows",
                        for device in view.devices {
                            li { key: "{device.device}", Row { device: device.clone() } }
                        }
                    }
                    Button {
                        label: t!("branch-again"),
                        testid: "branch-again",
                        icon: Icon::RefreshCw,
                        onclick: move |()| ask.call(()),
                    }
                },
            }
        }
    }
}

#[component]
fn Row(device: BranchDevice) -> Element {
    let seen = fmt::moment(lang(), device.seen_at, browser::now());
    let worrying = device.drift_ms.is_some_and(|drift| drift.abs() > WORRYING_DRIFT);
    rsx! {
        div { class: "row branch-row", "data-testid": "branch-device",
            span { class: "row-body",
                span { class: "row-title", "{device.user}" }
                span { class: "meta", "{device.name} · " {t!("branch-seen", time = seen)} }
                span { class: "meta", "data-testid": "branch-drift", {t!("clock")} ": " {drift_text(device.drift_ms)} }
            }
            if device.revoked {
                Tag { label: t!("branch-revoked"), tone: Tone::Warning }
            }
            if worrying {
                Tag { label: t!("branch-clock-off"), tone: Tone::Warning }
            }
        }
    }
}

/// One event that was put aside: whose, when, why.
#[component]
fn Aside(one: AsideView) -> Element {
    let at = fmt::moment(lang(), one.at, browser::now());
    rsx! {
        div { class: "row branch-row", "data-testid": "branch-aside",
            span { class: "row-body",
                span { class: "row-title", "{one.user}" }
                span { class: "meta", {t!("branch-aside-at", seq = one.seq, time = at)} }
                span { {here().text(reason_text(&one.why), &[])} }
            }
        }
    }
}
