//! x
use dioxus::prelude::*;
/// x
#[component]
pub fn Unlock(retry_at: Option<i64>) -> Element { rsx! {} }
