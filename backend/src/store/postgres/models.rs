//! Published models.

use super::{PostgresStore, all, first, get, reading, run, write};
use crate::error::StoreError;
use crate::store::codec::to_u64;
use crate::store::*;
use tokio_postgres::Row;

const MANIFEST: &str = "SELECT version, id, sha256, length(bytes)::bigint, published_ms, published_by";

#[async_trait]
impl ModelStore for PostgresStore {
    async fn publish_model(&self, model: NewModel) -> Result<Published> {
        let doing = "publish a model";
        Ok(write!(self, doing, |t| {
            // Readers go on; of two who publish, the second sees what the first did.
            run(t, doing, "LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
            let new = &model.manifest;
            let version = i64::from(new.version);
            let sql = format!("{MANIFEST} FROM models WHERE version = $1 AND sha256 = $2");
            let same = first(t, doing, &sql, &[&version, &new.sha256]).await?;
            let newest = first(t, doing, "SELECT max(version) FROM models", &[]).await?;
            let newest: Option<i64> = newest.as_ref().map(|row| get(row, 0)).transpose()?.flatten();
            match (same, newest) {
                (Some(same), _) => Published::Already(manifest(&same)?),
                (None, Some(newest)) if newest >= version => {
                    Published::NotAbove { newest: version_of(newest)? }
                }
                _ => {
                    let sql = "INSERT INTO models(version, id, sha256, bytes, published_ms, published_by) \
                               VALUES ($1, $2, $3, $4, $5, $6)";
                    let values: super::Parameters<'_> =
                        &[&version, &new.id, &new.sha256, &model.bytes, &new.published_at, &new.published_by];
                    run(t, doing, sql, values).await?;
                    super::audit::append(t, &model.note()).await?;
                    Published::New(new.clone())
                }
            }
        }))
    }

    async fn models(&self) -> Result<Vec<ModelManifest>> {
        let doing = "list models";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let rows = all(&t, doing, &format!("{MANIFEST} FROM models ORDER BY version DESC"), &[]).await?;
        rows.iter().map(manifest).collect()
    }

    async fn current_model(&self) -> Result<Option<ModelManifest>> {
        let doing = "find the newest model";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = format!("{MANIFEST} FROM models ORDER BY version DESC LIMIT 1");
        first(&t, doing, &sql, &[]).await?.as_ref().map(manifest).transpose()
    }

    async fn model_bytes(&self, version: u32) -> Result<Option<(ModelManifest, Vec<u8>)>> {
        let doing = "read a model";
        let mut client = self.client().await?;
        let t = reading(&mut client, doing).await?;
        let sql = format!("{MANIFEST}, bytes FROM models WHERE version = $1");
        match first(&t, doing, &sql, &[&i64::from(version)]).await? {
            None => Ok(None),
            Some(row) => Ok(Some((manifest(&row)?, get(&row, 6)?))),
        }
    }
}

fn version_of(stored: i64) -> Result<u32> {
    u32::try_from(stored).map_err(|e| StoreError::corrupt("model version", e))
}

fn manifest(row: &Row) -> Result<ModelManifest> {
    Ok(ModelManifest {
        version: version_of(get(row, 0)?)?,
        id: get(row, 1)?,
        sha256: get(row, 2)?,
        bytes: to_u64(get(row, 3)?),
        published_at: get(row, 4)?,
        published_by: get(row, 5)?,
    })
}
