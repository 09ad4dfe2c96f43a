//! Published models, loaded once each.

use crate::clock::now_ms;
use crate::error::ServerError;
use crate::store::{NewModel, Published, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use vereda_domain::Decision;
use vereda_domain::api::{Doer, ModelManifest};
use vereda_scoring::bundle::Group;
use vereda_scoring::{LoadError, Model};

/// Publishes, and keeps loaded what was asked for.
pub struct Models {
    store: Arc<dyn Store>,
    /// A version's bytes never change, so what was found out holds for good.
    loaded: Mutex<HashMap<u32, Found>>,
}

/// A model, or why there is none to compute with.
pub type Found = Result<Arc<Model>, Missing>;

/// Why there is no model of a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// It was not published.
    #[error("was not published here")]
    Unpublished,
    /// It was published by a program that read it; this one does not.
    #[error("cannot be used by this version of the server: {0}; publish a newer one")]
    Unusable(String),
}

/// Who publishes a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// As people call them.
    pub name: String,
    /// As they are noted.
    pub doer: Doer,
}

/// Whoever sits at the server, by this name.
impl From<&str> for Publisher {
    fn from(name: &str) -> Publisher {
        Publisher { name: name.to_owned(), doer: Doer::CommandLine }
    }
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
    pub async fn publish(
        &self,
        bytes: Vec<u8>,
        by: impl Into<Publisher>,
    ) -> Result<(ModelManifest, bool), PublishError> {
        let Publisher { name, doer } = by.into();
        let (model, bytes) = load(bytes).await?;
        let model = model.map_err(PublishError::Invalid)?;
        let reference = model.reference();
        let manifest = ModelManifest {
            id: reference.id,
            version: reference.version,
            sha256: reference.sha256,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            published_at: now_ms(),
            published_by: name,
        };
        let version = manifest.version;
        match self
            .store
            .publish_model(NewModel { manifest, bytes, by: doer })
            .await
            .map_err(ServerError::from)?
        {
            Published::New(manifest) => {
                self.keep(version, Ok(Arc::new(model)));
                Ok((manifest, true))
            }
            Published::Already(manifest) => Ok((manifest, false)),
            Published::NotAbove { newest } => Err(PublishError::NotAbove { version, newest }),
        }
    }

    /// The newest model, if any was published.
    ///
    /// # Errors
    /// [`ServerError::Model`] when it cannot be used: an older one must not take its place in silence.
    /// And when the store fails.
    pub async fn current(&self) -> Result<Option<Arc<Model>>, ServerError> {
        match self.store.current_model().await? {
            None => Ok(None),
            Some(manifest) => self.version(manifest.version).await,
        }
    }

    /// One version, if it was published.
    ///
    /// # Errors
    /// As [`Models::current`].
    pub async fn version(&self, version: u32) -> Result<Option<Arc<Model>>, ServerError> {
        match self.find(version).await? {
            Ok(model) => Ok(Some(model)),
            Err(Missing::Unpublished) => Ok(None),
            Err(missing) => Err(ServerError::Model { version, missing }),
        }
    }

    /// One version, or why there is none, for work that goes on without it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(&self, version: u32) -> Result<Found, ServerError> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned();
        if let Some(found) = known {
            return Ok(found);
        }
        // What was not published yet may be in a moment.
        let Some((_, bytes)) = self.store.model_bytes(version).await? else {
            return Ok(Err(Missing::Unpublished));
        };
        let (model, _) = load(bytes).await?;
        let found = model.map(Arc::new).map_err(|error| Missing::Unusable(error.to_string()));
        if let Err(missing) = &found {
            tracing::error!(version, %missing, "a published model");
        }
        self.keep(version, found.clone());
        Ok(found)
    }

    fn keep(&self, version: u32, found: Found) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(version, found);
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
