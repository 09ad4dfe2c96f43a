//! In the making.

use crate::shell::Screen;
use crate::t;
use dioxus::prelude::*;

/// In the making.
#[component]
pub fn NewClient() -> Element {
    rsx! { Screen { title: t!("nav-portfolio") } }
}

/// In the making.
#[component]
pub fn EditClient(client: vereda_domain::ClientId) -> Element {
    let _ = client;
    rsx! { Screen { title: t!("nav-portfolio") } }
}
