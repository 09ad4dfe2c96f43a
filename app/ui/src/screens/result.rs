//! In the making.

use crate::shell::Screen;
use crate::t;
use dioxus::prelude::*;

/// In the making.
#[component]
pub fn Result(assessment: vereda_domain::AssessmentId) -> Element {
    let _ = assessment;
    rsx! {
        Screen { title: t!("nav-portfolio") }
    }
}
