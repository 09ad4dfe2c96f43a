//! x
use dioxus::prelude::*;
/// x
#[component]
pub fn Enrol() -> Element { rsx! {} }
