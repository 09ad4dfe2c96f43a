//! Review: the branch's assessments and what its manager decides on them. On a desktop the list stays
//! beside the detail; on a phone each has the screen to itself.

use super::review_detail::ReviewDetail;
use super::review_list::{HelpButton, ReviewList};
use crate::browser;
use crate::components::{EmptyState, Icon, IconButton};
use crate::pages::Pages;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::{ReviewRequest, ReviewRow};
use vereda_domain::{AssessmentId, UserId};

/// What the list and the detail share, and what stays when either goes.
#[derive(Clone, Copy, PartialEq)]
pub struct Desk {
    /// What is looked for; the window into it is left at 0.
    pub filters: Signal<ReviewRequest>,
    /// The rows read so far.
    pub pages: Pages<ReviewRow>,
    /// Who can be filtered by.
    pub officers: Signal<Vec<(UserId, String)>>,
    /// Where the one opened last stands; when it leaves the list, the next takes its place.
    pub place: Signal<usize>,
    /// Whether single keys act. They can be turned off: speech input may type them by mistake.
    pub shortcuts: Signal<bool>,
    /// Whether the keys are explained.
    pub help: Signal<bool>,
}

/// Under this name the page remembers that single keys are off.
const SHORTCUTS_OFF: &str = "vereda.shortcuts-off";

/// What is looked for at first: what still waits for this manager.
pub fn first_filters() -> ReviewRequest {
    ReviewRequest { undecided: true, ..ReviewRequest::default() }
}

/// Makes the shared state, for the component that outlives both panes.
pub fn provide() -> Desk {
    use_context_provider(|| Desk {
        filters: Signal::new(first_filters()),
        pages: Pages::new(),
        officers: Signal::new(Vec::new()),
        place: Signal::new(0),
        shortcuts: Signal::new(browser::kept(SHORTCUTS_OFF).is_none_or(|off| off != "yes")),
        help: Signal::new(false),
    })
}

/// The shared state.
pub fn use_desk() -> Desk {
    use_context::<Desk>()
}

impl Desk {
    /// Turns single keys on or off, on this machine.
    pub fn set_shortcuts(mut self, on: bool) {
        self.shortcuts.set(on);
        browser::keep(SHORTCUTS_OFF, if on { "no" } else { "yes" });
    }

    /// Opens an assessment that stands at a place of the list.
    pub fn open(mut self, id: AssessmentId, place: usize) {
        let app = use_app_now();
        self.place.set(place);
        // Going down the list is one step for *back*, not as many as there were rows.
        if matches!(app.route(), Route::Reviewing(_)) {
            app.replace(Route::Reviewing(id));
        } else {
            app.go(Route::Reviewing(id));
        }
    }
}

fn use_app_now() -> crate::state::App {
    consume_context::<crate::state::App>()
}

/// The list, or one of its assessments.
#[component]
pub fn Review(#[props(default)] assessment: Option<AssessmentId>) -> Element {
    let app = use_app();
    match assessment {
        Some(assessment) => rsx! {
            ReviewDetail { assessment }
        },
        None if (app.wide)() => rsx! {
            Screen { title: t!("nav-review"), back: false, focus_title: false, actions: rsx! { HelpButton {} },
                if (use_desk().pages.total)().is_some_and(|total| total > 0) {
                    EmptyState {
                        icon: Icon::ClipboardCheck,
                        title: t!("review-choose"),
                        body: t!("review-choose-do"),
                        testid: "review-choose",
                    }
                }
            }
        },
        None => rsx! {
            Screen {
                title: t!("nav-review"),
                back: false,
                class: "flush",
                actions: rsx! {
                    IconButton {
                        label: t!("nav-portfolio"),
                        icon: Icon::Users,
                        testid: "review-portfolio",
                        onclick: move |()| app.go(Route::Portfolio),
                    }
                },
                ReviewList {}
            }
        },
    }
}
