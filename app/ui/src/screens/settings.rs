//! Language, theme, text size, auto-lock, a finger or a face; server, device, about. Every choice holds at once.

use crate::browser;
use crate::components::*;
use crate::i18n::here;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::{App, Confirm, use_app};
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::{
    GatewayError, Language, Prompt, SetGuarded, SetGuardedRequest, SetSettings, Settings as Chosen, Theme,
};

/// The sizes of text, in per cent.
const SIZES: [u16; 4] = [100, 125, 150, 200];
/// After how many minutes without a touch the app may lock.
const MINUTES: [u16; 4] = [1, 5, 15, 30];

fn languages() -> [(Language, &'static str); 3] {
    [(Language::System, "system"), (Language::Es, "es"), (Language::En, "en")]
}

fn themes() -> [(Theme, &'static str); 3] {
    [(Theme::System, "system"), (Theme::Light, "light"), (Theme::Dark, "dark")]
}

/// Shows a choice at once, keeps it, and takes it back if it cannot be kept.
async fn keep(mut app: App, chosen: Chosen, mut refusal: Signal<Option<GatewayError>>) {
    let before = app.settings();
    let show = |app: &mut App, settings: Chosen| {
        if let Some(status) = app.status.write().as_mut() {
            status.settings = settings;
        }
    };
    show(&mut app, chosen.clone());
    match app.call::<SetSettings>(chosen).await {
        Ok(kept) => {
            refusal.set(None);
            if kept != app.settings() {
                show(&mut app, kept);
            }
            app.announce(t!("settings-kept"));
        }
        Err(error) => {
            show(&mut app, before);
            refusal.set(Some(error));
        }
    }
}

/// The screen.
#[component]
pub fn Settings() -> Element {
    let app = use_app();
    let refusal = use_signal(|| None::<GatewayError>);
    let chosen = app.settings();
    let set = move |change: fn(&mut Chosen, &str), code: String| {
        let mut settings = app.settings();
        change(&mut settings, &code);
        spawn(keep(app, settings, refusal));
    };
    let language =
        languages().into_iter().find(|(l, _)| *l == chosen.language).map(|(_, code)| code.to_owned());
    let theme = themes().into_iter().find(|(t, _)| *t == chosen.theme).map(|(_, code)| code.to_owned());
    rsx! {
        Screen { title: t!("nav-settings"),
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            Panel {
                div { class: "form",
                    ChoiceField {
                        id: "language",
                        label: t!("settings-language"),
                        options: languages()
                            .map(|(_, code)| Choice::new(code, here().text(&format!("language-{code}"), &[])))
                            .to_vec(),
                        value: language,
                        onchange: move |code| set(
                            |s, code| {
                                s.language = languages()
                                    .into_iter()
                                    .find(|(_, c)| *c == code)
                                    .map_or(s.language, |(language, _)| language);
                            },
                            code,
                        ),
                    }
                    ChoiceField {
                        id: "theme",
                        label: t!("settings-theme"),
                        help: t!("settings-theme-help"),
                        options: themes()
                            .map(|(_, code)| Choice::new(code, here().text(&format!("theme-{code}"), &[])))
                            .to_vec(),
                        value: theme,
                        onchange: move |code| set(
                            |s, code| {
                                s.theme = themes()
                                    .into_iter()
                                    .find(|(_, c)| *c == code)
                                    .map_or(s.theme, |(theme, _)| theme);
                            },
                            code,
                        ),
                    }
                    ChoiceField {
                        id: "text-size",
                        label: t!("settings-text"),
                        options: SIZES.map(|size| Choice::new(size.to_string(), t!("settings-percent", n = u32::from(size)))).to_vec(),
                        value: Some(chosen.text_percent.to_string()),
                        onchange: move |code| set(
                            |s, code| s.text_percent = code.parse().unwrap_or(s.text_percent),
                            code,
                        ),
                    }
                    ChoiceField {
                        id: "auto-lock",
                        label: t!("settings-auto-lock"),
                        help: t!("settings-auto-lock-help"),
                        options: MINUTES.map(|n| Choice::new(n.to_string(), t!("settings-minutes", n = u32::from(n)))).to_vec(),
                        value: Some(chosen.auto_lock_minutes.to_string()),
                        onchange: move |code| set(
                            |s, code| s.auto_lock_minutes = code.parse().unwrap_or(s.auto_lock_minutes),
                            code,
                        ),
                    }
                }
            }
            Guarded {}
            ul { class: "rows",
                Leads { route: Route::Model, icon: Icon::BrainCircuit, label: t!("nav-model"), testid: "settings-model" }
                Leads { route: Route::Sync, icon: Icon::RefreshCw, label: t!("nav-sync"), testid: "settings-sync" }
            }
            About {}
            Button {
                label: t!("lock-now"),
                testid: "lock",
                icon: Icon::Lock,
                wide: true,
                onclick: move |()| {
                    app.ask(Confirm {
                        title: t!("lock-title"),
                        body: if guarded(app) { t!("lock-body-guarded") } else { t!("lock-body") },
                        yes: t!("lock-now"),
                        danger: false,
                        on_yes: Callback::new(move |()| {
                            spawn(app.lock());
                        }),
                    });
                },
            }
        }
    }
}

/// Whether a finger or a face opens the store that is open.
fn guarded(app: App) -> bool {
    app.status
        .read()
        .as_ref()
        .is_some_and(|status| status.user.as_ref().is_some_and(|user| status.guarded.on.contains(&user.id)))
}

/// Lets a finger or a face open the store. Not there where the device recognises nobody, unless it is on and
/// somebody may want it off.
#[component]
fn Guarded() -> Element {
    let app = use_app();
    let mut asking = use_signal(|| false);
    let mut pin = use_signal(String::new);
    let mut busy = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let on = guarded(app);
    let available = app.status.read().as_ref().is_some_and(|status| status.guarded.available);
    if !on && !available {
        return rsx! {};
    }
    let set = move |request: SetGuardedRequest| {
        spawn(async move {
            busy.set(true);
            refusal.set(None);
            let turned_on = matches!(request, SetGuardedRequest::On { .. });
            match app.call::<SetGuarded>(request).await {
                Ok(status) => {
                    asking.set(false);
                    app.accept(status);
                    app.toast(
                        if turned_on { t!("settings-guarded-on") } else { t!("settings-guarded-off") },
                        None,
                    );
                }
                Err(error) => refusal.set(Some(error)),
            }
            pin.set(String::new());
            busy.set(false);
        });
    };
    let turn_on = move |()| {
        set(SetGuardedRequest::On {
            pin: pin.peek().clone(),
            prompt: Prompt {
                title: t!("settings-guarded"),
                reason: t!("settings-guarded-reason"),
                cancel: t!("cancel"),
            },
        });
    };
    rsx! {
        Panel { testid: "guarded",
            Switch {
                id: "guarded",
                label: t!("settings-guarded"),
                on,
                onchange: move |wanted: bool| {
                    if busy() {
                        return;
                    }
                    refusal.set(None);
                    pin.set(String::new());
                    if wanted { asking.toggle() } else { set(SetGuardedRequest::Off) }
                },
            }
            p { class: "field-help", {t!("settings-guarded-help")} }
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            if asking() && !on {
                if busy() {
                    Progress { label: t!("settings-guarded-under-way"), testid: "guarded-under-way" }
                } else {
                    p { {t!("settings-guarded-pin")} }
                }
                div { onmounted: move |_| browser::focus("pin"),
                    PinPad {
                        value: pin,
                        label: t!("settings-guarded-pin"),
                        enter_label: t!("settings-guarded-enter"),
                        busy: busy(),
                        wrong: refusal().is_some(),
                        oninput: move |()| refusal.set(None),
                        onenter: turn_on,
                    }
                }
                Button {
                    label: t!("cancel"),
                    testid: "guarded-cancel",
                    look: Look::Quiet,
                    disabled: busy(),
                    onclick: move |()| {
                        pin.set(String::new());
                        refusal.set(None);
                        asking.set(false);
                        browser::focus("guarded");
                    },
                }
            }
        }
    }
}

/// A row that leads to another screen.
#[component]
fn Leads(route: Route, icon: Icon, label: String, testid: String) -> Element {
    let app = use_app();
    rsx! {
        li {
            button {
                class: "row",
                r#type: "button",
                "data-testid": testid,
                onclick: move |_| app.go(route),
                Glyph { icon }
                span { class: "row-body", "{label}" }
                Glyph { icon: Icon::ChevronRight }
            }
        }
    }
}

#[component]
fn About() -> Element {
    let app = use_app();
    let Some(status) = (app.status)() else { return rsx! {} };
    let Some(user) = status.user else { return rsx! {} };
    rsx! {
        Panel { title: t!("settings-about"), testid: "about",
            dl { class: "facts",
                Fact { label: t!("about-user"), "{user.name}" }
                Fact { label: t!("about-role"), {here().text(&format!("role-{}", user.role.as_str()), &[])} }
                Fact { label: t!("about-branch"), "{user.branch}" }
                Fact { label: t!("server"), testid: "about-server", "{user.server}" }
                Fact { label: t!("device"), "{status.device_name}" }
                Fact { label: t!("about-version"), testid: "about-version", "Vereda {status.version}" }
            }
            p { class: "meta about-licence", {t!("about-licence")} }
        }
    }
}
