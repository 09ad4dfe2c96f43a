//! Starting and stopping.

use crate::clock::now_ms;
use crate::commons::{Commons, Link, Linked, Memory};
use crate::config::{Config, Database};
use crate::erasure;
use crate::error::ServerError;
use crate::http::{App, Shared, metrics_router, router};
use crate::identity::keys;
use crate::identity::passwords::Passwords;
use crate::identity::people::People;
use crate::identity::proof::{self, Proofs};
use crate::identity::throttle::{self, Throttle};
use crate::identity::tokens::Tokens;
use crate::insight::Insight;
use crate::listener::{Counting, Door, Peer, within_files};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::predictions::Predictions;
use crate::rates::{self, Rates};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Leap, Store};
use crate::sync::Sync;
use crate::tls::Certificates;
use crate::traces::Traces;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Address, Handle, Server};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use vereda_domain::Millis;

/// A server that runs in this process. Dropping it leaves it running; see [`Running::shutdown`].
pub struct Running {
    /// Where the API listens.
    pub api_addr: SocketAddr,
    /// Where metrics and health listen.
    pub metrics_addr: SocketAddr,
    app: Shared,
    door: Door,
    api: Handle<Peer>,
    metrics: Handle<SocketAddr>,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
    /// What goes on beside requests, for as long as the server does.
    beside: Vec<JoinHandle<()>>,
    /// To look at the certificate's files now.
    look: Arc<Notify>,
}

/// Opens the store and the keys; everything but the listeners.
///
/// # Errors
/// See [`ServerError`].
pub async fn open(mut config: Config) -> Result<Shared, ServerError> {
    config.check()?;
    config.limits.connections = within_files(config.limits.connections);
    keys::make_folder(&config.data_dir)?;
    let store = store(&config).await?;
    let signing = keys::signing_keys(&config.data_dir)?;
    let refresh = keys::refresh_secret(&config.data_dir)?;
    let tokens = Tokens::new(config.tokens.clone(), signing, refresh)?;
    let metrics = Metrics::new().map_err(|e| ServerError::Config { what: e.to_string() })?;
    let metrics = Arc::new(metrics);
    let models = Arc::new(Models::new(store.clone()));
    if let Err(error) = models.current().await {
        // Syncing goes on without it, and only a server that runs can be given another.
        tracing::error!(%error, "nothing can be scored here");
    }
    let Kept { counters, rates, scores, proofs } = commons(&config, &metrics).await?;
    let life = Duration::from_secs(config.predictions.lifetime_s);
    Ok(Arc::new(App {
        tokens,
        proofs: Proofs::new(proofs, &refresh),
        passwords: Passwords::new(config.password_cost)?,
        throttle: Throttle::new(config.sign_in.clone(), counters),
        rates: Rates::new(config.rates.clone(), rates),
        connections: Arc::new(Semaphore::new(config.limits.connections)),
        predictions: Predictions::new(scores, life, metrics.clone()),
        insight: Arc::new(Insight::new(store.clone(), models.clone())),
        streams: Arc::new(Semaphore::new(config.limits.streams)),
        sync: Sync::new(store.clone(), models.clone(), metrics.clone()),
        models,
        traces: Traces::open(&config.traces, metrics.clone())?,
        metrics,
        store,
        description: OnceLock::new(),
        sweep: Notify::new(),
        draining: AtomicBool::new(false),
        config,
    }))
}

/// What is counted and what is remembered in common. In memory they have room of their own, so that no
/// flood of scores or of callers makes anybody's wrong passwords forgotten.
struct Kept {
    counters: Arc<dyn Commons>,
    rates: Arc<dyn Commons>,
    scores: Arc<dyn Commons>,
    proofs: Arc<dyn Commons>,
}

async fn commons(config: &Config, metrics: &Arc<Metrics>) -> Result<Kept, ServerError> {
    let link = match config.redis.url.as_str() {
        "" => None,
        _ => Some(Link::open(&config.redis, metrics.clone()).await?),
    };
    let room = |entries: u64| -> Arc<dyn Commons> {
        let memory = Memory::new(entries);
        match &link {
            Some(link) => Arc::new(Linked::new(link.clone(), memory)),
            None => Arc::new(memory),
        }
    };
    Ok(Kept {
        counters: room(throttle::MAX_ENTRIES),
        rates: room(rates::MAX_ENTRIES),
        scores: room(config.predictions.entries),
        proofs: room(proof::MAX_ENTRIES),
    })
}

/// The store that the configuration names.
async fn store(config: &Config) -> Result<Arc<dyn Store>, ServerError> {
    let Database { url, connections } = &config.database;
    if url.is_empty() {
        let file = SqliteStore::file_in(&config.data_dir);
        return Ok(Arc::new(SqliteStore::open(&file, config.limits.readers)?));
    }
    Ok(Arc::new(PostgresStore::connect(url, *connections).await?))
}

