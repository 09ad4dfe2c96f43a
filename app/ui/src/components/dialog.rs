//! A question before something is done: a native modal dialog, which keeps the keyboard inside,
//! closes on Escape and gives the focus back.

use super::{Button, Look};
use crate::browser;
use crate::state::{Confirm, use_app};
use crate::t;
use dioxus::prelude::*;

/// Shows what [`crate::state::App::ask`] asked for.
#[component]
pub fn ConfirmDialog() -> Element {
    let mut asked = use_app().confirm;
    let Some(Confirm { title, body, yes, danger, on_yes }) = asked() else { return rsx! {} };
    rsx! {
        dialog {
            id: "confirm",
            class: "dialog",
            "data-testid": "confirm",
            aria_labelledby: "confirm-title",
            aria_describedby: "confirm-body",
            onmounted: move |_| browser::show_modal("confirm"),
            onkeydown: move |event| {
                if event.key() == Key::Escape {
                    event.prevent_default();
                    asked.set(None);
                }
            },
            h2 { id: "confirm-title", "{title}" }
            p { id: "confirm-body", "{body}" }
            div { class: "dialog-actions",
                Button { label: t!("cancel"), testid: "confirm-no", onclick: move |()| asked.set(None) }
                Button {
                    label: yes,
                    testid: "confirm-yes",
                    look: if danger { Look::Danger } else { Look::Primary },
                    onclick: move |()| {
                        asked.set(None);
                        on_yes.call(());
                    },
                }
            }
        }
    }
}
