//! In the making.

use crate::shell::Screen;
use crate::t;
use dioxus::prelude::*;

/// In the making.
#[component]
pub fn Review(#[props(default)] assessment: Option<vereda_domain::AssessmentId>) -> Element {
    let _ = assessment;
    rsx! { Screen { title: t!("nav-review") } }
}
