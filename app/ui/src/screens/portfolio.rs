//! The clients: search on top, what is to be finished today, then everybody, however many.

use crate::browser;
use crate::components::{
    Badge, Button, EmptyState, ErrorPanel, Glyph, Icon, IconButton, Look, Progress, Tag, Tone, WindowedList,
};
use crate::fmt;
use crate::i18n::lang;
use crate::pages::{Pages, READ, use_reading};
use crate::query::use_query;
use crate::route::Route;
use crate::shell::Screen;
use crate::state::{App, use_app};
use crate::t;
use dioxus::prelude::*;
use vereda_domain::ClientId;
use vereda_domain::api::Role;
use vereda_domain::client::ClientFields;
use vereda_domain::gateway::{
    ClientRequest, ClientRow, DraftRow, GatewayError, GetDrafts, GetPortfolio, PortfolioRequest,
    StartInterview,
};

/// Of a row, in pixels at 100 % text size.
const ROW: f64 = 96.0;
/// The same where the parts of a row stand below each other.
const ROW_STACKED: f64 = 148.0;
/// A search begins when nothing was typed for so many milliseconds.
const PAUSE: i32 = 120;

/// What the list and the forms around it keep while another screen is shown. It goes when the store
/// is locked, so that nobody finds the names that somebody else searched.
#[derive(Clone, Copy, PartialEq)]
pub struct Clients {
    /// What is typed.
    typed: Signal<String>,
    /// What is searched.
    query: Signal<String>,
    /// The rows read so far.
    pages: Pages<ClientRow>,
    /// How far the list is scrolled.
    scrolled: Signal<f64>,
    /// Whether a client is being chosen for an assessment.
    choosing: Signal<bool>,
    /// What is typed of a new client, until they are created.
    pub new_client: Signal<ClientFields>,
}

/// Makes what is kept, for the component that outlives the screens.
pub fn provide() -> Clients {
    use_context_provider(|| Clients {
        typed: Signal::new(String::new()),
        query: Signal::new(String::new()),
        pages: Pages::new(),
        scrolled: Signal::new(0.0),
        choosing: Signal::new(false),
        new_client: Signal::new(ClientFields::new()),
    })
}

/// What is kept.
pub fn use_clients() -> Clients {
    use_context::<Clients>()
}

/// Begins or goes on with the interview of a client.
pub async fn start_interview(app: App, client: ClientId) -> Result<(), GatewayError> {
    let draft = app.call::<StartInterview>(ClientRequest { client }).await?;
    app.go(Route::Interview(draft.id));
    Ok(())
}

/// Home. On a desktop the list stands in its own pane.
#[component]
pub fn Portfolio() -> Element {
    let app = use_app();
    let clients = use_clients();
    let manager = app.user().is_some_and(|user| user.role == Role::Manager);
    if (app.wide)() {
        return rsx! {
            Screen { title: t!("nav-portfolio"), back: false, focus_title: false,
                EmptyState {
                    icon: Icon::Users,
                    title: t!("portfolio-choose"),
                    body: t!("portfolio-choose-do"),
                    testid: "portfolio-choose",
                }
            }
        };
    }
    rsx! {
        Screen {
            title: if (clients.choosing)() { t!("portfolio-whom") } else { t!("nav-portfolio") },
            back: false,
            class: "flush",
            actions: rsx! {
                if manager {
                    IconButton {
                        label: t!("nav-review"),
                        icon: Icon::ClipboardCheck,
                        testid: "portfolio-review",
                        onclick: move |()| app.go(Route::Review),
                    }
                }
                IconButton {
                    label: t!("nav-model"),
                    icon: Icon::BrainCircuit,
                    testid: "portfolio-model",
                    onclick: move |()| app.go(Route::Model),
                }
                IconButton {
                    label: t!("nav-settings"),
                    icon: Icon::Settings,
                    testid: "portfolio-settings",
                    onclick: move |()| app.go(Route::Settings),
                }
            },
            ClientList {}
        }
    }
}

