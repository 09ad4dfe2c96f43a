//! A client taken down for the first time, or changed.

use super::portfolio::use_clients;
use crate::browser;
use crate::components::{
    Button, ErrorPanel, Glyph, Icon, Look, Notice, Panel, Tag, TextField, TextKind, Tone, Waiting,
};
use crate::fmt;
use crate::i18n::{I18n, here, lang};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use vereda_domain::ClientId;
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, ClientFields, ClientProblem, Consent, check};
use vereda_domain::gateway::{
    ClientRequest, ClientView, CreateClient, CreateClientRequest, Duplicate, DuplicateReason,
    EditClient as Edit, EditClientRequest, ErrorCode, FindDuplicates, GatewayError, GetClient,
};

/// Likely duplicates are looked for when nothing was typed for so many milliseconds.
const PAUSE: i32 = 200;

type Problems = BTreeMap<ClientField, ClientProblem>;

/// What is wrong with each field.
fn problems_of(fields: &ClientFields) -> Problems {
    let value = |field| fields.get(&field).map(String::as_str).unwrap_or_default();
    ClientField::ALL
        .into_iter()
        .filter_map(|f| check(f, value(f)).err().map(|problem| (f, problem)))
        .collect()
}

/// The fields that differ from what they were.
fn changed(before: &ClientFields, now: &ClientFields) -> ClientFields {
    let differs = |(field, value): &(&ClientField, &String)| {
        before.get(field).map(String::as_str).unwrap_or_default() != value.as_str()
    };
    now.iter().filter(differs).map(|(field, value)| (*field, value.clone())).collect()
}

/// As they are kept: without spaces around them.
fn trimmed(fields: &ClientFields) -> ClientFields {
    fields.iter().map(|(field, value)| (*field, value.trim().to_owned())).collect()
}

/// The message under a field.
fn message(i18n: I18n, field: ClientField, problem: ClientProblem) -> String {
    match problem {
        ClientProblem::Required => i18n.text(&format!("client-required-{}", field.as_str()), &[]),
        ClientProblem::TooLong { max } => i18n.text("client-too-long", &[("max", max.into())]),
        ClientProblem::Malformed => i18n.text(&format!("client-malformed-{}", field.as_str()), &[]),
    }
}

/// What a field is called.
pub fn field_label(i18n: I18n, field: ClientField) -> String {
    i18n.text(&format!("client-label-{}", field.as_str()), &[])
}

/// Moves the keyboard to the first field with a problem; whether there is one.
fn go_to_first(problems: &Problems) -> bool {
    let first = problems.keys().next();
    if let Some(field) = first {
        browser::focus(&format!("client-{}", field.as_str()));
    }
    first.is_some()
}

/// The four fields.
#[component]
fn Fields(
    values: Signal<ClientFields>,
    problems: Signal<Problems>,
    /// What stands under the name and the document: who this might already be.
    #[props(default)]
    after_document: Option<Element>,
) -> Element {
    let mut after_document = after_document;
    rsx! {
        for field in ClientField::ALL {
            Field { key: "{field.as_str()}", field, values, problems }
            if field == ClientField::Document {
                {after_document.take()}
            }
        }
    }
}

#[component]
fn Field(field: ClientField, values: Signal<ClientFields>, problems: Signal<Problems>) -> Element {
    let (mut values, mut problems) = (values, problems);
    let value = values.read().get(&field).cloned().unwrap_or_default();
    let problem = problems.read().get(&field).copied();
    let i18n = here();
    let id = format!("client-{}", field.as_str());
    let kind = match field {
        ClientField::Name => TextKind::Name,
        ClientField::Document => TextKind::Code,
        ClientField::Phone => TextKind::Phone,
        ClientField::Place => TextKind::Words,
    };
    rsx! {
        TextField {
            id,
            label: field_label(i18n, field),
            help: i18n.text(&format!("client-help-{}", field.as_str()), &[]),
            error: problem.map(|problem| message(i18n, field, problem)),
            optional: matches!(field, ClientField::Phone | ClientField::Place),
            kind,
            value,
            oninput: move |text: String| {
                // A message goes once what it asked for is there.
                if check(field, &text).is_ok() {
                    problems.write().remove(&field);
                }
                values.write().insert(field, text);
            },
            // One that was left empty is asked for when the form is sent.
            onblur: move |()| {
                let text = values.peek().get(&field).cloned().unwrap_or_default();
                if let Some(problem) = check(field, &text).err().filter(|_| !text.is_empty()) {
                    problems.write().insert(field, problem);
                }
            },
        }
    }
}

