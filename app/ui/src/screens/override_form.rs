//! Why a decision goes against the suggestion: a reason from the list, and in words.

use crate::browser;
use crate::components::{FieldFrame, TextArea};
use crate::i18n::here;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::event::{OverrideCode, OverrideReason};

/// The longest reason accepted, in characters.
const MAX_WORDS: usize = 1000;

/// What has been given so far.
#[derive(Clone, Copy, PartialEq)]
pub struct Why {
    code: Signal<Option<OverrideCode>>,
    words: Signal<String>,
    asked: Signal<bool>,
}

/// Nothing given yet.
pub fn use_why() -> Why {
    Why { code: use_signal(|| None), words: use_signal(String::new), asked: use_signal(|| false) }
}

impl Why {
    /// The reason; while it is incomplete, says what is missing and goes to it.
    pub fn require(mut self) -> Option<OverrideReason> {
        self.asked.set(true);
        let given = reason(*self.code.peek(), &self.words.peek());
        if given.is_none() {
            browser::focus(if self.code.peek().is_none() { "override-code" } else { "override-words" });
        }
        given
    }
}

/// The reason as far as it is complete.
fn reason(code: Option<OverrideCode>, words: &str) -> Option<OverrideReason> {
    let words = words.trim();
    code.filter(|_| !words.is_empty()).map(|code| OverrideReason { code, words: words.to_owned() })
}

/// Asks for it.
#[component]
pub fn OverrideForm(why: Why) -> Element {
    let Why { mut code, mut words, asked } = why;
    let missing_code = asked() && code().is_none();
    let missing_words = asked() && words().trim().is_empty();
    rsx! {
        FieldFrame {
            id: "override-code",
            label: t!("review-why"),
            error: missing_code.then(|| t!("review-why-missing")),
            group: true,
            div {
                class: "choices",
                role: "radiogroup",
                aria_labelledby: "override-code-label",
                aria_describedby: "override-code-error",
                aria_required: true,
                aria_invalid: missing_code,
                for (index , one) in OverrideCode::ALL.into_iter().enumerate() {
                    label { key: "{index}", class: "choice",
                        input {
                            id: if index == 0 { "override-code" },
                            r#type: "radio",
                            name: "override-code",
                            checked: code() == Some(one),
                            "data-testid": "option-override-code-{one.as_str()}",
                            onchange: move |_| code.set(Some(one)),
                        }
                        span { {here().text(&format!("override-{}", one.as_str()), &[])} }
                    }
                }
            }
        }
        TextArea {
            id: "override-words",
            label: t!("review-words"),
            help: t!("review-words-help"),
            value: words(),
            max: MAX_WORDS,
            error: missing_words.then(|| t!("review-words-missing")),
            oninput: move |text| words.set(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_needs_a_code_from_the_list_and_words() {
        assert!(reason(Some(OverrideCode::Policy), " ").is_none());
        assert!(reason(None, "porque sí").is_none());
        let given = reason(Some(OverrideCode::Policy), " circular 12 ").unwrap();
        assert_eq!((given.code, given.words.as_str()), (OverrideCode::Policy, "circular 12"));
    }
}
