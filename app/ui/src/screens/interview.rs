//! In the making.

use crate::shell::Screen;
use crate::t;
use dioxus::prelude::*;

/// In the making.
#[component]
pub fn Interview(draft: vereda_domain::DraftId) -> Element {
    let _ = draft;
    rsx! {
        Screen { title: t!("nav-portfolio") }
    }
}
