//! What surrounds a screen: the bar with the title and the state of the world, the rail on a desktop,
//! what is said in passing, and which screen is shown.

use crate::browser;
use crate::components::{ConfirmDialog, ErrorPanel, Glyph, Icon, IconButton, Progress, Tone};
use crate::fmt;
use crate::i18n::{I18n, here};
use crate::route::Route;
use crate::screens;
use crate::state::{App, use_app};
use crate::t;
use dioxus::prelude::*;
use vereda_domain::api::Role;
use vereda_domain::gateway::{Phase, SyncLine, SyncState};

/// The page.
#[component]
pub fn Root() -> Element {
    let mut app = App::provide();
    use_effect(browser::end_boot);
    use_effect(move || {
        if app.status.read().is_some() {
            browser::mark_usable();
        }
    });
    let phase = app.status.read().as_ref().map(|status| status.phase.clone());
    rsx! {
        a {
            class: "skip-link",
            href: "#content",
            "data-testid": "skip-link",
            onclick: move |event| {
                event.prevent_default(); // the address is the route's
                browser::focus("content");
            },
            {t!("skip-to-content")}
        }
        match phase {
            None => rsx! {
                main { id: "content", class: "alone", tabindex: "-1",
                    h1 { class: "sr-only", "Vereda" }
                    if let Some(error) = (app.trouble)() {
                        ErrorPanel {
                            error,
                            on_retry: move |()| {
                                app.trouble.set(None);
                                spawn(app.load_status());
                            },
                        }
                    } else {
                        Progress { label: t!("starting"), testid: "starting" }
                    }
                }
            },
            Some(Phase::New) => rsx! {
                screens::enrol::Enrol {}
            },
            Some(Phase::Locked { retry_at }) => rsx! {
                screens::unlock::Unlock { retry_at }
            },
            Some(Phase::Open) => rsx! {
                Open {}
            },
        }
        Toasts {}
        ConfirmDialog {}
        p { class: "sr-only", aria_live: "polite", "data-testid": "announcer", "{app.announced}" }
    }
}

/// An open store: the rail, and the screen that the address names.
#[component]
fn Open() -> Element {
    let app = use_app();
    let manager = app.user().is_some_and(|user| user.role == Role::Manager);
    use_hook(|| {
        // A manager's home is the queue.
        if manager && *app.visited.peek() == [Route::Portfolio] {
            app.replace(Route::Review);
        }
    });
    let route = app.route();
    screens::review::provide();
    screens::portfolio::provide();
    rsx! {
        div { class: "app",
            Rail { route }
            if (app.wide)() {
                screens::desk::ListPane { route }
            }
            // Keyed, so that another screen, or the same one about somebody else, starts afresh.
            for route in [route] {
                Here { key: "{route.path()}", route }
            }
        }
    }
}

#[component]
fn Here(route: Route) -> Element {
    match route {
        Route::Portfolio => rsx! { screens::portfolio::Portfolio {} },
        Route::NewClient => rsx! { screens::client_form::NewClient {} },
        Route::Client(client) => rsx! { screens::client::Client { client } },
        Route::EditClient(client) => rsx! { screens::client_form::EditClient { client } },
        Route::Interview(draft) => rsx! { screens::interview::Interview { draft } },
        Route::Result(assessment) => rsx! { screens::result::Result { assessment } },
        Route::Letter(assessment) => rsx! { screens::letter::Letter { assessment } },
        Route::Decision(assessment) => rsx! { screens::decision::Decision { assessment, against: false } },
        Route::Override(assessment) => rsx! { screens::decision::Decision { assessment, against: true } },
        Route::Review => rsx! { screens::review::Review {} },
        Route::Reviewing(assessment) => rsx! { screens::review::Review { assessment } },
        Route::Sync => rsx! { screens::sync::Sync {} },
        Route::Model => rsx! { screens::model::Model {} },
        Route::Settings => rsx! { screens::settings::Settings {} },
    }
}

