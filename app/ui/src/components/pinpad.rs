//! A pad for a PIN: large keys, dots instead of digits, and a keyboard's digits as well.

use super::{Glyph, Icon};
use crate::t;
use dioxus::prelude::*;

/// The longest PIN.
pub const MOST_DIGITS: usize = 12;
/// The shortest PIN.
pub const LEAST_DIGITS: usize = 6;

/// A pad for a PIN. The caller holds the digits; `onenter` is offered from six on.
///
/// The digits are a signal and not a value: two keys pressed before the pad is drawn again must both
/// count, as they do under a quick thumb on a slow phone.
#[component]
pub fn PinPad(
    value: Signal<String>,
    #[props(default)] oninput: EventHandler<()>,
    onenter: EventHandler<()>,
    label: String,
    enter_label: String,
    #[props(default)] busy: bool,
    #[props(default)] disabled: bool,
    #[props(default)] wrong: bool,
) -> Element {
    let mut value = value;
    let count = value.read().len();
    let open = !busy && !disabled;
    let ready = count >= LEAST_DIGITS && open;
    let mut press = move |digit: char| {
        if open && value.peek().len() < MOST_DIGITS {
            value.write().push(digit);
            oninput.call(());
        }
    };
    let mut rub = move || {
        if open {
            value.write().pop();
            oninput.call(());
        }
    };
    let enter = move || {
        if open && value.peek().len() >= LEAST_DIGITS {
            onenter.call(());
        }
    };
    let dots = count.max(LEAST_DIGITS);
    rsx! {
        div {
            class: "pin",
            id: "pin",
            tabindex: "0",
            role: "group",
            aria_label: "{label}",
            "data-testid": "pin-pad",
            "data-wrong": wrong,
            onkeydown: move |event: KeyboardEvent| match event.key() {
                    Key::Character(key) if key.len() == 1 && key.as_bytes()[0].is_ascii_digit() => {
                        event.prevent_default();
                        press(char::from(key.as_bytes()[0]));
                    }
                    Key::Backspace => {
                        event.prevent_default();
                        rub();
                    }
                    // Otherwise it presses the key that has the focus.
                    Key::Enter if open && value.peek().len() >= LEAST_DIGITS => {
                        event.prevent_default();
                        enter();
                    }
                    _ => {}
                },
            div {
                class: "pin-dots",
                role: "status",
                aria_label: t!("pin-digits", n = count),
                "data-testid": "pin-dots",
                "data-count": count,
                for index in 0..dots {
                    span { key: "{index}", class: if index < count { "dot full" } else { "dot" } }
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
                        onclick: move |_| press(digit),
                        "{digit}"
                    }
                }
                button {
                    class: "pin-key plain",
                    r#type: "button",
                    aria_label: t!("pin-delete"),
                    disabled: disabled || count == 0,
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
                    onclick: move |_| enter(),
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
