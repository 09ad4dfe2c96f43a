//! The list that stands beside a detail when there is room for both.

use super::portfolio::ClientList;
use super::review_list::ReviewList;
use crate::route::Route;
use crate::t;
use dioxus::prelude::*;

/// The list that belongs to a route, if it has one. None stands beside an interview or a letter: a
/// client watches those, and other clients are none of their business.
#[component]
pub fn ListPane(route: Route) -> Element {
    match route {
        Route::Review | Route::Reviewing(_) => rsx! {
            section { class: "list-pane", aria_label: t!("review-list"), ReviewList {} }
        },
        Route::Portfolio
        | Route::NewClient
        | Route::Client(_)
        | Route::EditClient(_)
        | Route::Result(_)
        | Route::Decision(_)
        | Route::Override(_) => rsx! {
            section { class: "list-pane", aria_label: t!("nav-portfolio"), ClientList {} }
        },
        _ => rsx! {},
    }
}