/// Starts a server. When this returns, both addresses answer.
///
/// # Errors
/// See [`ServerError`].
pub async fn start(config: Config) -> Result<Running, ServerError> {
    serve(open(config).await?).await
}

/// Starts listening for a server that was opened, once whoever has places of a history that was lost can be told.
///
/// # Errors
/// [`ServerError::Store`]; [`ServerError::Random`]; [`ServerError::Listen`]; [`ServerError::File`] and [`ServerError::Certificate`] for HTTPS.
pub async fn serve(app: Shared) -> Result<Running, ServerError> {
    let or_by = u64::from(getrandom::u32().map_err(|e| ServerError::Random(e.to_string()))?);
    app.store.leap(Leap { to: u64::try_from(now_ms()).unwrap_or(0) * 1000, or_by }).await?;
    let tls = &app.config.tls;
    let certificates = tls.is_on().then(|| Certificates::open(tls, app.metrics.clone())).transpose()?;
    let (api_listener, api_addr) = listen(app.config.listen)?;
    let (metrics_listener, metrics_addr) = listen(app.config.metrics_listen)?;
    let (api, metrics) = (Handle::new(), Handle::new());
    let failed = |source| ServerError::Listen { address: app.config.listen, source };
    let counting = Counting::new(api_listener, app.connections.clone()).map_err(failed)?;
    let door = counting.door();
    let service = router(app.clone()).into_make_service_with_connect_info::<Peer>();
    let server = tuned(Server::<Peer>::from_listener(counting), &app, api.clone());
    let serving = match &certificates {
        None => tokio::spawn(server.serve(service)),
        Some(certificates) => {
            let acceptor = RustlsAcceptor::new(certificates.serving());
            let acceptor = acceptor.handshake_timeout(app.config.limits.header_timeout());
            let metrics = app.metrics.clone();
            let server = server.acceptor(acceptor).accept_error_handler(move |_, error| {
                tracing::debug!(%error, "a connection came to no request");
                metrics.connection_failed();
            });
            tokio::spawn(server.serve(service))
        }
    };
    let server = axum_server::from_tcp(metrics_listener).map_err(failed)?;
    let service = metrics_router(app.clone()).into_make_service();
    let tasks = vec![serving, tokio::spawn(tuned(server, &app, metrics.clone()).serve(service))];
    let look = Arc::new(Notify::new());
    let (keys, erasures) = (watch_keys(app.clone()), erasure::finish(app.clone()));
    let devices = tell_of_devices(app.clone());
    let counting = tokio::spawn(count(app.clone()));
    let mut beside = vec![counting, tokio::spawn(keys), tokio::spawn(erasures), tokio::spawn(devices)];
    let https = certificates.is_some();
    beside.extend(certificates.map(|certificates| tokio::spawn(certificates.watch(look.clone()))));
    tracing::info!(%api_addr, %metrics_addr, https, "listening");
    Ok(Running { api_addr, metrics_addr, app, door, api, metrics, tasks, beside, look })
}