/// Search, drafts and clients, with what can be begun; for a screen or for a pane.
#[component]
pub fn ClientList() -> Element {
    let app = use_app();
    let mut clients = use_clients();
    let mut trouble = use_signal(|| None::<GatewayError>);
    let pages = clients.pages;
    use_reading::<GetPortfolio, _, _>(
        pages,
        move || (clients.query)(),
        |query, offset| PortfolioRequest { query: query.clone(), offset, limit: READ },
        |page| (page.total, page.rows),
    );
    let drafts = use_query::<GetDrafts>(|| ());
    let officer = app.user().is_some_and(|user| user.role == Role::Officer);
    let searching = !(clients.query)().is_empty();
    let choosing = (clients.choosing)();
    let open = use_callback(move |client: ClientId| {
        if !*clients.choosing.peek() {
            // Going down the list beside a client is one step for *back*.
            if current(app.route()).is_some() && *app.wide.peek() {
                app.replace(Route::Client(client));
            } else {
                app.go(Route::Client(client));
            }
            return;
        }
        spawn(async move {
            match start_interview(app, client).await {
                Ok(()) => clients.choosing.set(false),
                Err(refusal) => trouble.set(Some(refusal)),
            }
        });
    });
    let row = use_callback(move |index: usize| rsx! { Row { index, open } });
    let drafts = if searching || choosing { Vec::new() } else { (drafts.data)().unwrap_or_default() };
    let total = (pages.total)();
    let row_height = if stacked(app) { ROW_STACKED } else { ROW };
    let error = trouble().or((pages.error)());
    rsx! {
        Search { officer }
        if choosing && (app.wide)() {
            p { class: "pane-note", strong { {t!("portfolio-whom")} } }
        }
        if let Some(error) = error {
            div { class: "pane-note",
                ErrorPanel {
                    error,
                    on_retry: move |()| {
                        trouble.set(None);
                        pages.again();
                    },
                }
            }
        }
        match total {
            None if (pages.error)().is_none() => rsx! {
                div { class: "pane-note", Progress { label: t!("loading"), testid: "loading" } }
            },
            None => rsx! {},
            Some(0) => rsx! {
                div { class: "list-rest",
                    Drafts { drafts }
                    Nothing { searching, officer }
                }
            },
            Some(total) => rsx! {
                WindowedList {
                    total,
                    row_height,
                    label: t!("portfolio-clients"),
                    testid: "client-list",
                    kept: clients.scrolled,
                    onwindow: move |window| pages.look_at(window),
                    head: rsx! {
                        Drafts { drafts }
                        h2 { class: "list-title", "data-testid": "client-count",
                            if searching {
                                {t!("portfolio-found", n = total)}
                            } else {
                                {t!("portfolio-count", n = total)}
                            }
                        }
                    },
                    row,
                }
            },
        }
        if officer {
            div { class: "actionbar",
                if choosing {
                    Button {
                        label: t!("cancel"),
                        testid: "choose-cancel",
                        onclick: move |()| clients.choosing.set(false),
                    }
                    Button {
                        label: t!("new-client"),
                        testid: "new-client",
                        look: Look::Primary,
                        onclick: move |()| {
                            clients.choosing.set(false);
                            app.go(Route::NewClient);
                        },
                    }
                } else {
                    Button {
                        label: t!("new-assessment"),
                        testid: "new-assessment",
                        icon: Icon::Plus,
                        look: Look::Primary,
                        onclick: move |()| {
                            clients.choosing.set(true);
                            app.announce(t!("portfolio-whom"));
                            browser::focus("portfolio-search");
                        },
                    }
                }
            }
        }
    }
}

#[component]
fn Search(officer: bool) -> Element {
    let app = use_app();
    let mut clients = use_clients();
    let mut turn = use_signal(|| 0u32);
    let mut search = move |text: String| {
        clients.typed.set(text.clone());
        turn += 1;
        let now = *turn.peek();
        spawn(async move {
            browser::sleep(PAUSE).await;
            if *turn.peek() == now && *clients.query.peek() != text {
                clients.scrolled.set(0.0);
                clients.pages.look_at((0, 1));
                clients.query.set(text);
                browser::scroll_to("client-list", 0.0);
            }
        });
    };
    let typed = (clients.typed)();
    rsx! {
        div { class: "search", role: "search",
            div { class: "input",
                Glyph { icon: Icon::Search }
                input {
                    id: "portfolio-search",
                    "data-testid": "portfolio-search",
                    r#type: "search",
                    autocomplete: "off",
                    spellcheck: "false",
                    aria_label: t!("portfolio-search"),
                    placeholder: t!("portfolio-search"),
                    value: "{typed}",
                    oninput: move |event| search(event.value()),
                }
                if !typed.is_empty() {
                    IconButton {
                        label: t!("portfolio-search-clear"),
                        icon: Icon::Close,
                        testid: "portfolio-search-clear",
                        onclick: move |()| {
                            search(String::new());
                            browser::focus("portfolio-search");
                        },
                    }
                }
            }
            if officer && !(clients.choosing)() {
                IconButton {
                    label: t!("new-client"),
                    icon: Icon::UserPlus,
                    testid: "new-client",
                    onclick: move |()| app.go(Route::NewClient),
                }
            }
        }
    }
}

