//! x
use dioxus::prelude::*;
/// x
#[component]
pub fn Sync() -> Element { rsx! {} }
