//! Taking in what a device could not send: an encrypted export (see `vereda_domain::export`) goes
//! through the same judgement as a push, under the device's own chain.
//!
//! Whoever may run this on the server's machine vouches for where the file comes from. What it says
//! still has to follow from what the server holds of that chain, and the user it names has to be the
//! device's. A disabled user's work is taken in too.

use crate::clock::now_ms;
use crate::error::ServerError;
use crate::http::Shared;
use crate::store::{FileKey, Note};
use crate::sync::{PushError, Pusher};
use age::secrecy::SecretString;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use vereda_domain::api::{Deed, Doer, EventOutcome, MAX_PUSH_BYTES, MAX_PUSH_EVENTS, Push, Receipt};
use vereda_domain::event::Hash;
use vereda_domain::export::{Export, ExportError, ExportedFile, read};
use vereda_domain::{BranchId, DeviceId, UserId};

/// The most that a passphrase's file may ask for: 2 to this many rounds, 512 MiB.
const MAX_WORK_FACTOR: u8 = 19;

/// What opens an export.
pub enum Key {
    /// The private part of the institution's key: `AGE-SECRET-KEY-1...`, as a file of `age-keygen` or
    /// of [`new_key`] has it.
    Identity(String),
    /// The words that it was sealed with.
    Passphrase(String),
}

/// Why an export is not taken in. What came before the event named is.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The key does not open it, or it is damaged.
    #[error("the file does not open with this key: {0}")]
    Sealed(String),
    /// No key at all.
    #[error("the key file has no line that begins with AGE-SECRET-KEY-1")]
    NoKey,
    /// It does not hold what it must.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Not a device of this server, or not of that user.
    #[error("device {device} is not enrolled here for user {user}; import it at the server where it is")]
    ForeignDevice {
        /// The device.
        device: DeviceId,
        /// The user.
        user: UserId,
    },
    /// The server holds another chain, or events before these are missing.
    #[error("the events do not continue what the server holds: {0}; nothing more of the file was taken in")]
    Chain(String),
    /// The server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// What became of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Events that are applied, now or before.
    pub stored: u64,
    /// Events kept aside, with their place in the chain and why.
    pub quarantined: Vec<(u64, String)>,
    /// Pictures and signatures that are here, now or before.
    pub files: u64,
    /// Those that no event names, or that are not what their hash says.
    pub files_aside: u64,
    /// What the server holds of the chain now; absent when the file held no event.
    pub receipt: Option<Receipt>,
}

/// A new key of the institution: the private part and the public one.
pub fn new_key() -> (SecretString, String) {
    let identity = age::x25519::Identity::generate();
    (identity.to_string(), identity.to_public().to_string())
}

/// Takes an export in. The same file again changes nothing.
///
/// # Errors
/// See [`ImportError`].
pub async fn import(app: &Shared, sealed: Vec<u8>, key: Key) -> Result<Imported, ImportError> {
    // Stretching a passphrase takes its time.
    let text = tokio::task::spawn_blocking(move || open(&sealed, key))
        .await
        .map_err(|error| ImportError::Sealed(error.to_string()))??;
    let Export { header, events, files } = read(&text)?;
    let foreign = || ImportError::ForeignDevice { device: header.device, user: header.user };
    let owner = app.store.device_owner(header.device).await.map_err(ServerError::from)?;
    let user = app.store.user(header.user).await.map_err(ServerError::from)?;
    let (Some(user), true) = (user, owner == Some(header.user)) else { return Err(foreign()) };
    let branch = user.branch.as_ref().ok_or_else(foreign)?.id;
    let pusher = Pusher { user: user.id, role: user.role, branch, device: header.device };

    let mut imported =
        Imported { stored: 0, quarantined: Vec::new(), files: 0, files_aside: 0, receipt: None };
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(event) =
            events.next_if(|event| batch.is_empty() || bytes + event.get().len() < MAX_PUSH_BYTES)
        {
            bytes += event.get().len();
            batch.push(event);
            if batch.len() == MAX_PUSH_EVENTS {
                break;
            }
        }
        // How far off the device's clock was when it wrote the file cannot be told from here.
        let push = Push { events: batch, device_ms: now_ms() };
        let pushed = app.sync.push(pusher, push).await.map_err(refused)?;
        for result in pushed.results {
            match result.outcome {
                EventOutcome::Quarantined { reason, detail } => {
                    imported.quarantined.push((result.seq, format!("{reason:?}: {detail}")));
                }
                _ => imported.stored += 1,
            }
        }
        imported.receipt = Some(pushed.receipt);
    }
    for file in files {
        let taken = take_file(app, branch, file).await?;
        let count = if taken { &mut imported.files } else { &mut imported.files_aside };
        *count += 1;
    }
    let aside = u64::try_from(imported.quarantined.len()).unwrap_or(u64::MAX);
    let events = imported.stored.saturating_add(aside);
    let deed = Deed::EventsImported { device: header.device, events };
    let note = Note { by: Doer::CommandLine, at: now_ms(), deed };
    app.store.note(note).await.map_err(ServerError::from)?;
    tracing::info!(
        device = %header.device,
        stored = imported.stored,
        files = imported.files,
        "an export was imported"
    );
    Ok(imported)
}

/// Stores a file that an event of the branch names; `false` when none does, or it is not what its hash says.
async fn take_file(app: &Shared, branch: BranchId, file: ExportedFile) -> Result<bool, ServerError> {
    let ExportedFile { client, sha256, data } = file;
    let record = app.store.client_record(client).await?;
    let named = record.is_some_and(|record| record.branch == branch && record.file(sha256).is_some());
    let bytes = BASE64.decode(data).unwrap_or_default();
    if !named || Hash::of(&bytes) != sha256 {
        return Ok(false);
    }
    let key = FileKey { client, sha256 };
    if !app.store.file(key).await?.whole {
        // In one piece, in place of what may have come before the network went.
        app.store.discard_file(key).await?;
        app.store.add_piece(key, 0, bytes).await?;
        app.store.finish_file(key, now_ms()).await?;
    }
    Ok(true)
}

fn open(sealed: &[u8], key: Key) -> Result<String, ImportError> {
    let opened = match key {
        Key::Identity(text) => {
            let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1"));
            let identity: age::x25519::Identity =
                line.ok_or(ImportError::NoKey)?.trim().parse().map_err(|_| ImportError::NoKey)?;
            age::decrypt(&identity, sealed)
        }
        Key::Passphrase(words) => {
            let mut identity = age::scrypt::Identity::new(SecretString::from(words));
            identity.set_max_work_factor(MAX_WORK_FACTOR);
            age::decrypt(&identity, sealed)
        }
    };
    let bytes = opened.map_err(|error| ImportError::Sealed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| ExportError::Malformed("it is not text".into()).into())
}

fn refused(error: PushError) -> ImportError {
    match error {
        PushError::Server(error) => ImportError::Server(error),
        PushError::Gap { resume } => ImportError::Chain(format!(
            "the server holds them up to {} and the file begins later",
            resume.seq
        )),
        PushError::Fork { seq, .. } => {
            ImportError::Chain(format!("event {seq} is stored with other content"))
        }
        other => ImportError::Chain(format!("{other:?}")),
    }
}