#[component]
fn Drafts(drafts: Vec<DraftRow>) -> Element {
    let app = use_app();
    if drafts.is_empty() {
        return rsx! {};
    }
    rsx! {
        section { class: "drafts", aria_label: t!("portfolio-drafts"),
            h2 { class: "list-title", {t!("portfolio-drafts")} }
            ul {
                for draft in drafts {
                    li { key: "{draft.id}",
                        button {
                            class: "row draft",
                            r#type: "button",
                            "data-testid": "draft-{draft.id}",
                            onclick: move |_| app.go(Route::Interview(draft.id)),
                            Glyph { icon: Icon::Pencil }
                            span { class: "row-body",
                                span { class: "row-title clip", "{draft.name}" }
                                span { class: "meta clip",
                                    {t!("portfolio-draft", done = draft.answered, of = draft.questions)}
                                    " · "
                                    {fmt::ago(lang(), draft.saved_at, browser::now())}
                                }
                            }
                            Glyph { icon: Icon::ChevronRight }
                        }
                    }
                }
            }
        }
    }
}

/// Whether the badge stands below the name, as large text needs it on a phone.
fn stacked(app: App) -> bool {
    app.settings().text_percent >= 150 && !(app.wide)()
}

/// Whom the screen beside the list is about.
fn current(route: Route) -> Option<ClientId> {
    match route {
        Route::Client(client) | Route::EditClient(client) => Some(client),
        _ => None,
    }
}

#[component]
fn Row(index: usize, open: Callback<ClientId>) -> Element {
    let app = use_app();
    let clients = use_clients();
    let found: Option<ClientRow> = clients.pages.rows.read().get(&index).cloned();
    let Some(row) = found else {
        return rsx! {
            div { class: "list-row", "aria-hidden": "true", span { class: "ghost" } }
        };
    };
    let lang = lang();
    let opened = current(app.route()) == Some(row.id);
    let (waiting, conflict) = (row.waiting, row.conflict);
    rsx! {
        button {
            class: "list-row",
            "data-stacked": stacked(app),
            r#type: "button",
            aria_current: opened.then_some("true"),
            "data-testid": "client-row-{row.id}",
            onclick: move |_| open.call(row.id),
            span { class: "row-body",
                span { class: if waiting || conflict { "row-title clip" } else { "row-title clamp" }, "{row.name}" }
                span { class: "meta clip",
                    "{row.document}"
                    if !row.place.is_empty() {
                        " · {row.place}"
                    }
                }
                if waiting || conflict {
                    span { class: "tags",
                        if conflict {
                            Tag { label: t!("client-conflict"), tone: Tone::Warning, icon: Icon::GitMerge }
                        }
                        if waiting {
                            Tag { label: t!("client-waiting"), icon: Icon::CloudUpload }
                        }
                    }
                }
            }
            span { class: "client-last",
                if let Some(last) = row.last {
                    Badge { group: last.group }
                    span { class: "meta", {fmt::date(lang, last.at)} }
                } else {
                    span { class: "meta", {t!("client-never-assessed")} }
                }
            }
        }
    }
}

#[component]
fn Nothing(searching: bool, officer: bool) -> Element {
    let app = use_app();
    let clients = use_clients();
    if searching {
        let query = (clients.query)();
        return rsx! {
            EmptyState {
                icon: Icon::Search,
                title: t!("portfolio-none-found", query = query),
                body: t!("portfolio-none-found-do"),
                testid: "portfolio-none-found",
            }
        };
    }
    rsx! {
        EmptyState {
            icon: Icon::Users,
            title: t!("portfolio-empty"),
            body: if officer { t!("portfolio-empty-do") } else { t!("portfolio-empty-manager-do") },
            testid: "portfolio-empty",
            if officer {
                Button {
                    label: t!("new-client"),
                    testid: "empty-new-client",
                    icon: Icon::UserPlus,
                    onclick: move |()| app.go(Route::NewClient),
                }
            }
        }
    }
}
