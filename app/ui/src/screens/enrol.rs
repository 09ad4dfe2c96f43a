//! First start, or another user on this device: where the server is, who signs in, which PIN opens
//! the store from now on. One question at a time; only the last step needs the network.

use crate::browser;
use crate::components::*;
use crate::shell::Mark;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::{Enrol as EnrolCommand, EnrolRequest, ErrorCode, GatewayError};

/// The questions, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Server,
    SignIn,
    Pin,
    Repeat,
}

impl Step {
    const COUNT: u32 = 4;

    fn number(self) -> u32 {
        self as u32 + 1
    }

    fn before(self) -> Option<Step> {
        match self {
            Step::Server => None,
            Step::SignIn => Some(Step::Server),
            Step::Pin => Some(Step::SignIn),
            Step::Repeat => Some(Step::Pin),
        }
    }

    /// Where a refusal can be mended.
    fn of(code: ErrorCode) -> Step {
        match code {
            ErrorCode::BadAddress | ErrorCode::InsecureAddress | ErrorCode::ForeignServer => Step::Server,
            ErrorCode::WrongCredentials | ErrorCode::UserDisabled | ErrorCode::RoleNotForApp => Step::SignIn,
            ErrorCode::WeakPin => Step::Pin,
            _ => Step::Repeat,
        }
    }
}

/// An address with its scheme, which nobody types.
fn with_scheme(typed: &str) -> String {
    let typed = typed.trim().trim_end_matches('/');
    if typed.is_empty() || typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") }
}

/// Whether a PIN is a repetition, a sequence or two digits only. The store refuses the same; said
/// here, nobody repeats a PIN in vain.
fn guessable(pin: &str) -> bool {
    let digits: Vec<u8> = pin.bytes().collect();
    let step = |by: u8| digits.windows(2).all(|pair| (pair[0] - b'0' + by) % 10 == pair[1] - b'0');
    let repeats = |period: usize| digits.iter().zip(digits.iter().skip(period)).all(|(a, b)| a == b);
    let different: std::collections::BTreeSet<u8> = digits.iter().copied().collect();
    let short = digits.len() < LEAST_DIGITS || !digits.iter().all(u8::is_ascii_digit);
    short || step(1) || step(9) || (1..=digits.len() / 2).any(repeats) || different.len() <= 2
}

