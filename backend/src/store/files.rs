//! Files of clients, in pieces.

use super::Result;
use async_trait::async_trait;
use vereda_domain::event::Hash;
use vereda_domain::record::{ClientRecord, Record};
use vereda_domain::{ClientId, Millis};

/// Names a file: one client's, by what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKey {
    /// Whose.
    pub client: ClientId,
    /// Of all its bytes.
    pub sha256: Hash,
}

/// How much of a file is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileState {
    /// So many bytes from its beginning.
    pub received: u64,
    /// Whether those are all, and what the hash says.
    pub whole: bool,
    /// Where the sequence of the client's branch ended when this was so; 0 of a file of which nothing is stored.
    pub end: u64,
}

/// Files of clients.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// A client's record: it says which files there are, and whose they are.
    async fn client_record(&self, client: ClientId) -> Result<Option<ClientRecord>>;
    /// How much of a file is stored; nothing of one that nobody sent.
    async fn file(&self, file: FileKey) -> Result<FileState>;
    /// Adds a piece if it begins where the file ends and the file is not whole; how much there is then. Of a client who
    /// is not there, or was erased while the piece was on its way, nothing is stored.
    async fn add_piece(&self, file: FileKey, from: u64, piece: Vec<u8>) -> Result<FileState>;
    /// What is stored of a file.
    async fn file_bytes(&self, file: FileKey) -> Result<Vec<u8>>;
    /// Notes when a file was found to be whole; the first time stays. It takes a place in the branch's sequence, so that
    /// whoever was told can tell when it is lost.
    async fn finish_file(&self, file: FileKey, now: Millis) -> Result<FileState>;
    /// Throws away what is stored of a file, unless it is whole.
    async fn discard_file(&self, file: FileKey) -> Result<()>;
}

pub(super) fn client_of(record: Record) -> Option<ClientRecord> {
    match record {
        Record::Client(client) => Some(client),
        Record::Assessment(_) => None,
    }
}