/// One screen: its bar, its content, and its primary action in the thumb's reach.
#[component]
pub fn Screen(
    title: String,
    /// A line under the title.
    #[props(default)]
    subtitle: String,
    /// Home has no way back.
    #[props(default = true)]
    back: bool,
    /// What stands at the end of the bar.
    #[props(default)]
    actions: Option<Element>,
    /// What stays at the bottom: the primary action.
    #[props(default)]
    footer: Option<Element>,
    /// Whether the title gets the keyboard when the screen appears; not where a field does.
    #[props(default = true)]
    focus_title: bool,
    /// A class of the content, such as `wide`.
    #[props(default)]
    class: String,
    children: Element,
) -> Element {
    let app = use_app();
    use_effect(use_reactive!(|title| browser::title(&format!("{title} · Vereda"))));
    rsx! {
        div { class: "screen",
            header { class: "topbar",
                div { class: "topbar-row",
                    if back {
                        IconButton {
                            label: t!("back"),
                            icon: Icon::ArrowLeft,
                            testid: "back",
                            onclick: move |()| app.back(),
                        }
                    }
                    div { class: "topbar-title",
                        h1 {
                            id: "title",
                            tabindex: "-1",
                            "data-testid": "title",
                            onmounted: move |_| {
                                if focus_title {
                                    browser::focus("title");
                                }
                            },
                            "{title}"
                        }
                        if !subtitle.is_empty() {
                            p { class: "meta", "{subtitle}" }
                        }
                    }
                    {actions}
                }
                WorldLine {}
            }
            // Reached by Tab, so that a page without controls can be scrolled by keys.
            main { id: "content", class: "content {class}", tabindex: "0", {children} }
            if let Some(footer) = footer {
                footer { class: "actionbar", {footer} }
            }
        }
    }
}

