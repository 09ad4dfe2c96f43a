//! The store on PostgreSQL, for when one machine is outgrown. Any number of servers share one.
//!
//! Writing transactions read what is committed and lock the rows they decide by: a push its branch,
//! a rotation its token. Reading ones see one moment (`REPEATABLE READ`), so that a page of changes
//! and the place where it ends belong together.

mod audit;
mod erasure;
mod files;
mod history;
mod insight;
mod models;
mod partitions;
mod people;
mod secrets;
mod sync;

use super::{Result, Saturation, Store};
use crate::error::StoreError;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, IsolationLevel, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Schema changes, in order and numbered as SQLite's are.
const MIGRATIONS: [&str; 12] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
    include_str!("schema_11.sql"),
    include_str!("schema_12.sql"),
];

/// The key of the advisory lock under which one server migrates while the others wait: "vereda".
const MIGRATION_LOCK: i64 = 0x7665_7265_6461;

/// How long a request waits for a connection, or for a new one to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// The parameters of a statement.
type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The store of several servers.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    /// Months of the history that have their partition, as far as this server has seen.
    months: Arc<Mutex<BTreeSet<partitions::Month>>>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects to the database of this URL (`postgresql://user:password@host/name?sslmode=require`)
    /// with at most so many connections, and brings its schema up to date. Certificates are checked
    /// against those that the system trusts.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for the database of a newer program, else [`StoreError::Database`].
    pub async fn connect(url: &str, connections: usize) -> Result<PostgresStore> {
        let doing = "connect to PostgreSQL";
        let mut config = Config::from_str(url).map_err(|e| database(doing, e))?;
        config.application_name("vereda-server").connect_timeout(PATIENCE);
        let manager = Manager::from_config(
            config,
            MakeRustlsConnect::new(tls().map_err(|e| database(doing, e))?),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(connections.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            .build()
            .map_err(|e| database(doing, e))?;
        let store = PostgresStore { pool, months: Arc::default() };
        store.migrate().await?;
        Ok(store)
    }

    /// Brings the schema up to date. Whoever comes second waits, and finds it done.
    async fn migrate(&self) -> Result<()> {
        let doing = "migrate the database";
        let failed = |e| database(doing, e);
        let mut client = self.client().await?;
        let t = client.transaction().await.map_err(failed)?;
        t.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.map_err(failed)?;
        t.batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
            .await
            .map_err(failed)?;
        let found = t.query_opt("SELECT version FROM schema_version", &[]).await.map_err(failed)?;
        let found: i64 = found.as_ref().map_or(Ok(0), |row| row.try_get(0)).map_err(failed)?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            t.batch_execute(migration).await.map_err(failed)?;
        }
        t.execute("DELETE FROM schema_version", &[]).await.map_err(failed)?;
        t.execute("INSERT INTO schema_version(version) VALUES ($1)", &[&known]).await.map_err(failed)?;
        t.commit().await.map_err(failed)
    }

    async fn client(&self) -> Result<Object> {
        let doing = "get a connection to PostgreSQL";
        self.pool.get().await.map_err(|e| StoreError::Unreachable { doing, source: e.into() })
    }
}

impl Store for PostgresStore {
    fn saturation(&self) -> Saturation {
        let status = self.pool.status();
        Saturation {
            connections: status.max_size,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
        }
    }
}

/// Whatever is compiled in, the same provider that the rest of the server uses.
fn tls() -> std::result::Result<rustls::ClientConfig, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}

fn database(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    let any: &dyn std::any::Any = &source;
    // A server that ends says so (57P01 to 57P03); one that was killed says nothing any more.
    let gone = any.downcast_ref::<tokio_postgres::Error>().is_some_and(|error| {
        error.is_closed() || error.code().is_some_and(|code| code.code().starts_with("57P"))
    });
    let source = source.into();
    if gone { StoreError::Unreachable { doing, source } } else { StoreError::Database { doing, source } }
}

/// Runs one writing transaction.
macro_rules! write {
    ($store:expr, $doing:expr, |$t:ident| $work:expr) => {{
        let mut client = $store.client().await?;
        let transaction =
            client.transaction().await.map_err(|e| $crate::store::postgres::database($doing, e))?;
        let $t = &transaction;
        let done = $work;
        transaction.commit().await.map_err(|e| $crate::store::postgres::database($doing, e))?;
        done
    }};
}
use write;

/// Begins a reading transaction: all of it sees one moment.
async fn reading<'a>(client: &'a mut Object, doing: &'static str) -> Result<Transaction<'a>> {
    client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(|e| database(doing, e))
}

/// Every row of a query.
async fn all(
    t: &Transaction<'_>,
    doing: &'static str,
    sql: &str,
    values: Parameters<'_>,
) -> Result<Vec<Row>> {
    let statement = t.prepare_cached(sql).await.map_err(|e| database(doing, e))?;
    t.query(&statement, values).await.map_err(|e| database(doing, e))
}

/// The first row of a query, if there is one.
async fn first(
    t: &Transaction<'_>,
    doing: &'static str,
    sql: &str,
    values: Parameters<'_>,
) -> Result<Option<Row>> {
    Ok(all(t, doing, sql, values).await?.into_iter().next())
}

/// Runs a statement; how many rows it changed.
async fn run(t: &Transaction<'_>, doing: &'static str, sql: &str, values: Parameters<'_>) -> Result<u64> {
    let statement = t.prepare_cached(sql).await.map_err(|e| database(doing, e))?;
    t.execute(&statement, values).await.map_err(|e| database(doing, e))
}

/// A column of a row.
fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, column: usize) -> Result<T> {
    row.try_get(column).map_err(|e| StoreError::corrupt("row", e))
}

#[cfg(test)]
mod tests {
    #[test]
    fn migrations_are_numbered_in_lockstep() {
        assert_eq!(super::MIGRATIONS.len(), crate::store::sqlite::MIGRATIONS.len());
    }
}
