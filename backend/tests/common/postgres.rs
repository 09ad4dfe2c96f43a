//! Databases of their own on the PostgreSQL that `VEREDA_TEST_POSTGRES` names.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tokio_postgres::{Client, NoTls, Row};
use uuid::Uuid;

/// A new, empty database; the URL to reach it.
pub async fn fresh() -> String {
    let server = std::env::var("VEREDA_TEST_POSTGRES").expect(
        "VEREDA_TEST_POSTGRES must be the URL of a PostgreSQL where tests may make databases; \
         `cargo xtask test` starts one and sets it, `cargo xtask services` does so for a command of your own",
    );
    let (base, _) = server.rsplit_once('/').expect("a URL that ends with a database");
    let name = format!("t{}", Uuid::now_v7().simple());
    execute(&server, &format!("CREATE DATABASE {name}")).await;
    format!("{base}/{name}")
}

/// Runs a statement; how many rows it changed.
pub async fn execute(url: &str, sql: &str) -> u64 {
    connect(url).await.execute(sql, &[]).await.unwrap()
}

/// Runs a query.
pub async fn query(url: &str, sql: &str) -> Vec<Row> {
    connect(url).await.query(sql, &[]).await.unwrap()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
