//! The app's life: enrolling, unlocking, locking.

use crate::board::Board;
use crate::clock::WallClock;
use crate::error::{DeviceError, Result};
use crate::guarded::GuardedStore;
use crate::keystore::KeyStore;
use crate::people::Folders;
use crate::session::{self, Parts, Session, blocking};
use crate::store::meta::Identity;
use crate::store::{OpenMode, Store};
use crate::sync::http::{self, Server};
use crate::sync::proof::DeviceKey;
use crate::sync::{self, PAGES, PageSizes};
use crate::vault::{self, Kdf, StoreKey, Vault, check_pin};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use uuid::Uuid;
use vereda_domain::DeviceId;
use vereda_domain::UserId;
use vereda_domain::api::{Session as ServerSession, SignIn};
use vereda_domain::gateway::{
    EnrolRequest, GuardedView, Phase, Settings, SignInAgainRequest, Status, UnlockRequest,
};
use zeroize::Zeroizing;

/// What the app is told by whoever starts it.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where keys are kept.
    pub keystore: KeyStore,
    /// What people call this machine, such as its host name.
    pub device_name: String,
    /// `android`, `ios`, `linux`, `macos` or `windows`.
    pub platform: String,
    /// Of the app.
    pub version: String,
    /// Tells the time.
    pub clock: WallClock,
}

/// The app without a window: one method per command of `vereda_domain::gateway`. A handle; clones
/// are the same app. Its methods must run on a tokio runtime.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub config: AppConfig,
    pub folders: Folders,
    pub board: Arc<Board>,
    open: RwLock<Option<Open>>,
    /// One enrolment, unlocking or locking at a time.
    pub gate: tokio::sync::Mutex<()>,
    http: Mutex<Option<reqwest::Client>>,
    /// Where the platform has one.
    pub guarded: Option<Arc<dyn GuardedStore>>,
    /// One dialog for a finger or a face at a time. Not the gate: a dialog that is never answered must
    /// keep nobody from the PIN, nor from locking.
    pub asking: tokio::sync::Mutex<()>,
    /// How much work a guess at the PIN of a new vault is.
    kdf: Kdf,
    /// How large pages of changes are.
    pages: PageSizes,
}

