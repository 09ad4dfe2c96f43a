//! The queue: filters, and a list of any length that the keyboard walks through.

use super::review::{Desk, first_filters, use_desk};
use crate::browser;
use crate::components::{
    Badge, Button, EmptyState, ErrorPanel, Icon, IconButton, Progress, Switch, Tag, Tone, WindowedList,
};
use crate::fmt;
use crate::i18n::{here, lang};
use crate::pages::{READ, use_reading};
use crate::route::Route;
use crate::state::{App, use_app};
use crate::t;
use dioxus::prelude::*;
use std::rc::Rc;
use vereda_domain::gateway::{GetReview, ReviewRequest, ReviewRow};
use vereda_domain::record::Rank;
use vereda_domain::{Decision, UserId};
use vereda_scoring::bundle::Group;

/// Of a row, in pixels at 100 % text size.
const ROW: f64 = 104.0;
/// The ages that can be chosen, in days.
const AGES: [u32; 4] = [1, 7, 30, 90];

/// Reads what the window shows, now and whenever anything changes.
fn use_rows(desk: Desk) {
    use_reading::<GetReview, _, _>(
        desk.pages,
        move || (desk.filters)(),
        |filters, offset| ReviewRequest { offset, limit: READ, ..filters.clone() },
        move |page| {
            let mut officers = desk.officers;
            officers.set(page.officers);
            (page.total, page.rows)
        },
    );
}

/// Where a step leads: from the opened row, or from the place where it stood before it left the list.
fn step(total: usize, opened: Option<usize>, left: Option<usize>, down: bool) -> Option<usize> {
    let last = total.checked_sub(1)?;
    Some(match (opened, left) {
        (Some(at), _) if down => (at + 1).min(last),
        (Some(at), _) => at.saturating_sub(1),
        (None, Some(at)) if down => at.min(last),
        (None, Some(at)) => at.saturating_sub(1).min(last),
        (None, None) => 0,
    })
}

fn walk(app: App, desk: Desk, mut wanted: Signal<Option<usize>>, down: bool) {
    let opened = match app.route() {
        Route::Reviewing(id) => Some(id),
        _ => None,
    };
    let at = opened.and_then(|id| {
        desk.pages.rows.peek().iter().find(|(_, row)| row.assessment == id).map(|(index, _)| *index)
    });
    let left = opened.map(|_| *desk.place.peek());
    let Some(to) = step(desk.pages.total.peek().unwrap_or_default(), at, left, down) else { return };
    if at == Some(to) {
        return;
    }
    let (start, end) = *desk.pages.window.peek();
    if !(start..end).contains(&to) {
        let scale = f64::from(app.settings().text_percent) / 100.0;
        browser::scroll_to("review-list", to as f64 * ROW * scale);
    }
    // The row may have to be read first.
    wanted.set(Some(to));
}

/// The filters and the list.
#[component]
pub fn ReviewList() -> Element {
    let app = use_app();
    let mut desk = use_desk();
    use_rows(desk);
    let mut wanted = use_signal(|| None::<usize>);
    use_effect(move || {
        let Some(to) = wanted() else { return };
        let row = desk.pages.rows.read().get(&to).map(|row| row.assessment);
        if let Some(id) = row {
            wanted.set(None);
            desk.open(id, to);
            browser::reveal(&format!("review-row-{id}"));
        }
    });
    let pressed = use_callback(move |key: String| -> bool {
        if key == "?" {
            desk.help.set(true);
            return true;
        }
        let down = key == "j";
        let walks = (down || key == "k") && *desk.shortcuts.peek();
        if walks {
            walk(app, desk, wanted, down);
        }
        walks
    });
    use_hook(|| Rc::new(browser::on_key(move |key| pressed.call(key))));
    let row = use_callback(move |index: usize| rsx! { Row { index } });
    let total = (desk.pages.total)();
    rsx! {
        Filters {}
        if let Some(error) = (desk.pages.error)() {
            div { class: "pane-note",
                ErrorPanel { error, on_retry: move |()| desk.pages.again() }
            }
        }
        match total {
            None if (desk.pages.error)().is_none() => rsx! {
                div { class: "pane-note", Progress { label: t!("loading"), testid: "loading" } }
            },
            None => rsx! {},
            Some(0) => rsx! { Nothing {} },
            Some(total) => rsx! {
                WindowedList {
                    total,
                    row_height: ROW,
                    label: t!("review-list"),
                    testid: "review-list",
                    onwindow: move |window| desk.pages.look_at(window),
                    row,
                }
            },
        }
        if (desk.help)() {
            KeysDialog {}
        }
    }
}

/// What is said of a decision in a row.
pub fn decision_tag(decision: Option<Decision>, rank: Option<Rank>) -> (String, Tone) {
    match (decision, rank) {
        (None, _) => (t!("review-undecided"), Tone::Neutral),
        (Some(decision), Some(Rank::Manager)) => (here().text(decided_key(decision), &[]), tone(decision)),
        (Some(decision), _) => {
            let what = here().text(decided_key(decision), &[]);
            (t!("review-by-officer", what = what), Tone::Neutral)
        }
    }
}

