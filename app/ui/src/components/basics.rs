//! Buttons, rows, panels, progress, and what is shown when there is nothing or something is wrong.

use super::{Glyph, Icon};
use crate::i18n::here;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::GatewayError;

/// How a button stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// The one primary action of a screen.
    Primary,
    /// Any other action.
    #[default]
    Secondary,
    /// An action in a line of text or a bar.
    Quiet,
    /// Destroys or ends something.
    Danger,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Look::Primary => "button primary",
            Look::Secondary => "button",
            Look::Quiet => "button quiet",
            Look::Danger => "button danger",
        }
    }
}

/// A button. While `busy` it shows so and does nothing.
#[component]
pub fn Button(
    label: String,
    testid: String,
    onclick: EventHandler<()>,
    #[props(default)] look: Look,
    #[props(default)] icon: Option<Icon>,
    #[props(default)] busy: bool,
    #[props(default)] disabled: bool,
    #[props(default)] submit: bool,
    #[props(default)] wide: bool,
) -> Element {
    rsx! {
        button {
            class: "{look.class()}",
            class: if wide { "wide" },
            r#type: if submit { "submit" } else { "button" },
            "data-testid": testid,
            disabled,
            aria_busy: busy,
            onclick: move |_| {
                if !busy && !submit {
                    onclick.call(());
                }
            },
            if busy {
                span { class: "spinner", "aria-hidden": "true" }
            } else if let Some(icon) = icon {
                Glyph { icon }
            }
            span { "{label}" }
        }
    }
}

/// A button that is only an icon; the label is read aloud and shown by a pointer that rests.
#[component]
pub fn IconButton(label: String, icon: Icon, testid: String, onclick: EventHandler<()>) -> Element {
    rsx! {
        button {
            class: "icon-button",
            r#type: "button",
            title: "{label}",
            aria_label: "{label}",
            "data-testid": testid,
            onclick: move |_| onclick.call(()),
            Glyph { icon }
        }
    }
}

/// A titled part of a screen.
#[component]
pub fn Panel(
    #[props(default)] title: Option<String>,
    #[props(default)] testid: Option<String>,
    #[props(default)] class: String,
    children: Element,
) -> Element {
    rsx! {
        section { class: "panel {class}", "data-testid": testid,
            if let Some(title) = title {
                h2 { class: "panel-title", "{title}" }
            }
            {children}
        }
    }
}

/// A name and its value, in a `dl`.
#[component]
pub fn Fact(label: String, #[props(default)] testid: Option<String>, children: Element) -> Element {
    rsx! {
        div { class: "fact",
            dt { "{label}" }
            dd { "data-testid": testid, {children} }
        }
    }
}

/// How grave a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Worth knowing.
    #[default]
    Neutral,
    /// Well.
    Good,
    /// Somebody should look.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Tone {
    /// For `data-tone`.
    pub fn name(self) -> &'static str {
        match self {
            Tone::Neutral => "neutral",
            Tone::Good => "good",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        }
    }

    /// What stands beside the words.
    pub fn icon(self) -> Icon {
        match self {
            Tone::Neutral => Icon::Info,
            Tone::Good => Icon::CircleCheck,
            Tone::Warning => Icon::TriangleAlert,
            Tone::Bad => Icon::CircleAlert,
        }
    }
}

/// A boxed message with an icon.
#[component]
pub fn Notice(
    #[props(default)] tone: Tone,
    #[props(default)] icon: Option<Icon>,
    #[props(default)] testid: Option<String>,
    children: Element,
) -> Element {
    rsx! {
        div { class: "notice", "data-tone": tone.name(), "data-testid": testid,
            Glyph { icon: icon.unwrap_or(tone.icon()) }
            div { class: "notice-body", {children} }
        }
    }
}

/// A word in a pill.
#[component]
pub fn Tag(label: String, #[props(default)] tone: Tone, #[props(default)] icon: Option<Icon>) -> Element {
    rsx! {
        span { class: "tag", "data-tone": tone.name(),
            if let Some(icon) = icon {
                Glyph { icon }
            }
            "{label}"
        }
    }
}

/// A refusal: what happened, what to do, and the details that support asks for.
#[component]
pub fn ErrorPanel(error: GatewayError, #[props(default)] on_retry: Option<EventHandler<()>>) -> Element {
    let code = error.code.as_str();
    rsx! {
        div { class: "notice", "data-tone": "bad", role: "alert", "data-testid": "error", "data-code": code,
            Glyph { icon: Icon::CircleAlert }
            div { class: "notice-body",
                strong { {here().text(&format!("error-{code}"), &[])} }
                p { {here().text(&format!("error-{code}-do"), &[])} }
                if let Some(at) = error.retry_at {
                    p { {t!("error-retry-at", time = crate::fmt::time_with_seconds(at))} }
                }
                if !error.message.is_empty() {
                    details { class: "details",
                        summary { {t!("error-details")} }
                        code { "{code}: {error.message}" }
                    }
                }
                if let Some(retry) = on_retry {
                    Button {
                        label: t!("try-again"),
                        testid: "retry",
                        icon: Icon::RefreshCw,
                        onclick: move |()| retry.call(()),
                    }
                }
            }
        }
    }
}

/// Nothing here yet, and the next step.
#[component]
pub fn EmptyState(
    icon: Icon,
    title: String,
    body: String,
    #[props(default)] testid: Option<String>,
    children: Element,
) -> Element {
    rsx! {
        div { class: "empty", "data-testid": testid,
            span { class: "empty-icon", Glyph { icon } }
            h2 { "{title}" }
            p { "{body}" }
            {children}
        }
    }
}

/// Something is under way. It shows after 200 ms; with `done` and `total` it says how far.
#[component]
pub fn Progress(
    label: String,
    #[props(default)] done: Option<u64>,
    #[props(default)] total: Option<u64>,
    #[props(default)] testid: Option<String>,
) -> Element {
    let share = match (done, total) {
        (Some(done), Some(total)) if total > 0 => {
            Some((done as f64 / total as f64 * 100.0).clamp(0.0, 100.0))
        }
        _ => None,
    };
    rsx! {
        div { class: "progress", "data-testid": testid,
            if !label.is_empty() {
                p { class: "progress-label", "{label}" }
            }
            div {
                class: "progress-track",
                role: "progressbar",
                aria_label: if label.is_empty() { t!("loading") } else { label },
                aria_valuemin: if share.is_some() { "0" },
                aria_valuemax: if share.is_some() { "100" },
                aria_valuenow: share.map(|s| format!("{s:.0}")),
                span {
                    class: if share.is_some() { "progress-bar" } else { "progress-bar unknown" },
                    style: share.map(|s| format!("width:{s}%")),
                }
            }
        }
    }
}

/// What a screen shows until its first answer arrives: progress, or what went wrong.
#[component]
pub fn Waiting(error: Option<GatewayError>, on_retry: EventHandler<()>) -> Element {
    rsx! {
        div { class: "waiting",
            if let Some(error) = error {
                ErrorPanel { error, on_retry }
            } else {
                Progress { label: t!("loading"), testid: "loading" }
            }
        }
    }
}
