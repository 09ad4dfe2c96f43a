//! A number: numeric keypad, thousands separators while typing, its unit beside it.

use super::FieldFrame;
use crate::fmt;
use crate::i18n::lang;
use dioxus::prelude::*;

/// A number as it is typed. `oninput` gets the text with its separators; what it means is
/// [`fmt::parse_number`]'s to say, so that a text that is no number is kept as it was typed.
#[component]
pub fn NumberField(
    id: String,
    label: String,
    value: String,
    oninput: EventHandler<String>,
    #[props(default)] onblur: EventHandler<()>,
    #[props(default)] onfocus: EventHandler<()>,
    #[props(default)] unit: String,
    #[props(default)] decimals: bool,
    #[props(default)] help: String,
    #[props(default)] error: Option<String>,
    #[props(default)] saved: Option<String>,
    #[props(default)] optional: bool,
) -> Element {
    let mut text = use_signal(|| value.clone());
    // A value that comes from outside (restored, undone) replaces what was typed.
    use_effect(use_reactive!(|value| {
        if *text.peek() != value {
            text.set(value);
        }
    }));
    rsx! {
        FieldFrame { id: id.clone(), label, help, error: error.clone(), saved, optional,
            div { class: "input number",
                input {
                    id: "{id}",
                    "data-testid": "input-{id}",
                    r#type: "text",
                    inputmode: if decimals { "decimal" } else { "numeric" },
                    autocomplete: "off",
                    value: "{text}",
                    aria_invalid: error.is_some(),
                    aria_describedby: "{id}-unit {id}-help {id}-error",
                    oninput: move |event| {
                        let regrouped = fmt::regroup(lang(), &text.peek(), &event.value(), decimals);
                        text.set(regrouped.clone());
                        oninput.call(regrouped);
                    },
                    onblur: move |_| onblur.call(()),
                    onfocus: move |_| onfocus.call(()),
                }
                if !unit.is_empty() {
                    span { class: "unit", id: "{id}-unit", "{unit}" }
                }
            }
        }
    }
}