/// How long the last spans may take to be sent.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// How often scores and outcomes that came are counted, when nobody asks.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Counts what comes, so that an answer about a model has little left to count.
async fn count(app: Shared) {
    loop {
        app.metrics.upkeep();
        match app.insight.catch_up().await {
            Ok(left) => {
                app.metrics.uncounted(left);
                if left > 0 {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "scores could not be counted; they will be"),
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

/// How often it is told how long ago devices were heard of.
const TELL_OF_DEVICES: Duration = Duration::from_secs(30);

/// How long ago a device may have been heard of to count as this.
const AGES: [(&str, Millis); 5] = [
    ("hour", 3_600_000),
    ("day", 24 * 3_600_000),
    ("week", 7 * 24 * 3_600_000),
    ("month", 30 * 24 * 3_600_000),
    ("earlier", Millis::MAX),
];

/// Tells how long ago devices were heard of.
async fn tell_of_devices(app: Shared) {
    loop {
        let now = now_ms();
        match app.store.devices_heard(AGES.map(|(_, ms)| now.saturating_sub(ms)).to_vec()).await {
            Ok(counts) => {
                // Each count holds those before it.
                let mut younger = 0;
                for ((age, _), count) in AGES.iter().zip(counts) {
                    app.metrics.devices(age, count.saturating_sub(younger));
                    younger = count;
                }
            }
            Err(error) => tracing::warn!(%error, "devices could not be counted; they will be"),
        }
        tokio::time::sleep(TELL_OF_DEVICES).await;
    }
}

/// How often the folder of keys is looked at.
const LOOK_AT_KEYS: Duration = Duration::from_secs(5);

/// Takes up keys that came into their folder, and lets go of those that left it; whether they are others
/// now. It makes none: a folder that is empty or away for a moment must not end everybody's session.
///
/// # Errors
/// When there is none, or one cannot be read; those of before then stay.
fn look_at_keys(app: &Shared) -> Result<bool, ServerError> {
    app.tokens.renew(keys::known_keys(&app.config.data_dir)?)
}

async fn watch_keys(app: Shared) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK_AT_KEYS).await;
        let looking = app.clone();
        let Ok(looked) = tokio::task::spawn_blocking(move || look_at_keys(&looking)).await else { continue };
        match looked {
            Ok(true) => tracing::info!("the signing keys are others now"),
            Ok(false) => told.clear(),
            Err(error) => {
                // Once, and not every few seconds.
                let text = error.to_string();
                if text != told {
                    tracing::error!(%error, "the signing keys cannot be read; those of before stay");
                    told = text;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// With the limits of every listener.
fn tuned<A: Address>(server: Server<A>, app: &Shared, handle: Handle<A>) -> Server<A> {
    let timeout = app.config.limits.header_timeout();
    let mut server = server
        .handle(handle)
        .first_request_timeout(timeout)
        // A proxy speaks HTTP/1.1 to what stands behind it; less that listens is less to attack.
        .http1_only();
    server.http_builder().http1().header_read_timeout(timeout).max_headers(64);
    server
}

impl Running {
    /// `http://` or `https://`, and the API's address.
    pub fn api_url(&self) -> String {
        let scheme = if self.app.config.tls.is_on() { "https" } else { "http" };
        format!("{scheme}://{}", self.api_addr)
    }

    /// Looks at the certificate's files now, and not in a few seconds.
    pub fn look_at_certificate(&self) {
        self.look.notify_one();
    }

    /// `http://` and the address of metrics and health.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.metrics_addr)
    }

    /// To add branches and people.
    pub fn people(&self) -> People {
        self.app.people()
    }

    /// To publish models without going through HTTP.
    pub fn models(&self) -> &Models {
        &self.app.models
    }

    /// To take in an export while serving; see [`crate::import`].
    ///
    /// # Errors
    /// See [`crate::import::ImportError`].
    pub async fn import(
        &self,
        sealed: Vec<u8>,
        key: crate::import::Key,
    ) -> Result<crate::import::Imported, crate::import::ImportError> {
        crate::import::import(&self.app, sealed, key).await
    }

    /// Stops taking connections, lets requests in flight finish within `limits.drain_ms`, and
    /// returns when both listeners are closed.
    pub async fn shutdown(self) {
        self.app.draining.store(true, Ordering::Relaxed);
        self.door.close().await;
        let drain = Duration::from_millis(self.app.config.limits.drain_ms);
        self.api.graceful_shutdown(Some(drain));
        for task in self.tasks {
            // Metrics stay readable until the last request is answered.
            if let Ok(Err(error)) = task.await {
                tracing::error!(%error, "a listener failed");
            }
            self.metrics.graceful_shutdown(Some(Duration::from_millis(500)));
        }
        self.beside.iter().for_each(JoinHandle::abort);
        self.app.traces.close(LAST_SPANS).await;
        tracing::info!("stopped");
    }

    /// Runs until SIGTERM or SIGINT, then stops. At SIGHUP, it looks at the certificate's files.
    ///
    /// # Errors
    /// Never on Unix; elsewhere when Ctrl-C cannot be listened for.
    pub async fn until(self, mut signals: Signals) -> std::io::Result<()> {
        while signals.next().await? == Signal::Look {
            self.look_at_certificate();
        }
        tracing::info!("stopping: requests in flight get to finish");
        self.shutdown().await;
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Signal {
    Stop,
    Look,
}

/// What the system and people tell a process. Listened for before the server starts, so that none that
/// comes as soon as it runs ends it in the middle.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> std::io::Result<Signals> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> std::io::Result<Signal> {
        tokio::select! {
            _ = self.terminate.recv() => Ok(Signal::Stop),
            _ = self.interrupt.recv() => Ok(Signal::Stop),
            _ = self.hang_up.recv() => Ok(Signal::Look),
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> std::io::Result<Signal> {
        tokio::signal::ctrl_c().await.map(|()| Signal::Stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_that_are_away_for_a_moment_stay_in_use_and_none_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let app = open(Config { data_dir: dir.path().to_owned(), ..Config::default() }).await.unwrap();
        let before = app.tokens.public();
        let (folder, away) = (dir.path().join("keys"), dir.path().join("away"));
        std::fs::rename(&folder, &away).unwrap();
        assert!(look_at_keys(&app).is_err(), "no folder");
        // As of a volume that is not mounted yet.
        std::fs::create_dir(&folder).unwrap();
        assert!(look_at_keys(&app).is_err(), "no key");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        assert_eq!(app.tokens.public(), before);
        std::fs::remove_dir(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        assert!(!look_at_keys(&app).unwrap(), "the same ones");
        keys::rotate(dir.path(), 1).unwrap();
        assert!(look_at_keys(&app).unwrap());
        assert_eq!(app.tokens.public().keys.len(), 2);
    }
}