/// An open session with what runs for it; dropping it ends that.
struct Open {
    session: Arc<Session>,
    tasks: [AbortHandle; 2],
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl App {
    /// The app over a data folder. Opens nothing yet: what cannot be used is said by the command
    /// that needs it.
    pub fn open(config: AppConfig) -> App {
        App::tuned(config, vault::KDF, PAGES, None)
    }

    /// As [`App::open`], where the platform keeps secrets behind a finger or a face.
    pub fn open_guarded(config: AppConfig, guarded: Arc<dyn GuardedStore>) -> App {
        App::tuned(config, vault::KDF, PAGES, Some(guarded))
    }

    /// As [`App::open`], for simulations of thousands of devices in one process and nothing else: PINs
    /// of new vaults are easy to guess by who has the files and the key store, the certificates
    /// that are believed are read once for all of them, and pages of changes are so small that a dozen clients
    /// come in several.
    /// Optimised builds have it only with the feature `simulation`, which no app has.
    #[doc(hidden)]
    #[cfg(any(debug_assertions, feature = "simulation"))]
    pub fn open_simulated(config: AppConfig) -> App {
        static HTTP: Mutex<Option<reqwest::Client>> = Mutex::new(None);
        let app = App::tuned(config, vault::QUICK, PageSizes { first: 3, most: 3 }, None);
        let mut shared = HTTP.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            // What keeps it from being made is said by the first command that needs it.
            *shared = app.0.http().ok();
        }
        app.0.http.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&shared);
        drop(shared);
        app
    }

    fn tuned(
        mut config: AppConfig,
        kdf: Kdf,
        pages: PageSizes,
        guarded: Option<Arc<dyn GuardedStore>>,
    ) -> App {
        config.device_name = shown(&config.device_name);
        let folders = Folders::new(config.data_dir.clone());
        App(Arc::new(Inner {
            config,
            folders,
            board: Arc::new(Board::new()),
            open: RwLock::new(None),
            gate: tokio::sync::Mutex::new(()),
            http: Mutex::new(None),
            guarded,
            asking: tokio::sync::Mutex::new(()),
            kdf,
            pages,
        }))
    }

    /// The open session; somebody touching the app keeps it open.
    pub(crate) fn session(&self) -> Result<Arc<Session>> {
        let session = self.untouched()?;
        session.touch();
        Ok(session)
    }

    /// The open session, for calls that the screens make by themselves.
    pub(crate) fn untouched(&self) -> Result<Arc<Session>> {
        let session = self.current().ok_or(DeviceError::Locked)?;
        if session.until_lock().is_zero() {
            self.0.close_of(&session);
            return Err(DeviceError::Locked);
        }
        Ok(session)
    }

    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        let open = self.0.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.session.clone())
    }

    pub(crate) async fn status_now(&self) -> Result<Status> {
        let app = self.clone();
        blocking(move || Ok(app.look())).await
    }

    fn look(&self) -> Status {
        let inner = &self.0;
        let session = self.untouched().ok();
        let vaults = inner.folders.vaults();
        let now = inner.config.clock.now();
        let last = inner.folders.last_user();
        let vault = vaults.iter().find(|vault| Some(vault.user().id) == last).or(vaults.first());
        let (phase, user) = match (&session, vault) {
            (Some(session), _) => (Phase::Open, Some(session.identity().view())),
            (None, Some(vault)) => (
                Phase::Locked { retry_at: vault.retry_at(inner.config.clock.moment()) },
                Some(vault.user().clone()),
            ),
            (None, None) => (Phase::New, None),
        };
        Status {
            phase,
            settings: inner.folders.settings(user.as_ref().map(|user| user.id)),
            user,
            users: vaults.iter().map(|vault| vault.user().clone()).collect(),
            sync: inner.board.line(),
            revision: inner.board.revision(),
            now,
            version: inner.config.version.clone(),
            device_name: inner.config.device_name.clone(),
            guarded: GuardedView {
                available: inner.guarded.as_ref().is_some_and(|store| store.available()),
                on: vaults.iter().filter(|vault| vault.is_guarded()).map(|vault| vault.user().id).collect(),
            },
        }
    }

    pub(crate) async fn unlock_user(&self, request: UnlockRequest) -> Result<Status> {
        let _gate = self.0.gate.lock().await;
        let app = self.clone();
        blocking(move || {
            let vault = app.0.folders.vault(request.user)?.ok_or(DeviceError::NotFound("user"))?;
            let pin = Zeroizing::new(request.pin);
            let (vault, key) = app.open_vault(vault, &pin)?;
            app.0.close();
            app.start(vault, &key, None)
        })
        .await?;
        self.status_now().await
    }

    fn open_vault(&self, mut vault: Vault, pin: &str) -> Result<(Vault, StoreKey)> {
        let key = vault.open(&self.0.config.keystore, pin, self.0.config.clock.moment())?;
        Ok((vault, key))
    }

    /// Opens a user's store and starts what runs while it is open. Called where blocking is allowed.
    pub(crate) fn start(
        &self,
        vault: Vault,
        key: &StoreKey,
        signed_in: Option<&ServerSession>,
    ) -> Result<Arc<Session>> {
        let inner = &self.0;
        let user = vault.user().id;
        let folder = inner.folders.user(user);
        let lock = session::lock_folder(&folder)?;
        let store = Store::open(&folder, key, OpenMode::Existing)?;
        let (requests, asked) = mpsc::channel(16);
        let parts = Parts {
            store,
            vault,
            lock,
            settings: inner.folders.settings(Some(user)),
            http: inner.http()?,
            board: inner.board.clone(),
            clock: inner.config.clock.clone(),
            version: inner.config.version.clone(),
            device_name: inner.config.device_name.clone(),
            platform: inner.config.platform.clone(),
            pages: inner.pages,
        };
        let session = Arc::new(Session::new(parts, requests)?);
        if let Some(signed_in) = signed_in {
            session.begin_signed_in(signed_in)?;
        }
        inner.folders.set_last_user(user)?;
        let runtime = tokio::runtime::Handle::current();
        let tasks = [
            runtime.spawn(sync::engine(session.clone(), asked)).abort_handle(),
            runtime.spawn(auto_lock(Arc::downgrade(inner), Arc::downgrade(&session))).abort_handle(),
        ];
        let open = Open { session: session.clone(), tasks };
        *inner.open.write().unwrap_or_else(PoisonError::into_inner) = Some(open);
        inner.board.bump();
        // The first score must not wait for the model to be read and checked.
        let warm = session.clone();
        runtime.spawn_blocking(move || {
            if let Err(error) = warm.models.active(&warm.store) {
                tracing::debug!(%error, "no model to read ahead");
            }
        });
        Ok(session)
    }

    pub(crate) async fn enrol_user(&self, request: EnrolRequest) -> Result<Status> {
        check_pin(&request.pin)?;
        let base = http::address(&request.server)?;
        let _gate = self.0.gate.lock().await;
        let key = Arc::new(DeviceKey::generate(self.0.config.clock.clone())?);
        let mut server = Server::new(self.0.http()?, &base, key)?;
        server.info().await?;

        // Somebody who is known here must open their store before anything else happens to it.
        let username = request.username.trim().to_owned();
        let (known_name, known_server) = (username.clone(), base.clone());
        let mut opened = self
            .opened(&request.pin, move |vault| {
                let user = vault.user();
                user.server == known_server && user.username.eq_ignore_ascii_case(&known_name)
            })
            .await?;
        if let Some((vault, store_key)) = &opened {
            server = server.with_key(self.key_of(vault, store_key).await?);
        }
        let mut device =
            opened.as_ref().map_or_else(|| DeviceId(Uuid::now_v7()), |(vault, _)| vault.device());
        let mut session = self.sign_in(&server, &username, &request.password, device).await?;
        let identity = match Identity::new(session.user.clone(), device, base.clone()) {
            Ok(identity) => identity,
            Err(error) => {
                give_up(&server, &session).await;
                return Err(error);
            }
        };
        let user = identity.me();
        if opened.as_ref().is_none_or(|(vault, _)| vault.user().id != user) {
            // Known here under another user name, or not at all.
            let found = self.opened(&request.pin, move |vault| vault.user().id == user).await;
            opened = match found {
                Ok(found) => found,
                Err(error) => {
                    give_up(&server, &session).await;
                    return Err(error);
                }
            };
            if let Some((vault, store_key)) = &opened {
                give_up(&server, &session).await;
                server = server.with_key(self.key_of(vault, store_key).await?);
                device = vault.device();
                session = self.sign_in(&server, &username, &request.password, device).await?;
            }
        }
        let identity = Identity { device, ..identity };

        let (app, key) = (self.clone(), server.key());
        let server_session = session.clone();
        let pin = Zeroizing::new(request.pin);
        let started = blocking(move || {
            let (vault, store_key) = match opened {
                Some((vault, key)) => (app.moved(vault, &key, &identity, &server_session)?, key),
                None => app.create(&identity, &server_session, &key, &pin)?,
            };
            app.0.close();
            app.start(vault, &store_key, Some(&server_session))
        })
        .await;
        if let Err(error) = started {
            give_up(&server, &session).await;
            return Err(error);
        }
        self.status_now().await
    }

    /// The device's own key that a store keeps.
    async fn key_of(&self, vault: &Vault, store_key: &StoreKey) -> Result<Arc<DeviceKey>> {
        let (app, user, store_key) = (self.clone(), vault.user().id, store_key.clone());
        blocking(move || {
            let store = Store::open(&app.0.folders.user(user), &store_key, OpenMode::Existing)?;
            DeviceKey::of(&store, app.0.config.clock.clone()).map(Arc::new)
        })
        .await
    }

    /// The store of somebody who is known here. Their server may have another address now: it knows
    /// them under the same id, so it is the same server, or its successor, which gets what waits.
    fn moved(
        &self,
        mut vault: Vault,
        key: &StoreKey,
        identity: &Identity,
        server_session: &ServerSession,
    ) -> Result<Vault> {
        if vault.user().server != identity.server {
            let store = Store::open(&self.0.folders.user(identity.me()), key, OpenMode::Existing)?;
            store.write(|db| session::keep(db, identity, server_session))?;
            vault.set_user(&identity.view())?;
        }
        Ok(vault)
    }

    /// A new user's vault and store: built aside, then put in place in one step.
    pub(crate) fn create(
        &self,
        identity: &Identity,
        server_session: &ServerSession,
        device_key: &DeviceKey,
        pin: &str,
    ) -> Result<(Vault, StoreKey)> {
        let inner = &self.0;
        inner.folders.sweep();
        // A folder that is there but has no readable vault is not to be written over.
        if inner.folders.vault(identity.me())?.is_some() {
            return Err(DeviceError::Internal("the user has a store already".into()));
        }
        let aside = inner.folders.begin()?;
        let made =
            Vault::create(&aside, &inner.config.keystore, identity.view(), identity.device, pin, inner.kdf);
        let (vault, key) = match made {
            Ok(made) => made,
            Err(error) => {
                inner.folders.abandon(&aside);
                return Err(error);
            }
        };
        let built = Store::open(&aside, &key, OpenMode::Create)
            .and_then(|store| {
                store.write(|db| {
                    device_key.keep(db)?;
                    session::keep(db, identity, server_session)
                })
            })
            .and_then(|()| inner.folders.finish(&aside, identity.me()));
        match built {
            Ok(folder) => Ok((vault.at(folder), key)),
            Err(error) => {
                vault.forget(&inner.config.keystore);
                inner.folders.abandon(&aside);
                Err(error)
            }
        }
    }

    /// Opens, with the PIN, the vault that fits; nothing when none does.
    async fn opened(
        &self,
        pin: &str,
        fits: impl Fn(&Vault) -> bool + Send + 'static,
    ) -> Result<Option<(Vault, StoreKey)>> {
        let (app, pin) = (self.clone(), Zeroizing::new(pin.to_owned()));
        blocking(move || match app.0.folders.vaults().into_iter().find(fits) {
            Some(vault) => app.open_vault(vault, &pin).map(Some),
            None => Ok(None),
        })
        .await
    }

    async fn sign_in(
        &self,
        server: &Server,
        username: &str,
        password: &str,
        device: DeviceId,
    ) -> Result<ServerSession> {
        let config = &self.0.config;
        let request = SignIn {
            username: username.to_owned(),
            password: password.to_owned(),
            device: Some(session::device_info(device, &config.device_name, &config.platform)),
        };
        self.in_time(server.sign_in(&request).await)
    }

    /// A refusal for coming too fast says when to come again.
    fn in_time<T>(&self, result: Result<T>) -> Result<T> {
        let now = self.0.config.clock.now();
        result.map_err(|error| match error {
            DeviceError::Refused(problem)
                if problem.code == vereda_domain::api::ProblemCode::TooManyRequests =>
            {
                let wait = problem.retry_after_s.and_then(|s| i64::try_from(s).ok()).unwrap_or(60);
                DeviceError::TooManyAttempts { retry_at: Some(now + wait * 1000) }
            }
            other => other,
        })
    }

    pub(crate) async fn sign_in_with_password(&self, request: SignInAgainRequest) -> Result<Status> {
        let session = self.session()?;
        let server = session.server()?;
        server.info().await?;
        let sign_in = SignIn {
            username: session.identity().user.username.clone(),
            password: request.password,
            device: Some(session.device_info()),
        };
        let answer = self.in_time(server.sign_in(&sign_in).await)?;
        session.signed_in(answer).await?;
        session.wake.notify_one();
        self.status_now().await
    }

    pub(crate) async fn lock_now(&self) -> Result<Status> {
        let _gate = self.0.gate.lock().await;
        self.0.close();
        self.status_now().await
    }

    pub(crate) async fn keep_settings(&self, settings: Settings) -> Result<Settings> {
        if !matches!(settings.text_percent, 100 | 125 | 150 | 200) {
            return Err(DeviceError::BadRequest("the text's size is 100, 125, 150 or 200 per cent"));
        }
        if !(1..=120).contains(&settings.auto_lock_minutes) {
            return Err(DeviceError::BadRequest("the store locks after 1 to 120 minutes"));
        }
        let session = self.current();
        if let Some(session) = &session {
            session.touch();
        }
        let app = self.clone();
        blocking(move || {
            let inner = &app.0;
            let user: Option<UserId> = match &session {
                Some(session) => Some(session.identity().me()),
                None => app.look().user.map(|user| user.id),
            };
            inner.folders.set_settings(user, &settings)?;
            if let Some(session) = session {
                *session.settings.write().unwrap_or_else(PoisonError::into_inner) = settings.clone();
            }
            inner.board.bump();
            Ok(settings)
        })
        .await
    }
}

