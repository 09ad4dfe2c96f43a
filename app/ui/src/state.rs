//! What all screens share.

use crate::browser;
use crate::gateway::{Gateway, TauriGateway};
use crate::i18n::{I18n, Lang};
use crate::route::{Route, visit};
use dioxus::prelude::*;
use vereda_domain::Millis;
use vereda_domain::gateway::{
    Command, ErrorCode, GatewayError, GetDrafts, GetStatus, Lock, Phase, Settings, Status, SyncLine, SyncNow,
    SyncState, Theme, UserView, Watch, WatchRequest,
};

/// What all screens share, in the context of every component.
#[derive(Clone, Copy, PartialEq)]
pub struct App {
    /// The last status; absent until the first has arrived.
    pub status: Signal<Option<Status>>,
    /// Why there is none.
    pub trouble: Signal<Option<GatewayError>>,
    /// The one line about the state of the world.
    pub sync: Signal<SyncLine>,
    /// Rises whenever anything shown may have changed.
    pub revision: Signal<u64>,
    /// The screens visited; the last is shown.
    pub visited: Signal<Vec<Route>>,
    /// What is to be said in passing.
    pub toasts: Signal<Vec<Toast>>,
    /// What is to be confirmed.
    pub confirm: Signal<Option<Confirm>>,
    /// What a screen reader is to say.
    pub announced: Signal<String>,
    /// Whether there is room for a list and a detail side by side.
    pub wide: Signal<bool>,
    /// When somebody last touched the screen or a key.
    touched: Signal<Millis>,
}

/// Something said in passing.
#[derive(Clone, PartialEq)]
pub struct Toast {
    /// Which.
    pub id: u64,
    /// The words.
    pub text: String,
    /// How to take it back.
    pub undo: Option<Callback<()>>,
}

/// Something to be confirmed before it is done.
#[derive(Clone, PartialEq)]
pub struct Confirm {
    /// The question.
    pub title: String,
    /// What will happen.
    pub body: String,
    /// The button that does it, in words that say what it does.
    pub yes: String,
    /// Whether it destroys or ends something.
    pub danger: bool,
    /// Does it.
    pub on_yes: Callback<()>,
}

/// What all screens share.
pub fn use_app() -> App {
    use_context::<App>()
}

