//! What can go wrong here, and the one place where it becomes what a screen is told.

use vereda_domain::Millis;
use vereda_domain::api::{Problem, ProblemCode, Role};
use vereda_domain::client::{ClientField, ClientProblem};
use vereda_domain::gateway::{ErrorCode, GatewayError};
use vereda_scoring::FieldError;

/// What went wrong, in English, for support: without personal data, with what was attempted and what
/// to do about it. Screens have their own words for each [`ErrorCode`].
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Not the address of a web server.
    #[error("the server's address cannot be read: {0}; write it like https://vereda.example.org")]
    BadAddress(String),
    /// Nothing answers, or not in time.
    #[error("the server does not answer: {0}; it is tried again by itself")]
    Unreachable(String),
    /// Something else answers.
    #[error("what answers there is not this product's server: {0}; check the address and the network")]
    ForeignServer(String),
    /// Plain HTTP over a network.
    #[error("plain http is accepted only for this machine itself; use https")]
    InsecureAddress,
    /// Attempts come too fast.
    #[error("too many attempts; wait until the time given")]
    TooManyAttempts {
        /// Not before.
        retry_at: Option<Millis>,
    },
    /// A role that works elsewhere.
    #[error("the role {} does not work on this app; officers and branch managers do", .0.as_str())]
    RoleNotForApp(Role),
    /// The server ended the session.
    #[error("the server ended the session; sign in again, what was captured stays")]
    SessionExpired,
    /// Not the PIN.
    #[error("the PIN does not open the store")]
    WrongPin {
        /// The next attempt is not taken before.
        retry_at: Option<Millis>,
    },
    /// Too easy to guess.
    #[error("the PIN is too easy: six digits or more, no sequence and no repetition")]
    WeakPin,
    /// No key store, or it refuses.
    #[error("the platform's key store cannot be used: {0}; unlock or install it and try again")]
    KeyStoreUnavailable(String),
    /// The key store answers, but has not what is needed.
    #[error("the platform's key store has lost the secret of this store; nothing was changed")]
    KeyMissing,
    /// No finger or face can be asked for.
    #[error("a finger or a face opens nothing now: {0}; use the PIN")]
    GuardedUnavailable(String),
    /// The platform's dialog was closed.
    #[error(
        "the dialog for a finger or a face was closed before one was recognised; use it again or the PIN"
    )]
    GuardedCancelled,
    /// The platform refuses all fingers and faces for a while.
    #[error(
        "the device takes no finger and no face for now, after too many that it did not know; use the PIN"
    )]
    GuardedLockedOut,
    /// The guarded secret is gone for good.
    #[error(
        "who this device recognises has changed, so the guarded secret is void and was turned off; \
         use the PIN and turn it on again"
    )]
    GuardedInvalidated,
    /// What guarded storage gave is not the secret.
    #[error("what guarded storage gave does not open the store; use the PIN, and turn it off and on again")]
    GuardedWrong,
    /// Cannot be decrypted, or is not what it was.
    #[error("the store cannot be read: {0}; nothing was changed, keep the files for support")]
    StoreDamaged(String),
    /// From a newer app.
    #[error("the store has schema {found} and this app knows {known}; update the app")]
    StoreTooNew {
        /// In the file.
        found: i64,
        /// In this app.
        known: i64,
    },
    /// No space.
    #[error("the store cannot be written: {0}; free some space and try again")]
    StorageFull(String),
    /// No permission, or a file system that is only read.
    #[error("the store's folder is not writable: {0}; restore its permissions and try again")]
    StorageReadOnly(String),
    /// Unlock first.
    #[error("the store is locked")]
    Locked,
    /// Another process has this store open.
    #[error("this store is open in another window of the app; close that one")]
    InUse,
    /// Gone, or never here.
    #[error("no such {0} here")]
    NotFound(&'static str),
    /// Answers that the model does not accept.
    #[error("{} answers are missing or not accepted", .0.len())]
    InvalidInput(Vec<FieldError>),
    /// A client's fields that are not accepted.
    #[error("{} fields of the client are not accepted", .0.len())]
    InvalidClient(Vec<(ClientField, ClientProblem)>),
    /// A request that no screen makes.
    #[error("{0}")]
    BadRequest(&'static str),
    /// None yet, or not that one.
    #[error("{0}")]
    NoModel(String),
    /// Not JPEG, PNG or WebP, or damaged, or too large.
    #[error("the picture cannot be read: {0}; take it again, or choose a JPEG, PNG or WebP file")]
    BadPicture(String),
    /// Nothing was drawn.
    #[error("the signature is empty; draw it and keep it then")]
    EmptyDrawing,
    /// As many as one client can have.
    #[error("the client has as many attachments as one can have")]
    TooManyAttachments,
    /// Against the suggestion without a reason.
    #[error("a decision that is not the suggested one needs a reason in words")]
    OverrideNeedsReason,
    /// Not for this role.
    #[error("{0}")]
    Forbidden(&'static str),
    /// A refusal by the server.
    // Not its detail: what a server says there may name somebody, and this goes into the log.
    #[error("the server refused ({:?}, request {})", .0.code, .0.request_id)]
    Refused(Box<Problem>),
    /// An answer by the server that is none.
    #[error("the server failed: {0}")]
    Server(String),
    /// Access has ended; what was captured was delivered before.
    #[error("access has ended ({0:?}); everything captured here was delivered first")]
    Ended(ProblemCode),
    /// The server holds another chain of this device: it goes on under a new identity.
    #[error("this device was set back to a backup: the server holds another event {0}")]
    Forked(u64),
    /// The server was set back to a backup from before what this device was told: everything is pulled anew.
    #[error("the server was set back to a backup, and says so again to a device that begins anew")]
    SetBack,
    /// The two chains differ.
    #[error("the server holds another history of this device: {0}; this device must be enrolled again")]
    ChainBroken(String),
    /// The device's clock is far off.
    #[error("the device's clock is {} hours away from the server's; set it", .drift_ms / 3_600_000)]
    ClockOff {
        /// Device minus server.
        drift_ms: Millis,
    },
    /// A bundle was refused; the model before it goes on.
    #[error("a model was refused: {0}; the one before it goes on")]
    ModelRefused(String),
    /// A bug.
    #[error("internal: {0}")]
    Internal(String),
}

/// What everything here returns.
pub type Result<T, E = DeviceError> = std::result::Result<T, E>;

impl DeviceError {
    /// Which message a screen shows.
    pub fn code(&self) -> ErrorCode {
        match self {
            DeviceError::BadAddress(_) => ErrorCode::BadAddress,
            DeviceError::Unreachable(_) => ErrorCode::Unreachable,
            DeviceError::ForeignServer(_) => ErrorCode::ForeignServer,
            DeviceError::InsecureAddress => ErrorCode::InsecureAddress,
            DeviceError::TooManyAttempts { .. } => ErrorCode::TooManyAttempts,
            DeviceError::RoleNotForApp(_) => ErrorCode::RoleNotForApp,
            DeviceError::SessionExpired => ErrorCode::SessionExpired,
            DeviceError::WrongPin { .. } => ErrorCode::WrongPin,
            DeviceError::WeakPin => ErrorCode::WeakPin,
            DeviceError::KeyStoreUnavailable(_) => ErrorCode::KeyStoreUnavailable,
            DeviceError::KeyMissing => ErrorCode::KeyMissing,
            DeviceError::GuardedUnavailable(_) => ErrorCode::GuardedUnavailable,
            DeviceError::GuardedCancelled => ErrorCode::GuardedCancelled,
            DeviceError::GuardedLockedOut => ErrorCode::GuardedLockedOut,
            DeviceError::GuardedInvalidated => ErrorCode::GuardedInvalidated,
            DeviceError::GuardedWrong => ErrorCode::GuardedWrong,
            DeviceError::StoreDamaged(_) => ErrorCode::StoreDamaged,
            DeviceError::StoreTooNew { .. } => ErrorCode::StoreTooNew,
            DeviceError::StorageFull(_) => ErrorCode::StorageFull,
            DeviceError::StorageReadOnly(_) => ErrorCode::StorageReadOnly,
            DeviceError::Locked => ErrorCode::Locked,
            DeviceError::NotFound(_) => ErrorCode::NotFound,
            DeviceError::InvalidInput(_) | DeviceError::InvalidClient(_) | DeviceError::BadRequest(_) => {
                ErrorCode::InvalidInput
            }
            DeviceError::NoModel(_) => ErrorCode::NoModel,
            DeviceError::BadPicture(_) => ErrorCode::BadPicture,
            DeviceError::EmptyDrawing => ErrorCode::EmptyDrawing,
            DeviceError::TooManyAttachments => ErrorCode::TooManyAttachments,
            DeviceError::OverrideNeedsReason => ErrorCode::OverrideNeedsReason,
            DeviceError::Forbidden(_) => ErrorCode::Forbidden,
            DeviceError::Refused(problem) => match problem.code {
                ProblemCode::WrongCredentials => ErrorCode::WrongCredentials,
                ProblemCode::SessionRevoked | ProblemCode::Unauthenticated => ErrorCode::SessionExpired,
                ProblemCode::UserDisabled => ErrorCode::UserDisabled,
                ProblemCode::DeviceRevoked => ErrorCode::DeviceRevoked,
                ProblemCode::Forbidden => ErrorCode::Forbidden,
                ProblemCode::TooManyRequests => ErrorCode::TooManyAttempts,
                ProblemCode::ChainGap => ErrorCode::ChainBroken,
                _ => ErrorCode::ServerError,
            },
            DeviceError::Server(_) | DeviceError::SetBack => ErrorCode::ServerError,
            DeviceError::Ended(ProblemCode::DeviceRevoked) => ErrorCode::DeviceRevoked,
            DeviceError::Ended(_) => ErrorCode::UserDisabled,
            DeviceError::ChainBroken(_) | DeviceError::Forked(_) => ErrorCode::ChainBroken,
            DeviceError::ClockOff { .. } => ErrorCode::ClockOff,
            DeviceError::ModelRefused(_) => ErrorCode::ModelRefused,
            DeviceError::InUse | DeviceError::Internal(_) => ErrorCode::Internal,
        }
    }

    /// Whether trying the same again later may work without anybody doing anything.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            DeviceError::Unreachable(_)
            | DeviceError::Server(_)
            | DeviceError::SetBack
            | DeviceError::TooManyAttempts { .. } => true,
            DeviceError::Refused(problem) => matches!(
                problem.code,
                ProblemCode::Internal
                    | ProblemCode::Unavailable
                    | ProblemCode::TooManyRequests
                    | ProblemCode::UseDpopNonce
                    | ProblemCode::InvalidDpopProof
            ),
            _ => false,
        }
    }
}