/// The state of the world in words, with how grave it is.
pub fn world(i18n: I18n, line: &SyncLine, now: i64) -> (Tone, Icon, String) {
    let lang = (i18n.lang)();
    let waiting: Vec<(&'static str, crate::i18n::Arg)> = vec![("n", line.waiting.into())];
    let (tone, icon, mut text) = match &line.state {
        SyncState::Offline { .. } if line.waiting > 0 => {
            (Tone::Neutral, Icon::CloudOff, i18n.text("world-offline-waiting", &waiting))
        }
        SyncState::Offline { .. } => (Tone::Neutral, Icon::CloudOff, i18n.text("world-offline", &[])),
        SyncState::Connecting => (Tone::Neutral, Icon::RefreshCw, i18n.text("world-connecting", &[])),
        SyncState::Sending { done, total } => {
            let args = [("done", (*done).into()), ("total", (*total).into())];
            (Tone::Neutral, Icon::CloudUpload, i18n.text("world-sending", &args))
        }
        SyncState::Receiving { done, total } => {
            let args = [("done", (*done).into()), ("total", (*total).into())];
            (Tone::Neutral, Icon::RefreshCw, i18n.text("world-receiving", &args))
        }
        SyncState::ReceivingEarlier { total: None, .. } => {
            (Tone::Neutral, Icon::RefreshCw, i18n.text("world-receiving-earlier-begun", &[]))
        }
        SyncState::ReceivingEarlier { done, total: Some(total) } => {
            let args = [("done", (*done).into()), ("total", (*total).into())];
            (Tone::Neutral, Icon::RefreshCw, i18n.text("world-receiving-earlier", &args))
        }
        SyncState::SendingFiles { done, total } => {
            let percent = if *total == 0 { 100 } else { done * 100 / total };
            let args = [("n", line.files.into()), ("percent", percent.into())];
            (Tone::Neutral, Icon::CloudUpload, i18n.text("world-files", &args))
        }
        SyncState::UpdatingModel => (Tone::Neutral, Icon::RefreshCw, i18n.text("world-model", &[])),
        SyncState::Blocked { code } => {
            let cause = i18n.text(&format!("error-{}-short", code.as_str()), &[]);
            (Tone::Bad, Icon::CircleAlert, i18n.text("world-blocked", &[("cause", cause.into())]))
        }
        SyncState::Idle if line.waiting > 0 => {
            (Tone::Neutral, Icon::CloudUpload, i18n.text("world-waiting", &waiting))
        }
        SyncState::Idle if line.files > 0 => {
            let files = [("n", line.files.into())];
            (Tone::Neutral, Icon::CloudUpload, i18n.text("world-files-waiting", &files))
        }
        SyncState::Idle => match line.done_at {
            Some(at) => {
                let at = fmt::moment(lang, at, now);
                (Tone::Good, Icon::CircleCheck, i18n.text("world-sent", &[("time", at.into())]))
            }
            None => (Tone::Neutral, Icon::Cloud, i18n.text("world-never", &[])),
        },
    };
    let mut tone = tone;
    if line.quarantined > 0 && tone != Tone::Bad {
        tone = Tone::Warning;
        text = format!("{text}\u{a0}· {}", i18n.text("world-quarantined", &[("n", line.quarantined.into())]));
    }
    (tone, icon, text)
}

/// The state of the world in one line; leads to Sync.
#[component]
pub fn WorldLine() -> Element {
    let app = use_app();
    let (tone, icon, text) = world(here(), &app.sync.read(), browser::now());
    let moving = matches!(
        app.sync.read().state,
        SyncState::Connecting
            | SyncState::Sending { .. }
            | SyncState::Receiving { .. }
            | SyncState::ReceivingEarlier { .. }
            | SyncState::SendingFiles { .. }
            | SyncState::UpdatingModel
    );
    let open = app.status.read().as_ref().is_some_and(|status| status.phase == Phase::Open);
    rsx! {
        if open {
            button {
                class: "world",
                r#type: "button",
                "data-tone": tone.name(),
                "data-moving": moving,
                "data-testid": "world",
                onclick: move |_| {
                    if app.route() != Route::Sync {
                        app.go(Route::Sync);
                    }
                },
                Glyph { icon }
                span { aria_live: "polite", "{text}" }
                Glyph { icon: Icon::ChevronRight, class: "world-more" }
            }
        } else {
            // A locked store cannot be read: what waits in it is not known, and must not be guessed.
            p { class: "world", "data-tone": Tone::Neutral.name(), "data-testid": "world",
                Glyph { icon: Icon::Lock }
                span { {t!("world-locked")} }
            }
        }
    }
}

/// Where the rail leads, by role.
fn places(role: Role) -> Vec<(Route, Icon, &'static str, &'static str)> {
    let mut places = Vec::new();
    if role == Role::Manager {
        places.push((Route::Review, Icon::ClipboardCheck, "nav-review", "nav-review"));
    }
    places.push((Route::Portfolio, Icon::Users, "nav-portfolio", "nav-portfolio"));
    places.push((Route::Model, Icon::BrainCircuit, "nav-model", "nav-model"));
    places.push((Route::Sync, Icon::RefreshCw, "nav-sync", "nav-sync"));
    places.push((Route::Settings, Icon::Settings, "nav-settings", "nav-settings"));
    places
}

/// Whether a place of the rail is where the user is, or above it.
fn under(place: Route, route: Route) -> bool {
    match place {
        Route::Portfolio => matches!(
            route,
            Route::Portfolio
                | Route::NewClient
                | Route::Client(_)
                | Route::EditClient(_)
                | Route::Interview(_)
                | Route::Result(_)
                | Route::Letter(_)
                | Route::Decision(_)
                | Route::Override(_)
        ),
        Route::Review => matches!(route, Route::Review | Route::Reviewing(_)),
        place => place == route,
    }
}

/// The rail of a desktop; on a phone, style hides it.
#[component]
fn Rail(route: Route) -> Element {
    let app = use_app();
    let Some(user) = app.user() else { return rsx! {} };
    rsx! {
        nav { class: "rail", aria_label: t!("navigation"),
            div { class: "brand",
                Mark {}
                span { "Vereda" }
            }
            ul {
                for (place , icon , key , testid) in places(user.role) {
                    li { key: "{key}",
                        button {
                            class: "rail-item",
                            r#type: "button",
                            aria_current: if under(place, route) { "page" },
                            "data-testid": testid,
                            onclick: move |_| app.go(place),
                            Glyph { icon }
                            span { {here().text(key, &[])} }
                        }
                    }
                }
            }
            div { class: "rail-foot",
                WorldLine {}
                div { class: "rail-user",
                    div {
                        strong { "{user.name}" }
                        p { class: "meta", {here().text(&format!("role-{}", user.role.as_str()), &[])} " · {user.branch}" }
                    }
                    IconButton {
                        label: t!("lock"),
                        icon: Icon::Lock,
                        testid: "rail-lock",
                        onclick: move |()| {
                            spawn(app.lock());
                        },
                    }
                }
            }
        }
    }
}

/// The product's mark: a path between slopes, under the scale from T1 to T8.
#[component]
pub fn Mark() -> Element {
    rsx! {
        svg { class: "mark", view_box: "0 0 512 512", "aria-hidden": "true",
            rect { width: "512", height: "512", rx: "112", fill: "#0d3b40" }
            g { fill: "none", stroke_width: "38",
                path { d: "M 88.6 196.3 A 184 184 0 0 1 155.3 118.0", stroke: "#2fb5a0" }
                path { d: "M 166.6 111.2 A 184 184 0 0 1 252.8 88.0", stroke: "#8fc06a" }
                path { d: "M 265.6 88.3 A 184 184 0 0 1 345.4 111.2", stroke: "#e3b23c" }
                path { d: "M 356.7 118.0 A 184 184 0 0 1 423.4 196.3", stroke: "#d2485a" }
            }
            path { d: "M 112 232 L 256 440 L 400 232 L 340 232 L 256 354 L 172 232 Z", fill: "#f4efe2" }
            path {
                d: "M 256 366 C 226 300 292 282 262 246 C 244 224 262 196 290 168",
                fill: "none",
                stroke: "#f4efe2",
                stroke_width: "26",
                stroke_linecap: "round",
            }
        }
    }
}

/// What is said in passing, the latest last.
#[component]
fn Toasts() -> Element {
    let app = use_app();
    rsx! {
        div { class: "toasts", role: "status", "data-testid": "toasts",
            for toast in app.toasts.read().iter().cloned() {
                div { key: "{toast.id}", class: "toast", "data-testid": "toast",
                    span { "{toast.text}" }
                    if let Some(undo) = toast.undo {
                        button {
                            class: "button quiet",
                            r#type: "button",
                            "data-testid": "toast-undo",
                            onclick: move |_| {
                                app.dismiss(toast.id);
                                undo.call(());
                            },
                            {t!("undo")}
                        }
                    }
                    IconButton {
                        label: t!("dismiss"),
                        icon: Icon::Close,
                        testid: "toast-dismiss",
                        onclick: move |()| app.dismiss(toast.id),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vereda_domain::ClientId;

    #[test]
    fn one_place_of_the_rail_is_current_wherever_the_user_is() {
        let client = Route::Client(ClientId(uuid::Uuid::from_u128(1)));
        for route in [Route::Portfolio, client, Route::Review, Route::Sync, Route::Model, Route::Settings] {
            let current = places(Role::Manager).into_iter().filter(|p| under(p.0, route)).count();
            assert_eq!(current, 1, "{route:?}");
        }
        assert!(places(Role::Officer).iter().all(|place| place.0 != Route::Review));
    }
}
