//! Why the server cannot start or do its work. What callers of the API are told is in
//! [`crate::http::problem`]; nothing from here reaches them.

use std::path::PathBuf;

/// A failure of the server itself.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used: {what}; see vereda-server.example.toml")]
    Config {
        /// Which setting, and what is allowed.
        what: String,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {doing} {path}: {source}; check that it exists and belongs to the server's user")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another server running there?")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A key in the data folder is damaged.
    #[error(
        "the key file {path} cannot be used: {what}; restore it from a backup, or move it away to have a new one made (everybody must then sign in again)"
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate or its key cannot be used.
    #[error(
        "{path} cannot be used for HTTPS: {what}; `tls.certificate` must be the server's certificate with those above it, `tls.key` its private key, both in PEM"
    )]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// A password cannot be hashed, or a token cannot be signed.
    #[error("cannot {doing}: {what}")]
    Crypto {
        /// What was attempted.
        doing: &'static str,
        /// Why not.
        what: String,
    },
    /// People, systems or branches that cannot be as asked.
    #[error("{0}")]
    People(String),
    /// Something that is asked for with a value that it cannot have.
    #[error("`{field}` must be {allowed}")]
    Field {
        /// What it is called.
        field: &'static str,
        /// What it may be.
        allowed: String,
    },
    /// It is not there.
    #[error("there is no such {0}")]
    NoSuch(&'static str),
    /// A setup token that does not hold.
    #[error(
        "the setup token is unknown, was used or has ended; print another with `vereda-server setup-token`"
    )]
    SetupToken,
    /// The record of who did what is not whole.
    #[error(
        "entry {seq} of the audit log: {what}; somebody wrote to the database by other ways than this program. Keep it as it is, and compare it with a backup"
    )]
    Audit {
        /// Which entry.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A model bundle that cannot be published.
    #[error("the bundle cannot be published: {0}")]
    Bundle(String),
    /// A bundle that was published cannot be computed with.
    #[error("model version {version} {missing}")]
    Model {
        /// Which.
        version: u32,
        /// Why not.
        missing: crate::models::Missing,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ServerError {
    /// A value that something cannot have.
    pub fn field(field: &'static str, allowed: impl Into<String>) -> ServerError {
        ServerError::Field { field, allowed: allowed.into() }
    }
}

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the database failed while trying to {doing}: {source}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk does not take what is to be written; nothing of it is stored.
    #[error(
        "the database could not be written while trying to {doing}: {source}; free some space on its disk. It is tried again with the next request"
    )]
    Full {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database does not answer, or broke off.
    #[error(
        "the database could not be reached while trying to {doing}: {source}; is it running? It is tried again with the next request"
    )]
    Unreachable {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database was written by a newer program.
    #[error(
        "the database has schema version {found} and this program knows versions up to {known}; start the newer program, or restore a backup from before it"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The newest one known.
        known: i64,
    },
    /// A row that cannot be read back.
    #[error("a stored {what} cannot be read: {why}")]
    Corrupt {
        /// What kind of row.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// Others kept writing first.
    #[error("too many others write to the same branch at once; try again")]
    Busy,
    /// The store is closing.
    #[error("the store is closing; try again when the server has restarted")]
    Closed,
}

impl StoreError {
    /// A row that cannot be read back.
    pub fn corrupt(what: &'static str, why: impl std::fmt::Display) -> Self {
        StoreError::Corrupt { what, why: why.to_string() }
    }
}
