//! Starting and stopping.

use crate::commons::{Commons, Link, Linked, Memory};
use crate::config::{Config, Database};
use crate::error::ServerError;
use crate::http::{App, Shared, metrics_router, router};
use crate::identity::keys;
use crate::identity::passwords::Passwords;
use crate::identity::people::People;
use crate::identity::throttle::{self, Throttle};
use crate::identity::tokens::Tokens;
use crate::insight::Insight;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::predictions::Predictions;
use crate::store::Store;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::sync::Sync;
use axum::Router;
use axum_server::Handle;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A server that runs in this process. Dropping it leaves it running; see [`Running::shutdown`].
pub struct Running {
    /// Where the API listens.
    pub api_addr: SocketAddr,
    /// Where metrics and health listen.
    pub metrics_addr: SocketAddr,
    app: Shared,
    api: Handle<SocketAddr>,
    metrics: Handle<SocketAddr>,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
    counting: JoinHandle<()>,
}

/// Opens the store and the keys; everything but the listeners.
///
/// # Errors
/// See [`ServerError`].
pub async fn open(config: Config) -> Result<Shared, ServerError> {
    config.check()?;
    keys::make_folder(&config.data_dir)?;
    let store = store(&config).await?;
    let signing = keys::signing_keys(&config.data_dir)?;
    let refresh = keys::refresh_secret(&config.data_dir)?;
    let tokens = Tokens::new(config.tokens.clone(), &signing, refresh)?;
    let metrics = Metrics::new().map_err(|e| ServerError::Config { what: e.to_string() })?;
    let metrics = Arc::new(metrics);
    let models = Arc::new(Models::new(store.clone()));
    if let Err(error) = models.current().await {
        // Syncing goes on without it, and only a server that runs can be given another.
        tracing::error!(%error, "nothing can be scored here");
    }
    let (counters, scores) = commons(&config, &metrics).await?;
    let life = Duration::from_secs(config.predictions.lifetime_s);
    Ok(Arc::new(App {
        tokens,
        passwords: Passwords::new(config.password_cost)?,
        throttle: Throttle::new(config.sign_in.clone(), counters),
        predictions: Predictions::new(scores, life, metrics.clone()),
        insight: Arc::new(Insight::new(store.clone(), models.clone())),
        streams: Arc::new(Semaphore::new(config.limits.streams)),
        sync: Sync::new(store.clone(), models.clone(), metrics.clone()),
        models,
        metrics,
        store,
        description: OnceLock::new(),
        draining: AtomicBool::new(false),
        config,
    }))
}

/// What is counted and what is remembered in common. In memory they have room of their own, so that no
/// flood of scores makes anybody's wrong passwords forgotten.
async fn commons(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<dyn Commons>, Arc<dyn Commons>), ServerError> {
    let counters = Memory::new(throttle::MAX_ENTRIES);
    let scores = Memory::new(config.predictions.entries);
    if config.redis.url.is_empty() {
        return Ok((Arc::new(counters), Arc::new(scores)));
    }
    let link = Link::open(&config.redis, metrics.clone()).await?;
    Ok((Arc::new(Linked::new(link.clone(), counters)), Arc::new(Linked::new(link, scores))))
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
    serve(open(config).await?)
}

/// Starts listening for a server that was opened.
///
/// # Errors
/// [`ServerError::Listen`].
pub fn serve(app: Shared) -> Result<Running, ServerError> {
    let (api_listener, api_addr) = listen(app.config.listen)?;
    let (metrics_listener, metrics_addr) = listen(app.config.metrics_listen)?;
    let (api, metrics) = (Handle::new(), Handle::new());
    let tasks = vec![
        spawn(api_listener, &app, api.clone(), router(app.clone()))?,
        spawn(metrics_listener, &app, metrics.clone(), metrics_router(app.clone()))?,
    ];
    let counting = tokio::spawn(count(app.clone()));
    tracing::info!(%api_addr, %metrics_addr, "listening");
    Ok(Running { api_addr, metrics_addr, app, api, metrics, tasks, counting })
}

/// How often scores and outcomes that came are counted, when nobody asks.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Counts what comes, so that an answer about a model has little left to count.
async fn count(app: Shared) {
    loop {
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

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn spawn(
    listener: TcpListener,
    app: &Shared,
    handle: Handle<SocketAddr>,
    router: Router,
) -> Result<JoinHandle<std::io::Result<()>>, ServerError> {
    let address = app.config.listen;
    let timeout = app.config.limits.header_timeout();
    let mut server = axum_server::from_tcp(listener)
        .map_err(|source| ServerError::Listen { address, source })?
        .handle(handle)
        .first_request_timeout(timeout)
        // A proxy speaks HTTP/1.1 to what stands behind it; less that listens is less to attack.
        .http1_only();
    server.http_builder().http1().header_read_timeout(timeout).max_headers(64);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Ok(tokio::spawn(server.serve(service)))
}

impl Running {
    /// `http://` and the API's address.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api_addr)
    }

    /// `http://` and the address of metrics and health.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.metrics_addr)
    }

    /// To add branches and people.
    pub fn people(&self) -> People {
        People::new(self.app.store.clone(), self.app.passwords.clone())
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
        let drain = Duration::from_millis(self.app.config.limits.drain_ms);
        self.api.graceful_shutdown(Some(drain));
        for task in self.tasks {
            // Metrics stay readable until the last request is answered.
            if let Ok(Err(error)) = task.await {
                tracing::error!(%error, "a listener failed");
            }
            self.metrics.graceful_shutdown(Some(Duration::from_millis(500)));
        }
        self.counting.abort();
        tracing::info!("stopped");
    }

    /// Runs until SIGTERM or SIGINT, then stops.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub async fn until_signal(self) -> std::io::Result<()> {
        wait_for_signal().await?;
        tracing::info!("stopping: requests in flight get to finish");
        self.shutdown().await;
        Ok(())
    }
}

#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