impl From<DeviceError> for GatewayError {
    fn from(error: DeviceError) -> Self {
        let code = error.code();
        if matches!(
            code,
            ErrorCode::Internal
                | ErrorCode::StoreDamaged
                | ErrorCode::StorageFull
                | ErrorCode::StorageReadOnly
        ) {
            tracing::error!(code = code.as_str(), error = %error, "a command failed");
        }
        let message = error.to_string();
        let mut answer =
            GatewayError { code, message, fields: Vec::new(), client_fields: Vec::new(), retry_at: None };
        match error {
            DeviceError::InvalidInput(fields) => answer.fields = fields,
            DeviceError::InvalidClient(fields) => answer.client_fields = fields,
            DeviceError::WrongPin { retry_at } | DeviceError::TooManyAttempts { retry_at } => {
                answer.retry_at = retry_at;
            }
            DeviceError::Refused(problem) => answer.fields = problem.fields,
            _ => {}
        }
        answer
    }
}

impl From<rusqlite::Error> for DeviceError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => DeviceError::StoreDamaged(error.to_string()),
            Some(Code::DiskFull | Code::SystemIoFailure) => DeviceError::StorageFull(error.to_string()),
            Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
                DeviceError::StorageReadOnly(error.to_string())
            }
            _ => DeviceError::Internal(format!("the store refused a statement: {error}")),
        }
    }
}

impl From<serde_json::Error> for DeviceError {
    fn from(error: serde_json::Error) -> Self {
        // The parser's message may quote a value; its place and class do not.
        DeviceError::StoreDamaged(format!(
            "a stored document is not what was written ({:?}, column {})",
            error.classify(),
            error.column()
        ))
    }
}

impl From<std::io::Error> for DeviceError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                DeviceError::StorageReadOnly(error.to_string())
            }
            _ => DeviceError::StorageFull(error.to_string()),
        }
    }
}
