//! New models: fetched, checked to the byte and against their golden vectors, then activated. One
//! that fails any check is refused and said to be, and the one before it goes on.

use super::http::Server;
use super::run::{Stats, with_token};
use crate::error::{DeviceError, Result};
use crate::models::refusal;
use crate::session::Session;
use crate::store::models;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use vereda_domain::Millis;
use vereda_domain::api::ModelManifest;
use vereda_domain::gateway::{ModelOutcome, ModelRefusal, ModelUpdate, SyncState};
use vereda_scoring::Model;

/// Bytes that were not those announced may have been damaged on the way: fetched again after this.
const RETRY_MS: Millis = 3_600_000;

/// Looks for a newer model, and for the versions that assessments here were made with.
pub(crate) async fn update(session: &Arc<Session>, server: &Server, stats: &mut Stats) -> Result<()> {
    let current = with_token(session, server, |token| async move { server.current_model(&token).await });
    if let Some(manifest) = current.await? {
        stats.model_refused = newer(session, server, manifest).await?;
    }
    let now = session.now();
    for (version, sha256) in session.read(move |db| models::missing(db, now)).await? {
        fetch_kept(session, server, version, sha256).await?;
    }
    Ok(())
}

/// Gives why the announced model is refused, if it is.
async fn newer(session: &Arc<Session>, server: &Server, manifest: ModelManifest) -> Result<Option<String>> {
    let asked = manifest.clone();
    let (active, refused) =
        session.read(move |db| Ok((models::active(db)?, models::refusal(db, &asked)?))).await?;
    if active.as_ref().is_some_and(|active| active.sha256 == manifest.sha256) {
        return Ok(None);
    }
    if let Some(ModelUpdate { outcome: ModelOutcome::Refused { reason, detail }, at, .. }) = refused {
        let again = reason == ModelRefusal::HashMismatch && session.now() - at > RETRY_MS;
        if !again {
            return Ok(Some(detail));
        }
    }
    if let Some(active) = active.filter(|active| manifest.version <= active.version) {
        let detail =
            format!("version {} is announced, and {} is active here", manifest.version, active.version);
        return refuse(session, manifest, ModelRefusal::Rollback, detail).await;
    }

    session.board.set_state(SyncState::UpdatingModel);
    let version = manifest.version;
    let bytes =
        with_token(session, server, |token| async move { server.bundle(&token, version).await }).await?;
    crate::fail::point("model.fetched");
    match checked(session, &manifest.sha256, bytes).await? {
        Err((reason, detail)) => refuse(session, manifest, reason, detail).await,
        Ok((model, _)) if (model.id(), model.version()) != (manifest.id.as_str(), manifest.version) => {
            let detail = format!("the bundle says {} {}", model.id(), model.version());
            refuse(session, manifest, ModelRefusal::Invalid, detail).await
        }
        Ok((model, bytes)) => {
            let activated = model.clone();
            let now = session.now();
            session.write(move |db| models::activate(db, &activated, &bytes, now)).await?;
            tracing::info!(model = model.id(), version = model.version(), "a model was activated");
            session.models.put(model);
            session.board.bump();
            Ok(None)
        }
    }
}

type Checked = std::result::Result<(Arc<Model>, Vec<u8>), (ModelRefusal, String)>;

/// Checks hash, document and golden vectors, on a thread of its own: that takes a moment.
async fn checked(session: &Arc<Session>, sha256: &str, bytes: Vec<u8>) -> Result<Checked> {
    let sha256 = sha256.to_owned();
    session
        .blocking(move |_| {
            let found = hex::encode(Sha256::digest(&bytes));
            if found != sha256 {
                let detail = format!("{found} arrived, and {sha256} was announced");
                return Ok(Err((ModelRefusal::HashMismatch, detail)));
            }
            Ok(match Model::load(&bytes) {
                Ok(model) => Ok((Arc::new(model), bytes)),
                Err(error) => Err((refusal(&error), error.to_string())),
            })
        })
        .await
}

async fn refuse(
    session: &Arc<Session>,
    manifest: ModelManifest,
    reason: ModelRefusal,
    detail: String,
) -> Result<Option<String>> {
    tracing::warn!(version = manifest.version, detail, "a model was refused");
    let update = ModelUpdate {
        id: manifest.id,
        version: manifest.version,
        sha256: manifest.sha256,
        at: session.now(),
        outcome: ModelOutcome::Refused { reason, detail: detail.clone() },
    };
    session.write(move |db| models::record_update(db, &update)).await?;
    session.board.bump();
    Ok(Some(detail))
}

/// Fetches a version only to show what was scored with it. Failing that blocks nothing.
async fn fetch_kept(session: &Arc<Session>, server: &Server, version: u32, sha256: String) -> Result<()> {
    session.board.set_state(SyncState::UpdatingModel);
    let fetched = with_token(session, server, |token| async move { server.bundle(&token, version).await });
    let checked = match fetched.await {
        Ok(bytes) => checked(session, &sha256, bytes).await?,
        Err(DeviceError::Refused(problem)) => Err((ModelRefusal::Invalid, problem.detail)),
        Err(error) => return Err(error),
    };
    match checked {
        Ok((model, bytes)) => {
            let kept = model.clone();
            session.write(move |db| models::insert(db, &kept, &bytes)).await?;
            session.models.put(model);
            session.board.bump();
        }
        Err((_, detail)) => {
            tracing::warn!(version, detail, "the model of an earlier assessment cannot be fetched");
            let now = session.now();
            session.write(move |db| models::not_fetched(db, &sha256, now)).await?;
        }
    }
    Ok(())
}
