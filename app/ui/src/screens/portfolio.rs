//! In the making.

use crate::shell::Screen;
use crate::t;
use dioxus::prelude::*;

/// In the making.
#[component]
pub fn Portfolio() -> Element {
    rsx! {
        Screen { title: t!("nav-portfolio") }
    }
}
