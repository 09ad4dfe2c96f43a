//! A label, what is typed, and the message under it.

use super::{Glyph, Icon};
use crate::t;
use dioxus::prelude::*;

/// What surrounds an input: label, help, the message and the saved mark. The input itself must
/// carry `id` and `aria-describedby: "{id}-help {id}-error"`.
#[component]
pub fn FieldFrame(
    id: String,
    label: String,
    #[props(default)] help: String,
    #[props(default)] error: Option<String>,
    #[props(default)] saved: Option<String>,
    #[props(default)] optional: bool,
    /// For a group of controls: the label names the group instead of one input.
    #[props(default)]
    group: bool,
    children: Element,
) -> Element {
    rsx! {
        div {
            class: "field",
            "data-testid": "field-{id}",
            "data-invalid": error.is_some(),
            div { class: "field-head",
                if group {
                    span { class: "field-label", id: "{id}-label", "{label}" }
                } else {
                    label { class: "field-label", id: "{id}-label", r#for: "{id}", "{label}" }
                }
                if optional {
                    span { class: "meta", {t!("optional")} }
                }
                if let Some(saved) = saved {
                    span { class: "field-saved meta", "data-testid": "saved-{id}",
                        Glyph { icon: Icon::Check }
                        "{saved}"
                    }
                }
            }
            if !help.is_empty() {
                p { class: "field-help", id: "{id}-help", "{help}" }
            }
            {children}
            p { class: "field-error", id: "{id}-error", role: "alert", "data-testid": "error-{id}",
                if let Some(error) = &error {
                    Glyph { icon: Icon::CircleAlert }
                    span { "{error}" }
                }
            }
        }
    }
}

/// What a text field holds, for the keypad and the browser's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextKind {
    /// Words.
    #[default]
    Words,
    /// Somebody's name.
    Name,
    /// A telephone number.
    Phone,
    /// Letters and digits that no dictionary knows.
    Code,
    /// An address on the net.
    Url,
    /// Who signs in.
    Username,
    /// A secret, hidden unless its eye is open.
    Password,
}

/// A line of text.
#[component]
pub fn TextField(
    id: String,
    label: String,
    value: String,
    oninput: EventHandler<String>,
    #[props(default)] onblur: EventHandler<()>,
    #[props(default)] onfocus: EventHandler<()>,
    #[props(default)] kind: TextKind,
    #[props(default)] help: String,
    #[props(default)] error: Option<String>,
    #[props(default)] saved: Option<String>,
    #[props(default)] placeholder: String,
    #[props(default)] optional: bool,
    #[props(default)] max: Option<usize>,
) -> Element {
    let mut shown = use_signal(|| false);
    let (kind_type, mode, complete) = match kind {
        TextKind::Words | TextKind::Name | TextKind::Code => ("text", "text", "off"),
        TextKind::Phone => ("tel", "tel", "off"),
        TextKind::Url => ("url", "url", "url"),
        TextKind::Username => ("text", "text", "username"),
        TextKind::Password if shown() => ("text", "text", "current-password"),
        TextKind::Password => ("password", "text", "current-password"),
    };
    let capitals = match kind {
        TextKind::Name => "words",
        TextKind::Words => "sentences",
        TextKind::Code => "characters",
        _ => "none",
    };
    rsx! {
        FieldFrame { id: id.clone(), label, help, error: error.clone(), saved, optional,
            div { class: "input",
                input {
                    id: "{id}",
                    "data-testid": "input-{id}",
                    r#type: kind_type,
                    inputmode: mode,
                    autocomplete: complete,
                    autocapitalize: capitals,
                    spellcheck: if kind == TextKind::Words { "true" } else { "false" },
                    value,
                    placeholder,
                    maxlength: max.map(|m| m as i64),
                    aria_required: !optional,
                    aria_invalid: error.is_some(),
                    aria_describedby: "{id}-help {id}-error",
                    oninput: move |event| oninput.call(event.value()),
                    onblur: move |_| onblur.call(()),
                    onfocus: move |_| onfocus.call(()),
                }
                if kind == TextKind::Password {
                    button {
                        class: "icon-button inside",
                        r#type: "button",
                        aria_pressed: shown(),
                        aria_label: t!("show-password"),
                        "data-testid": "show-{id}",
                        onclick: move |_| shown.toggle(),
                        Glyph { icon: if shown() { Icon::EyeOff } else { Icon::Eye } }
                    }
                }
            }
        }
    }
}

/// Some lines of text.
#[component]
pub fn TextArea(
    id: String,
    label: String,
    value: String,
    oninput: EventHandler<String>,
    #[props(default)] help: String,
    #[props(default)] error: Option<String>,
    #[props(default)] max: Option<usize>,
) -> Element {
    rsx! {
        FieldFrame { id: id.clone(), label, help, error: error.clone(),
            div { class: "input",
                textarea {
                    id: "{id}",
                    "data-testid": "input-{id}",
                    rows: "4",
                    value,
                    maxlength: max.map(|m| m as i64),
                    aria_invalid: error.is_some(),
                    aria_describedby: "{id}-help {id}-error",
                    oninput: move |event| oninput.call(event.value()),
                }
            }
        }
    }
}

/// On or off. The words say what is on.
#[component]
pub fn Switch(id: String, label: String, on: bool, onchange: EventHandler<bool>) -> Element {
    rsx! {
        button {
            id: "{id}",
            class: "switch",
            r#type: "button",
            role: "switch",
            aria_checked: on,
            "data-testid": "switch-{id}",
            onclick: move |_| onchange.call(!on),
            span { class: "switch-label", "{label}" }
            span { class: "switch-track", "aria-hidden": "true", span { class: "switch-thumb" } }
        }
    }
}