/// A new client. What is typed stays until they are created, also when another screen is looked at.
#[component]
pub fn NewClient() -> Element {
    let app = use_app();
    let clients = use_clients();
    let mut values = clients.new_client;
    let mut problems = use_signal(Problems::new);
    let mut agreed = use_signal(|| false);
    let mut consent_missing = use_signal(|| false);
    let mut duplicates = use_signal(Vec::<Duplicate>::new);
    let mut error = use_signal(|| None::<GatewayError>);
    let mut busy = use_signal(|| false);
    let mut turn = use_signal(|| 0u32);

    // Likely duplicates, while typing. A failure here is no news: the look before creating tells.
    use_effect(move || {
        let fields = trimmed(&values());
        let now = *turn.peek() + 1;
        turn.set(now);
        spawn(async move {
            browser::sleep(PAUSE).await;
            if *turn.peek() != now {
                return;
            }
            let found = if fields.values().all(String::is_empty) {
                Vec::new()
            } else {
                app.call::<FindDuplicates>(fields).await.unwrap_or_default()
            };
            if *turn.peek() == now && *duplicates.peek() != found {
                if !found.is_empty() {
                    app.announce(t!("duplicate-title", n = found.len()));
                }
                duplicates.set(found);
            }
        });
    });

    let create = move |()| {
        let fields = trimmed(&values.peek());
        let wrong = problems_of(&fields);
        problems.set(wrong.clone());
        consent_missing.set(!*agreed.peek());
        if go_to_first(&wrong) {
            return;
        }
        if !*agreed.peek() {
            browser::focus("consent");
            return;
        }
        busy.set(true);
        error.set(None);
        spawn(async move {
            match create(fields, duplicates).await {
                Ok(Some(view)) => {
                    values.set(ClientFields::new());
                    app.toast(t!("client-created"), None);
                    app.replace(Route::Client(view.row.id));
                    return;
                }
                // Somebody alike was found only now: they are shown, and the officer decides.
                Ok(None) => {
                    app.announce(t!("duplicate-title", n = duplicates.peek().len()));
                    browser::focus("duplicates");
                }
                Err(refusal) => {
                    problems.set(refusal.client_fields.iter().copied().collect());
                    let named = go_to_first(&problems.peek());
                    if !(named && refusal.code == ErrorCode::InvalidInput) {
                        error.set(Some(refusal));
                    }
                }
            }
            busy.set(false);
        });
    };
    let found = duplicates();
    rsx! {
        Screen {
            title: t!("new-client"),
            focus_title: true,
            footer: rsx! {
                Button {
                    label: if found.is_empty() { t!("client-create") } else { t!("client-create-anyway") },
                    testid: if found.is_empty() { "create-client" } else { "create-anyway" },
                    look: Look::Primary,
                    busy: busy(),
                    onclick: create,
                }
            },
            div { class: "form",
                Fields { values, problems, after_document: rsx! { Duplicates { found } } }
                ConsentField {
                    agreed: agreed(),
                    missing: consent_missing(),
                    onchange: move |yes| {
                        agreed.set(yes);
                        if yes {
                            consent_missing.set(false);
                        }
                    },
                }
                if let Some(error) = error() {
                    ErrorPanel { error }
                }
            }
        }
    }
}

