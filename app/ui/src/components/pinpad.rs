//! A pad for a PIN: large keys, dots instead of digits, and a keyboard's digits as well.

use super::{Glyph, Icon};
use crate::t;
use dioxus::prelude::*;

/// The longest PIN.
pub const MOST_DIGITS: usize = 12;
/// The shortest PIN.
pub const LEAST_DIGITS: usize = 6;

/// A pad for a PIN. The caller holds the digits; `onenter` is offered from six on.
#[component]
pub fn PinPad(
    value: String,
    oninput: EventHandler<String>,
    onenter: EventHandler<()>,
    label: String,
    enter_label: String,
    #[props(default)] busy: bool,
    #[props(default)] disabled: bool,
    #[props(default)] wrong: bool,
) -> Element {
    let ready = value.len() >= LEAST_DIGITS && !busy && !disabled;
    let held = value.clone();
    let press = move |digit: char| {
        if !busy && !disabled && held.len() < MOST_DIGITS {
            oninput.call(format!("{held}{digit}"));
        }
    };
    let held = value.clone();
    let rub = move || {
        if !busy && !disabled {
            let mut fewer = held.clone();
            fewer.pop();
            oninput.call(fewer);
        }
    };
    let dots = value.len().max(LEAST_DIGITS);
    rsx! {
        div {
            class: "pin",
            id: "pin",
            tabindex: "0",
            role: "group",
            aria_label: "{label}",
            "data-testid": "pin-pad",
            "data-wrong": wrong,
            onkeydown: {
                let press = press.clone();
                let rub = rub.clone();
                move |event: KeyboardEvent| match event.key() {
                    Key::Character(key) if key.len() == 1 && key.as_bytes()[0].is_ascii_digit() => {
                        event.prevent_default();
                        press(char::from(key.as_bytes()[0]));
                    }
                    Key::Backspace => {
                        event.prevent_default();
                        rub();
                    }
                    Key::Enter if ready => {
                        event.prevent_default();
                        onenter.call(());
                    }
                    _ => {}
                }
            },
            div {
                class: "pin-dots",
                role: "status",
                aria_label: t!("pin-digits", n = value.len()),
                "data-testid": "pin-dots",
                "data-count": value.len(),
                for index in 0..dots {
                    span { key: "{index}", class: if index < value.len() { "dot full" } else { "dot" } }
                }
            }
            div { class: "pin-keys",
                for digit in ['1', '2', '3', '4', '5', '6', '7', '8', '9'] {
                    button {
                        key: "{digit}",
                        class: "pin-key",
                        r#type: "button",
                        disabled,
                        "data-testid": "pin-{digit}",
                        onclick: {
                            let press = press.clone();
                            move |_| press(digit)
                        },
                        "{digit}"
                    }
                }
                button {
                    class: "pin-key plain",
                    r#type: "button",
                    aria_label: t!("pin-delete"),
                    disabled: disabled || value.is_empty(),
                    "data-testid": "pin-delete",
                    onclick: move |_| rub(),
                    Glyph { icon: Icon::Delete }
                }
                button {
                    class: "pin-key",
                    r#type: "button",
                    disabled,
                    "data-testid": "pin-0",
                    onclick: move |_| press('0'),
                    "0"
                }
                button {
                    class: "pin-key enter",
                    r#type: "button",
                    aria_label: "{enter_label}",
                    aria_busy: busy,
                    disabled: !ready,
                    "data-testid": "pin-enter",
                    onclick: move |_| onenter.call(()),
                    if busy {
                        span { class: "spinner", "aria-hidden": "true" }
                    } else {
                        Glyph { icon: Icon::Check }
                    }
                }
            }
        }
    }
}
