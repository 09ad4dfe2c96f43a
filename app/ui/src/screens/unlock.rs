//! The PIN pad, and what stands beside it where a finger or a face opens the store too. It works without a
//! network, and says so.

use super::enrol::Enrol;
use crate::browser;
use crate::components::*;
use crate::fmt;
use crate::i18n::here;
use crate::shell::{Mark, WorldLine};
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::Millis;
use vereda_domain::gateway::{
    ErrorCode, GatewayError, Prompt, Unlock as UnlockCommand, UnlockGuarded, UnlockGuardedRequest,
    UnlockRequest, UserView,
};

/// What is asked: a PIN, who, or everything for somebody new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Pin,
    Who,
    Somebody,
}

/// Opens a user's store with their PIN. `retry_at`: not before, after wrong PINs.
#[component]
pub fn Unlock(retry_at: Option<Millis>) -> Element {
    let app = use_app();
    let mut asking = use_signal(|| Asking::Pin);
    let mut chosen = use_signal(|| app.user());
    let users = app.status.read().as_ref().map(|status| status.users.clone()).unwrap_or_default();
    match (asking(), chosen()) {
        (Asking::Somebody, _) => rsx! {
            Enrol {
                server: users.first().map(|user| user.server.clone()).unwrap_or_default(),
                on_cancel: move |()| asking.set(Asking::Who),
            }
        },
        (Asking::Pin, Some(user)) => rsx! {
            Pin {
                key: "{user.id}",
                user: user.clone(),
                retry_at: retry_at.filter(|_| app.user().is_some_and(|shown| shown.id == user.id)),
                on_other: move |()| asking.set(Asking::Who),
            }
        },
        _ => rsx! {
            Who {
                users,
                on_chosen: move |user| {
                    chosen.set(Some(user));
                    asking.set(Asking::Pin);
                },
                on_somebody: move |()| asking.set(Asking::Somebody),
            }
        },
    }
}

