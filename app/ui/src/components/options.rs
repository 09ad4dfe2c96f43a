//! One of several: large segments up to four, a list that can be searched beyond.

use super::{FieldFrame, Glyph, Icon};
use crate::browser;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::client::fold_name;

/// One of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is kept.
    pub code: String,
    /// What is read.
    pub label: String,
}

impl Choice {
    /// A choice.
    pub fn new(code: impl Into<String>, label: impl Into<String>) -> Choice {
        Choice { code: code.into(), label: label.into() }
    }
}

/// How many options still fit as segments.
pub const MOST_SEGMENTS: usize = 4;

/// One of several, drawn as fits their number.
#[component]
pub fn ChoiceField(
    id: String,
    label: String,
    options: Vec<Choice>,
    value: Option<String>,
    onchange: EventHandler<String>,
    #[props(default)] onfocus: EventHandler<()>,
    #[props(default)] help: String,
    #[props(default)] error: Option<String>,
    #[props(default)] saved: Option<String>,
    #[props(default)] optional: bool,
) -> Element {
    let few = options.len() <= MOST_SEGMENTS;
    rsx! {
        FieldFrame { id: id.clone(), label: label.clone(), help, error: error.clone(), saved, optional, group: few,
            if few {
                Segments { id, options, value, onchange, onfocus, invalid: error.is_some() }
            } else {
                SearchableList { id, label, options, value, onchange, onfocus, invalid: error.is_some() }
            }
        }
    }
}

/// A radio group: arrows move and choose, Tab enters and leaves.
#[component]
pub fn Segments(
    id: String,
    options: Vec<Choice>,
    value: Option<String>,
    onchange: EventHandler<String>,
    #[props(default)] onfocus: EventHandler<()>,
    #[props(default)] invalid: bool,
) -> Element {
    let chosen = options.iter().position(|option| Some(&option.code) == value.as_ref());
    let codes: Vec<String> = options.iter().map(|option| option.code.clone()).collect();
    // Long labels stand below each other, where a thumb reads them.
    let stacked = options.iter().any(|option| option.label.chars().count() > 14)
        || options.iter().map(|option| option.label.chars().count()).sum::<usize>() > 30;
    rsx! {
        div {
            class: "segments",
            "data-stacked": stacked,
            role: "radiogroup",
            aria_labelledby: "{id}-label",
            aria_describedby: "{id}-help {id}-error",
            aria_invalid: invalid,
            for (index , option) in options.into_iter().enumerate() {
                button {
                    key: "{option.code}",
                    // The field's own id is on the one that Tab reaches.
                    id: if index == chosen.unwrap_or(0) { id.clone() } else { format!("{id}-{index}") },
                    class: "segment",
                    r#type: "button",
                    role: "radio",
                    aria_checked: chosen == Some(index),
                    tabindex: if index == chosen.unwrap_or(0) { "0" } else { "-1" },
                    "data-testid": "option-{id}-{option.code}",
                    onfocus: move |_| onfocus.call(()),
                    onclick: {
                        let code = option.code.clone();
                        move |_| onchange.call(code.clone())
                    },
                    onkeydown: {
                        let codes = codes.clone();
                        let id = id.clone();
                        move |event: KeyboardEvent| {
                            let count = codes.len();
                            let to = match event.key() {
                                Key::ArrowRight | Key::ArrowDown => (index + 1) % count,
                                Key::ArrowLeft | Key::ArrowUp => (index + count - 1) % count,
                                Key::Home => 0,
                                Key::End => count - 1,
                                _ => return,
                            };
                            event.prevent_default();
                            if let Some(code) = codes.get(to) {
                                onchange.call(code.clone());
                            }
                            let id = id.clone();
                            // Once drawn again, the chosen one has the field's id.
                            spawn(async move {
                                browser::sleep(0).await;
                                browser::focus(&id);
                            });
                        }
                    },
                    if chosen == Some(index) {
                        Glyph { icon: Icon::Check }
                    }
                    span { "{option.label}" }
                }
            }
        }
    }
}

/// Those that contain all the words searched, accents and case aside.
fn matching(options: &[Choice], query: &str) -> Vec<Choice> {
    let query = fold_name(query);
    let words: Vec<&str> = query.split(' ').collect();
    let fits = |option: &&Choice| {
        let label = fold_name(&option.label);
        words.iter().all(|word| label.contains(word))
    };
    options.iter().filter(fits).cloned().collect()
}

