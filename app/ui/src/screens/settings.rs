//! x
use dioxus::prelude::*;
/// x
#[component]
pub fn Settings() -> Element { rsx! {} }
