//! The list that stands beside a detail when there is room for both.

use super::review_list::ReviewList;
use crate::route::Route;
use crate::t;
use dioxus::prelude::*;

/// The list that belongs to a route, if it has one.
#[component]
pub fn ListPane(route: Route) -> Element {
    match route {
        Route::Review | Route::Reviewing(_) => rsx! {
            section { class: "list-pane", aria_label: t!("review-list"), ReviewList {} }
        },
        _ => rsx! {},
    }
}
