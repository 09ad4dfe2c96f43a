//! The list that stands beside a detail when there is room for both.

use super::review_list::ReviewList;
use crate::browser;
use crate::components::{
    Badge, Button, EmptyState, ErrorPanel, Glyph, Icon, Look, Progress, Tag, Tone, WindowedList,
};
use crate::fmt;
use crate::i18n::lang;
use crate::pages::{Pages, READ, use_reading};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::ClientId;
use vereda_domain::gateway::{ClientRow, GetDrafts, GetPortfolio, PortfolioRequest};

/// Of a row, in pixels at 100 % text size.
const ROW: f64 = 84.0;

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
        | Route::Decision(_) => rsx! {
            section { class: "list-pane", aria_label: t!("nav-portfolio"), Clients {} }
        },
        _ => rsx! {},
    }
}

/// What stands beside the clients until one is chosen.
#[component]
pub fn NoClient() -> Element {
    rsx! {
        Screen { title: t!("nav-portfolio"), back: false, focus_title: false,
            EmptyState {
                icon: Icon::Users,
                title: t!("desk-choose"),
                body: t!("desk-choose-do"),
                testid: "desk-choose",
            }
        }
    }
}

/// The portfolio: what to finish, and everybody by name.
#[component]
fn Clients() -> Element {
    let app = use_app();
    let pages = use_hook(Pages::<ClientRow>::new);
    let mut query = use_signal(String::new);
    use_reading::<GetPortfolio, _, _>(
        pages,
        move || query(),
        |query, offset| PortfolioRequest { query: query.trim().to_owned(), offset, limit: READ },
        |page| (page.total, page.rows),
    );
    let row = use_callback(move |index: usize| {
        let row = pages.rows.read().get(&index).cloned();
        rsx! { ClientLine { row } }
    });
    let total = (pages.total)();
    rsx! {
        div { class: "pane-head",
            div { class: "input",
                Glyph { icon: Icon::Search }
                input {
                    r#type: "search",
                    autocomplete: "off",
                    aria_label: t!("desk-search"),
                    placeholder: t!("desk-search"),
                    "data-testid": "portfolio-search",
                    value: query(),
                    oninput: move |event| {
                        query.set(event.value());
                        browser::scroll_to("portfolio-list", 0.0);
                    },
                }
            }
            p { class: "meta", role: "status", "data-testid": "portfolio-count",
                if let Some(total) = total {
                    {t!("desk-count", n = total)}
                }
            }
        }
        Drafts {}
        if let Some(error) = (pages.error)() {
            div { class: "pane-note",
                ErrorPanel { error, on_retry: move |()| pages.again() }
            }
        }
        match total {
            None if (pages.error)().is_none() => rsx! {
                div { class: "pane-note", Progress { label: t!("loading"), testid: "loading" } }
            },
            None => rsx! {},
            Some(0) if query.read().trim().is_empty() => rsx! {
                EmptyState { icon: Icon::Users, title: t!("desk-none"), body: t!("desk-none-do") }
            },
            Some(0) => rsx! {
                EmptyState { icon: Icon::Search, title: t!("nothing-found"), body: t!("desk-not-found") }
            },
            Some(total) => rsx! {
                WindowedList {
                    total,
                    row_height: ROW,
                    label: t!("nav-portfolio"),
                    testid: "portfolio-list",
                    onwindow: move |window| pages.look_at(window),
                    row,
                }
            },
        }
        div { class: "actionbar",
            Button {
                label: t!("desk-new-client"),
                icon: Icon::UserPlus,
                testid: "desk-new-client",
                look: Look::Secondary,
                onclick: move |()| app.go(Route::NewClient),
            }
        }
    }
}

#[component]
fn Drafts() -> Element {
    let app = use_app();
    let drafts = use_query::<GetDrafts>(|| ());
    let drafts = (drafts.data)().unwrap_or_default();
    if drafts.is_empty() {
        return rsx! {};
    }
    rsx! {
        ul { class: "pane-drafts", aria_label: t!("desk-drafts"),
            for draft in drafts {
                li { key: "{draft.id}",
                    button {
                        class: "row",
                        r#type: "button",
                        "data-testid": "draft-{draft.id}",
                        onclick: move |_| app.go(Route::Interview(draft.id)),
                        Glyph { icon: Icon::Pencil }
                        span { class: "row-body",
                            span { class: "row-title clip", "{draft.name}" }
                            span { class: "meta clip",
                                {t!("desk-draft", done = draft.answered, total = draft.questions)}
                            }
                        }
                        Glyph { icon: Icon::ChevronRight }
                    }
                }
            }
        }
    }
}

/// Whom the screen beside the list is about.
fn current(route: Route) -> Option<ClientId> {
    match route {
        Route::Client(client) | Route::EditClient(client) => Some(client),
        _ => None,
    }
}

#[component]
fn ClientLine(row: Option<ClientRow>) -> Element {
    let app = use_app();
    let Some(row) = row else {
        return rsx! {
            div { class: "review-row", "aria-hidden": "true", span { class: "ghost" } }
        };
    };
    let id = row.id;
    rsx! {
        button {
            class: "review-row",
            r#type: "button",
            aria_current: (current(app.route()) == Some(id)).then_some("true"),
            "data-testid": "client-row-{id}",
            onclick: move |_| {
                // Going down the list is one step for *back*.
                if current(app.route()).is_some() {
                    app.replace(Route::Client(id));
                } else {
                    app.go(Route::Client(id));
                }
            },
            span { class: "row-body",
                span { class: "row-title clip", "{row.name}" }
                span { class: "meta clip", "{row.document} · {row.place}" }
                if row.conflict || row.waiting {
                    span { class: "tags",
                        if row.conflict {
                            Tag { label: t!("desk-conflict"), tone: Tone::Warning, icon: Icon::GitMerge }
                        }
                        if row.waiting {
                            Tag { label: t!("review-waiting"), icon: Icon::CloudUpload }
                        }
                    }
                }
            }
            if let Some(last) = row.last {
                span { class: "review-risk",
                    Badge { group: last.group }
                    span { class: "meta", {fmt::date(lang(), last.at)} }
                }
            } else {
                span { class: "meta", {t!("desk-never-assessed")} }
            }
        }
    }
}