impl App {
    /// Makes the shared state and starts what keeps it fresh. For the root component.
    pub fn provide() -> App {
        let lang = use_signal(|| Lang::choose(Settings::default().language, &browser::system_language()));
        use_context_provider(|| I18n { lang });
        let idle = SyncLine { state: SyncState::Idle, waiting: 0, files: 0, quarantined: 0, done_at: None };
        let app = App {
            status: use_signal(|| None),
            trouble: use_signal(|| None),
            sync: use_signal(|| idle),
            revision: use_signal(|| 0),
            visited: use_signal(|| vec![Route::read(&browser::hash())]),
            toasts: use_signal(Vec::new),
            confirm: use_signal(|| None),
            announced: use_signal(String::new),
            wide: use_signal(|| false),
            touched: use_signal(browser::now),
        };
        use_context_provider(|| app);
        use_hook(|| app.listen());
        use_future(move || app.keep_fresh());
        use_future(move || app.keep_locked());
        use_effect(move || {
            let settings = app.settings();
            let chosen = Lang::choose(settings.language, &browser::system_language());
            let mut lang = lang;
            if *lang.peek() != chosen {
                lang.set(chosen);
            }
            let theme = match settings.theme {
                Theme::System => "",
                Theme::Light => "light",
                Theme::Dark => "dark",
            };
            browser::dress(chosen.tag(), theme, settings.text_percent);
            app.measure();
        });
        app
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// The refusal. One that says that the store is locked also shows the PIN pad.
    pub async fn call<C: Command>(self, request: C::Request) -> Result<C::Response, GatewayError> {
        let answer = TauriGateway.call::<C>(request).await;
        if let Err(refusal) = &answer
            && refusal.code == ErrorCode::Locked
            && self.status.peek().as_ref().is_some_and(|status| status.phase == Phase::Open)
        {
            self.load_status().await;
        }
        answer
    }

    /// Takes in a status.
    pub fn accept(mut self, status: Status) {
        self.sync.set(status.sync.clone());
        self.revision.set(status.revision);
        self.trouble.set(None);
        self.touched.set(browser::now());
        self.status.set(Some(status));
    }

    /// Asks for the status.
    pub async fn load_status(mut self) {
        match TauriGateway.call::<GetStatus>(()).await {
            Ok(status) => self.accept(status),
            Err(refusal) => self.trouble.set(Some(refusal)),
        }
    }

    /// As chosen; the defaults until a status has arrived.
    pub fn settings(self) -> Settings {
        self.status.read().as_ref().map(|status| status.settings.clone()).unwrap_or_default()
    }

    /// Whose store is open, or would be.
    pub fn user(self) -> Option<UserView> {
        self.status.read().as_ref().and_then(|status| status.user.clone())
    }

    /// The screen shown.
    pub fn route(self) -> Route {
        self.visited.read().last().copied().unwrap_or_default()
    }

    /// Goes to a screen.
    pub fn go(self, route: Route) {
        browser::set_hash(&route.path(), false);
    }

    /// Goes to a screen instead of this one: *back* will not come here again.
    pub fn replace(mut self, route: Route) {
        if let Some(here) = self.visited.write().last_mut() {
            *here = route; // at once: no screen in between is drawn
        }
        browser::set_hash(&route.path(), true);
    }

    /// Goes back to the screen before, or to the one above.
    pub fn back(self) {
        if self.visited.peek().len() > 1 { browser::back() } else { self.replace(self.route().parent()) }
    }

    /// Says something in passing, with a way to take it back.
    pub fn toast(mut self, text: impl Into<String>, undo: Option<Callback<()>>) {
        let id = self.toasts.peek().last().map_or(1, |toast| toast.id + 1);
        let stays = if undo.is_some() { 10_000 } else { 6_000 };
        self.toasts.write().push(Toast { id, text: text.into(), undo });
        dioxus::core::spawn_forever(async move {
            browser::sleep(stays).await;
            self.dismiss(id);
        });
    }

    /// Takes a passing word away.
    pub fn dismiss(mut self, id: u64) {
        self.toasts.write().retain(|toast| toast.id != id);
    }

    /// Asks before something is done.
    pub fn ask(mut self, confirm: Confirm) {
        self.confirm.set(Some(confirm));
    }

    /// Has a screen reader say something.
    pub fn announce(mut self, text: impl Into<String>) {
        self.announced.set(text.into());
    }

    /// Closes the store; the PIN pad comes back.
    pub async fn lock(mut self) {
        match TauriGateway.call::<Lock>(()).await {
            Ok(status) => self.accept(status),
            Err(refusal) => self.trouble.set(Some(refusal)),
        }
    }

    fn listen(self) {
        let mut visited = self.visited;
        // Callbacks carry the runtime along: the browser calls from outside of it.
        let moved = Callback::new(move |()| visit(&mut visited.write(), Route::read(&browser::hash())));
        browser::on_window(&["hashchange"], move || moved.call(()));
        let sized = Callback::new(move |()| self.measure());
        browser::on_window(&["resize"], move || sized.call(()));
        // The sync engine looks by itself in a while, and a phone that sleeps stops its timers: but the network is here
        // now, or the officer is.
        let sync = Callback::new(move |()| {
            if self.status.peek().as_ref().is_some_and(|status| status.phase == Phase::Open) {
                dioxus::core::spawn_forever(async move {
                    // What came of it is said by the line below every screen.
                    let _ = self.call::<SyncNow>(()).await;
                });
            }
        });
        browser::on_window(&["online"], move || sync.call(()));
        browser::on_window(&["visibilitychange"], move || {
            if browser::shown() {
                sync.call(());
            }
        });
        let mut touched = self.touched;
        let touch = Callback::new(move |()| touched.set(browser::now()));
        browser::on_window(&["pointerdown", "keydown", "wheel", "touchmove"], move || touch.call(()));
    }

    /// Larger text needs more room.
    fn measure(mut self) {
        let wide = browser::width() >= 9.0 * f64::from(self.settings().text_percent);
        if *self.wide.peek() != wide {
            self.wide.set(wide);
        }
    }

    /// The long poll. It gives in to errors ever more slowly and never ends.
    async fn keep_fresh(mut self) {
        let mut pause = 500;
        loop {
            if self.status.peek().is_none() {
                self.load_status().await;
            }
            let Some(since) = self.status.peek().as_ref().map(|_| *self.revision.peek()) else {
                browser::sleep(pause).await;
                pause = (pause * 2).min(10_000);
                continue;
            };
            match TauriGateway.call::<Watch>(WatchRequest { since }).await {
                Ok(news) => {
                    pause = 500;
                    if *self.sync.peek() != news.sync {
                        self.sync.set(news.sync);
                    }
                    let open = self.status.peek().as_ref().is_some_and(|s| s.phase == Phase::Open);
                    if news.locked == open {
                        self.load_status().await;
                    } else if *self.revision.peek() != news.revision {
                        self.revision.set(news.revision);
                    }
                }
                Err(_) => {
                    browser::sleep(pause).await;
                    pause = (pause * 2).min(10_000);
                    self.load_status().await;
                }
            }
        }
    }

    /// Locks after so many minutes without a touch. The native side locks after as long without a
    /// command; whoever reads and scrolls sends none, so it is told of touches now and then.
    async fn keep_locked(self) {
        let mut told = browser::now();
        loop {
            browser::sleep(5_000).await;
            let minutes = self.settings().auto_lock_minutes;
            let open = self.status.peek().as_ref().is_some_and(|status| status.phase == Phase::Open);
            let idle = browser::now() - *self.touched.peek();
            if open && minutes > 0 && idle > Millis::from(minutes) * 60_000 {
                self.lock().await;
            } else if open && *self.touched.peek() > told + 30_000 {
                told = browser::now();
                // What it answers does not matter, nor does a refusal: the next command shows it.
                let _ = TauriGateway.call::<GetDrafts>(()).await;
            }
        }
    }
}