/// The key of what was decided, in one word.
pub fn decided_key(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "decided-approve",
        Decision::Refer => "decided-refer",
        Decision::Refuse => "decided-refuse",
    }
}

fn tone(decision: Decision) -> Tone {
    match decision {
        Decision::Approve => Tone::Good,
        Decision::Refer => Tone::Warning,
        Decision::Refuse => Tone::Bad,
    }
}

#[component]
fn Row(index: usize) -> Element {
    let app = use_app();
    let desk = use_desk();
    let found: Option<ReviewRow> = desk.pages.rows.read().get(&index).cloned();
    let Some(row) = found else {
        return rsx! {
            div { class: "list-row", aria_hidden: true, span { class: "ghost" } }
        };
    };
    let lang = lang();
    let opened = app.route() == Route::Reviewing(row.assessment);
    let (decided, tone) = decision_tag(row.decision, row.rank);
    rsx! {
        button {
            id: "review-row-{row.assessment}",
            class: "list-row",
            r#type: "button",
            aria_current: opened.then_some("true"),
            "data-testid": "review-row-{row.assessment}",
            onclick: move |_| desk.open(row.assessment, index),
            span { class: "review-risk",
                Badge { group: row.group }
                span { class: "meta", {fmt::percent(lang, row.probability, 1)} }
            }
            span { class: "row-body",
                span { class: "row-title clip", "{row.client_name}" }
                span { class: "meta clip",
                    "{fmt::moment(lang, row.at, browser::now())} · {row.officer}"
                }
                span { class: "tags",
                    if row.mismatch {
                        Tag { label: t!("review-mismatch"), tone: Tone::Bad, icon: Icon::TriangleAlert }
                    }
                    Tag { label: decided, tone }
                    if row.overridden {
                        Tag { label: t!("review-overridden"), tone: Tone::Warning, icon: Icon::GitMerge }
                    }
                    if row.waiting {
                        Tag { label: t!("review-waiting"), icon: Icon::CloudUpload }
                    }
                }
            }
        }
    }
}

#[component]
fn Nothing() -> Element {
    let mut desk = use_desk();
    let filters = (desk.filters)();
    let plain = ReviewRequest::default();
    let (title, body, clear) = if filters == plain {
        (t!("review-none"), t!("review-none-do"), None)
    } else if filters == first_filters() {
        (t!("review-all-decided"), t!("review-all-decided-do"), Some(t!("review-show-all")))
    } else {
        (t!("review-no-match"), t!("review-no-match-do"), Some(t!("filter-clear")))
    };
    rsx! {
        EmptyState { icon: Icon::ClipboardCheck, title, body, testid: "review-empty",
            if let Some(label) = clear {
                Button { label, testid: "review-show-all", onclick: move |()| desk.filters.set(plain.clone()) }
            }
        }
    }
}

/// One filter that is on or off.
#[component]
fn Toggle(label: String, on: bool, testid: String, onchange: EventHandler<bool>) -> Element {
    rsx! {
        button {
            class: "chip",
            r#type: "button",
            aria_pressed: on,
            "data-testid": testid,
            onclick: move |_| onchange.call(!on),
            if on {
                crate::components::Glyph { icon: Icon::Check }
            }
            "{label}"
        }
    }
}