/// The wizard. `server` is known when somebody else already uses this device; then it can be left.
#[component]
pub fn Enrol(
    #[props(default)] server: String,
    #[props(default)] on_cancel: Option<EventHandler<()>>,
) -> Element {
    let app = use_app();
    let step = use_signal(|| Step::Server);
    let mut address = use_signal(|| server);
    let mut username = use_signal(String::new);
    let mut password = use_signal(String::new);
    let mut pin = use_signal(String::new);
    let mut again = use_signal(String::new);
    let mut wanting = use_signal(|| None::<&'static str>);
    let mut refusal = use_signal(|| None::<GatewayError>);
    let mut busy = use_signal(|| false);

    let go = move |to: Step| {
        let mut step = step;
        wanting.set(None);
        step.set(to);
        let field = match to {
            Step::Server => "server",
            Step::SignIn => "username",
            Step::Pin | Step::Repeat => "pin",
        };
        spawn(async move {
            browser::sleep(0).await; // once it is drawn
            browser::focus(field);
        });
    };
    let enrol = move || async move {
        busy.set(true);
        refusal.set(None);
        let request = EnrolRequest {
            server: with_scheme(&address.peek()),
            username: username.peek().trim().to_owned(),
            password: password.peek().clone(),
            pin: pin.peek().clone(),
        };
        match app.call::<EnrolCommand>(request).await {
            Ok(status) => app.accept(status),
            Err(error) => {
                busy.set(false);
                let mut go = go;
                let mend = Step::of(error.code);
                if mend == Step::Pin {
                    pin.set(String::new());
                }
                if mend != Step::Repeat {
                    again.set(String::new());
                    go(mend);
                }
                refusal.set(Some(error));
            }
        }
    };
    let mut next = move || {
        let mut go = go;
        refusal.set(None);
        match step() {
            Step::Server if address.peek().trim().is_empty() => wanting.set(Some("enrol-server-missing")),
            Step::Server => {
                let full = with_scheme(&address.peek());
                address.set(full);
                go(Step::SignIn);
            }
            Step::SignIn if username.peek().trim().is_empty() => wanting.set(Some("enrol-username-missing")),
            Step::SignIn if password.peek().is_empty() => wanting.set(Some("enrol-password-missing")),
            Step::SignIn => go(Step::Pin),
            Step::Pin if guessable(&pin.peek()) => {
                pin.set(String::new());
                wanting.set(Some("enrol-pin-weak"));
            }
            Step::Pin => {
                again.set(String::new());
                go(Step::Repeat);
            }
            Step::Repeat if *pin.peek() != *again.peek() => {
                pin.set(String::new());
                again.set(String::new());
                go(Step::Pin);
                wanting.set(Some("enrol-pin-differs"));
            }
            Step::Repeat => {
                spawn(enrol());
            }
        }
    };
    let under = move |keys: &[&str]| wanting().filter(|key| keys.contains(key)).map(|key| t!(key));
    let at = step();
    rsx! {
        main { id: "content", class: "gate", tabindex: "-1", "data-testid": "enrol",
            header { class: "gate-head",
                Mark {}
                div {
                    h1 { id: "title", tabindex: "-1", "data-testid": "title", {t!("enrol-title")} }
                    p { class: "meta", "data-testid": "enrol-step", {t!("enrol-step", step = at.number(), of = Step::COUNT)} }
                }
            }
            div { class: "steps", "aria-hidden": "true",
                for number in 1..=Step::COUNT {
                    span { key: "{number}", "data-done": number <= at.number() }
                }
            }
            if let Some(error) = refusal() {
                ErrorPanel { error }
            }
            form {
                class: "form gate-body",
                novalidate: true,
                onsubmit: move |event| {
                    event.prevent_default();
                    next();
                },
                match at {
                    Step::Server => rsx! {
                        p { {t!("enrol-server-intro")} }
                        TextField {
                            id: "server",
                            kind: TextKind::Url,
                            label: t!("server-address"),
                            help: t!("enrol-server-help"),
                            placeholder: "https://",
                            value: address(),
                            error: under(&["enrol-server-missing"]),
                            oninput: move |text| address.set(text),
                        }
                    },
                    Step::SignIn => rsx! {
                        TextField {
                            id: "username",
                            kind: TextKind::Username,
                            label: t!("username"),
                            value: username(),
                            error: under(&["enrol-username-missing"]),
                            oninput: move |text| username.set(text),
                        }
                        TextField {
                            id: "password",
                            kind: TextKind::Password,
                            label: t!("password"),
                            help: t!("enrol-password-help"),
                            value: password(),
                            error: under(&["enrol-password-missing"]),
                            oninput: move |text| password.set(text),
                        }
                    },
                    Step::Pin => rsx! {
                        div { class: "gate-say",
                            h2 { {t!("enrol-pin")} }
                            p { {t!("enrol-pin-help")} }
                            p { class: "field-error", role: "alert", "data-testid": "error-pin",
                                if let Some(text) = under(&["enrol-pin-weak", "enrol-pin-differs"]) {
                                    Glyph { icon: Icon::CircleAlert }
                                    span { "{text}" }
                                }
                            }
                        }
                        PinPad {
                            value: pin,
                            label: t!("enrol-pin"),
                            enter_label: t!("next"),
                            wrong: wanting().is_some(),
                            oninput: move |()| wanting.set(None),
                            onenter: move |()| next(),
                        }
                    },
                    Step::Repeat => rsx! {
                        div { class: "gate-say",
                            h2 { {t!("enrol-pin-again")} }
                            if busy() {
                                Progress { label: t!("enrol-under-way"), testid: "enrolling" }
                            } else {
                                p { {t!("enrol-pin-again-help")} }
                            }
                        }
                        PinPad {
                            value: again,
                            label: t!("enrol-pin-again"),
                            enter_label: t!("enrol-finish"),
                            busy: busy(),
                            onenter: move |()| next(),
                        }
                    },
                }
                div { class: "gate-actions",
                    if at <= Step::SignIn {
                        Button {
                            label: t!("next"),
                            testid: "enrol-next",
                            look: Look::Primary,
                            submit: true,
                            wide: true,
                            onclick: |()| {},
                        }
                    }
                    if let Some(before) = at.before() {
                        Button {
                            label: t!("back"),
                            testid: "enrol-back",
                            look: Look::Quiet,
                            disabled: busy(),
                            wide: true,
                            onclick: move |()| {
                                let mut go = go;
                                go(before);
                            },
                        }
                    } else if let Some(cancel) = on_cancel {
                        Button {
                            label: t!("cancel"),
                            testid: "enrol-cancel",
                            look: Look::Quiet,
                            wide: true,
                            onclick: move |()| cancel.call(()),
                        }
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
    fn an_address_gets_the_scheme_that_nobody_types() {
        assert_eq!(with_scheme(" vereda.example.org/ "), "https://vereda.example.org");
        assert_eq!(with_scheme("http://localhost:8080"), "http://localhost:8080");
        assert_eq!(with_scheme(""), "");
    }

    #[test]
    fn a_pin_that_anybody_tries_first_is_refused_before_it_is_repeated() {
        for pin in ["12345", "111111", "890123", "987654", "135135", "112122", "12345a"] {
            assert!(guessable(pin), "{pin}");
        }
        for pin in ["135792", "204080", "112244"] {
            assert!(!guessable(pin), "{pin}");
        }
    }

    #[test]
    fn a_refusal_leads_to_the_step_that_can_mend_it() {
        assert_eq!(Step::of(ErrorCode::ForeignServer), Step::Server);
        assert_eq!(Step::of(ErrorCode::WrongCredentials), Step::SignIn);
        assert_eq!(Step::of(ErrorCode::WeakPin), Step::Pin);
        assert_eq!(Step::of(ErrorCode::Unreachable), Step::Repeat);
    }
}