/// A host's name as the server takes it: some text, not too long, without control characters.
fn shown(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    let name = name.trim();
    if name.is_empty() { "device".to_owned() } else { name.to_owned() }
}

/// Ends a session that is of no use. Failing to leaves it to end by itself.
async fn give_up(server: &Server, session: &ServerSession) {
    if let Err(error) = server.sign_out(&session.refresh_token).await {
        tracing::debug!(%error, "a session that is not needed could not be ended");
    }
}

impl Inner {
    /// Closes the open store, if one is. Its key is forgotten when the last reader has finished.
    pub(crate) fn close(&self) {
        self.close_if(|_| true);
    }

    /// Closes the open store if it is this session's: it may have been closed, and opened again, since somebody looked.
    pub(crate) fn close_of(&self, session: &Arc<Session>) {
        self.close_if(|open| Arc::ptr_eq(&open.session, session));
    }

    fn close_if(&self, meant: impl FnOnce(&mut Open) -> bool) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take_if(meant);
        if open.is_some() {
            drop(open);
            self.board.clear();
        }
    }

    fn http(&self) -> Result<reqwest::Client> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = http.as_ref() {
            return Ok(client.clone());
        }
        let client = http::client(&self.config.version)?;
        *http = Some(client.clone());
        Ok(client)
    }
}

/// Locks the store when nobody has touched the app for as long as the user chose.
async fn auto_lock(app: Weak<Inner>, session: Weak<Session>) {
    // Looked at often enough that a change of the setting, or of the clock, counts soon.
    const LOOK: Duration = Duration::from_secs(5);
    loop {
        let Some(open) = session.upgrade() else { return };
        let left = open.until_lock();
        if left.is_zero() {
            if let Some(app) = app.upgrade() {
                tracing::info!("locked: nobody has touched the app");
                app.close_of(&open);
            }
            return;
        }
        // It is not kept open while this sleeps.
        drop(open);
        tokio::time::sleep(left.min(LOOK)).await;
    }
}