/// One filter with a few values; the first means any.
#[component]
fn Picker(
    id: String,
    label: String,
    any: String,
    options: Vec<(String, String)>,
    value: String,
    onchange: EventHandler<String>,
) -> Element {
    rsx! {
        div { class: "picker",
            label { class: "meta", r#for: "{id}", "{label}" }
            select {
                id: "{id}",
                class: "select",
                "data-testid": "{id}",
                onchange: move |event| onchange.call(event.value()),
                option { value: "", selected: value.is_empty(), "{any}" }
                for (code , text) in options {
                    option { key: "{code}", value: "{code}", selected: value == code, "{text}" }
                }
            }
        }
    }
}

#[component]
fn Filters() -> Element {
    let app = use_app();
    let mut desk = use_desk();
    let filters = (desk.filters)();
    let groups = Group::ALL.map(|group| (group.to_string(), group.to_string())).to_vec();
    let officers = (desk.officers)().into_iter().map(|(id, name)| (id.to_string(), name)).collect::<Vec<_>>();
    let ages = AGES.map(|days| (days.to_string(), t!("filter-age-days", n = days))).to_vec();
    let change = move |change: &dyn Fn(&mut ReviewRequest)| {
        change(&mut desk.filters.write());
        browser::scroll_to("review-list", 0.0);
    };
    let mut all = change;
    let (mut by_group, mut by_officer, mut by_age) = (change, change, change);
    let (mut undecided, mut mismatch, mut overridden) = (change, change, change);
    let controls = rsx! {
            div { class: "chips",
                Toggle {
                    label: t!("filter-undecided"),
                    on: filters.undecided,
                    testid: "filter-undecided",
                    onchange: move |on| undecided(&|f| f.undecided = on),
                }
                Toggle {
                    label: t!("filter-mismatch"),
                    on: filters.mismatch,
                    testid: "filter-mismatch",
                    onchange: move |on| mismatch(&|f| f.mismatch = on),
                }
                Toggle {
                    label: t!("filter-overridden"),
                    on: filters.overridden,
                    testid: "filter-overridden",
                    onchange: move |on| overridden(&|f| f.overridden = on),
                }
            }
            div { class: "pickers",
                Picker {
                    id: "filter-group",
                    label: t!("filter-group"),
                    any: t!("filter-any"),
                    options: groups,
                    value: filters.group.map(|group| group.to_string()).unwrap_or_default(),
                    onchange: move |code: String| {
                        let group = Group::ALL.into_iter().find(|group| group.as_str() == code);
                        by_group(&|f| f.group = group);
                    },
                }
                Picker {
                    id: "filter-officer",
                    label: t!("filter-officer"),
                    any: t!("filter-anybody"),
                    options: officers,
                    value: filters.officer.map(|officer| officer.to_string()).unwrap_or_default(),
                    onchange: move |code: String| {
                        let officer = code.parse::<UserId>().ok();
                        by_officer(&|f| f.officer = officer);
                    },
                }
                Picker {
                    id: "filter-age",
                    label: t!("filter-age"),
                    any: t!("filter-any-age"),
                    options: ages,
                    value: filters.max_age_days.map(|days| days.to_string()).unwrap_or_default(),
                    onchange: move |code: String| {
                        let days = code.parse::<u32>().ok();
                        by_age(&|f| f.max_age_days = days);
                    },
                }
            }
    };
    let foot = rsx! {
            div { class: "filters-foot",
                p { class: "meta", role: "status", "data-testid": "review-count",
                    if let Some(total) = (desk.pages.total)() {
                        {t!("review-count", n = total)}
                    }
                }
                if filters != ReviewRequest::default() {
                    IconButton {
                        label: t!("filter-clear"),
                        icon: Icon::Close,
                        testid: "filter-clear",
                        onclick: move |()| all(&|f| *f = ReviewRequest::default()),
                    }
                }
            }
    };
    rsx! {
        section { class: "filters", aria_label: t!("filters"), "data-testid": "review",
            if (app.wide)() {
                {controls}
                {foot}
            } else {
                // On a phone the list matters more than what it is filtered by.
                {foot}
                details { class: "filters-fold",
                    summary { "data-testid": "filters-open",
                        crate::components::Glyph { icon: Icon::ListFilter }
                        {t!("filters")}
                    }
                    {controls}
                }
            }
        }
    }
}

/// Explains the keys.
#[component]
pub fn HelpButton() -> Element {
    let mut desk = use_desk();
    rsx! {
        IconButton {
            label: t!("keys-show"),
            icon: Icon::CircleHelp,
            testid: "keys-show",
            onclick: move |()| desk.help.set(true),
        }
    }
}

#[component]
fn KeysDialog() -> Element {
    let mut desk = use_desk();
    let keys = ["j", "k", "a", "r", "x", "?"];
    rsx! {
        dialog {
            id: "keys",
            class: "dialog",
            "data-testid": "keys",
            aria_labelledby: "keys-title",
            onmounted: move |_| browser::show_modal("keys"),
            onkeydown: move |event| {
                if event.key() == Key::Escape {
                    event.prevent_default();
                    desk.help.set(false);
                }
            },
            h2 { id: "keys-title", {t!("keys-title")} }
            dl { class: "keys",
                for key in keys {
                    div { key: "{key}",
                        dt { kbd { "{key}" } }
                        dd {
                            {here().text(match key { "?" => "keys-help".to_owned(), key => format!("keys-{key}") }.as_str(), &[])}
                        }
                    }
                }
            }
            Switch {
                id: "shortcuts",
                label: t!("keys-on"),
                on: (desk.shortcuts)(),
                onchange: move |on| desk.set_shortcuts(on),
            }
            div { class: "dialog-actions",
                Button { label: t!("close"), testid: "keys-close", onclick: move |()| desk.help.set(false) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stay_in_the_list_and_go_on_where_a_row_has_left_it() {
        assert_eq!(step(0, None, None, true), None);
        assert_eq!(step(5, None, None, true), Some(0));
        assert_eq!(step(5, Some(1), Some(1), true), Some(2));
        assert_eq!(step(5, Some(4), Some(4), true), Some(4));
        assert_eq!(step(5, Some(0), Some(0), false), Some(0));
        // The third was decided and is gone: what was the fourth is the third now.
        assert_eq!(step(4, None, Some(2), true), Some(2));
        assert_eq!(step(4, None, Some(2), false), Some(1));
        assert_eq!(step(2, None, Some(2), true), Some(1));
    }
}
