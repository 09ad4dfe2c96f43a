//! x
use dioxus::prelude::*;
/// x
#[component]
pub fn Model() -> Element { rsx! {} }
