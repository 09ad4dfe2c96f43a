//! Models, loaded and checked once and kept in memory.

use crate::error::{DeviceError, Result};
use crate::store::{Store, models};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use vereda_domain::gateway::ModelRefusal;
use vereda_scoring::{LoadError, Model};

#[derive(Default)]
pub(crate) struct Models(Mutex<HashMap<String, Arc<Model>>>);

impl Models {
    /// The model with this hash. Loads it from the store the first time.
    ///
    /// # Errors
    /// [`DeviceError::NoModel`] when it is not here yet.
    pub(crate) fn get(&self, store: &Store, sha256: &str) -> Result<Arc<Model>> {
        if let Some(model) = self.lock().get(sha256) {
            return Ok(model.clone());
        }
        let bytes = store.read(|db| models::bytes(db, sha256))?.ok_or_else(|| {
            DeviceError::NoModel("the model version that this was scored with has not arrived yet".into())
        })?;
        // It was checked when it arrived: failing now means that its bytes have changed.
        let model = Model::load(&bytes)
            .ok()
            .filter(|model| model.sha256() == sha256)
            .ok_or_else(|| DeviceError::StoreDamaged("a stored model is not what was accepted".into()))?;
        Ok(self.put(Arc::new(model)))
    }

    /// The model for new interviews.
    pub(crate) fn active(&self, store: &Store) -> Result<Arc<Model>> {
        let active = store
            .read(models::active)?
            .ok_or_else(|| DeviceError::NoModel("no model has arrived yet; sync once".into()))?;
        self.get(store, &active.sha256)
    }

    /// Keeps a model that was just loaded.
    pub(crate) fn put(&self, model: Arc<Model>) -> Arc<Model> {
        self.lock().entry(model.sha256().to_owned()).or_insert(model).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Model>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a bundle that does not load is refused.
pub(crate) fn refusal(error: &LoadError) -> ModelRefusal {
    match error {
        LoadError::FormatVersion { .. } => ModelRefusal::UnknownFormat,
        LoadError::Golden { .. } => ModelRefusal::GoldenMismatch,
        LoadError::TooLarge { .. }
        | LoadError::Syntax { .. }
        | LoadError::NotABundle { .. }
        | LoadError::Shape { .. }
        | LoadError::Invalid { .. } => ModelRefusal::Invalid,
    }
}