#[component]
fn Pin(user: UserView, retry_at: Option<Millis>, on_other: EventHandler<()>) -> Element {
    let app = use_app();
    let mut pin = use_signal(String::new);
    let mut busy = use_signal(|| false);
    // While the platform's dialog stands there, the PIN can be used all the same.
    let mut asked = use_signal(|| false);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let mut until = use_signal(|| retry_at);
    use_effect(use_reactive!(|retry_at| if retry_at.is_some() {
        until.set(retry_at)
    }));
    let mut now = use_signal(browser::now);
    use_future(move || async move {
        loop {
            browser::sleep(1_000).await;
            if until.peek().is_some() {
                now.set(browser::now());
                if until.peek().is_some_and(|at| at <= *now.peek()) {
                    until.set(None);
                    refusal.set(None);
                }
            }
        }
    });
    let wait = until().map(|at| ((at - now()).max(0) + 999) / 1000).filter(|seconds| *seconds > 0);
    let id = user.id;
    let unlock = move |()| {
        spawn(async move {
            busy.set(true);
            refusal.set(None);
            let request = UnlockRequest { user: id, pin: pin.peek().clone() };
            match app.call::<UnlockCommand>(request).await {
                Ok(status) => app.accept(status),
                Err(error) => {
                    pin.set(String::new());
                    now.set(browser::now());
                    until.set(error.retry_at);
                    refusal.set(Some(error));
                    busy.set(false);
                    browser::focus("pin");
                }
            }
        });
    };
    let finger = move |()| {
        spawn(async move {
            asked.set(true);
            refusal.set(None);
            let prompt = Prompt {
                title: t!("guarded-title"),
                reason: t!("guarded-reason"),
                cancel: t!("guarded-cancel"),
            };
            match app.call::<UnlockGuarded>(UnlockGuardedRequest { user: id, prompt }).await {
                Ok(status) => app.accept(status),
                Err(error) => {
                    asked.set(false);
                    now.set(browser::now());
                    until.set(error.retry_at);
                    if error.code == ErrorCode::GuardedInvalidated {
                        // It is off now, and the button goes.
                        app.load_status().await;
                    }
                    refusal.set(Some(error));
                    browser::focus("pin");
                }
            }
        });
    };
    let of_finger = |code| {
        matches!(
            code,
            ErrorCode::GuardedUnavailable
                | ErrorCode::GuardedCancelled
                | ErrorCode::GuardedLockedOut
                | ErrorCode::GuardedInvalidated
                | ErrorCode::GuardedWrong
        )
    };
    let plain = |code| of_finger(code) || matches!(code, ErrorCode::WrongPin | ErrorCode::TooManyAttempts);
    let guarded = app
        .status
        .read()
        .as_ref()
        .is_some_and(|status| status.guarded.available && status.guarded.on.contains(&id));
    let said = match (wait, refusal()) {
        (Some(seconds), _) => {
            let time = fmt::time_with_seconds(until().unwrap_or_default());
            Some(if seconds < 120 {
                t!("unlock-wait", n = seconds, time = time)
            } else {
                t!("unlock-wait-minutes", n = (seconds + 59) / 60, time = time)
            })
        }
        (None, Some(error)) if plain(error.code) => {
            let (what, todo) =
                (format!("error-{}", error.code.as_str()), format!("error-{}-do", error.code.as_str()));
            Some(format!("{}. {}", here().text(&what, &[]), here().text(&todo, &[])))
        }
        _ => None,
    };
    rsx! {
        main { id: "content", class: "gate", tabindex: "-1", "data-testid": "unlock",
            header { class: "gate-head",
                Mark {}
                div {
                    h1 { id: "title", tabindex: "-1", "data-testid": "title", "{user.name}" }
                    p { class: "meta", {here().text(&format!("role-{}", user.role.as_str()), &[])} " · {user.branch}" }
                }
            }
            if let Some(error) = refusal().filter(|error| !plain(error.code)) {
                ErrorPanel { error }
            }
            div { class: "gate-body gate-center",
                p { class: "gate-prompt", role: "alert", "data-bad": said.is_some(),
                    match said.clone() {
                        Some(said) => rsx! {
                            span { "data-testid": "unlock-message", "{said}" }
                        },
                        None => rsx! {
                            span { {t!("unlock-prompt")} }
                        },
                    }
                }
                div { onmounted: move |_| browser::focus("pin"),
                    PinPad {
                        value: pin,
                        label: t!("unlock-prompt"),
                        enter_label: t!("unlock"),
                        busy: busy(),
                        disabled: wait.is_some(),
                        wrong: refusal().is_some_and(|error| !of_finger(error.code)),
                        oninput: move |()| refusal.set(None),
                        onenter: unlock,
                    }
                }
                if guarded {
                    Button {
                        label: t!("unlock-guarded"),
                        testid: "unlock-guarded",
                        icon: Icon::Fingerprint,
                        busy: asked(),
                        disabled: busy() || wait.is_some(),
                        onclick: finger,
                    }
                }
                Button {
                    label: t!("other-user"),
                    testid: "other-user",
                    look: Look::Quiet,
                    icon: Icon::Users,
                    onclick: move |()| on_other.call(()),
                }
            }
            WorldLine {}
        }
    }
}

#[component]
fn Who(users: Vec<UserView>, on_chosen: EventHandler<UserView>, on_somebody: EventHandler<()>) -> Element {
    rsx! {
        main { id: "content", class: "gate", tabindex: "-1", "data-testid": "who",
            header { class: "gate-head",
                Mark {}
                h1 {
                    id: "title",
                    tabindex: "-1",
                    "data-testid": "title",
                    onmounted: move |_| browser::focus("title"),
                    {t!("who-title")}
                }
            }
            p { {t!("who-apart")} }
            ul { class: "rows",
                for user in users {
                    li { key: "{user.id}",
                        button {
                            class: "row",
                            r#type: "button",
                            "data-testid": "user-{user.username}",
                            onclick: {
                                let user = user.clone();
                                move |_| on_chosen.call(user.clone())
                            },
                            Glyph { icon: Icon::User }
                            span { class: "row-body",
                                span { class: "row-title", "{user.name}" }
                                br {}
                                span { class: "meta", "{user.username} · {user.branch}" }
                            }
                            Glyph { icon: Icon::ChevronRight }
                        }
                    }
                }
            }
            Button {
                label: t!("who-somebody"),
                testid: "somebody-new",
                icon: Icon::UserPlus,
                wide: true,
                onclick: move |()| on_somebody.call(()),
            }
        }
    }
}