/// Creates a client unless somebody alike is found whom the officer has not seen yet; they are then
/// shown instead.
async fn create(
    fields: ClientFields,
    mut shown: Signal<Vec<Duplicate>>,
) -> Result<Option<ClientView>, GatewayError> {
    let app = consume_context::<crate::state::App>();
    let found = app.call::<FindDuplicates>(fields.clone()).await?;
    let seen: BTreeSet<ClientId> = shown.peek().iter().map(|one| one.row.id).collect();
    if found.iter().any(|one| !seen.contains(&one.row.id)) {
        shown.set(found);
        return Ok(None);
    }
    let consent = Consent { at: browser::now(), text_version: CONSENT_TEXT_VERSION.to_owned() };
    app.call::<CreateClient>(CreateClientRequest { fields, consent }).await.map(Some)
}

/// Who the new client might already be.
#[component]
fn Duplicates(found: Vec<Duplicate>) -> Element {
    let app = use_app();
    let why = |reason: DuplicateReason| match reason {
        DuplicateReason::Document => t!("duplicate-document"),
        DuplicateReason::Phone => t!("duplicate-phone"),
        DuplicateReason::Name => t!("duplicate-name"),
    };
    let title = t!("duplicate-title", n = found.len());
    rsx! {
        if !found.is_empty() {
            section { id: "duplicates", tabindex: "-1", "data-testid": "duplicates", aria_label: "{title}",
                Notice { tone: Tone::Warning, icon: Icon::Users,
                    strong { "{title}" }
                    p { {t!("duplicate-do")} }
                    ul { class: "duplicates",
                        for (index , one) in found.into_iter().enumerate() {
                            li { key: "{one.row.id}",
                                div { class: "row-body",
                                    strong { "{one.row.name}" }
                                    p { class: "small",
                                        "{one.row.document}"
                                        if !one.row.phone.is_empty() {
                                            " · {one.row.phone}"
                                        }
                                        if !one.row.place.is_empty() {
                                            " · {one.row.place}"
                                        }
                                    }
                                    Tag { label: why(one.why), tone: Tone::Neutral }
                                }
                                Button {
                                    label: t!("duplicate-open"),
                                    testid: "duplicate-open-{index}",
                                    wide: true,
                                    onclick: move |()| app.go(Route::Client(one.row.id)),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The text that is read to the client, and that they agreed.
#[component]
fn ConsentField(agreed: bool, missing: bool, onchange: EventHandler<bool>) -> Element {
    rsx! {
        Panel { title: t!("consent-title"),
            p { class: "consent-text", "data-testid": "consent-text", {t!("consent-text")} }
            p { class: "meta",
                {t!("consent-version", version = CONSENT_TEXT_VERSION, date = fmt::date(lang(), browser::now()))}
            }
            div { class: "field", "data-invalid": missing,
                label { class: "tick", "data-testid": "consent",
                    input {
                        id: "consent",
                        r#type: "checkbox",
                        checked: agreed,
                        aria_invalid: missing,
                        aria_describedby: "consent-error",
                        onchange: move |event| onchange.call(event.checked()),
                    }
                    span { {t!("consent-given")} }
                }
                p { class: "field-error", id: "consent-error", role: "alert", "data-testid": "error-consent",
                    if missing {
                        Glyph { icon: Icon::CircleAlert }
                        span { {t!("consent-missing")} }
                    }
                }
            }
        }
    }
}

/// Changes to a client.
#[component]
pub fn EditClient(client: ClientId) -> Element {
    let query = use_query::<GetClient>(move || ClientRequest { client });
    match (query.data)() {
        Some(view) => rsx! {
            EditForm { view }
        },
        None => rsx! {
            Screen { title: t!("client-edit"),
                Waiting { error: (query.error)(), on_retry: move |()| query.again() }
            }
        },
    }
}

/// The fields of a client as a list shows them.
fn fields_of(view: &ClientView) -> ClientFields {
    let row = &view.row;
    let texts = [&row.name, &row.document, &row.phone, &row.place];
    ClientField::ALL.into_iter().zip(texts).map(|(field, text)| (field, text.clone())).collect()
}

#[component]
fn EditForm(view: ClientView) -> Element {
    let app = use_app();
    let id = view.row.id;
    // What it was when the form was opened: a change that arrives meanwhile is not typed over.
    let before = use_hook(|| fields_of(&view));
    let values = use_signal(|| before.clone());
    let mut problems = use_signal(Problems::new);
    let mut error = use_signal(|| None::<GatewayError>);
    let mut busy = use_signal(|| false);
    let save = move |()| {
        let now = trimmed(&values.peek());
        let wrong = problems_of(&now);
        problems.set(wrong.clone());
        if go_to_first(&wrong) {
            return;
        }
        let fields = changed(&before, &now);
        if fields.is_empty() {
            app.back();
            return;
        }
        busy.set(true);
        error.set(None);
        spawn(async move {
            match app.call::<Edit>(EditClientRequest { client: id, fields }).await {
                Ok(_) => {
                    app.toast(t!("client-saved"), None);
                    app.back();
                }
                Err(refusal) => {
                    problems.set(refusal.client_fields.iter().copied().collect());
                    let named = go_to_first(&problems.peek());
                    if !(named && refusal.code == ErrorCode::InvalidInput) {
                        error.set(Some(refusal));
                    }
                    busy.set(false);
                }
            }
        });
    };
    rsx! {
        Screen {
            title: t!("client-edit"),
            subtitle: view.row.name.clone(),
            footer: rsx! {
                Button {
                    label: t!("client-save"),
                    testid: "save-client",
                    look: Look::Primary,
                    busy: busy(),
                    disabled: !view.editable,
                    onclick: save,
                }
            },
            div { class: "form",
                if !view.editable {
                    Notice { testid: "client-not-editable", p { {t!("client-not-editable")} } }
                }
                Fields { values, problems }
                if let Some(error) = error() {
                    ErrorPanel { error }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &str, document: &str, phone: &str) -> ClientFields {
        [(ClientField::Name, name), (ClientField::Document, document), (ClientField::Phone, phone)]
            .into_iter()
            .map(|(field, value)| (field, value.to_owned()))
            .collect()
    }

    #[test]
    fn a_name_and_a_document_are_needed_and_a_phone_may_be_absent_but_not_short() {
        let wrong = problems_of(&ClientFields::new());
        assert_eq!(wrong.keys().copied().collect::<Vec<_>>(), [ClientField::Name, ClientField::Document]);
        assert!(problems_of(&fields("Ana", "CC 1", "")).is_empty());
        let short = problems_of(&fields("Ana", "CC 1", "12"));
        assert_eq!(short.get(&ClientField::Phone), Some(&ClientProblem::Malformed));
    }

    #[test]
    fn only_what_differs_is_sent_so_that_other_fields_keep_their_writers() {
        let before = fields("Ana", "CC 1", "300 555");
        let after = trimmed(&fields(" Ana ", "CC 1", "300 556 "));
        assert_eq!(changed(&before, &after), [(ClientField::Phone, "300 556".to_owned())].into());
        assert!(changed(&before, &before).is_empty());
        let emptied = fields("Ana", "CC 1", "");
        assert_eq!(changed(&before, &emptied), [(ClientField::Phone, String::new())].into());
    }

    #[test]
    fn every_problem_of_every_field_has_a_message() {
        for lang in crate::i18n::Lang::ALL {
            for field in ClientField::ALL {
                for family in ["client-label", "client-help", "client-malformed"] {
                    let key = format!("{family}-{}", field.as_str());
                    assert_ne!(crate::i18n::text(lang, &key, &[]), key);
                }
            }
            for field in ["name", "document"] {
                let key = format!("client-required-{field}");
                assert_ne!(crate::i18n::text(lang, &key, &[]), key);
            }
        }
    }
}
