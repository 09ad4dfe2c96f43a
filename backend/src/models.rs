//! Published models, loaded once each.

use crate::clock::now_ms;
use crate::error::ServerError;
use crate::store::{NewModel, Published, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use vereda_domain::Decision;
use vereda_domain::api::ModelManifest;
use vereda_scoring::bundle::Group;
use vereda_scoring::{LoadError, Model};

/// Publishes, and keeps loaded what was asked for.
pub struct Models {
    store: Arc<dyn Store>,
    /// A version's bytes never change, so what is loaded holds for good.
    loaded: Mutex<HashMap<u32, Arc<Model>>>,
}

/// Why a bundle was not published.
#[derive(Debug)]
pub enum PublishError {
    /// It does not hold what it must.
    Invalid(LoadError),
    /// The newest version is not below it.
    NotAbove {
        /// The version in the bundle.
        version: u32,
        /// The newest one.
        newest: u32,
    },
    /// The server failed.
    Server(ServerError),
}

impl From<ServerError> for PublishError {
    fn from(error: ServerError) -> Self {
        PublishError::Server(error)
    }
}

impl From<PublishError> for ServerError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Invalid(error) => ServerError::Bundle(error.to_string()),
            PublishError::NotAbove { version, newest } => ServerError::Bundle(format!(
                "its version is {version} and the newest is {newest}; give it version {} or above",
                newest.saturating_add(1)
            )),
            PublishError::Server(error) => error,
        }
    }
}

impl Models {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>) -> Models {
        Models { store, loaded: Mutex::new(HashMap::new()) }
    }

    /// Checks a bundle and publishes it. `true` when it is new, `false` when the same bytes were
    /// published before.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, bytes: Vec<u8>, by: &str) -> Result<(ModelManifest, bool), PublishError> {
        let (model, bytes) = load(bytes).await?;
        let model = model.map_err(PublishError::Invalid)?;
        let reference = model.reference();
        let manifest = ModelManifest {
            id: reference.id,
            version: reference.version,
            sha256: reference.sha256,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            published_at: now_ms(),
            published_by: by.to_owned(),
        };
        let version = manifest.version;
        match self.store.publish_model(NewModel { manifest, bytes }).await.map_err(ServerError::from)? {
            Published::New(manifest) => {
                self.keep(version, Arc::new(model));
                Ok((manifest, true))
            }
            Published::Already(manifest) => Ok((manifest, false)),
            Published::NotAbove { newest } => Err(PublishError::NotAbove { version, newest }),
        }
    }

    /// The newest model.
    ///
    /// # Errors
    /// When the store fails or holds a bundle that does not load.
    pub async fn current(&self) -> Result<Option<Arc<Model>>, ServerError> {
        match self.store.current_model().await? {
            None => Ok(None),
            Some(manifest) => self.version(manifest.version).await,
        }
    }

    /// One version.
    ///
    /// # Errors
    /// As [`Models::current`].
    pub async fn version(&self, version: u32) -> Result<Option<Arc<Model>>, ServerError> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some((_, bytes)) = self.store.model_bytes(version).await? else { return Ok(None) };
        let (model, _) = load(bytes).await?;
        let model = Arc::new(model.map_err(|e| ServerError::Bundle(e.to_string()))?);
        self.keep(version, model.clone());
        Ok(Some(model))
    }

    fn keep(&self, version: u32, model: Arc<Model>) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(version, model);
    }
}

/// Loading checks every tree and golden vector: not on a thread that answers requests.
async fn load(bytes: Vec<u8>) -> Result<(Result<Model, LoadError>, Vec<u8>), ServerError> {
    tokio::task::spawn_blocking(move || (Model::load(&bytes), bytes))
        .await
        .map_err(|e| ServerError::Bundle(e.to_string()))
}

/// What policy suggests for a group.
pub fn suggested(model: &Model, group: Group) -> Option<Decision> {
    model.bundle().groups.groups.get(group.index()).map(|text| text.decision)
}
