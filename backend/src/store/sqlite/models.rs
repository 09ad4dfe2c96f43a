//! Published models.

use super::rows::{all, first, run, to_u64};
use super::{SqliteStore, database};
use crate::store::*;
use rusqlite::{Row, params};

const MANIFEST: &str = "version, id, sha256, length(bytes), published_ms, published_by";

#[async_trait]
impl ModelStore for SqliteStore {
    async fn publish_model(&self, model: NewModel) -> Result<Published> {
        self.write("publish a model", move |t| {
            let doing = "publish a model";
            let new = &model.manifest;
            let sql = format!("SELECT {MANIFEST} FROM models WHERE version = ?1 AND sha256 = ?2");
            if let Some(same) = first(t, doing, &sql, params![new.version, new.sha256], manifest)? {
                return Ok(Published::Already(same));
            }
            let newest: Option<u32> = first(t, doing, "SELECT max(version) FROM models", [], |row| {
                row.get(0).map_err(|e| database(doing, e))
            })?
            .flatten();
            if let Some(newest) = newest.filter(|newest| *newest >= new.version) {
                return Ok(Published::NotAbove { newest });
            }
            let sql = "INSERT INTO models(version, id, sha256, bytes, published_ms, published_by) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let parameters =
                params![new.version, new.id, new.sha256, model.bytes, new.published_at, new.published_by];
            run(t, doing, sql, parameters)?;
            super::audit::append(t, &model.note())?;
            Ok(Published::New(model.manifest))
        })
        .await
    }

    async fn models(&self) -> Result<Vec<ModelManifest>> {
        self.read("list models", |t| {
            all(
                t,
                "list models",
                &format!("SELECT {MANIFEST} FROM models ORDER BY version DESC"),
                [],
                manifest,
            )
        })
        .await
    }

    async fn current_model(&self) -> Result<Option<ModelManifest>> {
        let before = match self.known.model() {
            Ok(model) => return Ok(model),
            Err(before) => before,
        };
        let model = self
            .glance("find the newest model", |t| {
                let sql = format!("SELECT {MANIFEST} FROM models ORDER BY version DESC LIMIT 1");
                first(t, "find the newest model", &sql, [], manifest)
            })
            .await?;
        self.known.keep_model(before, &model);
        Ok(model)
    }

    async fn model_bytes(&self, version: u32) -> Result<Option<(ModelManifest, Vec<u8>)>> {
        self.read("read a model", move |t| {
            let doing = "read a model";
            let sql = format!("SELECT {MANIFEST}, bytes FROM models WHERE version = ?1");
            first(t, doing, &sql, [version], |row| {
                Ok((manifest(row)?, row.get(6).map_err(|e| database(doing, e))?))
            })
        })
        .await
    }
}

fn manifest(row: &Row<'_>) -> Result<ModelManifest> {
    let get = |e| database("read a model", e);
    Ok(ModelManifest {
        version: row.get(0).map_err(get)?,
        id: row.get(1).map_err(get)?,
        sha256: row.get(2).map_err(get)?,
        bytes: to_u64(row.get(3).map_err(get)?),
        published_at: row.get(4).map_err(get)?,
        published_by: row.get(5).map_err(get)?,
    })
}