/// A combobox that filters (WAI-ARIA Authoring Practices, *combobox with list autocomplete*).
#[component]
pub fn SearchableList(
    id: String,
    label: String,
    options: Vec<Choice>,
    value: Option<String>,
    onchange: EventHandler<String>,
    #[props(default)] onfocus: EventHandler<()>,
    #[props(default)] invalid: bool,
) -> Element {
    let mut open = use_signal(|| false);
    let mut query = use_signal(String::new);
    let mut active = use_signal(|| 0usize);
    let chosen = options.iter().find(|option| Some(&option.code) == value.as_ref());
    let chosen_label = chosen.map(|option| option.label.clone()).unwrap_or_default();
    let shown = if open() { matching(&options, &query()) } else { Vec::new() };
    let at = active().min(shown.len().saturating_sub(1));
    let pick = {
        let id = id.clone();
        move |code: String| {
            open.set(false);
            query.set(String::new());
            onchange.call(code);
            browser::focus(&id);
        }
    };
    rsx! {
        div { class: "combobox", "data-open": open(),
            div { class: "input",
                input {
                    id: "{id}",
                    "data-testid": "input-{id}",
                    r#type: "text",
                    role: "combobox",
                    autocomplete: "off",
                    aria_expanded: open(),
                    aria_controls: "{id}-list",
                    aria_autocomplete: "list",
                    aria_invalid: invalid,
                    aria_describedby: "{id}-help {id}-error",
                    aria_activedescendant: if open() && !shown.is_empty() { "{id}-option-{at}" },
                    placeholder: t!("choose"),
                    value: if open() { query() } else { chosen_label.clone() },
                    onfocus: move |_| onfocus.call(()),
                    onclick: {
                        let id = id.clone();
                        move |_| {
                            open.set(true);
                            let id = id.clone();
                            spawn(async move {
                                browser::sleep(0).await; // once the list is there
                                browser::reveal(&format!("{id}-list"));
                            });
                        }
                    },
                    onblur: move |_| {
                        open.set(false);
                        query.set(String::new());
                    },
                    oninput: move |event| {
                        open.set(true);
                        active.set(0);
                        query.set(event.value());
                    },
                    onkeydown: {
                        let shown = shown.clone();
                        let id = id.clone();
                        let mut pick = pick.clone();
                        move |event: KeyboardEvent| {
                            let count = shown.len();
                            let to = match event.key() {
                                Key::ArrowDown if !open() => {
                                    open.set(true);
                                    0
                                }
                                Key::ArrowDown => (at + 1).min(count.saturating_sub(1)),
                                Key::ArrowUp => at.saturating_sub(1),
                                Key::Home if open() => 0,
                                Key::End if open() => count.saturating_sub(1),
                                Key::Enter if open() => {
                                    event.prevent_default();
                                    if let Some(option) = shown.get(at) {
                                        pick(option.code.clone());
                                    }
                                    return;
                                }
                                Key::Escape if open() => {
                                    event.prevent_default();
                                    open.set(false);
                                    query.set(String::new());
                                    return;
                                }
                                _ => return,
                            };
                            event.prevent_default();
                            active.set(to);
                            browser::reveal(&format!("{id}-option-{to}"));
                        }
                    },
                }
                Glyph { icon: Icon::ChevronDown }
            }
            if open() {
                ul { id: "{id}-list", class: "options", role: "listbox", aria_label: "{label}",
                    for (index , option) in shown.iter().cloned().enumerate() {
                        li {
                            key: "{option.code}",
                            id: "{id}-option-{index}",
                            role: "option",
                            class: "option",
                            aria_selected: Some(&option.code) == value.as_ref(),
                            "data-active": index == at,
                            "data-testid": "option-{id}-{option.code}",
                            // Before the input loses the focus and the list goes.
                            onpointerdown: move |event| event.prevent_default(),
                            onmousedown: move |event| event.prevent_default(),
                            onclick: {
                                let mut pick = pick.clone();
                                move |_| pick(option.code.clone())
                            },
                            span { "{option.label}" }
                            if Some(&option.code) == value.as_ref() {
                                Glyph { icon: Icon::Check }
                            }
                        }
                    }
                    if shown.is_empty() {
                        li { class: "option none", role: "presentation", {t!("nothing-found")} }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_by_any_word_without_accents() {
        let options = [Choice::new("a", "Reparación de vehículos"), Choice::new("b", "Negocio propio")];
        assert_eq!(matching(&options, "VEHICULOS rep"), options[..1]);
        assert_eq!(matching(&options, ""), options);
        assert!(matching(&options, "casa").is_empty());
    }
}
